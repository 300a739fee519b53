"""Opening the journal of a session, new or left behind, and learning where it stood.

Owns where journals lie (``<log>/_live/<session id>``), the one recorder a log may have, and
:class:`Opened`. What must hold: the next event follows the last one that is on the disk, sealed or
not, without a hole; what the streams had said last is known up to that event.

It refuses to know what the events mean to a fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import LockedError
from data.journal import Events, Journal, look, read_frames
from data.journal.lock import WriterLock
from data.journal.recover import remove
from data.live.blocks import Group, Series
from data.live.resume import Resume
from data.live.tally import Tally
from data.log import LogStore
from data.log.seal import seal, sealed_upto

LIVE = "_live"
CUT = "cut"
FLOOR = "floor"


@dataclass
class Opened:
    """A session's log and journal, ready to go on.

    ``sealed`` is the last event in Parquet, ``cut`` the one that ``resume`` of the last checkpoint
    stands for, ``floor`` the last event that the journal may lack. ``fresh`` says that nothing was
    ever recorded. ``lock`` is the log's.
    """

    store: LogStore
    journal: Journal
    session: str
    series: list[Series]
    sealed: int
    floor: int
    resume: Resume
    tally: Tally
    fresh: bool
    lock: WriterLock

    @property
    def last_seq(self) -> int:
        """The last event on the disk."""
        return self.journal.written_seq

    @property
    def last_recv_ns(self) -> int:
        """Receive time of it, ns UTC; 0 where there is none."""
        return self.journal.recovered.last_recv_ns

    def forget(self) -> None:
        """Remove the journal of a session that is over, closed, and sealed whole."""
        with suppress(OSError):  # the next recording into this log removes what is left of it
            remove(self.journal.folder)

    def close(self, clean: bool) -> None:
        """Close the journal and give back the locks."""
        try:
            self.journal.close(clean)
        finally:
            self.lock.release()


def live_folder(log: Path) -> Path:
    """Where the journals of a log lie."""
    return log / LIVE


def left_behind(log: Path) -> list[str]:
    """Ids of the sessions whose journals are still there, oldest first."""
    folder = live_folder(log)
    return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def groups_after(folder: Path, after_seq: int) -> Iterator[Group]:
    """Groups of a journal with the events ``seq > after_seq``."""
    for frame in read_frames(folder, after_seq):
        if isinstance(frame, Events):
            yield frame.group


def reopen(log: Path, session: str, series: Sequence[Series], **options: Any) -> Opened:
    """Open (or begin) the journal of ``session`` in the log at ``log``.

    ``series`` are the instruments; those that the journal knows keep their numbers and scales.
    ``options`` go to :meth:`Journal.open`. LockedError where another process records into the log.
    """
    store = LogStore(log, create=True)
    folder = live_folder(log) / session
    live_folder(log).mkdir(parents=True, exist_ok=True)
    lock = _lock(live_folder(log))
    try:
        folder.mkdir(exist_ok=True)
        sealed = sealed_upto(store, session)
        journal = Journal.open(folder, after_seq=sealed, **options)
        try:
            return _opened(store, journal, session, series, sealed, lock)
        except BaseException:
            journal.close(clean=False)
            raise
    except BaseException:
        lock.release()
        raise


def _lock(folder: Path) -> WriterLock:
    try:
        return WriterLock(folder)
    except LockedError as error:
        raise LockedError(
            "another process records into this log",
            where=str(folder), why=error.why or error.what,
            do="stop it; or record into another log, or begin another paper session with --new",
        ) from error  # fmt: skip


def _opened(store: LogStore, journal: Journal, session: str, series: Sequence[Series],
            sealed: int, lock: WriterLock) -> Opened:  # fmt: skip
    known = journal.recovered
    table = list(known.series)
    have = {(s.venue, s.symbol) for s in table}
    table += [s for s in series if (s.venue, s.symbol) not in have]
    journal.set_series(table)
    fresh = journal.written_seq == 0
    note = known.notes.get(CUT)
    if note is None:
        note = cut_note(0, Resume(), Tally())
        journal.note({CUT: note, FLOOR: 0})
    resume, tally = Resume.of_json(note["resume"]), Tally.of(note["tally"])
    for group in groups_after(journal.folder, int(note["seq"])):
        resume.follow(group)
        tally.follow(group)
    floor = int(known.notes.get(FLOOR, 0))
    return Opened(store, journal, session, table, sealed, floor, resume, tally, fresh, lock)


def cut_note(seq: int, resume: Resume, tally: Tally) -> dict[str, Any]:
    """What the journal keeps of a checkpoint at ``seq``."""
    return {"seq": seq, "resume": resume.to_json(), "tally": tally.facts()}


def seal_rest(log: Path, session: str) -> int:
    """Seal what the journal of a session that will not go on still holds, and remove the journal;
    the number of its last event."""
    folder = live_folder(log) / session
    lock = _lock(live_folder(log))
    try:
        store = LogStore(log)
        found = look(folder)
        sealed = sealed_upto(store, session)
        if found.last_seq > sealed:
            seal(store, session, found.series, groups_after(folder, sealed), found.last_seq)
        remove(folder)
        return max(found.last_seq, sealed)
    finally:
        lock.release()
