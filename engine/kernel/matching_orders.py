"""The way of an order: sent, under way, arrived, and executed against what is shown.

Owns the line of requests (new, cancel, move a stop), the checks before an order is sent, and what
happens on arrival: market orders and marketable limits take from the book, the quote or the last
price; the rest of a limit order joins its queue. Requests travel for the order latency, first in,
first out. It refuses to know what later events do to a resting order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Liquidity, OrderReason, OrderType
from engine.kernel.account import (
    closable_qty,
    end_order,
    execute,
    margin_bears,
    money_fits,
    order_step,
)
from engine.kernel.compiled import inlined, internal
from engine.kernel.matching_book import (
    blame,
    flat_price,
    free_in_book,
    quote_bound,
    source_now,
    touch,
    touch_now,
)
from engine.kernel.matching_reports import settle
from engine.kernel.matching_state import (
    FROM_BOOK,
    FROM_NOTHING,
    NEVER,
    ORDERS,
    REQUEST_CANCEL,
    REQUEST_MOVE_STOP,
    REQUEST_NEW,
    REQUESTS,
    TIF_IOC,
    TIF_POST_ONLY,
    V_REQUESTS,
    worse,
)
from engine.kernel.orders import ACCEPT, CANCEL, REFUSE, SUBMIT, is_live
from engine.kernel.queue_position import queue_join

_MARKET = np.int64(OrderType.MARKET)
_LIMIT = np.int64(OrderType.LIMIT)
_TAKER = np.int64(Liquidity.TAKER)
_NONE = np.int64(OrderReason.NONE)
_NO_PRICE = np.int64(OrderReason.NO_PRICE)
_NO_LIQUIDITY = np.int64(OrderReason.NO_LIQUIDITY)
_MARGIN = np.int64(OrderReason.MARGIN)
_BAD_QTY = np.int64(OrderReason.BAD_QTY)
_BAD_PRICE = np.int64(OrderReason.BAD_PRICE)
_BAD_ORDER = np.int64(OrderReason.BAD_ORDER)
_BY_STRATEGY = np.int64(OrderReason.BY_STRATEGY)
_NO_SLOT = np.int64(OrderReason.NO_SLOT)
_WOULD_TAKE = np.int64(OrderReason.WOULD_TAKE)
_OVERFLOW = np.int64(OrderReason.OVERFLOW)
_NOTHING_TO_REDUCE = np.int64(OrderReason.NOTHING_TO_REDUCE)


# --- taking ----------------------------------------------------------------------------------


@internal
def cannot_take(s, source, t):
    """OrderReason why a taker of side ``t`` finds nothing in ``source``; 0: it does."""
    if source == FROM_NOTHING:
        return _NO_PRICE
    if source == FROM_BOOK and free_in_book(s, t, _NONE) == 0:
        return _NO_LIQUIDITY
    return _NONE


@internal
def take(s, p, out, o, want, source, limit, bound):
    """Take up to ``want`` as ``o`` from ``source``: level by level from a book, else in one piece.

    Prices are no worse than ``limit`` and no better than ``bound`` (0: none). Cause, reason and
    liquidity stand in ``s``. Returns what was filled.
    """
    t = o.side
    k = (t + 1) // 2
    from_book = source == FROM_BOOK
    newer = quote_bound(s, p, t) if from_book else 0
    if newer > 0:
        bound = newer if bound == 0 else worse(t, bound, newer)
    left = want
    for i in range(s.n_levels[k] if from_book else 1):
        part = left
        if from_book:
            part = min(left, s.book_qty[k, i] - s.book_used[k, i])
            price = s.book_price[k, i]
            if bound > 0:
                price = worse(t, price, bound)
            if limit > 0 and t * price > t * limit:
                break
        else:
            price = flat_price(s, p, t, source, bound)
            if limit > 0 and t * price > t * limit:
                price = limit
        if part <= 0:
            continue
        done = execute(s, p, out, o, part, price)
        if from_book:
            s.book_used[k, i] += done
            s.book_taken = 1
        left -= done
        if done < part or left == 0:
            break
    return want - left


# --- arrival ---------------------------------------------------------------------------------


@internal
def _margin_allows(s, p, o, price):
    """True when the account can bear what ``o`` would open at ``price``."""
    closes = min(o.qty, closable_qty(s, p, o))
    if o.reduce_only or closes == o.qty:
        return True
    released = s.margin if closes > 0 else _NONE
    return margin_bears(s, p, price, o.qty - closes, released)


@internal
def _refusal_on_arrival(s, p, o, source, price, takes):
    """OrderReason why the matching engine refuses ``o``, 0 when it accepts it."""
    if o.reduce_only and closable_qty(s, p, o) == 0:
        return _NOTHING_TO_REDUCE
    if o.type == _LIMIT:
        if takes and o.tif == TIF_POST_ONLY:
            return _WOULD_TAKE
        price = o.price
    else:
        reason = cannot_take(s, source, o.side)
        if reason > 0:
            return reason
    return _NONE if _margin_allows(s, p, o, price) else _MARGIN


@internal
def _end_on_arrival(s, o, source, exhausted):
    """OrderReason why a live order may not rest after it has taken, 0 when it may."""
    if s.refusal > 0:
        return s.refusal
    if o.reduce_only and exhausted:
        return _NOTHING_TO_REDUCE
    if o.type == _LIMIT and o.tif != TIF_IOC:
        return _NONE
    return _NO_PRICE if source == FROM_NOTHING else _NO_LIQUIDITY


@inlined
def _arrive(s, p, out, o):
    """The order reaches the matching engine at ``s.now_ns``: refused, or it takes, rests or ends.

    A limit order takes what is not worse than its price and rests with what is left; what a market
    order cannot be served with is cancelled, not invented. A reduce-only order never takes more
    than there is to reduce.
    """
    o.active_ns = s.now_ns
    source = source_now(s, p)
    price = touch(s, p, o.side, source)
    takes = o.type == _MARKET or (price > 0 and o.side * price <= o.side * o.price)
    reason = _refusal_on_arrival(s, p, o, source, price, takes)
    if reason > 0:
        end_order(s, out, o, REFUSE, reason)
        return
    order_step(s, o, ACCEPT)
    want = min(o.left, closable_qty(s, p, o)) if o.reduce_only else o.left
    done = 0
    s.refusal = 0
    if takes:
        s.liquidity = _TAKER
        s.queue_ahead = 0
        s.why = blame(s, source)
        done = take(s, p, out, o, want, source, o.price, _NONE)
    if not is_live(o.state):
        return
    reason = _end_on_arrival(s, o, source, done == want)
    if reason > 0:
        end_order(s, out, o, CANCEL, reason)
    else:
        queue_join(s, o, source)


# --- requests --------------------------------------------------------------------------------


@internal
def find_order(s, order_id):
    """Slot of the order ``order_id``, -1 where it is not open."""
    for k in range(s.n_orders):
        if s.orders[s.order_at[k]].id == order_id:
            return s.order_at[k]
    return -1


@internal
def find_position(s, position_id):
    """Slot of the position ``position_id``, -1 where it is not open."""
    for k in range(s.n_positions):
        if s.positions[s.position_at[k]].id == position_id:
            return s.position_at[k]
    return -1


@internal
def next_due(s):
    """Time (ns) at which the next request arrives, NEVER where none is under way."""
    return s.requests[s.request_head].due_ns if s.n_requests > 0 else NEVER


@inlined
def _serve_request(s, p, out, r):
    """Carry out a request that has arrived; one whose object is gone does nothing."""
    if r.kind == REQUEST_MOVE_STOP:
        i = find_position(s, r.id)
        if i >= 0 and levels_are_good(s.positions[i].side, _NONE, r.price, s.positions[i].target):
            s.positions[i].stop = r.price
            s.positions[i].armed_ns = s.now_ns
            s.changed = 1
        return
    i = find_order(s, r.id)
    if i < 0:
        return
    if r.kind == REQUEST_NEW:
        _arrive(s, p, out, s.orders[i])
    else:
        end_order(s, out, s.orders[i], CANCEL, _BY_STRATEGY)


@internal
def run_due(s, p, out, upto):
    """Let every request arrive that is due at or before ``upto`` (ns), each at its own time."""
    while s.n_requests > 0:
        r = s.requests[s.request_head]
        if r.due_ns > upto:
            return
        s.now_ns = max(s.now_ns, r.due_ns)
        s.request_head = (s.request_head + 1) % REQUESTS
        s.n_requests -= 1
        _serve_request(s, p, out, r)
        settle(s, p, out)


@internal
def _send(s, p, now, kind, id_, price):
    """Put a request on its way; False when the line is full."""
    if s.n_requests == REQUESTS:
        s.violations[V_REQUESTS] += 1
        return False
    r = s.requests[(s.request_head + s.n_requests) % REQUESTS]
    r.due_ns = max(now, s.now_ns) + p.order_latency_ns
    r.kind = kind
    r.id = id_
    r.price = price
    s.n_requests += 1
    return True


# --- what a strategy asks for ----------------------------------------------------------------


@internal
def price_is_good(p, price):
    """True for a price that is 0 (none) or a whole number of price steps."""
    return price == 0 or (price > 0 and price % p.price_step == 0)


@internal
def levels_are_good(side, price, stop, target):
    """True when stop < price < target for a long (mirrored for a short), as far as given."""
    if stop > 0 and target > 0 and side * stop >= side * target:
        return False
    if price == 0:
        return True
    below = stop == 0 or side * stop < side * price
    return below and (target == 0 or side * target > side * price)


@internal
def fault(s, p, o):
    """OrderReason why an order may not be sent, 0 when it may."""
    known_kind = o.type == _MARKET or o.type == _LIMIT
    known_side = o.side == 1 or o.side == -1
    if not known_kind or not known_side or o.tif < 0 or o.tif > TIF_POST_ONLY:
        return _BAD_ORDER
    if o.qty < max(1, p.qty_min) or o.qty > p.qty_max or o.qty % p.qty_step != 0:
        return _BAD_QTY
    if (o.type == _LIMIT) != (o.price > 0) or not price_is_good(p, o.price):
        return _BAD_PRICE
    if not price_is_good(p, o.stop) or not price_is_good(p, o.target):
        return _BAD_PRICE
    if not levels_are_good(o.side, o.price, o.stop, o.target):
        return _BAD_PRICE
    reference = max(o.price, s.last_price, s.book_price[1, 0], s.quote_price[1])
    if not money_fits(p, reference, 2 * o.qty):
        return _OVERFLOW
    if s.n_orders == ORDERS or s.n_requests == REQUESTS:
        return _NO_SLOT
    return 0


@internal
def free_slot(s):
    """Slot of no open order; the scratch slot where all are in use."""
    for i in range(ORDERS):
        if s.orders[i].id == 0:
            return i
    return ORDERS


@internal
def new_order(s, o, kind, side, qty, price):
    """Make the slot ``o`` a new order in quantity and price units, not seen by anybody (EMPTY)."""
    s.order_id += 1
    o.id = s.order_id
    o.decision_id = 0
    o.position_id = 0
    o.named = 0
    o.travelled = 0
    o.type = kind
    o.side = side
    o.qty = qty
    o.left = qty
    o.price = price
    o.stop = 0
    o.target = 0
    o.reduce_only = 0
    o.tif = 0
    o.exit_reason = 0
    o.state = 0
    o.reason = 0
    o.sent_ns = s.now_ns
    o.active_ns = 0
    o.cancelling = 0
    o.front = -1
    o.level_qty = 0
    o.traded = 0
    o.queue_ns = 0
    o.bid = 0
    o.ask = 0


@njit(cache=True, nogil=True)
def sim_submit(
    s, p, out, now, decision_id, kind, side, qty, price,
    stop_price, target_price, reduce_only, tif, exit_reason,
):  # fmt: skip
    """Send an order at ``now`` (ns); its id, or 0 when it is refused before it leaves.

    ``kind`` OrderType MARKET or LIMIT, ``side`` +1 or -1, ``qty`` quantity units, ``price`` limit
    price (0 for market), ``stop_price`` and ``target_price`` price units held by the broker for the
    position that the order opens (0 = none), ``reduce_only`` 0 or 1, ``tif`` a TIF_ code,
    ``exit_reason`` the ExitReason of a position that the order closes (0: STRATEGY, or REVERSE). A
    refused order writes its row, REJECTED and with a reason, under an id of its own.
    """
    s.now_ns = max(s.now_ns, now)
    i = free_slot(s)
    o = s.orders[i]
    new_order(s, o, kind, side, qty, price)
    o.decision_id = decision_id
    o.stop = stop_price
    o.target = target_price
    o.reduce_only = reduce_only
    o.tif = tif
    o.exit_reason = exit_reason
    bid, ask = touch_now(s, p)
    o.bid = bid
    o.ask = ask
    reason = fault(s, p, o)
    if reason > 0:
        end_order(s, out, o, REFUSE, reason)
        o.id = 0
        s.changed = 0
        return 0
    order_step(s, o, SUBMIT)
    s.changed = 0
    o.travelled = 1
    s.submitted += 1
    s.open_orders += 1
    s.order_at[s.n_orders] = i
    s.n_orders += 1
    _send(s, p, now, REQUEST_NEW, o.id, price)
    return o.id


@njit(cache=True, nogil=True)
def sim_cancel(s, p, out, now, order_id):
    """Ask at ``now`` (ns) to cancel an order; 1 when the request is under way, else 0.

    0 means that there never was such an order, that a cancel of it is already under way, or that
    the line of requests is full (counted). A cancel that finds its order ended does nothing; that
    it will is not said here, because the engine does not know it yet.
    """
    s.now_ns = max(s.now_ns, now)
    if order_id < 1 or order_id > s.order_id:
        return 0
    i = find_order(s, order_id)
    if i >= 0 and s.orders[i].cancelling:
        return 0
    if not _send(s, p, now, REQUEST_CANCEL, order_id, _NONE):
        return 0
    if i >= 0:
        s.orders[i].cancelling = 1
    return 1


@njit(cache=True, nogil=True)
def sim_move_stop(s, p, out, now, position_id, stop_price):
    """Ask at ``now`` (ns) to hold the stop of a position at ``stop_price`` (0 = none); 1 or 0.

    0 means that there never was such a position, that the price is off the grid, or that the line
    of requests is full (counted). On arrival it does nothing when the position is gone or when the
    price lies beyond the target.
    """
    s.now_ns = max(s.now_ns, now)
    if position_id < 1 or position_id > s.position_id or not price_is_good(p, stop_price):
        return 0
    return 1 if _send(s, p, now, REQUEST_MOVE_STOP, position_id, stop_price) else 0
