"""Raw recordings of Binance streams: what becomes of each message.

Owns the routing of messages to rows and books. Lines, local times and books over several files
stand in :mod:`data.sources.lines`.

It refuses to know the log and how files are opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from data.events import Kind
from data.sources.binance_frames import (
    MESSAGES,
    RAW_STREAMS,
    Combined,
    DepthSnapshot,
    ForceOrder,
    Head,
    channel_of,
)
from data.sources.book import BookBuilder, Diff, Snapshot
from data.sources.lines import SPOT, Key, LineParser, Session, local_time_ns
from data.sources.recording_rows import MAKERS, Rows, partial_row, time_ns
from data.sources.rejects import RejectedError, Rejects

__all__ = ["Key", "RecordingParser", "Session", "local_time_ns"]

PARTIAL_CADENCE_NS = 100_000_000
"""Partial books come at 100 ms at the fastest; only a longer cadence thins them out."""


@dataclass(slots=True)
class Route:
    """Where the messages of one stream go."""

    symbol: str
    channel: str
    source: str
    decode: Callable[[bytes], Any]
    make: Callable[[Any, int, int], Any] | None
    rows: Rows | None


class RecordingParser(LineParser):
    """Parses one recording of ``venue``; give it the blocks of the file in order.

    ``symbol`` is for REST snapshots, which name none; None when the file has several. With ``sure``
    it stays, else it is given up as soon as another symbol shows up in the file.
    """

    snapshot_word = "REST snapshot"

    def __init__(
        self,
        venue: str,
        symbol: str | None,
        session: Session,
        rejects: Rejects,
        *,
        sure: bool = False,
    ) -> None:
        super().__init__(venue, session, rejects)
        self.symbol = symbol
        self._sure = sure
        self._routes: dict[bytes, Route | None] = {}
        self._partial_slots: dict[Key, int] = {}

    def message(self, payload: bytes, recv_ns: int, number: int) -> None:
        """See :class:`LineParser`."""
        # `{"stream":"NAME","data":BODY}` is what a combined connection sends, byte for byte.
        if payload[:11] == b'{"stream":"':
            end = payload.find(b'"', 11)
            name = payload[11:end]
            try:
                route = self._routes[name]
            except KeyError:
                route = self._add_route(name)
            payload = payload.rstrip()
            if payload[end : end + 9] == b'","data":' and payload.endswith(b"}"):
                self._deliver(route, name, payload[end + 9 : -1], recv_ns, number)
                return
        self._other(payload, recv_ns, number)

    def _deliver(
        self, route: Route | None, name: bytes, body: bytes, recv_ns: int, number: int
    ) -> None:
        if route is None:
            self.counts.skipped[f"stream {_kind_of_stream(name)}"] += 1
            return
        data = route.decode(body)
        if not route.symbol:
            symbol = data.o.s if route.channel == "forceOrder" else data.s
            route = self._routed(f"{symbol.lower()}@{route.channel}".encode())
            if route is None:
                raise RejectedError("symbol")
        if route.make is None:
            self._depth(route, data, recv_ns, number)
            return
        row = route.make(data, recv_ns, number)
        if row is not None and route.rows is not None:
            route.rows.append(row)
        elif row is None:
            self.counts.skipped["open kline"] += 1

    def _other(self, payload: bytes, recv_ns: int, number: int) -> None:
        """A frame in another spelling, a frame without a stream name, a REST body, an answer."""
        head = msgspec.json.decode(payload, type=Head)
        if b'"stream"' in payload[:64]:
            frame = msgspec.json.decode(payload, type=Combined)
            name = frame.stream.encode()
            self._deliver(self._routed(name), name, bytes(frame.data), recv_ns, number)
        elif head.lastUpdateId >= 0 and not head.e:
            self._snapshot(msgspec.json.decode(payload, type=DepthSnapshot))
        elif head.e in RAW_STREAMS or (head.s and head.B):
            stream = RAW_STREAMS.get(head.e, "bookTicker")
            symbol = head.s or _order_symbol(payload)
            name = f"{symbol.lower()}@{stream}".encode()
            self._deliver(self._routed(name), name, payload, recv_ns, number)
        else:
            self.counts.skipped[f"message {head.e}" if head.e else "answer"] += 1

    def _routed(self, name: bytes) -> Route | None:
        if name not in self._routes:
            self._add_route(name)
        return self._routes[name]

    def _add_route(self, name: bytes) -> Route | None:
        """Remember where messages of the stream ``name`` go; None for those of no use."""
        found = channel_of(name.decode("utf-8", "replace"))
        if found is None:
            self._routes[name] = None
            return None
        symbol, channel = found
        if symbol and symbol != self.symbol and not self._sure:
            self.symbol = None
        message = channel
        if channel == "partial" and self.venue == SPOT:
            message = "partial_spot"
        source = name.decode().partition("@")[2] if channel in ("diff", "partial") else channel
        kind, maker = MAKERS.get(channel, (Kind.DEPTH, None))
        rows: Rows | None = None
        if symbol and (maker is not None or channel == "partial"):
            rows = self._rows.setdefault((kind, symbol, source), [])
        route = Route(
            symbol,
            channel,
            source,
            msgspec.json.Decoder(MESSAGES[message]).decode,
            maker(symbol, self.session.numbers) if maker is not None else None,
            rows,
        )
        self._routes[name] = route
        return route

    def _depth(self, route: Route, data: Any, recv_ns: int, number: int) -> None:
        if route.channel == "partial":
            self._partial(route, data, recv_ns, number)
            return
        if data.s != route.symbol:
            raise RejectedError("symbol")
        if (data.pu < 0) != (self.venue == SPOT) or data.u < data.U:
            raise RejectedError("frame")
        prices, quantities = self.session.prices, self.session.quantities
        diff = Diff(
            time_ns(data.T or data.E),
            recv_ns,
            number,
            data.U,
            data.u,
            data.pu,
            [(prices[p], quantities[q]) for p, q in data.b],
            [(prices[p], quantities[q]) for p, q in data.a],
        )
        self._book(route.symbol).add_diff(diff)

    def _book(self, symbol: str) -> BookBuilder:
        book = self.session.book(self.venue, symbol)
        self._count_book((self.venue, symbol, "book"), book)
        return book

    def _partial(self, route: Route, data: Any, recv_ns: int, number: int) -> None:
        session = self.session
        memos = (session.prices, session.quantities)
        row = partial_row(data, recv_ns, number, *memos, session.levels)
        key = (Kind.DEPTH, route.symbol, route.source)
        if session.cadence_ns > PARTIAL_CADENCE_NS:
            slot = row.ts_ns // session.cadence_ns
            if self._partial_slots.get(key, -1) >= slot:
                self.counts.skipped["partial book within a slot"] += 1
                return
            self._partial_slots[key] = slot
        assert route.rows is not None
        route.rows.append(row)

    def _snapshot(self, data: DepthSnapshot) -> None:
        if self.symbol is None:
            raise RejectedError("snapshot_symbol")
        prices, quantities = self.session.prices, self.session.quantities
        bids = [(prices[p], quantities[q]) for p, q in data.bids]
        asks = [(prices[p], quantities[q]) for p, q in data.asks]
        self._book(self.symbol).add_snapshot(Snapshot(data.lastUpdateId, bids, asks))


def _kind_of_stream(name: bytes) -> str:
    """The part of an unknown stream name that says what it is, without the symbol."""
    text = name.decode("utf-8", "replace")
    return text.partition("@")[2][:40] or text[:40]


def _order_symbol(payload: bytes) -> str:
    """Symbol of a raw liquidation, which stands one level deeper than in other messages."""
    return msgspec.json.decode(payload, type=ForceOrder).o.s
