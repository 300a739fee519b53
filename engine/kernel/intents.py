"""What the engine wants done: enter, exit, cancel, move stop.

Owns the small list of intents that one decision may make. A strategy writes intents and nothing
else; where they go (simulated matching, a paper broker, a terminal) is decided outside the kernel,
so that a strategy is the same in backtest, paper and live. It refuses to know about fills.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Action, ExitReason, OrderType

INTENTS_MAX = 8
GTC = 0
IOC = 1
POST_ONLY = 2
_EXIT = int(Action.EXIT)
_PARTIAL = int(Action.PARTIAL)
_LONG = int(Action.ENTER_LONG)
_SHORT = int(Action.ENTER_SHORT)
_CANCEL = int(Action.CANCEL)
_MOVE_STOP = int(Action.MOVE_STOP)
_MARKET = int(OrderType.MARKET)
_LIMIT = int(OrderType.LIMIT)
_BY_CONTROL = int(ExitReason.CONTROL)

INTENT = np.dtype(
    [
        ("action", "i8"),
        ("kind", "i8"),
        ("side", "i8"),
        ("qty", "i8"),
        ("price", "i8"),
        ("stop", "i8"),
        ("target", "i8"),
        ("tif", "i8"),
        ("exit_reason", "i8"),
        ("subject", "i8"),
    ],
    align=True,
)
"""action, kind (OrderType), side, qty, price, stop and target (0: none), tif, why, and the order or
position that a cancel or a moved stop is about."""

INTENTS = np.dtype([("n", "i8"), ("lost", "i8"), ("items", INTENT, (INTENTS_MAX,))], align=True)
"""The intents of the decision being made; lost counts those beyond INTENTS_MAX."""


@njit(cache=True, nogil=True)
def add_intent(s, action, kind, side, qty, price, stop, target, tif, exit_reason, subject):
    """Append one intent (int64 prices and quantities)."""
    if s.n >= INTENTS_MAX:
        s.lost += 1
        return
    r = s.items[s.n]
    r.action = action
    r.kind = kind
    r.side = side
    r.qty = qty
    r.price = price
    r.stop = stop
    r.target = target
    r.tif = tif
    r.exit_reason = exit_reason
    r.subject = subject
    s.n += 1


@njit(cache=True, nogil=True)
def enter_market(s, side, qty, stop, target):
    """Enter at market: side +1 or -1, int64 qty, stop and target prices (0: none)."""
    action = _LONG if side > 0 else _SHORT
    add_intent(s, action, _MARKET, side, qty, 0, stop, target, IOC, 0, 0)


@njit(cache=True, nogil=True)
def enter_limit(s, side, qty, price, stop, target):
    """Rest at int64 ``price`` without taking: side +1 or -1, int64 qty, stop, target (0: none)."""
    action = _LONG if side > 0 else _SHORT
    add_intent(s, action, _LIMIT, side, qty, price, stop, target, POST_ONLY, 0, 0)


@njit(cache=True, nogil=True)
def exit_market(s, signed_qty, exit_reason):
    """Close ``signed_qty`` (the position, signed int64 quantity) at market for an ExitReason."""
    side = -1 if signed_qty > 0 else 1
    add_intent(s, _EXIT, _MARKET, side, abs(signed_qty), 0, 0, 0, IOC, exit_reason, 0)


@njit(cache=True, nogil=True)
def exit_part(s, signed_qty, part, exit_reason):
    """Close ``part`` (int64, 0 < part < |position|) of the position ``signed_qty`` at market.

    The order is reduce-only: it never opens the other side, whatever happened on its way.
    """
    side = -1 if signed_qty > 0 else 1
    add_intent(s, _PARTIAL, _MARKET, side, part, 0, 0, 0, IOC, exit_reason, 0)


@njit(cache=True, nogil=True)
def cancel_order(s, order_id):
    """Cancel a resting order."""
    add_intent(s, _CANCEL, 0, 0, 0, 0, 0, 0, 0, 0, order_id)


@njit(cache=True, nogil=True)
def move_stop(s, position_id, stop):
    """Move the broker-side stop of a position to ``stop`` (int64 price)."""
    add_intent(s, _MOVE_STOP, 0, 0, 0, 0, stop, 0, 0, 0, position_id)


@njit(cache=True, nogil=True)
def flatten(core, known, s):
    """An operator asked: cancel an entry, close the position (int64 qty) at market; then decide.

    ``core.flatten`` is 1 until the exit has been sent and 2 while it is under way: another order
    that stands in the way, such as what is left of an entry, is cancelled, our own exit is not.
    """
    if known.qty == 0 and known.open_orders == 0:
        core.flatten = 0
    elif known.open_orders == 0:
        core.flatten = 2
        core.decision.action = _EXIT
        core.decision.exit_reason = _BY_CONTROL
        exit_market(s, known.qty, _BY_CONTROL)
    elif core.flatten == 1:
        core.decision.action = _CANCEL
        cancel_order(s, known.last_order_id)
