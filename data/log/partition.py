"""One partition while a transaction works on it: segments, of which only those needed are loaded.

Owns :class:`Partition`. Its rows lie in segments that follow each other in the total order: row
groups of the file that is there, and pieces that this transaction has spilled to its staging
folder. New rows are joined with the segments that they touch (by arrival, for trades also by id),
so an import in chunks stays linear and holds only what it touches. What must hold: the file that
:meth:`Partition.write` makes depends on the rows alone, never on how they were split.

It refuses to know about commits, locks and other partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from data.events import EVENTS, Kind, Scales
from data.ids import OPAQUE_ID
from data.log.columns import Rows, concat, larger
from data.log.dedupe import SAME_NS, Joined, MergeResult, join, same_trades
from data.log.entry import Entry, EntryBuilder, Place, opened, sha256_of
from data.log.files import (
    FileReader,
    FileWriter,
    corrupt_file,
    damaged,
    group_rows,
    rows_of,
    to_table,
)
from data.log.order import arrival
from data.log.storage import Storage

WHOLE = frozenset({Kind.BAR, Kind.GAP})
"""Kinds whose identity is not tied to arrival: all of a partition is looked at (it is small)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that lie together; keys are arrivals in ns, ids are 0 where no row has one."""

    rows: int
    low_key: int
    high_key: int
    low_id: int
    high_id: int
    low_ts: int
    high_ts: int
    scales: Scales
    load: Callable[[], Rows]

    def touches(self, other: Segment, by_id: bool) -> bool:
        """True when a row of ``other`` may belong among, or be the same as, these rows."""
        by_key = self.low_key <= other.high_key and other.low_key <= self.high_key
        return by_key or (by_id and self.meets(other))

    def meets(self, other: Segment) -> bool:
        """True when one trade may be in both: their ids overlap.

        Opaque ids lie anywhere in their range; there the exchange times must overlap as well.
        """
        known = bool(self.high_id and other.high_id)
        if not known or self.low_id > other.high_id or other.low_id > self.high_id:
            return False
        if min(self.low_id, other.low_id) < OPAQUE_ID:
            return True
        return self.low_ts - SAME_NS <= other.high_ts and other.low_ts - SAME_NS <= self.high_ts


@dataclass(slots=True)
class Beside:
    """Trades of another day, as a partition sees them; masks are bool[rows].

    ``known`` are here already. ``moved`` rows were here, and were removed for the sake of a new row
    that knows its receive time. ``rivals`` have an id that is here with another content.
    """

    known: np.ndarray
    moved: int
    rivals: np.ndarray


class Partition:
    """The rows of one place, with the changes of one transaction.

    ``entries`` are the files that are there; ``spill`` gives a fresh path in the staging folder.
    """

    def __init__(
        self,
        storage: Storage,
        place: Place,
        entries: Sequence[Entry],
        spill: Callable[[], str],
    ) -> None:
        self.place = place
        self.entries = list(entries)
        self.changed = False
        self._storage = storage
        self._spill = spill
        self.scales: Scales | None = None
        self._segments: list[Segment] = []
        for entry in entries:
            self.scales = larger(self.scales, entry.scales) if self.scales else entry.scales
            self._segments += _file_segments(storage, entry)
        self._segments.sort(key=lambda s: s.low_key)
        if len(entries) > 1:
            self._make_one()

    def merge(self, rows: Rows, scales: Scales) -> MergeResult:
        """Join ``rows`` (at ``scales``, any order) and say what that did."""
        target = larger(self.scales, scales) if self.scales else scales
        rows = rows.rescale(scales, target)
        first, stop = self._touched(_segment(rows, target, _nothing))
        old = self._load(self._segments[first:stop], target)
        joined = join(old, rows)
        if joined.changed:
            self._replace(first, stop, joined.rows, target)
            self.scales = target
            self.changed = True
        return joined.result

    def beside(self, rows: Rows, scales: Scales) -> Beside:
        """What this partition has to do with ``rows``, trades of a neighbouring day.

        Two recorders disagree by seconds, an archive knows only exchange time: one trade may fall
        on either side of midnight. Where only the new row has a receive time, the old one goes.
        """
        found = Beside(np.zeros(rows.n, bool), 0, np.zeros(rows.n, bool))
        if self.scales is None:
            return found
        target = larger(self.scales, scales)
        new = rows.rescale(scales, target)
        for i in reversed(self._meeting(_segment(new, target, _nothing))):
            old = self._load(self._segments[i : i + 1], target)
            assert old is not None
            in_old, in_new = same_trades(old, new)
            better = (old["recv_ns"][in_old] == 0) & (new["recv_ns"][in_new] != 0)
            found.known[in_new[~better]] = True
            others = np.isin(new["id"], old["id"]) & (new["id"] != 0)
            others[in_new] = False
            found.rivals[others] = True
            if better.any():
                left = np.setdiff1d(np.arange(old.n), in_old[better])
                found.moved += old.n - len(left)
                self._replace(i, i + 1, old.take(left), target)
                self.scales, self.changed = target, True
        return found

    def has_ids(self, ids: np.ndarray) -> np.ndarray:
        """bool[n]: which of ``ids`` (not 0) some row here carries."""
        found = np.zeros(len(ids), bool)
        low, high = _id_range(ids)
        for segment in self._segments:
            if not segment.rows or segment.low_id > high or segment.high_id < low:
                continue
            rows = self._load([segment], self.scales)
            assert rows is not None
            found |= np.isin(ids, rows["id"])
        return found

    def _meeting(self, new: Segment) -> list[int]:
        """Segments that may hold a trade of ``new``."""
        return [i for i, s in enumerate(self._segments) if s.rows and s.meets(new)]

    def write(self, path: str) -> tuple[EntryBuilder, int]:
        """Write the whole partition to a new file; its facts and its number of rows.

        The caller syncs it. With no rows left, no file is made.
        """
        builder = EntryBuilder(self.place)
        total = sum(s.rows for s in self._segments)
        if total == 0:
            return builder, 0
        assert self.scales is not None
        place = self.place
        sink = self._storage.open_output(path)
        series = place.kind, place.venue, place.symbol
        with FileWriter(sink, *series, self.scales, total) as writer:
            for rows in regroup(self._all_rows(), group_rows(place.kind)):
                writer.write(rows)
                builder.add(rows)
        return builder, total

    def _all_rows(self) -> Iterator[Rows]:
        for segment in self._segments:
            rows = self._load([segment], self.scales)
            if rows is not None:
                yield rows

    def _touched(self, new: Segment) -> tuple[int, int]:
        """Range of segments that the new rows touch; empty, at the right place, where none."""
        if self.place.kind in WHOLE:
            return 0, len(self._segments)
        by_id = self.place.kind == Kind.TRADE
        hit = [i for i, s in enumerate(self._segments) if s.touches(new, by_id)]
        place = sum(1 for s in self._segments if s.high_key < new.low_key)
        if not hit:
            return place, place
        # everything between the first and the last touched, and where the rows themselves belong
        return min(hit[0], place), max(hit[-1] + 1, place)

    def _make_one(self) -> None:
        """Several files (hours of a session) become one run of segments in total order."""
        assert self.scales is not None
        whole = self._load(self._segments, self.scales)
        if whole is not None:
            joined: Joined = join(None, whole)
            self._replace(0, len(self._segments), joined.rows, self.scales)

    def _load(self, segments: Sequence[Segment], scales: Scales | None) -> Rows | None:
        assert scales is not None
        parts = [s.load().rescale(s.scales, scales) for s in segments if s.rows]
        return concat(parts) if parts else None

    def _replace(self, first: int, stop: int, rows: Rows, scales: Scales) -> None:
        """Spill ``rows`` and let them stand in place of the segments [first, stop)."""
        path = self._spill()
        size = group_rows(self.place.kind)
        new: list[Segment] = []
        if rows.n:
            schema = to_table(rows.slice(0, 0)).schema
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            with (
                self._storage.open_output(path) as sink,
                pa.ipc.new_file(sink, schema, options=options) as writer,
            ):
                for i, start in enumerate(range(0, rows.n, size)):
                    piece = rows.slice(start, min(start + size, rows.n))
                    writer.write_table(to_table(piece))
                    new.append(_segment(piece, scales, self._spilled(path, i)))
        self._segments[first:stop] = new

    def _spilled(self, path: str, batch: int) -> Callable[[], Rows]:
        def load() -> Rows:
            with self._storage.open_input(path) as source:
                record = pa.ipc.open_file(source).get_batch(batch)
                names = EVENTS[self.place.kind].names
                return rows_of(self.place.kind, pa.Table.from_batches([record]), names)

        return load


def regroup(parts: Iterable[Rows], size: int) -> Iterator[Rows]:
    """The rows of ``parts`` in pieces of exactly ``size`` rows (the last may be smaller)."""
    waiting: list[Rows] = []
    count = 0
    for rows in parts:
        waiting.append(rows)
        count += rows.n
        while count >= size:
            joined = concat(waiting)
            yield joined.slice(0, size)
            waiting, count = [joined.slice(size, joined.n)], joined.n - size
    if count:
        yield concat(waiting)


def of_entries(entries: Sequence[Entry]) -> Segment:
    """The bounds of all rows of some files, as one segment that cannot be loaded."""
    keys = min(e.min_key_ns for e in entries), max(e.max_key_ns for e in entries)
    known = [e for e in entries if e.max_id]
    ids = min((e.min_id for e in known), default=0), max((e.max_id for e in known), default=0)
    times = min(e.min_ts_ns for e in entries), max(e.max_ts_ns for e in entries)
    rows = sum(e.rows for e in entries)
    return Segment(rows, *keys, *ids, *times, entries[0].scales, _nothing)


def _nothing() -> Rows:
    raise AssertionError("rows in hand are never loaded")


def _segment(rows: Rows, scales: Scales, load: Callable[[], Rows]) -> Segment:
    ts = rows["ts_ns"]
    keys = arrival(ts, rows["recv_ns"])
    ids, times = _id_range(rows["id"]), (int(ts.min()), int(ts.max()))
    return Segment(rows.n, int(keys.min()), int(keys.max()), *ids, *times, scales, load)


def _id_range(ids: np.ndarray) -> tuple[int, int]:
    known = ids[ids != 0]
    return (int(known.min()), int(known.max())) if len(known) else (0, 0)


def _file_segments(storage: Storage, entry: Entry) -> list[Segment]:
    """The row groups of a file that is there, after its bytes were checked."""
    where = storage.name(entry.file)
    with corrupt_file(where):
        found = sha256_of(storage, entry)
    if found != entry.sha256:
        raise damaged(where, f"its sha256 is {found}, the catalogue says {entry.sha256}")
    segments = []
    with opened(storage, entry) as reader:
        for group in range(reader.groups):
            segment = _group_segment(storage, entry, reader, group)
            segments.append(segment)
    return segments


def _group_segment(storage: Storage, entry: Entry, reader: FileReader, group: int) -> Segment:
    names = EVENTS[entry.kind].names

    def load() -> Rows:
        with opened(storage, entry) as again:
            return again.read(group, names)

    limits = [reader.bounds(group, name) for name in ("ts_ns", "recv_ns", "id")]
    ts, recv, ids = limits
    mixed = recv is not None and recv[0] == 0 and recv[1] > 0
    if ts is None or recv is None or ids is None or mixed or ids[0] < 0:
        few = reader.read(group, ("ts_ns", "recv_ns", "id"))
        return replace(_segment(few, entry.scales, load), rows=reader.group_size(group))
    low, high = recv if recv[1] else ts
    low_id = max(ids[0], 1) if ids[1] else 0
    size = reader.group_size(group)
    return Segment(size, low, high, low_id, ids[1], *ts, entry.scales, load)
