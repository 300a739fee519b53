"""Fetch: a wish in, files of the public archive verified and imported, an account of each file.

Owns the order of work: ask what is there (checksums first), see that the disk can hold it, bring
files in several threads while the main one imports month by month, remember what was fetched. What
must hold: nothing is imported before its sha256 was found right; a second fetch moves no file and
changes no byte; a fetch that is killed goes on where it was; what is not there is told and never
filled with anything else.

It refuses to know how bytes move (:mod:`data.sources.fetch_download`), which files a wish needs
(:mod:`data.sources.fetch_plan`) and how progress is shown.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import DataError, LockedError, NetworkError
from data.sources.archive_files import ENDPOINTS
from data.sources.fetch_crew import Crew, Done
from data.sources.fetch_download import ChecksumError, Downloader, Fact, on_disk
from data.sources.fetch_import import Importer, nothing_of_it
from data.sources.fetch_ledger import Ledger
from data.sources.fetch_pace import BACKOFF_S, Pace, Stopped
from data.sources.fetch_plan import Item, Unit, Wish, absence, check_wish, days_of, plan
from data.sources.http import CONNECT_S, Http
from data.units import format_size

if TYPE_CHECKING:
    from data.log import LogStore

AHEAD_BYTES = 1 << 30
"""Files that wait on the disk to be imported: no new month is begun beyond this many bytes."""

RESERVE_BYTES = 256 << 20
"""Bytes that stay free on every disk that a fetch writes to."""

DEAD_AFTER = 3
"""So many files in a row that the network failed: the rest is not tried."""

WORK = ".fetch"
"""Folder of a local log in which files gather until they are imported."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to fetch.

    ``endpoint`` serves the archive; empty is the venue's own. ``jobs`` files at once, together at
    most ``bytes_per_s`` (0: no limit); ``retries`` of each request, first after ``backoff_s``
    seconds, then ever later; ``timeout_s`` is the longest silence. ``keep`` is a folder for the
    files, which are removed after the import otherwise. ``months`` False takes daily files only.
    ``reserve_bytes`` stay free on the disks.
    """

    endpoint: str = ""
    jobs: int = 4
    bytes_per_s: float = 0.0
    retries: int = 4
    timeout_s: float = 30.0
    backoff_s: float = BACKOFF_S
    keep: Path | None = None
    months: bool = True
    reserve_bytes: int = RESERVE_BYTES


@dataclass(frozen=True, slots=True)
class Step:
    """How far a fetch has come: bytes of the files that were moved or already there, of those that
    are wanted, and what is being done."""

    done_bytes: int
    total_bytes: int
    text: str


@dataclass(slots=True)
class FetchReport:
    """What became of each file, and the bytes that came over the network."""

    items: list[Item] = field(default_factory=list)
    moved_bytes: int = 0

    def of(self, *states: str) -> list[Item]:
        """The items in one of ``states``."""
        return [item for item in self.items if item.state in states]

    @property
    def complete(self) -> bool:
        """True when every day that was asked for is in the log."""
        return not self.of("missing", "refused", "failed")


Progress = Callable[[Step], None]


def fetch(
    store: LogStore,
    wish: Wish,
    terms: Terms,
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> FetchReport:
    """Bring the days of ``wish`` into the log; with ``dry_run`` only find out what that would take.

    UsageError where the venue publishes no such thing; NetworkError where nothing of the archive
    could be reached; DataError where the disk is too small; LockedError where another fetch works
    in the same folder. What failed of a part stands in the report.
    """
    check_wish(wish)
    with working(store, terms, progress or (lambda _step: None), writes=not dry_run) as tools:
        return _Fetch(store, tools, now).run(wish, dry_run=dry_run)


@dataclass(slots=True)
class Tools:
    """What a fetch works with; made by :func:`working`."""

    terms: Terms
    folder: Path
    downloader: Downloader
    crew: Crew
    meter: Meter


class Meter:
    """Bytes of all threads, and the progress that is told of them."""

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self.moved = 0
        self.resumed = 0
        self.total = 0
        self.text = ""

    def add(self, size: int) -> None:
        """Bytes that came over the network."""
        with self._lock:
            self.moved += size

    def expect(self, size: int) -> None:
        """Bytes that are wanted beside those known before."""
        with self._lock:
            self.total += size

    def resume(self, size: int) -> None:
        """Bytes that were on the disk already."""
        with self._lock:
            self.resumed += size

    def tick(self) -> None:
        """Tell how far it has come."""
        self._tell(Step(self.moved + self.resumed, self.total, self.text))


@contextmanager
def working(
    store: LogStore, terms: Terms, tell: Progress, *, writes: bool = True
) -> Iterator[Tools]:
    """Tools for the block, stopped and tidied up at its end however it ends.

    With ``writes`` False no file is brought, so there is no folder to be alone in.
    """
    folder = terms.keep or work_folder(store)
    pace = Pace(terms.bytes_per_s)
    meter = Meter(tell)
    with _alone(folder) if writes else nullcontext():
        http = Http(
            connect_s=min(CONNECT_S, terms.timeout_s),
            read_s=terms.timeout_s,
            connections=terms.jobs,
        )
        downloader = Downloader(
            http,
            pace,
            retries=terms.retries,
            timeout_s=terms.timeout_s,
            backoff_s=terms.backoff_s,
            moved=meter.add,
        )
        crew = Crew(terms.jobs, pace, meter.tick)
        try:
            yield Tools(terms, folder, downloader, crew, meter)
        finally:
            downloader.stop()
            downloader.cut()
            crew.close()
            http.close()
        if writes and terms.keep is None:
            _tidy(folder)
    if writes and terms.keep is None:
        with suppress(OSError):  # files of a fetch that was stopped wait in it
            folder.rmdir()


def work_folder(store: LogStore) -> Path:
    """Where files of a log gather: in it, or in the user's cache where the log is remote."""
    if store.storage.local is not None:
        return store.storage.local / WORK
    from platformdirs import user_cache_path

    return Path(user_cache_path("ofs", appauthor=False)) / "fetch"


