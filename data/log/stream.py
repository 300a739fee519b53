"""Streams of blocks: one kind of one symbol, row group by row group, in its stored order.

Owns :class:`Lane` (files that follow each other), :class:`Lanes` (files whose ranges overlap, as
one stream) and :class:`Merger` (blocks of several streams into runs). What must hold: at most one
row group a lane is decoded at a time; a row group outside the range is never decoded; columns that
nobody asked for are decoded only where the order of merge needs them.

It refuses to know what consumes the rows. The order itself stands in :mod:`data.log.order`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from data.errors import CorruptFileError, DataError
from data.events import EVENTS, Kind, Scales
from data.ids import ordinals
from data.log.columns import Rows, concat, list_columns, offsets_name
from data.log.entry import Entry
from data.log.files import FileReader, group_rows
from data.log.order import arrival, merge_runs, running_keys
from data.log.storage import Storage

_KEY_COLUMNS = ("ts_ns", "recv_ns", "seq")


@dataclass(slots=True)
class Counters:
    """What a pass over a range touched: the proof that the rest was skipped."""

    files_read: int = 0
    groups_read: int = 0
    groups_skipped: int = 0
    rows_read: int = 0
    rows_outside: int = 0


@dataclass(slots=True)
class Block:
    """Decoded rows with, where streams are merged, what orders them (all int64[rows]).

    ``due`` is the arrival with the latency of the kind, ``file`` the rank of the file that a row
    came from; both are there only where files of one kind are merged.
    """

    rows: Rows
    key: np.ndarray | None = None
    seq: np.ndarray | None = None
    ids: np.ndarray | None = None
    due: np.ndarray | None = None
    file: np.ndarray | None = None


class Stream(Protocol):
    """Whatever gives blocks of one kind in order."""

    kind: Kind
    columns: tuple[str, ...]

    def next_block(self) -> Block | None:
        """The next block with at least one row; None at the end, and ever after."""

    def close(self) -> None:
        """Give up open files."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What all lanes of a pass share: where files are, how they are checked, scales and range."""

    storage: Storage
    verify: Callable[[Entry, Any], None]
    scales: Scales
    from_ns: int | None
    to_ns: int | None
    counters: Counters
    received: tuple[int, int] | None = None


