"""What a file is and how it would be read, before anything is imported.

Owns ``ofs import --explain``: for a known format, its name, its market and its first rows; for any
other table a draft of a mapping file and its first rows as the draft reads them. What must hold:
nothing is written; the rows shown come from the same parsers as those that are imported.

It refuses to know who prints it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import DataError, UsageError
from data.events import EVENTS
from data.log.columns import from_input
from data.show import readable
from data.sources.bybit import BybitParser
from data.sources.chunks import Chunk
from data.sources.detect import Found, detect, first_lines, of_table
from data.sources.lines import LineParser, Session
from data.sources.mapping import Mapping
from data.sources.mapping_draft import sketch
from data.sources.mapping_parser import MappingParser
from data.sources.mapping_toml import load, parse
from data.sources.mapping_write import write
from data.sources.mt5_export_scan import settle
from data.sources.opening import Member, members_of
from data.sources.recording import RecordingParser
from data.sources.rejects import REASONS, Rejects
from data.sources.tables import by_file
from data.sources.tardis_book import parser_of
from data.units import format_duration

if TYPE_CHECKING:
    from data.log import LogStore

ROWS = 5
"""Rows that are shown."""

_LINES = 500


@dataclass(slots=True)
class Explanation:
    """One file, or one entry of a zip.

    ``toml`` is the draft of a mapping, empty for a format that needs none. ``facts`` are (what,
    value) pairs of how it is read, ``rows`` its first events as :func:`data.show.readable` gives
    them, ``rejected`` reasons of lines among the first that would be rejected, ``asks`` what has to
    be said before it can be imported.
    """

    file: str
    format: str
    venue: str = ""
    symbol: str = ""
    toml: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    asks: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "file": self.file,
            "format": self.format,
            "venue": self.venue or None,
            "symbol": self.symbol or None,
            "facts": dict(self.facts),
            "rows": self.rows,
            "rejected": {REASONS[k]: n for k, n in sorted(self.rejected.items())},
            "asks": self.asks,
            "mapping": self.toml or None,
        }


@dataclass(frozen=True, slots=True)
class Hints:
    """What the user says of a file; see :func:`data.sources.importer.import_paths`."""

    venue: str | None = None
    symbol: str | None = None
    interval_ns: int = 0
    broker_offset: str | None = None
    mapping: str | Path | None = None


def explain(path: str | Path, hints: Hints, store: LogStore | None = None) -> Explanation:
    """Say what ``path`` (of a zip its first entry that is known, else the first) is.

    ``store`` is the log, if there is one.

    DataError for a file that is no table and of no known format.
    """
    place = Path(path)
    if not place.is_file():
        raise UsageError("there is no such file", where=str(path), do="name one file to explain")
    members = members_of(place)
    if not members:
        raise DataError("the zip is empty", where=str(path))
    member = _most_telling(members, hints)
    lines = first_lines(member)
    if hints.mapping is not None:
        table = by_file(member, load(hints.mapping), lines, hints.venue, hints.symbol)
        return _known(of_table(member, table), lines, hints, store)
    found, asks = _detected(member, lines, hints)
    if found is None:
        return _drafted(member, lines, hints)
    told = _known(found, lines, hints, store)
    told.asks += asks
    return told


def _most_telling(members: list[Member], hints: Hints) -> Member:
    """The first entry of a known format; others, such as a text beside the table, come last."""
    if len(members) > 1 and hints.mapping is None:
        for member in members:
            if _is_known(member, hints):
                return member
    return members[0]


def _is_known(member: Member, hints: Hints) -> bool:
    try:
        detect(member, hints.venue, hints.symbol, hints.interval_ns)
    except UsageError:
        return True  # known, and something is to be said
    except DataError:
        return False
    return True


def _detected(member: Member, lines: list[bytes], hints: Hints) -> tuple[Found | None, list[str]]:
    """The file as it would be imported, and what has to be said first; None for an unknown one."""
    try:
        return detect(member, hints.venue, hints.symbol, hints.interval_ns), []
    except UsageError as error:
        asks = [str(error)]
    except DataError as error:
        if error.what == UNKNOWN:
            return None, []
        raise
    # the format is known and something else is not: a stand-in shows how it would be read
    for venue, symbol in _stand_ins(hints):
        try:
            found = detect(member, venue, symbol, hints.interval_ns or _MINUTE_NS)
        except UsageError:
            continue
        return found, asks
    raise UsageError(asks[0])


UNKNOWN = "the format is not known"
"""What :func:`data.sources.detect.detect` says of a file of no known format."""

_MINUTE_NS = 60_000_000_000


def _stand_ins(hints: Hints) -> list[tuple[str | None, str | None]]:
    venues = [hints.venue] if hints.venue else [None, "binance-um", "bybit", "custom"]
    symbols = [hints.symbol] if hints.symbol else [None, "UNKNOWN"]
    return [(venue, symbol) for venue in venues for symbol in symbols]


def _known(found: Found, lines: list[bytes], hints: Hints, store: LogStore | None) -> Explanation:
    told = Explanation(found.member.name, found.format, found.venue, found.symbol)
    told.facts.append(("known", found.origin))
    table = found.table
    if table is not None and table.broker_clock:
        try:
            mapping, words = settle(
                found.member, table.mapping, found.symbol, hints.broker_offset, store
            )
        except UsageError as error:
            told.asks.append(str(error))
        else:
            table = replace(table, mapping=mapping, clock=words)
            told.facts.append(("clock", words))
    if table is not None:
        found = replace(found, table=table)
        told.facts += _facts(table.mapping, _titles(table.mapping, lines))
    elif found.layout is not None:
        told.facts.append(("kind", EVENTS[found.layout.kind].name))
        told.facts.append(("columns", ", ".join(r or "(not read)" for r in found.layout.roles)))
    _show(told, found, lines)
    return told


def _drafted(member: Member, lines: list[bytes], hints: Hints) -> Explanation:
    where = str(member.path)
    name = member.path.name
    found = sketch(lines, where)
    toml = write(found, name, lines, hints.venue or "", hints.symbol or "", hints.interval_ns)
    table = by_file(member, parse(toml, "the draft"), lines, hints.venue, hints.symbol)
    told = Explanation(member.name, "a table that needs a mapping", table.venue, table.symbol)
    told.toml = toml
    told.asks += found.notes
    _show(told, of_table(member, table), lines)
    return told


def _titles(mapping: Mapping, lines: list[bytes]) -> list[str]:
    if not mapping.header_lines or len(lines) < mapping.header_lines:
        return []
    text = lines[mapping.header_lines - 1].decode("utf-8", "replace").strip("\ufeff\r\n")
    return [c.strip().strip('"') for c in text.split(mapping.separator)]


def _facts(mapping: Mapping, titles: list[str]) -> list[tuple[str, str]]:
    def shown(place: int) -> str:
        title = titles[place] if place < len(titles) else ""
        return title or f"column {place + 1}"

    signs = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}
    time = " ".join(shown(i) for i in mapping.time.columns)
    unit = "text" if mapping.time.unit == "text" else f"number of {mapping.time.unit}"
    facts = [
        ("kind", EVENTS[mapping.kind].name),
        ("separator", signs.get(mapping.separator, mapping.separator)),
        ("time", f"{time}, {unit}, clock {mapping.time.zone.words()}"),
    ]
    facts += [(r, ", ".join(shown(i) for i in places)) for r, places in mapping.roles.items()]
    if mapping.interval_ns:
        facts.append(("interval", format_duration(mapping.interval_ns)))
    if mapping.carry:
        facts.append(("empty cells", "that side did not change: the last value goes on"))
    return facts


def _show(told: Explanation, found: Found, lines: list[bytes]) -> None:
    """Read the first lines and keep the first rows."""
    rejects = Rejects(found.member.name, lambda _name, _data: None)
    for chunk in _chunks(found, b"\n".join(lines[:_LINES]) + b"\n", rejects):
        room = ROWS - len(told.rows)
        if room > 0:
            columns = from_input(chunk.kind, chunk.columns).columns
            stop = min(room, len(chunk))
            told.rows += readable(chunk.kind, columns, chunk.scales, 0, stop)
    told.rejected = rejects.counts


def _chunks(found: Found, block: bytes, rejects: Rejects) -> list[Chunk]:
    if found.table is not None:
        return [chunk for _, chunk in MappingParser(found.table.mapping, rejects).parse(block)]
    if found.layout is not None:
        rows = parser_of(found.layout, found.has_header, rejects, levels=ROWS, cadence_ns=0)
        return rows.parse(block) + rows.finish()
    session = Session(levels=ROWS, cadence_ns=0)
    parser: LineParser
    if found.venue.startswith("bybit"):
        parser = BybitParser(found.venue, session, rejects, stamped=found.stamped)
    else:
        parser = RecordingParser(found.venue, found.symbol or None, session, rejects)
    chunks = [chunk for _, chunk in parser.parse(block)]
    return sorted(chunks, key=lambda c: int(np.min(c.array("ts_ns"))))