def _tidy(folder: Path) -> None:
    """Remove the folders in ``folder`` that are empty."""
    for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        with suppress(OSError):  # it holds something
            path.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the one fetch in a folder; LockedError where there is another."""
    import filelock

    path = folder / ".lock"
    lock = filelock.FileLock(str(path), thread_local=False)
    while not lock.is_locked:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise LockedError(
                "another ofs fetches into the same folder",
                where=str(folder),
                do="wait until it is done, or stop it",
            ) from None
        if not path.exists():  # the one before us removed it between our opening and locking it
            lock.release()
    try:
        yield
    finally:
        # Before it is let go: after that it may be another's. Windows removes no open file.
        with suppress(OSError):
            path.unlink()
        lock.release()
        if os.name == "nt":
            with suppress(OSError):  # and keeps one that somebody else just opened
                path.unlink()


class _Fetch:
    """One running fetch."""

    def __init__(self, store: LogStore, tools: Tools, now: datetime) -> None:
        self._store, self._tools, self._now = store, tools, now
        self._terms = tools.terms
        self._ledger = Ledger(store.storage)
        self._importer = Importer(store, self._ledger, tools.folder, keep=bool(self._terms.keep))
        self._report = FetchReport()
        self._endpoint = self._terms.endpoint
        self._first_error: NetworkError | None = None
        self._reached = False
        self._failed_in_a_row = 0

    def run(self, wish: Wish, *, dry_run: bool) -> FetchReport:
        self._endpoint = self._terms.endpoint or ENDPOINTS[wish.venue]
        units = plan(wish, self._endpoint, self._today(), months=self._terms.months)
        later = self._round(units, dry_run)
        # Days that a month's file does not have: their own file may.
        self._round(later, dry_run)
        if self._first_error is not None and not self._reached:
            raise self._first_error
        self._report.moved_bytes = self._tools.meter.moved
        return self._report

    def _today(self) -> date:
        return self._now.astimezone(UTC).date()

    def _round(self, units: Sequence[Unit], dry_run: bool) -> list[Unit]:
        """Do all of ``units``; the units that turned out to be needed beside them."""
        self._survey(units)
        for unit in units:
            self._report.items += unit.items
        if not dry_run:
            self._carry([unit for unit in units if unit.wanted()])
        return [later for unit in units for later in self._absent(unit)]

    # -- what is there -------------------------------------------------------------------------

    def _survey(self, units: Sequence[Unit]) -> None:
        crew, meter = self._tools.crew, self._tools.meter
        total = sum(len(unit.wanted()) for unit in units)
        for unit in units:
            for item in unit.wanted():
                if self._ledger.get(item.url):
                    self._importer.held(item.file)  # the threads find it ready
                crew.start((unit, item), partial(self._look, item))
        meter.text = "asking for checksums"
        while (done := crew.next()) is not None:
            meter.text = f"asking for checksums, {crew.outstanding} of {total} to go"
            unit, item = done.about
            if not self._took(item, done):
                continue
            if item.state == "missing" and item.file.monthly:
                self._by_days(unit, item)
            elif item.state == "missing":
                item.why = item.why or absence(item.file, self._now)
        meter.total += sum(item.size for unit in units for item in unit.wanted())

    def _look(self, item: Item) -> None:
        """Find out what the archive has, and whether the log has it (in a thread)."""
        loader = self._tools.downloader
        if item.file.has_checksum:
            item.sha256 = loader.checksum(item.url) or ""
            if not item.sha256:
                item.state = "missing"
                if loader.about(item.url) is not None:
                    item.state, item.why = "refused", "there is no .CHECKSUM beside it"
                return
            if self._is_known(item):
                return
        found = loader.about(item.url)
        if found is None:
            item.state = "missing"
            return
        item.size = found.size
        if not item.file.has_checksum:
            item.mark = found.mark
            self._is_known(item)

    def _is_known(self, item: Item) -> bool:
        """Whether the log has this very version of the file; the item then says so."""
        known = self._ledger.get(item.url)
        if known is None:
            return False
        same = known.sha256 == item.sha256 if item.sha256 else known.mark == item.mark != ""
        if not same:
            item.notes.append("fetched again: the archive has replaced it since")
            return False
        gone = known.lost(self._importer.held(item.file))
        if gone:
            item.notes.append(f"fetched again: the log no longer has all of {', '.join(gone[:3])}")
            return False
        item.state, item.rows, item.size = "unchanged", known.rows, known.bytes
        if not known.dates and not item.file.monthly:
            item.state, item.why = "missing", nothing_of_it(known.rows)
        self._importer.forget(item)
        return True

    def _by_days(self, unit: Unit, item: Item) -> None:
        """The days of a month that has no file."""
        days = days_of(unit.kind, item.file, self._endpoint)
        late = " yet" if self._now < item.file.due() else ""
        days.items[0].notes.append(f"daily files: there is no {item.file.name}{late}")
        unit.items.remove(item)
        unit.items += days.items
        for one in days.items:
            self._tools.crew.start((unit, one), partial(self._look, one))

    def _absent(self, unit: Unit) -> list[Unit]:
        """Units for the days that a month's file did not bring."""
        later = []
        for item in unit.items:
            if item.file.monthly and item.state in ("imported", "unchanged"):
                held = self._importer.held(item.file)
                days = [day for day in item.file.days() if day.isoformat() not in held]
                if days:
                    days_unit = days_of(unit.kind, item.file, self._endpoint, days)
                    days_unit.items[0].notes.append(f"{item.file.name} has no row of it")
                    later.append(days_unit)
        return later

    # -- bring and import ----------------------------------------------------------------------

    def _carry(self, units: list[Unit]) -> None:
        """Bring files some units ahead of the one that is imported."""
        check_space(self._store, self._tools, sum(map(_size, units)))
        self._tools.meter.text = "fetching"
        todo = list(units)
        ahead: dict[int, tuple[int, int]] = {}  # files still to come, and bytes in all, by unit

        def begin_more() -> None:
            while todo and (not ahead or _bytes(ahead) + _size(todo[0]) <= AHEAD_BYTES):
                unit = todo.pop(0)
                ahead[id(unit)] = len(unit.wanted()), _size(unit)
                for item in unit.wanted():
                    self._tools.crew.start((unit, item), partial(self._bring, item))

        begin_more()
        while (done := self._tools.crew.next()) is not None:
            unit, item = done.about
            self._took(item, done)
            left, size = ahead[id(unit)]
            ahead[id(unit)] = left - 1, size
            if left == 1:
                self._import(unit)
                del ahead[id(unit)]
                begin_more()

    def _bring(self, item: Item) -> None:
        """Bring one file to the disk (in a thread)."""
        fact = Fact(item.sha256, item.size, item.mark)
        target = self._importer.target(item)
        self._tools.meter.resume(on_disk(target))
        with named(target):
            found = self._tools.downloader.fetch(item.url, fact, target)
        if found is None:
            item.state, item.why = "missing", "it was there a moment ago and is gone now"
            return
        item.sha256, item.size = found.sha256, target.stat().st_size
        item.mark = "" if item.file.has_checksum else found.mark

    def _import(self, unit: Unit) -> None:
        meter = self._tools.meter
        if unit.wanted():
            meter.text = f"importing {unit.symbol} {unit.kind} of {unit.items[0].file.first:%Y-%m}"
            meter.tick()
            self._importer.take(unit, meter.tick)
        meter.text = "fetching"

    def _took(self, item: Item, done: Done) -> bool:
        """Note how a piece of work ended; True when it ended well."""
        error = done.error
        if error is None:
            self._reached, self._failed_in_a_row = True, 0
            return True
        if isinstance(error, Stopped):
            item.state = "failed"
            item.why = "not tried: the archive stopped answering; run the same command again"
        elif isinstance(error, NetworkError):
            item.state, item.why = "failed", f"{error.what}: {error.why}"
            self._first_error = self._first_error or error
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= DEAD_AFTER:
                self._tools.downloader.stop()
        elif isinstance(error, ChecksumError):
            item.state, item.why = "refused", f"{error.what}: {error.why}"
            self._reached = True
        else:
            raise error
        return False


