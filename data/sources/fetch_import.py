"""Files that were fetched into the log, and the account of it.

Owns where a file lies until it is imported, the import of a unit (one transaction), the entry in
the ledger, and the end of the file. What must hold: an entry is made after the rows are in the log;
one file that cannot be imported does not keep the others of its month out.

It refuses to know how files come to the disk.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import DataError, LockedError, OfsError, UsageError
from data.events import KIND_BY_NAME
from data.sources import archive_defects
from data.sources.archive_files import CHECKSUM, ArchiveFile
from data.sources.fetch_ledger import Fetched, Ledger
from data.sources.fetch_plan import Item, Unit
from data.sources.importer import import_paths

if TYPE_CHECKING:
    from data.log import LogStore
    from data.sources.import_report import FileReport, ImportReport

LOCK_WAIT_S = 120.0
"""How long (seconds) an import waits for another process that writes to the log."""

_NS = 1_000_000_000


class Importer:
    """Imports units into ``store``; files lie below ``folder`` in the layout of the archive."""

    def __init__(self, store: LogStore, ledger: Ledger, folder: Path, *, keep: bool) -> None:
        self._store, self._ledger, self._folder, self._keep = store, ledger, folder, keep
        self._dates: dict[tuple[str, str, str], Mapping[str, int]] = {}

    def target(self, item: Item) -> Path:
        """Where the file of ``item`` belongs."""
        return self._folder / item.file.path

    def held(self, file: ArchiveFile) -> Mapping[str, int]:
        """How many rows of the file's series the log has, by UTC date (ISO)."""
        series = (file.type, file.venue, file.symbol)
        if series not in self._dates:
            kind = KIND_BY_NAME[file.kind]
            entries = self._store.catalogue().select([kind], file.venue, file.symbol)
            # The last bar of a day ends on the next day's midnight: that is no row of the next day.
            rows: Counter[str] = Counter()
            for e in entries:
                rows[e.date] += e.rows if e.max_ts_ns > _midnight_ns(e.date) else 0
            self._dates[series] = +rows
        return self._dates[series]

    def take(self, unit: Unit, tick: Callable[[], None]) -> None:
        """Import the files of ``unit`` that were brought, in one transaction if that can be.

        LockedError where another process keeps the log.
        """
        items = unit.wanted()
        self._dates.clear()
        try:
            self._import(items, tick)
        except (DataError, UsageError) as error:
            if isinstance(error, LockedError):
                raise
            if len(items) == 1:
                self._refuse(items[0], error)
                return
            for item in items:
                self.take(Unit(unit.kind, unit.symbol, [item]), tick)

    def _import(self, items: Sequence[Item], tick: Callable[[], None]) -> None:
        by_path = {str(self.target(item).resolve()): item for item in items}
        file = items[0].file
        report = import_patiently(self._store, list(by_path), file, tick)
        for one in report.files:
            _account(by_path[one.path], one)
        self._remember(items)

    def _remember(self, items: Sequence[Item]) -> None:
        entries: dict[str, Fetched] = {}
        for item in items:
            item.state = "imported"
            held = self.held(item.file)
            days = {d: held[d] for day in item.file.days() if (d := day.isoformat()) in held}
            entries[item.url] = Fetched(item.sha256, item.size, item.rows, days, item.mark)
            if not days and not item.file.monthly:
                item.state, item.why = "missing", nothing_of_it(item.rows)
        self._ledger.add(entries)
        for item in items:
            self._leave(item)

    def _refuse(self, item: Item, error: OfsError) -> None:
        item.state, item.why = "refused", f"{error.what}: {error.why}"
        if not self._keep:
            self.target(item).unlink(missing_ok=True)

    def forget(self, item: Item) -> None:
        """Remove what a fetch that was killed left of a file that is in the log."""
        if not self._keep:
            path = self.target(item)
            for name in (path.name, f"{path.name}.part", f"{path.name}.part.json"):
                path.with_name(name).unlink(missing_ok=True)

    def _leave(self, item: Item) -> None:
        path = self.target(item)
        if not self._keep:
            path.unlink(missing_ok=True)
            return
        if not item.file.has_checksum:
            return
        beside = path.with_name(path.name + CHECKSUM)
        beside.write_text(f"{item.sha256}  {path.name}\n", encoding="utf-8", newline="\n")


def import_patiently(
    store: LogStore, paths: Sequence[str | Path], file: ArchiveFile, tick: Callable[[], None]
) -> ImportReport:
    """Import files of the series of ``file``; another process that writes is waited for.

    LockedError after :data:`LOCK_WAIT_S`; what is wrong with the files as ``import_paths`` says it.
    """
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return import_paths(
                store,
                paths,
                venue=file.venue,
                symbol=file.symbol,
                progress=lambda _step: tick(),
            )
        except LockedError:
            if time.monotonic() > deadline_s:
                raise
            tick()
            time.sleep(0.2)


def nothing_of_it(rows: int) -> str:
    """Why a day is missing although its file, of ``rows`` rows, was imported."""
    others = f": its {rows:,} rows are of other days" if rows else ""
    return f"its file has no row of this day{others}"


def _midnight_ns(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * _NS


def _account(item: Item, report: FileReport) -> None:
    """Add what an import says of a file (a zip may hold several)."""
    item.rows += report.rows.total()
    item.added += report.added
    item.duplicates += report.duplicates
    item.conflicts += report.conflicts
    if report.rejected:
        item.notes.append(
            f"{report.rejected.total()} lines were rejected, see 'rejects' in the log"
        )
    if report.conflicts:
        item.notes.append(
            f"{report.conflicts} rows say something else under an id that is already there"
        )
    if report.duplicates and archive_defects.doubled(item.file):
        item.notes.append(f"{archive_defects.DOUBLED.line()}; one of each was kept")
    known = archive_defects.missing(item.file)
    if known is not None:
        item.notes.append(f"{known.line()}: see 'ofs log gaps'")
    if report.out_of_order and item.file.monthly:
        item.notes.append(
            f"{report.out_of_order} rows stood out of order and were sorted; if rows are missing, "
            "fetch the month by days (--daily)"
        )
    item.notes += report.notes