class Lane:
    """Files of one kind whose key ranges follow each other.

    ``ranks`` (by path) are given where the lane is one of several that are merged: its keys are
    then those of the stored order, without latency.
    """

    def __init__(
        self,
        plan: Plan,
        kind: Kind,
        entries: Sequence[Entry],
        columns: Sequence[str],
        latency_ns: int,
        keyed: bool,
        ranks: Mapping[str, int] | None = None,
    ) -> None:
        self.kind = kind
        self.columns = tuple(columns)
        self._plan = plan
        self._latency_ns = latency_ns
        self._keyed = keyed or ranks is not None
        self._ranks = ranks
        self._last_key = np.iinfo(np.int64).min
        self._blocks = self._read(entries)

    def next_block(self) -> Block | None:
        """See :class:`Stream`."""
        return next(self._blocks, None)

    def close(self) -> None:
        """See :class:`Stream`."""
        self._blocks.close()

    def _read(self, entries: Sequence[Entry]) -> Any:
        for entry in entries:
            where = self._plan.storage.name(entry.file)
            with _opened(self._plan.storage, entry) as source:
                self._plan.verify(entry, source)
                reader = FileReader(source, where, entry.share)
                self._plan.counters.files_read += 1
                for group in range(reader.groups):
                    block = self._group(reader, group, entry)
                    if block is not None:
                        yield block

    def _group(self, reader: FileReader, group: int, entry: Entry) -> Block | None:
        plan = self._plan
        inside = _inside(reader.bounds(group, "ts_ns"), plan.from_ns, plan.to_ns)
        if inside is False or _not_received(reader.bounds(group, "seq"), plan.received):
            plan.counters.groups_skipped += 1
            return None
        names = dict.fromkeys(self.columns)
        if self._keyed:
            names |= dict.fromkeys(_KEY_COLUMNS)
        if self._ranks is not None:
            names |= {"id": None}
        if inside is None:
            names |= {"ts_ns": None}
        if plan.received is not None:
            names |= {"seq": None}
        rows = reader.read(group, tuple(names))
        plan.counters.groups_read += 1
        plan.counters.rows_read += rows.n
        if inside is None or plan.received is not None:
            rows = self._cut(rows, whole=inside is True)
        if plan.received is not None and "filled" in rows.columns:
            rows.columns["filled"] = np.zeros(rows.n, rows["filled"].dtype)
        return self._block(rows.rescale(entry.scales, plan.scales), entry) if rows.n else None

    def _cut(self, rows: Rows, whole: bool) -> Rows:
        """The rows whose exchange time lies in the range (``whole``: all of them do), and which
        the session received."""
        plan = self._plan
        mask = np.ones(rows.n, bool)
        if plan.from_ns is not None and not whole:
            mask &= rows["ts_ns"] >= plan.from_ns
        if plan.to_ns is not None and not whole:
            mask &= rows["ts_ns"] < plan.to_ns
        if plan.received is not None:
            after, upto = plan.received
            mask &= (rows["seq"] > after) & (rows["seq"] <= upto)
        index = np.flatnonzero(mask)
        plan.counters.rows_outside += rows.n - len(index)
        if not len(index):
            return rows.slice(0, 0)
        first, last = int(index[0]), int(index[-1])
        if last - first + 1 == len(index):
            return rows.slice(first, last + 1)
        return rows.take(index)

    def _block(self, rows: Rows, entry: Entry) -> Block:
        wanted = only(rows, self.columns)
        if not self._keyed:
            return Block(wanted)
        due = arrival(rows["ts_ns"], rows["recv_ns"], self._latency_ns)
        merged = self._ranks is not None and self._latency_ns
        arrivals = arrival(rows["ts_ns"], rows["recv_ns"]) if merged else due
        key = running_keys(arrivals, self._last_key)
        self._last_key = int(key[-1])
        if self._ranks is None:
            return Block(wanted, key, rows["seq"])
        file = np.full(rows.n, self._ranks[entry.path], np.int64)
        return Block(wanted, key, rows["seq"], ordinals(rows["id"]), due, file)


