"""Files of the LEAN engine's data folder: quotes, trades and bars of one symbol and day.

Owns what stands only in the path: type, market, resolution, symbol and date
(``forex/oanda/tick/eurusd/20140501_quote.zip``, in it ``20140501_eurusd_tick_quote.csv``), and the
columns of each resolution. Times are milliseconds since midnight with up to four decimals. Source:
the readme files of the folders ``Data/forex``, ``Data/cfd`` and ``Data/crypto`` of
github.com/QuantConnect/Lean.

What must hold: a file whose times or prices are written otherwise (equities: exchange time, prices
times 10,000) is refused by name, never read wrongly. It refuses to know how rows are parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from data.errors import DataError
from data.events import Kind
from data.sources.mapping import Mapping, TimeForm
from data.sources.mapping_times import DAY_NS, read_one
from data.sources.mapping_zones import UTC_ZONE, Zone, parse_zone

TYPES = frozenset({"forex", "cfd", "crypto", "cryptofuture"})
"""Security types whose times are UTC (or a fixed offset) and whose prices are plain decimals."""

_OTHER_TYPES = frozenset({"equity", "option", "future", "index", "futureoption", "indexoption"})
_RESOLUTIONS = {"second": 1_000_000_000, "minute": 60_000_000_000}
_ENTRY = re.compile(
    r"(?P<date>\d{8})_(?P<symbol>[A-Za-z0-9]+)_(?P<resolution>tick|second|minute)_"
    r"(?P<data>quote|trade)(?:_.*)?\.csv",
    re.IGNORECASE,
)
_ROW = re.compile(rb"\d{1,8}(?:\.\d{1,9})?(?:,[-+0-9.eE]*)+\r?")

_ZONES = {"fxcm": "-05:00"}
"""Markets whose midnight is not UTC's (Data/forex/readme.md)."""

_COLUMNS: dict[tuple[str, str, int], tuple[Kind, dict[str, tuple[int, ...]]]] = {
    ("tick", "quote", 3): (Kind.QUOTE, {"bid": (1,), "ask": (2,)}),
    ("tick", "quote", 5): (
        Kind.QUOTE,
        {"bid": (1,), "bid_qty": (2,), "ask": (3,), "ask_qty": (4,)},
    ),
    ("tick", "trade", 3): (Kind.TRADE, {"price": (1,), "qty": (2,)}),
    ("bar", "trade", 6): (
        Kind.BAR,
        {"open": (1,), "high": (2,), "low": (3,), "close": (4,), "volume": (5,)},
    ),
}
"""Roles by (tick or bar, data, number of columns)."""


@dataclass(frozen=True, slots=True)
class LeanFile:
    """What the path of a LEAN file tells. ``market`` and ``type`` are empty where it does not."""

    symbol: str
    date: str
    resolution: str
    data: str
    type: str
    market: str


def named(entry: str, path: PurePath) -> LeanFile | None:
    """What the names of a zip and of the CSV in it tell; None where they are not LEAN's."""
    found = _ENTRY.fullmatch(PurePath(entry or path.name).name)
    if found is None:
        return None
    folders = [part.lower() for part in path.parts[:-1]]
    resolution, symbol = found["resolution"].lower(), found["symbol"].lower()
    kind = market = ""
    if folders[-2:] == [resolution, symbol] and len(folders) >= 4:
        kind, market = folders[-4], folders[-3]
    known = kind in TYPES | _OTHER_TYPES
    return LeanFile(
        symbol.upper(),
        found["date"],
        resolution,
        found["data"].lower(),
        kind if known else "",
        market if known else "",
    )


def recognise(file: LeanFile, lines: list[bytes], where: str) -> Mapping | None:
    """The mapping of a file whose names are LEAN's; None where its rows are not.

    DataError for files of LEAN that must not be read this way.
    """
    filled = [line for line in lines if line.strip()][:20]
    if not filled or not all(_ROW.fullmatch(line) for line in filled[:1]):
        return None
    cells = filled[0].count(b",") + 1
    shape = "tick" if file.resolution == "tick" else "bar"
    if file.type in _OTHER_TYPES or (not file.type and (shape, cells) != ("tick", 3)):
        raise DataError(
            "this LEAN file is not understood",
            where=where,
            why=f"of {file.type or 'an unknown type'}: prices may be multiplied by 10,000, "
            "times may be those of an exchange",
            do=f"import files of {', '.join(sorted(TYPES))}, in LEAN's own folders "
            "(type/market/resolution/symbol)",
        )
    known = _COLUMNS.get((shape, file.data, cells))
    if known is None:
        raise DataError(
            f"this LEAN file of {file.resolution} {file.data}s is not understood",
            where=where,
            why="bars of bid and ask are no events" if shape == "bar" else f"{cells} columns",
            do="import tick quotes, tick trades, or second and minute bars of trades",
        )
    kind, roles = known
    midnight = read_one(file.date, "ymd")
    if midnight is None:
        raise DataError("the name of this LEAN file has no date", where=where, why=file.date)
    form = TimeForm((0,), "ms", base_ns=midnight[0], span_ns=DAY_NS, zone=zone(file.market))
    what = f"LEAN {file.resolution} {file.data}s"
    interval_ns = _RESOLUTIONS.get(file.resolution, 0)
    return Mapping(what, kind, cells, cells, roles, form, interval_ns=interval_ns)


def zone(market: str) -> Zone:
    """The clock whose midnight a market's files count from."""
    return parse_zone(_ZONES[market]) if market in _ZONES else UTC_ZONE
