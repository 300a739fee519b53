"""The CSV files that are understood: their columns, and how a first line tells which one it is.

Owns the table of layouts (Binance public archive, spot and USD-M; the trades CSV of a live
collector) and recognition by content: by the header where there is one, else by the number and the
look of the columns. Sources: reference page of the venue, section "Public archive".

It refuses to know how a value is converted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from data.errors import DataError
from data.events import Kind

INT_ROLES = frozenset(
    {"id", "first", "last", "time", "close_time", "event_time", "count"} | {"recv", "funding_time"}
)
DECIMAL_ROLES = frozenset(
    {"price", "qty", "open", "high", "low", "close", "volume", "buy_volume"}
    | {"bid", "bid_qty", "ask", "ask_qty", "seconds", "mark", "index", "funding"}
)
BOOL_ROLES = frozenset({"maker", "is_snapshot"})
WORD_ROLES = frozenset({"side", "tick", "book_side"})
NAME_ROLES = frozenset({"symbol", "exchange", "text_id"})
_LEVEL_ROLE = re.compile(r"(?:bid|ask)_(?:price|qty)([0-9]+)")


def is_decimal(role: str) -> bool:
    """True for a role of decimals; levels of books count on: ``bid_price0``, ``bid_price1``."""
    return role in DECIMAL_ROLES or bool(_LEVEL_ROLE.fullmatch(role))


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of CSV file.

    ``roles`` names what each column is; an empty role is a column that is not read. ``venue`` is
    what the layout alone says about the venue, empty when it says nothing. ``titles`` are the
    titles in its header, lower case and without underscores, where it is known to have one.
    ``optional`` are roles whose cells may be empty, which stands for 0. ``exchange`` is what the
    rows must name as theirs. ``source`` is the stream that books come from. With ``newest_first`` a
    file may run backwards in time.
    """

    name: str
    kind: Kind
    roles: tuple[str, ...]
    venue: str = ""
    titles: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    exchange: str = ""
    source: str = "archive"
    newest_first: bool = False

    @property
    def has_words(self) -> bool:
        """True when columns hold texts other than numbers and truth values."""
        return not (WORD_ROLES | NAME_ROLES).isdisjoint(self.roles)


UM, SPOT = "binance-um", "binance-spot"

_KLINE = ("time", "open", "high", "low", "close", "volume", "close_time", "", "count")
_KLINE_TITLES = ("opentime", "open", "high", "low", "close", "volume", "closetime")
_AGG_TITLES = ("aggtradeid", "price", "quantity", "firsttradeid", "lasttradeid")
_TICKER_TITLES = ("updateid", "bestbidprice", "bestbidqty", "bestaskprice", "bestaskqty")

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "USD-M aggTrades",
        Kind.TRADE,
        ("id", "price", "qty", "first", "last", "time", "maker"),
        UM,
        (*_AGG_TITLES, "transacttime", "isbuyermaker"),
    ),
    Layout(
        "spot aggTrades",
        Kind.TRADE,
        ("id", "price", "qty", "first", "last", "time", "maker", ""),
        SPOT,
    ),
    Layout(
        "USD-M trades",
        Kind.TRADE,
        ("id", "price", "qty", "", "time", "maker"),
        UM,
        ("id", "price", "qty", "quoteqty", "time", "isbuyermaker"),
    ),
    Layout(
        "spot trades",
        Kind.TRADE,
        ("id", "price", "qty", "", "time", "maker", ""),
        SPOT,
        ("id", "price", "qty", "quoteqty", "time", "isbuyermaker", "isbestmatch"),
    ),
    Layout(
        "USD-M klines",
        Kind.BAR,
        (*_KLINE, "buy_volume", "", ""),
        UM,
        (*_KLINE_TITLES, "quotevolume", "count", "takerbuyvolume", "takerbuyquotevolume", "ignore"),
    ),
    Layout("klines", Kind.BAR, (*_KLINE, "buy_volume", "", "")),
    Layout(
        "USD-M bookTicker",
        Kind.QUOTE,
        ("id", "bid", "bid_qty", "ask", "ask_qty", "time", "event_time"),
        UM,
        (*_TICKER_TITLES, "transactiontime", "eventtime"),
    ),
    Layout(
        "collector trades",
        Kind.TRADE,
        ("time", "price", "qty", "side", "id"),
        "",
        ("timestamp", "price", "quantity", "side", "tradeid"),
    ),
)
"""Every layout; those with a header are found by it, the others by their look."""

_INT, _TIME, _DEC, _BOOL = "i", "t", "d", "b"
_TIME_TEXT = re.compile(r"[0-9]{13}(?:[0-9]{3})?")
_INT_TEXT = re.compile(r"-?[0-9]{1,19}")
_DEC_TEXT = re.compile(r"-?[0-9]+\.?[0-9]*(?:[eE]-?[0-9]+)?")
_BOOL_TEXT = re.compile(r"true|false", re.IGNORECASE)

# What the first row without a header looks like, column by column. An int is a decimal too, and a
# time is an int; the first pattern that fits decides.
_LOOKS: tuple[tuple[str, str], ...] = (
    ("iddiitbb", "spot aggTrades"),
    ("iddiitb", "USD-M aggTrades"),
    ("idddtbb", "spot trades"),
    ("idddtb", "USD-M trades"),
    ("tdddddtdiddd", "klines"),
    ("iddddtt", "USD-M bookTicker"),
)


def recognise(first_line: str) -> tuple[Layout, bool] | None:
    """The layout that a file's first line shows, and whether that line is a header.

    None when it is none of them. DataError for files that are known but must not be imported.
    """
    cells = [c.strip() for c in first_line.strip().lstrip("\ufeff").split(",")]
    if not cells[0][:1].isdigit():
        return _by_header(titles_of(first_line))
    for look, name in _LOOKS:
        if len(look) == len(cells) and all(map(_fits, look, cells)):
            return by_name(name), False
    return None


def titles_of(line: str) -> tuple[str, ...]:
    """The titles of a header: lower case, without blanks, quotes and underscores."""
    cells = line.strip().lstrip("\ufeff").split(",")
    return tuple(c.strip().strip('"').lower().replace("_", "") for c in cells)


def with_levels(layout: Layout, levels: int) -> Layout:
    """A layout of books that reads only the best ``levels`` a side."""
    roles = []
    for role in layout.roles:
        found = _LEVEL_ROLE.fullmatch(role)
        roles.append("" if found and int(found[1]) >= levels else role)
    return replace(layout, roles=tuple(roles))


def by_name(name: str) -> Layout:
    """The layout called ``name``; KeyError where there is none."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise KeyError(name)


def _by_header(titles: tuple[str, ...]) -> tuple[Layout, bool] | None:
    for layout in LAYOUTS:
        if layout.titles and layout.titles == titles:
            return layout, True
    if "baseqty" in titles:
        raise DataError(
            "COIN-M files are not understood",
            why="their quantities are contracts, not base currency",
            do="import the USD-M or the spot file of the symbol",
        )
    return None


def _fits(look: str, cell: str) -> bool:
    if look == _TIME:
        return bool(_TIME_TEXT.fullmatch(cell))
    if look == _INT:
        return bool(_INT_TEXT.fullmatch(cell))
    if look == _DEC:
        return bool(_DEC_TEXT.fullmatch(cell))
    return bool(_BOOL_TEXT.fullmatch(cell))
