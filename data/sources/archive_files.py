"""The names of a venue's public archive: which file holds which day of which kind.

Owns the layout (venue, kind, symbol and period to path) and which kinds a venue publishes, and when
a file appears. Source: the archives themselves. Binance: ``data/{spot|futures/um}/{daily|monthly}/
TYPE/SYMBOL[/1m]/SYMBOL-TYPE-YYYY-MM[-DD].zip`` with a ``.CHECKSUM`` beside each. Bybit, trades only
and without checksums: ``trading/SYMBOL/SYMBOLYYYY-MM-DD.csv.gz`` (contracts) and
``spot/SYMBOL/SYMBOL_YYYY-MM-DD.csv.gz``. What must hold: a file and its name are one to one.

It refuses to know what lies at an endpoint today, and to ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_BINANCE, _BYBIT = "https://data.binance.vision", "https://public.bybit.com"

ENDPOINTS = {
    "binance-um": _BINANCE,
    "binance-spot": _BINANCE,
    "bybit": _BYBIT,
    "bybit-spot": _BYBIT,
}
"""Where the public archive of a venue is served."""

KINDS = {
    "binance-um": ("trade", "bar", "quote"),
    "binance-spot": ("trade", "bar"),
    "bybit": ("trade",),
    "bybit-spot": ("trade",),
}
"""Kinds of event that a venue's archive has."""

CHECKSUM = ".CHECKSUM"
"""What stands behind a file's name in the name of its checksum."""

BAR_INTERVAL = "1m"

MARKETS = {"binance-um": "futures/um", "binance-spot": "spot"}
"""Folder of a venue of Binance; these have checksums, and monthly files."""

TYPES = {"trade": "aggTrades", "bar": "klines", "quote": "bookTicker"}
"""Name that Binance's archive has for a kind of event."""

QUOTES_FROM = date(2023, 5, 16)
QUOTES_TO = date(2024, 3, 30)
"""First and last day of the USD-M bookTicker files; there are none before and after."""

_PATH = re.compile(
    r"data/(?P<market>spot|futures/um)/(?P<span>daily|monthly)/(?P<type>[A-Za-z]+)/"
    r"(?P<symbol>[A-Z0-9_]{2,30})(?:/1m)?/(?P=symbol)-(?:(?P=type)|1m)-(?P<period>[0-9-]{7,10})\.zip"
)
_BYBIT_PATHS = (
    ("bybit", re.compile(r"trading/([A-Z0-9_]{2,30})/\1(\d{4}-\d{2}-\d{2})\.csv\.gz")),
    ("bybit-spot", re.compile(r"spot/([A-Z0-9_]{2,30})/\1_(\d{4}-\d{2}-\d{2})\.csv\.gz")),
)
_DAILY_HOUR = 9
"""Daily files of a day are there by this hour (UTC) of the next."""


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """One file of the archive: a day (``first == last``) or a whole month.

    ``type`` is the archive's own word (aggTrades, trades, klines, bookTicker).
    """

    venue: str
    type: str
    symbol: str
    first: date
    last: date

    @property
    def monthly(self) -> bool:
        """True for the file of a whole month."""
        return self.first != self.last

    @property
    def kind(self) -> str:
        """Kind of event in it: trade, bar or quote."""
        return next((kind for kind, type_ in TYPES.items() if type_ == self.type), "trade")

    @property
    def has_checksum(self) -> bool:
        """Whether the archive publishes a sha256 beside it."""
        return self.venue in MARKETS

    @property
    def name(self) -> str:
        """File name, e.g. ``BTCUSDT-aggTrades-2025-01-31.zip``."""
        if self.venue not in MARKETS:
            return f"{self.symbol}{'_' * (self.venue == 'bybit-spot')}{self.first}.csv.gz"
        what = BAR_INTERVAL if self.type == "klines" else self.type
        period = f"{self.first:%Y-%m}" if self.monthly else self.first.isoformat()
        return f"{self.symbol}-{what}-{period}.zip"

    @property
    def path(self) -> str:
        """Path below the endpoint, without a leading slash."""
        if self.venue not in MARKETS:
            folder = "spot" if self.venue == "bybit-spot" else "trading"
            return f"{folder}/{self.symbol}/{self.name}"
        folder = f"{MARKETS[self.venue]}/{'monthly' if self.monthly else 'daily'}/{self.type}"
        interval = f"/{BAR_INTERVAL}" if self.type == "klines" else ""
        return f"data/{folder}/{self.symbol}{interval}/{self.name}"

    def days(self) -> list[date]:
        """Every day that it holds."""
        return list(days_between(self.first, self.last + timedelta(1)))

    def due(self) -> datetime:
        """When it is published at the latest, as a rule: a day's file the next morning, a month's
        on the first Monday after it."""
        day = self.last + timedelta(1)
        if self.monthly:
            day += timedelta((7 - day.weekday()) % 7)
        return datetime.combine(day, time(_DAILY_HOUR), UTC)


def type_of(venue: str, kind: str) -> str:
    """The archive's word for a kind of event."""
    return TYPES[kind] if venue in MARKETS else "trades"


def daily(venue: str, type_: str, symbol: str, day: date) -> ArchiveFile:
    """The file of one day."""
    return ArchiveFile(venue, type_, symbol, day, day)


def monthly(venue: str, type_: str, symbol: str, day: date) -> ArchiveFile:
    """The file of the month that ``day`` lies in."""
    first = day.replace(day=1)
    return ArchiveFile(venue, type_, symbol, first, next_month(first) - timedelta(1))


def next_month(day: date) -> date:
    """First day of the month after that of ``day``."""
    return (day.replace(day=1) + timedelta(32)).replace(day=1)


def days_between(first: date, stop: date) -> Iterator[date]:
    """Days from ``first`` to before ``stop``."""
    for i in range((stop - first).days):
        yield first + timedelta(i)


def parse_path(path: str) -> ArchiveFile | None:
    """The file that a path names; None where the archive has no file of such a name."""
    found = _PATH.fullmatch(path)
    if found is None:
        return _parse_bybit(path)
    venue = next(v for v, folder in MARKETS.items() if folder == found["market"])
    try:
        first = date.fromisoformat(found["period"] + ("-01" if found["span"] == "monthly" else ""))
    except ValueError:
        return None
    make = monthly if found["span"] == "monthly" else daily
    file = make(venue, found["type"], found["symbol"], first)
    return file if file.path == path else None


def _parse_bybit(path: str) -> ArchiveFile | None:
    for venue, pattern in _BYBIT_PATHS:
        if found := pattern.fullmatch(path):
            try:
                return daily(venue, "trades", found[1], date.fromisoformat(found[2]))
            except ValueError:
                return None
    return None
