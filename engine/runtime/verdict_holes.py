"""What a session missed, as shares of its time: from recorded gaps to uptime and filled holes.

Owns the arithmetic of intervals. What must hold: time that two rows of a gap share counts once (a
gap is written when it opens and again when it closes); a hole counts as filled only where filled
rows cover all of it; what lies outside the session's range counts for nothing.

It refuses to know where gaps are read from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

DOWNTIME = "DOWNTIME"
TRADE = "trade"
RARE = ("liquidation",)
"""Streams that may say nothing for hours: what a hole in them began with is not known."""

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hole:
    """A recorded gap of one stream: times ns UTC, ``reason`` the name of its GapReason."""

    symbol: str
    stream: str
    from_ns: int
    to_ns: int
    reason: str
    filled: bool


@dataclass(frozen=True, slots=True)
class Share:
    """Share of the session's time that lies in unfilled gaps of one stream, none of RARE."""

    symbol: str
    stream: str
    share: float


@dataclass(frozen=True, slots=True)
class Missing:
    """What was missed: ``up`` share of the time, ``downs`` interruptions of ``down_ns`` in all.

    ``holes`` of all streams; ``reasons`` how many of them each reason had a part in.
    """

    up: float
    down_ns: int
    downs: int
    shares: tuple[Share, ...]
    holes: int
    reasons: dict[str, int]
    trade_holes: int
    trade_filled: int


def missing_of(holes: Iterable[Hole], from_ns: int, to_ns: int) -> Missing:
    """What ``holes`` say of the range from ``from_ns`` to ``to_ns``."""
    listed = [h for h in holes if h.to_ns >= from_ns and h.from_ns <= to_ns]
    length = max(0, to_ns - from_ns)
    down = _downtime(listed)
    down_ns = _length(clipped(down, from_ns, to_ns))
    shares, reasons = [], dict[str, int]()
    count = trade_holes = trade_filled = 0
    for symbol, stream in sorted({(h.symbol, h.stream) for h in listed}):
        mine = [h for h in listed if (h.symbol, h.stream) == (symbol, stream)]
        filled = union((h.from_ns, h.to_ns) for h in mine if h.filled)
        whole = union((h.from_ns, h.to_ns) for h in mine)
        for hole in whole:
            count += 1
            for reason in {h.reason for h in mine if hole[0] <= h.from_ns <= hole[1]}:
                reasons[reason] = reasons.get(reason, 0) + 1
            if stream == TRADE:
                trade_holes += 1
                trade_filled += any(a <= hole[0] and hole[1] <= b for a, b in filled)
        open_ns = _length(clipped(less(whole, filled), from_ns, to_ns))
        if stream not in RARE:
            shares.append(Share(symbol, stream, open_ns / length if length else 0.0))
    up = 1 - down_ns / length if length else 0.0
    return Missing(
        up, down_ns, len(down), tuple(shares), count, reasons, trade_holes, trade_filled
    )  # fmt: skip


def open_to(holes: Iterable[Hole], last_ns: dict[str, int], end_ns: int) -> list[Hole]:
    """``holes`` of one symbol, with those that were never closed reaching to ``end_ns``.

    A hole is told when it begins, up to then, and again when its stream speaks; of a stream that
    spoke no more (``last_ns`` by stream: its last event, ns UTC) nobody told the end.
    """
    listed = list(holes)
    latest = {h.stream: h for h in sorted(listed, key=lambda h: h.to_ns)}
    silent = [h for h in latest.values() if last_ns.get(h.stream, 0) < h.to_ns <= end_ns]
    return [replace(h, to_ns=end_ns) if h in silent else h for h in listed]


def _downtime(holes: list[Hole]) -> list[Interval]:
    """When the session was down, as the stream tells it that knows best.

    A hole begins at the last event of its stream, which may lie long before the end. Each stream
    that had spoken has a hole for each restart, so the one with the most of them has seen them all,
    and the shortest of those is the nearest to what happened.
    """
    by_stream: dict[tuple[str, str], list[Interval]] = {}
    for h in holes:
        if h.reason == DOWNTIME:
            by_stream.setdefault((h.symbol, h.stream), []).append((h.from_ns, h.to_ns))
    told = [union(intervals) for intervals in by_stream.values()]
    return min(told, key=lambda one: (-len(one), _length(one)), default=[])


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals that overlap or touch as one, rising; those that end before they begin as points.

    A point stays: a hole of trades within one nanosecond is one.
    """
    out: list[Interval] = []
    for start, stop in sorted((a, max(a, b)) for a, b in intervals):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], stop)
        else:
            out.append((start, stop))
    return out


def clipped(intervals: Iterable[Interval], from_ns: int, to_ns: int) -> list[Interval]:
    """The parts of ``intervals`` within the range."""
    cut = ((max(a, from_ns), min(b, to_ns)) for a, b in intervals)
    return [(a, b) for a, b in cut if a < b]


def less(whole: list[Interval], taken: list[Interval]) -> list[Interval]:
    """The parts of ``whole`` that no interval of ``taken`` covers; both are unions."""
    out = []
    for start, stop in whole:
        at = start
        for a, b in taken:
            if b <= at or a >= stop:
                continue
            if a > at:
                out.append((at, a))
            at = max(at, b)
        if at < stop:
            out.append((at, stop))
    return out


def _length(intervals: Iterable[Interval]) -> int:
    return sum(b - a for a, b in intervals)
