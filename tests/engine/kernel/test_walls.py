"""Walls: one that is pulled counts, one that is eaten or only out of sight does not."""

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


def tape(plan: dict[int, tuple[int, int, int]], steps: int = 120, base: int = 1000,
         trades: dict[int, tuple[int, int, int]] | None = None) -> list[Event]:  # fmt: skip
    """A book of ten levels a side every half second. ``plan``: (side, level, quantity) by step;
    ``trades``: (price, quantity, side) by step, before the book of that step."""
    a = Author()
    for n in range(steps):
        a.now = BASE + n * 500 * MS + 1
        if trades and n in trades:
            price, qty, side = trades[n]
            a.add(Kind.TRADE, price=price, qty=qty, side=side)
        bids, asks = [base] * 10, [base] * 10
        if n in plan:
            side, level, qty = plan[n]
            (bids if side > 0 else asks)[level] = qty
        a.add(Kind.DEPTH, bid_price=[MID - x for x in range(10)], bid_qty=bids,
              ask_price=[MID + 1 + x for x in range(10)], ask_qty=asks)  # fmt: skip
    a.now += 5 * S
    a.add(Kind.CLOCK)
    return a.events


def state(events: list[Event], **settings: str) -> Any:
    given = {f"walls.{k}": v for k, v in settings.items()}
    return fold_events(probe("walls"), events, given).fold.state["walls"][0]


def stand(side: int, level: int, first: int, last: int, qty: int = 9000) -> dict[int, Any]:
    return dict.fromkeys(range(first, last), (side, level, qty))


@pytest.mark.parametrize("side", [1, -1])
def test_two_pulled_walls_of_one_side_are_a_spoof(side: int) -> None:
    s = state(tape({**stand(side, 2, 60, 70), **stand(side, 3, 90, 100)}))
    assert int(s["pulled"]) == 2
    assert int(s["score_fp9"]) == 850_000_000
    assert int(s["signal"]["direction"]) == -side
    assert int(s["signal"]["fired"]) == 1
    one = state(tape(stand(side, 2, 90, 100)))
    assert int(one["score_fp9"]) == 550_000_000
    assert int(one["signal"]["direction"]) == 0


def test_pulls_of_both_sides_have_no_direction() -> None:
    s = state(tape({**stand(1, 2, 60, 70), **stand(-1, 3, 90, 100)}))
    assert int(s["score_fp9"]) == 600_000_000
    assert int(s["signal"]["direction"]) == 0


def test_pulls_are_forgotten() -> None:
    s = state(tape({**stand(1, 2, 10, 20), **stand(1, 3, 30, 40)}, 300))
    assert (int(s["pulled"]), int(s["score_fp9"])) == (2, 0)


def test_a_book_that_blinks_all_day_is_no_spoof_but_in_the_seed() -> None:
    plan = {n: (1 if n // 12 % 2 else -1, 2, 9000) for n in range(2400) if n % 12 < 6}
    assert int(state(tape(plan, 2400))["score_fp9"]) < 720_000_000
    seed = state(tape(plan, 2400), mode="seed")
    assert int(seed["score_fp9"]) == 10**9
    assert int(seed["pulled"]) == 200


def test_what_is_eaten_was_no_spoof() -> None:
    plan = stand(1, 0, 60, 70)
    s = state(tape(plan, trades={70: (MID, 9000, -1)}))
    assert (int(s["pulled"]), int(s["eaten"])) == (0, 1)
    s = state(tape(plan, trades={70: (MID, 4400, -1)}))
    assert (int(s["pulled"]), int(s["eaten"])) == (1, 0), "less than half was traded"
    s = state(tape(plan, trades={70: (MID, 9000, 1)}))
    assert int(s["pulled"]) == 1, "a buyer does not eat a bid"


def test_too_young_too_far_too_small() -> None:
    assert int(state(tape(stand(1, 2, 60, 63)))["pulled"]) == 0
    assert int(state(tape(stand(1, 2, 60, 64)))["pulled"]) == 1
    assert int(state(tape(stand(1, 7, 60, 80)))["pulled"]) == 0
    assert int(state(tape(stand(1, 7, 60, 80)), near="8")["pulled"]) == 1
    assert int(state(tape(stand(1, 7, 60, 80)), mode="seed")["pulled"]) == 1, ".2 % is ten ticks"
    assert int(state(tape(stand(1, 2, 60, 80, 3000)))["pulled"]) == 0, "3.0 of a mean of 1.1"
    assert int(state(tape(stand(1, 2, 60, 80)), notional="1000000")["pulled"]) == 0


def test_three_walls_of_a_side_are_layers() -> None:
    events = tape({})
    for e in events[90:-1]:
        e["bid_qty"] = [1000, 8000, 8000, 8000, *[100] * 6]
        e["ask_qty"] = [1000] * 10
    s = state(events)
    assert s["live"].tolist() == [3, 0]
    assert int(s["score_fp9"]) == 100_000_000


def test_out_of_sight_is_no_verdict() -> None:
    """The book moves up by eight ticks: a wall on its fourth level is not seen any more."""
    events = tape(stand(1, 3, 60, 80))
    for e in events[80:-1]:
        for name in ("bid_price", "ask_price"):
            e[name] = [x + 8 for x in e[name]]
    s = state(events)
    assert (int(s["pulled"]), int(s["eaten"]), s["live"].tolist()) == (0, 0, [0, 0])


@pytest.mark.parametrize("stream", [Kind.TRADE, Kind.DEPTH])
def test_nothing_is_judged_over_a_gap(stream: Kind) -> None:
    events = tape(stand(1, 2, 60, 80))
    at = events[80]["ts_ns"]
    gap = {"kind": Kind.GAP, "ts_ns": at, "id": 0, "stream": int(stream), "from_ns": at,
           "to_ns": at, "filled": 0}  # fmt: skip
    assert int(state(events)["pulled"]) == 1
    assert int(state([*events[:80], gap, *events[80:]])["pulled"]) == 0
    assert int(state([*events[:80], *events[100:]])["pulled"]) == 0, "nor over a stale book"


def test_equal_levels_are_no_walls_and_huge_ones_do_not_overflow() -> None:
    assert state(tape({}))["live"].tolist() == [0, 0]
    s = state(tape(stand(1, 2, 60, 70, 10**12), base=10**10))
    assert int(s["pulled"]) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_agrees_with_its_oracle_among_walls(seed: int) -> None:
    r = random.Random(seed)
    plan: dict[int, tuple[int, int, int]] = {}
    trades = {}
    for n in range(0, 700, 12):
        side, level = r.choice((1, -1)), r.randint(0, 9)
        length = r.choice((3, 4, 5, 11))
        plan.update(stand(side, level, n, n + length, r.randint(2000, 9000)))
        price = MID - level if side > 0 else MID + 1 + level
        trades[n + r.randint(1, 5)] = (price, r.randint(1, 6000), r.choice((1, -1)))
    events = tape(plan, 700, trades=trades)
    follow("walls", events, market_of("walls"))
    s = state(events)
    assert int(s["pulled"]) > 3
    assert int(s["eaten"]) > 1
