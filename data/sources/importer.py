"""Import: paths in, one transaction on the log, a report out.

Owns the order of work: find the files, say what each is, read them (recordings by their first local
time, so that a book runs on from one file into the next), merge them, all in one transaction. What
must hold: the log is as it was before, or holds all of the import; importing the same files again
changes no byte. A file gives the same rows alone as together with others, except for what is not
known when it comes alone: a second file of a recording has no book then, and the gap that says so
stays in the log when the files are imported together later.

It refuses to know formats (the parsers do), storage (the log does) and terminals (the command
does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import ConfigError, DataError, UsageError
from data.events import DEPTH_LEVELS_MAX, Kind
from data.sources.book import BookCounts
from data.sources.bybit import BybitParser
from data.sources.bybit_frames import quantity_notes
from data.sources.detect import Found, check_flags, detect, first_lines, of_table
from data.sources.import_report import FileReport, ImportReport
from data.sources.inlet import Inlet
from data.sources.lines import LineParser, Session, book_name
from data.sources.mapping_parser import MappingParser
from data.sources.mapping_toml import MappingFile, load
from data.sources.mt5_export_clock import Silences, doubt
from data.sources.mt5_export_scan import settle
from data.sources.opening import Member, Reader, files_of, members_of
from data.sources.recording import RecordingParser
from data.sources.rejects import Rejects
from data.sources.tables import by_file, notes
from data.sources.tardis_book import TardisBooks, parser_of

if TYPE_CHECKING:
    from data.log import LogStore
    from data.log.transaction import Transaction

LEVELS = 20
CADENCE_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """How far an import has come. ``found`` is set when a file was recognised, before any is read;
    bytes are bytes on disk, ``rows`` those read so far, ``market_ns`` the exchange time reached."""

    found: Found | None
    done_bytes: int = 0
    total_bytes: int = 0
    rows: int = 0
    market_ns: int = 0


Progress = Callable[[Step], None]


def import_paths(
    store: LogStore,
    paths: Sequence[str | Path],
    *,
    venue: str | None = None,
    symbol: str | None = None,
    levels: int = LEVELS,
    cadence_ns: int = CADENCE_NS,
    interval_ns: int = 0,
    broker_offset: str | None = None,
    mapping: str | Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import files and folders into ``store``; everything or nothing.

    ``venue`` and ``symbol`` say what the content cannot, so do ``interval_ns`` (length of bars) and
    ``broker_offset`` (the clock of a MetaTrader export, see :mod:`data.sources.mt5_export_scan`).
    ``mapping`` is a TOML file by which every file is read (:mod:`data.sources.mapping_toml`).
    Books rebuilt from diffs give one depth event of ``levels`` a side (1 to 25) per ``cadence_ns``
    (0: one a diff). UsageError when a file leaves something open, DataError when one cannot be read
    or none is known.
    """
    check_flags(venue, symbol)
    if not 1 <= levels <= DEPTH_LEVELS_MAX:
        raise ConfigError(f"levels must be 1 to {DEPTH_LEVELS_MAX}, not {levels}")
    if not 0 <= cadence_ns <= 3_600_000_000_000:
        raise ConfigError("the cadence must be 0 to 1 hour", do="for example --cadence 100ms")
    tell = progress or (lambda _step: None)
    report = ImportReport()
    flags = _Flags(venue, symbol, interval_ns, load(mapping) if mapping else None)
    found = _find(paths, flags, report)
    found = _settled(found, broker_offset, store, tell)
    session = Session(levels=levels, cadence_ns=cadence_ns)
    entries = store.catalogue().entries
    with store.transaction() as tx:
        _Import(Inlet(entries, tx), tx, report, tell, session).run(found, sure=symbol is not None)
    return report


@dataclass(frozen=True, slots=True)
class _Flags:
    """What the user says of the files."""

    venue: str | None
    symbol: str | None
    interval_ns: int
    mapping: MappingFile | None

    def recognise(self, member: Member) -> Found:
        if self.mapping is None:
            return detect(member, self.venue, self.symbol, self.interval_ns)
        lines = first_lines(member)
        return of_table(member, by_file(member, self.mapping, lines, self.venue, self.symbol))


