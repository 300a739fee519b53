"""What is known to be wrong with the public archive, and who reported it.

Owns the table: months whose monthly file must not be used, days that were never published whole,
and rows that came twice. Every line names its report (a number is an issue of the repository
binance/binance-public-data). What must hold: an entry changes where data are taken from, or what a
person is told; it never hides that something is missing.

It refuses to know how a file is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from data.sources.archive_files import MARKETS, ArchiveFile, next_month


@dataclass(frozen=True, slots=True)
class Defect:
    """Days ``first`` to ``last`` (both included) of a type; empty ``symbol`` or ``venue``: the
    report does not say, so all of them may be meant."""

    first: date
    last: date
    what: str
    source: str
    venue: str = ""
    type: str = ""
    symbol: str = ""

    def touches(self, file: ArchiveFile) -> bool:
        """Whether it may concern ``file``."""
        same = all(
            mine in ("", theirs)
            for mine, theirs in (
                (self.venue, file.venue),
                (self.type, file.type),
                (self.symbol, file.symbol),
            )
        )
        ours = file.venue in MARKETS  # every report is about Binance
        return ours and same and self.first <= file.last and file.first <= self.last

    def line(self) -> str:
        """What it is, for a person."""
        return f"{self.what} (binance-public-data {self.source})"


def _month(year: int, month: int, source: str) -> Defect:
    first = date(year, month, 1)
    last = date.fromordinal(next_month(first).toordinal() - 1)
    what = "two runs of rows are interleaved in the monthly file"
    return Defect(first, last, what, source, "binance-um", "aggTrades", "BTCUSDT")


def _missing(first: date, last: date, source: str, what: str = "rows are missing") -> Defect:
    return Defect(first, last, f"{what} in the archive", source)


BROKEN_MONTHS = (
    _month(2023, 5, "#339"),
    _month(2023, 10, "#288"),
    _month(2023, 11, "#293"),
)
"""Monthly files that are not used; their days are fetched one by one."""

MISSING = (
    _missing(date(2022, 6, 1), date(2022, 6, 30), "#161", "days of this month are missing"),
    _missing(date(2022, 9, 4), date(2022, 9, 5), "#179"),
    _missing(date(2022, 11, 1), date(2022, 11, 30), "#195, #207", "days of this month are missing"),
    _missing(date(2023, 1, 23), date(2023, 1, 24), "#213", "trades are cut off"),
    _missing(date(2023, 3, 31), date(2023, 3, 31), "#243"),
    _missing(date(2023, 10, 29), date(2023, 10, 29), "#291"),
    Defect(date(2023, 11, 1), date(2023, 11, 1), "perpetuals are missing", "#307", "binance-um"),
    Defect(date(2023, 11, 13), date(2023, 11, 13), "perpetuals are missing", "#307", "binance-um"),
    Defect(date(2023, 11, 16), date(2023, 11, 16), "perpetuals are missing", "#307", "binance-um"),
    _missing(date(2024, 6, 11), date(2024, 6, 12), "#336, #338"),
    _missing(date(2025, 10, 10), date(2025, 10, 10), "#458", "trades of many symbols are missing"),
    Defect(
        date(2021, 12, 14),
        date(2021, 12, 14),
        "the file is cut off; REST had the rows",
        "#354",
        "binance-spot",
    ),
)
"""Days that were reported missing or incomplete."""

DOUBLED = Defect(
    date(2022, 9, 12),
    date(2022, 9, 30),
    "every row stands twice",
    "#203",
    "binance-um",
    "aggTrades",
)
"""Rows that came twice; the import keeps one of each."""


def broken_month(file: ArchiveFile) -> Defect | None:
    """Why a monthly file must not be used; None where nothing is known against it."""
    if not file.monthly:
        return None
    return next((d for d in BROKEN_MONTHS if d.touches(file)), None)


def missing(file: ArchiveFile) -> Defect | None:
    """What was reported of a day (or of days of a month) that is not there or not whole."""
    return next((d for d in MISSING if d.touches(file)), None)


def doubled(file: ArchiveFile) -> bool:
    """Whether rows of the file are known to stand in it twice."""
    return DOUBLED.touches(file)
