"""What a file is: format, venue and symbol, from its content first, then from its name.

Owns recognition. The content decides the format; venue and symbol come, in this order, from the
user's flags, from the content, from the file's name and folders. What must hold: nothing is
guessed; where two hints contradict each other, or nothing tells, the user is asked to say it.

It refuses to know how the rows are parsed.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataError, UsageError
from data.sources import bybit_frames, bybit_layouts, tardis_layouts
from data.sources.archive_layouts import Layout, recognise, titles_of
from data.sources.binance_frames import market_of
from data.sources.bybit_frames import sent_ns
from data.sources.lines import local_time_ns
from data.sources.opening import Member, head
from data.sources.rejects import RejectedError
from data.sources.tables import MT5, Table, find

HEAD_BYTES = 2 << 20
"""How much of a recording is looked at: the symbols of a quiet stream must show up in it."""

HEAD_LINES = 4_000

VENUES = ("binance-um", "binance-spot", "bybit", "bybit-spot")
"""Venues whose own files are understood. A table may be of any other."""

_RECORDED = re.compile(rb"(?:[0-9]{13}|[0-9]{16}|[0-9]{19}|[0-9]{1,10}\.[0-9]+:) \{")
_CONTROL = re.compile(rb"wss?://")
_PACKED = (b"PK\x03\x04", b"\x1f\x8b")

# Names that carry a symbol: the public archive, and recorders that write one file a day.
_NAMES = (
    re.compile(r"(?P<s>[A-Z0-9]{5,20})(?:_\d{6})?-(?:[A-Za-z]+|\d+[a-zA-Z]+)-\d{4}-\d{2}"),
    re.compile(r"(?:(?:usdm|um|spot)_)?(?P<s>[a-z0-9]{5,20}|[A-Z0-9]{5,20})_\d{8}(?:[-.]|$)"),
    re.compile(r"(?P<s>[A-Z0-9]{5,20})_\d{4}-\d{2}-\d{2}[_.]"),
    re.compile(r"(?P<s>[A-Z0-9]{5,20})-\d{4}-\d{2}\."),
    re.compile(r"(?P<s>[A-Z0-9]{1,16}[A-Z])\d{4}-\d{2}-\d{2}\."),
)
_NO_SYMBOLS = frozenset({"trades", "aggtrades", "klines", "bookticker", "depth", "quotes"})
_WORDS: dict[str, frozenset[str]] = {
    "binance-um": frozenset({"binance-um", "um", "usdm", "usdm-futures"}),
    "binance-spot": frozenset({"binance-spot", "spot"}),
}
_BYBIT_WORDS: dict[str, frozenset[str]] = {
    bybit_frames.LINEAR: frozenset({"bybit", "linear", "inverse"}),
    bybit_frames.SPOT: frozenset({"bybit-spot", "spot"}),
}
"""Words of names and folders that tell the venue."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one member is.

    ``layout`` is set for an archive file, ``table`` for one that is read by a mapping, neither for
    a recording. ``symbol`` is empty for a recording of several symbols. ``origin`` says, in words,
    what the venue and the symbol were taken from. ``first_ns`` is the first local time of a
    recording, 0 for CSV. ``stamped`` is False where messages stand without a local time.
    """

    member: Member
    format: str
    venue: str
    symbol: str
    origin: str
    layout: Layout | None = None
    has_header: bool = False
    first_ns: int = 0
    stamped: bool = True
    table: Table | None = None

    def line(self) -> str:
        """One line for a person."""
        symbol = self.symbol or "several symbols"
        return f"{self.member.name}: {self.format}, {self.venue} {symbol} ({self.origin})"


def detect(member: Member, venue: str | None, symbol: str | None, interval_ns: int = 0) -> Found:
    """Say what ``member`` is; ``venue``, ``symbol`` and ``interval_ns`` are the user's flags.

    UsageError when something is left open or a flag contradicts the content; DataError when the
    content is none of the known formats.
    """
    lines = first_lines(member)
    filled = [line for line in lines if line.strip()]
    if any(_RECORDED.match(line) for line in filled[:50]):
        return _recording(member, filled, venue, symbol)
    if any(bybit_frames.is_message(line) for line in filled[:20]):
        return _bybit(member, [(line, b"") for line in filled], venue, symbol)
    for line in filled[:20]:
        try:
            text = line.decode("utf-8", "replace")
            found = recognise(text)
            own = None if found else _with_own_header(text)
            if own is not None:
                return _self_named(member, own, filled, venue, symbol)
        except DataError as error:
            error.where = str(member.path)
            raise
        if found is not None:
            return _archive(member, *found, lines, venue, symbol)
    table = find(member, lines, venue, symbol, interval_ns)
    if table is not None:
        return of_table(member, table)
    raise _unknown(member, filled)


def _unknown(member: Member, filled: list[bytes]) -> DataError:
    """What to say of a member of no known format that begins with the lines ``filled``."""
    where = member.name if member.entry else str(member.path)
    if filled and filled[0].startswith(_PACKED):
        return DataError(
            "the file is packed twice",
            where=where,
            why="what was unpacked is a zip or gzip file again",
            do="unpack it once and import what comes out",
        )
    return DataError(
        "the format is not known",
        where=where,
        why=f"it begins with {filled[0][:60]!r}" if filled else "it is empty",
        do="'ofs import --help' lists the formats; for any other table, 'ofs import --explain "
        "FILE' drafts a mapping to import it with",
    )


def first_lines(member: Member) -> list[bytes]:
    """The first whole lines of a member, as many as recognition looks at."""
    text = head(member, HEAD_BYTES)
    lines = text.split(b"\n")
    if len(text) == HEAD_BYTES:
        lines.pop()  # cut off
    return lines[:HEAD_LINES]


def of_table(member: Member, table: Table) -> Found:
    """A file that is read by a mapping."""
    return Found(member, table.format, table.venue, table.symbol, table.origin, table=table)


def _recording(member: Member, lines: list[bytes], venue: str | None, symbol: str | None) -> Found:
    symbols: Counter[str] = Counter()
    venues: Counter[str] = Counter()
    first_ns = 0
    for line in lines:
        local, _, payload = line.partition(b" ")
        if not _RECORDED.match(line):
            continue
        try:
            first_ns = first_ns or local_time_ns(local)
        except RejectedError:
            continue
        seen_symbol, seen_venue = market_of(payload)
        symbols.update([seen_symbol] if seen_symbol else [])
        venues.update([seen_venue] if seen_venue else [])
    if not symbols and not venues:
        parted = [(line.partition(b" ")[2], line.partition(b" ")[0]) for line in lines]
        if any(bybit_frames.is_message(payload) for payload, _ in parted):
            controls = [(line, b"") for line in lines if _CONTROL.match(line)]
            return _bybit(member, controls + parted, venue, symbol)
        raise DataError(
            "a websocket recording, but none of its messages is known",
            where=str(member.path),
            why="no Binance stream and no Bybit topic among its first lines",
            do="recordings of other venues cannot be imported yet",
        )
    by_content = venues.most_common(1)[0][0] if venues else ""
    chosen, origin = _choose_venue(member, venue, by_content, firm=True)
    name, symbol_origin = _recorded_symbol(member, symbol, symbols)
    origins = sorted({origin, symbol_origin} - {""})
    return Found(member, "websocket recording", chosen, name, ", ".join(origins), first_ns=first_ns)


def _bybit(
    member: Member, lines: list[tuple[bytes, bytes]], venue: str | None, symbol: str | None
) -> Found:
    """A recording of Bybit topics, or its archive of books; ``lines`` are (message, local time)."""
    symbols: Counter[str] = Counter()
    venues: Counter[str] = Counter()
    first_ns = 0
    stamped = False
    for payload, local in lines:
        seen_symbol, seen_venue = bybit_frames.market_of(payload)
        seen_venue = seen_venue or bybit_frames.venue_of_control(payload)
        symbols.update([seen_symbol] if seen_symbol else [])
        venues.update([seen_venue] if seen_venue else [])
        if not seen_symbol:
            continue
        stamped = stamped or bool(local)
        try:
            first_ns = first_ns or (local_time_ns(local) if local else sent_ns(payload))
        except RejectedError:
            continue
    by_content = venues.most_common(1)[0][0] if venues else ""
    if venue and not venue.startswith("bybit"):
        by_content = by_content or "bybit or bybit-spot"
    by_name = venue_hint(member, _BYBIT_WORDS)
    chosen, origin = _choose_venue(member, venue, by_content, firm=True, by_name=by_name)
    name, symbol_origin = _recorded_symbol(member, symbol, symbols)
    origins = ", ".join(sorted({origin, symbol_origin} - {""}))
    what = "websocket recording" if stamped else "archive of books"
    return Found(member, f"Bybit {what}", chosen, name, origins, first_ns=first_ns, stamped=stamped)


def _recorded_symbol(
    member: Member,
    flag: str | None,
    seen: Counter[str],
    why: str = "REST snapshots and raw partial books name no symbol",
) -> tuple[str, str]:
    """The symbol of a file that names it itself, empty for several; ``why`` says what it is when
    nothing in the file does."""
    if flag:
        if seen and flag not in seen:
            raise UsageError(
                f"--symbol {flag} contradicts the file",
                where=str(member.path),
                why=f"its messages are of {', '.join(sorted(seen)[:5])}",
                do="leave --symbol out",
            )
        return flag, "--symbol"
    if len(seen) == 1:
        return next(iter(seen)), "by its content"
    if seen:
        return "", "by its content"
    return _named_symbol(member, why)


def _archive(
    member: Member,
    layout: Layout,
    has_header: bool,
    lines: list[bytes],
    venue: str | None,
    symbol: str | None,
) -> Found:
    by_layout = layout.venue
    if layout.name.endswith("klines"):
        # Only the spot archive went over to microseconds; only futures files have a header.
        sample = [x for x in lines[:20] if x.strip()][-1]
        by_layout = "binance-spot" if sample[:16].isdigit() else layout.venue
    chosen, origin = _choose_venue(member, venue, by_layout, firm=False)
    if symbol:
        name, symbol_origin = symbol, "--symbol"
    else:
        name, symbol_origin = _named_symbol(member, "the rows of a CSV file name no symbol")
    origins = f"venue {origin}, symbol {symbol_origin}"
    if origin == symbol_origin:
        origins = origin
    return Found(member, f"{layout.name} CSV", chosen, name, origins, layout, has_header)


def _with_own_header(line: str) -> Layout | None:
    titles = titles_of(line)
    return bybit_layouts.recognise(titles) or tardis_layouts.recognise(titles)


def _self_named(
    member: Member, layout: Layout, lines: list[bytes], venue: str | None, symbol: str | None
) -> Found:
    """An archive file whose header settles the venue; its rows name the symbol, or its name does.

    ``lines`` are not blank.
    """
    rows = [line.decode("utf-8", "replace").split(",") for line in lines]
    rows = [row for row in rows if len(row) == len(layout.roles)][1:]
    rows = [[c.strip().strip('"') for c in row] for row in rows]
    if "exchange" in layout.roles:
        exchange = rows[0][layout.roles.index("exchange")] if rows else ""
        layout = tardis_layouts.settled(layout, exchange, member.path / member.entry)
    if venue and venue != layout.venue:
        raise UsageError(
            f"--venue {venue} contradicts the file",
            where=str(member.path),
            why=f"it is of {layout.venue}",
            do="leave --venue out",
        )
    if "symbol" in layout.roles:
        column = layout.roles.index("symbol")
        seen = Counter(row[column].upper() for row in rows)
        name, origin = _recorded_symbol(member, symbol, seen, "no row can be read that names one")
    elif symbol:
        name, origin = symbol, "--symbol"
    else:
        name, origin = _named_symbol(member, "the rows of this file name no symbol")
    origins = origin if origin == "by its content" else f"venue by its content, symbol {origin}"
    return Found(member, f"{layout.name} CSV", layout.venue, name, origins, layout, True)


def _choose_venue(
    member: Member, flag: str | None, by_content: str, *, firm: bool, by_name: str | None = None
) -> tuple[str, str]:
    """(venue, where it is known from). ``firm``: the content alone settles it.

    A CSV layout is a habit of a market and no proof; there the flag wins. ``by_name`` is the venue
    that the name tells, looked up here where it is None.
    """
    by_name = venue_hint(member) if by_name is None else by_name
    if flag:
        if flag not in VENUES:
            raise _no_venue(flag)
        if firm and by_content and by_content != flag:
            raise UsageError(
                f"--venue {flag} contradicts the file",
                where=str(member.path),
                why=f"its messages have the fields of {by_content}",
                do="leave --venue out",
            )
        return flag, "--venue"
    if by_content and (firm or by_name in ("", by_content)):
        return by_content, "by its content"
    if by_content and by_name:
        raise UsageError(
            "the venue is not clear",
            where=str(member.path),
            why=f"the columns are those of {by_content}, the name says {by_name}",
            do=f"pass --venue {by_name} or --venue {by_content}",
        )
    if by_name:
        return by_name, "by its name"
    raise UsageError(
        "the venue is not known",
        where=str(member.path),
        why="neither the content nor the name tells it",
        do=f"pass --venue {' or --venue '.join(VENUES)}",
    )


def _named_symbol(member: Member, why: str) -> tuple[str, str]:
    name = symbol_hint(member)
    if name:
        return name, "by its name"
    raise UsageError(
        "the symbol is not known",
        where=str(member.path),
        why=f"{why}, and the file's name tells none",
        do="pass --symbol, for example --symbol BTCUSDT",
    )


def symbol_hint(member: Member) -> str:
    """The symbol that a file's name carries, in upper case; empty where it carries none."""
    for name in (Path(member.entry).name, member.path.name):
        for pattern in _NAMES:
            found = pattern.match(name)
            if found and found["s"].lower() not in _NO_SYMBOLS and not found["s"].isdigit():
                return found["s"].upper()
    return ""


