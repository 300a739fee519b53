"""Replenishment: more traded than ever shown, at a level that survives; and what is not that."""

from __future__ import annotations

import random
from typing import Any

import pytest

from data.events import Kind
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import MS, START, Author, Event, S

BASE = START // (5 * S) * 5 * S
MID = 50_000


def tape(hits: dict[int, tuple[int, int, int]], moved: dict[int, int] | None = None,
         steps: int = 40, shown: int = 1000) -> list[Event]:  # fmt: skip
    """A book every half second. ``hits``: a trade (offset from its touch, quantity, side) by step;
    ``moved``: ticks by which the book stands off at that step."""
    a = Author()
    for n in range(steps):
        at = MID + (moved or {}).get(n, 0)
        a.now = BASE + n * 500 * MS + 1
        a.add(Kind.DEPTH, bid_price=[at - x for x in range(5)], bid_qty=[shown] * 5,
              ask_price=[at + 1 + x for x in range(5)], ask_qty=[shown] * 5)  # fmt: skip
        if n in hits:
            offset, qty, side = hits[n]
            a.now += MS
            touch = MID if side < 0 else MID + 1
            a.add(Kind.TRADE, price=touch + offset, qty=qty, side=side)
    return a.events


def directions(result: Any) -> list[int]:
    """The direction at each decision: the probe adds it to 3 * ready and the strength."""
    rows = result.sink.rows("decision")["book_fp9"].tolist()
    return [1 if x > 10 and x % 10 == 4 else -1 if x > 10 and x % 10 == 2 else 0 for x in rows]


@pytest.mark.parametrize("side", [1, -1])
def test_three_times_what_was_shown_is_told_against_the_aggressor(side: int) -> None:
    hits = dict.fromkeys(range(1, 7), (0, 500, -side))
    out = directions(fold_events(probe("replenish"), tape(hits)))
    assert out[0] == side
    assert set(out) == {side}, "it speaks for half a minute while the level stands"
    hits.pop(3)
    assert set(directions(fold_events(probe("replenish"), tape(hits)))) == {0}, "2.5 is not enough"


def test_other_prices_and_sides_do_not_count() -> None:
    for hit in ((-1, 9000, -1), (1, 9000, 1), (1, 9000, -1)):
        assert set(directions(fold_events(probe("replenish"), tape({2: hit})))) == {0}


def test_a_level_that_breaks_is_silent_and_one_that_broke_never_speaks() -> None:
    hits = dict.fromkeys(range(1, 7), (0, 500, -1))
    out = directions(fold_events(probe("replenish"), tape(hits, dict.fromkeys(range(20, 40), -1))))
    assert out[:2] == [1, 1]
    assert set(out[2:]) == {0}
    out = directions(fold_events(probe("replenish"), tape(hits, dict.fromkeys(range(8, 40), -1))))
    assert set(out) == {0}


def test_a_better_price_for_a_moment_keeps_the_count() -> None:
    hits = dict.fromkeys((1, 2, 3, 12, 13, 14), (0, 500, -1))
    out = directions(fold_events(probe("replenish"), tape(hits, dict.fromkeys(range(5, 9), 1))))
    assert out[1] == 1
    away = dict.fromkeys(range(5, 12), 1)
    events = tape(hits, away)
    assert 1 not in directions(fold_events(probe("replenish"), events, {"replenish.away": "1s"}))


def test_both_sides_alike_say_nothing() -> None:
    hits = {n: (0, 1000, -1 if n % 2 else 1) for n in range(1, 9)}
    assert set(directions(fold_events(probe("replenish"), tape(hits)))) == {0}


@pytest.mark.parametrize("stream", [Kind.TRADE, Kind.DEPTH])
def test_nothing_is_added_up_over_a_gap(stream: Kind) -> None:
    events = tape(dict.fromkeys(range(1, 7), (0, 500, -1)))
    at = events[8]["ts_ns"]
    gap = {"kind": Kind.GAP, "ts_ns": at, "id": 0, "stream": int(stream), "from_ns": at,
           "to_ns": at, "filled": 0}  # fmt: skip
    assert 1 not in directions(fold_events(probe("replenish"), [*events[:9], gap, *events[9:]]))


def test_a_level_of_next_to_nothing_is_no_iceberg() -> None:
    events = tape(dict.fromkeys(range(1, 7), (0, 500, -1)))
    for e in events:
        if e["kind"] == Kind.DEPTH:
            e["bid_qty"] = [1, *[9000] * 4]
    assert set(directions(fold_events(probe("replenish"), events))) == {0}


def test_huge_quantities() -> None:
    hits = dict.fromkeys(range(1, 7), (0, 500 * 10**9, -1))
    assert set(directions(fold_events(probe("replenish"), tape(hits, shown=10**12)))) == {1}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_agrees_with_its_oracle_where_levels_are_hit(seed: int) -> None:
    r = random.Random(seed)
    hits = {
        n: (r.choice((0, 0, 0, 1, -1)), r.randint(100, 2500), r.choice((-1, 1)))
        for n in range(400) if r.random() < 0.6
    }  # fmt: skip
    moved, at = {}, 0
    for n in range(400):
        at = at + r.choice((-1, 1)) if r.random() < 0.06 else at
        moved[n] = at
    events = tape({n: (h[0] + moved[n], h[1], h[2]) for n, h in hits.items()}, moved, 400)
    follow("replenish", events, market_of("replenish"))
    s = fold_events(probe("replenish"), events).fold.state["replenish"][0]
    assert int(s["signal"]["fired"]) >= 2
