"""Recordings of Bybit feeds, v5 and v2, and the archive of books: what becomes of each message.

Owns the routing of messages to rows and books. A trade's side is the taker's, as the venue says it;
the tick direction stands beside it in its own column and never above it. A liquidation's side is
turned round: the venue names the position that was closed, the log the order that closed it. Books
of one level are quotes. Lines and local times stand in :mod:`data.sources.lines`.

What cannot be known: trade ids are UUIDs (in spot, numbers of the whole venue), so the log keeps
them as opaque ids (:mod:`data.ids`): a missing trade leaves no trace, and a silence stays a
silence. The first ``trade`` message of a v2 subscription repeats older trades; they are kept as
what they are, trades that arrived late. Quantities of inverse contracts (BTCUSD) are contracts of
one USD; they are stored as they come and not turned into coins. A liquidation's price is the
bankruptcy price, not a fill.

It refuses to know the log and how files are opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from data.events import Kind
from data.ids import opaque_id
from data.sources import bybit_frames as frames
from data.sources.book import Book, Level
from data.sources.bybit_frames import SIDES, TICKS, int_of, text_of
from data.sources.lines import Key, LineParser, Session
from data.sources.recording_rows import UNREADABLE_SIDE, Rows, time_ns
from data.sources.rejects import RejectedError, Rejects
from data.sources.stream_book import StreamBook, Update

_TOP = "orderbook.1"


@dataclass(slots=True)
class Route:
    """Where the messages of one topic go."""

    symbol: str
    source: str
    decode: Callable[[bytes], Any]
    take: Callable[[Route, Any, int, int], None]
    rows: Rows
    book: StreamBook | None = None
    top: Book | None = None


class BybitParser(LineParser):
    """Parses one recording of ``venue`` (bybit or bybit-spot), or one archive of books."""

    def __init__(
        self, venue: str, session: Session, rejects: Rejects, *, stamped: bool = True
    ) -> None:
        super().__init__(venue, session, rejects, stamped=stamped)
        self._routes: dict[str, Route | None] = {}
        self._topic = msgspec.json.Decoder(frames.Head)

    def message(self, payload: bytes, recv_ns: int, number: int) -> None:
        """See :class:`LineParser`."""
        topic = _topic_of(payload) or self._topic.decode(payload).topic
        if not topic:
            self.counts.skipped["answer"] += 1
            return
        try:
            route = self._routes[topic]
        except KeyError:
            route = self._routes[topic] = self._add_route(topic)
        if route is None:
            name = topic.rpartition(".")[0] or topic
            self.counts.skipped[f"topic {name[:40]}"] += 1
            return
        route.take(route, route.decode(payload), recv_ns, number)

    def _add_route(self, topic: str) -> Route | None:
        found = frames.channel_of(topic)
        if found is None:
            return None
        symbol, channel, source = found
        decode = msgspec.json.Decoder(frames.MESSAGES[channel]).decode
        if channel == "orderbook" and source == _TOP:
            rows = self._rows_of(Kind.QUOTE, symbol, source)
            return Route(symbol, source, decode, self._quote, rows, top=Book())
        if channel in ("orderbook", "orderBook"):
            book = self.session.stream_book(self.venue, symbol, source)
            self._count_book((self.venue, symbol, source), book)
            if channel == "orderbook":
                return Route(symbol, source, decode, self._book, [], book=book)
            return Route(symbol, source, decode, self._old_book, [], book=book)
        if channel == "allLiquidation":
            rows = self._rows_of(Kind.LIQUIDATION, symbol, source)
            return Route(symbol, source, decode, self._liquidations, rows)
        rows = self._rows_of(Kind.TRADE, symbol, "trade")
        if channel == "publicTrade":
            return Route(symbol, source, decode, self._trades, rows)
        return Route(symbol, source, decode, self._old_trades, rows)

    def _rows_of(self, kind: Kind, symbol: str, source: str) -> Rows:
        key: Key = (kind, symbol, source)
        return self._rows.setdefault(key, [])

    def _trades(self, route: Route, data: frames.Trades, recv_ns: int, number: int) -> None:
        numbers, rows = self.session.numbers, []
        for t in data.data:
            _same_symbol(t.s, route)
            side, tick = _side(t.S), _tick(t.L)
            price, qty = numbers[t.p], numbers[t.v]
            rows.append((time_ns(t.T), recv_ns, number, _id(t.i), price, qty, side, tick))
        route.rows += rows

    def _old_trades(self, route: Route, data: frames.OldTrades, recv_ns: int, number: int) -> None:
        numbers, rows = self.session.numbers, []
        for t in data.data:
            _same_symbol(t.symbol, route)
            side, tick = _side(t.side), _tick(t.tick_direction)
            price, qty = numbers[text_of(t.price)], numbers[text_of(t.size)]
            ts_ns = time_ns(int_of(t.trade_time_ms))
            rows.append((ts_ns, recv_ns, number, _id(t.trade_id), price, qty, side, tick))
        route.rows += rows

    def _liquidations(
        self, route: Route, data: frames.Liquidations, recv_ns: int, number: int
    ) -> None:
        numbers, rows = self.session.numbers, []
        for liquidation in data.data:
            _same_symbol(liquidation.s, route)
            # Buy is a long position, which a sell order closed.
            side = -SIDES.get(liquidation.S, -UNREADABLE_SIDE)
            price, qty = numbers[liquidation.p], numbers[liquidation.v]
            rows.append((time_ns(liquidation.T), recv_ns, number, 0, price, qty, side))
        route.rows += rows

    def _update(self, route: Route, d: frames.Book, recv_ns: int, number: int) -> Update:
        if d.type not in ("snapshot", "delta"):
            raise RejectedError("frame")
        _same_symbol(d.data.s, route)
        prices, quantities = self.session.prices, self.session.quantities
        return Update(
            # the matching engine's time, which is that of the trades; else the time of sending
            time_ns(d.cts or d.ts),
            recv_ns,
            number,
            d.data.seq or d.data.u,
            d.data.u,
            [(prices[p], quantities[q]) for p, q in d.data.b],
            [(prices[p], quantities[q]) for p, q in d.data.a],
        )

    def _book(self, route: Route, d: frames.Book, recv_ns: int, number: int) -> None:
        update = self._update(route, d, recv_ns, number)
        assert route.book is not None
        if d.type == "snapshot":
            route.book.add_snapshot(update)
        else:
            route.book.add_delta(update)

    def _quote(self, route: Route, d: frames.Book, recv_ns: int, number: int) -> None:
        """A book of one level: only ever a snapshot today, with deltas in between before."""
        update = self._update(route, d, recv_ns, number)
        top = route.top
        assert top is not None
        if d.type == "snapshot":
            top.load(update.bids, update.asks)
        else:
            top.apply(update.bids, update.asks)
        bids, bid_qty, asks, ask_qty = top.top(1)
        if not (bids and asks) or top.crossed:
            self.counts.skipped["quote of one side" if not top.crossed else "crossed quote"] += 1
            return
        stamp = update.ts_ns, recv_ns, number, update.id
        route.rows.append((*stamp, bids[0], bid_qty[0], asks[0], ask_qty[0]))

    def _old_book(self, route: Route, d: frames.OldBook, recv_ns: int, number: int) -> None:
        stamp = time_ns(int_of(d.timestamp_e6)), recv_ns, number, int_of(d.cross_seq), 0
        assert route.book is not None
        if d.type == "snapshot":
            levels = _old_levels(d.data)
            route.book.add_snapshot(Update(*stamp, *self._sides(route, levels)))
        elif d.type == "delta":
            delta = msgspec.json.decode(d.data, type=frames.OldDelta)
            gone, changed = (
                self._sides(route, delta.delete, gone=True),
                self._sides(route, delta.update),
            )
            new = self._sides(route, delta.insert)
            bids, asks = gone[0] + changed[0], gone[1] + changed[1]
            update = Update(*stamp, bids + new[0], asks + new[1])
            route.book.add_delta(update, _places(bids, asks), _places(*new))
        else:
            raise RejectedError("frame")

    def _sides(
        self, route: Route, levels: list[frames.OldLevel], *, gone: bool = False
    ) -> tuple[list[Level], list[Level]]:
        """Bids and asks of some levels; those that are ``gone`` carry no size and get 0."""
        prices, quantities = self.session.prices, self.session.quantities
        sides: tuple[list[Level], list[Level]] = ([], [])
        for level in levels:
            _same_symbol(level.symbol, route)
            qty = 0 if gone else quantities[text_of(level.size)]
            pair = prices[text_of(level.price)], qty
            sides[0 if _side(level.side) > 0 else 1].append(pair)
        return sides


def _topic_of(payload: bytes) -> str:
    """The topic of a message that begins with it, as the venue sends them; else empty."""
    if payload[:10] != b'{"topic":"':
        return ""
    return payload[10 : payload.find(b'"', 10)].decode("utf-8", "replace")


def _same_symbol(symbol: str, route: Route) -> None:
    if symbol != route.symbol:
        raise RejectedError("symbol")


def _side(word: str) -> int:
    try:
        return SIDES[word]
    except KeyError:
        raise RejectedError("side") from None


def _tick(word: str) -> int:
    try:
        return TICKS[word]
    except KeyError:
        raise RejectedError("tick") from None


def _id(text: str) -> int:
    if not text:
        raise RejectedError("frame")
    return opaque_id(text)


def _old_levels(data: msgspec.Raw) -> list[frames.OldLevel]:
    if bytes(data)[:1] == b"[":
        return msgspec.json.decode(data, type=list[frames.OldLevel])
    return msgspec.json.decode(data, type=frames.OldSnapshot).order_book


def _places(bids: list[Level], asks: list[Level]) -> list[tuple[int, int]]:
    return [(1, price) for price, _ in bids] + [(-1, price) for price, _ in asks]