def _find(paths: Sequence[str | Path], flags: _Flags, report: ImportReport) -> list[Found]:
    """Every file to be read, in the order of reading."""
    found: list[Found] = []
    for path, named in files_of(paths):
        own: list[Found] = []
        first: DataError | None = None
        for member in _members(path, named, report):
            try:
                own.append(flags.recognise(member))
            except DataError as error:
                # A folder or a zip may hold other things; they are listed, not hidden.
                report.unknown.append((_shown(member), f"{error.what}: {error.why}"))
                first = first or error
        if named and first is not None and not own:
            raise first
        found += own
    if not found:
        raise DataError(
            "there is nothing to import",
            where=", ".join(str(p) for p in paths),
            why=f"none of {len(report.unknown)} files is of a known format",
            do="see 'ofs import --help' for the formats",
        )
    return sorted(found, key=lambda f: f.first_ns)


def _settled(
    found: Sequence[Found], broker_offset: str | None, store: LogStore, tell: Progress
) -> list[Found]:
    """The files with their clocks known, each told to the user."""
    out: list[Found] = []
    seen: set[str] = set()
    for one in found:
        table = one.table
        if table is not None and table.broker_clock:
            try:
                mapping, words = settle(one.member, table.mapping, one.symbol, broker_offset, store)
            except UsageError as error:
                if seen:
                    error.why += f"; other files of this import run on {', '.join(sorted(seen))}"
                raise
            seen.add(mapping.time.zone.name)
            table = replace(table, mapping=mapping, broker_clock=False, clock=words)
            one = replace(one, table=table)
        out.append(one)
        tell(Step(one))
    return out


def _members(path: Path, named: bool, report: ImportReport) -> list[Member]:
    try:
        return members_of(path)
    except DataError as error:
        if named:
            raise
        report.unknown.append((str(path), f"{error.what}: {error.why}"))
        return []


def _shown(member: Member) -> str:
    return f"{member.path}!{member.entry}" if member.entry else str(member.path)


