"""Sealing: the events of a session leave its journal and become files of the log.

Owns :func:`seal` and the note of how far a session is sealed. What must hold:

* an event is sealed once: the note changes in the commit in which the files appear, and what it
  covers is left out of the next call, so a process that died before it dropped its journal seals
  nothing twice;
* no event is skipped: groups go on where the note ends, without a hole, up to the number asked for;
* memory does not grow with the number of events: what waits is written out, the largest kind
  first, when it holds more than a fixed number of bytes.

It refuses to know where groups come from. Rows without a receive time are no session's: they are
merged (:meth:`data.log.transaction.Transaction.merge`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from data.errors import DataError
from data.events import EVENTS, Kind
from data.live.blocks import Group, Part, Series
from data.log.columns import Rows, concat
from data.log.entry import DAY_NS, SEALED, check_name, date_of
from data.log.files import damaged, group_rows
from data.log.sealed import SharedWriter, shared_path, shares_of
from data.log.storage import Storage
from data.log.store import LogStore
from data.log.transaction import Transaction

HOLD_BYTES = 128 << 20
"""Decoded rows that may wait before row groups are written."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one :func:`seal` did; ``rows`` is 0 where everything was sealed before.

    ``last_seq`` is how far the session is sealed now, ``last_recv_ns`` the receive time of the
    last event that this call sealed (0 where none), ``bytes`` those of the new ``files``.
    """

    session_id: str
    first_seq: int
    last_seq: int
    rows: int
    bytes: int
    last_recv_ns: int
    files: tuple[str, ...]


def sealed_upto(store: LogStore, session_id: str) -> int:
    """The ``seq`` of the last event of the session that stands sealed in the log; 0 where none.

    DataError where the note of it cannot be read.
    """
    store.catalogue()  # finishes a commit whose process died
    return _upto(store.storage, session_id)


def seal(
    store: LogStore,
    session_id: str,
    series: Sequence[Series],
    groups: Iterable[Group],
    upto_seq: int,
    hold_bytes: int = HOLD_BYTES,
) -> Sealed:
    """Write the events of ``groups`` up to ``upto_seq`` into one file a kind, venue and UTC date.

    ``groups`` follow each other and begin at or before the first event that is not sealed;
    ``series`` are all instruments of the session. When this returns, the files are durable and
    visible and :func:`sealed_upto` says so. Calling it again for what is sealed does nothing.
    DataError where events are missing or out of order, LockedError where another process writes.
    """
    check_name("session", session_id)
    with store.transaction() as tx:
        done = _upto(store.storage, session_id)
        if upto_seq <= done:
            return Sealed(session_id, done + 1, done, 0, 0, 0, ())
        name = f"{session_id}-{done + 1}-{upto_seq}"
        with _Files(store.storage, tx, series, name, hold_bytes) as files:
            for group in _wanted(groups, session_id, done, upto_seq):
                files.take(group)
            files.write_all()
        sizes = files.add_to(tx)
        note = tx.staged("json")
        store.storage.write_bytes(note, json.dumps({"upto_seq": upto_seq}).encode())
        tx.add(note, _note_path(session_id))
    rows, last_recv_ns = upto_seq - done, files.last_recv_ns
    return Sealed(
        session_id, done + 1, upto_seq, rows, sum(sizes.values()), last_recv_ns, tuple(sizes)
    )


def _note_path(session_id: str) -> str:
    return f"{SEALED}/_sessions/{session_id}.json"


def _upto(storage: Storage, session_id: str) -> int:
    path = _note_path(session_id)
    if storage.fact(path) is None:
        return 0
    try:
        upto = json.loads(storage.read_bytes(path))["upto_seq"]
        if not isinstance(upto, int):
            raise ValueError(f"upto_seq is {upto!r}")
    except (ValueError, KeyError, TypeError) as error:
        do = "restore it from a copy; without it events of the session could be sealed twice"
        raise damaged(storage.name(path), str(error), do) from error
    return upto


def _wanted(groups: Iterable[Group], session_id: str, done: int, upto: int) -> Iterator[Group]:
    """The events done < seq <= upto of groups; DataError where one is missing."""
    at = done
    for group in groups:
        if group.last_seq <= at:
            continue
        if group.first_seq > at + 1:
            raise _missing(session_id, at + 1, group.first_seq - 1)
        stop = min(group.last_seq, upto)
        yield _cut(group, at + 1, stop)
        at = stop
        if at == upto:
            return
    raise _missing(session_id, at + 1, upto)


def _missing(session_id: str, first: int, last: int) -> DataError:
    return DataError(
        f"events {first} to {last} of session {session_id} are missing",
        why="they are neither sealed nor in what was handed over",
        do="nothing was sealed; keep the journal of the session and report this",
    )


def _cut(group: Group, first: int, last: int) -> Group:
    if (first, last) == (group.first_seq, group.last_seq):
        return group
    parts = {}
    for kind, part in group.parts.items():
        seq = part.rows["seq"]
        start, stop = np.searchsorted(seq, (first, last + 1)).tolist()
        if start < stop:
            parts[kind] = Part(part.series[start:stop], part.rows.slice(start, stop))
    return Group(first, last, parts)


class _Files:
    """The files of one sealing while they are written; a context manager around that."""

    def __init__(
        self,
        storage: Storage,
        tx: Transaction,
        series: Sequence[Series],
        name: str,
        hold_bytes: int,
    ) -> None:
        self.last_recv_ns = 0
        self._storage, self._tx = storage, tx
        self._series, self._name = list(series), name
        self._room = hold_bytes
        self._parts: dict[Kind, list[Part]] = {}
        self._bytes: dict[Kind, int] = {}
        self._last: dict[Kind, tuple[int, int]] = {}
        self._open: dict[str, tuple[str, SharedWriter]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> _Files:
        """Nothing is open yet."""
        self._stack.__enter__()
        return self

    def __exit__(self, *facts: object) -> None:
        """Close every file (with its footer unless there was an error)."""
        self._stack.__exit__(*facts)  # type: ignore[arg-type]

    def take(self, group: Group) -> None:
        """Hold the events of a group, and write the kind that holds most where there are many."""
        for kind, part in group.parts.items():
            if not part.rows.n:
                continue
            self._parts.setdefault(kind, []).append(part)
            size = sum(values.nbytes for values in part.rows.columns.values())
            self._bytes[kind] = self._bytes.get(kind, 0) + size
        while sum(self._bytes.values()) > self._room:
            self._write(max(self._bytes, key=lambda kind: self._bytes[kind]))

    def write_all(self) -> None:
        """Write everything that waits."""
        for kind in sorted(self._bytes):
            self._write(kind)

    def add_to(self, tx: Transaction) -> dict[str, int]:
        """Hand the closed files to the transaction; their paths and sizes in bytes."""
        sizes = {}
        for path, (staged, writer) in self._open.items():
            self._storage.sync(staged)
            entries = shares_of(self._storage, staged, path, writer.builders)
            tx.add(staged, path, entries)
            sizes[path] = entries[0].file_bytes
        return sizes

    def _write(self, kind: Kind) -> None:
        parts = self._parts.pop(kind)
        del self._bytes[kind]
        series = np.concatenate([p.series for p in parts])
        rows = concat([p.rows for p in parts])
        recv = rows["recv_ns"]
        self._check(kind, rows)
        self.last_recv_ns = max(self.last_recv_ns, int(recv[-1]))
        days = recv // DAY_NS
        edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), rows.n]
        for start, stop in pairwise(edges):
            date = date_of(int(days[start]))
            self._write_day(kind, date, series[start:stop], rows.slice(start, stop))

    def _check(self, kind: Kind, rows: Rows) -> None:
        """The order of a session's rows is their total order; DataError where it is not."""
        recv, seq = rows["recv_ns"], rows["seq"]
        last_recv, last_seq = self._last.get(kind, (1, 0))
        rising = bool((np.diff(seq) > 0).all() and (np.diff(recv) >= 0).all())
        if not rising or int(recv[0]) < last_recv or int(seq[0]) <= last_seq:
            raise DataError(
                f"the {EVENTS[kind].name} events of a session are not in the order of arrival",
                why="a receive time or a sequence number falls, or there is none",
                do="nothing was sealed; keep the journal of the session and report this",
            )
        self._last[kind] = int(recv[-1]), int(seq[-1])

    def _write_day(self, kind: Kind, date: str, series: np.ndarray, rows: Rows) -> None:
        order = np.argsort(series, kind="stable")
        numbers, starts = np.unique(series[order], return_index=True)
        stops = [*starts[1:].tolist(), rows.n]
        size = group_rows(kind)
        for number, start, stop in zip(numbers.tolist(), starts.tolist(), stops, strict=True):
            of = self._series[number]
            writer = self._writer(kind, of.venue, date)
            for first in range(start, stop, size):
                piece = rows.take(order[first : min(first + size, stop)])
                writer.write(of.symbol, of.scales, piece)

    def _writer(self, kind: Kind, venue: str, date: str) -> SharedWriter:
        path = shared_path(kind, venue, date, self._name)
        if path not in self._open:
            staged = self._tx.staged("parquet")
            sink = self._storage.open_output(staged)
            writer = self._stack.enter_context(SharedWriter(sink, kind, venue, path))
            self._open[path] = staged, writer
        return self._open[path][1]
