"""VPIN by its golden vector and by random flow; Kyle's lambda recovered; buckets split exactly."""

from __future__ import annotations

import random
from typing import Any

import pytest

from data.events import Kind
from tests.engine.driving import fold_cut, fold_events, probe
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import START, Author, Event, S, fixed, market, pack

BASE = START // S * S
FIXED = {"toxicity.bucket": "1", "toxicity.warm": "3"}
"""A bucket of one whole unit: 1000 at the scale of the tests."""


def tape(trades: list[tuple[int, int]], every_ns: int = S) -> list[Event]:
    """Trades of (quantity, flag), one every ``every_ns``, at one price."""
    a = Author()
    for n, (qty, flag) in enumerate(trades):
        a.now = BASE + n * every_ns
        a.add(Kind.TRADE, price=100_000, qty=qty, side=flag)
    a.now += 6 * S
    a.add(Kind.CLOCK)
    return a.events


def state(events: list[Event], **more: str) -> Any:
    return fold_events(probe("toxicity"), events, {**FIXED, **more}).fold.state["toxicity"][0]


def test_golden_alternating_full_buckets_are_one() -> None:
    """Reference 9: |buy - sell| of each bucket is its volume; the faulty form would give 0."""
    s = state(tape([(1000, 1), (1000, -1)] * 30))
    assert int(s["vpin_fp9"]) == 10**9
    assert int(s["buckets"]) == 60
    s = state(tape([(500, 1), (500, -1)] * 60))
    assert int(s["vpin_fp9"]) == 0


def test_trades_are_split_at_the_edge_exactly() -> None:
    """700 + 800: the second trade gives 300 to the first bucket and 500 to the next."""
    s = state(tape([(700, 1), (800, -1)]))
    assert (int(s["buckets"]), int(s["filled"]), int(s["net"])) == (1, 500, -500)
    assert int(s["imbalance"][0]) == 400
    s = state(tape([(700, 1), (5_800, -1)]))
    assert (int(s["buckets"]), int(s["filled"]), int(s["net"])) == (6, 500, -500)
    assert s["imbalance"][:6].tolist() == [400, 1000, 1000, 1000, 1000, 1000]
    s = state(tape([(1000, 1)]))
    assert (int(s["buckets"]), int(s["filled"])) == (1, 0), "a trade that just fills it"


def test_volume_is_conserved() -> None:
    r = random.Random(5)
    trades = [(r.choice((1, 7, 999, 1000, 1001, 12_345)), r.choice((1, -1))) for _ in range(500)]
    s = state(tape(trades))
    assert int(s["buckets"]) * 1000 + int(s["filled"]) == sum(q for q, _ in trades)


def test_random_flow_is_far_from_one_and_one_sided_flow_is_toxic() -> None:
    """Of 100 unit trades a bucket |B - S| / V is sqrt(2 / (pi 100)) = .0798 in the mean."""
    r = random.Random(7)
    flow = [(10, r.choice((1, -1))) for _ in range(20_000)]
    calm = state(tape(flow, 10_000_000))
    assert 0.06 < int(calm["vpin_fp9"]) / 1e9 < 0.1
    s = state(tape([*flow, *[(10, 1)] * 3000], 10_000_000))
    assert int(s["vpin_fp9"]) > 4 * int(calm["vpin_fp9"])
    assert (int(s["toxic"]), int(s["signal"]["ready"])) == (1, 1)
    assert int(s["signal"]["fired"]) >= 1
    assert int(s["signal"]["direction"]) == 0, "toxicity never votes"


def test_flow_without_flags_cannot_be_judged() -> None:
    s = state(tape([(1000, 1), (1000, 0)] * 60))
    assert (int(s["signal"]["ready"]), int(s["past"]["have"])) == (0, 0)


def test_a_gap_empties_window_and_bucket() -> None:
    events = tape([(1000, 1), (600, -1)] * 60)
    at = events[80]["ts_ns"]
    gap = {"kind": Kind.GAP, "ts_ns": at, "id": 0, "stream": int(Kind.TRADE), "from_ns": at,
           "to_ns": at, "filled": 0}  # fmt: skip
    s = state([*events[:80], gap])
    assert (int(s["have"]), int(s["filled"]), int(s["signal"]["ready"])) == (0, 0, 0)


def test_huge_trades_neither_overflow_nor_last() -> None:
    trades = [(10**12, 1), (10**12, -1), (10**12, 1)] * 20
    s = state(tape(trades), **{"toxicity.bucket": "0.001"})  # a bucket of one unit
    assert int(s["buckets"]) == 60 * 10**12
    assert int(s["vpin_fp9"]) == 10**9


def candles(slope: float, noise: float, minutes: int = 400, qty: int = 100) -> list[Event]:
    """Two trades a minute: a delta, then the price it makes."""
    a, r = Author(), random.Random(11)
    price = 1_000_000.0
    for n in range(minutes):
        side = r.choice((1, -1))
        size = r.randint(1, 9) * qty
        price += slope * side * size + r.gauss(0, noise)
        a.now = BASE + n * 60 * S + 20 * S
        a.add(Kind.TRADE, price=round(price), qty=size, side=side)
    return a.events


def test_kyles_lambda_is_recovered() -> None:
    s = state(candles(0.5, 60.0))
    assert float(s["kyle"]) == pytest.approx(0.5, rel=0.1)
    assert 40 < int(s["kyle_t_fp9"]) / 1e9 < 100
    assert int(s["kyle_ready"]) == 1
    usual = (sum((k * 100) ** 2 for k in range(1, 10)) / 9) ** 0.5
    assert int(s["impact_fp9"]) / 1e9 == pytest.approx(0.5 * usual, rel=0.15)
    s = state(candles(0.0, 60.0))
    assert abs(int(s["kyle_t_fp9"])) < 3.5e9, "no impact, no significance"


def test_degenerate_minutes() -> None:
    s = state(candles(0.0, 0.0))
    assert (float(s["kyle"]), int(s["kyle_t_fp9"])) == (0.0, 0)
    s = state(candles(3e-8, 0.0, qty=10**11))
    assert float(s["kyle"]) == pytest.approx(3e-8, rel=1e-3)


def test_the_pace_sets_the_bucket() -> None:
    """A constant 250 a second is 21.6 million a day: a bucket holds a fiftieth."""
    s = state(tape([(250, 1)] * 8000), **{"toxicity.bucket": "0"})
    assert abs(int(s["size"]) - 250 * 86_400 // 50) <= 250 * 86_400 // 50 // 50


@pytest.mark.parametrize("bucket", [17, 1000, 250_000])
def test_agrees_with_its_oracle_in_every_size_of_bucket(bucket: int) -> None:
    events = market(4, 600) if bucket > 100 else fixed(3, 8)
    text = f"{bucket / 1000:.3f}"
    follow("toxicity", events, market_of("toxicity", bucket=bucket), toxicity__bucket=text)


def test_cuts_change_nothing_inside_buckets() -> None:
    events = market(6, 400)
    c, packed = probe("toxicity"), pack(events)
    want = fold_cut(c, packed, (), FIXED).digests
    assert fold_cut(c, packed, range(1, len(packed)), FIXED).digests == want