class _Import:
    """One running import."""

    def __init__(
        self,
        inlet: Inlet,
        tx: Transaction,
        report: ImportReport,
        tell: Progress,
        session: Session,
    ) -> None:
        self._inlet = inlet
        self._tx = tx
        self._report = report
        self._tell = tell
        self._session = session
        self._done_bytes = 0
        self._total_bytes = 0
        self._rows = 0
        self._market_ns = 0
        # The report and the rejects of the file in which a book (by venue and name) was fed last.
        self._last_of_book: dict[tuple[str, str], tuple[FileReport, Rejects]] = {}

    def run(self, found: Sequence[Found], *, sure: bool) -> None:
        """Read every file in order. ``sure``: the symbol was given by the user."""
        self._total_bytes = sum(f.member.size for f in found)
        for one in found:
            report = FileReport(
                one.member.name, str(one.member.path), one.format, one.venue, one.symbol, one.line()
            )
            self._report.files.append(report)
            rejects = Rejects(one.member.name, self._attach)
            self._inlet.start_file(report, rejects)
            if one.table is not None:
                self._read_table(one, report, rejects)
            elif one.layout is not None:
                self._read_archive(one, report, rejects, sure)
            else:
                self._read_recording(one, report, rejects, sure)
            self._inlet.flush()
            rejects.flush()
            report.rejected = rejects.counts
            if not (report.rows or report.rejected or report.skipped or report.left_out):
                report.notes.append("there is no row in it")
            self._done_bytes += one.member.size
        self._finish_books()

    def _attach(self, name: str, data: bytes) -> None:
        self._tx.attach(name, data)
        self._report.rejects.append(f"rejects/{name}")

    def _read_archive(self, found: Found, report: FileReport, rejects: Rejects, sure: bool) -> None:
        """``sure``: only rows of the symbol that the user gave."""
        assert found.layout is not None
        levels, cadence_ns = self._session.levels, self._session.cadence_ns
        parser = parser_of(
            found.layout, found.has_header, rejects, levels=levels, cadence_ns=cadence_ns
        )
        reader = Reader(found.member)
        symbols: set[str] = set()
        for block in chain(reader.blocks(), [None]):
            for chunk in parser.finish() if block is None else parser.parse(block):
                symbol = chunk.symbol or found.symbol
                if sure and symbol != found.symbol:
                    report.left_out[f"rows of {symbol}"] += len(chunk)
                    continue
                symbols.add(symbol)
                self._rows += len(chunk)
                self._market_ns = max(self._market_ns, int(chunk.array("ts_ns")[-1]))
                self._inlet.add(found.venue, chunk.kind, symbol, found.layout.source, chunk)
            if block is not None:
                self._step(reader)
        report.lines = parser.lines
        report.skipped = parser.skipped
        report.notes += [reader.damage] if reader.damage else []
        report.notes += quantity_notes(found.venue, symbols)
        if parser.backwards:
            report.out_of_order = 0
            report.notes.append("it begins with its newest trade; it was turned round")
        if isinstance(parser, TardisBooks):
            self._count_books(found.venue, parser.books, "snapshot", report, rejects)

    def _read_table(self, found: Found, report: FileReport, rejects: Rejects) -> None:
        assert found.table is not None
        parser = MappingParser(found.table.mapping, rejects)
        silences = Silences(found.table.mapping.interval_ns)
        reader = Reader(found.member)
        for block in reader.blocks():
            for named, chunk in parser.parse(block):
                if named and found.symbol and named != found.symbol:
                    report.left_out[f"rows of {named}"] += len(chunk)
                    continue
                self._rows += len(chunk)
                self._market_ns = max(self._market_ns, int(chunk.array("ts_ns")[-1]))
                symbol = named or found.symbol
                silences.add(chunk.array("open_ns" if chunk.kind == Kind.BAR else "ts_ns"))
                self._inlet.add(found.venue, chunk.kind, symbol, "archive", chunk)
            self._step(reader)
        report.lines = parser.lines
        report.skipped = parser.skipped
        report.notes += [reader.damage] if reader.damage else []
        report.notes += notes(found.table, parser)
        doubts = doubt(found.symbol, silences)
        report.notes += [doubts] if doubts else []

    def _read_recording(
        self, found: Found, report: FileReport, rejects: Rejects, sure: bool
    ) -> None:
        parser: LineParser
        if found.venue.startswith("bybit"):
            parser = BybitParser(found.venue, self._session, rejects, stamped=found.stamped)
        else:
            one = found.symbol or None
            parser = RecordingParser(found.venue, one, self._session, rejects, sure=sure)
        reader = Reader(found.member)
        symbols: set[str] = set()
        for block in reader.blocks():
            for (kind, symbol, source), chunk in parser.parse(block):
                symbols.add(symbol)
                self._rows += len(chunk)
                self._market_ns = max(self._market_ns, int(chunk.array("ts_ns")[-1]))
                self._inlet.add(found.venue, kind, symbol, source, chunk)
            self._step(reader)
        report.lines = parser.counts.lines
        report.skipped = parser.counts.skipped
        report.notes += [reader.damage] if reader.damage else []
        report.notes += quantity_notes(found.venue, symbols)
        books, word = parser.counts.books, parser.snapshot_word
        self._count_books(found.venue, books, word, report, rejects)

    def _count_books(
        self,
        venue: str,
        books: Mapping[str, BookCounts],
        snapshot: str,
        report: FileReport,
        rejects: Rejects,
    ) -> None:
        """Add up what books went through; ``snapshot`` is what one begins with, in words."""
        for name, counts in books.items():
            if counts.diffs or counts.snapshots:
                self._last_of_book[venue, name] = report, rejects
            report.diffs += counts.diffs
            report.diffs_applied += counts.applied
            report.snapshots += counts.snapshots
            report.snapshots_used += counts.snapshots_used
            report.sequence_breaks += counts.sequence_breaks
            report.restarts += counts.restarts
            report.crossed_books += counts.crossed
            if counts.diffs and not counts.applied:
                report.notes.append(
                    f"{name}: no book, because no {snapshot} fits the {counts.diffs} "
                    "depth diffs, neither in this file nor in one before it in this call; if an "
                    "earlier file of the recording has one, import them together"
                )

    def _finish_books(self) -> None:
        """Say which books never came to be."""
        for key, chunk in self._session.finish():
            venue, symbol, source = key
            report, rejects = self._last_of_book[venue, book_name(key)]
            self._inlet.start_file(report, rejects)
            self._inlet.add(venue, Kind.GAP, symbol, source, chunk)
            self._inlet.flush()

    def _step(self, reader: Reader) -> None:
        done = self._done_bytes + min(reader.done_bytes, reader.member.size)
        self._tell(Step(None, done, self._total_bytes, self._rows, self._market_ns))
