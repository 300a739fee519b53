"""What is shown of a symbol is what its fold, its records and its plans say."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import replays
from data.events import NS, RECORDS, Kind, Scales, numpy_dtype
from data.log import LogReader, LogStore
from engine.kernel.metrics import AT
from engine.plans.compile import compile_all
from engine.plans.read import parse_plans
from engine.runtime.compose import compose
from engine.runtime.parameters import build, settle
from engine.runtime.recent import KEPT, Recent
from engine.runtime.replay import Request, run
from engine.runtime.symbol_view import Shown, age_s, symbol_view
from strategies import get

SCALES = Scales(1, 3)
T0 = 1_767_614_400 * NS
PLAN = """
[[plan]]
id = 7
name = "dip"
symbol = "BTCUSDT"
direction = "BUY"
stop = { atr = 2 }
[plan.conditions]
delta_positive = true
cvd_rising = true
"""


def blank(name: str, broker: str = "simulated") -> Any:
    """A fold of strategy ``name`` on its first state; nothing is compiled."""
    c = compose(get(name), broker=broker)
    return SimpleNamespace(
        composition=c, params=build(c, settle(c, {}), SCALES), state=np.zeros(1, dtype=c.state)
    )


def shown(name: str, **more: Any) -> Shown:
    return Shown("binance-um", "BTCUSDT", SCALES, get(name), **more)


@pytest.mark.parametrize(
    "name", ["delta_flip", "scalper", "plan_watch", "proxy_scalper", "watch", "watch_proxy"]
)
def test_every_strategy_has_a_picture_before_its_first_event(name: str) -> None:
    view = symbol_view(blank(name), shown(name))
    assert (view.price, view.positions, view.decision) == (None, (), None)
    assert view.lifecycle == "idle"
    names = [s.name for s in view.signals]
    assert len(names) == len(set(names))
    assert asdict(view)["symbol"] == "BTCUSDT"


def test_windows_give_delta_imbalance_and_charts() -> None:
    fold = blank("delta_flip")
    core, w = fold.state["core"], fold.state["windows"]
    now = T0 + 100 * NS
    core["now_ns"], core["first_trade_ns"], core["session_end_ns"] = now, T0, T0 + 3600 * NS
    w["started"], w["head_s"] = 1, now // NS
    at = (now // NS // 5) & 127
    w["block_buy"][0, at], w["block_sell"][0, at - 1] = 3_000, 1_000
    w["buy"][0, 3], w["sell"][0, 3] = 3_000, 1_000
    w["buy"][0, 4], w["sell"][0, 4] = 3_000, 1_000
    fold.state["flow"]["cvd"] = 9_000
    view = symbol_view(fold, shown("delta_flip"))
    assert (view.delta_30s, view.imbalance, view.cvd) == (2.0, 0.5, 9.0)
    assert view.chart.delta[-3:] == (0.0, -1.0, 3.0)
    assert view.chart.cvd[-3:] == (7.0, 6.0, 9.0)
    assert view.chart.imbalance[-2:] == (-1.0, 0.5)
    assert len(view.chart.delta) == 21


def test_a_chart_has_no_blocks_that_the_ring_lost_and_no_cvd_of_yesterday() -> None:
    fold = blank("delta_flip")
    core, w = fold.state["core"], fold.state["windows"]
    now = T0 + 3600 * NS
    core["now_ns"], core["first_trade_ns"] = now, T0
    core["session_end_ns"] = now - 60 * NS + 86_400 * NS
    w["started"], w["head_s"] = 1, now // NS - 300
    w["block_buy"] = 1_000
    chart = symbol_view(fold, shown("delta_flip")).chart
    assert len(chart.delta) == 120
    assert sum(chart.delta) == 60
    assert chart.delta[-1] == 0
    assert len(chart.cvd) == 13


def test_the_chart_of_a_real_fold_is_the_log() -> None:
    store = LogStore(str(replays.path()))
    end = T0 + 1_807 * NS
    request = Request(get("delta_flip"), "delta_flip", to_ns=end)
    recent = Recent()
    fold = run(store, request, recent).fold
    view = symbol_view(fold, shown("delta_flip", recent=recent))
    kinds = {Kind.TRADE: ("ts_ns", "qty", "side")}
    reader = LogReader(store, "synthetic", "BTCUSDT", kinds, to_ns=end)
    rows = [b.columns[Kind.TRADE] for b in reader]
    ts, qty, side = (np.concatenate([r[x] for r in rows]) for x in ("ts_ns", "qty", "side"))
    flow = qty * side
    assert view.cvd == flow.sum() / 1e3
    for back in (1, 7, 100):
        stop = view.chart.end_ns - (back - 1) * 5 * NS
        mine = (ts >= stop - 5 * NS) & (ts < stop)
        assert view.chart.delta[-back] == flow[mine].sum() / 1e3
        assert view.chart.cvd[-back] == flow[ts < stop].sum() / 1e3
    assert view.counts["decision"] == recent.counts["decision"] > 300
    assert view.decision is not None
    assert view.decision.id == recent.counts["decision"]
    assert view.chart.price[-1] == recent.rows["decision"][-1]["price"] / 10


def test_money_put_in_and_what_others_earned_is_no_result_of_a_symbol() -> None:
    """Each fold of a live session knows the whole account; a sum over them counts no money twice"""
    views = []
    for earned in (30, -10):
        fold = blank("delta_flip", "live")
        start = int(fold.params["sim"]["start_balance"][0])
        fold.state["sim"]["balance"] = 5_020 * 10**8
        fold.state["live"]["adjusted"] = (5_020 - earned) * 10**8 - start
        views.append(symbol_view(fold, shown("delta_flip")).account)
    assert [v.net_pnl for v in views] == [30, -10]
    assert [v.balance for v in views] == [5_020, 5_020]


def test_signals_regimes_guards_and_metrics_are_read_in_their_units() -> None:
    fold = blank("scalper")
    s = fold.state
    g = s["pressure"]["signal"]
    g["ready"], g["direction"], g["strength_fp9"] = 1, -1, 250_000_000
    s["regime"]["trend"]["ready"], s["regime"]["trend"]["level"] = 1, 1
    s["market_state"]["state"], s["lifecycle"]["state"] = 2, 7
    s["risk"]["started"], s["risk"]["day_equity"], s["risk"]["kill"] = 1, 5 * 10**8, 1
    s["sim"]["balance"] = 9 * 10**8
    found = symbol_view(fold, shown("scalper"))
    signal = next(x for x in found.signals if x.name == "pressure")
    assert (signal.ready, signal.direction, signal.strength) == (True, -1, 0.25)
    assert list(found.regimes) == ["trend"]
    assert (found.market_state, found.lifecycle) == ("pump", "blocked")
    assert found.account.day_pnl == 4
    assert found.account.halts == ("kill",)
    plans = blank("plan_watch")
    plans.state["metrics"]["known"][0, AT["price"]] = 1
    plans.state["metrics"]["value"][0, AT["price"]] = 279_501
    assert symbol_view(plans, shown("plan_watch")).metrics == {"price": "27950.1"}


def test_a_plan_says_what_it_waits_for() -> None:
    compiled = compile_all(parse_plans(PLAN, "p").sound(), "BTCUSDT", SCALES)
    fold = blank("plan_watch")
    slots = fold.state["plans"]["slots"]
    slots[0, 0] = compiled[0].record[0]
    slots[0, 0]["at_ns"] = T0
    slots[0, 0]["passed"], slots[0, 0]["failed"] = 1, 2
    (plan,) = symbol_view(fold, shown("plan_watch", plans=compiled)).plans
    assert (plan.name, plan.direction, plan.met, plan.passed) == ("dip", "long", False, 1)
    assert len(plan.waits) == 1
    assert plan.waits[0].startswith(compiled[0].words[1])
    assert "wants" in plan.waits[0]


def test_a_position_is_valued_at_what_its_exit_meets() -> None:
    fold = blank("delta_flip")
    sim, sides = fold.state["sim"], fold.state["sides"]
    sides["bid"], sides["ask"] = 1_001, 1_003
    sim["n_positions"], sim["balance"], sim["last_price"] = 1, 100 * 10**8, 1_002
    w = sim["positions"][0, :1]
    w["id"], w["side"], w["qty"], w["cost"] = 3, -1, 2_000, 2_000 * 1_013
    fold.params["sim"]["start_balance"] = 90 * 10**8
    view = symbol_view(fold, shown("delta_flip"))
    (p,) = view.positions
    assert (p.side, p.qty, p.entry_price) == ("short", 2.0, 101.3)
    assert p.pnl == pytest.approx(2 * (101.3 - 100.3))
    assert view.account.equity == pytest.approx(102)
    assert view.account.net_pnl == pytest.approx(12)
    assert view.lifecycle == "in_position"


def test_recent_is_bounded_and_its_sums_survive() -> None:
    recent = Recent()
    rows = np.zeros(1_000, dtype=numpy_dtype(RECORDS["position"]))
    rows["closed_ns"], rows["net_pnl"] = 1, 5
    rows["id"] = np.arange(1_000)
    rows["side"], rows["entry_qty"], rows["entry_notional"] = 1, 2_000, 200 * 10**8
    recent.take("position", rows)
    assert len(recent.rows["position"]) == KEPT["position"]
    again = Recent()
    again.restore(recent.facts())
    assert (again.totals.round_trips, again.totals.wins, again.counts["position"]) == (1000,) * 3
    trades = symbol_view(blank("watch"), shown("watch", recent=recent)).trades
    assert [t.id for t in trades[:2]] == [999, 998]
    assert trades[0].entry_price == 100


def test_an_age_is_session_time() -> None:
    view = symbol_view(blank("watch"), shown("watch"))
    assert age_s(view, T0) == 0
