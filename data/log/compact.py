"""Compaction: the several files of a partition become one.

A partition (kind, venue, symbol, day) has one file when imports alone wrote it. It has more where a
live session sealed it hour by hour, where another tool wrote beside it, or where a copy was left
by a sync that was cut off. Owns what becomes of them. What must hold:

* the rows come in the order in which a reader merges them, so a fold does not notice;
* a row goes only where :mod:`data.log.dedupe` says that another file has it: the files count as
  imports in the order of their names. A file that shares no arrival time and no id with another
  one is copied as it is, row group by row group. Only trades (and bars and gaps, which are few) of
  files that overlap are held in memory together: the copy of a trade may lie anywhere;
* nothing is committed before the new file was read back and every column of it was found to be
  what went in, with as many rows as there must be;
* the new file names the files that it was made from, so that a run over those can still be
  verified (see :func:`explained`).

It refuses to know about options and how a plan is shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.errors import DataError
from data.events import EVENTS, SCHEMA_VERSION, Kind, Scales
from data.log.catalogue import Broken, Catalogue
from data.log.columns import Rows, concat, larger
from data.log.dedupe import keep_mask
from data.log.entry import Entry, EntryBuilder, Place, hash_entry, opened, place_of, split_path
from data.log.files import (
    FileReader,
    FileWriter,
    corrupt_file,
    damaged,
    group_rows,
    short_hash,
)
from data.log.partition import WHOLE, of_entries, regroup
from data.log.storage import Storage
from data.log.store import LogStore
from data.log.stream import Block, Counters, Plan, cut_block, in_order, stream_of
from data.log.transaction import Transaction

BATCH_BYTES = 1 << 30
"""One commit takes partitions of up to so many bytes: this much of the disk is used twice."""

BATCH_PARTITIONS = 64


@dataclass(frozen=True, slots=True)
class Task:
    """One partition that has to be compacted, with its files."""

    place: Place
    files: tuple[Entry, ...]

    @property
    def rows(self) -> int:
        """Rows in the files."""
        return sum(e.rows for e in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of the files."""
        return sum(e.bytes for e in self.files)


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """What a compaction will do. ``broken`` are files that cannot be used: their partitions are
    left as they are."""

    tasks: tuple[Task, ...]
    broken: tuple[Broken, ...]


@dataclass(frozen=True, slots=True)
class Compacted:
    """What became of one partition.

    ``duplicates`` rows stood in another file too, ``replaced`` are bars that another file knows
    better. ``error`` says why nothing was done; empty where all went well.
    """

    task: Task
    rows: int = 0
    bytes: int = 0
    duplicates: int = 0
    replaced: int = 0
    error: str = ""