@contextmanager
def named(target: Path) -> Iterator[None]:
    """A refusal of the disk (no space left, no right) says which file it is about."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(target)
        raise


def check_space(store: LogStore, tools: Tools, size: int) -> None:
    """DataError where a disk cannot hold ``size`` bytes of files to come, and some more."""
    waiting = size if tools.terms.keep else min(size, 2 * AHEAD_BYTES)
    needs: dict[int, tuple[Path, int]] = {}
    # The log's Parquet is smaller than the zips; as much again is room for staging it.
    for path, more in ((tools.folder, waiting), (store.storage.local, size)):
        if path is not None and size:
            device = path.stat().st_dev
            known = needs.get(device, (path, 0))[1]
            needs[device] = (path, known + more)
    for path, more in needs.values():
        free = shutil.disk_usage(path).free
        if free < more + tools.terms.reserve_bytes:
            raise DataError(
                "the disk has too little room for this fetch",
                where=str(path),
                why=f"{format_size(free)} are free, about {format_size(more)} are needed and "
                f"{format_size(tools.terms.reserve_bytes)} shall stay free",
                do="make room, fetch a shorter range, or name another disk with --log",
            )


def _size(unit: Unit) -> int:
    return sum(item.size for item in unit.wanted())


def _bytes(ahead: Mapping[int, tuple[int, int]]) -> int:
    return sum(size for _, size in ahead.values())