def venue_hint(member: Member, words: dict[str, frozenset[str]] = _WORDS) -> str:
    """The venue that the name or the nearest telling folder carries; empty where none does.

    ``words`` are those that tell each venue.
    """
    for part in (Path(member.entry).name, *reversed(member.path.parts)):
        seen = {part.lower(), *re.split(r"[_.]", part.lower())}
        venues = [venue for venue, telling in words.items() if seen & telling]
        if len(venues) == 1:
            return venues[0]
    return ""


def check_flags(venue: str | None, symbol: str | None) -> None:
    """UsageError for a venue that is a slip of the hand, or a symbol that cannot be one."""
    if venue is not None and venue not in (*VENUES, MT5):
        slip = difflib.get_close_matches(venue, VENUES, n=1, cutoff=0.7)
        if slip or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,29}", venue):
            raise _no_venue(venue)
    if symbol is not None and not re.fullmatch(r"[A-Z0-9][A-Z0-9_.+-]{1,29}", symbol):
        raise UsageError(
            f"--symbol {symbol} is no symbol", do="use capital letters and digits, e.g. BTCUSDT"
        )


def _no_venue(venue: str) -> UsageError:
    return UsageError(
        f"--venue {venue} is not known",
        do=f"use one of: {', '.join(VENUES)}; a table of another venue takes any name in small "
        "letters, digits and hyphens",
    )
