"""What a row must satisfy to become an event, whichever file it came from.

Owns the rules "time between 2009 and now, price and quantity positive, a bar's low is its lowest"
and so on, vectorised, and the conversion of venue times to nanoseconds. What must hold: every rule
names a reason of :data:`data.sources.rejects.REASONS`. A file tells what was: a row that is still
to come, by this machine's clock, is damage, and a fold would have to walk there.

It refuses to know file formats.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from data.events import Kind

TIME_MIN_NS = 1_230_768_000 * 1_000_000_000
"""2009-01-01 UTC: before the first coin there is no trade."""

TIME_MAX_NS = 4_102_444_800 * 1_000_000_000
"""2100-01-01 UTC."""

AHEAD_NS = 2 * 86_400 * 1_000_000_000
"""A time may lie this far ahead of now: clocks of brokers are up to 14 hours ahead of UTC, and a
wrong ``--broker-offset`` as much again; that is doubted elsewhere, not here."""

MS_LIMIT = 10**14
"""A venue time below this is in ms, from there on in us (spot archives since 2025)."""

BAR_MAX_NS = 31 * 86_400 * 1_000_000_000
"""The longest bar is a month."""

Columns = dict[str, np.ndarray]
Problem = tuple[str, np.ndarray]


def latest_ns() -> int:
    """Times from here on (ns UTC) are still to come, and not believed."""
    return min(TIME_MAX_NS, time.time_ns() + AHEAD_NS)


def venue_time_ns(times: np.ndarray) -> np.ndarray:
    """int64 ns UTC of venue times in ms or us, told apart by magnitude; 0 where impossible."""
    ms = times < MS_LIMIT
    possible = np.where(
        ms,
        (times >= TIME_MIN_NS // 10**6) & (times < TIME_MAX_NS // 10**6),
        (times >= TIME_MIN_NS // 10**3) & (times < TIME_MAX_NS // 10**3),
    )
    return np.where(possible, times, 0) * np.where(ms, 1_000_000, 1_000)


def problems(kind: Kind, columns: Columns, since_ns: int = TIME_MIN_NS) -> Iterator[Problem]:
    """(reason, bool array of the rows it holds for), the weightiest first.

    A row may appear under several reasons; the first counts. ``since_ns`` is the earliest time that
    is believed: markets are older than coins.
    """
    ts_ns, until_ns = columns["ts_ns"], latest_ns()
    # the last bar of an export is often not finished: a week may end in the future, not begin there
    began_ns = columns["open_ns"] if kind == Kind.BAR else ts_ns
    yield "time", (ts_ns < since_ns) | (ts_ns >= TIME_MAX_NS) | (began_ns >= until_ns)
    recv_ns = columns["recv_ns"]
    yield "time", (recv_ns != 0) & ((recv_ns < TIME_MIN_NS) | (recv_ns >= until_ns))
    yield "id", columns["id"] < 0
    yield from _RULES[kind](columns)


def first_reasons(found: Iterator[Problem], rows: int) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """(bool array of good rows, [(row, reason)] of the others in row order)."""
    bad = np.zeros(rows, dtype=bool)
    reasons: list[tuple[int, str]] = []
    for reason, mask in found:
        for row in np.flatnonzero(mask & ~bad):
            reasons.append((int(row), reason))
        bad |= mask
    return ~bad, sorted(reasons)


def _deal(c: Columns) -> Iterator[Problem]:
    yield "price", c["price"] <= 0
    yield "qty", c["qty"] <= 0
    yield "side", (c["side"] < -1) | (c["side"] > 1)


def _quote(c: Columns) -> Iterator[Problem]:
    yield "price", (c["bid"] <= 0) | (c["ask"] <= 0)
    yield "qty", (c["bid_qty"] < 0) | (c["ask_qty"] < 0)


def _bar(c: Columns) -> Iterator[Problem]:
    yield "price", np.minimum(c["low"], c["high"]) <= 0
    yield "qty", (c["volume"] < 0) | (c["buy_volume"] < 0) | (c["trades"] < 0)
    yield "time", (c["open_ns"] <= 0) | (c["interval_ns"] <= 0)
    inside = (c["low"] <= np.minimum(c["open"], c["close"])) & (
        np.maximum(c["open"], c["close"]) <= c["high"]
    )
    yield "bar", ~inside | (c["buy_volume"] > c["volume"]) | (c["interval_ns"] > BAR_MAX_NS)


def _mark(c: Columns) -> Iterator[Problem]:
    yield "price", (c["mark"] <= 0) | (c["index"] < 0)


def unsorted_levels(
    columns: Mapping[str, np.ndarray | tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """bool[rows]: books not best first, with a negative number, or with their sides crossed."""
    rows = len(columns["ts_ns"])
    bad = np.zeros(rows, dtype=bool)
    best: list[np.ndarray] = []
    for side, sign in (("bid", -1), ("ask", 1)):
        (prices, offsets), (quantities, _) = columns[f"{side}_price"], columns[f"{side}_qty"]
        row = np.repeat(np.arange(rows), np.diff(offsets))
        steps = np.flatnonzero((np.diff(prices) * sign <= 0) & (row[1:] == row[:-1]))
        bad[row[steps]] = True
        bad[row[(prices < 0) | (quantities < 0)]] = True
        first = np.where(np.diff(offsets) > 0, offsets[:-1], -1)
        best.append(np.where(first >= 0, prices[first] if len(prices) else 0, 0))
    return bad | ((best[0] != 0) & (best[1] != 0) & (best[0] >= best[1]))


def _none(_c: Columns) -> Iterator[Problem]:
    yield from ()


_RULES: dict[Kind, Callable[[Columns], Iterator[Problem]]] = {
    Kind.TRADE: _deal,
    Kind.LIQUIDATION: _deal,
    Kind.QUOTE: _quote,
    Kind.BAR: _bar,
    Kind.MARK: _mark,
    Kind.DEPTH: _none,  # the book checks its levels one by one
    Kind.GAP: _none,
}
