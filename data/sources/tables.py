"""Delimited files that are read by a mapping: which one a file needs, and of which market it is.

Owns the order in which MetaTrader exports, LEAN files and the user's own mapping are tried, and
where venue and symbol come from: the user's flags, the mapping, then names and folders. What must
hold: nothing is guessed; where nothing tells, the user is asked.

It refuses to know how rows are parsed and how other formats look.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from data.errors import DataError, UsageError
from data.events import Kind
from data.sources import lean, mt5_export
from data.sources.mapping import Mapping
from data.sources.mapping_parser import MappingParser
from data.sources.mapping_toml import MappingFile, resolve
from data.sources.opening import Member
from data.sources.rejects import REASONS

MT5 = "mt5"
"""Venue of MetaTrader exports: the broker behind a terminal."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file that is read by ``mapping``. ``broker_clock`` says that its zone is still to be
    settled, ``clock`` in words which one it is; ``origin`` in words what venue, symbol and interval
    were taken from."""

    format: str
    venue: str
    symbol: str
    origin: str
    mapping: Mapping
    broker_clock: bool = False
    clock: str = ""


def find(
    member: Member,
    lines: list[bytes],
    venue: str | None = None,
    symbol: str | None = None,
    interval_ns: int = 0,
) -> Table | None:
    """The table that ``lines``, the first of a file, and its names show; None where they show none.

    ``venue``, ``symbol`` and ``interval_ns`` are the user's flags. UsageError where something is
    left open, DataError for a format that is known but must not be read.
    """
    names = lean.named(member.entry, PurePath(member.path))
    if names is not None:
        mapping = lean.recognise(names, lines, str(member.path))
        if mapping is not None:
            return _lean(member, names, mapping, venue, symbol)
    mapping = mt5_export.recognise(lines)
    return _mt5(member, mapping, lines, venue, symbol, interval_ns) if mapping else None


def notes(table: Table, parser: MappingParser) -> list[str]:
    """What a person should know of a table that was read."""
    out = [table.clock] if table.clock else []
    if parser.clock.doubled:
        out.append(
            f"{parser.clock.doubled} rows lie in the hour that the clocks repeat in autumn; they "
            "count for its first pass until the times step back, then for its second"
        )
    rejected = parser.rejects.counts
    if rejected and not parser.rows and rejected.total() > 1:
        reason, count = rejected.most_common(1)[0]
        out.append(f"no line could be read ({count}: {REASONS[reason]}); see --explain")
    return out


def _lean(
    member: Member, names: lean.LeanFile, mapping: Mapping, venue: str | None, symbol: str | None
) -> Table:
    chosen = venue or names.market
    if not chosen:
        raise UsageError(
            "the venue is not known",
            where=str(member.path),
            why="a LEAN file tells it by its folders (forex/oanda/tick/eurusd), and there are none",
            do="pass --venue, for example --venue oanda",
        )
    origin = f"venue {_by(venue, 'folder')}, symbol {_by(symbol, 'name')}, {names.date}"
    return Table(mapping.name, chosen, symbol or names.symbol, origin, mapping)


def _mt5(
    member: Member,
    mapping: Mapping,
    lines: list[bytes],
    venue: str | None,
    symbol: str | None,
    interval_ns: int,
) -> Table:
    names = _named(member)
    origin = f"symbol {_by(symbol, 'name')}"
    if not (symbol or names.symbol):
        raise UsageError(
            "the symbol is not known",
            where=str(member.path),
            why="a MetaTrader export tells it by the file's name alone, and this name tells none",
            do="pass --symbol, for example --symbol EURUSD",
        )
    if mapping.kind == Kind.BAR:
        mapping, known = mt5_export.with_interval(
            mapping, lines, names.interval_ns, interval_ns, str(member.path)
        )
        origin += f", interval {known}"
    return Table(mapping.name, venue or MT5, symbol or names.symbol, origin, mapping, True)


def _named(member: Member) -> mt5_export.NamedFile:
    """What the entry of a zip, else the file itself tells by name."""
    own = mt5_export.named(Path(member.path.name.removesuffix(".gz")).stem)
    if not member.entry:
        return own
    inner = mt5_export.named(PurePath(member.entry).stem)
    return mt5_export.NamedFile(inner.symbol or own.symbol, inner.interval_ns or own.interval_ns)


def by_file(
    member: Member, file: MappingFile, lines: list[bytes], venue: str | None, symbol: str | None
) -> Table:
    """The table that a mapping file describes. ConfigError where they do not fit each other,
    UsageError where neither it nor a flag tells the venue, or the symbol, DataError for an empty
    file."""
    if not any(line.strip() for line in lines):
        raise DataError(
            "there is nothing in the file",
            where=str(member.path),
            why="it is empty",
            do="leave it out",
        )
    mapping = resolve(file, lines)
    chosen, name = venue or file.venue, symbol or file.symbol
    missing = "venue" if not chosen else "symbol"
    if not chosen or not (name or mapping.symbol_column >= 0):
        raise UsageError(
            f"the {missing} is not known",
            where=file.path,
            why=f"the mapping has no {missing}",
            do=f'write {missing} = "..." into it, or pass --{missing}',
        )
    return Table(mapping.name, chosen, name, "by the mapping", mapping)


def _by(flag: str | None, place: str) -> str:
    return "by its flag" if flag else f"by its {place}"
