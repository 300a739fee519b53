"""Settings of the series beside the market, and what a reader is asked for because of them.

Owns the group ``reference`` and the form ``venue:symbol``. It refuses to know what a level means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.events import REFERENCE, Kind
from data.units import parse_duration
from engine.kernel.events import READ_COLUMNS
from engine.runtime.strategy import Param

if TYPE_CHECKING:
    from data.log.beside import Beside
    from data.log.catalogue import Catalogue
    from data.log.entry import Entry

REFERENCES: dict[str, tuple[Param, ...]] = {
    "reference": (
        Param("vix", "series", "none", "series of the log whose bars are the VIX: venue:symbol"),
        Param("latency", "duration", "0", "from the end of its bar to our knowledge"),
        Param("age", "duration", "5d", "a close older than this is not known"),
    ),
}
"""The group, by name."""


def series_of(text: str) -> tuple[str, str]:
    """(venue, symbol) of ``venue:symbol``; ValueError where it is not of that form."""
    venue, colon, symbol = text.partition(":")
    if not (colon and venue and symbol) or ":" in symbol:
        raise ValueError("it must be none, or a series of the log as venue:symbol")
    return venue.lower(), symbol.upper()


def reference_series(values: dict[str, str]) -> tuple[Beside, ...]:
    """The series that settings (of ``parameters.settle``) name, for a reader."""
    # here, because whoever only builds parameters needs no Parquet: 35 MB and a quarter second
    from data.log.beside import Beside

    named = values.get("reference.vix", "none").strip()
    if named == "none":
        return ()
    latency_ns = parse_duration(values["reference.latency"].strip())
    columns = READ_COLUMNS[REFERENCE]
    return (Beside(REFERENCE, *series_of(named), columns, latency_ns=latency_ns),)


def beside_files(
    values: dict[str, str],
    bounds: tuple[int | None, int | None],
    catalogue: Catalogue,
    market: list[Entry],
) -> list[Entry]:
    """Files of the series beside the market that a run with these settings reads.

    ``market`` are the files of its own series that hold its range, ``bounds`` (ns).
    """
    found: list[Entry] = []
    for b in reference_series(values) if market else ():
        found += catalogue.select([Kind.BAR], b.venue, b.symbol, *b.span(market, *bounds))
    return found
