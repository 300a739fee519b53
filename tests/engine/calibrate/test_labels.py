"""The triple barrier against a loop that looks at every trade; uniqueness against a fine grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.enums import Kind
from engine.calibrate.barriers import parse_distance, round_trip_cost
from engine.calibrate.labels import NONE, OPEN, STOP, TARGET, TIME, label, uniqueness
from tests.engine.calibrate.tapes import S, batches


def slow(ts, price, start, stop, target, side, latency, limit):  # type: ignore[no-untyped-def]
    """(outcome, end, entry, exit) of one row, trade by trade; times never go back."""
    entered = None
    latest = 0
    for t, x in zip(ts, price, strict=True):
        if x <= 0:
            continue  # no trade, and no clock
        latest = max(latest, t)
        if latest < start + latency:
            continue
        if entered is None:
            if latest >= start + latency + limit:
                return NONE, 0, 0, 0
            entered = x
        if latest >= start + latency + limit:
            return TIME, latest, entered, x
        if side * (x - entered) <= -stop:
            return STOP, latest, entered, x
        if side * (x - entered) >= target:
            return TARGET, latest, entered, x
    return OPEN, 0, 0, 0


@st.composite
def tape(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    steps = draw(st.lists(st.integers(-2, 6), min_size=5, max_size=80))
    ts = np.maximum(np.cumsum(steps) + 10, 1) * S
    moves = draw(st.lists(st.integers(-4, 4), min_size=len(ts), max_size=len(ts)))
    price = (100 + np.cumsum(moves)).tolist()
    if draw(st.booleans()):
        price[draw(st.integers(0, len(price) - 1))] = 0
    start = sorted(draw(st.lists(st.integers(0, 150), min_size=1, max_size=12, unique=True)))
    return ts.tolist(), price, [s * S for s in start]


@settings(max_examples=150, deadline=None)
@given(
    tape(), st.integers(1, 8), st.integers(1, 8), st.integers(1, 60), st.integers(0, 5),
    st.lists(st.integers(1, 80), max_size=4),
)  # fmt: skip
def test_the_barriers_are_those_of_a_slow_look(t, stop, target, limit, latency, cuts) -> None:  # type: ignore[no-untyped-def]
    ts, price, start = t
    n = len(start)
    got = label(
        batches(ts, price, cuts=cuts), np.array(start), np.full(n, stop), np.full(n, target),
        np.full(n, 0.5), latency * S, limit * S,
    )  # fmt: skip
    last = max((t for t, x in zip(ts, price, strict=True) if x > 0), default=0)
    for i, at in enumerate(start):
        for column, side in enumerate((1, -1)):
            outcome, end, entry, out = slow(
                ts, price, at, stop, target, side, latency * S, limit * S
            )
            if outcome == OPEN or at + (latency + limit) * S > last:
                assert got.outcome[i, column] == NONE
                continue
            assert got.outcome[i, column] == outcome
            if outcome == NONE:
                continue
            assert got.end_ns[i, column] == end and got.entry[i] == entry
            assert got.net[i, column] == side * (out - entry) - 0.5
            assert got.won[i, column] == (outcome == TARGET and target > 0.5)


def test_a_target_that_the_costs_eat_is_lost() -> None:
    ts, price = [1 * S, 2 * S, 99 * S], [100, 103, 100]
    one = np.array([0])
    for cost, won in ((2.9, True), (3.0, False)):
        got = label(batches(ts, price), one, one + 3, one + 3, one + cost, 0, 10 * S)
        assert got.outcome[0].tolist() == [TARGET, STOP]
        assert got.won[0].tolist() == [won, False]


@pytest.mark.parametrize(
    ("gap", "kept"),
    [
        ((3 * S, 4 * S, int(Kind.TRADE), 0), False),
        ((3 * S, 4 * S, int(Kind.TRADE), 1), True),
        ((3 * S, 4 * S, int(Kind.DEPTH), 0), True),
        ((7 * S, 9 * S, int(Kind.TRADE), 0), True),
    ],
)
def test_no_label_across_an_unfilled_gap_of_trades(
    gap: tuple[int, int, int, int], kept: bool
) -> None:
    ts, price = [1 * S, 2 * S, 5 * S, 99 * S], [100, 100, 110, 100]
    one = np.array([S])
    got = label(batches(ts, price, [gap]), one, one * 0 + 5, one * 0 + 5, one * 0.0, 0, 10 * S)
    assert bool(got.whole[0]) is kept


def test_uniqueness_is_the_mean_of_one_over_the_labels_alive() -> None:
    r = np.random.default_rng(3)
    start = np.sort(r.integers(0, 200, 40))
    end = start + r.integers(0, 50, 40)
    stop = np.maximum(end, start + 1)
    alive = np.array([((start <= t) & (t < stop)).sum() for t in range(260)])
    want = [np.mean(1 / alive[a:b]) for a, b in zip(start, stop, strict=True)]
    assert uniqueness(start, end) == pytest.approx(want)
    assert uniqueness(np.array([0, 100]), np.array([50, 150])).tolist() == [1.0, 1.0]
    assert uniqueness(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_overlapping_labels_are_worth_the_time_that_they_cover() -> None:
    start = np.arange(0, 1000, 5)
    total = uniqueness(start, start + 100).sum()
    assert total == pytest.approx((1000 + 95) / 100, rel=0.1)


def test_distances_and_costs() -> None:
    from data.events import Scales

    price, atr = np.array([600_000, 600_100]), np.array([300, 1])
    assert parse_distance("1.5atr").units(price, atr).tolist() == [450, 2]
    assert parse_distance("0.25%").units(price, atr).tolist() == [1500, 1500]
    assert str(parse_distance(" 0.250 % ")) == "0.25%"
    for wrong in ("4", "atr", "0%", "-1%", "4 atrs", "1e3atr"):
        with pytest.raises(ValueError, match="4atr"):
            parse_distance(wrong)
    settings = {"sim.taker_fee": "0.0004", "sim.fee_per_unit": "0", "sim.spread": "0.5",
                "sim.slippage": "0.2"}  # fmt: skip
    cost = round_trip_cost(settings, Scales(1, 3), np.array([600_000] * 2), np.array([0, 1]))
    assert cost.tolist() == [480 + 5 + 4, 480 + 1]