class Lanes:
    """Several lanes of one kind as one stream, which reads as one file with their rows would.

    The lanes are merged without latency; it counts only towards the other kinds.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.kind = lanes[0].kind
        self.columns = lanes[0].columns
        self._lanes = lanes
        self._last_key = np.iinfo(np.int64).min
        self._pieces = Merger(lanes, with_ids=True).pieces(group_rows(self.kind))

    def next_block(self) -> Block | None:
        """See :class:`Stream`."""
        piece = next(self._pieces, None)
        if piece is None:
            return None
        block = _woven(piece)
        assert block.due is not None
        block.key = running_keys(block.due, self._last_key)
        self._last_key = int(block.key[-1])
        return block

    def close(self) -> None:
        """See :class:`Stream`."""
        for lane in self._lanes:
            lane.close()


@dataclass(slots=True)
class Piece:
    """The next rows of every stream, and the runs in which they follow each other."""

    parts: list[Block]
    run_stream: np.ndarray
    run_stop: np.ndarray


class Merger:
    """Merges streams, which stand in order of rank, by the total order."""

    def __init__(self, streams: Sequence[Stream], with_ids: bool = False) -> None:
        self._streams = list(streams)
        n = len(self._streams)
        self._with_ids = with_ids
        self._blocks: list[Block] = [Block(nothing(s.kind, s.columns)) for s in self._streams]
        self._keys = np.zeros((n, 0), np.int64)
        self._seqs = np.zeros((n, 0), np.int64)
        self._ids = np.zeros((n, 0), np.int64)
        self._pos = np.zeros(n, np.int64)
        self._stop = np.zeros(n, np.int64)
        self._ended = np.zeros(n, np.int64)
        self._ranks = np.arange(n, dtype=np.int64)

    def pieces(self, max_rows: int) -> Iterator[Piece]:
        """Pieces of up to ``max_rows`` rows in all, until every stream has ended."""
        if len(self._streams) == 1:
            yield from self._alone(max_rows)
            return
        run_stream = np.zeros(max_rows, np.int64)
        run_stop = np.zeros(max_rows, np.int64)
        while self._refill():
            before = self._pos.copy()
            runs = merge_runs(
                self._keys,
                self._seqs,
                self._ids,
                self._ranks,
                self._pos,
                self._stop,
                self._ended,
                max_rows,
                run_stream,
                run_stop,
            )
            parts = [
                cut_block(block, int(start), int(stop))
                for block, start, stop in zip(self._blocks, before, self._pos, strict=True)
            ]
            which = run_stream[:runs].copy()
            yield Piece(parts, which, run_stop[:runs] - before[which])

    def _alone(self, max_rows: int) -> Iterator[Piece]:
        """One stream needs no keys: its stored order is the order."""
        while (block := self._streams[0].next_block()) is not None:
            for start in range(0, block.rows.n, max_rows):
                part = cut_block(block, start, min(start + max_rows, block.rows.n))
                yield Piece([part], np.zeros(1, np.int64), np.array([part.rows.n], np.int64))

    def _refill(self) -> bool:
        """Give every stream that ran dry its next block; False when nothing is left at all."""
        for s, stream in enumerate(self._streams):
            if self._pos[s] < self._stop[s] or self._ended[s]:
                continue
            block = stream.next_block()
            self._pos[s] = self._stop[s] = 0
            if block is None:
                self._ended[s] = 1
                self._blocks[s] = Block(nothing(stream.kind, stream.columns))
            else:
                self._blocks[s] = block
                self._stop[s] = block.rows.n
                self._load(s, block)
        return bool((self._pos < self._stop).any())

    def _load(self, s: int, block: Block) -> None:
        n = block.rows.n
        assert block.key is not None
        assert block.seq is not None
        if n > self._keys.shape[1]:
            self._keys = _wider(self._keys, n)
            self._seqs = _wider(self._seqs, n)
            if self._with_ids:
                self._ids = _wider(self._ids, n)
        self._keys[s, :n] = block.key
        self._seqs[s, :n] = block.seq
        if self._with_ids:
            assert block.ids is not None
            assert block.file is not None
            self._ids[s, :n] = block.ids
            self._ranks[s] = block.file[0]


def stream_of(
    plan: Plan,
    entries: Sequence[Entry],
    columns: Sequence[str],
    latency_ns: int = 0,
    *,
    keyed: bool = False,
    files: bool = False,
) -> Stream:
    """The rows of ``entries`` (files of one kind) as one stream in the total order.

    ``keyed`` gives blocks their keys, for a merge with other kinds; ``files`` says of each row
    which file it came from: its place in the order of (smallest key, path).
    """
    kind = entries[0].kind
    split = lanes_of(entries)
    several = files or len(split) > 1
    ranks = {e.path: i for i, e in enumerate(in_order(entries))} if several else None
    lanes = [Lane(plan, kind, part, columns, latency_ns, keyed, ranks) for part in split]
    return lanes[0] if len(lanes) == 1 else Lanes(lanes)


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Files by their smallest key, then by path: the same for any choice of them."""
    return sorted(entries, key=lambda e: (e.min_key_ns, e.path))


