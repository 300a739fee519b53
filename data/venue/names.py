"""Stream names, paths and layouts of the venues that can be stood in for.

Owns what a name such as ``btcusdt@depth20@100ms`` asks for, which path of which layout carries it,
and which layout a log's venue is served in. What must hold: a path that carries nothing of a kind
takes the subscription and stays silent, as the real one does. Source: reference page of the venue,
sections 1.1 and 4.

It refuses to know sockets, rows and time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from data.enums import Kind
from data.errors import UsageError

SPOT, FUTURES, BYBIT = "spot", "futures", "bybit"

LAYOUTS = (SPOT, FUTURES, BYBIT)
"""Every layout there is."""

_LAYOUT_OF = {"binance-spot": SPOT, "binance-um": FUTURES, "bybit": BYBIT, "bybit-spot": BYBIT}

PUBLIC = frozenset({Kind.DEPTH, Kind.QUOTE})
"""Kinds of the futures route ``/public``, and of the old paths since 2026-04-23."""

MARKET = frozenset({Kind.TRADE, Kind.BAR, Kind.MARK, Kind.LIQUIDATION})
"""Kinds of the futures route ``/market``."""

CARRIED: dict[str, dict[str, frozenset[Kind]]] = {
    SPOT: {"": frozenset({Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.BAR})},
    FUTURES: {"": PUBLIC, "public": PUBLIC, "market": MARKET, "private": frozenset()},
    BYBIT: {
        "linear": PUBLIC | MARKET,
        "inverse": PUBLIC | MARKET,
        "spot": frozenset({Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.BAR}),
    },
}
"""Kinds that each route of a layout carries."""

_SYNTAX = re.compile(r"!?[A-Za-z0-9_-]+(?:@[A-Za-z0-9_+:.-]+)+|![A-Za-z]+")
_BINANCE = re.compile(
    r"(?P<symbol>[a-z0-9_-]+)@(?:(?P<plain>aggTrade|bookTicker|forceOrder)"
    r"|depth(?P<levels>5|10|20)(?:@(?P<every>100|250|500|1000)ms)?"
    r"|kline_(?P<interval>\d+[smhdw])|markPrice(?:@[13]s)?)"
)
_PLAIN = {"aggTrade": Kind.TRADE, "bookTicker": Kind.QUOTE, "forceOrder": Kind.LIQUIDATION}
_BYBIT = re.compile(
    r"(?:(?P<plain>publicTrade|allLiquidation|tickers)|orderbook\.(?P<levels>1|50|200|1000)"
    r"|kline\.(?P<minutes>\d+))\.(?P<symbol>[A-Z0-9-]+)"
)
_PLAIN_BYBIT = {
    "publicTrade": Kind.TRADE,
    "allLiquidation": Kind.LIQUIDATION,
    "tickers": Kind.MARK,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stream's name asks for: the ``name`` as it was spelt, the symbol in upper case, the
    kind, ``levels`` a side of a book, ``thin_ns`` at most one frame in that time (0: each one),
    ``interval_ns`` of bars, and the kind with which it shares its ``route`` (None: its own)."""

    name: str
    symbol: str
    kind: Kind
    levels: int = 0
    thin_ns: int = 0
    interval_ns: int = 0
    route: Kind | None = None

    @property
    def routed(self) -> Kind:
        """The kind whose path carries it."""
        return self.kind if self.route is None else self.route


@dataclass(frozen=True, slots=True)
class Address:
    """What a socket's address says: its route, whether frames are wrapped with the stream's name,
    the streams named in it, and the unit of its times in ns."""

    route: str
    combined: bool
    streams: tuple[str, ...]
    unit_ns: int = 1_000_000


def layout_of(venue: str, wanted: str = "") -> str:
    """The layout in which a log's ``venue`` is served; UsageError where ``wanted`` is none."""
    if wanted and wanted not in LAYOUTS:
        raise UsageError(f"there is no layout {wanted!r}", do=f"use one of: {', '.join(LAYOUTS)}")
    return wanted or _LAYOUT_OF.get(venue, FUTURES)


