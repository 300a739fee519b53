"""The guards: each refuses alone and alone lets pass; days, halts, streaks and open risk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import Control, MarketState
from engine.kernel import risk
from engine.kernel.core import CORE_PARAMS, KNOWN
from tests.engine.kernel.test_sizing import risk as params
from tests.engine.tapes import DAY, MINUTE, S

FP9 = 10**9
NOON = 20_000 * DAY + DAY // 2
MONEY = 10**12
"""Equity of the scene: 10,000 at 1e-8."""
LIMITS = {
    "heat_trade_fp9": FP9 // 50, "heat_symbol_fp9": FP9 // 25, "heat_total_fp9": FP9 // 16,
    "positions": 1, "daily_loss_fp9": FP9 // 20, "drawdown_fp9": FP9 // 5, "losses": 2,
    "losses_pause_ns": 30 * MINUTE, "spread_fp9": FP9 // 500, "slippage_fp9": FP9 // 1000,
    "latency_ns": 3 * S, "stale_ns": 5 * S, "gap_ns": MINUTE, "min_rr_fp9": 3 * FP9 // 2,
    "notional_min_money": MONEY // 10, "notional_max_money": 2 * MONEY, "qty_max_lots": 900,
    "leverage_fp9": 2 * FP9,
}  # fmt: skip


class Scene:
    """An account, a market and an entry that every guard lets pass: buy 100 at 50,000."""

    def __init__(self, **limits: int) -> None:
        self.p = params(**(LIMITS | limits))
        self.c = np.zeros(1, CORE_PARAMS)
        for name, value in (("money_mul", 10**5), ("money_div", 1), ("qty_step", 10),
                            ("qty_min", 20), ("qty_unit", 1000), ("taker_ppb", 0)):  # fmt: skip
            self.c[name] = value
        self.k = np.zeros(1, KNOWN)
        self.k["balance"] = MONEY
        self.s = np.zeros(1, risk.RISK_STATE)
        for name, value in (("bid", 49_990), ("ask_price", 50_000), ("touch_ns", NOON - S),
                            ("trade_ns", NOON - 2 * S)):  # fmt: skip
            self.s[name] = value
        self.update(NOON)
        self.entry: dict[str, int] = {"direction": 1, "stop": 49_000, "target": 51_500, "qty": 100}
        self.said: dict[str, int] = {}

    def update(self, now: int, bid: int = 49_990, ask: int = 50_000) -> None:
        risk.risk_update(self.s[0], self.p[0], self.c[0], self.k[0], bid, ask, now)

    def know(self, **values: int) -> None:
        for name, value in values.items():
            self.k[name] = value

    def ask(self, now: int = NOON, price: int = 50_000) -> set[str]:
        e = self.entry
        risk.risk_propose(self.s[0], e["direction"], price, e["stop"], e["target"], e["qty"], 0)
        for name, value in self.said.items():
            self.s["ask"][name] = value
        before = self.s["refusals"][0].copy()
        bits = int(risk.risk_check(self.s[0], self.p[0], self.c[0], self.k[0], now))
        names = {name for n, name in enumerate(risk.REFUSALS) if bits >> n & 1}
        assert int(self.s["ask"]["refused"][0]) == bits
        counted = self.s["refusals"][0] - before
        assert counted.tolist() == [bits >> n & 1 for n in range(len(risk.REFUSALS))]
        return names


def set_(scene: Scene, **values: int) -> None:
    for name, value in values.items():
        scene.s[name] = value


REFUSE: dict[str, tuple[Any, dict[str, int]]] = {
    # what makes the guard refuse by itself, and the setting that switches it off (0)
    "daily_loss": (lambda x: set_(x, daily_halt=1), {}),
    "drawdown": (lambda x: set_(x, drawdown_halt=1), {}),
    "heat_trade": (lambda x: x.entry.update(qty=210), {"heat_trade_fp9": 0}),
    "heat_symbol": (lambda x: set_(x, open_risk=MONEY * 31 // 1000), {"heat_symbol_fp9": 0}),
    "heat_total": (
        lambda x: x.s["ask"].__setitem__("other_heat", MONEY // 16), {"heat_total_fp9": 0}),
    "positions": (lambda x: x.s["ask"].__setitem__("other_positions", 1), {"positions": 0}),
    "cooldown": (lambda x: set_(x, pause_until_ns=NOON + 1), {}),
    "spread": (lambda x: set_(x, bid=49_890), {"spread_fp9": 0}),
    "slippage": (lambda x: x.said.update(slip=51), {"slippage_fp9": 0}),
    "latency": (
        lambda x: set_(x, trade_ns=NOON - 4 * S, touch_ns=NOON - 3 * S - 1), {"latency_ns": 0}),
    "stale": (lambda x: set_(x, touch_ns=NOON - 5 * S - 1), {"stale_ns": 0}),
    "market_state": (lambda x: x.said.update(market=int(MarketState.PUMP)), {}),
    "gap": (lambda x: set_(x, gap_ns=NOON - MINUTE + 1), {"gap_ns": 0}),
    "rr": (lambda x: x.entry.update(target=51_499), {"min_rr_fp9": 0}),
    "size": (lambda x: x.entry.update(qty=101), {}),
    "notional": (lambda x: x.p.__setitem__("notional_max_money", 50_000 * 10**7 - 1),
                 {"notional_max_money": 0}),
    "kill": (lambda x: risk.risk_control(x.s[0], int(Control.STOP)), {}),
    "expectancy": (lambda x: x.said.update(fitted=1, lower_fp9=5, needed_fp9=5), {}),
}  # fmt: skip
PASS: dict[str, Any] = {
    # on the very edge, every guard lets pass
    "heat_trade": lambda x: x.entry.update(qty=200),
    "heat_symbol": lambda x: set_(x, open_risk=MONEY * 3 // 100),
    "heat_total": lambda x: x.s["ask"].__setitem__("other_heat", MONEY // 16 - MONEY // 100),
    "cooldown": lambda x: set_(x, pause_until_ns=NOON),
    "spread": lambda x: set_(x, bid=49_901),
    "slippage": lambda x: x.said.update(slip=50),
    "latency": lambda x: set_(x, trade_ns=NOON - 4 * S, touch_ns=NOON - 3 * S),
    "stale": lambda x: set_(x, touch_ns=NOON - 5 * S),
    "gap": lambda x: set_(x, gap_ns=NOON - MINUTE),
    "rr": lambda x: x.entry.update(target=0),
    "size": lambda x: x.entry.update(qty=20),
    "notional": lambda x: x.p.__setitem__("notional_max_money", 50_000 * 10**7),
    "kill": lambda x: (risk.risk_control(x.s[0], 4), risk.risk_control(x.s[0], 2)),
    "expectancy": lambda x: x.said.update(fitted=1, lower_fp9=6, needed_fp9=5),
}


def test_the_scene_passes_and_every_guard_is_here() -> None:
    assert Scene().ask() == set()
    assert tuple(REFUSE) == risk.REFUSALS
    assert len(risk.REFUSALS) < 63


@pytest.mark.parametrize("name", REFUSE)
def test_each_guard_refuses_alone(name: str) -> None:
    act, off = REFUSE[name]
    scene = Scene()
    act(scene)
    assert scene.ask() == {name}
    if off:
        scene = Scene(**off)
        act(scene)
        scene.p[next(iter(off))] = 0
        assert scene.ask() == set(), "its setting switches it off"


@pytest.mark.parametrize("name", PASS)
def test_each_guard_lets_pass_at_its_edge(name: str) -> None:
    scene = Scene()
    PASS[name](scene)
    assert scene.ask() == set()


@pytest.mark.parametrize(
    ("act", "names"),
    [
        (lambda x: set_(x, bid=0, ask_price=0, touch_ns=0), {"spread", "stale"}),
        (lambda x: set_(x, bid=50_001), {"spread"}),
        (lambda x: x.said.update(slip=-1), {"slippage"}),
        (lambda x: x.entry.update(qty=0), {"size", "notional"}),
        (lambda x: x.entry.update(qty=10), {"size", "notional"}),
        (lambda x: x.entry.update(stop=50_001), {"rr"}),
        (lambda x: x.entry.update(stop=50_000), {"rr"}),
        (lambda x: x.entry.update(target=49_999), {"rr"}),
        (lambda x: x.entry.update(direction=-1), {"rr"}),
        (lambda x: x.entry.update(stop=0), {"rr", "heat_trade", "heat_symbol", "heat_total"}),
        (lambda x: x.said.update(min_rr_fp9=2 * FP9), {"rr"}),
        (lambda x: x.know(open_orders=1), {"positions"}),
        (lambda x: x.know(qty=-5), {"positions"}),
        (lambda x: x.said.update(market=int(MarketState.COOLDOWN)), {"market_state"}),
        (lambda x: set_(x, paused=1), {"kill"}),
        (lambda x: set_(x, equity=1), {"heat_trade", "heat_symbol", "heat_total", "notional"}),
        (lambda x: set_(x, equity=0), {"heat_trade", "heat_symbol", "heat_total", "notional"}),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_refuses(act: Any, names: set[str]) -> None:
    scene = Scene()
    act(scene)
    assert scene.ask() == names


def test_a_log_without_a_touch_may_be_traded_on_where_that_is_asked_for() -> None:
    scene = Scene(blind=risk.BLIND_ALLOW)
    set_(scene, bid=0, ask_price=0, touch_ns=0)
    scene.said["slip"] = -1
    assert scene.ask() == set()
    set_(scene, touch_ns=NOON - S)
    assert scene.ask() == {"spread", "slippage"}, "it has one, but not now"


def test_the_market_that_calms_down_may_be_let_in() -> None:
    for market in MarketState:
        scene = Scene(market=risk.MARKET_TRADABLE)
        scene.said["market"] = int(market)
        free = market in (MarketState.NORMAL, MarketState.COOLDOWN)
        assert scene.ask() == (set() if free else {"market_state"})


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(-50, 3000), st.integers(1, 99), st.integers(0, 120))
def test_a_short_is_judged_as_its_mirrored_long(lose: int, gain: int, tens: int, slip: int) -> None:
    seen = []
    for side in (1, -1):
        scene = Scene()
        scene.entry = {"direction": side, "stop": 50_000 - side * lose,
                       "target": 50_000 + side * gain, "qty": 10 * tens}  # fmt: skip
        scene.said["slip"] = slip
        seen.append((scene.ask(), int(scene.s["ask"]["risk"][0])))
    assert seen[0] == seen[1]


def test_numbers_beyond_all_bounds_refuse_and_never_wrap() -> None:
    scene = Scene()
    scene.entry = {"direction": 1, "stop": 1, "target": 2 * 10**9, "qty": 10**12}
    names = scene.ask(price=10**9)
    assert {"heat_trade", "heat_symbol", "heat_total", "size", "notional"} <= names
    assert int(scene.s["ask"]["risk"][0]) > 0


# --- the account -----------------------------------------------------------------------------


def test_a_day_halts_once_and_the_next_day_begins_anew() -> None:
    x = Scene()
    x.know(balance=MONEY * 95 // 100 + 1)
    x.update(NOON + S)
    assert (int(x.s["daily_halt"][0]), int(x.s["halts"][0])) == (0, 0)
    x.know(balance=MONEY * 95 // 100)
    x.update(NOON + 2 * S)
    assert (int(x.s["daily_halt"][0]), int(x.s["halts"][0])) == (1, 1)
    assert risk.risk_closes(x.s[0], x.p[0])
    x.know(balance=MONEY)  # it came back: the day is over all the same
    risk.risk_control(x.s[0], int(Control.RESUME))
    x.update(20_001 * DAY - 1)
    assert x.ask() == {"daily_loss"}
    x.know(balance=MONEY * 9 // 10)
    x.update(20_001 * DAY)
    assert int(x.s["day_equity"][0]) == MONEY * 9 // 10
    assert x.ask() == set()
    assert not risk.risk_closes(x.s[0], x.p[0])


def test_an_open_loss_halts_too_at_the_touch_it_would_leave_at() -> None:
    for side, touch in ((1, (49_500, 49_510)), (-1, (50_490, 50_500))):
        x = Scene(on_halt=risk.HOLD)
        x.know(qty=side * 1000, entry_price=50_000, position_id=1)
        x.update(NOON + S, *(a + side for a in touch))
        assert int(x.s["daily_halt"][0]) == 0
        x.update(NOON + 2 * S, *touch)
        assert int(x.s["equity"][0]) == MONEY - MONEY // 20
        assert int(x.s["daily_halt"][0]) == 1
        assert not risk.risk_closes(x.s[0], x.p[0]), "hold"


def test_a_drawdown_halts_until_the_operator_resumes() -> None:
    x = Scene(daily_loss_fp9=0)
    for n, share in enumerate((100, 120, 97), 1):
        x.know(balance=MONEY * share // 100)
        x.update(NOON + n * DAY)
    assert int(x.s["drawdown_halt"][0]) == 0
    x.know(balance=MONEY * 96 // 100)
    x.update(NOON + 4 * DAY)
    assert (int(x.s["drawdown_halt"][0]), int(x.s["peak"][0])) == (1, MONEY * 12 // 10)
    assert risk.risk_closes(x.s[0], x.p[0])
    x.know(balance=MONEY * 2)
    x.update(NOON + 5 * DAY)
    assert int(x.s["drawdown_halt"][0]) == 1
    x.know(balance=MONEY)
    x.update(NOON + 6 * DAY)
    risk.risk_control(x.s[0], int(Control.RESUME))
    x.update(NOON + 6 * DAY + S)
    assert (int(x.s["drawdown_halt"][0]), int(x.s["peak"][0])) == (0, MONEY)


def test_a_day_that_goes_back_is_the_same_day() -> None:
    """A clock set back at midnight must not begin a day twice."""
    x = Scene()
    x.p["zone_n"] = 2
    x.p["zone_from_ns"][0, :2] = -(1 << 62), 20_001 * DAY
    x.p["zone_offset_ns"][0, :2] = 0, -3600 * S
    x.update(20_001 * DAY - 1)
    x.know(balance=MONEY * 9 // 10)
    for at, halted in ((20_001 * DAY, 1), (20_001 * DAY + 3600 * S - 1, 1),
                       (20_001 * DAY + 3600 * S, 0)):  # fmt: skip
        x.update(at)
        assert int(x.s["daily_halt"][0]) == halted


def trade(x: Scene, now: int, result: int) -> None:
    """A round trip whose fee is paid on the way in."""
    closed, balance = int(x.k["closed_positions"][0]), int(x.k["balance"][0])
    x.know(open_orders=1)
    x.update(now)
    x.know(open_orders=0, qty=100, entry_price=50_000, balance=balance - 7)
    x.update(now + S)
    x.know(qty=0, balance=balance + result, closed_positions=closed + 1)
    x.update(now + 2 * S)


def test_losses_in_a_row_make_a_pause() -> None:
    x = Scene()
    for n, (result, row) in enumerate(((-5, 1), (3, 0), (-1, 1), (0, 0), (-1, 1), (-1, 2))):
        assert x.ask(NOON + n * 60 * S - S) - {"latency", "stale"} == set()
        trade(x, NOON + n * 60 * S, result)
        assert int(x.s["losses"][0]) == row
    end = NOON + 5 * 60 * S + 2 * S + 30 * MINUTE
    assert int(x.s["pause_until_ns"][0]) == end
    assert x.ask(end - 1) - {"latency", "stale"} == {"cooldown"}
    assert x.ask(end) - {"latency", "stale"} == set()
    trade(x, end, -1)
    assert int(x.s["pause_until_ns"][0]) == end + 2 * S + 30 * MINUTE, "and the next one again"


def test_open_risk_follows_the_stop() -> None:
    x = Scene()
    x.c["taker_ppb"] = 10**6  # a thousandth: 50 at the entry, 51 a thousand farther away
    assert x.ask() == set()
    risk.risk_accept(x.s[0])
    asked = int(x.s["ask"]["risk"][0])
    assert asked == (1000 + 50 + 51) * 100 * 10**5
    x.know(open_orders=1)
    x.update(NOON + S)
    assert int(x.s["open_risk"][0]) == asked
    for side in (1, -1):
        x.know(open_orders=0, qty=side * 100, entry_price=50_000)
        for stop, units in ((1000, 1000 + 51), (100, 100 + 51), (0, 50), (-30, 21), (-500, 0)):
            risk.risk_moved(x.s[0], 50_000 - side * stop)
            x.update(NOON + 2 * S)
            assert int(x.s["open_risk"][0]) == units * 100 * 10**5
    risk.risk_moved(x.s[0], 0)
    x.update(NOON + 3 * S)
    assert int(x.s["open_risk"][0]) == (50_000 + 100) * 100 * 10**5, "no stop: all of it"
    x.know(qty=0)
    x.update(NOON + 4 * S)
    assert [int(x.s[n][0]) for n in ("open_risk", "stop", "accepted")] == [0, 0, 0]


def test_what_the_decision_keeps() -> None:
    from data.events import DECISION_DTYPE

    x = Scene()
    x.entry["qty"] = 101
    x.said["needed_fp9"] = 5
    x.ask()
    d = np.zeros(1, DECISION_DTYPE)
    risk.risk_note(x.s[0], d[0])
    want = {"refused": 1 << risk.REFUSALS.index("size"), "qty": 101, "stop": 49_000,
            "target": 51_500, "risk": 101 * 1000 * 10**5, "needed_fp9": 5}  # fmt: skip
    assert {name: int(d[name][0]) for name in want} == want


acts = st.lists(
    st.tuples(
        st.sampled_from(["result", "result", "result", "open", "resume", "stop", "hours"]),
        st.integers(-6, 5),
    ),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(acts)
def test_the_account_against_a_diary(plot: list[tuple[str, int]]) -> None:
    """Every rule again, as one who keeps a diary of equities would tell it."""
    x = Scene()
    now, closed, kill = NOON, 0, False
    diary = [(now, MONEY)]  # since the start, or since the last resume of a drawdown
    days = {now // DAY: MONEY}
    halted_day, halted, streak = -1, False, 0
    for act, size in plot:
        now += 7 * S
        balance = int(x.k["balance"][0])
        opened = 0
        if act == "result":
            closed += 1
            x.know(balance=balance + size * MONEY // 100, closed_positions=closed)
            streak = streak + 1 if size < 0 else 0
        elif act == "open":
            opened = size * 500 * 1000 * 10**5 // 10
        elif act == "hours":
            now += abs(size) * DAY // 4
        elif act == "resume":
            risk.risk_control(x.s[0], int(Control.RESUME))
            kill = False
            if halted:
                diary, halted = [diary[-1]], False
        else:
            risk.risk_control(x.s[0], int(Control.STOP))
            kill = True
        x.know(qty=100 if act == "open" else 0, entry_price=50_000 if act == "open" else 0)
        bid = 50_000 + opened // (100 * 10**5)
        x.update(now, bid, bid + 10)
        equity = int(x.k["balance"][0]) + opened
        diary.append((now, equity))
        today = now // DAY
        days.setdefault(today, equity)
        lost = days[today] - equity
        if lost > 0 and lost * 20 >= days[today]:
            halted_day = today
        peak = max(e for _, e in diary)
        halted = halted or (peak - equity) * 5 >= peak
        have = {n: int(x.s[n][0]) for n in ("equity", "day_equity", "peak", "daily_halt",
                                            "drawdown_halt", "kill", "losses")}  # fmt: skip
        assert have == {
            "equity": equity, "day_equity": days[today], "peak": peak,
            "daily_halt": int(halted_day == today), "drawdown_halt": int(halted),
            "kill": int(kill), "losses": streak,
        }  # fmt: skip