def lanes_of(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Files split into as few lanes as it takes for the key ranges of each to follow each other."""
    lanes: list[list[Entry]] = []
    for entry in in_order(entries):
        for lane in lanes:
            if lane[-1].max_key_ns < entry.min_key_ns:
                lane.append(entry)
                break
        else:
            lanes.append([entry])
    return lanes


def only(rows: Rows, columns: Sequence[str]) -> Rows:
    """The named columns of ``rows``, with the offsets of the list columns among them."""
    names = dict.fromkeys(columns)
    for name in list_columns(rows.kind):
        if name in names:
            names[offsets_name(name)] = None
    return Rows(rows.kind, rows.n, {name: rows.columns[name] for name in names})


def nothing(kind: Kind, columns: Sequence[str]) -> Rows:
    """No rows, with the right columns and dtypes."""
    out: dict[str, np.ndarray] = {}
    for name in columns:
        field = EVENTS[kind].field(name)
        if field.is_list:
            out[offsets_name(name)] = np.zeros(1, np.int64)
        out[name] = np.empty(0, field.dtype)
    return only(Rows(kind, 0, out), columns)


def cut_block(block: Block, start: int, stop: int) -> Block:
    """Rows [start, stop) of ``block`` with what orders them; no values are copied."""

    def cut(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[start:stop]

    stamps = (block.key, block.seq, block.ids, block.due, block.file)
    return Block(block.rows.slice(start, stop), *map(cut, stamps))


def _woven(piece: Piece) -> Block:
    """The rows of a piece, which are of one kind, as one block in the order of its runs."""
    filled = [p for p in piece.parts if p.rows.n]
    if len(filled) == 1:
        return filled[0]
    index = _interleave([p.rows.n for p in piece.parts], piece.run_stream, piece.run_stop)
    rows = concat([p.rows for p in filled]).take(index)
    stamps = [
        np.concatenate([getattr(p, name) for p in filled])[index]
        for name in ("key", "seq", "ids", "due", "file")
    ]
    return Block(rows, *stamps)


def _interleave(sizes: Sequence[int], run_stream: np.ndarray, run_stop: np.ndarray) -> np.ndarray:
    """Index into the concatenation of the parts that follows the runs."""
    base = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    start = np.zeros(len(run_stop), np.int64)
    for stream in range(len(sizes)):
        mine = np.flatnonzero(run_stream == stream)
        start[mine[1:]] = run_stop[mine[:-1]]
    length = run_stop - start
    begins = np.cumsum(length) - length
    return np.repeat(base[run_stream] + start - begins, length) + np.arange(length.sum())


def _wider(values: np.ndarray, capacity: int) -> np.ndarray:
    wide = np.zeros((values.shape[0], capacity), np.int64)
    wide[:, : values.shape[1]] = values
    return wide


def _inside(limits: tuple[int, int] | None, from_ns: int | None, to_ns: int | None) -> bool | None:
    """True when all rows lie in the range, False when none does, None when it has to be seen."""
    if from_ns is None and to_ns is None:
        return True
    if limits is None:
        return None
    low, high = limits
    if (from_ns is not None and high < from_ns) or (to_ns is not None and low >= to_ns):
        return False
    whole = (from_ns is None or low >= from_ns) and (to_ns is None or high < to_ns)
    return True if whole else None


def _not_received(limits: tuple[int, int] | None, received: tuple[int, int] | None) -> bool:
    """True where the smallest and largest ``seq`` say that no row is among those received."""
    if received is None or limits is None:
        return False
    return limits[1] <= received[0] or limits[0] > received[1]


def _opened(storage: Storage, entry: Entry) -> Any:
    try:
        return storage.open_input(entry.file)
    except FileNotFoundError as error:
        raise DataError(
            f"{storage.name(entry.file)} is gone",
            where=storage.name(entry.file),
            why="it was removed while the log was being read",
            do="run the command again",
        ) from error
    except OSError as error:
        raise CorruptFileError(
            f"cannot open {storage.name(entry.file)}", where=entry.file, why=str(error)
        ) from error
