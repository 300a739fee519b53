"""The pump of a session: what a feed hands over goes through the inlet into the journal, one loop.

Owns :class:`Recorder`, which ``ofs record`` runs alone and a paper session runs with a
:class:`Consumer` that folds. What must hold:

* a group is folded only after it was appended to the journal, and its records are appended before
  the next group is; when the journal has no space, everything behind it waits in that order;
* nothing is taken from the feed while something waits or the syncs fall behind, so memory is
  bounded by the feed's queue, whose overflow is an explicit gap;
* a checkpoint stands for everything up to one event: it is cut between two groups, worked on by a
  second thread, and only when it is whole may the journal forget.

It refuses to know what is decided, and who looks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from data.enums import GapReason
from data.errors import JournalFullError, LockedError, OfsError
from data.events import EVENTS
from data.journal import States
from data.journal.files import NO_SPACE
from data.live.blocks import Group
from data.live.clock import SessionClock
from data.live.inlet import RECORDED, Inlet
from data.live.items import Ended, Feed, Frame, Item, Overrun
from data.live.keep import Keeper
from data.live.reopen import CUT, FLOOR, Opened, cut_note, groups_after
from data.log.seal import seal

TAKE_MOST = 8192
"""Items of one turn: at 20,000 a second a turn is a few milliseconds of work."""

BACKLOG_MOST = 500_000
"""Events that may be written and not synced before the pump waits for the disk."""

RENEW_EVERY_NS = 5_000_000_000
"""Monotonic time between two requests to begin streams anew."""

RETRY_S = 0.2
WORK_RETRY_S = 1.0
FILL_RETRY_S = 60.0
"""A fill that meets a locked log or a full disk asks the venue again, so it waits longer."""

CHECKPOINT_SHARE = 4
"""After a checkpoint the next one waits this many times as long as it took, at least."""

SYNC_WAIT_S = 120.0
KEEPER_EVERY_S = 1.0
NOTE_BYTES = 32 << 20
"""After so much of the journal it is noted where the streams stand: a restart reads that much."""

DRAIN_S = 15.0
"""A session that stops waits so long (s) for a log that another process has locked."""


class RecordRows(NamedTuple):
    """Rows of a record table that folding event ``after_seq`` gave, for the journal."""

    series: int
    table: str
    rows: np.ndarray
    after_seq: int


class Consumer(Protocol):
    """Whoever folds what is recorded."""

    def fold(self, group: Group) -> Sequence[RecordRows]:
        """Fold a group that is in the journal; the records that came of it."""

    def cut(self, seq: int) -> Any:
        """What a checkpoint at ``seq`` is made of; called between two groups."""

    def keep(self, seq: int, cut: Any) -> None:
        """Make the checkpoint durable, on another thread; the log is sealed up to ``seq``."""


class Nobody:
    """A recording that nothing is folded of."""

    def fold(self, group: Group) -> Sequence[RecordRows]:
        """Nothing comes of it."""
        return ()

    def cut(self, seq: int) -> None:
        """There is nothing to keep."""

    def keep(self, seq: int, cut: Any) -> None:
        """There is nothing to keep."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When checkpoints come: session time (ns) since the last one, or length of the journal."""

    checkpoint_ns: int = 3_600_000_000_000
    checkpoint_bytes: int = 512 << 20


@dataclass(frozen=True, slots=True)
class Space:
    """What the disk leaves: degradation ``number`` (0: all is recorded), kinds that are left out,
    bytes that the log grows by a day, and its length."""

    number: int = 0
    left_out: tuple[str, ...] = ()
    bytes_per_day: int = 0
    log_bytes: int = 0


