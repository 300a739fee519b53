"""Regimes: planted ones are told; two thresholds, a least time; what lay in a hole is no past."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from data.events import Kind
from engine.kernel.regime import LEVEL, level_step
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import START, Author, Event, S

BASE = START // (60 * S) * 60 * S
ENTER, LEAVE, DWELL = 900_000_000, 800_000_000, 5


def closes(steps: list[int], qty: list[int] | None = None, spread: list[int] | None = None,
           unit: int = 1) -> list[Event]:  # fmt: skip
    """One trade and twelve books a minute; ``steps`` are the changes of price."""
    a = Author()
    price = 10_000_000
    for n, d in enumerate(steps):
        price += d * unit
        for x in range(12):
            a.now = BASE + n * 60 * S + x * 5 * S + S
            if x == 6:
                a.add(Kind.TRADE, price=price, qty=qty[n] if qty else 100, side=1 if d > 0 else -1)
            if spread is None or spread[n]:
                w = (spread[n] if spread else 2) * unit
                a.add(Kind.DEPTH, bid_price=[price - w], bid_qty=[5], ask_price=[price],
                      ask_qty=[5])  # fmt: skip
    a.now += 6 * S
    a.add(Kind.TRADE, price=price, qty=1, side=1)
    return a.events


def state(events: list[Event]) -> Any:
    return fold_events(probe("regime"), events).fold.state["regime"][0]


def noise(n: int, size: int, seed: int = 1) -> list[int]:
    r = random.Random(seed)
    return [r.choice((-1, 1)) * r.randint(1, size) for _ in range(n)]


def test_planted_volatility() -> None:
    assert int(state(closes([*noise(150, 10), *noise(20, 80)]))["volatility"]["level"]) == 1
    assert int(state(closes([*noise(150, 80), *noise(30, 10)]))["volatility"]["level"]) == -1
    s = state(closes([*noise(150, 10), *noise(20, 80), *noise(120, 10)]))
    assert int(s["volatility"]["level"]) < 1, "it is left again"


@pytest.mark.parametrize("side", [1, -1])
def test_planted_trend(side: int) -> None:
    s = state(closes([*noise(60, 10), *[side * 7] * 16]))
    assert int(s["trend"]["level"]) == int(s["signal"]["direction"]) == side
    assert int(s["signal"]["strength_fp9"]) > 900_000_000
    s = state(closes([*noise(60, 10), *[side * 7] * 16, *[7, -7] * 15]))
    assert int(s["trend"]["level"]) == 0


def test_a_random_walk_is_seldom_a_trend() -> None:
    """Over 15 steps |efficiency| passes .5 in about one of nine looks; with dwell it may stay."""
    out = [state(closes(noise(40, 10, seed)))["trend"]["level"] for seed in range(60)]
    assert np.count_nonzero(out) <= 20
    assert {-1, 1} <= {int(x) for x in out}


def test_planted_volume_and_book() -> None:
    r = random.Random(3)
    quiet = [r.randint(50, 150) for _ in range(150)]
    s = state(closes(noise(160, 10), [*quiet, *[1500] * 10]))
    assert int(s["volume"]["level"]) == 1
    s = state(closes(noise(165, 10), [*quiet, *[1] * 15]))
    assert int(s["volume"]["level"]) == -1
    widths = [r.randint(2, 4) for _ in range(150)]
    assert int(state(closes(noise(160, 10), None, [*widths, *[30] * 10]))["book"]["level"]) == 1
    assert int(state(closes(noise(160, 10), None, [*widths, *[0] * 10]))["book"]["level"]) == 1
    assert int(state(closes(noise(160, 10), None, [*widths, *[1] * 10]))["book"]["level"]) == -1


def test_constants_are_neither_high_nor_low() -> None:
    s = state(closes([0] * 150))
    assert [int(s[n]["level"]) for n in ("volatility", "trend", "volume", "book")] == [0] * 4
    assert [int(s[n]["ready"]) for n in ("volatility", "trend", "volume", "book")] == [1] * 4
    assert int(s["volatility"]["value_fp9"]) == 500_000_000


def test_units_of_price_and_size_do_not_matter() -> None:
    steps = [*noise(150, 10), *noise(20, 80)]
    a = state(closes(steps, [100] * 170))
    b = state(closes(steps, [100 * 10**9] * 170, unit=90))
    for n in ("volatility", "trend", "volume", "book"):
        assert [int(a[n][f]) for f in ("level", "value_fp9", "changes")] == [
            int(b[n][f]) for f in ("level", "value_fp9", "changes")
        ]


def test_huge_numbers_do_not_overflow() -> None:
    s = state(closes([*noise(100, 10)], [10**9] * 100, unit=10**5))
    assert int(s["volatility"]["ready"]) == 1


def test_a_gap_makes_unready_and_its_minutes_are_no_past() -> None:
    events = closes(noise(150, 10))
    cut = len(events) * 4 // 5
    now, back = events[cut - 1]["ts_ns"], 30 * 60 * S
    gap = {"kind": Kind.GAP, "ts_ns": now, "id": 0, "stream": int(Kind.TRADE),
           "from_ns": now - back, "to_ns": now, "filled": 0}  # fmt: skip
    before, after = state(events[:cut]), state([*events[:cut], gap])
    for name in ("volatility", "trend", "volume"):
        assert (int(after[name]["ready"]), int(after[name]["level"])) == (0, 0)
    for name in ("squares", "volumes"):
        assert int(before[name]["have"]) - int(after[name]["have"]) in (30, 31)
    assert int(after["signal"]["ready"]) == 0


def run(values: list[float]) -> list[int]:
    v, out = np.zeros(1, dtype=LEVEL), []
    for x in values:
        level_step(v[0], round(x * 1e9), ENTER, LEAVE, 10**9 - ENTER, 10**9 - LEAVE, DWELL)
        out.append(int(v["level"][0]))
    return out


def test_every_level_is_reached_from_every_other() -> None:
    """Exhaustive: from each level, each value for long enough leads where the table says."""
    starts = {-1: [0.05] * 5, 0: [0.5] * 5, 1: [0.95] * 5}
    for start, way in starts.items():
        for value, want in ((0.95, 1), (0.05, -1), (0.5, 0)):
            assert run([*way, *[value] * 6])[-1] == want, (start, value)
        for value in (0.85, 0.15):  # between the thresholds a level of that side stays
            side = 1 if value > 0.5 else -1
            assert run([*way, *[value] * 6])[-1] == (side if start == side else 0)


def test_two_thresholds_and_a_dwell() -> None:
    assert run([0.95] * 5) == [0, 0, 0, 0, 1], "no level before the dwell is over"
    assert run([0.95] * 5 + [0.85, 0.81] * 4)[5:] == [1] * 8, "above the lower threshold it stays"
    assert run([0.95] * 5 + [0.5] * 6)[5:] == [1, 1, 1, 1, 0, 0], "and at least five closes"
    flips = run([0.91, 0.89] * 50)
    assert sum(a != b for a, b in itertools.pairwise(flips)) == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_agrees_with_its_oracle_when_warm(seed: int) -> None:
    r = random.Random(seed)
    steps = noise(60, 10, seed) + [r.choice((3, 4, -1)) for _ in range(60)] + noise(60, 40, seed)
    events = closes(steps, [r.randint(1, 200) for _ in steps],
                    [r.choice((1, 2, 3, 9, 0)) for _ in steps])  # fmt: skip
    follow("regime", events, market_of("regime"))
