"""What can be wrong with the rows of one series: one small class a rule, fed block by block.

Owns :class:`Finding` and the rules. What must hold: a rule sees every row once, in stored order,
and keeps a bounded state (the id rule one interval a hole). A rule that can hit millions of rows
reports once: how often, the first time and the last.

It refuses to know how rows are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data.events import EVENTS, GapReason, Kind, Scales
from data.log.columns import Rows, offsets_name
from data.log.coverage import Coverage
from data.log.ticks import PriceHistogram, infer_tick

NS = 1_000_000_000

HOLE_S: dict[Kind, float] = {Kind.TRADE: 60.0, Kind.DEPTH: 60.0, Kind.QUOTE: 300.0, Kind.MARK: 60.0}
"""A silence longer than this (seconds of exchange time) counts as a hole, by kind.

Unless somebody asked for a bound of his own, trades whose ids go on across a silence are no hole:
the ids prove that nothing is missing, the market was quiet."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    ``check`` names the rule. ``count`` is how many: missing ids of a hole, rows that broke a rule.
    Times are exchange times in ns, 0 where they do not apply; ids are 0 where they do not apply.
    ``text`` says it in words; ``path`` names a file where a file is at fault.
    """

    check: str
    kind: Kind | None
    venue: str
    symbol: str
    count: int
    from_ns: int
    to_ns: int
    from_id: int
    to_id: int
    text: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """The series under examination; ``tick`` is its price step as a scaled int, 0 = infer it."""

    kind: Kind
    venue: str
    symbol: str
    scales: Scales
    tick: int
    hole_ns: int
    ids_prove: bool = False

    def finding(
        self, check: str, text: str, count: int = 1, ns: tuple[int, int] = (0, 0),
        ids: tuple[int, int] = (0, 0),
    ) -> Finding:  # fmt: skip
        """A finding about this series."""
        return Finding(check, self.kind, self.venue, self.symbol, count, *ns, *ids, text)


class Rule(Protocol):
    """Sees all rows of a series, then tells what it found."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it needs."""

    def add(self, rows: Rows) -> None:
        """Take the next rows, with at least ``columns``."""

    def findings(self) -> Iterator[Finding]:
        """What was wrong with the rows seen."""


class Tally:
    """Counts rows that break one rule and remembers the first and the last of them."""

    def __init__(self, subject: Subject, check: str, text: str) -> None:
        self._subject, self._check, self._text = subject, check, text
        self._count = 0
        self._ns = [0, 0]
        self._ids = [0, 0]

    def add(self, bad: np.ndarray, rows: Rows) -> None:
        """``bad`` is bool[rows]."""
        where = np.flatnonzero(bad)
        if not len(where):
            return
        first, last = int(where[0]), int(where[-1])
        if self._count == 0:
            self._ns[0], self._ids[0] = int(rows["ts_ns"][first]), int(rows["id"][first])
        self._ns[1], self._ids[1] = int(rows["ts_ns"][last]), int(rows["id"][last])
        self._count += len(where)

    def findings(self) -> Iterator[Finding]:
        """One finding, where there was any such row."""
        if self._count:
            ns, ids = (self._ns[0], self._ns[1]), (self._ids[0], self._ids[1])
            text = f"{self._count} {self._text}"
            yield self._subject.finding(self._check, text, self._count, ns, ids)


class IdHoles:
    """Trade ids that are missing between two that are there; exact."""

    columns = ("ts_ns", "id")

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._coverage = Coverage()

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        self._coverage.add(rows["id"], rows["ts_ns"])

    def findings(self) -> Iterator[Finding]:
        """One finding a hole."""
        for hole in self._coverage.holes():
            yield self._subject.finding(
                "id_hole",
                f"{hole.missing} trade ids are missing",
                hole.missing,
                (hole.from_ns, hole.to_ns),
                (hole.from_id, hole.to_id),
            )


