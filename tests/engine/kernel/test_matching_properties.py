"""What must hold for every tape: conservation, cuts, knowledge, mirrors, causes, equal runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import FillReason, Liquidity, OrderState, OrderType
from engine.kernel.outputs import FILLS_MAX, HEADROOM
from tests.engine.kernel.matching_digest import digest
from tests.engine.kernel.matching_driver import BASE, BOUNDARY, CLOCK, Sim
from tests.engine.kernel.matching_tapes import MID, markets, params, play

ROOT = Path(__file__).parents[3]
FREE = {"taker_ppb": 0, "maker_ppb": 0, "margin_ppb": 0, "stop_out_ppb": 0}


def run(chosen: dict[str, int], tape: list[Any], kind: type[Sim] = Sim) -> Sim:
    sim = kind(**chosen)
    play(tape, sim)
    return sim


# --- conservation ----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(params, markets)
def test_quantities_money_and_rows_add_up(chosen, tape):
    sim = run(chosen, tape)
    orders, fills, positions = (sim.table(t) for t in ("orders", "fills", "positions"))
    filled: dict[int, int] = defaultdict(int)
    for f in fills:
        filled[f["order_id"]] += f["qty"]
    assert len({o["id"] for o in orders}) == len(orders) == int(sim.s.order_id)
    for o in orders:
        assert o["filled_qty"] == filled[o["id"]]
        assert (o["state"] == OrderState.FILLED) == (o["filled_qty"] == o["qty"])
        if o["state"] == OrderState.REJECTED:
            assert o["filled_qty"] == 0
            assert o["reason"] != 0
    net = sum(f["side"] * f["qty"] for f in fills)
    assert int(sim.s.net_qty) == net
    assert net == sum(w["side"] * (w["entry_qty"] - w["exit_qty"]) for w in positions)
    gross, fees = sum(f["pnl"] for f in fills), sum(f["fee"] for f in fills)
    assert int(sim.s.balance) == int(sim.p.start_balance) + gross - fees
    assert gross == sum(w["gross_pnl"] for w in positions)
    assert fees == sum(w["fees"] for w in positions)
    assert [f["id"] for f in fills] == list(range(1, len(fills) + 1))
    assert int(sim.out.lost) == 0
    assert sim.violations[:2] == [0, 0]


@settings(max_examples=100, deadline=None)
@given(params, markets)
def test_a_closed_position_is_the_sum_of_its_fills(chosen, tape):
    sim = run({**chosen, "mul": 10_000, "div": 1}, tape)
    by_position: dict[int, list[dict[str, int]]] = defaultdict(list)
    for f in sim.table("fills"):
        by_position[f["position_id"]].append(f)
    for w in sim.table("positions"):
        exits = [f for f in by_position[w["id"]] if f["side"] != w["side"]]
        entries = [f for f in by_position[w["id"]] if f["side"] == w["side"]]
        assert w["entry_qty"] == sum(f["qty"] for f in entries)
        assert w["entry_notional"] == 10_000 * sum(f["qty"] * f["price"] for f in entries)
        if w["closed_ns"]:
            assert w["exit_qty"] == w["entry_qty"]
            assert w["gross_pnl"] == w["side"] * (w["exit_notional"] - w["entry_notional"])
            assert w["closed_ns"] == exits[-1]["ts_ns"]


@settings(max_examples=100, deadline=None)
@given(params, markets)
def test_time_never_goes_back_in_any_table(chosen, tape):
    sim = run(chosen, tape)
    for table, column in (("fills", "ts_ns"), ("equity", "ts_ns"), ("fills", "known_ns")):
        times = [row[column] for row in sim.table(table)]
        assert times == sorted(times), (table, column)
    ended = (OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED)
    times = [o["done_ns"] for o in sim.table("orders") if o["state"] in ended]
    assert times == sorted(times)


# --- cuts ------------------------------------------------------------------------------------


class Cut(Sim):
    """Gives every run of trades one by one."""

    def trades(self, rows: Any, cuts: Any = ()) -> int:
        return super().trades(rows, range(1, len(rows)))


@settings(max_examples=150, deadline=None)
@given(params, markets)
def test_cutting_runs_changes_nothing(chosen, tape):
    whole, cut = run(chosen, tape), run(chosen, tape, Cut)
    assert whole.rows == cut.rows
    assert whole.state.tobytes() == cut.state.tobytes()


@settings(max_examples=50, deadline=None)
@given(params, markets, st.integers(0, 10**6))
def test_a_snapshot_of_the_state_goes_on_as_if_nothing_had_been(chosen, tape, cut):
    """The state is its bytes: moved into another record in mid-tape, it gives the same rest."""
    straight = run(chosen, tape)

    class Moved(Sim):
        calls = 0

        def _play(self, op: int, *args: int) -> int:
            self.calls += 1
            if self.calls == cut % 20:
                old = self.state.tobytes()
                fresh = Sim(**chosen)
                self.state, self.s = fresh.state, fresh.s
                self.state.view("u1")[:] = list(old)
            return super()._play(op, *args)

    assert run(chosen, tape, Moved).rows == straight.rows


def test_a_full_output_stops_the_run_before_anything_is_lost():
    sim = Sim()
    for k in range(3):
        sim.order(1000, 1, 5, 100 - k)
    rows = [(2000 + k, k + 1, 101 - k, 1, -1) for k in range(5)]
    sim.output[0]["n_fills"] = FILLS_MAX - HEADROOM + 1
    assert sim.trades(rows[:2]) == 0  # the requests are due: nothing may happen yet
    sim.output[0]["n_fills"] = 0
    free = Sim()
    for k in range(3):
        free.order(1000, 1, 5, 100 - k)
    assert sim.trades(rows) == free.trades(rows) == 5
    assert sim.rows == free.rows
    assert sim.state.tobytes() == free.state.tobytes()


# --- knowledge -------------------------------------------------------------------------------


class Knower(Sim):
    """Checks, each time the strategy may look, that it knows what it can know and no more."""

    def _play(self, op: int, *args: int) -> int:
        answer = super()._play(op, *args)
        if op in (CLOCK, BOUNDARY):
            known = [f for f in self.table("fills") if f["known_ns"] <= args[0]]
            assert int(self.s.known_qty) == sum(f["side"] * f["qty"] for f in known)
            result = sum(f["pnl"] - f["fee"] for f in known)
            assert int(self.s.known_balance) == int(self.p.start_balance) + result
            closed = [w for w in self.table("positions") if w["closed_ns"]]
            latency = int(self.p.response_latency_ns)
            ends = [w for w in closed if w["closed_ns"] + latency <= args[0]]
            assert int(self.s.closed_positions) == len(ends)
            assert int(self.s.last_exit_reason) == (ends[-1]["exit_reason"] if ends else 0)
        return answer


@settings(max_examples=100, deadline=None)
@given(params, markets)
def test_the_strategy_knows_exactly_what_had_time_to_arrive(chosen, tape):
    run(chosen, tape, Knower)


def test_more_reports_than_the_line_holds_are_known_later_never_earlier():
    sim = Sim(response_latency_ns=10_000)
    sim.depth(1000, 1, [(100, 0)], [(101, 5)])
    sim.order(1000, 1, 100, 100)
    for k in range(80):
        sim.trade(2000 + k, 2 + k, 100, 1, -1)
    for now in range(12_000, 12_100):
        sim.clock(now)
        had_time = min(80, now - 12_000 + 1)
        assert int(sim.s.known_qty) <= had_time
    assert int(sim.s.known_qty) == 80
    assert int(sim.s.reports_merged) > 0


# --- mirrors ---------------------------------------------------------------------------------


def mirror_price(price: int) -> int:
    return 2 * MID - price if price else 0


def mirror(op: tuple[Any, ...]) -> tuple[Any, ...]:
    what, *a = op
    if what == "trades":
        return what, [(step, mirror_price(p), q, -side) for step, p, q, side in a[0]]
    if what == "depth":
        return what, *([(mirror_price(p), q) for p, q in side] for side in (a[1], a[0]))
    if what == "quote":
        return what, mirror_price(a[2]), a[3], mirror_price(a[0]), a[1]
    if what == "bar":
        length, open_, high, low, close = a
        return what, length, *map(mirror_price, (open_, low, high, close))
    if what == "submit":
        kind, side, qty, price, stop, target, *rest = a
        return what, kind, -side, qty, *map(mirror_price, (price, stop, target)), *rest
    if what == "move":
        return what, a[0], mirror_price(a[1])
    return op


@settings(max_examples=150, deadline=None)
@given(params, markets)
def test_a_mirrored_market_gives_mirrored_fills_and_the_same_result(chosen, tape):
    chosen = {**chosen, **FREE}
    sim, twin = run(chosen, tape), run(chosen, [(step, mirror(op)) for step, op in tape])
    for name in ("fills", "orders"):
        for a, b in zip(sim.table(name), twin.table(name), strict=True):
            a["side"], a["price"] = -a["side"], mirror_price(a["price"])
            a["bid"], a["ask"] = mirror_price(a["ask"]), mirror_price(a["bid"])
            assert a == b
    for a, b in zip(sim.table("equity"), twin.table("equity"), strict=True):
        a["position"] = -a["position"]
        assert a == b
    assert int(sim.s.balance) == int(twin.s.balance)
    assert int(sim.s.known_qty) == -int(twin.s.known_qty)
    assert int(sim.s.known_entry_price) == mirror_price(int(twin.s.known_entry_price))


# --- causes ----------------------------------------------------------------------------------


class Witness(Sim):
    """Remembers every market event by its id."""

    def __init__(self, **chosen: int) -> None:
        super().__init__(**chosen)
        self.seen: dict[int, dict[str, Any]] = {}

    def trades(self, rows: Any, cuts: Any = ()) -> int:
        for ts, id_, price, qty, side in rows:
            self.seen[id_] = {"ts": ts, "bid": price, "ask": price, "qty": qty, "side": side}
        return super().trades(rows, cuts)

    def depth(self, ts: int, id_: int, bids: Any, asks: Any) -> None:
        bid, ask = (side[0][0] if side else 0 for side in (bids, asks))
        levels = {p for p, _ in [*bids, *asks]}
        self.seen[id_] = {"ts": ts, "bid": bid, "ask": ask, "levels": levels}
        super().depth(ts, id_, bids, asks)

    def quote(self, ts: int, id_: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> None:
        self.seen[id_] = {"ts": ts, "bid": bid, "ask": ask}
        super().quote(ts, id_, bid, bid_qty, ask, ask_qty)

    def bar(self, *args: int) -> None:
        ts, id_, open_ns, _, high, low, close = args
        self.seen[id_] = {"ts": ts, "bid": low, "ask": high, "close": close, "open_ns": open_ns}
        super().bar(*args)


def check_maker(f: dict[str, int], o: dict[str, int], e: dict[str, Any], side: int) -> None:
    """A resting order or a target: at its own price, and the event went there or beyond."""
    assert f["price"] == o["price"]
    reach = e["ask"] if side > 0 else e["bid"]
    if f["reason"] in (FillReason.LIMIT_BAR, FillReason.TARGET_BAR):
        reach = e["bid"] if side > 0 else e["ask"]
    strict = (FillReason.TRADE_THROUGH, FillReason.TARGET_TRADE, FillReason.LIMIT_BAR,
              FillReason.TARGET_BAR)  # fmt: skip
    if f["reason"] in strict:
        assert side * reach < side * f["price"]
    elif f["reason"] == FillReason.QUEUE:
        assert reach == f["price"]
        assert e["side"] == -side
    else:
        assert side * reach <= side * f["price"]


def check_taker(
    f: dict[str, int], o: dict[str, int], e: dict[str, Any], p: Any, quoted: bool
) -> None:
    """A taker never does better than the event shows, and on a book only at its levels."""
    side, price = f["side"], f["price"]
    shown = e["ask"] if side > 0 else e["bid"]
    if "close" in e and f["reason"] == FillReason.LAST_PRICE:
        shown = e["close"]
    if "close" in e and f["reason"] in (FillReason.STOP_BAR, FillReason.STOP_OUT):
        shown = e["bid"] if side > 0 else e["ask"]
    assert shown == 0 or side * price >= side * shown
    if f["reason"] == FillReason.BOOK_WALK and "levels" in e and not quoted:
        assert price in e["levels"]
    worst = int(p.half_spread + p.slippage)
    if f["reason"] == FillReason.LAST_PRICE and o["price"] == 0:
        assert price == shown + side * worst
    if f["reason"] == FillReason.QUOTE_TOUCH and o["price"] == 0:
        assert price == shown + side * int(p.slippage)


@settings(max_examples=200, deadline=None)
@given(params, markets)
def test_every_fill_is_explained_by_its_cause(chosen, tape):
    sim = run(chosen, tape, Witness)
    orders = {o["id"]: o for o in sim.table("orders")}
    served: dict[int, int] = defaultdict(int)
    quoted = any(op[0] == "quote" for _, op in tape)
    for f in sim.table("fills"):
        o, e = orders[f["order_id"]], sim.seen[f["cause_id"]]
        assert f["side"] == o["side"]
        assert e["ts"] == f["cause_ts_ns"] <= f["ts_ns"]
        assert f["ts_ns"] >= o["active_ns"] > 0
        assert f["known_ns"] == f["ts_ns"] + int(sim.p.response_latency_ns)
        assert f["model"] == 10 + int(sim.p.queue_model)
        own = o["type"] in (OrderType.MARKET, OrderType.LIMIT) and o["decision_id"] > 0
        assert f["latency_ns"] == (int(sim.p.order_latency_ns) if own else 0)
        if own:
            assert o["active_ns"] >= o["ts_ns"] + int(sim.p.order_latency_ns)
        if f["liquidity"] == Liquidity.MAKER:
            assert f["cause_ts_ns"] >= o["active_ns"] or not own
            check_maker(f, o, e, f["side"])
        else:
            check_taker(f, o, e, sim.p, quoted)
        if f["reason"] == FillReason.QUEUE:
            served[f["cause_id"]] += f["qty"]
    for id_, qty in served.items():
        assert qty <= sim.seen[id_]["qty"]


# --- equal runs ------------------------------------------------------------------------------


def digest_of_process(**env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.kernel.matching_digest"],
        cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True,
        encoding="utf-8", check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize(
    "env",
    [{"NUMBA_DISABLE_JIT": "1"}, {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "4711"}],
    ids=["without jit", "hash seed 1", "hash seed 4711"],
)
def test_every_process_gives_the_same_digest(env):
    assert digest_of_process(**env) == digest()


def test_the_digest_sees_a_difference():
    assert digest(seeds=range(3)) != digest(seeds=range(1, 4))


def test_costs_of_nothing_are_the_default_of_the_driver():
    assert {k: v for k, v in BASE.items() if k in FREE} == FREE
