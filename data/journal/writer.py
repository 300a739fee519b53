"""The one writer of a journal: appends groups, and puts them behind a barrier many at a time.

Owns :class:`Journal` and its sync thread. What must hold:

* ``synced_seq`` covers an event only when its bytes, those of everything before it and the name of
  its file are behind a barrier;
* a segment is synced whole before the next one exists;
* a sync that fails is never tried again: from then on everything raises JournalError;
* a write that fails leaves the journal as it was.

A write waits for the operating system's cache, not for the disk; only the change of segments waits
for one sync. It refuses to know what the events mean.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import JournalError, JournalFullError, OfsError
from data.events import RECORD_VERSION, SCHEMA_VERSION
from data.journal.files import Files
from data.journal.frames import (
    Payload,
    Type,
    events_payload,
    json_payload,
    records_payload,
    series_to_json,
)
from data.journal.lock import WriterLock
from data.journal.recover import CLEAN_STOP, Recovered, Segment, recover
from data.journal.segment import Tail, failure
from data.live.blocks import Group, Series

SEGMENT_BYTES = 64 << 20
_SYNCS_KEPT = 4_096
"""Durations of so many syncs make the percentiles."""


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """Of this process: barriers, how long they took (ms), frames and bytes written."""

    syncs: int
    sync_p50_ms: float
    sync_p99_ms: float
    frames: int
    bytes: int


def _nobody(_seq: int, _mark: int) -> None:
    """Nobody wants to know what was synced."""


@dataclass(frozen=True, slots=True)
class _Point:
    """How far was written when a sync began."""

    tail: Tail
    size: int
    seq: int
    mark: int


class Journal:
    """A journal that this process writes; made by :meth:`open`.

    One thread appends; the others may ask, wait, roll and drop.
    """

    def __init__(
        self,
        folder: Path,
        files: Files,
        lock: WriterLock,
        recovered: Recovered,
        after_seq: int,
        sync_s: float,
        sync_events: int,
        segment_bytes: int,
        mono_ns: Callable[[], int],
        wall_ns: Callable[[], int],
    ) -> None:
        self.folder = folder
        self.recovered = recovered
        self.on_synced: Callable[[int, int], None] = _nobody
        """Called after each barrier, on the thread that had it, with ``synced_seq`` and
        ``synced_mark`` as they then stand; it must neither block nor raise."""
        self._files, self._lock = files, lock
        self._sync_s, self._sync_events = sync_s, sync_events
        self._segment_bytes = segment_bytes
        self._mono_ns, self._wall_ns = mono_ns, wall_ns
        self._series = list(recovered.series)
        self._notes = dict(recovered.notes)
        self._last_recv_ns = recovered.last_recv_ns
        self._written_seq = self._synced_seq = max(recovered.last_seq, after_seq)
        self._written_mark = self._synced_mark = 0
        self._frames = 0
        self._dirty_since_s = 0.0
        self._urgent = self._stopping = False
        self._failed: JournalError | None = None
        self._syncs_ms: deque[float] = deque(maxlen=_SYNCS_KEPT)
        self._syncs = 0
        self._barrier = threading.RLock()
        """Held by who syncs or changes segments; taken before ``_state``."""
        self._state = threading.Condition()
        """Guards everything above; told of what was written and synced."""
        self._closed = list(recovered.segments)
        number = self._closed[-1].number + 1 if self._closed else 1
        self._tail = self._begin(number, recovered.link)
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        files: Files | None = None,
        sync_ms: float = 10,
        sync_events: int = 4096,
        segment_bytes: int = SEGMENT_BYTES,
        after_seq: int = 0,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> Journal:
        """Become the writer of ``folder`` (made if missing), recover what it holds, go on.

        A sync begins ``sync_ms`` after the first event that waits for it, or when ``sync_events``
        do. A segment that reached ``segment_bytes`` (below 2 GiB) is followed by a new one. Events
        up to ``after_seq`` are known from elsewhere: the next one has a higher number even where
        the journal lacks them. ``mono_ns`` and ``wall_ns`` are the clocks of the frames' headers.

        LockedError where another process writes, CorruptFileError where what had been synced is
        damaged, JournalFullError where there is no space, JournalError where the disk fails.
        """
        assert 0 < segment_bytes < 1 << 31
        where, disk = Path(folder), files or Files()
        disk.make_dir(where)
        lock = WriterLock(where)
        try:
            try:
                recovered = recover(where, disk)
            except OSError as error:
                raise failure(error, where) from error
            journal = cls(
                where, disk, lock, recovered, after_seq,
                sync_ms / 1e3, sync_events, segment_bytes, mono_ns, wall_ns,
            )  # fmt: skip
            journal.sync()
        except BaseException:
            lock.release()
            raise
        journal._thread.start()
        return journal

    @property
    def written_seq(self) -> int:
        """Last event handed to the operating system."""
        return self._written_seq

    @property
    def synced_seq(self) -> int:
        """Last event behind a barrier: the last one that may be called acknowledged."""
        return self._synced_seq

    @property
    def synced_mark(self) -> int:
        """Frames up to this mark (see :meth:`append_records`) are behind a barrier."""
        return self._synced_mark

    @property
    def bytes(self) -> int:
        """Length of all segments together."""
        with self._state:
            return sum(s.bytes for s in self._closed) + self._tail.size

    @property
    def facts(self) -> JournalFacts:
        """Figures of this process so far; the percentiles are of the last 4,096 syncs."""
        with self._state:
            took = np.array(self._syncs_ms or [0.0])
            p50, p99 = np.percentile(took, (50, 99)).tolist()
            return JournalFacts(self._syncs, p50, p99, self._frames, self._written_mark)

    def append(self, group: Group) -> int:
        """Write a group, whose first event follows the last one written; its mark.

        JournalFullError where there is no space: nothing was written, and the same numbers are
        expected again. JournalError where the journal is broken.
        """
        assert group.events and group.first_seq == self._written_seq + 1, (
            "events must follow each other"
        )
        top = max(int(part.series.max()) for part in group.parts.values())
        assert top < len(self._series), "the table of series must be set before its events"
        payload = events_payload(group)
        recv_ns = max(int(part.rows["recv_ns"][-1]) for part in group.parts.values())
        self._make_room()
        with self._state:
            mark = self._write(payload)
            self._written_seq = group.last_seq
            self._last_recv_ns = max(self._last_recv_ns, recv_ns)
            if self._written_seq - self._synced_seq >= self._sync_events:
                self._state.notify_all()
        return mark

    def append_records(self, series: int, table: str, rows: np.ndarray, after_seq: int) -> int:
        """Write rows of the record table ``table`` (of :data:`data.events.RECORDS`, structured)
        that folding event ``after_seq`` of a series gave; their mark: they are synced once
        :attr:`synced_mark` has reached it. Errors as :meth:`append`."""
        payload = records_payload(series, table, rows, after_seq)
        self._make_room()
        with self._state:
            return self._write(payload)

    def set_series(self, series: Sequence[Series]) -> None:
        """The table of series; it may only grow. Errors as :meth:`append`."""
        assert list(series[: len(self._series)]) == self._series, "a series keeps its number"
        if len(series) == len(self._series):
            return
        with self._state:
            before, self._series = self._series, list(series)
            try:
                self._write(self._head())
            except OfsError:
                self._series = before
                raise

    def note(self, facts: dict[str, Any]) -> int:
        """Keep a few small facts (JSON) by key, also when segments are dropped; their mark.
        Errors as :meth:`append`."""
        with self._state:
            mark = self._write(json_payload(Type.NOTE, self._written_seq + 1, facts))
            self._notes |= facts
        return mark

    def sync(self) -> None:
        """Put everything that is written behind a barrier; JournalError where that fails."""
        with self._barrier:
            with self._state:
                self._raise_if_failed()
                point = self._point()
            self._put_behind(point)

    def hurry(self) -> None:
        """Have a barrier for what is written as soon as can be, without waiting for it: an order
        must not wait for the next one that comes by itself."""
        with self._state:
            if self._written_mark != self._synced_mark:
                self._urgent = True
                self._state.notify_all()

    def wait_synced(self, seq: int, timeout_s: float) -> bool:
        """Wait until event ``seq`` is behind a barrier, and have one at once where it is not;
        False where that took longer. JournalError where it can never be."""
        with self._state:
            if self._synced_seq < seq:
                self._urgent = True
                self._state.notify_all()
            done = self._state.wait_for(
                lambda: self._synced_seq >= seq or self._failed is not None, timeout_s
            )
            if self._synced_seq < seq:
                self._raise_if_failed()
            return done

    def roll(self) -> list[Segment]:
        """End the segment, synced, and begin another; all that are ended and not dropped.

        One that holds nothing but its head goes on. JournalFullError where there is no space for
        a new one: the old one goes on.
        """
        with self._barrier, self._state:
            self._raise_if_failed()
            old = self._tail
            if old.size > old.head_bytes:
                self._put_behind(self._point())
                try:
                    self._tail = self._begin(old.number + 1, old.link)
                except JournalError as error:
                    self._fail(error)
                    raise
                old.close()
                last = self._tail.first_seq - 1
                self._closed.append(Segment(old.number, old.path, old.first_seq, last, old.size))
            return list(self._closed)

    def drop(self, upto_seq: int) -> list[Segment]:
        """Remove ended segments all of whose events are ``<= upto_seq``, oldest first; which.

        JournalError where the disk fails.
        """
        gone: list[Segment] = []
        with self._state:
            due = [s for s in self._closed if s.last_seq <= upto_seq]
        if due:
            self.sync()  # the head of the segment being written must stand before they go
        for segment in due:
            try:
                self._files.remove(segment.path)
                # one by one: after a crash no segment is missing between two that are there
                self._files.fsync_dir(self.folder)
            except OSError as error:
                raise self._broken("a segment cannot be dropped", segment.path, error) from error
            with self._state:
                self._closed.remove(segment)
            gone.append(segment)
        return gone

    def close(self, clean: bool = True) -> None:
        """Stop; ``clean`` syncs everything and says so in a last note. JournalError where that
        fails; the lock is given back either way. Closing twice does nothing."""
        if self._stopping:
            return
        try:
            if clean:
                self._say_clean()
                self.sync()
        finally:
            with self._state:
                self._stopping = True
                self._state.notify_all()
            self._thread.join()
            self._tail.close()
            self._lock.release()

    def _say_clean(self) -> None:
        # without space the next start recovers as from a kill: all events are there
        with self._state, suppress(JournalFullError):
            self._write(json_payload(Type.NOTE, self._written_seq + 1, CLEAN_STOP))

    def _make_room(self) -> None:
        if self._tail.size >= self._segment_bytes:
            self.roll()

    def _begin(self, number: int, link: int) -> Tail:
        """A new segment with its head, not synced yet."""
        tail = Tail(self._files, self.folder, number, self._written_seq + 1, link)
        try:
            tail.append(self._head(), self._wall_ns(), self._mono_ns())
        except OfsError:
            tail.remove()
            raise
        tail.head_bytes = tail.size
        return tail

    def _head(self) -> Payload:
        facts = {
            "schema": SCHEMA_VERSION,
            "records": RECORD_VERSION,
            "series": series_to_json(self._series),
            "notes": self._notes,
            "recv_ns": self._last_recv_ns,
        }
        return json_payload(Type.SERIES, self._written_seq + 1, facts)

    def _write(self, payload: Payload) -> int:
        """Append a frame, ``_state`` held; the mark behind it."""
        self._raise_if_failed()
        try:
            taken = self._tail.append(payload, self._wall_ns(), self._mono_ns())
        except JournalError as error:
            self._fail(error)
            raise
        if self._written_mark == self._synced_mark:
            self._dirty_since_s = time.monotonic()
            self._state.notify_all()
        self._written_mark += taken
        self._frames += 1
        return self._written_mark

    def _point(self) -> _Point:
        return _Point(self._tail, self._tail.size, self._written_seq, self._written_mark)

    def _put_behind(self, point: _Point) -> None:
        """Sync up to ``point``, ``_barrier`` held."""
        began_s = time.monotonic()
        try:
            point.tail.sync()
        except OSError as error:
            raise self._broken("the journal cannot be synced", point.tail.path, error) from error
        with self._state:
            self._syncs += 1
            self._syncs_ms.append((time.monotonic() - began_s) * 1e3)
            point.tail.synced = point.size
            self._synced_seq = point.seq
            self._synced_mark = point.mark
            self._dirty_since_s = began_s  # what was written meanwhile waits since then at most
            self._state.notify_all()
        self.on_synced(point.seq, point.mark)

    def _broken(self, what: str, path: Path, error: OSError) -> JournalError:
        """The error that ends this journal, for good."""
        do = "see to the disk, then start again: what was synced is safe"
        broken = JournalError(what, where=str(path), why=str(error), do=do)
        with self._state:
            self._fail(broken)
        return broken

    def _fail(self, error: JournalError) -> None:
        self._failed = self._failed or error
        self._state.notify_all()

    def _raise_if_failed(self) -> None:
        if self._failed is not None:
            was = self._failed
            raise JournalError(was.what, where=was.where, why=was.why, do=was.do) from was

    def _run(self) -> None:
        """The sync thread: a barrier whenever something waited long enough."""
        while self._wait_until_due():
            try:
                self.sync()
            except JournalError:
                return  # kept in _failed: whoever appends or waits next is told

    def _wait_until_due(self) -> bool:
        """Wait for something to sync, and until it is time; False when there is nothing to wait
        for any more."""
        with self._state:
            self._state.wait_for(lambda: self._over or self._written_mark != self._synced_mark)
            due_s = self._dirty_since_s + self._sync_s
            self._state.wait_for(lambda: self._over or self._hurry, due_s - time.monotonic())
            self._urgent = False
            return not self._over

    @property
    def _over(self) -> bool:
        return self._stopping or self._failed is not None

    @property
    def _hurry(self) -> bool:
        return self._urgent or self._written_seq - self._synced_seq >= self._sync_events