class TimeHoles:
    """Silences longer than the threshold of the kind."""

    columns = ("ts_ns", "id")

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._last = (0, 0)
        self._holes: list[tuple[int, int, int, int]] = []

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        ts, ids = rows["ts_ns"], rows["id"]
        if self._last[0]:
            ts = np.concatenate(([self._last[0]], ts))
            ids = np.concatenate(([self._last[1]], ids))
        reach = np.maximum.accumulate(ts)
        for i in np.flatnonzero(ts[1:] - reach[:-1] > self._subject.hole_ns).tolist():
            hole = int(reach[i]), int(ts[i + 1]), int(ids[i]), int(ids[i + 1])
            if not (self._subject.ids_prove and hole[2] > 0 and hole[3] == hole[2] + 1):
                self._holes.append(hole)
        self._last = int(reach[-1]), int(ids[-1])

    def findings(self) -> Iterator[Finding]:
        """One finding a silence."""
        name = EVENTS[self._subject.kind].name
        for start, stop, first, last in self._holes:
            text = f"no {name} for {(stop - start) / NS:.3f} s"
            yield self._subject.finding("time_hole", text, 1, (start, stop), (first, last))


class OutOfOrder:
    """Rows whose exchange time lies behind one that was stored before them."""

    columns = ("ts_ns", "id")

    def __init__(self, subject: Subject) -> None:
        self._reach = 0
        text = "rows carry an exchange time behind one before them"
        self._tally = Tally(subject, "out_of_order", text)

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        reach = np.maximum.accumulate(np.concatenate(([self._reach], rows["ts_ns"])))
        self._tally.add(rows["ts_ns"] < reach[:-1], rows)
        self._reach = int(reach[-1])

    def findings(self) -> Iterator[Finding]:
        """See :class:`Rule`."""
        return self._tally.findings()


class NotPositive:
    """Prices and quantities that are zero or negative where an event must have one."""

    _NEEDED: Mapping[Kind, tuple[str, ...]] = {
        Kind.TRADE: ("price", "qty"),
        Kind.DEPTH: ("bid_price", "bid_qty", "ask_price", "ask_qty"),
        Kind.BAR: ("open", "high", "low", "close"),
        Kind.QUOTE: ("bid", "ask"),
        Kind.LIQUIDATION: ("price", "qty"),
        Kind.MARK: ("mark",),
    }

    def __init__(self, subject: Subject) -> None:
        self._names = self._NEEDED[subject.kind]
        self.columns = ("ts_ns", "id", *self._names)
        self._lists = subject.kind == Kind.DEPTH
        text = "rows hold a price or a quantity that is not positive"
        self._tally = Tally(subject, "not_positive", text)

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        bad = np.zeros(rows.n, bool)
        for name in self._names:
            low = rows[name] <= 0
            if not low.any():
                continue
            if self._lists:
                offsets = rows[offsets_name(name)]
                bad[np.searchsorted(offsets, np.flatnonzero(low), side="right") - 1] = True
            else:
                bad |= low
        self._tally.add(bad, rows)

    def findings(self) -> Iterator[Finding]:
        """See :class:`Rule`."""
        return self._tally.findings()


class Books:
    """Crossed and locked books, and levels that are not sorted best first."""

    columns = ("ts_ns", "id", "bid_price", "ask_price")

    def __init__(self, subject: Subject) -> None:
        self._crossed = Tally(subject, "crossed", "books have their best bid above their best ask")
        self._locked = Tally(subject, "locked", "books have their best bid at their best ask")
        self._unsorted = Tally(subject, "unsorted", "books do not stand best level first")

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        bids, asks = rows["bid_price"], rows["ask_price"]
        low, high = rows["bid_offsets"], rows["ask_offsets"]
        both = np.flatnonzero((low[1:] > low[:-1]) & (high[1:] > high[:-1]))
        best_bid, best_ask = bids[low[both]], asks[high[both]]
        crossed, locked = np.zeros(rows.n, bool), np.zeros(rows.n, bool)
        crossed[both], locked[both] = best_bid > best_ask, best_bid == best_ask
        self._crossed.add(crossed, rows)
        self._locked.add(locked, rows)
        wrong = np.zeros(rows.n, bool)
        for values, offsets, sign in ((bids, low, -1), (asks, high, 1)):
            steps = np.flatnonzero(np.diff(values) * sign <= 0)
            row = np.searchsorted(offsets, steps, side="right") - 1
            inside = steps + 1 < offsets[row + 1]
            wrong[row[inside]] = True
        self._unsorted.add(wrong, rows)

    def findings(self) -> Iterator[Finding]:
        """See :class:`Rule`."""
        for tally in (self._crossed, self._locked, self._unsorted):
            yield from tally.findings()


