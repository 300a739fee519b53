"""What simulated matching remembers: the record of its state and the record of its parameters.

Owns both dtypes, the sizes of every slot array, the codes of requests, price sources and counted
violations, and the initial state. Everything is int64; lists have a fixed capacity, and what does
not fit is refused by name, never dropped. It refuses to know any rule of matching.

Orders and positions lie in slots; ``order_at`` and ``position_at`` list the used slots from the
oldest to the youngest, so that whoever walks them walks in the order of arrival. The slot
:data:`SCRATCH` is for an order that the broker itself sends (a stop, a target, a stop-out): it
lives and dies within one event and takes no place from the strategy.

Side index: 0 is bids, 1 is asks. A taker of side t (+1 buys) takes from side (t + 1) // 2.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import DEPTH_LEVELS_MAX
from engine.kernel.compiled import internal

MODEL_VERSION = 1
"""Version of the fill model. Any change that can change a fill raises it."""

ORDERS = 32
SCRATCH = ORDERS
POSITIONS = 16
REQUESTS = 64
REPORTS = 32
LEVELS = DEPTH_LEVELS_MAX

NEVER = 1 << 62
"""A time and a price beyond all others."""

TIF_GTC = 0
TIF_IOC = 1
TIF_POST_ONLY = 2

QUEUE_RISK_AVERSE = 0
QUEUE_POWER = 1
QUEUE_LOG = 2
QUEUE_RATIO = 3

REQUEST_NEW = np.int64(0)
REQUEST_CANCEL = np.int64(1)
REQUEST_MOVE_STOP = np.int64(2)

FROM_NOTHING = np.int64(0)
FROM_BOOK = np.int64(1)
FROM_QUOTE = np.int64(2)
FROM_LAST = np.int64(3)

V_ORDER_STATE = 0
V_OVERFLOW = 1
V_CROSSED = 2
V_LEVELS = 3
V_REQUESTS = 4
V_BAD_EVENT = 5
VIOLATION_NAMES = (
    "illegal order transition",
    "product out of int64",
    "crossed or empty-priced book or quote, not used",
    "snapshot deeper than the schema allows, cut",
    "request line full, refused",
    "event with a price or quantity of 0 or less, not used",
)
"""Meaning of ``violations`` in the state, by index."""


def _ints(names: str) -> list[tuple[str, str]]:
    return [(name, "i8") for name in names.split()]


ORDER_SLOT = np.dtype(
    _ints(
        "id decision_id position_id named travelled type side qty left price stop target "
        "reduce_only tif exit_reason state reason sent_ns active_ns done_ns cancelling "
        "front level_qty traded queue_ns bid ask"
    ),
    align=True,
)
"""One order. ``front`` is the quantity ahead of it, -1 = not known; ``level_qty`` what its level
last showed, ``traded`` what traded there since, ``queue_ns`` the time of that sight. ``named`` is
the one position that it may reduce (0 = any), ``travelled`` 1 for the strategy's own orders, 0
for the broker's; ``bid`` and ``ask`` are the touch when it was sent (0 = not known)."""

POSITION_SLOT = np.dtype(
    _ints(
        "id side qty cost peak_qty margin stop target armed_ns triggered open_ns closed_ns "
        "entry_notional exit_notional entry_qty exit_qty pnl fees exit_reason "
        "entry_order_id exit_order_id"
    ),
    align=True,
)
"""One position. ``cost`` is the exact sum of price * quantity of what is still open (price units
times quantity units); ``triggered`` an ExitReason once a stop has fired and is not served yet."""

REQUEST = np.dtype(_ints("due_ns kind id price"), align=True)
"""Something on its way to the matching engine; the line is first in, first out."""

REPORT = np.dtype(
    _ints("known_ns qty entry_price open_ns position_id balance closed exit_reason exit_ns ended"),
    align=True,
)
"""The account as it stood, on its way back; ``ended`` counts the strategy's orders that ended."""

EVENT = np.dtype(_ints("kind ts id price qty side bid ask open_ns open high low close"), align=True)
"""The event that is being matched. A trade stands in ``bid`` and ``ask`` too; a touch of 0 is an
empty side; ``open_ns`` to ``close`` belong to a bar."""

SIM_STATE = np.dtype(
    [
        *_ints(
            "known_qty known_entry_price known_open_ns known_position_id open_orders known_balance "
            "closed_positions last_exit_reason last_exit_ns "
            "now_ns balance peak_equity margin net_qty closed exit_reason exit_ns "
            "submitted ended order_id fill_id position_id changed news "
            "cause_kind cause_ns cause_id why liquidity queue_ahead refusal "
            "exit_kind exit_price exit_bound exit_mid "
            "last_price last_ns last_id last_side last_kind trade_ns "
            "quote_ns quote_id book_ns book_id book_taken band_lo band_hi "
            "n_orders n_positions request_head n_requests report_head n_reports reports_merged"
        ),
        ("event", EVENT),
        ("violations", "i8", (8,)),
        ("quote_price", "i8", (2,)),
        ("quote_qty", "i8", (2,)),
        ("quote_used", "i8", (2,)),
        ("n_levels", "i8", (2,)),
        ("book_price", "i8", (2, LEVELS)),
        ("book_qty", "i8", (2, LEVELS)),
        ("book_used", "i8", (2, LEVELS)),
        ("order_at", "i8", (ORDERS,)),
        ("orders", ORDER_SLOT, (ORDERS + 1,)),
        ("position_at", "i8", (POSITIONS,)),
        ("positions", POSITION_SLOT, (POSITIONS,)),
        ("requests", REQUEST, (REQUESTS,)),
        ("reports", REPORT, (REPORTS,)),
    ],
    align=True,
)
"""State of simulated matching of one symbol. The first nine fields are what a strategy may read:
they change only when the report of what happened has had time to arrive."""

SIM_PARAMS = np.dtype(
    _ints(
        "mul div qty_unit order_latency_ns response_latency_ns stale_ns price_stale_ns "
        "half_spread slippage taker_ppb maker_ppb fee_unit margin_ppb stop_out_ppb start_balance "
        "hedging queue_model queue_power price_step qty_step qty_min qty_max"
    ),
    align=True,
)
"""Parameters of simulated matching; ``engine.broker.simulated`` documents and builds them.

money = price * qty * mul / div; ``qty_unit`` is one whole unit of quantity; ``*_ppb`` are parts per
billion; ``half_spread``, ``slippage`` and ``price_step`` are price units, ``fee_unit`` is money
per whole unit of quantity; a ``margin_ppb``, ``stop_out_ppb`` or ``price_stale_ns`` of 0 is off.
"""


@njit(cache=True, nogil=True)
def sim_init(s, p):
    """Set a zeroed SIM_STATE record to the start of a run under the parameters ``p``."""
    s.balance = p.start_balance
    s.known_balance = p.start_balance
    s.peak_equity = p.start_balance
    s.band_lo = -NEVER
    s.band_hi = NEVER


@internal
def worse(t, a, b):
    """The price, of ``a`` and ``b``, that is worse for a taker of side ``t`` (+1 buys)."""
    return max(a, b) if t > 0 else min(a, b)