def plan_compaction(
    catalogue: Catalogue,
    kinds: Sequence[Kind] | None = None,
    venue: str | None = None,
    symbol: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> CompactionPlan:
    """The partitions of these series that have several files, or one under another name.

    Of a partition that holds rows with from_ns <= ts_ns < to_ns all files are taken.
    """
    files: dict[Place, list[Entry]] = {}
    for entry in catalogue.select(kinds, venue, symbol):
        place = Place(entry.kind, entry.venue, entry.symbol, entry.date)
        files.setdefault(place, []).append(entry)
    meant = {e.path for e in catalogue.select(kinds, venue, symbol, from_ns, to_ns)}
    broken = [b for b in catalogue.broken if b.place is not None]
    tasks: list[Task] = []
    left: list[Broken] = []
    for place, entries in sorted(files.items(), key=lambda item: item[0].path):
        if not needs(place, entries) or not any(e.path in meant for e in entries):
            continue
        bad = next((b for b in broken if _harms(b, place)), None)
        if bad is None:
            tasks.append(Task(place, tuple(entries)))
        elif bad not in left:
            left.append(bad)
    return CompactionPlan(tuple(tasks), tuple(left))


def _harms(broken: Broken, place: Place) -> bool:
    """Whether rows of ``place`` may be in the broken file."""
    concerned = broken.concerns(place.kind, place.venue, place.symbol)
    return concerned and broken.place is not None and broken.place.date == place.date


def needs(place: Place, entries: Sequence[Entry]) -> bool:
    """True unless the partition is one file of this version under the name that imports use."""
    if not entries:
        return False
    first = entries[0]
    return len(entries) > 1 or first.path != place.path or first.schema != SCHEMA_VERSION


def compact(
    store: LogStore, plan: CompactionPlan, progress: Callable[[int], None] | None = None
) -> Iterator[Compacted]:
    """Compact the partitions of ``plan``, in a few commits; what became of each, once it stands.

    ``progress`` is called with numbers of rows that were written. LockedError where another
    process is writing. A partition whose files cannot be read is left as it is.
    """
    for batch in _batches(plan.tasks):
        done: list[Compacted] = []
        with store.transaction() as tx:
            for task in batch:
                done.append(_one(store.storage, tx, task, progress or _ignore))
        yield from done


def explained(storage: Storage, before: Mapping[str, str], after: Mapping[str, str]) -> bool | None:
    """Whether files differ by a compaction alone: path to sha256, before and after.

    None where nothing differs, False where a file changed or went for another reason. True proves
    that every row of the files before is there; a row of yet another file may have joined them.
    """
    changed = {p: s for p, s in before.items() if after.get(p) != s}
    fresh = [p for p, s in after.items() if before.get(p) != s]
    if not changed and not fresh:
        return None
    origins: dict[str, set[str]] = {}
    for path in fresh:
        file, share = split_path(path)
        with corrupt_file(storage.name(file)), storage.open_input(file) as source:
            made_of = FileReader(source, storage.name(file), share).header.compacted_from
        if not made_of:
            return False
        origins.setdefault(_folder(path), set()).update(made_of)
    return all(short_hash(s) in origins.get(_folder(p), ()) for p, s in changed.items())


def _folder(path: str) -> str:
    """The folder of the partition that an entry's path belongs to."""
    place = place_of(path)
    return place.folder if place is not None else path.rpartition("/")[0]


def clusters(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Files of one partition in groups that follow each other in the total order.

    No arrival time, and no id of a trade, lies in the ranges of two groups. Bars and gaps are one
    group: what they are is not told by when they came.
    """
    if entries[0].kind in WHOLE:
        return [in_order(entries)]
    by_id = entries[0].kind == Kind.TRADE
    groups: list[list[Entry]] = []
    for entry in in_order(entries):
        mine = of_entries([entry])
        first = next(
            (i for i, g in enumerate(groups) if of_entries(g).touches(mine, by_id)), len(groups)
        )
        groups[first:] = [[e for g in groups[first:] for e in g] + [entry]]
    return groups


def _ignore(rows: int) -> None:
    """No progress is shown."""


def _batches(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    batch: list[Task] = []
    size = 0
    for task in tasks:
        if batch and (size + task.bytes > BATCH_BYTES or len(batch) == BATCH_PARTITIONS):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += task.bytes
    if batch:
        yield batch


def _one(
    storage: Storage, tx: Transaction, task: Task, progress: Callable[[int], None]
) -> Compacted:
    """Stage the new file of one partition; its files as they are now that the log is locked."""
    place = task.place
    entries = [
        e
        for e in tx.catalogue.select([place.kind], place.venue, place.symbol)
        if e.date == place.date
    ]
    task = Task(place, tuple(entries))
    if not needs(place, entries):
        return Compacted(task, task.rows, task.bytes)  # somebody else was quicker
    try:
        return _Merge(storage, tx, task, progress).run()
    except DataError as error:
        return Compacted(task, error=str(error))


@dataclass(frozen=True, slots=True)
class _Mask:
    """Which rows of a group stay (bool[rows] in merged order), and how many bars gave way."""

    keep: np.ndarray
    replaced: int


@dataclass
class _Merge:
    """The compaction of one partition."""

    storage: Storage
    tx: Transaction
    task: Task
    progress: Callable[[int], None]
    _checked: set[str] = field(default_factory=set)

    def run(self) -> Compacted:
        """Write, read back, and hand the new file to the transaction."""
        place, files = self.task.place, self.task.files
        scales = files[0].scales
        for entry in files[1:]:
            scales = larger(scales, entry.scales)
        groups = clusters(files)
        masks = [self._mask(group, scales) if len(group) > 1 else None for group in groups]
        replaced = sum(m.replaced for m in masks if m is not None)
        dropped = sum(int((~m.keep).sum()) for m in masks if m is not None)
        total = self.task.rows - dropped
        staged, builder, written = self.tx.staged("parquet"), EntryBuilder(place), RowDigest()
        series = place.kind, place.venue, place.symbol
        sink = self.storage.open_output(staged)
        with FileWriter(sink, *series, scales, total, self._origins()) as writer:
            for rows in regroup(self._rows(groups, masks, scales), group_rows(place.kind)):
                writer.write(rows)
                builder.add(rows)
                written.add(rows)
                self.progress(rows.n)
        self._read_back(staged, total, written)
        entry = self.tx.replace(place, staged, builder, scales, files)
        if entry.rows != total:
            raise self._lost(f"{entry.rows} rows instead of {total}")
        return Compacted(self.task, total, entry.bytes, dropped - replaced, replaced)

    def _blocks(self, group: Sequence[Entry], scales: Scales) -> Iterator[Block]:
        plan = Plan(self.storage, self._check, scales, None, None, Counters())
        stream = stream_of(plan, group, EVENTS[self.task.place.kind].names, files=True)
        try:
            while (block := stream.next_block()) is not None:
                yield block
        finally:
            stream.close()

    def _mask(self, group: Sequence[Entry], scales: Scales) -> _Mask:
        """Which rows of files that overlap stay, in their merged order."""
        names = [e.path for e in in_order(group)]
        kind = self.task.place.kind
        parts = _windows(self._blocks(group, scales), whole=kind in WHOLE or kind == Kind.TRADE)
        found = [survivors(rows, file, names) for rows, file in parts]
        keep = np.concatenate([keep for keep, _ in found])
        return _Mask(keep, sum(replaced for _, replaced in found))

    def _rows(
        self, groups: Sequence[Sequence[Entry]], masks: Sequence[_Mask | None], scales: Scales
    ) -> Iterator[Rows]:
        for group, mask in zip(groups, masks, strict=True):
            at = 0
            for block in self._blocks(group, scales):
                rows = block.rows
                part = None if mask is None else mask.keep[at : at + rows.n]
                at += rows.n
                if part is not None and not part.all():
                    rows = rows.take(np.flatnonzero(part))
                if rows.n:
                    yield rows
            if at != sum(e.rows for e in group):
                raise self._lost(f"{at} rows of {group[0].path} and the files after it")

    def _origins(self) -> list[str]:
        """The files here, and those that they were made from themselves."""
        names: dict[str, None] = {}
        for entry in self.task.files:
            where = self.storage.name(entry.file)
            with corrupt_file(where), opened(self.storage, entry) as reader:
                made_of = reader.header.compacted_from
            names |= dict.fromkeys((short_hash(entry.sha256), *made_of))
        return list(names)

    def _check(self, entry: Entry, source: Any) -> None:
        """CorruptFileError unless the file is the one that was written."""
        if entry.path in self._checked:
            return
        where = self.storage.name(entry.file)
        with corrupt_file(where):
            found = hash_entry(source, entry)
            source.seek(0)
        if found != entry.sha256:
            raise damaged(where, f"its sha256 is {found}, the catalogue says {entry.sha256}")
        self._checked.add(entry.path)

    def _read_back(self, staged: str, total: int, written: RowDigest) -> None:
        """DataError unless the staged file holds exactly what was written to it."""
        names = EVENTS[self.task.place.kind].names
        found = RowDigest()
        with self.storage.open_input(staged) as source:
            reader = FileReader(source, self.storage.name(staged))
            for group in range(reader.groups):
                found.add(reader.read(group, names))
        if found.rows != total or found.hexdigest() != written.hexdigest():
            raise self._lost(f"the new file read back differs ({found.rows} of {total} rows)")

    def _lost(self, why: str) -> DataError:
        return DataError(
            "a compaction would change events; nothing was done to this partition",
            where=self.storage.name(self.task.place.folder),
            why=why,
            do="report this, with the versions that 'ofs doctor' prints",
        )


def _windows(blocks: Iterable[Block], whole: bool) -> Iterator[tuple[Rows, np.ndarray]]:
    """Rows and the file of each, in portions that no two rows of one event lie across.

    Trades are told by their ids, bars by their interval: all rows are one portion. Every other
    event is equal to its copies in the time of its arrival: a portion ends where that changes.
    """
    waiting: list[Block] = []
    for block in blocks:
        assert block.key is not None
        steps = np.flatnonzero(block.key[1:] != block.key[:-1])
        cut = 0 if whole or not len(steps) else int(steps[-1]) + 1
        if cut:
            yield _joined([*waiting, cut_block(block, 0, cut)])
            waiting = []
        waiting.append(cut_block(block, cut, block.rows.n))
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[Block]) -> tuple[Rows, np.ndarray]:
    rows = concat([b.rows for b in blocks])
    file = np.concatenate([b.file for b in blocks if b.file is not None])
    blocks.clear()
    return rows, file


def survivors(rows: Rows, file: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, int]:
    """Which ``rows`` stay (bool[n]), and how many bars another file knew better.

    ``file`` int64[n] says which of ``names`` a row is from. The files join each other, as imports
    do, in the order of their names.
    """
    kept = np.empty(0, np.int64)
    replaced = 0
    for number in sorted(range(len(names)), key=lambda n: names[n]):
        index = np.concatenate((kept, np.flatnonzero(file == number)))
        is_new = np.arange(len(index)) >= len(kept)
        stays, conflicts = keep_mask(rows.take(index), is_new)
        kept = index[stays]
        replaced += conflicts if rows.kind == Kind.BAR else 0
    keep = np.zeros(rows.n, bool)
    keep[kept] = True
    return keep, replaced


class RowDigest:
    """A hash of every column of rows as they stream by, however they are cut."""

    def __init__(self) -> None:
        self.rows = 0
        self._hashes: dict[str, Any] = {}

    def add(self, rows: Rows) -> None:
        """Take the next rows."""
        self.rows += rows.n
        for name, values in rows.columns.items():
            flat = np.diff(values) if name.endswith("_offsets") else values
            known = self._hashes.setdefault(name, hashlib.blake2b(digest_size=16))
            known.update(np.ascontiguousarray(flat))

    def hexdigest(self) -> str:
        """One hash over those of all columns."""
        total = hashlib.blake2b(digest_size=16)
        for name in sorted(self._hashes):
            total.update(name.encode() + self._hashes[name].digest())
        return total.hexdigest()
