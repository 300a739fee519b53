"""A change to the log that happens whole or not at all: staged, then committed.

Owns :class:`Transaction`: which partitions change, the staged files, and the new catalogue. What
must hold: nothing outside the staging folder is touched before the journal stands (see
:mod:`data.log.journal` for the steps of a commit).

It refuses to know what rows mean.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from data.events import SCHEMA_VERSION, Kind, Scales
from data.ids import OPAQUE_ID
from data.log.catalogue import CATALOGUE, Catalogue, broken_error, to_bytes
from data.log.columns import Column, Rows, from_input
from data.log.dedupe import SAME_NS, MergeResult
from data.log.entry import DAY_NS, SEALED, Entry, EntryBuilder, Place, check_name, date_of
from data.log.journal import STAGING, Journal, publish, roll_forward
from data.log.partition import Partition
from data.log.sealed import left
from data.log.storage import Storage

REJECTS = "rejects"


class Transaction:
    """Collects what changes; made by :meth:`data.log.LogStore.transaction`.

    An import merges rows and attaches side files, a compaction replaces files, retention removes
    them.
    """

    def __init__(self, storage: Storage, catalogue: Catalogue) -> None:
        self._storage = storage
        self._catalogue = catalogue
        self._folder = f"{STAGING}/{uuid.uuid4().hex}"
        self._files = 0
        self._partitions: dict[Place, Partition] = {}
        self._series: dict[tuple[Kind, str, str], dict[str, list[Entry]]] = {}
        self._attached: dict[str, str] = {}
        self._replaced: list[tuple[str, Entry, list[str]]] = []
        self._removed: list[str] = []
        self._added: list[tuple[str, str]] = []
        self._entries_added: list[Entry] = []

    def merge(
        self,
        kind: Kind,
        venue: str,
        symbol: str,
        columns: Mapping[str, Column],
        scales: Scales,
    ) -> MergeResult:
        """Join rows of one series to the log; see :mod:`data.log.dedupe` for what is a duplicate.

        ``columns`` are integer arrays of one length in any order of rows, list columns as
        (values, offsets); the optional columns may be missing. Rows are split by UTC date of
        ``recv_ns``, else ``ts_ns``. DataError where the columns do not fit the schema or a scale
        that has to be raised would overflow.
        """
        check_name("venue", venue)
        check_name("symbol", symbol)
        total = MergeResult()
        rows = from_input(kind, columns)
        for date, part in _by_date(rows):
            total += self._merge_day(Place(kind, venue, symbol, date), part, scales)
        return total

    def attach(self, relative_path: str, content: bytes) -> None:
        """Keep a side file below ``rejects/``; one with the same name and content stays as it is.

        It appears when the transaction commits. DataError where the path leaves that folder.
        """
        parts = relative_path.split("/")
        for part in parts:
            check_name("file of rejects", part)
        path = "/".join([REJECTS, *parts])
        if self._storage.fact(path) is not None and self._storage.read_bytes(path) == content:
            return
        staged = self.staged("rejects")
        self._storage.write_bytes(staged, content)
        self._attached[path] = staged

    @property
    def catalogue(self) -> Catalogue:
        """The log as it was when this transaction got the lock."""
        return self._catalogue

    def staged(self, suffix: str) -> str:
        """A fresh path in the staging folder; what is written there goes if it is not committed."""
        self._files += 1
        return f"{self._folder}/{self._files:06d}.{suffix}"

    def replace(
        self, place: Place, staged: str, builder: EntryBuilder, scales: Scales, old: Sequence[Entry]
    ) -> Entry:
        """Let the ``staged`` file, whose rows ``builder`` saw, stand for the files ``old`` of
        ``place``; its entry. Rows of a place cannot be merged and replaced at once."""
        assert place not in self._partitions
        entry = self._entry(place, staged, builder, scales)
        self._replaced.append((staged, entry, [e.path for e in old if e.path != place.path]))
        return entry

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files of the log, shares of files and side files, when this commits."""
        self._removed += paths

    def add(self, staged: str, path: str, entries: Sequence[Entry] = ()) -> None:
        """Put the ``staged`` file, which is synced, at ``path``; ``entries`` are its events."""
        self._added.append((staged, path))
        self._entries_added += entries

    def commit(self) -> list[str]:
        """Make the changes durable and visible; paths of the files that were written."""
        moves, new, gone = self._stage_partitions()
        moves += [(staged, path) for path, staged in self._attached.items()]
        for staged, entry, others in self._replaced:
            moves.append((staged, entry.path))
            new.append(entry)
            gone += others
        gone += self._removed
        moves += self._added
        new += self._entries_added
        if not moves and not gone:
            self.discard()
            return []
        after = self._catalogue.replaced(new, gone)
        gone = self._leave(after, gone, moves)
        catalogue = self.staged("parquet")
        self._storage.write_bytes(catalogue, to_bytes(after))
        moves.append((catalogue, CATALOGUE))
        publish(self._storage, Journal(self._folder, moves, gone))
        roll_forward(self._storage)
        return [path for _, path in moves]

    def discard(self) -> None:
        """Drop everything that was staged (there is one writer, so all of it is its own)."""
        self._storage.remove_tree(STAGING)

    def _leave(
        self, after: Catalogue, gone: Sequence[str], moves: list[tuple[str, str]]
    ) -> list[str]:
        """Files to remove so that the paths ``gone`` are out of the log, which is then ``after``.

        Where a share leaves a file that others still need, ``moves`` gets the note of it.
        """
        if not any(path.startswith(SEALED) for path in gone):
            return list(gone)
        files, notes = left(after.texts["path"], self._catalogue.taken, gone)
        for path, content in notes.items():
            if content:
                staged = self.staged("json")
                self._storage.write_bytes(staged, content)
                moves.append((staged, path))
            else:
                files.append(path)
        return files

    def _merge_day(self, place: Place, rows: Rows, scales: Scales) -> MergeResult:
        if place.kind != Kind.TRADE or not rows["id"].any():
            return self._partition(place).merge(rows, scales)
        known, rivals = np.zeros(rows.n, bool), np.zeros(rows.n, bool)
        moved = 0
        for date in _neighbours(place.date):
            other = Place(place.kind, place.venue, place.symbol, date)
            if other in self._partitions or self._has_ids_of(other, rows):
                beside = self._partition(other).beside(rows, scales)
                known |= beside.known
                rivals |= beside.rivals
                moved += beside.moved
        partition = self._partition(place)
        # an id with its first content here and another one next door is a conflict that the
        # partition itself cannot see
        ids = np.unique(rows["id"][rivals & ~known])
        conflicts = int((~partition.has_ids(ids)).sum()) if len(ids) else 0
        result = MergeResult(-moved, moved + int(known.sum()), conflicts)
        if known.any():
            rows = rows.take(np.flatnonzero(~known))
        return result + partition.merge(rows, scales) if rows.n else result

    def _has_ids_of(self, place: Place, rows: Rows) -> bool:
        """True when the catalogue says that a file there may hold an id of ``rows``."""
        ids, ts_ns = rows["id"], rows["ts_ns"]
        low, high = int(ids[ids != 0].min()), int(ids.max())
        first_ns, last_ns = int(ts_ns.min()) - SAME_NS, int(ts_ns.max()) + SAME_NS
        for e in self._entries(place):
            if e.max_id and e.min_id <= high and low <= e.max_id:
                # opaque ids overlap always; they are the same only where the times meet
                opaque = min(low, e.min_id) >= OPAQUE_ID
                if not opaque or (e.min_ts_ns <= last_ns and first_ns <= e.max_ts_ns):
                    return True
        return False

    def _entries(self, place: Place) -> list[Entry]:
        series = (place.kind, place.venue, place.symbol)
        if series not in self._series:
            dates: dict[str, list[Entry]] = {}
            for entry in self._catalogue.select([place.kind], place.venue, place.symbol):
                dates.setdefault(entry.date, []).append(entry)
            self._series[series] = dates
        return self._series[series].get(place.date, [])

    def _partition(self, place: Place) -> Partition:
        found = self._partitions.get(place)
        if found is None:
            for broken in self._catalogue.broken:
                here = broken.place
                concerned = broken.concerns(place.kind, place.venue, place.symbol)
                if here is not None and here.date == place.date and concerned:
                    raise broken_error(self._storage, broken)
            found = Partition(
                self._storage, place, self._entries(place), lambda: self.staged("arrow")
            )
            self._partitions[place] = found
        return found

    def _stage_partitions(self) -> tuple[list[tuple[str, str]], list[Entry], list[str]]:
        """Write changed partitions; renames to do, their entries, paths that lose their file."""
        moves: list[tuple[str, str]] = []
        new: list[Entry] = []
        gone: list[str] = []
        for place, partition in self._partitions.items():
            if not partition.changed:
                continue
            staged = self.staged("parquet")
            builder, rows = partition.write(staged)
            if rows:
                assert partition.scales is not None
                new.append(self._entry(place, staged, builder, partition.scales))
                moves.append((staged, place.path))
            gone += [e.path for e in partition.entries if not rows or e.path != place.path]
        return moves, new, gone

    def _entry(self, place: Place, staged: str, builder: EntryBuilder, scales: Scales) -> Entry:
        self._storage.sync(staged)
        fact = self._storage.fact(staged)
        assert fact is not None
        digest = self._storage.sha256(staged)
        return builder.entry(place.path, fact.size, digest, scales, SCHEMA_VERSION)


def _by_date(rows: Rows) -> list[tuple[str, Rows]]:
    if rows.n == 0:
        return []
    days = np.where(rows["recv_ns"] != 0, rows["recv_ns"], rows["ts_ns"]) // DAY_NS
    found = np.unique(days)
    if len(found) == 1:
        return [(date_of(int(found[0])), rows)]
    return [(date_of(int(d)), rows.take(np.flatnonzero(days == d))) for d in found]


def _neighbours(date: str) -> tuple[str, str]:
    day = np.datetime64(date, "D")
    step = np.timedelta64(1, "D")
    return str(day - step), str(day + step)
