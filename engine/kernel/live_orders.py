"""The way of an order in a live fold: checked, given an id, and written down as an intent.

Owns the rows of the table ``intent``. Nothing is sent here: a row is journaled and synced before
anybody sends it, and what becomes of it comes back as an answer (``live_events``). The checks are
those of simulated matching; what the engine asks for in prices of the flow is written in prices of
the execution venue (``basis``).

While an outcome is unknown nothing may be sent: an order is refused, UNSENT; a cancel and a moved
stop wait, the last one asked for a position counting, and leave when it is known again.

``s`` is a LIVE_STATE record, ``m`` a SIM_STATE, ``p`` a SIM_PARAMS, ``lp`` a LIVE_PARAMS, ``b`` a
BASIS_STATE and ``out`` an OUT record; times are int64 ns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Action, OrderReason
from engine.kernel.account import end_order, order_step
from engine.kernel.basis import to_execution
from engine.kernel.compiled import internal
from engine.kernel.live_state import CANCEL_SENT, CANCEL_WAITS
from engine.kernel.matching_book import touch_now
from engine.kernel.matching_orders import (
    fault,
    find_order,
    find_position,
    free_slot,
    levels_are_good,
    new_order,
    price_is_good,
)
from engine.kernel.orders import REFUSE, SUBMIT
from engine.kernel.outputs import INTENT_ROWS_MAX

_CANCEL = np.int64(Action.CANCEL)
_MOVE_STOP = np.int64(Action.MOVE_STOP)
_UNSENT = np.int64(OrderReason.UNSENT)
_NO_PRICE = np.int64(OrderReason.NO_PRICE)
_NOTHING = np.int64(OrderReason.NOTHING_TO_REDUCE)
_ZERO = np.int64(0)
_ANY = np.int64(-1)


@internal
def intent_row(s, m, p, b, out, now, decision_id, action):
    """A new row of the table with what every intent says; the rest of it is 0.

    A row that finds no room is counted in ``out.lost`` and written over the last one.
    """
    s.intents += 1
    at = out.n_intents
    if at >= INTENT_ROWS_MAX:
        out.lost += 1
        at = INTENT_ROWS_MAX - 1
    else:
        out.n_intents += 1
    r = out.intents[at]
    bid, ask = touch_now(m, p)
    r.ts_ns = now
    r.id = s.intents
    r.decision_id = decision_id
    r.action = action
    r.type = 0
    r.side = 0
    r.qty = 0
    r.price = 0
    r.stop = 0
    r.target = 0
    r.tif = 0
    r.reduce_only = 0
    r.exit_reason = 0
    r.order_id = 0
    r.position = 0
    r.bid = bid
    r.ask = ask
    r.basis = b.units
    return r


@internal
def _why_not(s, m, p, lp, b, o, slot):
    """OrderReason why the order may not be sent, 0 when it may; ``slot`` is what it reduces."""
    reason = fault(m, p, o)
    if reason > 0:
        return reason
    if s.blocked:
        return _UNSENT
    if o.reduce_only:
        return _NOTHING if slot < 0 else _ZERO
    return _NO_PRICE if lp.apart and b.good == 0 else _ZERO


@internal
def _send(s, m, p, lp, b, out, now, r, decision_id, qty, slot):
    """Write down an order of ``qty`` for intent ``r``; ``slot`` of the position that it reduces,
    -1: none. Its id, 0 where it is refused."""
    step = p.price_step
    i = free_slot(m)
    o = m.orders[i]
    new_order(m, o, r.kind, r.side, qty, to_execution(b, lp.apart, step, r.price))
    o.decision_id = decision_id
    o.stop = to_execution(b, lp.apart, step, r.stop)
    o.target = to_execution(b, lp.apart, step, r.target)
    o.reduce_only = 1 if r.action == 3 or r.action == 6 else 0
    o.tif = r.tif
    o.exit_reason = r.exit_reason
    bid, ask = touch_now(m, p)
    o.bid = bid
    o.ask = ask
    reason = _why_not(s, m, p, lp, b, o, slot)
    if reason > 0:
        end_order(m, out, o, REFUSE, reason)
        o.id = 0
        m.changed = 0
        return _ZERO
    order_step(m, o, SUBMIT)
    m.changed = 0
    o.travelled = 1
    m.submitted += 1
    m.open_orders += 1
    m.order_at[m.n_orders] = i
    m.n_orders += 1
    s.tickets[i] = 0
    w = intent_row(s, m, p, b, out, now, decision_id, r.action)
    w.type = o.type
    w.side = o.side
    w.qty = o.qty
    w.price = o.price
    w.stop = o.stop
    w.target = o.target
    w.tif = o.tif
    w.reduce_only = o.reduce_only
    w.exit_reason = o.exit_reason
    w.order_id = o.id
    if slot >= 0:
        o.named = m.positions[slot].id
        w.position = s.positions[slot].ident
    return o.id


@internal
def _reducible(m, side, after):
    """Place, in order of age, of the next position after place ``after`` that ``side`` reduces."""
    k = after + 1
    while k < m.n_positions:
        w = m.positions[m.position_at[k]]
        if w.qty > 0 and w.side == -side:
            return k
        k += 1
    return _ANY


@njit(cache=True, nogil=True)
def live_submit(s, m, p, lp, b, out, now, decision_id, r):
    """Write down the order that intent ``r`` (an INTENT record) asks for at ``now``.

    Returns its id, 0 when it is refused before it leaves: it then has its row, REJECTED and with a
    reason, under an id of its own. A broker closes one position at a time: an exit from several (of
    a hedging account) becomes an order each, oldest first, and the last id is returned.
    """
    m.now_ns = max(m.now_ns, now)
    reduces = r.action == 3 or r.action == 6
    k = _reducible(m, r.side, _ANY) if reduces else _ANY
    slot = m.position_at[k] if k >= 0 else _ANY
    if p.hedging == 0 or slot < 0 or r.qty <= m.positions[slot].qty:
        # a strategy knows no lots: what it opens is what the broker's step holds of it
        qty = r.qty if reduces or r.qty < p.qty_step else r.qty - r.qty % p.qty_step
        return _send(s, m, p, lp, b, out, now, r, decision_id, qty, slot)
    left = r.qty
    last = _ZERO
    while left > 0 and k >= 0:
        slot = m.position_at[k]
        part = min(left, m.positions[slot].qty)
        last = _send(s, m, p, lp, b, out, now, r, decision_id, part, slot)
        left -= part
        k = _reducible(m, r.side, k)
    return last


@internal
def _write_cancel(s, m, p, b, out, now, decision_id, o):
    o.cancelling = CANCEL_SENT
    w = intent_row(s, m, p, b, out, now, decision_id, _CANCEL)
    w.side = o.side
    w.order_id = o.id


@njit(cache=True, nogil=True)
def live_cancel(s, m, p, b, out, now, decision_id, order_id):
    """Ask at ``now`` to cancel an open order; nothing where it has ended or was asked before."""
    m.now_ns = max(m.now_ns, now)
    i = find_order(m, order_id)
    if i < 0 or m.orders[i].cancelling:
        return
    o = m.orders[i]
    if s.blocked:
        o.cancelling = CANCEL_WAITS
    else:
        _write_cancel(s, m, p, b, out, now, decision_id, o)


@internal
def _write_move(s, m, p, b, out, now, decision_id, i, stop):
    w = intent_row(s, m, p, b, out, now, decision_id, _MOVE_STOP)
    w.side = m.positions[i].side
    w.stop = stop
    w.target = m.positions[i].target
    w.position = s.positions[i].ident
    s.positions[i].moved = 0


@njit(cache=True, nogil=True)
def live_move_stop(s, m, p, lp, b, out, now, decision_id, position_id, stop_price):
    """Ask at ``now`` to hold the stop of a position at ``stop_price`` (flow price units, 0: none).

    Nothing where the position is gone, the price is off the grid or beyond the target, or no basis
    was ever seen that could turn it into a price of the venue.
    """
    m.now_ns = max(m.now_ns, now)
    i = find_position(m, position_id)
    if i < 0 or (lp.apart and b.n == 0):
        return
    stop = to_execution(b, lp.apart, p.price_step, stop_price)
    w = m.positions[i]
    if not price_is_good(p, stop) or not levels_are_good(w.side, _ZERO, stop, w.target):
        return
    if s.blocked:
        s.positions[i].moved = 1
        s.positions[i].moved_stop = stop
        s.positions[i].moved_decision = decision_id
    else:
        _write_move(s, m, p, b, out, now, decision_id, i, stop)


@internal
def send_what_waited(s, m, p, b, out, now):
    """Nothing is blocked any more: cancels and moved stops that waited leave at ``now``."""
    for k in range(m.n_orders):
        o = m.orders[m.order_at[k]]
        if o.cancelling == CANCEL_WAITS:
            _write_cancel(s, m, p, b, out, now, o.decision_id, o)
    for k in range(m.n_positions):
        i = m.position_at[k]
        if s.positions[i].moved and m.positions[i].qty > 0:
            _write_move(s, m, p, b, out, now, s.positions[i].moved_decision, i,
                        s.positions[i].moved_stop)  # fmt: skip