class Work:
    """A checkpoint on a second thread; tried again, every ``retry_s`` seconds, while the log is
    locked or the disk is full."""

    def __init__(self, seq: int, work: Callable[[], None], retry_s: float = WORK_RETRY_S) -> None:
        self.seq = seq
        self.tries = 0
        self.last_error = ""
        self.took_s = 0.0
        self._work = work
        self._retry_s = retry_s
        self._error: BaseException | None = None
        self._hurry = threading.Event()
        self._hurried_s = 0.0
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """It is over: whole, or failed for good."""
        return not self._thread.is_alive()

    def result(self, hurry: bool = False, wait_s: float | None = None) -> None:
        """Wait for the end; raises what it failed with. ``hurry``: wait no longer for space, nor
        for another process than DRAIN_S."""
        if hurry:
            self._hurried_s = self._hurried_s or time.monotonic()
            self._hurry.set()
        self._thread.join(wait_s)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        began = time.monotonic()
        while True:
            try:
                self.tries += 1
                self._work()
            except (LockedError, OSError) as error:
                self.last_error = str(error)
                if self._passes(error):
                    continue
                self._error = error
            except BaseException as error:  # noqa: BLE001  reason: it is raised by result()
                self._error = error
            self.took_s = time.monotonic() - began
            return

    def _passes(self, error: LockedError | OSError) -> bool:
        """Wait a moment before the next try; False where there is to be none."""
        locked = isinstance(error, LockedError)
        if not self._hurry.is_set():
            if locked or (isinstance(error, OSError) and error.errno in NO_SPACE):
                self._hurry.wait(self._retry_s)
                return True
            return False
        if locked and time.monotonic() - self._hurried_s < DRAIN_S:
            time.sleep(RETRY_S)
            return True
        return False


