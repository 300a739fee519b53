"""Keeping: what a session's log may take of the disk, and the daily work that keeps it small.

Owns :class:`Keeper`. It says which kinds may be recorded (:meth:`Keeper.look`), and does the work
that follows a sealing (:meth:`Keeper.work`): small files are gathered, a day that is over is
compacted into one file a symbol and kind, days that are too old go. What must hold:

* kinds are given up one by one in one order, depth first and trades last, as free space falls below
  the mark or the day's bytes rise above theirs; they come back in the reverse order, with a margin,
  so that nothing flutters. What a session writes down of itself (gaps, clocks, acts) is never given
  up: it says what is missing;
* keeping house never ends a recording: what goes wrong is counted and told, and tried again after
  the next sealing;
* a day is compacted when events of a later one are sealed, so nothing of it can come any more.

It refuses to know what a kind left out means to those who admit events (an explicit gap).
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from data.errors import DataError, LockedError, OfsError
from data.events import EVENTS, Kind
from data.log.catalogue import Catalogue
from data.log.compact import CompactionPlan, Task, compact, plan_compaction
from data.log.entry import DAY_NS, date_of
from data.log.gather import gather, plan_gathering
from data.log.prune import FIRST_TO_GO, Limits, plan_pruning, prune
from data.log.store import LogStore

GIVEN_UP = FIRST_TO_GO[:6]
"""Kinds of a market in the order in which they are given up."""

MARGIN = 8
"""A kind comes back at an eighth of the mark above where it went."""

DAY_STEP = 20
"""By bytes a day one more kind is given up for each twentieth above the limit."""

BATCH = 32
"""Partitions that are compacted in one commit."""

WORK_S = 60.0
"""How long :meth:`Keeper.work` may go on, in wall time; it ends with the batch it is at."""


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """What the log may take; 0 is no limit.

    ``free_bytes`` is the low-water mark of free space: below it depth goes, below 5/6 of it quotes
    and so on. ``day_bytes`` are those sealed on a UTC day, ``keep_ns`` the age at which days go.
    """

    free_bytes: int = 2 << 30
    day_bytes: int = 0
    keep_ns: int = 0
    compact: bool = True


@dataclass(frozen=True, slots=True)
class Level:
    """What may be recorded: ``number`` 0 is everything, 6 nothing; ``left_out`` in the order in
    which they went, ``why`` is empty where nothing is left out."""

    number: int
    left_out: tuple[Kind, ...]
    why: str

    @property
    def wanted(self) -> frozenset[Kind]:
        """Kinds that are recorded."""
        return frozenset(Kind) - frozenset(self.left_out)


EVERYTHING = Level(0, (), "")


@dataclass(slots=True)
class KeeperFacts:
    """What a keeper saw and did. Sizes in bytes; ``day_bytes`` is the present rate a day,
    ``days_left`` how long free space lasts at that rate (0: not known); ``today_files`` are the
    files of the day of the last sealing. ``levels`` counts changes of level."""

    free_bytes: int = 0
    today_bytes: int = 0
    today_files: int = 0
    log_bytes: int = 0
    day_bytes: int = 0
    days_left: float = 0.0
    levels: int = 0
    gathered: int = 0
    compacted: int = 0
    pruned_days: int = 0
    pruned_bytes: int = 0
    busy: int = 0
    failures: int = 0
    last_error: str = ""
    left: list[str] = field(default_factory=list)
    """Partitions that could not be compacted and files not gathered, the last 20."""


class Keeper:
    """Watches the disk of ``store``. ``disk_free`` gives free bytes (an object store has no end).

    :meth:`look` belongs to the pump, :meth:`work` to the thread that seals.
    """

    def __init__(
        self,
        store: LogStore,
        limits: DiskLimits | None = None,
        disk_free: Callable[[], int] | None = None,
    ) -> None:
        self.facts = KeeperFacts()
        self.limits = limits or DiskLimits()
        self._store = store
        self._disk_free = disk_free or _free_of(store)
        self._by_space = self._by_day = 0
        self._level = EVERYTHING
        self._today = ""
        self._failed: set[str] = set()
        self._hurry = threading.Event()

    def look(self, now_ns: int) -> Level:
        """What may be recorded at session time ``now_ns``; cheap enough for every turn."""
        free = self.facts.free_bytes = self._disk_free()
        self._by_space = _step(self._by_space, free, self.limits.free_bytes)
        if self._today != date_of(now_ns // DAY_NS):
            self._by_day = 0
        elif self.limits.day_bytes:
            over = self.facts.today_bytes - self.limits.day_bytes
            steps = over * DAY_STEP // self.limits.day_bytes + 1 if over >= 0 else 0
            self._by_day = max(self._by_day, min(steps, len(GIVEN_UP)))
        number = max(self._by_space, self._by_day)
        if number != self._level.number:
            self.facts.levels += 1
            self._level = Level(number, GIVEN_UP[:number], self._why(number, free))
        return self._level

    def work(self, now_ns: int, most_s: float = WORK_S) -> None:
        """Gather small files, compact the days that are over, remove what is too old, count bytes.

        For the thread that seals: once at the start (with ``most_s`` 0), then after each sealing.
        ``now_ns`` is session time. It begins no new batch after ``most_s`` seconds of wall time or
        after :meth:`hurry`.
        """
        end_s = time.monotonic() + most_s
        try:
            self._retain(now_ns)
            self._gather(end_s)
            tasks = over(self._store.catalogue()) if self.limits.compact else []
            while tasks and time.monotonic() < end_s and not self._hurry.is_set():
                self._compact(self._next(tasks))
            self._count(self._store.catalogue(), now_ns)
        except LockedError:
            self.facts.busy += 1  # another process writes to the log: after the next sealing then
        except (OfsError, OSError) as error:
            self.facts.failures += 1
            self.facts.last_error = str(error)

    def hurry(self) -> None:
        """Let :meth:`work` come to its end: the session stops."""
        self._hurry.set()

    def _why(self, number: int, free: int) -> str:
        if not number:
            return ""
        if self._by_space >= self._by_day:
            return f"{free:,} bytes are free, {self.limits.free_bytes:,} should be"
        return f"{self.facts.today_bytes:,} bytes today, {self.limits.day_bytes:,} may be"

    def _retain(self, now_ns: int) -> None:
        if not self.limits.keep_ns:
            return
        plan = plan_pruning(self._store, Limits(keep_ns=self.limits.keep_ns), now_ns)
        if plan.items:
            prune(self._store, plan)
            self.facts.pruned_days += len({item.date for item in plan.items})
            self.facts.pruned_bytes += plan.bytes

    def _gather(self, end_s: float) -> None:
        """Make few files of many small ones, whose number would grow with every sealing."""
        for plan in plan_gathering(self._store.catalogue()) if self.limits.compact else ():
            if time.monotonic() >= end_s or self._hurry.is_set():
                return
            room = self._disk_free() - self.limits.free_bytes // 2
            if plan.path in self._failed or plan.bytes > room:
                continue
            try:
                self.facts.gathered += gather(self._store, plan)
            except LockedError:
                raise
            except DataError as error:
                self._give_up(plan.path, error.why or str(error))

    def _next(self, tasks: list[Task]) -> list[Task]:
        """Takes from ``tasks`` as many as a commit takes and the disk has room for."""
        room = self._disk_free() - self.limits.free_bytes // 2
        chosen: list[Task] = []
        while tasks and len(chosen) < BATCH:
            task = tasks.pop(0)
            if task.place.folder not in self._failed and task.bytes < room:
                room -= task.bytes
                chosen.append(task)
        return chosen

    def _compact(self, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        for done in compact(self._store, CompactionPlan(tuple(tasks), ())):
            if done.error:
                self._give_up(done.task.place.folder, done.error)
            else:
                self.facts.compacted += 1

    def _give_up(self, what: str, why: str) -> None:
        """Remember what cannot be done, and leave it alone until the next start."""
        self.facts.failures += 1
        self.facts.last_error = why
        self._failed.add(what)
        self.facts.left = [*self.facts.left, what][-20:]

    def _count(self, found: Catalogue, now_ns: int) -> None:
        """Bytes and files of the day, and the rate of the last two days."""
        facts, today = self.facts, date_of(now_ns // DAY_NS)
        dates = np.array(found.texts["date"], dtype="U10")
        sizes = found.ints["bytes"]
        here = dates == today
        files = {e.file for e in found.select() if e.date == today} if here.any() else set()
        facts.today_bytes, facts.today_files = int(sizes[here].sum()), len(files)
        facts.log_bytes = int(sizes.sum())
        recent = (here | (dates == date_of(now_ns // DAY_NS - 1))) & (found.ints["has_recv"] != 0)
        if recent.any():
            keys = found.ints["min_key_ns"][recent].min(), found.ints["max_key_ns"][recent].max()
            span = int(keys[1]) - int(keys[0])
            facts.day_bytes = int(sizes[recent].sum()) * DAY_NS // span if span else 0
        facts.free_bytes = self._disk_free()
        facts.days_left = facts.free_bytes / facts.day_bytes if facts.day_bytes else 0.0
        self._today = today


def over(found: Catalogue) -> list[Task]:
    """What of the shared files is to become one file a symbol: the days before the last one that
    is sealed. Of the kinds that a session writes of itself only where that makes fewer files."""
    dates = found.texts["date"]
    newest = max((dates[row] for row in found.shared), default="")
    due = {dates[row] for row in found.shared} - {newest}
    if not due:
        return []
    found = found.narrowed([row for row, date in enumerate(dates) if date in due])
    shared = found.narrowed(found.shared).entries
    files: dict[tuple[Kind, str, str], set[str]] = {}
    symbols: dict[tuple[Kind, str, str], set[str]] = {}
    for e in shared:
        day = e.kind, e.venue, e.date
        files.setdefault(day, set()).add(e.file)
        symbols.setdefault(day, set()).add(e.symbol)
    tasks = []
    for task in plan_compaction(found).tasks:
        place = task.place
        day = place.kind, place.venue, place.date
        if not any(e.share for e in task.files):
            continue
        if place.kind in GIVEN_UP or len(symbols[day]) <= len(files[day]):
            tasks.append(task)
    return sorted(tasks, key=lambda t: (t.place.date, EVENTS[t.place.kind].name, t.place.path))


def _step(number: int, free: int, mark: int) -> int:
    """How many kinds are given up at ``free`` bytes, when ``number`` were before."""
    most = len(GIVEN_UP)
    while number < most and free < mark * (most - number) // most:
        number += 1
    while number and free >= mark * (most - number + 1) // most + mark // MARGIN:
        number -= 1
    return number


def _free_of(store: LogStore) -> Callable[[], int]:
    root = store.storage.local
    return (lambda: shutil.disk_usage(root).free) if root is not None else (lambda: 1 << 62)
