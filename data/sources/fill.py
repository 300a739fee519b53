"""Fill: the holes of a log, the days of the archive that may have the rows, and what is left.

Owns which holes an archive can fill, the files that takes, and the account of each hole. What must
hold: only rows inside a hole are added (a log of two hours does not become a day); rows that are
there stay as they are; a hole counts as filled when the log says so afterwards, never because a
file was fetched; what cannot be filled is listed with the reason.

It refuses to know how a file is fetched and read (:mod:`data.sources.fetch_download`,
:mod:`data.sources.fill_rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import DataError, LockedError, NetworkError, OfsError, UsageError
from data.events import EVENTS, Kind
from data.live.streams import TERMINAL
from data.log.checks import GAP_CHECKS, Wanted, check_log
from data.log.rules import Finding
from data.sources.archive_files import (
    BAR_INTERVAL,
    ENDPOINTS,
    MARKETS,
    ArchiveFile,
    daily,
    days_between,
)
from data.sources.fetch import DEAD_AFTER, Progress, Terms, Tools, check_space, named, working
from data.sources.fetch_download import Fact
from data.sources.fetch_import import import_patiently
from data.sources.fetch_pace import Stopped
from data.sources.fetch_plan import absence, new_item
from data.sources.fill_gaps import mark_filled
from data.sources.fill_rows import Span, copy_inside, edges_found

if TYPE_CHECKING:
    from data.log import LogStore

LONGEST_NS = 86_400_000_000_000
"""A hole longer than this is not filled unless somebody says so: it is a range to be fetched."""

_NOT_THERE = "the archive does not have these rows either"
_MINUTE_NS = 60_000_000_000
_MS = 1_000_000
_DAY_NS = 86_400_000_000_000
# A log holds aggregates or single trades; which of them, only the ids at a hole's edges tell.
_TYPES = {Kind.TRADE: ("aggTrades", "trades"), Kind.BAR: ("klines",)}


@dataclass(slots=True)
class Hole:
    """A hole that was found. ``missing`` rows lacked, ``left`` lack still; ``days`` (UTC) are those
    of the archive that may have them, none where no archive can help. ``why`` says what is in the
    way, empty where nothing was."""

    finding: Finding
    missing: int
    left: int
    days: list[date] = field(default_factory=list)
    why: str = ""


@dataclass(slots=True)
class FillReport:
    """What became of each hole. ``files`` are those of the archive that were read, ``added`` the
    rows that came into the log, ``marked`` the recorded gaps that are closed now."""

    holes: list[Hole] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    added: int = 0
    marked: int = 0
    moved_bytes: int = 0

    @property
    def whole(self) -> bool:
        """True when no hole is left."""
        return not any(hole.left for hole in self.holes)


def fill(
    store: LogStore,
    wanted: Wanted,
    terms: Terms,
    *,
    now: datetime,
    longest_ns: int = LONGEST_NS,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> FillReport:
    """Fill the holes that ``wanted`` means as far as the archive can; see :class:`FillReport`.

    With ``dry_run`` only find them and say which days it would take. NetworkError where the archive
    was needed and nothing of it could be reached.
    """
    findings = list(check_log(store, gaps_of(wanted)))
    report = FillReport([hole_of(finding, longest_ns) for finding in findings])
    if dry_run:
        return report
    with working(store, terms, progress or (lambda _step: None)) as tools:
        running = _Fill(store, tools, report, now)
        for series in sorted({series_of_hole(h.finding) for h in report.holes if h.days}):
            running.fill(*series)
    report.moved_bytes = tools.meter.moved
    for venue, symbol in sorted({(h.finding.venue, h.finding.symbol) for h in report.holes}):
        if venue in MARKETS:
            report.marked += mark_filled(store, venue, symbol, wanted.from_ns, wanted.to_ns)
    settle(report, list(check_log(store, gaps_of(wanted))), _NOT_THERE)
    return report


def gaps_of(wanted: Wanted) -> Wanted:
    """``wanted`` with the checks that tell what is missing, and no others."""
    return Wanted(
        wanted.venue,
        wanted.symbol,
        wanted.kinds,
        wanted.from_ns,
        wanted.to_ns,
        GAP_CHECKS,
        wanted.hole_s,
    )


def series_of_hole(finding: Finding) -> tuple[str, str, Kind]:
    """Venue, symbol and kind of what lacks rows."""
    assert finding.kind is not None
    return finding.venue, finding.symbol, finding.kind


def hole_of(finding: Finding, longest_ns: int) -> Hole:
    """The account of a hole before anything was done; ``longest_ns`` as in :func:`fill`."""
    hole = Hole(finding, finding.count, finding.count)
    hole.why = _hopeless(finding, longest_ns)
    if not hole.why:
        first, last = _day(finding.from_ns), _day(finding.to_ns - (finding.kind == Kind.BAR))
        hole.days = list(days_between(first, last + timedelta(1)))
    return hole


def _day(ts_ns: int) -> date:
    return date(1970, 1, 1) + timedelta(ts_ns // _DAY_NS)


def _hopeless(finding: Finding, longest_ns: int) -> str:
    """Why no archive can fill a hole; empty where one may."""
    name = EVENTS[finding.kind].name if finding.kind is not None else ""
    if finding.venue == TERMINAL:
        return f"its terminal may have it: ofs fetch {finding.symbol} --venue {TERMINAL}"
    if finding.venue not in MARKETS:
        return f"no archive of {finding.venue} can close a hole"
    trades = finding.kind == Kind.TRADE and finding.check == "id_hole"
    bars = finding.kind == Kind.BAR and finding.check == "time_hole"
    if not trades and not bars:
        if finding.kind == Kind.TRADE:
            return "a silence: its missing ids are a hole of their own where there are any"
        if finding.check == "recorded_gap":
            return "one in trades closes when their ids go on; books cannot be fetched"
        return f"no archive has the {name} of this time"
    if bars and finding.to_ns - finding.from_ns != finding.count * _MINUTE_NS:
        return f"bars of {BAR_INTERVAL} only are fetched"
    if finding.to_ns - finding.from_ns > longest_ns:
        first, last = _day(finding.from_ns), _day(finding.to_ns)
        return (
            f"longer than --longest: fetch it with 'ofs fetch {finding.symbol} --venue "
            f"{finding.venue} --kinds {name} --from {first} --to {last}'"
        )
    return ""


def settle(report: FillReport, after: Sequence[Finding], not_there: str) -> None:
    """What is left of each hole, from what the log shows now (``not_there`` is the reason where
    nothing else was in the way); holes that are new are added."""
    for hole in report.holes:
        old = hole.finding
        inside = [f for f in after if _within(f, old)]
        hole.left = sum(f.count for f in inside)
        if not hole.left:
            hole.why = ""
        elif hole.days and not hole.why:
            hole.why = not_there
    known = [hole.finding for hole in report.holes]
    for finding in after:
        if not any(_within(finding, old) for old in known):
            report.holes.append(Hole(finding, finding.count, finding.count, why="new"))


def _within(new: Finding, old: Finding) -> bool:
    if old.check == "recorded_gap":
        return new == old
    same = (new.check, *series_of_hole(new)) == (old.check, *series_of_hole(old))
    if not same or old.check != "id_hole":
        return same and old.from_ns <= new.from_ns and new.to_ns <= old.to_ns
    return old.from_id <= new.from_id and new.to_id <= old.to_id


class _Fill:
    """Fills series one by one."""

    def __init__(self, store: LogStore, tools: Tools, report: FillReport, now: datetime) -> None:
        self._store, self._tools, self._report, self._now = store, tools, report, now
        self._reached = False

    def fill(self, venue: str, symbol: str, kind: Kind) -> None:
        """Fill the holes of one series."""
        mine = (venue, symbol, kind)
        open_ = [h for h in self._report.holes if h.days and series_of_hole(h.finding) == mine]
        for type_ in _TYPES[kind]:
            if open_:
                open_ = self._fill_from(type_, open_)

    def _fill_from(self, type_: str, holes: Sequence[Hole]) -> list[Hole]:
        """Fill what the files of ``type_`` fit; the holes that they do not fit."""
        venue, symbol, _ = series_of_hole(holes[0].finding)
        days = sorted({day for hole in holes for day in hole.days})
        files, reasons = self._bring([daily(venue, type_, symbol, day) for day in days])
        sound = list(holes)
        if type_ != "klines":
            edges: set[int] = set()
            for file in list(files):
                try:
                    edges |= edges_found(files[file], type_, [_span(h) for h in holes])
                except DataError as error:
                    reasons[file.first] = f"{error.what}: {error.why}"
                    self._leave(file, files.pop(file))
            sound = [h for h in holes if {h.finding.from_id, h.finding.to_id} <= edges]
        try:
            self._import(files, [_span(h) for h in sound])
        except (DataError, UsageError) as error:
            if isinstance(error, LockedError):
                raise
            reasons |= dict.fromkeys((f.first for f in files), f"{error.what}: {error.why}")
        for hole in holes:
            lacking = [reasons[day] for day in hole.days if day in reasons]
            if hole not in sound and not lacking:
                lacking = ["the archive has other trades, or another numbering, at its edges"]
            # What the first type of file lacked says more than that there is no second one.
            hole.why = "" if hole in sound and not lacking else hole.why or lacking[0]
        for file, path in files.items():
            self._report.files.append(file.name)
            self._leave(file, path)
        return [h for h in holes if h not in sound]

    def _leave(self, file: ArchiveFile, path: Path) -> None:
        """Be done with a file."""
        if self._tools.terms.keep is None:
            path.unlink(missing_ok=True)

    def _bring(
        self, files: Sequence[ArchiveFile]
    ) -> tuple[dict[ArchiveFile, Path], dict[date, str]]:
        """The files that could be had, and why the others could not, by day."""
        brought: dict[ArchiveFile, Path] = {}
        reasons: dict[date, str] = {}
        first_error: NetworkError | None = None
        failed_in_a_row = 0
        self._tools.meter.text = "fetching"
        for file in files:
            self._tools.crew.start(file, partial(self._one, file))
        while (done := self._tools.crew.next()) is not None:
            file = done.about
            if done.error is None and done.result is not None:
                brought[file] = done.result
            elif done.error is None:
                reasons[file.first] = absence(file, self._now)
            elif isinstance(done.error, NetworkError):
                first_error = first_error or done.error
                reasons[file.first] = f"{done.error.what}: {done.error.why}"
            elif isinstance(done.error, OfsError):
                reasons[file.first] = f"{done.error.what}: {done.error.why}"
            elif isinstance(done.error, Stopped):
                reasons[file.first] = "not tried: the archive stopped answering"
            else:
                raise done.error
            self._reached |= not isinstance(done.error, NetworkError | Stopped)
            failed_in_a_row = failed_in_a_row + 1 if isinstance(done.error, NetworkError) else 0
            if failed_in_a_row >= DEAD_AFTER:
                self._tools.downloader.stop()
        if first_error is not None and not self._reached:
            raise first_error
        return dict(sorted(brought.items())), reasons

    def _one(self, file: ArchiveFile) -> Path | None:
        """Bring one file to the disk (in a thread); None where the archive does not have it."""
        url = new_item(file, self._tools.terms.endpoint or ENDPOINTS[file.venue]).url
        sha256 = self._tools.downloader.checksum(url)
        about = self._tools.downloader.about(url) if sha256 else None
        if sha256 is None or about is None:
            return None
        check_space(self._store, self._tools, about.size)
        self._tools.meter.expect(about.size)
        target = self._tools.folder / file.path
        with named(target):
            found = self._tools.downloader.fetch(url, Fact(sha256, about.size), target)
        return target if found is not None else None

    def _import(self, files: dict[ArchiveFile, Path], spans: Sequence[Span]) -> None:
        """Add the rows of ``files`` that lie inside ``spans``, in one transaction."""
        if not spans or not files:
            return
        spans = sorted(spans, key=lambda span: span.low)
        first = next(iter(files))
        folder = self._tools.folder / "data" / "holes"
        parts: list[Path] = []
        try:
            for file, path in files.items():
                parts.append(folder / file.name.replace(".zip", ".csv"))
                if not copy_inside(path, parts[-1], spans, bars=file.type == "klines"):
                    parts.pop()
            if parts:
                meter = self._tools.meter
                meter.text = "importing"
                report = import_patiently(self._store, parts, first, meter.tick)
                self._report.added += report.total("added")
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
            with suppress(OSError):  # another part is in it
                folder.rmdir()


def _span(hole: Hole) -> Span:
    found = hole.finding
    if found.kind == Kind.BAR:
        low, high = found.from_ns // _MS - 1, found.to_ns // _MS
        return Span(low, high, found.from_ns, found.to_ns)
    return Span(found.from_id, found.to_id, found.from_ns, found.to_ns)
