"""Periods, returns and drawdowns: small cases by hand, and against slow and obvious doubles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.returns import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    Equity,
    covered,
    drawdown_of,
    held_ns,
    returns_of,
)

T = 20_000 * DAY_NS
START = 1000


def equity(
    ts: list[int], levels: list[int], start: int = START, to_ns: int | None = None
) -> Equity:
    """Samples at ``ts`` ns after T."""
    times = np.array([T + t for t in ts], dtype=np.int64)
    end = T + (to_ns if to_ns is not None else max(ts, default=0))
    return Equity(times, np.array(levels, dtype=np.int64), start, T, end)


# --- periods -------------------------------------------------------------------------------------


def every_minute(minutes: int) -> Equity:
    return equity(
        [(k + 1) * MINUTE_NS for k in range(minutes)], [START + k for k in range(minutes)]
    )


@pytest.mark.parametrize(
    ("minutes", "period", "n"),
    [
        (360, "minute", 360),
        (47 * 60, "minute", 47 * 60),
        (48 * 60, "hour", 48),
        (29 * 1440, "hour", 29 * 24),
        (30 * 1440, "day", 30),
        (30 * 1440 - 1, "day", 30),
        (45 * 1440 + 7, "day", 46),
    ],
)
def test_the_period_follows_the_length(minutes: int, period: str, n: int):
    r = returns_of(every_minute(minutes))
    assert (r.period, len(r.values), r.missing, r.fault) == (period, n, 0, "")


def test_a_year_never_closes():
    assert returns_of(every_minute(10)).a_year == 365.25 * 1440
    assert returns_of(every_minute(30 * 1440)).a_year == 365.25


def test_a_period_ends_with_its_last_sample_and_begins_with_the_start_balance():
    seconds = [30, 60, 75, 119, 120, 121]
    r = returns_of(equity([s * 10**9 for s in seconds], [1010, 1100, 7, 8, 990, 1089]))
    assert r.values == pytest.approx([0.10, -0.10, 0.10])


def test_what_happened_over_a_hole_belongs_to_the_first_sample_after_it():
    m = MINUTE_NS
    r = returns_of(equity([m, 2 * m, 7 * m, 8 * m], [1000, 1100, 1210, 1210]))
    assert r.values == pytest.approx([0.0, 0.1, 0.1, 0.0])
    assert r.missing == 4


@pytest.mark.parametrize("levels", [[1000, 0, 50], [1000, -1, 50]])
def test_an_account_that_was_lost_has_no_returns(levels: list[int]):
    r = returns_of(equity([MINUTE_NS * k for k in (1, 2, 3)], levels))
    assert not len(r.values) and r.fault == "the equity fell to zero or below"


def test_no_sample_is_no_return():
    r = returns_of(equity([], []))
    assert (len(r.values), r.missing, r.fault) == (0, 0, "")


walks = st.lists(
    st.tuples(st.integers(1, 3 * 3600), st.integers(200, 5000)), min_size=1, max_size=80
)


def walk(steps: list[tuple[int, int]], start: int = START) -> Equity:
    ts = np.cumsum([s * 10**9 for s, _ in steps])
    return equity([int(t) for t in ts], [level for _, level in steps], start)


@given(walks)
def test_returns_compound_to_the_total_return(steps):
    e = walk(steps)
    r = returns_of(e)
    total = int(e.equity[-1]) / START
    assert float(np.prod(1 + r.values)) == pytest.approx(total, rel=1e-9)


@given(walks)
def test_returns_are_those_of_the_slow_way(steps):
    e = walk(steps)
    r = returns_of(e)
    last: dict[int, int] = {}
    for ts, level in zip(e.ts_ns.tolist(), e.equity.tolist(), strict=True):
        end = ts if ts % r.period_ns == 0 else ts + r.period_ns - ts % r.period_ns
        last[end] = level
    levels = [START, *last.values()]
    slow = [b / a - 1 for a, b in pairwise(levels)]
    assert r.values == pytest.approx(slow)
    ends = list(last)
    assert r.missing == (ends[-1] - ends[0]) // r.period_ns + 1 - len(ends)


@given(walks, st.integers(2, 1000))
def test_the_size_of_the_account_does_not_matter(steps, k):
    small, large = walk(steps), walk([(s, level * k) for s, level in steps], START * k)
    assert returns_of(small).values == pytest.approx(returns_of(large).values)
    assert drawdown_of(small).share == pytest.approx(drawdown_of(large).share)
    assert drawdown_of(large).money == k * drawdown_of(small).money
    assert drawdown_of(large).under_ns == drawdown_of(small).under_ns


# --- drawdowns -----------------------------------------------------------------------------------


def test_drawdowns_by_hand():
    """Peak 1200 at 2; falls to 900 at 4, back at 1200 at 6; 1300 at 7; 1100 at 9; ends at 12."""
    h = HOUR_NS
    e = equity([h * k for k in (2, 4, 6, 7, 9)], [1200, 900, 1200, 1300, 1100], to_ns=12 * h)
    d = drawdown_of(e)
    assert (d.money, d.share) == (300, 0.25)
    assert (d.deepest_ns, d.longest_ns, d.under_ns) == (4 * h, 5 * h, 5 * h)
    assert d.recovered


def test_the_start_balance_is_a_peak_and_a_fall_may_last_to_the_end():
    d = drawdown_of(equity([HOUR_NS], [900], to_ns=3 * HOUR_NS))
    assert (d.money, d.share, d.deepest_ns, d.recovered) == (100, 0.1, 3 * HOUR_NS, False)
    assert d.under_ns == 2 * HOUR_NS


def test_without_a_fall_there_is_no_drawdown():
    d = drawdown_of(equity([HOUR_NS, 2 * HOUR_NS], [1000, 1001]))
    assert (d.money, d.share, d.deepest_ns, d.longest_ns, d.under_ns) == (0, 0.0, 0, 0, 0)
    assert d.recovered


@given(walks)
def test_drawdowns_are_those_of_the_slow_way(steps):
    e = walk(steps)
    ts = [e.from_ns, *e.ts_ns.tolist()]
    level = [START, *e.equity.tolist()]
    peaks = [max(level[: i + 1]) for i in range(len(level))]
    falls = [p - v for p, v in zip(peaks, level, strict=True)]
    lasted = []
    for i, fall in enumerate(falls):
        peak_at = max(k for k in range(i + 1) if level[k] == peaks[i])
        back = next((ts[k] for k in range(i, len(level)) if level[k] >= peaks[i]), e.to_ns)
        lasted.append(back - ts[peak_at] if fall else 0)
    ends = [*ts[1:], e.to_ns]
    d = drawdown_of(e)
    assert d.money == max(falls)
    assert d.share == pytest.approx(max(f / p for f, p in zip(falls, peaks, strict=True)))
    assert d.deepest_ns == lasted[falls.index(max(falls))]
    assert d.longest_ns == max(lasted)
    assert d.under_ns == sum(b - a for a, b, f in zip(ts, ends, falls, strict=True) if f)


# --- time ----------------------------------------------------------------------------------------


def test_a_range_wider_than_the_data_counts_only_the_data():
    ts = np.array([T + 5 * MINUTE_NS, T + 9 * MINUTE_NS])
    wide = covered(ts, T - DAY_NS, T + DAY_NS)
    assert wide == (T + 4 * MINUTE_NS, T + 10 * MINUTE_NS)
    narrow = covered(ts, T + 4 * MINUTE_NS + 1, T + 9 * MINUTE_NS + 1)
    assert narrow == (T + 4 * MINUTE_NS + 1, T + 9 * MINUTE_NS + 1)
    assert covered(ts[:0], 3, 5) == (3, 5)


@given(
    st.lists(st.tuples(st.integers(-5, 30), st.integers(0, 12), st.booleans()), max_size=8),
    st.integers(0, 25),
)
def test_time_held_is_the_union_of_the_positions(spans, length):
    e = Equity(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 100, 100 + length)
    opened = np.array([100 + a for a, _, _ in spans], dtype=np.int64)
    closed = np.array([0 if is_open else 100 + a + b for a, b, is_open in spans], dtype=np.int64)
    slow = {
        t
        for a, b, is_open in spans
        for t in range(max(a, 0), length if is_open else min(a + b, length))
    }
    assert held_ns(opened, closed, e) == len(slow)
