"""The venues' streams: hosts, paths, limits, names of streams; and how these are shared out.

Owns :data:`VENUES` and :func:`plan`. Sources: reference page of the venues, sections 1.1 and 4.
What must hold: a stream goes to the path that serves it (a wrong path of USD-M futures connects,
acknowledges and stays silent); no connection gets more streams than the venue allows.

It refuses to know sockets and what a frame holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from data.enums import Kind
from data.errors import UsageError
from data.events import EVENTS

_S = 1_000_000_000

TERMINAL = "mt5"
"""Name of the venue behind a MetaTrader 5 terminal."""


@dataclass(frozen=True, slots=True)
class Venue:
    """What is known of a venue.

    ``names`` are the stream names by kind, ``{}`` the symbol; ``paths`` the path of each kind's
    streams. A connection takes ``streams`` streams and ``arguments`` characters of names, a message
    ``batch`` streams, and ``message_s`` seconds must lie between messages. ``head`` is what a frame
    begins with, before the name of its stream. ``ping`` is a message to send every 20 s.
    """

    name: str
    ws: str
    rest: str
    names: Mapping[Kind, str]
    paths: Mapping[Kind, str]
    head: bytes
    lower: bool
    streams: int
    arguments: int
    batch: int
    message_s: float
    attempts: int
    ping: bytes = b""

    def stream(self, symbol: str, kind: Kind) -> str:
        """Name of the stream; UsageError where the venue has none of that kind."""
        if kind not in self.names:
            have = ", ".join(EVENTS[k].name for k in self.names)
            raise UsageError(
                f"{self.name} has no stream of {EVENTS[kind].name}",
                where="--streams",
                why="the venue does not send that kind over its sockets",
                do=f"choose from {have}",
            )
        return self.names[kind].format(symbol.lower() if self.lower else symbol)

    def kind(self, stream: str) -> Kind | None:
        """What a stream carries; None where it is none of this venue's."""
        for kind, name in self.names.items():
            before, _, behind = name.partition("{}")
            if stream.startswith(before) and stream.endswith(behind):
                return kind
        return None


@dataclass(frozen=True, slots=True)
class Lane:
    """Streams that share a connection: ``path`` of the address, ``streams`` by the venue's names,
    ``kinds`` what they carry."""

    venue: str
    path: str
    streams: tuple[str, ...]
    kinds: tuple[Kind, ...]


_BINANCE = {
    Kind.TRADE: "{}@aggTrade",
    Kind.DEPTH: "{}@depth20@100ms",
    Kind.QUOTE: "{}@bookTicker",
    Kind.BAR: "{}@kline_1m",
}
_UM = {**_BINANCE, Kind.MARK: "{}@markPrice@1s", Kind.LIQUIDATION: "{}@forceOrder"}
_BYBIT = {
    Kind.TRADE: "publicTrade.{}",
    Kind.DEPTH: "orderbook.50.{}",
    Kind.QUOTE: "orderbook.1.{}",
    Kind.BAR: "kline.1.{}",
    Kind.MARK: "tickers.{}",
    Kind.LIQUIDATION: "allLiquidation.{}",
}
_PUBLIC = frozenset({Kind.DEPTH, Kind.QUOTE})

