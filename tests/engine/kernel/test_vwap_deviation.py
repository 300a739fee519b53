"""Distance from the VWAP: by hand, by regime, at sessions and gaps, in any units."""

from __future__ import annotations

import math
from typing import Any

import pytest

from data.events import Kind
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.test_symmetry import mirror_vwap_deviation, scale_free
from tests.engine.tapes import DAY, MINUTE, START, Event, S, market, mirrored, scaled

FROM = START // DAY * DAY + 9 * 3600 * S
QUICK = {"vwap_deviation.bars": "5", "vwap_deviation.warmup": "2m"}


def trades(prices: list[int], start: int = FROM, step: int = 30 * S, qty: int = 10) -> list[Event]:
    return [
        {"kind": Kind.TRADE, "ts_ns": start + n * step, "id": n + 1, "price": p, "qty": qty,
         "side": 1} for n, p in enumerate(prices)
    ]  # fmt: skip


def clock(ts: int) -> Event:
    return {"kind": Kind.CLOCK, "ts_ns": ts, "id": 1}


def state(events: list[Event], **changes: str) -> Any:
    settings = {**QUICK, **{f"vwap_deviation.{k}": v for k, v in changes.items()}}
    return fold_events(probe("vwap_deviation"), events, settings).fold.state["vwap_deviation"][0]


def said(s: Any) -> tuple[int, int, float, float]:
    g = s["signal"]
    return (int(g["ready"]), int(g["direction"]), int(g["strength_fp9"]) / 1e9,
            int(g["value_fp9"]) / 1e9)  # fmt: skip


RANGE = [1000, 1010] * 12
"""Six minutes up and down: efficiency 0 or near it."""


def expected(prices: list[int]) -> float:
    mean = sum(prices) / len(prices)
    return (prices[-1] - mean) / math.sqrt(sum((p - mean) ** 2 for p in prices) / len(prices))


@pytest.mark.parametrize(("last", "direction"), [(1030, -1), (980, 1), (1008, 0)])
def test_in_a_range_it_leans_back(last: int, direction: int) -> None:
    prices = [*RANGE, last]
    end = clock(FROM + len(prices) * 30 * S)
    ready, way, strength, z = said(state([*trades(prices), end]))
    assert (ready, way) == (1, direction)
    assert z == pytest.approx(expected(prices), rel=1e-8)
    want = min(max((abs(z) - 1) / 2, 0), 1) if direction else 0
    assert strength == pytest.approx(want, abs=1e-8)


@pytest.mark.parametrize(("follow", "direction"), [("false", 0), ("true", 1)])
def test_in_a_trend_it_is_silent_or_follows(follow: str, direction: int) -> None:
    prices = [1000 + 3 * n for n in range(24)]
    s = state([*trades(prices), clock(FROM + 24 * 30 * S)], follow=follow)
    assert int(s["efficiency_fp9"]) == 10**9
    assert said(s)[:2] == (1, direction)


def test_one_price_says_nothing() -> None:
    s = state([*trades([1000] * 30), clock(FROM + 30 * 30 * S)])
    assert said(s) == (1, 0, 0.0, 0.0)
    assert int(s["efficiency_fp9"]) == 0


def test_warmup() -> None:
    events = [*trades(RANGE), clock(FROM + 24 * 30 * S)]
    assert said(state(events))[0] == 1
    assert said(state(events, warmup="13m"))[0] == 0
    assert said(state(events, bars="12"))[0] == 0


def test_a_new_session_starts_from_nothing() -> None:
    """An hour before midnight and a minute after it: the new sum is not warm."""
    start = FROM // DAY * DAY + DAY - 10 * MINUTE
    events = trades([1000, 1010] * 11, start)
    assert said(state([*events, clock(start + 11 * MINUTE)]))[0] == 0
    more = trades([1000, 1010] * 2, start + 11 * MINUTE)
    assert said(state([*events, *more, clock(start + 13 * MINUTE)]))[0] == 1


def test_a_gap_silences_the_session_and_not_the_next() -> None:
    start = FROM // DAY * DAY + DAY - 30 * MINUTE
    gap = {"kind": Kind.GAP, "ts_ns": start + 60 * S, "id": 1, "stream": int(Kind.TRADE),
           "from_ns": start + 50 * S, "to_ns": start + 60 * S, "filled": 0}  # fmt: skip
    before, after = trades([1000] * 2, start), trades(RANGE * 2, start + 61 * S)
    assert said(state([*before, *after, clock(start + 25 * MINUTE)]))[0] == 1
    assert said(state([*before, gap, *after, clock(start + 25 * MINUTE)]))[0] == 0
    more = trades(RANGE, start + 31 * MINUTE)
    end = clock(start + 43 * MINUTE)
    assert said(state([*before, gap, *after, *more, end]))[0] == 1


def test_large_numbers() -> None:
    """Prices near 1e9 units with a sigma of one, quantities of 1e9: no cancellation."""
    prices = [10**9 + n % 2 for n in range(24)]
    s = state([*trades([*prices, 10**9 + 2], qty=10**9), clock(FROM + 25 * 30 * S)])
    assert said(s)[3] == pytest.approx(expected([n % 2 for n in range(24)] + [2]), rel=1e-6)


def test_mirrors_and_scales_where_it_speaks() -> None:
    events = [e for e in market(3, 900) if e["kind"] != Kind.GAP]
    assert said(state(events))[0] == 1
    mirror_vwap_deviation(state(events), state(mirrored(events, 10**6)))
    scale_free(state(events), state(scaled(events, price=7, qty=3)))


def test_how_often_it_leans_on_noise() -> None:
    """A random walk leans back at times, to both sides, and its lean is bounded by its z."""
    leans = {-1: 0, 0: 0, 1: 0}
    for seed in range(8):
        events = [e for e in market(seed, 600, 2) if e["kind"] == Kind.TRADE]
        rows = fold_events(probe("vwap_deviation"), events, QUICK).sink.rows("decision")
        rows = rows[rows["flip_fp9"] == 1]
        for row in rows:
            leans[int(row["delta"])] += 1
            if row["delta"]:
                assert abs(int(row["entry_delta"])) > 10**9
                assert row["delta"] * row["entry_delta"] < 0
    assert min(leans.values()) > 20, leans