class Recorder:
    """One recording; :meth:`step` is one turn of the pump, all on the thread that calls it.

    ``heard`` gets the wall time (ns) from reading to folding of every frame of a turn. ``keeper``
    watches the disk, ``fill`` fetches what the log lacks (on a thread of its own, after a
    checkpoint). ``sleep`` is called where there is nothing to do but to wait.
    """

    def __init__(
        self,
        opened: Opened,
        feed: Feed,
        inlet: Inlet,
        clock: SessionClock,
        *,
        consumer: Consumer | None = None,
        limits: Limits | None = None,
        heard: Callable[[np.ndarray], None] = lambda _ns: None,
        keeper: Keeper | None = None,
        fill: Callable[[], None] | None = None,
        crash_point: Callable[[str], None] = lambda _name: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.opened, self.journal = opened, opened.journal
        self.feed, self.inlet, self.clock = feed, inlet, clock
        self.consumer: Consumer = consumer or Nobody()
        self.limits = limits or Limits()
        self.tally = opened.tally
        self.resume = opened.resume
        self.sealed = opened.sealed
        self.checkpointed = min(opened.sealed, opened.floor)
        self.ended = False
        self.full = ""
        self._was_full = False
        self.level = Space()
        self.read_ns = 0
        self.checkpoints = 0
        self.last_work_error = ""
        self.heard, self._sleep = heard, sleep
        self.wrote: Callable[[int, RecordRows], None] = lambda _mark, _rows: None
        """Hears of records that are written; synced once the journal's mark has reached theirs."""
        self.settle: Callable[[], None] = lambda: None
        """Called when nothing more comes of the feed, before the last checkpoint: what is under way
        elsewhere may end, and be admitted."""
        self._crash_point = crash_point
        self.keeper, self._fill = keeper, fill
        self.fill_error = ""
        self.fill_failures = 0
        self._filling: Work | None = None
        self._filled_gaps = self._filled_checkpoint = 0
        self._keeper_s = 0.0
        self._groups: deque[Group] = deque()
        self._records: deque[RecordRows] = deque()
        self._unsynced: deque[tuple[int, RecordRows]] = deque()
        self._work: Work | None = None
        self._cut_ns = self._noted_bytes = 0
        self._rest_until_s = 0.0
        self._renew_ns = 0

    # -- one turn ---------------------------------------------------------------------------------

    def step(self, wait_s: float = 0.005) -> bool:
        """One turn; False where it could only wait. Errors of feed, journal and checkpoint pass."""
        self._look_at_work()
        self._look_at_fill()
        self._look_at_disk()
        if not self.flow():
            self._sleep(min(RETRY_S, max(wait_s, 0.001)))
            return False
        if self.journal.written_seq - self.journal.synced_seq > BACKLOG_MOST:
            self.journal.wait_synced(self.journal.written_seq - BACKLOG_MOST // 2, wait_s)
            return False
        items = self._take(wait_s)
        self.admit(self.inlet.take(items))
        self.ended = self.ended or any(type(item) is Ended for item in items[-1:])
        self._time(items)
        self._renew()
        self._cut_when_due()
        return bool(items)

    def _take(self, wait_s: float) -> Sequence[Item]:
        """Items of the feed; what it dropped while the disk was full was lost to the disk."""
        items = self.feed.take(TAKE_MOST, wait_s)
        self.read_ns = next((i.mono_ns for i in items if type(i) is Frame), 0)
        if not self._was_full:
            return items
        self._was_full = len(items) >= TAKE_MOST  # what it dropped stands behind what it kept
        return [
            replace(item, reason=GapReason.DISK) if type(item) is Overrun else item
            for item in items
        ]

    def admit(self, group: Group | None) -> None:
        """A group of the inlet goes its way: journal, fold, records."""
        if group is not None:
            self._groups.append(group)
            self.flow()

    def flow(self) -> bool:
        """Append and fold what waits; False while the journal has no space."""
        try:
            while self._records or self._groups:
                while self._records:
                    mark = self.journal.append_records(*self._records[0])
                    self._unsynced.append((mark, self._records.popleft()))
                    self.wrote(*self._unsynced[-1])
                if self._groups:
                    group = self._groups[0]
                    self.journal.append(group)
                    self._groups.popleft()
                    self.tally.follow(group)
                    self.resume.follow(group)
                    self._records.extend(self.consumer.fold(group))
        except JournalFullError as error:
            self.full = str(error)
            self._was_full = True
            return False
        self.full = ""
        return True

    @property
    def states(self) -> States:
        """How far events got."""
        return States(
            self.inlet.next_seq - 1, self.journal.written_seq, self.journal.synced_seq,
            self.sealed, self.checkpointed,
        )  # fmt: skip

    @property
    def settled_seq(self) -> int:
        """Last event that is behind a barrier together with every record that came of it."""
        mark, seq = self.journal.synced_mark, self.journal.synced_seq
        late = next((row for at, row in self._unsynced if at > mark), None)
        row = late or next(iter(self._records), None)
        return seq if row is None else min(seq, row.after_seq - 1)

    def acknowledged(self) -> list[RecordRows]:
        """Records that are behind a barrier by now and were not given out before."""
        found = []
        while self._unsynced and self._unsynced[0][0] <= self.journal.synced_mark:
            found.append(self._unsynced.popleft()[1])
        return found

    def _renew(self) -> None:
        """Ask anew for streams that are of no use, every few seconds while they are."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._renew_ns:
            self._renew_ns = now_ns + RENEW_EVERY_NS
            if stuck := self.inlet.stuck_streams():
                self.feed.renew(stuck)

    def _time(self, items: Sequence[Item]) -> None:
        now_ns = self.clock.mono_ns()
        read = [item.mono_ns for item in items if type(item) is Frame]
        if read:
            self.heard(now_ns - np.array(read, dtype=np.int64))

    # -- checkpoints ------------------------------------------------------------------------------

    def _cut_when_due(self) -> None:
        now_ns, length = self.clock.now(), self.journal.bytes
        self._cut_ns = self._cut_ns or now_ns
        due = now_ns - self._cut_ns >= self.limits.checkpoint_ns
        due = due or length >= self.limits.checkpoint_bytes
        if due and self._work is None and time.monotonic() >= self._rest_until_s:
            self.checkpoint()
        elif abs(length - self._noted_bytes) >= NOTE_BYTES and not self._groups:
            self._noted_bytes = length
            with suppress(JournalFullError):  # a restart then reads more of the journal
                self.journal.note({CUT: self._note()})

    def _note(self) -> dict[str, Any]:
        """Where streams and counts stand, for a restart; it need not read what came before."""
        return cut_note(self.journal.written_seq, self.resume, self.tally)

    def checkpoint(self) -> bool:
        """Begin a checkpoint of everything so far; False where there is nothing new, or something
        waits, or another one is being made."""
        seq = self.journal.written_seq
        if self._work is not None or self._groups or self._records or seq <= self.checkpointed:
            return False
        try:
            self.journal.roll()
            self.journal.note({CUT: self._note()})
        except JournalFullError as error:
            self.full = str(error)
            return False
        self._cut_ns = self.clock.now()
        cut = self.consumer.cut(seq)
        self._work = Work(seq, lambda: self._make(seq, cut))
        return True

    def _make(self, seq: int, cut: Any) -> None:
        """On the second thread: synced, sealed, kept."""
        self._crash_point("cut")
        self.journal.wait_synced(seq, SYNC_WAIT_S)
        o = self.opened
        if seq > self.sealed:
            groups = groups_after(self.journal.folder, self.sealed)
            seal(o.store, o.session, o.series, groups, seq)
            self.sealed = seq
        self._crash_point("sealed")
        self.consumer.keep(seq, cut)
        self._crash_point("kept")
        if self.keeper is not None:
            self.keeper.work(self.clock.now())

    def _look_at_work(self, wait: bool = False, hurry: bool = False) -> None:
        work = self._work
        if work is None:
            return
        self.last_work_error = work.last_error
        if not wait and not work.done:
            return
        work.result(hurry)
        self._work = None
        self.last_work_error = ""
        self.checkpointed = work.seq
        self.checkpoints += 1
        self._rest_until_s = time.monotonic() + CHECKPOINT_SHARE * work.took_s
        try:
            self.journal.note({FLOOR: work.seq})
        except JournalFullError:
            return  # what is sealed is dropped with the next checkpoint
        self.journal.drop(work.seq)

    def _look_at_fill(self) -> None:
        """Fetch what is missing when a checkpoint has sealed new gaps."""
        work = self._filling
        if work is not None and work.done:
            self._filling = None
            self._hear_fill(work, None)
        elif work is not None and work.last_error:
            self.fill_error = work.last_error
        due = self._fill is not None and self.checkpoints != self._filled_checkpoint
        if due and self._filling is None and self.tally.gaps != self._filled_gaps:
            self._begin_fill()

    def _begin_fill(self) -> None:
        assert self._fill is not None
        self._filled_gaps, self._filled_checkpoint = self.tally.gaps, self.checkpoints
        self._filling = Work(self.checkpointed, self._fill, FILL_RETRY_S)

    def _hear_fill(self, work: Work, wait_s: float | None) -> None:
        """What could not be fetched stays a gap: the next checkpoint tries again."""
        try:
            work.result(hurry=True, wait_s=wait_s)
            self.fill_error = ""
        # reason: what is fetched beside a recording, and from whom, must not end it; it is an alarm
        except Exception as error:  # noqa: BLE001
            self.fill_failures += 1
            self.fill_error = str(error) if isinstance(error, OfsError) else repr(error)
            self._filled_gaps = -1

    def last_fill(self, wait_s: float) -> None:
        """At the end: fetch what is missing, for ``wait_s`` seconds at most; ``fill_error`` says
        why not all of it came."""
        if self._fill is None:
            return
        if self._filling is None and self.tally.gaps != self._filled_gaps and self.tally.gaps:
            self._begin_fill()
        if self._filling is not None:
            self._hear_fill(self._filling, wait_s)
            if not self._filling.done:
                self.fill_error = f"the venue took longer than {wait_s:g} s"

    def _look_at_disk(self) -> None:
        """Leave out kinds while the disk is nearly full; what is left out is a gap."""
        now_s = time.monotonic()
        if self.keeper is None or now_s - self._keeper_s < KEEPER_EVERY_S:
            return
        self._keeper_s = now_s
        level, facts = self.keeper.look(self.clock.now()), self.keeper.facts
        left_out = tuple(EVENTS[kind].name for kind in level.left_out)
        self.level = Space(level.number, left_out, facts.day_bytes, facts.log_bytes)
        wanted = RECORDED & level.wanted
        if wanted != self.inlet.wanted:
            self.inlet.wanted = wanted
            self.admit(self.inlet.collect())

    # -- the end ----------------------------------------------------------------------------------

    def drain(self) -> None:
        """Stop the feed, admit what it still holds and what waits, sync, and make a last
        checkpoint. JournalFullError where there is no space for what waits: it was never written,
        so it was never acknowledged."""
        if self.keeper is not None:
            self.keeper.hurry()
        self.feed.stop()
        while self.flow() and (items := self._take(0.0)):
            self.admit(self.inlet.take(items))
            self._time(items)
        self.read_ns = 0  # what comes of the rest was read at no one time
        self.admit(self.inlet.flush())
        if not self.flow():
            raise JournalFullError(
                "the session could not write its last events", where=str(self.journal.folder),
                why=self.full, do="free space and start it again: it resumes where it stands",
            )  # fmt: skip
        self.settle()
        self._look_at_work(wait=True, hurry=True)
        if self.checkpoint():
            self._look_at_work(wait=True, hurry=True)
