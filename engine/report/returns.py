"""From the equity of a run to its returns a period, its drawdowns and the time it covers.

Owns the choice of the period, the rule that turns samples into returns, and the drawdowns. What
must hold: the returns compound exactly to the total return; a period without a sample (a hole in
the log) is no observation, and what happened over the hole belongs to the next one.

The rule: returns are taken over UTC days where at least 30 days hold samples, over hours where at
least 48 hours do, else over minutes. A period's equity is its last sample; the account before the
first sample is the start balance. The first and the last period may be cut short by the range.

It refuses to know what a return is good for. Money is int64 at 1e-8, times are ns UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.events import NS

MINUTE_NS = 60 * NS
HOUR_NS = 3600 * NS
DAY_NS = 86_400 * NS
YEAR_NS = 36_525 * DAY_NS // 100
"""A year of a market that never closes: 365.25 days."""

PERIODS = (("day", DAY_NS, 30), ("hour", HOUR_NS, 48), ("minute", MINUTE_NS, 0))
"""Name, length in ns, and how many of them must hold samples for it to be chosen."""


@dataclass(frozen=True)
class Equity:
    """Samples of the account in order of time: ``ts_ns`` and ``equity`` int64 arrays of one length.

    ``start`` is the balance before the first sample, ``from_ns`` and ``to_ns`` the time covered.
    """

    ts_ns: np.ndarray
    equity: np.ndarray
    start: int
    from_ns: int
    to_ns: int

    @property
    def days(self) -> float:
        """Length of the time covered, days."""
        return max(0, self.to_ns - self.from_ns) / DAY_NS


@dataclass(frozen=True)
class Returns:
    """Simple returns a period, float64; ``missing`` periods between them hold no sample.

    ``fault`` says why there are none, where there are none.
    """

    period: str
    period_ns: int
    values: np.ndarray
    missing: int
    fault: str = ""

    @property
    def a_year(self) -> float:
        """Periods in a year of 365.25 days."""
        return YEAR_NS / self.period_ns


@dataclass(frozen=True)
class Drawdown:
    """Falls of the equity below its highest value so far, the start balance included.

    ``money`` (1e-8) and ``share`` (of the peak) are the largest, which need not be the same fall.
    ``deepest_ns`` is how long the largest in money lasted, from its peak until the peak was reached
    again or the run ended; ``longest_ns`` the same for the fall that lasted longest;
    ``under_ns`` the whole time below a peak. ``recovered``: the largest in money was made good.
    """

    money: int
    share: float
    deepest_ns: int
    longest_ns: int
    under_ns: int
    recovered: bool


def covered(ts_ns: np.ndarray, from_ns: int, to_ns: int) -> tuple[int, int]:
    """(from, to) of the samples, no wider than the range; a sample stands for the minute before it.

    A range that reaches beyond the data says nothing of the time for which there are none.
    """
    if not len(ts_ns):
        return from_ns, to_ns
    first = max(from_ns, int(ts_ns[0]) - MINUTE_NS)
    return first, max(first, min(to_ns, int(ts_ns[-1]) + MINUTE_NS))


def returns_of(e: Equity) -> Returns:
    """The returns of ``e`` over the period that its length allows (module docstring)."""
    for name, period_ns, least in PERIODS:  # noqa: B007  the loop is left at the one that fits
        ends = -(-e.ts_ns // period_ns)
        last = np.flatnonzero(np.append(np.diff(ends) != 0, len(ends) > 0))
        if len(last) >= least:
            break
    levels = np.concatenate(([e.start], e.equity[last]))
    missing = int(ends[-1] - ends[0]) + 1 - len(last) if len(last) else 0
    if (levels <= 0).any():
        none = np.zeros(0)
        return Returns(name, period_ns, none, missing, "the equity fell to zero or below")
    return Returns(name, period_ns, levels[1:] / levels[:-1] - 1.0, missing)


def drawdown_of(e: Equity) -> Drawdown:
    """The drawdowns of ``e``; between two samples the account stands as at the first of them."""
    ts = np.concatenate(([e.from_ns], e.ts_ns))
    level = np.concatenate(([e.start], e.equity))
    peak = np.maximum.accumulate(level)
    fall = peak - level
    below = fall > 0
    length = np.append(np.diff(ts), max(0, e.to_ns - int(ts[-1])))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False])).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    until = np.append(ts, ts[-1] + length[-1])
    spans = until[stops] - ts[starts - 1]
    deepest = int(fall.argmax())
    which = int(np.searchsorted(starts, deepest, side="right")) - 1
    return Drawdown(
        money=int(fall[deepest]),
        share=float((fall / np.maximum(peak, 1)).max()),
        deepest_ns=int(spans[which]) if len(spans) else 0,
        longest_ns=int(spans.max()) if len(spans) else 0,
        under_ns=int(length[below].sum()),
        recovered=not len(spans) or int(stops[which]) < len(level),
    )


def held_ns(opened: np.ndarray, closed: np.ndarray, e: Equity) -> int:
    """Time within ``e`` in which at least one position was open, ns; ``closed`` 0 is still open."""
    start = np.clip(opened, e.from_ns, e.to_ns)
    stop = np.clip(np.where(closed == 0, e.to_ns, closed), e.from_ns, e.to_ns)
    order = np.argsort(start, kind="stable")
    start, stop = start[order], stop[order]
    reached = np.concatenate(([e.from_ns], np.maximum.accumulate(stop)))[:-1] if len(stop) else stop
    return int(np.maximum(0, stop - np.maximum(start, reached)).sum())
