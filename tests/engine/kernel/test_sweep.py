"""Liquidity sweeps: planted on each kind of level, each condition broken in turn, on noise."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from data.events import Kind
from engine.kernel.sweep import LAST_SESSION, PIVOT, ROUND, SESSION
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.minute_tapes import FROM, PRICE, gap, tick
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.kernel.test_symmetry import CENTRE, mirror_sweep, scale_free
from tests.engine.tapes import DAY, MINUTE, Event, S, mirrored, scaled

Print = tuple[int, int, int]
"""(price, quantity, side) of a trade."""
TOP = PRICE + 400
"""The level that quiet minutes leave at minute 60."""


def quiet(n: int, seed: int = 1, top: int = TOP, at: int = 60) -> list[list[Print]]:
    """Minutes that wander 60 around the price, one of which reaches ``top``."""
    r, out = random.Random(seed), []
    for k in range(n):
        prints = [
            (PRICE + r.randint(-60, 60), r.randint(4000, 6000), r.choice((1, -1))) for _ in range(6)
        ]
        if k == at:
            prints[2] = (top, 5000, 1)
        out.append(prints)
    return out


def tape(minutes: list[list[Print]], start: int = FROM) -> list[Event]:
    """The trades of each minute, evenly spaced, and one more so that the last minute closes."""
    out: list[Event] = []
    for n, prints in enumerate(minutes):
        for k, (price, qty, side) in enumerate(prints):
            at = start + n * MINUTE + 5 * S + k * 50 * S // len(prints)
            out.append({"kind": Kind.TRADE, "ts_ns": at, "id": len(out) + 1, "price": price,
                        "qty": qty, "side": side})  # fmt: skip
    end = {**out[-1], "ts_ns": start + len(minutes) * MINUTE, "qty": 1, "side": 1}
    return [*out, end]


def run_through(over: int = 50, close: int = -100, push: int = 40_000, turn: int = 40_000,
                level: int = TOP) -> list[Print]:  # fmt: skip
    """Buyers take a level, sellers give it back within the minute."""
    return [(PRICE + 50, 3000, 1), (level + over, push, 1), (level + close, turn, -1)]


def state(events: list[Event], **changes: str) -> Any:
    settings = {f"sweep.{k}": v for k, v in changes.items()}
    return fold_events(probe("sweep"), events, settings).fold.state["sweep"][0]


def fired(s: Any) -> int:
    return int(s["signal"]["fired"])


def test_planted_at_a_pivot() -> None:
    s = state(tape([*quiet(80), run_through()]))
    g = s["signal"]
    assert (int(g["ready"]), int(g["direction"]), int(g["fired"])) == (1, -1, 1)
    assert [int(s[n]) for n in ("kind", "level", "extreme")] == [PIVOT, TOP, TOP + 50]
    pen, back = int(s["penetration_fp9"]) / 1e9, int(s["reclaim_fp9"]) / 1e9
    assert back == pytest.approx(2 * pen, rel=1e-6)
    assert 0.05 <= pen <= 0.6
    lean = -0.5 + 0.25 * int(g["value_fp9"]) / 1e9 + back - pen
    assert int(g["strength_fp9"]) / 1e9 == pytest.approx(1 / (1 + math.exp(-lean)), rel=1e-6)
    assert int(g["fired_ns"]) == FROM + 81 * MINUTE


@pytest.mark.parametrize("broken", [
    {"over": 2}, {"over": 200},  # barely touched; a breakout
    {"close": 20}, {"close": -1},  # not given back; hardly
    {"push": 3000, "turn": 3000},  # no burst
    {"push": 80_000, "turn": 1000},  # nobody sold
    {"push": 1, "turn": 80_000},  # nobody bought
])  # fmt: skip
def test_each_condition_is_needed(broken: dict[str, int]) -> None:
    assert fired(state(tape([*quiet(80), run_through(**broken)]))) == 0


def test_a_level_must_be_old_enough_and_not_passed_before() -> None:
    young = quiet(80, at=72)
    assert fired(state(tape([*young, run_through()]))) == 0
    assert fired(state(tape([*young, run_through()]), age="8")) == 1
    passed = [*quiet(80), run_through(close=0, push=5000, turn=5000), *quiet(3, 4)]
    assert fired(state(tape([*passed, run_through()]))) == 0


def test_reclaim_within_three_minutes() -> None:
    """A minute above the level, minutes there, then the way back."""
    above = [(TOP + 40, 40_000, 1), (TOP + 30, 3000, 1)]
    back = [(TOP + 30, 3000, 1), (TOP - 100, 60_000, -1)]
    stay = [(TOP + 35, 3000, 1)] * 2
    for waits, fires in ((0, True), (1, True), (2, False)):
        s = state(tape([*quiet(80), above, *[stay] * waits, back]))
        assert fired(s) == fires, waits


def test_the_session_extreme_is_a_level() -> None:
    """At the edge of the data a high is no pivot, but it is the session's."""
    minutes = quiet(80, at=1)
    s = state(tape([*minutes, run_through()]))
    assert (fired(s), int(s["kind"]), int(s["level"])) == (1, SESSION, TOP)


