"""Bybit websocket messages: their fields, by topic, of the present v5 feed and of the old v2 one.

Owns the message types (every field that is read, with its JSON type; other fields are tolerated)
and the meaning of a topic. Sources: reference page of the venue, section "Bybit v5"; for v2, real
recordings of 2021, in which the same field is a string in linear contracts and a number in inverse
ones (:func:`text_of` reads both exactly).

It refuses to know lines, files, books and what becomes of a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from data.sources.binance_frames import Id, Levels, Time
from data.sources.rejects import RejectedError

LINEAR, SPOT = "bybit", "bybit-spot"

_NOTHING = msgspec.Raw(b"")


class Trade(msgspec.Struct, gc=False):
    """One trade of ``publicTrade``: ``S`` is the taker's side, ``L`` the tick direction, which only
    perpetuals and futures have; ``i`` is a UUID, in spot a running number of the whole venue."""

    T: Time
    s: str
    S: str
    v: str
    p: str
    i: str
    L: str = ""


class Trades(msgspec.Struct, gc=False):
    """``publicTrade.SYM``."""

    data: list[Trade]


class BookData(msgspec.Struct, gc=False):
    """``data`` of ``orderbook.N.SYM``: ``u`` rises by one a message, ``seq`` over all depths."""

    s: str
    b: Levels
    a: Levels
    u: Id
    seq: Id = 0


class Book(msgspec.Struct, gc=False):
    """``orderbook.N.SYM``; ``cts`` is the time of the matching engine, which old messages lack."""

    type: str
    ts: Time
    data: BookData
    cts: Time = 0


class Liquidation(msgspec.Struct, gc=False):
    """One of ``allLiquidation``: ``S`` is the side of the position that was closed."""

    T: Time
    s: str
    S: str
    v: str
    p: str


class Liquidations(msgspec.Struct, gc=False):
    """``allLiquidation.SYM``."""

    data: list[Liquidation]


class OldTrade(msgspec.Struct, gc=False):
    """One trade of v2 ``trade``."""

    symbol: str
    side: str
    size: msgspec.Raw
    price: msgspec.Raw
    trade_time_ms: msgspec.Raw
    trade_id: str
    tick_direction: str = ""


class OldTrades(msgspec.Struct, gc=False):
    """v2 ``trade.SYM``."""

    data: list[OldTrade]


class OldLevel(msgspec.Struct, gc=False):
    """One level of a v2 book; a deleted one has no size."""

    symbol: str
    side: str
    price: msgspec.Raw
    size: msgspec.Raw = _NOTHING


class OldSnapshot(msgspec.Struct, gc=False):
    """``data`` of a v2 snapshot of a linear contract; an inverse one is the list alone."""

    order_book: list[OldLevel]


class OldDelta(msgspec.Struct, gc=False):
    """``data`` of a v2 delta."""

    delete: list[OldLevel]
    update: list[OldLevel]
    insert: list[OldLevel]


class OldBook(msgspec.Struct, gc=False):
    """v2 ``orderBookL2_25.SYM`` and ``orderBook_200.100ms.SYM``."""

    type: str
    data: msgspec.Raw
    cross_seq: msgspec.Raw
    timestamp_e6: msgspec.Raw


class Head(msgspec.Struct, gc=False):
    """What every message of a topic has; an answer to a request has no topic."""

    topic: str = ""
    ts: int = 0


MESSAGES: dict[str, type[msgspec.Struct]] = {
    "publicTrade": Trades,
    "orderbook": Book,
    "allLiquidation": Liquidations,
    "trade": OldTrades,
    "orderBook": OldBook,
}
"""Message type by channel."""

TICKS = {"PlusTick": 2, "ZeroPlusTick": 1, "ZeroMinusTick": -1, "MinusTick": -2, "": 0}
"""The log's tick direction (column ``tick``) by the venue's word."""

SIDES = {"Buy": 1, "Sell": -1}
"""The taker's side by the venue's word. Unlike Binance's ``m`` it is not to be turned round."""

_TOPIC = re.compile(
    r"(?P<source>(?P<plain>publicTrade|allLiquidation|trade)"
    r"|(?P<v5>orderbook)\.(?:1|50|200|500|1000)"
    r"|(?P<v2>orderBook)(?:L2_25|_200\.100ms))"
    r"\.(?P<symbol>[A-Z0-9][A-Z0-9-]{1,29})"
)
_INVERSE = re.compile(r"[A-Z0-9]+USD(?:[HMUZ][0-9]{2})?")
_CATEGORY = re.compile(rb"wss?://\S*/v5/public/(spot|linear|inverse)\b")


def channel_of(topic: str) -> tuple[str, str, str] | None:
    """(symbol, channel, source) of a topic; None for one that carries no event of ours.

    ``channel`` is a key of :data:`MESSAGES`, ``source`` the topic without its symbol.
    """
    found = _TOPIC.fullmatch(topic)
    if found is None:
        return None
    channel = found["plain"] or found["v5"] or found["v2"]
    return found["symbol"], channel, found["source"]


def market_of(payload: bytes) -> tuple[str, str]:
    """(symbol, venue) that one message shows; either is empty where it does not show it.

    Only trades tell spot from contracts (by the tick direction, which spot lacks); books look the
    same everywhere. Never raises.
    """
    try:
        found = channel_of(msgspec.json.decode(payload, type=Head).topic)
        if found is None:
            return "", ""
        symbol, channel, _ = found
        if channel == "publicTrade":
            trades = msgspec.json.decode(payload, type=Trades).data
            if not trades:
                return symbol, ""
            return symbol, LINEAR if any(t.L for t in trades) else SPOT
        return symbol, "" if channel == "orderbook" else LINEAR
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # not JSON, or JSON of another shape: it shows nothing
        return "", ""


def is_message(payload: bytes) -> bool:
    """True when a line is a message of a Bybit topic that is understood."""
    return bool(market_of(payload)[0])


def sent_ns(payload: bytes) -> int:
    """When a v5 message was sent, int64 ns; 0 where it does not say so. Never raises."""
    try:
        return msgspec.json.decode(payload, type=Head).ts * 1_000_000
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # not JSON, or JSON of another shape
        return 0


def venue_of_control(line: bytes) -> str:
    """The venue that a recorder's control line (the address it connected to) tells; or empty."""
    found = _CATEGORY.match(line)
    if found is None:
        return ""
    return SPOT if found[1] == b"spot" else LINEAR


def quantity_notes(venue: str, symbols: Iterable[str]) -> list[str]:
    """What a person should know of the quantities of some ``symbols``, in words."""
    inverse = sorted(s for s in symbols if _INVERSE.fullmatch(s)) if venue == LINEAR else []
    if not inverse:
        return []
    names = ", ".join(inverse[:5]) + (", ..." if len(inverse) > 5 else "")
    return [
        f"{names}: quantities are contracts of 1 USD, not coins; they are stored as they come, so "
        "a run's result in money is not that of the contract"
    ]


def text_of(raw: msgspec.Raw) -> str:
    """The characters of a JSON number, or those inside a JSON string."""
    data = bytes(raw)
    return (data[1:-1] if data[:1] == b'"' else data).decode()


def int_of(raw: msgspec.Raw) -> int:
    """A whole number written as a JSON number or string; RejectedError where it is none."""
    text = text_of(raw)
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise RejectedError("number")
    return int(text)
