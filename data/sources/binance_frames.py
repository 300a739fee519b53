"""Binance websocket messages and REST depth bodies: their fields, by stream.

Owns the message types (every field that is read, with its JSON type; new fields are tolerated) and
the meaning of a stream name. Source: reference page of the venue, sections 1.3 and 1.4.

It refuses to know lines, files, books and what becomes of a message.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

Id = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
MaybeId = Annotated[int, msgspec.Meta(ge=-1, le=(1 << 63) - 1)]
Time = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Levels = list[tuple[str, str]]


class Trade(msgspec.Struct, gc=False):
    """``@trade``, spot and USD-M; only USD-M has ``X``."""

    s: str
    t: Id
    p: str
    q: str
    T: Time
    m: bool
    X: str = "MARKET"


class AggTrade(msgspec.Struct, gc=False):
    """``@aggTrade``; ``T`` is the time of the first fill."""

    s: str
    a: Id
    p: str
    q: str
    T: Time
    m: bool
    f: MaybeId = 0
    st: int = 1


class DepthUpdate(msgspec.Struct, gc=False):
    """A diff on either market, or the USD-M partial depth; spot has neither ``T`` nor ``pu``."""

    s: str
    u: Id
    U: Id
    b: Levels
    a: Levels
    E: Time = 0
    T: Time = 0
    pu: MaybeId = -1


class DepthSnapshot(msgspec.Struct, gc=False):
    """The body of GET /depth, and the spot partial depth."""

    lastUpdateId: Id  # noqa: N815  reason: the venue's name
    bids: Levels
    asks: Levels
    E: Time = 0
    T: Time = 0


class BookTicker(msgspec.Struct, gc=False):
    """``@bookTicker``; on spot without any time."""

    s: str
    u: Id
    b: str
    B: str
    a: str
    A: str
    T: Time = 0
    E: Time = 0


class KlineBody(msgspec.Struct, gc=False):
    """``k`` of a kline; ``f`` is -1 while there is no trade in it."""

    t: Time
    T: Time
    f: MaybeId
    o: str
    h: str
    l: str  # noqa: E741  reason: the venue's name
    c: str
    v: str
    V: str
    n: Id
    x: bool


class Kline(msgspec.Struct, gc=False):
    """``@kline_*``."""

    s: str
    k: KlineBody


class MarkPrice(msgspec.Struct, gc=False):
    """``@markPrice``; ``T`` is the time of the next funding, 0 where there is none."""

    s: str
    E: Time
    p: str
    i: str = ""
    r: str = ""
    T: Time = 0


class ForceOrderBody(msgspec.Struct, gc=False):
    """``o`` of a liquidation: ``S`` its side, ``ap`` average price, ``z`` filled quantity."""

    s: str
    S: str
    ap: str
    z: str
    T: Time


class ForceOrder(msgspec.Struct, gc=False):
    """``@forceOrder``."""

    o: ForceOrderBody
    st: int = 1


class Combined(msgspec.Struct, gc=False):
    """A frame of a combined connection; ``data`` is left as it is."""

    stream: str
    data: msgspec.Raw


class Head(msgspec.Struct, gc=False):
    """What tells a message without a stream name from another."""

    e: str = ""
    s: str = ""
    B: msgspec.Raw = msgspec.Raw(b"")
    pu: MaybeId = -1
    X: str = ""
    M: bool | None = None
    T: int = -1
    lastUpdateId: MaybeId = -1  # noqa: N815  reason: the venue's name


MESSAGES: dict[str, type[msgspec.Struct]] = {
    "trade": Trade,
    "aggTrade": AggTrade,
    "diff": DepthUpdate,
    "partial": DepthUpdate,
    "partial_spot": DepthSnapshot,
    "bookTicker": BookTicker,
    "kline": Kline,
    "markPrice": MarkPrice,
    "forceOrder": ForceOrder,
}
"""Message type by channel."""

RAW_STREAMS: dict[str, str] = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "depthUpdate": "depth",
    "kline": "kline_raw",
    "bookTicker": "bookTicker",
    "markPriceUpdate": "markPrice",
    "forceOrder": "forceOrder",
}
"""Stream name's second part by ``e``, for frames of a connection that is not combined.

A raw ``depthUpdate`` is taken for a diff: nothing in it tells a partial book apart.
"""

_STREAM = re.compile(
    r"(?P<symbol>[a-z0-9_]+)@"
    r"(?:(?P<plain>trade|aggTrade|bookTicker|forceOrder)"
    r"|depth(?P<levels>5|10|20)?(?:@(?:0|100|250|500|1000)ms)?"
    r"|(?P<kline>kline_\w+)"
    r"|(?P<mark>markPrice(?:@[13]s)?))"
)
_ALL_MARKET = {"!bookTicker": "bookTicker", "!forceOrder@arr": "forceOrder"}


def channel_of(stream: str) -> tuple[str, str] | None:
    """(symbol, channel) of a stream name; None for a stream that carries no event of ours.

    ``channel`` is a key of :data:`MESSAGES` (``partial`` for both markets). The symbol is in upper
    case, empty for the all-market streams, whose messages name it.
    """
    if stream in _ALL_MARKET:
        return "", _ALL_MARKET[stream]
    found = _STREAM.fullmatch(stream)
    if found is None:
        return None
    symbol = found["symbol"].upper()
    if found["plain"]:
        return symbol, found["plain"]
    if found["kline"]:
        return symbol, "kline"
    if found["mark"]:
        return symbol, "markPrice"
    return symbol, "partial" if found["levels"] else "diff"


def market_of(payload: bytes) -> tuple[str, str]:
    """(symbol, venue) that one message shows; either is empty where it does not show it.

    USD-M messages carry ``pu``, ``X``, or a ``T`` in places where spot has none; spot trades carry
    ``M``. Never raises.
    """
    try:
        symbol, channel, body = _channel_and_body(payload)
        if channel in ("", "kline"):
            return symbol, ""
        head = msgspec.json.decode(body, type=Head)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # not JSON, not UTF-8, or JSON of another shape: it shows nothing
        return "", ""
    return symbol or head.s, _venue(channel, head)


def _channel_and_body(payload: bytes) -> tuple[str, str, msgspec.Raw | bytes]:
    if b'"stream"' in payload[:64]:
        frame = msgspec.json.decode(payload, type=Combined)
        found = channel_of(frame.stream)
        return (*found, frame.data) if found else ("", "", b"")
    head = msgspec.json.decode(payload, type=Head)
    stream = RAW_STREAMS.get(head.e, "bookTicker" if head.B else "")
    found = channel_of(f"{head.s.lower()}@{stream}")
    if found is None:
        return "", ("rest" if head.lastUpdateId >= 0 else ""), payload
    return (*found, payload)


def _venue(channel: str, head: Head) -> str:
    if channel in ("markPrice", "forceOrder") or head.pu >= 0 or head.X:
        return "binance-um"
    if channel == "diff":
        return "binance-spot"
    if channel in ("bookTicker", "partial", "rest"):
        return "binance-um" if head.T >= 0 else "binance-spot"
    return "binance-spot" if head.M is not None else "binance-um"