def test_the_last_sessions_extreme_is_a_level() -> None:
    start = FROM // DAY * DAY + DAY - 30 * MINUTE
    s = state(tape([*quiet(80, at=1), run_through()], start))
    assert (fired(s), int(s["kind"]), int(s["level"])) == (1, LAST_SESSION, TOP)


def test_a_round_number_is_a_level() -> None:
    minutes = quiet(80, at=-1)
    level = PRICE + 500
    s = state(tape([*minutes, run_through(level=level)]), round="50")
    assert (fired(s), int(s["kind"]), int(s["level"])) == (1, ROUND, level)
    assert fired(state(tape([*minutes, run_through(level=level)]))) == 0
    off = state(tape([*minutes, run_through(level=level + 10)]), round="50", offset="1")
    assert (fired(off), int(off["level"])) == (1, level + 10)


def test_nothing_across_a_gap_and_not_before_an_hour() -> None:
    events = tape([*quiet(80), run_through()])
    cut = next(k for k, e in enumerate(events) if e["ts_ns"] >= FROM + 75 * MINUTE + 8 * S)
    s = state([*events[:cut], gap(75), *events[cut:]])
    assert (int(s["signal"]["ready"]), fired(s)) == (0, 0)
    assert fired(state(tape([*quiet(55, at=40), run_through()]))) == 0
    assert int(state([*events, gap(81)])["signal"]["direction"]) == 0


def test_it_falls_silent() -> None:
    events = [*tape([*quiet(80), run_through()]), tick(85, PRICE), tick(86, PRICE, 9 * S)]
    s = state(events)
    assert (fired(s), int(s["signal"]["direction"])) == (1, 0)


def test_mirror_and_units_where_it_speaks() -> None:
    events = tape([*quiet(80), run_through()])
    turned = mirrored(events, CENTRE)
    a, b = state(events, round="50"), state(turned, round="50")
    assert (int(a["signal"]["direction"]), int(b["signal"]["direction"])) == (-1, 1)
    mirror_sweep(a, b)
    scale_free(state(events), state(scaled(events, price=1900, qty=10**5)))


@pytest.mark.parametrize("prints", [
    [(PRICE, 1000, 1)], [(PRICE, 1000, 1), (PRICE, 1000, -1)],
    [(PRICE, 1000, 1), (PRICE + 100, 1000, 1), (PRICE, 1000, -1)],
])  # fmt: skip
def test_degenerate_series_say_nothing(prints: list[Print]) -> None:
    assert fired(state(tape([prints] * 150), round="10")) == 0


def walk(n: int, seed: int, calm: float = 0.0) -> list[list[Print]]:
    """A random walk of six prints a minute; ``calm`` draws it back."""
    r, price, out = random.Random(seed), PRICE, []
    for _ in range(n):
        prints = []
        for _ in range(6):
            price += round(r.gauss(0, 40) - calm * (price - PRICE))
            prints.append((price, r.randint(1000, 20_000), r.choice((1, -1))))
        out.append(prints)
    return out


def test_null_rate() -> None:
    """Flow that knows nothing of price sweeps less than once in five hours."""
    looks = count = 0
    for seed in range(8):
        s = state(tape(walk(600, seed, 0.02)))
        looks += 600 - 61
        count += fired(s)
    assert count / looks < 1 / 300, (count, looks)


def test_agrees_with_its_oracle_where_it_speaks() -> None:
    minutes = [*quiet(80), run_through(), *walk(60, 3, 0.05), *quiet(40, 5, at=20), run_through()]
    low = [[(2 * PRICE - p, q, -side) for p, q, side in prints] for prints in minutes]
    for tape_ in (tape(minutes), tape([*minutes, *low])):
        follow("sweep", tape_, market_of("sweep"))


@pytest.mark.parametrize("seed", [9, 10])
def test_agrees_with_its_oracle_on_loose_conditions(seed: int) -> None:
    """Volume and flow ask for nothing, so that levels and closes alone decide: many sweeps."""
    loose = {"burst": "0", "push": "0", "turn": "0", "round": "50"}
    events = tape(walk(400, seed, 0.05), FROM // DAY * DAY + DAY - 200 * MINUTE)
    assert fired(state(events, **loose)) > 5
    where = market_of("sweep", sweep_flow=(0, 0, 0), sweep_round=500)
    follow("sweep", events, where, **{f"sweep__{k}": v for k, v in loose.items()})
