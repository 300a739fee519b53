"""The numbers that the trade server speaks in: return codes and the kinds of orders and deals.

Owns the few enumerations that the server needs, with the values of the package, and the words that
come with a return code. It refuses to know when a code is given.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Ret(IntEnum):
    """Return codes of a trade request."""

    OK = 0
    REQUOTE = 10004
    REJECT = 10006
    CANCEL = 10007
    PLACED = 10008
    DONE = 10009
    DONE_PARTIAL = 10010
    ERROR = 10011
    TIMEOUT = 10012
    INVALID = 10013
    INVALID_VOLUME = 10014
    INVALID_PRICE = 10015
    INVALID_STOPS = 10016
    TRADE_DISABLED = 10017
    MARKET_CLOSED = 10018
    NO_MONEY = 10019
    PRICE_CHANGED = 10020
    PRICE_OFF = 10021
    INVALID_EXPIRATION = 10022
    ORDER_CHANGED = 10023
    TOO_MANY_REQUESTS = 10024
    NO_CHANGES = 10025
    SERVER_DISABLES_AT = 10026
    CLIENT_DISABLES_AT = 10027
    LOCKED = 10028
    FROZEN = 10029
    INVALID_FILL = 10030
    CONNECTION = 10031
    ONLY_REAL = 10032
    LIMIT_ORDERS = 10033
    LIMIT_VOLUME = 10034
    INVALID_ORDER = 10035
    POSITION_CLOSED = 10036
    INVALID_CLOSE_VOLUME = 10038
    CLOSE_ORDER_EXIST = 10039
    LIMIT_POSITIONS = 10040
    REJECT_CANCEL = 10041
    LONG_ONLY = 10042
    SHORT_ONLY = 10043
    CLOSE_ONLY = 10044
    FIFO_CLOSE = 10045
    HEDGE_PROHIBITED = 10046


TEXTS = {
    Ret.OK: "Done",
    Ret.REQUOTE: "Requote",
    Ret.REJECT: "Request rejected",
    Ret.CANCEL: "Request canceled by trader",
    Ret.PLACED: "Order placed",
    Ret.DONE: "Request executed",
    Ret.DONE_PARTIAL: "Request executed partially",
    Ret.ERROR: "Request processing error",
    Ret.TIMEOUT: "Request canceled by timeout",
    Ret.INVALID: "Invalid request",
    Ret.INVALID_VOLUME: "Invalid volume",
    Ret.INVALID_PRICE: "Invalid price",
    Ret.INVALID_STOPS: "Invalid stops",
    Ret.TRADE_DISABLED: "Trade disabled",
    Ret.MARKET_CLOSED: "Market closed",
    Ret.NO_MONEY: "No money",
    Ret.PRICE_CHANGED: "Price changed",
    Ret.PRICE_OFF: "Off quotes",
    Ret.INVALID_EXPIRATION: "Invalid expiration",
    Ret.ORDER_CHANGED: "Order changed",
    Ret.TOO_MANY_REQUESTS: "Too many requests",
    Ret.NO_CHANGES: "No changes",
    Ret.SERVER_DISABLES_AT: "AutoTrading disabled by server",
    Ret.CLIENT_DISABLES_AT: "AutoTrading disabled by client",
    Ret.LOCKED: "Request locked",
    Ret.FROZEN: "Order frozen",
    Ret.INVALID_FILL: "Unsupported filling mode",
    Ret.CONNECTION: "No connection",
    Ret.ONLY_REAL: "Only real accounts allowed",
    Ret.LIMIT_ORDERS: "Orders limit reached",
    Ret.LIMIT_VOLUME: "Volume limit reached",
    Ret.INVALID_ORDER: "Invalid order",
    Ret.POSITION_CLOSED: "Position closed",
    Ret.INVALID_CLOSE_VOLUME: "Invalid close volume",
    Ret.CLOSE_ORDER_EXIST: "Close order already exists",
    Ret.LIMIT_POSITIONS: "Positions limit reached",
    Ret.REJECT_CANCEL: "Activation rejected, order canceled",
    Ret.LONG_ONLY: "Only long positions allowed",
    Ret.SHORT_ONLY: "Only short positions allowed",
    Ret.CLOSE_ONLY: "Only position closing allowed",
    Ret.FIFO_CLOSE: "Positions must be closed by FIFO rule",
    Ret.HEDGE_PROHIBITED: "Hedging is prohibited",
}
"""The comment of a result; brokers word some of them their own way."""


class Act(IntEnum):
    """Actions of a trade request."""

    DEAL = 1
    PENDING = 5
    SLTP = 6
    MODIFY = 7
    REMOVE = 8
    CLOSE_BY = 10


class Type(IntEnum):
    """Types of an order. Even ones buy, odd ones sell, up to 7."""

    BUY = 0
    SELL = 1
    BUY_LIMIT = 2
    SELL_LIMIT = 3
    BUY_STOP = 4
    SELL_STOP = 5
    BUY_STOP_LIMIT = 6
    SELL_STOP_LIMIT = 7
    CLOSE_BY = 8


class State(IntEnum):
    """States of an order."""

    STARTED = 0
    PLACED = 1
    CANCELED = 2
    PARTIAL = 3
    FILLED = 4
    REJECTED = 5
    EXPIRED = 6


class Filling(IntEnum):
    """How much of an order must be filled at once."""

    FOK = 0
    IOC = 1
    RETURN = 2
    BOC = 3


class Until(IntEnum):
    """How long an order stays."""

    GTC = 0
    DAY = 1
    SPECIFIED = 2
    SPECIFIED_DAY = 3


class DealType(IntEnum):
    """What a deal is: an execution or a movement of money."""

    BUY = 0
    SELL = 1
    BALANCE = 2
    CREDIT = 3
    CHARGE = 4
    CORRECTION = 5
    BONUS = 6
    COMMISSION = 7


class Entry(IntEnum):
    """What a deal did to its position."""

    IN = 0
    OUT = 1
    INOUT = 2
    OUT_BY = 3


class Reason(IntEnum):
    """Who or what asked for an order, a deal or a position."""

    CLIENT = 0
    MOBILE = 1
    WEB = 2
    EXPERT = 3
    SL = 4
    TP = 5
    SO = 6


class TradeMode(IntEnum):
    """Which trades a symbol allows."""

    DISABLED = 0
    LONG_ONLY = 1
    SHORT_ONLY = 2
    CLOSE_ONLY = 3
    FULL = 4


class Execution(IntEnum):
    """How a symbol is executed."""

    REQUEST = 0
    INSTANT = 1
    MARKET = 2
    EXCHANGE = 3


class Margin(IntEnum):
    """How an account keeps positions."""

    NETTING = 0
    EXCHANGE = 1
    HEDGING = 2


class Fills(IntFlag):
    """Bits of a symbol's filling mode."""

    FOK = 1
    IOC = 2
    BOC = 4


class Orders(IntFlag):
    """Bits of a symbol's order mode."""

    MARKET = 1
    LIMIT = 2
    STOP = 4
    STOP_LIMIT = 8
    SL = 16
    TP = 32
    CLOSE_BY = 64


def is_buy(kind: int) -> bool:
    """Whether an order of this type buys (types 0 to 7)."""
    return kind % 2 == 0
