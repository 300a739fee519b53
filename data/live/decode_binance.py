"""Frames of Binance's combined connections, spot and USD-M, as rows.

Owns one reader a stream: the frame is decoded into typed structs in one go, unknown fields are
tolerated, and the row is checked. Source of the fields: reference page of the venue, section 1.3.

What must hold: a trade that is none (a tombstone, a print of the insurance fund) still uses up its
id; the spot partial book, which names neither symbol nor time, belongs to the symbol of its stream
and is dated by its receipt.

It refuses to know what was seen before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from data.events import PRICE_QTY_PRODUCT_MAX, Kind
from data.live.blocks import Series
from data.live.book_text import read_book
from data.live.decode import (
    Levels,
    Numbers,
    Route,
    SpentError,
    Told,
    bar,
    book,
    deal,
    time_ns,
    touch,
)
from data.sources import binance_frames as frames
from data.sources.decimals import round_fixed
from data.sources.rejects import RejectedError

SPOT, FUTURES = "binance-spot", "binance-um"

KINDS: dict[str, Kind] = {
    "trade": Kind.TRADE,
    "aggTrade": Kind.TRADE,
    "partial": Kind.DEPTH,
    "bookTicker": Kind.QUOTE,
    "kline": Kind.BAR,
    "markPrice": Kind.MARK,
    "forceOrder": Kind.LIQUIDATION,
}
"""Kind by channel; diffs carry no book of their own and are not recorded."""

Reader = Callable[[bytes, int], Told]


class _AggTrade(frames.AggTrade, gc=False):
    E: frames.Time = 0


class _Trade(frames.Trade, gc=False):
    E: frames.Time = 0


class _Kline(frames.Kline, gc=False):
    E: frames.Time = 0


class _ForceOrder(frames.ForceOrder, gc=False):
    E: frames.Time = 0


def _framed(data: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    """Decoder of a combined frame whose ``data`` is of one type."""
    whole = msgspec.defstruct(f"Framed{data.__name__}", [("data", data)], gc=False)
    return msgspec.json.Decoder(whole).decode


def route_of(
    venue: str, stream: str, series: Mapping[str, int], facts: list[Series], numbers: list[Numbers]
) -> Route | None:
    """The route of a stream name; None for one that carries no event of these series.

    ``series`` gives the number of a symbol; ``facts`` and ``numbers`` are by that number.
    """
    symbol, _, rest = stream.partition("@")
    number = series.get(symbol.upper())
    found = frames.channel_of(f"x@{rest}")
    if number is None or found is None or found[1] not in KINDS:
        return None
    channel = "partial_spot" if found[1] == "partial" and venue == SPOT else found[1]
    read = _READERS[channel](facts[number].symbol, numbers[number], stream)
    return Route(number, KINDS[found[1]], read)


def _agg_trade(symbol: str, numbers: Numbers, _stream: str) -> Reader:
    decode, prices, quantities = _framed(_AggTrade), numbers.prices, numbers.quantities

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame).data
        if d.s != symbol:
            raise RejectedError("symbol")
        if d.f < 0:
            raise SpentError("tombstone", d.a)
        price, qty = prices[d.p], quantities[d.q]
        deal(price, qty)
        row = (time_ns(d.T), d.a, price, qty, -1 if d.m else 1, 0)
        return Told(time_ns(d.E), (row,))

    return read


def _trade(symbol: str, numbers: Numbers, _stream: str) -> Reader:
    decode, prices, quantities = _framed(_Trade), numbers.prices, numbers.quantities

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame).data
        if d.s != symbol:
            raise RejectedError("symbol")
        if d.X != "MARKET":
            raise SpentError("not_market", d.t)
        price, qty = prices[d.p], quantities[d.q]
        deal(price, qty)
        row = (time_ns(d.T), d.t, price, qty, -1 if d.m else 1, 0)
        return Told(time_ns(d.E), (row,))

    return read


def _partial(symbol: str, numbers: Numbers, stream: str) -> Reader:
    decode, read_text = _framed(frames.DepthUpdate), _book_text(symbol, numbers, stream)

    def read(frame: bytes, recv_ns: int) -> Told:
        found = read_text(frame)
        if found is not None:
            e, t, u, levels = found
        else:
            d = decode(frame).data
            if d.s != symbol:
                raise RejectedError("symbol")
            e, t, u, levels = d.E, d.T, d.u, book(d.b, d.a, numbers)
        sent = time_ns(e)
        return Told(sent, ((time_ns(t) or sent or recv_ns, u, levels),))

    return read


def _partial_spot(_symbol: str, numbers: Numbers, stream: str) -> Reader:
    decode, read_text = _framed(frames.DepthSnapshot), _book_text("", numbers, stream)

    def read(frame: bytes, recv_ns: int) -> Told:
        found = read_text(frame)
        if found is not None:
            u, levels = found[2:]
        else:
            d = decode(frame).data
            u, levels = d.lastUpdateId, book(d.bids, d.asks, numbers)
        return Told(0, ((recv_ns, u, levels),))

    return read


def _book_text(
    symbol: str, numbers: Numbers, stream: str
) -> Callable[[bytes], tuple[int, int, int, Levels] | None]:
    """Reader of frames in the usual form: E, T, last update id, levels; None for another form."""
    name, blocks = symbol.encode(), numbers.blocks
    begin = b'{"stream":"%s","data":' % stream.encode()
    start = len(begin)
    price_scale, qty_scale = numbers.scales.price, numbers.scales.qty

    def read(frame: bytes) -> tuple[int, int, int, Levels] | None:
        if frame[:start] != begin:
            return None
        at = blocks.free()
        good, e, t, u, bids, asks = read_book(
            frame, start, name, price_scale, qty_scale, blocks.block, at
        )
        return (e, t, u, blocks.keep(bids, asks)) if good else None

    return read


def _quote(symbol: str, numbers: Numbers, _stream: str) -> Reader:
    decode, prices, quantities = _framed(frames.BookTicker), numbers.prices, numbers.quantities

    def read(frame: bytes, recv_ns: int) -> Told:
        d = decode(frame).data
        if d.s != symbol:
            raise RejectedError("symbol")
        bid, bid_qty, ask, ask_qty = prices[d.b], quantities[d.B], prices[d.a], quantities[d.A]
        touch(bid, bid_qty)
        touch(ask, ask_qty)
        sent = time_ns(d.E)
        return Told(sent, ((time_ns(d.T) or sent or recv_ns, d.u, bid, bid_qty, ask, ask_qty),))

    return read


def _kline(symbol: str, numbers: Numbers, _stream: str) -> Reader:
    decode, prices, quantities = _framed(_Kline), numbers.prices, numbers.quantities

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame).data
        if d.s != symbol:
            raise RejectedError("symbol")
        k, sent = d.k, time_ns(d.E)
        if not k.x:
            return Told(sent, ())
        four = (prices[k.o], prices[k.h], prices[k.l], prices[k.c])
        volumes = (quantities[k.v], quantities[k.V], k.n)
        row = bar(time_ns(k.T + 1), max(k.f, 0), time_ns(k.t), four, volumes)
        return Told(sent, (row,))

    return read


def _mark(symbol: str, numbers: Numbers, _stream: str) -> Reader:
    decode = _framed(frames.MarkPrice)

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame).data
        if d.s != symbol:
            raise RejectedError("symbol")
        mark, index = numbers.rounded_price(d.p), numbers.rounded_price(d.i or "0")
        funding = round_fixed(d.r or "0", 9)
        next_ns, sent = time_ns(d.T), time_ns(d.E)
        if mark <= 0 or index < 0:
            raise RejectedError("price")
        if abs(funding) >= PRICE_QTY_PRODUCT_MAX or next_ns >= PRICE_QTY_PRODUCT_MAX:
            raise RejectedError("overflow")
        return Told(sent, ((sent, 0, mark, index, funding, next_ns),))

    return read


def _liquidation(symbol: str, numbers: Numbers, _stream: str) -> Reader:
    decode, quantities = _framed(_ForceOrder), numbers.quantities

    def read(frame: bytes, _recv_ns: int) -> Told:
        d = decode(frame).data
        o = d.o
        if o.s != symbol:
            raise RejectedError("symbol")
        if d.st != 1:
            raise RejectedError("coin_m")
        side = {"BUY": 1, "SELL": -1}.get(o.S, 0)
        if not side:
            raise RejectedError("side")
        price, qty = numbers.rounded_price(o.ap), quantities[o.z]
        deal(price, qty)
        return Told(time_ns(d.E), ((time_ns(o.T), 0, price, qty, side),))

    return read


_READERS: dict[str, Callable[[str, Numbers, str], Reader]] = {
    "aggTrade": _agg_trade,
    "trade": _trade,
    "partial": _partial,
    "partial_spot": _partial_spot,
    "bookTicker": _quote,
    "kline": _kline,
    "markPrice": _mark,
    "forceOrder": _liquidation,
}
