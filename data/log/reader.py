"""Streams a range of one symbol's events, several kinds merged by the one total order.

Owns :class:`LogReader` and :class:`Batch`. What must hold: memory does not grow with the range (one
row group a kind and the few batches ahead); the concatenation of the batches does not depend on
``chunk_rows`` or on the second thread; a file is used only when its sha256 is the catalogue's.

It refuses to know who folds the batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.errors import DataError
from data.events import EVENTS, Kind, Scales
from data.log import catalogue as catalogues
from data.log.ahead import ahead as run_ahead
from data.log.arrow import lean_memory
from data.log.beside import Beside
from data.log.columns import larger
from data.log.entry import Entry, hash_entry
from data.log.files import corrupt_file, damaged
from data.log.store import LogStore
from data.log.stream import Counters, Merger, Piece, Plan, Stream, nothing, stream_of
from data.times import format_utc

_SCALED = {
    kind: any(f.unit.removesuffix("[]") in ("price", "qty") for f in table.fields)
    for kind, table in EVENTS.items()
}


@dataclass(slots=True)
class Batch:
    """The next events in total order.

    ``columns[kind]`` holds one C-contiguous, writeable array a column (int64, or int8 for small
    enums and flags), for every kind that was asked for, empty where it has no rows here. A list
    column ``bid_price`` is its values, int64; ``bid_offsets`` and ``ask_offsets`` (int64, one more
    than rows, from 0) say where each row's levels lie.

    Run r is rows [stop of the previous run of the same kind, ``run_stop[r]``) of
    ``columns[run_kind[r]]``; the runs in order are the total order. ``run_kind`` is int8[runs],
    ``run_stop`` int64[runs]. ``rows`` is the number of events of all kinds.
    """

    columns: dict[Kind, dict[str, np.ndarray]]
    run_kind: np.ndarray
    run_stop: np.ndarray
    rows: int


class LogReader:
    """Events of ``venue`` and ``symbol`` with from_ns <= ts_ns < to_ns, as an iterable of batches.

    ``kinds`` names the columns wanted of each kind. ``latency_ns`` is added, by kind, to the
    exchange time of rows without a receive time. A batch has at most ``chunk_rows`` rows. ``ahead``
    decodes on a second thread; ``verify`` checks each file's sha256 before its rows are used.
    ``beside`` are bars of other series, which stand under labels of their own in the columns.
    ``received`` (after, upto) leaves only what a session received, with after < seq <= upto: rows
    that were fetched later do not count, nor that a gap was filled later.

    ``second`` is another series (venue, symbol) and the kinds, of those in ``kinds``, that are read
    of it and not of the first: events of both are merged by the one total order.

    ``scales`` is the largest scale among the files, to which all rows are raised; ``entries`` are
    the files of the range, ``market_entries`` those without the series beside; ``counters`` tells
    what the last pass read and skipped. It can be iterated again and again.

    DataError where the log has nothing of these kinds in the range; CorruptFileError, while
    iterating or here, where a file is not what was written.
    """

    def __init__(
        self,
        store: LogStore,
        venue: str,
        symbol: str,
        kinds: Mapping[Kind, Sequence[str]],
        from_ns: int | None = None,
        to_ns: int | None = None,
        latency_ns: Mapping[Kind, int] | None = None,
        chunk_rows: int = 65_536,
        ahead: bool = True,
        verify: bool = True,
        beside: Sequence[Beside] = (),
        received: tuple[int, int] | None = None,
        second: tuple[tuple[str, str], Collection[Kind]] | None = None,
    ) -> None:
        if chunk_rows < 1:
            raise ValueError(f"chunk_rows must be positive, got {chunk_rows}")
        lean_memory()
        self._store = store
        self._kinds = {kind: tuple(kinds[kind]) for kind in sorted(kinds)}
        for kind, names in self._kinds.items():
            for name in names:
                EVENTS[kind].field(name)
        self.venue, self.symbol = venue, symbol
        self.beside = tuple(beside)
        self.from_ns, self.to_ns = from_ns, to_ns
        self._latency_ns = dict(latency_ns or {})
        self._chunk_rows = chunk_rows
        self._ahead = ahead
        self._verify = verify
        self.received = received
        self.counters = Counters()
        self.second = second
        found = store.catalogue()
        self.market_entries = []
        for series, mine in self._shares():
            self._refuse_broken(found, series, mine, (from_ns, to_ns))
            self.market_entries += found.select(mine, *series, from_ns, to_ns)
        if not self.market_entries:
            raise _nothing_there(found, self)
        self.scales = _largest(self.market_entries)
        self._beside = [self._place(found, b) for b in self.beside]
        self.entries = [*self.market_entries, *(e for _, more, _ in self._beside for e in more)]

    def content_hash(self) -> str:
        """Hex sha256 over the range and over path and sha256 of every file in it."""
        facts = [self.venue, self.symbol, str(self.from_ns), str(self.to_ns)]
        facts += self.second[0] if self.second is not None else ()
        facts += [f"{e.path} {e.sha256}" for e in sorted(self.entries, key=lambda e: e.path)]
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()

    def _shares(self) -> list[tuple[tuple[str, str], list[Kind]]]:
        """Each series with the kinds that are read of it."""
        first = self.venue, self.symbol
        if self.second is None:
            return [(first, list(self._kinds))]
        other, kinds = self.second
        return [
            (first, [k for k in self._kinds if k not in kinds]),
            (other, [k for k in self._kinds if k in kinds]),
        ]

    def __iter__(self) -> Iterator[Batch]:
        """A fresh pass. Closing it early stops the decoding thread."""
        self.counters = Counters()
        return run_ahead(self._batches) if self._ahead else self._batches()

    def _batches(self) -> Iterator[Batch]:
        streams = self._streams()
        market = len(streams) - len(self.beside)
        labels = [s.kind for s in streams[:market]] + [b.label for b in self.beside]
        rest = {k: names for k, names in self._kinds.items() if k not in labels}
        try:
            for piece in Merger(streams).pieces(self._chunk_rows):
                yield _batch(piece, labels, rest)
        finally:
            for stream in streams:
                stream.close()

    def _streams(self) -> list[Stream]:
        """One stream a kind in order of rank, then one for each series beside."""
        by_kind: dict[Kind, list[Entry]] = {}
        for entry in self.market_entries:
            by_kind.setdefault(entry.kind, []).append(entry)
        keyed = len(by_kind) + len(self.beside) > 1
        plan = self._plan(self.scales, self.from_ns, self.to_ns)
        streams = [
            stream_of(plan, by_kind[k], self._kinds[k], self._latency_ns.get(k, 0), keyed=keyed)
            for k in sorted(by_kind)
        ]
        for b, entries, span in self._beside:
            plan = self._plan(b.scales(entries), *span)
            streams.append(stream_of(plan, entries, b.columns, b.latency_ns, keyed=keyed))
        return streams

    def _place(
        self, found: catalogues.Catalogue, b: Beside
    ) -> tuple[Beside, list[Entry], tuple[int, int]]:
        """A series beside, with its files and its span."""
        span = b.span(self.market_entries, self.from_ns, self.to_ns)
        self._refuse_broken(found, (b.venue, b.symbol), (Kind.BAR,), span)
        return b, b.entries(found, self._store.storage.where, span), span

    def _plan(self, scales: Scales, from_ns: int | None, to_ns: int | None) -> Plan:
        check = self._check if self._verify else _trust
        return Plan(
            self._store.storage, check, scales, from_ns, to_ns, self.counters, self.received
        )

    def _check(self, entry: Entry, source: Any) -> None:
        """CorruptFileError unless the bytes of ``source`` are those that were written."""
        storage = self._store.storage
        fact = storage.fact(entry.file)
        if fact is not None and fact.mtime_ns and self._store.verified.get(entry.path) == fact:
            return
        where = storage.name(entry.file)
        with corrupt_file(where):
            found = hash_entry(source, entry)
            source.seek(0)
        if found != entry.sha256:
            raise self._differs(entry, where, found)
        if fact is not None:
            self._store.verified[entry.path] = fact

    def _differs(self, entry: Entry, where: str, found: str) -> DataError:
        now = catalogues.load(self._store.storage)
        current = now.select([entry.kind], entry.venue, entry.symbol) if now else []
        if any(e.path == entry.path and e.sha256 == found for e in current):
            return DataError(
                f"{where} was replaced by an import or a compaction while it was being read",
                where=where,
                do="run the command again",
            )
        return damaged(where, f"its sha256 is {found}, the catalogue says {entry.sha256}")

    def _refuse_broken(
        self,
        found: catalogues.Catalogue,
        series: tuple[str, str],
        kinds: Collection[Kind],
        span: tuple[int | None, int | None],
    ) -> None:
        """A broken file of this series in the range is an error, not a hole in the result."""
        for broken in found.broken:
            concerned = any(broken.concerns(kind, *series) for kind in kinds)
            if concerned and broken.touches(*span):
                raise catalogues.broken_error(self._store.storage, broken)


def _trust(entry: Entry, source: Any) -> None:
    """Takes a file as it is."""


def _largest(entries: Sequence[Entry]) -> Scales:
    scaled = [e.scales for e in entries if _SCALED[e.kind]] or [e.scales for e in entries]
    result = scaled[0]
    for scales in scaled[1:]:
        result = larger(result, scales)
    return result


def _batch(piece: Piece, labels: Sequence[Kind], rest: Mapping[Kind, Sequence[str]]) -> Batch:
    columns = {label: part.rows.columns for label, part in zip(labels, piece.parts, strict=True)}
    for kind, names in rest.items():
        columns[kind] = nothing(kind, names).columns
    rows = sum(part.rows.n for part in piece.parts)
    return Batch(columns, np.array(labels, np.int8)[piece.run_stream], piece.run_stop, rows)


def _nothing_there(found: catalogues.Catalogue, reader: LogReader) -> DataError:
    known = sorted({(s.venue, s.symbol) for s in found.series()})
    there = ", ".join(f"{venue} {symbol}" for venue, symbol in known[:10]) or "nothing"
    names = ", ".join(EVENTS[kind].name for kind in reader._kinds)
    mine = [
        e
        for e in found.entries
        if (e.venue, e.symbol) == (reader.venue, reader.symbol) and e.kind in reader._kinds
    ]
    if mine:
        first, last = min(e.min_ts_ns for e in mine), max(e.max_ts_ns for e in mine)
        return DataError(
            f"the log has no {names} of {reader.venue} {reader.symbol} in the range",
            where=reader._store.storage.where,
            why=f"what it has lies between {format_utc(first)} and {format_utc(last)}",
            do="move --from and --to; ofs log ls shows what is there",
        )
    return DataError(
        f"the log has no {names} of {reader.venue} {reader.symbol} in the range",
        where=reader._store.storage.where,
        why=f"it holds {there}" + (" and more" if len(known) > 10 else ""),
        do="see what is there with ofs log ls, or import the data first",
    )