def is_name(layout: str, name: str) -> bool:
    """Whether ``name`` has the form of a stream; the venue looks no further to acknowledge it."""
    if layout == BYBIT:
        return "." in name and name.rsplit(".", 1)[1].isalnum()
    return _SYNTAX.fullmatch(name) is not None


def asked(layout: str, name: str) -> Asked | None:
    """What ``name`` asks for; None for a stream that nothing is served on."""
    return _asked_bybit(name) if layout == BYBIT else _asked_binance(name)


def canonical(layout: str, symbol: str, kind: Kind) -> str:
    """The usual name of the stream that carries ``kind`` of ``symbol``; fault files match it."""
    if layout == BYBIT:
        form = {
            Kind.TRADE: "publicTrade.{}",
            Kind.DEPTH: "orderbook.50.{}",
            Kind.QUOTE: "orderbook.1.{}",
            Kind.MARK: "tickers.{}",
            Kind.BAR: "kline.1.{}",
            Kind.LIQUIDATION: "allLiquidation.{}",
        }.get(kind, "{}")
        return form.format(symbol)
    form = {
        Kind.TRADE: "{}@aggTrade",
        Kind.DEPTH: "{}@depth20@100ms",
        Kind.QUOTE: "{}@bookTicker",
        Kind.BAR: "{}@kline_1m",
        Kind.MARK: "{}@markPrice@1s",
        Kind.LIQUIDATION: "{}@forceOrder",
    }.get(kind, "{}")
    return form.format(symbol.lower())


def address_of(layout: str, target: str) -> Address | None:
    """What the target of an opening request says; None where the venue has no such path."""
    parts = urlsplit(target)
    words = [w for w in parts.path.split("/") if w]
    if layout == BYBIT:
        good = len(words) == 3 and words[:2] == ["v5", "public"] and words[2] in CARRIED[BYBIT]
        return Address(words[2], True, ()) if good else None
    route = ""
    if layout == FUTURES and words and words[0] in CARRIED[FUTURES]:
        route = words.pop(0)
    query = parse_qs(parts.query)
    fine = layout == SPOT and query.get("timeUnit", [""])[0].upper() == "MICROSECOND"
    unit_ns = 1_000 if fine else 1_000_000
    if words == ["stream"]:
        named = tuple(n for text in query.get("streams", []) for n in text.split("/") if n)
        return Address(route, True, named, unit_ns)
    if words and words[0] == "ws":
        return Address(route, False, tuple(words[1:]), unit_ns)
    return None


def _asked_binance(name: str) -> Asked | None:
    found = _BINANCE.fullmatch(name)
    if found is None:
        return None
    symbol = found["symbol"].upper()
    if found["plain"]:
        return Asked(name, symbol, _PLAIN[found["plain"]])
    if found["levels"]:
        every = int(found["every"] or 0)
        thin_ns = every * 1_000_000 if every > 100 else 0
        return Asked(name, symbol, Kind.DEPTH, levels=int(found["levels"]), thin_ns=thin_ns)
    if found["interval"]:
        text = found["interval"]
        interval_ns = int(text[:-1]) * _SECONDS[text[-1]] * NS
        return Asked(name, symbol, Kind.BAR, interval_ns=interval_ns)
    return Asked(name, symbol, Kind.MARK)


def _asked_bybit(name: str) -> Asked | None:
    found = _BYBIT.fullmatch(name)
    if found is None:
        return None
    symbol = found["symbol"]
    if found["plain"]:
        return Asked(name, symbol, _PLAIN_BYBIT[found["plain"]])
    if found["levels"] == "1":
        return Asked(name, symbol, Kind.QUOTE)
    if found["levels"]:
        return Asked(name, symbol, Kind.DEPTH, levels=int(found["levels"]))
    return Asked(name, symbol, Kind.BAR, interval_ns=int(found["minutes"]) * 60 * NS)


def interval_text(interval_ns: int) -> str:
    """``1m``, ``5m``, ``1h``, ``1d`` of a length in ns, as the venue spells it."""
    seconds = interval_ns // NS
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