class Quotes:
    """Crossed and locked quotes."""

    columns = ("ts_ns", "id", "bid", "ask")

    def __init__(self, subject: Subject) -> None:
        self._crossed = Tally(subject, "crossed", "quotes have their bid above their ask")
        self._locked = Tally(subject, "locked", "quotes have their bid at their ask")

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        self._crossed.add(rows["bid"] > rows["ask"], rows)
        self._locked.add(rows["bid"] == rows["ask"], rows)

    def findings(self) -> Iterator[Finding]:
        """See :class:`Rule`."""
        yield from self._crossed.findings()
        yield from self._locked.findings()


class Bars:
    """Bars whose prices contradict each other, and intervals without a bar."""

    columns = ("ts_ns", "id", "open_ns", "interval_ns", "open", "high", "low", "close")

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        text = "bars have an open or a close outside low to high"
        self._tally = Tally(subject, "bad_bar", text)
        self._last: dict[int, int] = {}
        self._holes: list[tuple[int, int, int]] = []

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        low, high = rows["low"], rows["high"]
        bad = np.zeros(rows.n, bool)
        for name in ("open", "close"):
            bad |= (rows[name] < low) | (rows[name] > high)
        self._tally.add(bad, rows)
        for interval in np.unique(rows["interval_ns"]).tolist():
            opens = np.unique(rows["open_ns"][rows["interval_ns"] == interval])
            if interval in self._last:
                opens = np.concatenate(([self._last[interval]], opens))
            for i in np.flatnonzero(np.diff(opens) > interval).tolist():
                self._holes.append((interval, int(opens[i]) + interval, int(opens[i + 1])))
            self._last[interval] = int(opens[-1])

    def findings(self) -> Iterator[Finding]:
        """See :class:`Rule`."""
        yield from self._tally.findings()
        for interval, start, stop in self._holes:
            missing = (stop - start) // interval
            text = f"{missing} bars of {interval / NS:g} s are missing"
            yield self._subject.finding("time_hole", text, missing, (start, stop))


class OffGrid:
    """Prices that are not multiples of the instrument's price step, inferred where not given."""

    _PRICES: Mapping[Kind, tuple[str, ...]] = {
        Kind.TRADE: ("price",),
        Kind.DEPTH: ("bid_price", "ask_price"),
        Kind.BAR: ("open", "high", "low", "close"),
        Kind.QUOTE: ("bid", "ask"),
    }

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._names = self._PRICES[subject.kind]
        self.columns = ("ts_ns", "id", *self._names)
        self._lists = subject.kind == Kind.DEPTH
        self._seen = PriceHistogram()

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        stamps = np.stack((rows["ts_ns"], rows["id"]))
        for name in self._names:
            row = np.arange(rows.n)
            if self._lists:
                row = np.repeat(row, np.diff(rows[offsets_name(name)]))
            self._seen.add(rows[name], row, stamps)

    def findings(self) -> Iterator[Finding]:
        """One finding, where there was any such price."""
        seen, subject = self._seen, self._subject
        tick = subject.tick or infer_tick(seen.prices, seen.counts)
        if tick <= 1:
            return
        off = np.flatnonzero(seen.prices % tick)
        if not len(off):
            return
        count = int(seen.counts[off].sum())
        first = seen.first[:, off[np.argmin(seen.first[0, off])]].tolist()
        last = seen.last[:, off[np.argmax(seen.last[0, off])]].tolist()
        text = f"{count} prices are no multiple of {tick / 10**subject.scales.price:g}"
        ns, ids = (first[0], last[0]), (first[1], last[1])
        yield subject.finding("off_grid", text, count, ns, ids)


class RecordedGaps:
    """Holes that the importer or the recorder wrote down and that nobody has filled."""

    columns = ("ts_ns", "id", "stream", "from_ns", "to_ns", "from_id", "to_id", "reason", "filled")

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._found: list[Finding] = []

    def add(self, rows: Rows) -> None:
        """See :class:`Rule`."""
        for i in np.flatnonzero(rows["filled"] == 0).tolist():
            stream = EVENTS[Kind(int(rows["stream"][i]))].name
            reason = GapReason(int(rows["reason"][i])).name.lower().replace("_", " ")
            ids = int(rows["from_id"][i]), int(rows["to_id"][i])
            text = f"a gap in {stream} was recorded: {reason}"
            ns = int(rows["from_ns"][i]), int(rows["to_ns"][i])
            self._found.append(self._subject.finding("recorded_gap", text, 1, ns, ids))

    def findings(self) -> Iterator[Finding]:
        """One finding a gap record."""
        yield from self._found
