"""The closed vocabularies of the log: kinds, sides, order states and the reasons for things.

Owns the numbers that stand in the columns and their names. A number keeps its meaning for ever: a
new word takes a new number. ``data.events`` re-exports all of it; import it from there.
"""

from __future__ import annotations

from enum import IntEnum
from typing import cast


class Kind(IntEnum):
    """Event kinds. The value is the stream rank: the tie order of events of equal time.

    A bar closes before the trades of the next interval; a trade comes before the depth and the
    quote of the same instant, because those already show what the trade did.
    """

    GAP = 0
    CONTROL = 1
    BROKER = 2
    BAR = 3
    TRADE = 4
    LIQUIDATION = 5
    DEPTH = 6
    QUOTE = 7
    MARK = 8
    CLOCK = 9


class FoldKind(IntEnum):
    """Kinds that only a fold takes: made of events of the log, never written to one.

    REFERENCE: the bar of another series, a level beside the market (such as the VIX). It comes last
    among events of one time.
    """

    REFERENCE = 10


REFERENCE = cast("Kind", FoldKind.REFERENCE)
"""A kind wherever a fold asks for one; no table of the log has it."""


class Side(IntEnum):
    """Aggressor side of a trade, or side of an order or position."""

    SELL = -1
    UNKNOWN = 0
    BUY = 1


class GapReason(IntEnum):
    """Why events are missing."""

    UNKNOWN = 0
    ID_HOLE = 1
    DISCONNECT = 2
    SEQUENCE_BREAK = 3
    OVERRUN = 4
    DISK = 5
    NO_SNAPSHOT = 6
    DOWNTIME = 7
    SILENCE = 8
    DISORDER = 9


class OrderType(IntEnum):
    """How an order asks to be filled."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    TARGET = 3


class OrderState(IntEnum):
    """Life cycle of an order; the transitions stand in ``engine.kernel.orders``."""

    EMPTY = 0
    PENDING = 1
    WORKING = 2
    PARTIAL = 3
    FILLED = 4
    CANCELLED = 5
    REJECTED = 6


class OrderReason(IntEnum):
    """Why an order ended as it did, or why it was sent.

    BY_BROKER: a broker ended it, or made it by itself. UNSENT: it was never sent, or is proved not
    to have been executed.
    """

    NONE = 0
    NO_PRICE = 1
    NO_LIQUIDITY = 2
    MARGIN = 3
    BAD_QTY = 4
    BAD_PRICE = 5
    NO_SLOT = 6
    WOULD_TAKE = 7
    BY_STRATEGY = 8
    POSITION_CLOSED = 9
    OVERFLOW = 10
    STOP_OUT = 11
    NOTHING_TO_REDUCE = 12
    BAD_ORDER = 13
    BY_BROKER = 14
    UNSENT = 15


class FillReason(IntEnum):
    """The rule of the fill model that produced a fill; BY_BROKER: a broker did, by none of them."""

    BOOK_WALK = 0
    QUOTE_TOUCH = 1
    LAST_PRICE = 2
    TRADE_THROUGH = 3
    QUEUE = 4
    BOOK_CROSS = 5
    STOP_TRADE = 6
    STOP_BOOK = 7
    TARGET_TRADE = 8
    TARGET_BOOK = 9
    STOP_BAR = 10
    TARGET_BAR = 11
    LIMIT_BAR = 12
    STOP_OUT = 13
    BY_BROKER = 14


class Liquidity(IntEnum):
    """Whether a fill took or made liquidity."""

    TAKER = 0
    MAKER = 1


class Action(IntEnum):
    """What a decision decided."""

    NONE = 0
    ENTER_LONG = 1
    ENTER_SHORT = 2
    EXIT = 3
    CANCEL = 4
    MOVE_STOP = 5
    PARTIAL = 6


class ExitReason(IntEnum):
    """Why a position ended."""

    OPEN = 0
    FLIP = 1
    STOP = 2
    TARGET = 3
    TIME = 4
    STOP_OUT = 5
    REVERSE = 6
    STRATEGY = 7
    CONTROL = 8
    MOMENTUM = 9
    PARTIAL = 10
    RISK = 11


class Lifecycle(IntEnum):
    """Where a trade stands; the transitions stand in ``engine.kernel.lifecycle``."""

    IDLE = 0
    SCANNING = 1
    SIGNAL_DETECTED = 2
    POSITION_ENTRY = 3
    IN_POSITION = 4
    POSITION_EXIT = 5
    COOLDOWN = 6
    BLOCKED = 7
    PAUSED = 8


class MarketState(IntEnum):
    """Whether the market is fit to trade in; ``engine.kernel.market_state`` tells."""

    NORMAL = 0
    STALE = 1
    PUMP = 2
    MANIPULATED = 3
    COOLDOWN = 4


class Control(IntEnum):
    """What an operator or a guard may order. A plan travels as words between BEGIN and COMMIT.

    UNPROVEN orders nothing: it says that a live session began without a verdict on paper.
    """

    PAUSE = 1
    RESUME = 2
    FLATTEN = 3
    STOP = 4
    PLAN_BEGIN = 5
    PLAN_WORD = 6
    PLAN_COMMIT = 7
    PLAN_CANCEL = 8
    UNPROVEN = 9


class BrokerAct(IntEnum):
    """What a broker's event says; its table tells which columns count for each.

    ORDER: an order of ours changed its state. FILL: an execution. LEVELS: the stop and target that
    the broker holds for a position. BALANCE: the account's balance, as it stands. BLOCK, UNBLOCK:
    the outcome of something is unknown, and known again.
    """

    ORDER = 1
    FILL = 2
    LEVELS = 3
    BALANCE = 4
    BLOCK = 5
    UNBLOCK = 6


ENUMS: dict[str, type[IntEnum]] = {
    "kind": Kind,
    "broker_act": BrokerAct,
    "side": Side,
    "gap_reason": GapReason,
    "order_type": OrderType,
    "order_state": OrderState,
    "order_reason": OrderReason,
    "fill_reason": FillReason,
    "liquidity": Liquidity,
    "action": Action,
    "exit_reason": ExitReason,
    "lifecycle": Lifecycle,
    "market_state": MarketState,
}
