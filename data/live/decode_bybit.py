"""Frames of Bybit's v5 public connections as rows.

Owns one reader a topic. A message may carry many trades. Books come as a snapshot and changes to
it: :class:`data.sources.stream_book.StreamBook` puts them together and says where one is missing.
Sources of the fields: reference page of the venue, section "Bybit v5"; klines and tickers, the
venue's documentation of those topics.

What must hold: the taker's side is not turned round, a liquidation's is (the venue names the
position that was closed); of a message with one bad trade the others stay; a ticker's mark is
written once a second, because the venue repeats it ten times as often.

It refuses to know what was seen before, the book of a connection excepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from data.events import PRICE_QTY_PRODUCT_MAX, Kind
from data.ids import opaque_id
from data.live.blocks import Series
from data.live.decode import (
    AHEAD_OF_SENT_NS,
    UNREADABLE,
    LevelTexts,
    Numbers,
    Route,
    Row,
    Told,
    bar,
    deal,
    reason_of,
    time_ns,
    touch,
)
from data.sources import bybit_frames as frames
from data.sources.binance_frames import Time
from data.sources.book import Book, Level
from data.sources.decimals import round_fixed
from data.sources.rejects import RejectedError
from data.sources.stream_book import StreamBook, Update

LEVELS = 25
CADENCE_NS = 100_000_000
"""Books are written as often as the other venue sends them: the state at the end of each slot."""

_SECOND_NS = 1_000_000_000

Reader = Callable[[bytes, int], Told]


class _Trades(frames.Trades, gc=False):
    ts: Time = 0


class _Liquidations(frames.Liquidations, gc=False):
    ts: Time = 0


class _Candle(msgspec.Struct, gc=False):
    """One of ``kline``; ``confirm`` says that it is closed."""

    start: Time
    end: Time
    open: str
    high: str
    low: str
    close: str
    volume: str
    confirm: bool


class _Candles(msgspec.Struct, gc=False):
    data: list[_Candle]
    ts: Time = 0


class _TickerData(msgspec.Struct, gc=False):
    """``data`` of ``tickers``; a delta carries what changed."""

    symbol: str
    markPrice: str = ""  # noqa: N815  reason: the venue's name
    indexPrice: str = ""  # noqa: N815  reason: the venue's name
    fundingRate: str = ""  # noqa: N815  reason: the venue's name
    nextFundingTime: str = ""  # noqa: N815  reason: the venue's name


class _Ticker(msgspec.Struct, gc=False):
    data: _TickerData
    ts: Time = 0


class _Reading(NamedTuple):
    """A reader, and what forgets the state of its connection."""

    read: Reader
    restart: Callable[[], None] | None = None


def route_of(
    venue: str, topic: str, series: Mapping[str, int], facts: list[Series], numbers: list[Numbers]
) -> Route | None:
    """The route of a topic, as :func:`data.live.decode_binance.route_of`."""
    channel, _, symbol = topic.rpartition(".")
    number, kind = series.get(symbol), KINDS.get(channel)
    if number is None or kind is None:
        return None
    reading = _READERS[channel](facts[number].symbol, numbers[number])
    return Route(number, kind, reading.read, kind is not Kind.TRADE, reading.restart)


def _trades(symbol: str, numbers: Numbers) -> _Reading:
    decode = msgspec.json.Decoder(_Trades).decode
    prices, quantities = numbers.prices, numbers.quantities

    def row(t: frames.Trade) -> Row:
        if t.s != symbol:
            raise RejectedError("symbol")
        side, tick = frames.SIDES.get(t.S), frames.TICKS.get(t.L)
        if side is None or tick is None:
            raise RejectedError("side" if side is None else "tick")
        if not t.i:
            raise RejectedError("frame")
        price, qty = prices[t.p], quantities[t.v]
        deal(price, qty)
        return time_ns(t.T), opaque_id(t.i), price, qty, side, tick

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame)
        return _each(time_ns(d.ts), d.data, row)

    return _Reading(read)


def _liquidations(symbol: str, numbers: Numbers) -> _Reading:
    decode = msgspec.json.Decoder(_Liquidations).decode

    def row(one: frames.Liquidation) -> Row:
        if one.s != symbol:
            raise RejectedError("symbol")
        if one.S not in frames.SIDES:
            raise RejectedError("side")
        price, qty = numbers.prices[one.p], numbers.quantities[one.v]
        deal(price, qty)
        # Buy is a long position, which a sell order closed
        return time_ns(one.T), 0, price, qty, -frames.SIDES[one.S]

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame)
        return _each(time_ns(d.ts), d.data, row)

    return _Reading(read)


def _each(sent_ns: int, items: Sequence[Any], row: Callable[[Any], Row]) -> Told:
    """The rows of a message with several; those that cannot be are counted one by one."""
    rows, refused = [], []
    for item in items:
        try:
            rows.append(row(item))
        except UNREADABLE as error:
            refused.append(reason_of(error))
    return Told(sent_ns, rows, refused=tuple(refused))


def _update(d: frames.Book, symbol: str, numbers: Numbers) -> Update:
    if d.type not in ("snapshot", "delta"):
        raise RejectedError("frame")
    if d.data.s != symbol:
        raise RejectedError("symbol")
    # the matching engine's time, which is that of the trades; else the time of sending
    sent_ns, ts_ns = time_ns(d.ts), time_ns(d.cts or d.ts)
    if abs(ts_ns - sent_ns) > AHEAD_OF_SENT_NS:
        raise RejectedError("time")  # before it becomes the time of the book
    bids, asks = _levels(d.data.b, numbers), _levels(d.data.a, numbers)
    return Update(ts_ns, 0, 0, d.data.seq or d.data.u, d.data.u, bids, asks)


def _levels(texts: LevelTexts, numbers: Numbers) -> list[Level]:
    prices, quantities = numbers.prices, numbers.quantities
    levels = [(prices[p], quantities[q]) for p, q in texts]
    for price, qty in levels:
        touch(price, qty)
    return levels


def _book(symbol: str, numbers: Numbers) -> _Reading:
    decode = msgspec.json.Decoder(frames.Book).decode
    book = StreamBook(levels=LEVELS, cadence_ns=CADENCE_NS)

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame)
        update = _update(d, symbol, numbers)
        if d.type == "snapshot":
            book.add_snapshot(update)
        else:
            book.add_delta(update)
        blocks = numbers.blocks
        rows = [(r.ts_ns, r.id, blocks.of_lists(r[4:])) for r in book.depth]
        kind = int(Kind.DEPTH)
        gaps = [
            (g.ts_ns, 0, kind, g.from_ns, g.to_ns, g.from_id, g.to_id, g.reason, 0)
            for g in book.gaps
        ]
        book.depth, book.gaps = [], []
        return Told(time_ns(d.ts), rows, gaps, stuck=not book.synced)

    def restart() -> None:
        nonlocal book
        book = StreamBook(levels=LEVELS, cadence_ns=CADENCE_NS)

    return _Reading(read, restart)


def _quote(symbol: str, numbers: Numbers) -> _Reading:
    """A book of one level; the venue repeats a snapshot after three seconds without a change."""
    decode, top = msgspec.json.Decoder(frames.Book).decode, Book()

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame)
        update = _update(d, symbol, numbers)
        if d.type == "snapshot":
            top.load(update.bids, update.asks)
        else:
            top.apply(update.bids, update.asks)
        bids, bid_qty, asks, ask_qty = top.top(1)
        sent = time_ns(d.ts)
        if not (bids and asks):
            return Told(sent, ())
        if top.crossed:
            raise RejectedError("levels")
        row = update.ts_ns, update.id, bids[0], bid_qty[0], asks[0], ask_qty[0]
        return Told(sent, (row,))

    return _Reading(read)


def _kline(_symbol: str, numbers: Numbers) -> _Reading:
    decode = msgspec.json.Decoder(_Candles).decode
    prices, quantities = numbers.prices, numbers.quantities

    def row(k: _Candle) -> Row:
        four = (prices[k.open], prices[k.high], prices[k.low], prices[k.close])
        volume = quantities[k.volume]
        return bar(time_ns(k.end + 1), 0, time_ns(k.start), four, (volume, 0, 0))

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame)
        return _each(time_ns(d.ts), [k for k in d.data if k.confirm], row)

    return _Reading(read)


def _mark(symbol: str, numbers: Numbers) -> _Reading:
    decode = msgspec.json.Decoder(_Ticker).decode
    known = sound = _TickerData(symbol)
    written_s = 0

    def read(frame: bytes, _recv_ns: int) -> Told:
        nonlocal known, sound, written_s
        d = decode(frame)
        new, sent = d.data, time_ns(d.ts)
        if new.symbol != symbol:
            raise RejectedError("symbol")
        known = _TickerData(
            symbol,
            new.markPrice or known.markPrice,
            new.indexPrice or known.indexPrice,
            new.fundingRate or known.fundingRate,
            new.nextFundingTime or known.nextFundingTime,
        )
        if sent // _SECOND_NS == written_s or not known.markPrice:
            return Told(sent, ())
        try:
            row = _mark_row(sent, known, numbers)
        except UNREADABLE:
            known = sound  # a field that is none would spoil all that follow, for hours
            raise
        sound, written_s = known, sent // _SECOND_NS
        return Told(sent, (row,))

    def restart() -> None:
        nonlocal known, sound
        known = sound = _TickerData(symbol)

    return _Reading(read, restart)


def _mark_row(sent: int, known: _TickerData, numbers: Numbers) -> Row:
    mark = numbers.rounded_price(known.markPrice)
    index = numbers.rounded_price(known.indexPrice or "0")
    funding = round_fixed(known.fundingRate or "0", 9)
    next_ns = time_ns(round_fixed(known.nextFundingTime or "0", 0))
    if mark <= 0 or index < 0:
        raise RejectedError("price")
    if max(abs(funding), abs(next_ns)) >= PRICE_QTY_PRODUCT_MAX:
        raise RejectedError("overflow")
    return sent, 0, mark, index, funding, next_ns


_READERS: dict[str, Callable[[str, Numbers], _Reading]] = {
    "publicTrade": _trades,
    "orderbook.50": _book,
    "orderbook.200": _book,
    "orderbook.1": _quote,
    "allLiquidation": _liquidations,
    "kline.1": _kline,
    "tickers": _mark,
}

KINDS: dict[str, Kind] = {
    "publicTrade": Kind.TRADE,
    "orderbook.50": Kind.DEPTH,
    "orderbook.200": Kind.DEPTH,
    "orderbook.1": Kind.QUOTE,
    "allLiquidation": Kind.LIQUIDATION,
    "kline.1": Kind.BAR,
    "tickers": Kind.MARK,
}
"""Kind by topic without its symbol."""
