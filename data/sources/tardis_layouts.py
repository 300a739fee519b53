"""Tardis CSV: trades, quotes, books, liquidations and derivative tickers of many exchanges.

Owns the columns of each data type and the exchanges' names in the log. Times are microseconds,
``local_timestamp`` is a receive time, ``side`` of a trade the taker's (``unknown`` where the
exchange does not tell it), ``side`` of a liquidation that of the order that closed the position
(buy closes a short), which is the log's own convention. A cell may be empty. Source: the vendor's
page "Downloadable CSV files, data types".

Rows stand in the order of arrival but without a number of it, so ``seq`` is 0. Trade ids of Binance
are numbers, those of all others are texts (:mod:`data.ids`), and some exchanges have none. Amounts
are what the exchange calls them, contracts among them.

It refuses to know how a value is converted.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePath

from data.errors import DataError, UsageError
from data.events import Kind
from data.sources.archive_layouts import Layout

VENUES = {
    "binance-futures": "binance-um",
    "binance": "binance-spot",
    "bybit": "bybit",
    "bybit-spot": "bybit-spot",
}
"""Venue in the log by the vendor's name of an exchange; others keep their own."""

BOOK = "incremental_book_L2"

_HEAD = {"exchange": "exchange", "symbol": "symbol", "timestamp": "time", "localtimestamp": "recv"}
_DEAL = {"side": "side", "price": "price", "amount": "qty"}
_TYPES: tuple[tuple[str, Kind, dict[str, str]], ...] = (
    ("trades", Kind.TRADE, {"id": "text_id", **_DEAL}),
    (
        "quotes",
        Kind.QUOTE,
        {"askamount": "ask_qty", "askprice": "ask", "bidprice": "bid", "bidamount": "bid_qty"},
    ),
    (
        "derivative_ticker",
        Kind.MARK,
        {
            "fundingtimestamp": "funding_time",
            "fundingrate": "funding",
            "predictedfundingrate": "",
            "openinterest": "",
            "lastprice": "",
            "indexprice": "index",
            "markprice": "mark",
        },
    ),
    (
        BOOK,
        Kind.DEPTH,
        {"issnapshot": "is_snapshot", "side": "book_side", "price": "price", "amount": "qty"},
    ),
)
_LEVEL = re.compile(r"(bid|ask)s\[([0-9]{1,2})\]\.(price|amount)")
_OPTIONAL = {
    Kind.TRADE: frozenset({"text_id"}),
    Kind.QUOTE: frozenset({"ask_qty", "ask", "bid", "bid_qty"}),
    Kind.MARK: frozenset({"funding_time", "funding", "index", "mark"}),
}
_EXCHANGE = re.compile(r"[a-z0-9][a-z0-9.-]{1,29}")


def recognise(titles: tuple[str, ...]) -> Layout | None:
    """The layout that a header shows (titles in lower case, without underscores); else None.

    The exchange is still to be settled, and whether it is trades or liquidations (:func:`settled`).
    """
    if titles[: len(_HEAD)] != tuple(_HEAD):
        return None
    rest = titles[len(_HEAD) :]
    for name, kind, columns in _TYPES:
        if frozenset(rest) == columns.keys() and len(rest) == len(columns):
            roles = (*_HEAD.values(), *(columns[t] for t in rest))
            optional = _OPTIONAL.get(kind, frozenset())
            source = name if kind == Kind.DEPTH else "archive"
            return Layout(f"Tardis {name}", kind, roles, "", titles, optional, "", source)
    return _books(titles, rest)


def _books(titles: tuple[str, ...], rest: tuple[str, ...]) -> Layout | None:
    """``book_snapshot_N``: price and amount of every level, asks and bids in turn."""
    found = [_LEVEL.fullmatch(t) for t in rest]
    if not rest or not all(found) or len(set(rest)) != len(rest):
        return None
    what = {"price": "price", "amount": "qty"}
    roles = tuple(f"{m[1]}_{what[m[3]]}{int(m[2])}" for m in found if m)
    levels = len(rest) // 4
    needed = {
        f"{s}_{w}{i}" for s in ("bid", "ask") for w in ("price", "qty") for i in range(levels)
    }
    if set(roles) != needed:
        return None
    name = f"book_snapshot_{levels}"
    all_roles = (*_HEAD.values(), *roles)
    return Layout(f"Tardis {name}", Kind.DEPTH, all_roles, "", titles, frozenset(roles), "", name)


def settled(layout: Layout, exchange: str, path: PurePath) -> Layout:
    """``layout`` of the file at ``path`` whose first row names ``exchange``.

    DataError for an exchange that cannot be a venue, or whose amounts are not understood;
    UsageError where nothing tells trades from liquidations.
    """
    if exchange == "binance-delivery":
        raise DataError(
            "COIN-M files are not understood",
            why="their quantities are contracts, not base currency",
            do="import the USD-M or the spot file of the symbol",
        )
    if not _EXCHANGE.fullmatch(exchange):
        raise DataError(
            "a Tardis file without an exchange",
            why=f"its first row names {exchange[:40]!r}",
            do="leave it out: a file without rows says that there was no data that day",
        )
    venue = VENUES.get(exchange, exchange)
    layout = replace(layout, venue=venue, exchange=exchange)
    if layout.kind != Kind.TRADE:
        return layout
    if _of_liquidations(path):
        roles = tuple("" if r == "text_id" else r for r in layout.roles)
        name, none = "Tardis liquidations", frozenset[str]()
        return replace(layout, name=name, kind=Kind.LIQUIDATION, roles=roles, optional=none)
    if venue.startswith("binance"):
        roles = tuple("id" if r == "text_id" else r for r in layout.roles)
        return replace(layout, roles=roles, optional=frozenset({"id"}))
    return layout


def _of_liquidations(path: PurePath) -> bool:
    """What the name, or the nearest telling folder, says; both kinds have the same columns."""
    for part in reversed(path.parts):
        words = set(re.split(r"[_.\s-]", part.lower()))
        if words & {"trades", "liquidations"}:
            return "liquidations" in words
    raise UsageError(
        "trades or liquidations?",
        where=str(path),
        why="Tardis writes both with the same columns; only the name tells them apart",
        do="give the file a name with 'trades' or 'liquidations' in it, as the vendor does",
    )