VENUES: dict[str, Venue] = {
    # Messages a second: 10 are documented, of 40 at once 15 were answered before the cut.
    "binance-um": Venue(
        name="binance-um",
        ws="wss://fstream.binance.com",
        rest="https://fapi.binance.com",
        names=_UM,
        paths={k: "/public/stream" if k in _PUBLIC else "/market/stream" for k in _UM},
        head=b'{"stream":"',
        lower=True,
        streams=1000,
        arguments=1 << 20,
        batch=100,
        message_s=0.2,
        attempts=300,
    ),
    # 5 messages a second with pings and pongs, so no more than 3 of ours.
    "binance-spot": Venue(
        name="binance-spot",
        ws="wss://stream.binance.com:9443",
        rest="https://api.binance.com",
        names=_BINANCE,
        paths=dict.fromkeys(_BINANCE, "/stream"),
        head=b'{"stream":"',
        lower=True,
        streams=1000,
        arguments=1 << 20,
        batch=100,
        message_s=0.33,
        attempts=300,
    ),
    "bybit": Venue(
        name="bybit",
        ws="wss://stream.bybit.com",
        rest="https://api.bybit.com",
        names=_BYBIT,
        paths=dict.fromkeys(_BYBIT, "/v5/public/linear"),
        head=b'{"topic":"',
        lower=False,
        streams=1000,
        arguments=20_000,
        batch=10,
        message_s=0.1,
        attempts=500,
        ping=b'{"op":"ping"}',
    ),
    # A terminal is asked, again and again, by whoever has one; frames of it are our own.
    TERMINAL: Venue(
        name=TERMINAL,
        ws="",
        rest="",
        names={Kind.QUOTE: "{}@tick", Kind.BAR: "{}@bar"},
        paths={},
        head=b'{"stream":"',
        lower=False,
        streams=0,
        arguments=0,
        batch=0,
        message_s=0.0,
        attempts=0,
    ),
}
"""Venues that can be recorded, by name; all have sockets but the terminal."""

ATTEMPTS_SPAN_S = 300.0
"""``Venue.attempts`` connections may be tried within so many seconds."""

SILENT_NS = {
    Kind.DEPTH: 30 * _S,
    Kind.QUOTE: 30 * _S,
    Kind.MARK: 15 * _S,
    Kind.TRADE: 300 * _S,
    Kind.BAR: 300 * _S,
}
"""A connection whose streams are all silent for the least of its kinds' spans is dead, whatever it
acknowledged. Liquidations may be missing for hours and prove nothing."""


def venue_named(name: str) -> Venue:
    """The venue called ``name``; UsageError where it is none that can be recorded."""
    if name not in VENUES:
        near = get_close_matches(name, VENUES, 1)
        meant = f"did you mean {near[0]}? or " if near else ""
        raise UsageError(
            f"{name!r} cannot be recorded",
            where="--venue",
            why="ofs knows no venue of that name that sends anything",
            do=f"{meant}choose one of {', '.join(sorted(VENUES))}",
        )
    return VENUES[name]


def plan(venue: str, symbols: Iterable[str], kinds: Iterable[Kind]) -> list[Lane]:
    """Connections for the streams of ``kinds`` of ``symbols``, within the venue's limits.

    UsageError where the venue is unknown or has no stream of a kind.
    """
    about = venue_named(venue)
    assert about.paths, "a terminal has no sockets"
    wanted = tuple(dict.fromkeys(kinds))
    by_path: dict[str, list[tuple[str, Kind]]] = {}
    for symbol in dict.fromkeys(symbols):
        for kind in wanted:
            name = about.stream(symbol, kind)
            by_path.setdefault(about.paths[kind], []).append((name, kind))
    return [
        Lane(venue, path, tuple(n for n, _ in share), tuple(sorted({k for _, k in share})))
        for path, streams in by_path.items()
        for share in _shares(about, streams)
    ]


def _shares(venue: Venue, streams: list[tuple[str, Kind]]) -> list[list[tuple[str, Kind]]]:
    """``streams`` in as many connections as it takes, filled evenly."""
    characters = sum(len(name) + 3 for name, _ in streams)
    count = max(-(-len(streams) // venue.streams), -(-characters // venue.arguments))
    most = -(-len(streams) // count)
    shares: list[list[tuple[str, Kind]]] = [[]]
    room = venue.arguments
    for name, kind in streams:
        if len(shares[-1]) >= most or room < len(name) + 3:
            shares.append([])
            room = venue.arguments
        shares[-1].append((name, kind))
        room -= len(name) + 3
    return shares
