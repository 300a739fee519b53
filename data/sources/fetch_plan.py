"""Which files of the archive a wish needs: months where they are whole and sound, else days.

Owns :class:`Wish`, :class:`Item` and :class:`Unit` (what is imported at once: a month of one kind
of one symbol), and what is said of a day that is not there. What must hold: a plan covers every day
of the wish exactly once, and no other day.

It refuses to ask the archive, and to look at the clock (the caller does).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from data.errors import UsageError
from data.sources import archive_defects
from data.sources.archive_files import (
    ENDPOINTS,
    KINDS,
    MARKETS,
    QUOTES_FROM,
    QUOTES_TO,
    ArchiveFile,
    daily,
    days_between,
    monthly,
    next_month,
    type_of,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """Days ``first`` to before ``stop`` of some kinds (trade, bar, quote) of some symbols."""

    venue: str
    symbols: tuple[str, ...]
    kinds: tuple[str, ...]
    first: date
    stop: date

    def line(self) -> str:
        """Exactly which days are meant, for a person."""
        count = (self.stop - self.first).days
        last = self.stop - timedelta(1)
        days = "1 day" if count == 1 else f"{count} days"
        span = str(self.first) if count == 1 else f"{self.first} to {last}, both included"
        return f"{', '.join(self.symbols)} on {self.venue}: {days}, {span}"


@dataclass(slots=True)
class Item:
    """One file and what became of it.

    ``state`` is ``wanted`` at first, then ``unchanged`` (the log has it), ``missing`` (the archive
    does not have it), ``refused`` (it is not sound), ``failed`` (it could not be fetched) or
    ``imported``. ``mark`` is what tells one version of a file that has no checksum from another;
    ``size`` is in bytes, 0 where the archive does not say.
    """

    file: ArchiveFile
    url: str
    state: str = "wanted"
    sha256: str = ""
    mark: str = ""
    size: int = 0
    rows: int = 0
    added: int = 0
    duplicates: int = 0
    conflicts: int = 0
    why: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Unit:
    """Files that are imported in one transaction: a month of one kind of one symbol, or less."""

    kind: str
    symbol: str
    items: list[Item]

    def wanted(self) -> list[Item]:
        """Items that are still to be fetched."""
        return [item for item in self.items if item.state == "wanted"]


def check_wish(wish: Wish) -> None:
    """UsageError where a venue publishes no such thing."""
    if wish.venue not in ENDPOINTS:
        raise UsageError(
            f"nothing can be fetched of the venue {wish.venue!r}",
            where="--venue",
            do=f"use one of: {', '.join(ENDPOINTS)}",
        )
    if not wish.first < wish.stop:
        raise UsageError(
            "the range is empty",
            where="--from, --to",
            why=f"its end lies before its first day, {wish.first}",
            do="--from and --to name days, both included; swap or widen them",
        )
    for kind in wish.kinds:
        if kind not in KINDS[wish.venue]:
            raise UsageError(
                f"there is no {kind} in the archive of {wish.venue}",
                where=f"--kinds {kind}",
                why=f"it has {', '.join(KINDS[wish.venue])}",
                do=f"leave {kind} out; books and the rest can only be recorded",
            )
    if "quote" not in wish.kinds:
        return
    if wish.stop <= QUOTES_FROM or wish.first > QUOTES_TO:
        raise UsageError(
            "there are no quotes of that time in the archive",
            where="--kinds quote",
            why=f"bookTicker files exist from {QUOTES_FROM} to {QUOTES_TO} only",
            do="leave quote out, or choose days of that time",
        )


def plan(wish: Wish, endpoint: str, today: date, *, months: bool = True) -> list[Unit]:
    """The files of a wish, month by month; ``months`` False takes daily files only.

    Days from ``today`` (UTC) on, and quotes outside the time of their files, are ``missing``
    without being asked for.
    """
    units: list[Unit] = []
    start = wish.first
    while start < wish.stop:
        stop = min(next_month(start), wish.stop)
        for symbol in wish.symbols:
            for kind in wish.kinds:
                whole = monthly(wish.venue, type_of(wish.venue, kind), symbol, start)
                over = whole.last < today and wish.venue in MARKETS
                units.append(_unit(kind, whole, (start, stop), endpoint, months and over))
        start = stop
    for unit in units:
        for item in unit.items:
            item.why = _not_to_be(item.file, today)
            item.state = "missing" if item.why else "wanted"
    return units


def _unit(
    kind: str, whole: ArchiveFile, span: tuple[date, date], endpoint: str, months: bool
) -> Unit:
    """Days ``span`` (first, stop) of the month of the file ``whole``."""
    days = list(days_between(*span))
    exists = kind != "quote" or (whole.first >= QUOTES_FROM and whole.last <= QUOTES_TO)
    if not (months and exists and whole.days() == days):
        return days_of(kind, whole, endpoint, days)
    broken = archive_defects.broken_month(whole)
    if broken is None:
        return Unit(kind, whole.symbol, [new_item(whole, endpoint)])
    unit = days_of(kind, whole, endpoint)
    unit.items[0].notes.append(f"daily files instead of {whole.name}: {broken.line()}")
    return unit


def days_of(
    kind: str, file: ArchiveFile, endpoint: str, days: Sequence[date] | None = None
) -> Unit:
    """The daily files of a month's file, or of some of its days."""
    chosen = file.days() if days is None else days
    files = [daily(file.venue, file.type, file.symbol, day) for day in chosen]
    return Unit(kind, file.symbol, [new_item(one, endpoint) for one in files])


def new_item(file: ArchiveFile, endpoint: str) -> Item:
    """An item that is still wanted."""
    return Item(file, f"{endpoint.rstrip('/')}/{file.path}")


def _not_to_be(file: ArchiveFile, today: date) -> str:
    """Why a file cannot be there whatever the archive says; empty where it can."""
    if file.type == "bookTicker" and not QUOTES_FROM <= file.first <= QUOTES_TO:
        return f"bookTicker files exist from {QUOTES_FROM} to {QUOTES_TO} only"
    if not file.monthly and file.first >= today:
        return f"the day is not over; its file comes {file.due():%Y-%m-%d about 09:00 UTC}"
    return ""


def absence(file: ArchiveFile, now: datetime) -> str:
    """What to say of a file that the archive does not have."""
    if now < file.due():
        return (
            f"not there yet: a day is published the next morning, this one on "
            f"{file.due():%Y-%m-%d about 08:00-09:00 UTC}"
        )
    known = archive_defects.missing(file)
    if known is not None:
        return f"the archive does not have it; known: {known.line()}"
    return f"the archive does not have it; was {file.symbol} traded on {file.venue} then?"
