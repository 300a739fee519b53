"""What market events do to resting orders, stops and targets.

Owns the fill rules of everything that waits: limit orders (trade through, queue, book crossing,
bar), stops and targets (held by the broker, one pair a position), and the stop-out. It refuses to
know how orders come to rest and how the events are read.

One event acts in one order: resting orders by arrival, then targets and stops by age of the
position; in a bar stops come first. Nothing is filled by an event older than itself: an order must
have been active, and a stop armed, at or before the event's own time, because streams are merged by
arrival and their exchange times may step back.
"""

from __future__ import annotations

from numba import njit

from data.events import ExitReason, FillReason, Liquidity, OrderReason, OrderType
from engine.kernel.account import cancel_order, equity_now, execute, order_step, share_ppb
from engine.kernel.matching_book import blame, free_in_book, use_book
from engine.kernel.matching_orders import can_take, new_order, take
from engine.kernel.matching_state import SCRATCH
from engine.kernel.orders import ACCEPT, SUBMIT, is_live
from engine.kernel.queue_position import UNKNOWN, level_in_book, level_in_quote, queue_see, queue_serve

_TAKER = int(Liquidity.TAKER)
_MAKER = int(Liquidity.MAKER)
_STOP = int(OrderType.STOP)
_TARGET = int(OrderType.TARGET)
_MARKET = int(OrderType.MARKET)
_EXIT_STOP = int(ExitReason.STOP)
_EXIT_TARGET = int(ExitReason.TARGET)
_EXIT_STOP_OUT = int(ExitReason.STOP_OUT)
_THROUGH = int(FillReason.TRADE_THROUGH)
_QUEUE = int(FillReason.QUEUE)
_CROSS = int(FillReason.BOOK_CROSS)
_STOP_BAR = int(FillReason.STOP_BAR)
_TARGET_BAR = int(FillReason.TARGET_BAR)
_LIMIT_BAR = int(FillReason.LIMIT_BAR)
_FILL_STOP_OUT = int(FillReason.STOP_OUT)
_STOPPED_OUT = int(OrderReason.STOP_OUT)
_POSITION_CLOSED = int(OrderReason.POSITION_CLOSED)
_NO_LIQUIDITY = int(OrderReason.NO_LIQUIDITY)


# --- resting limit orders --------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _fill_resting(s, p, out, o, qty, why, ahead):
    """Fill ``qty`` of a resting order at its own price; ends it when the account refuses."""
    s.liquidity = _MAKER
    s.why = why
    s.queue_ahead = max(0, ahead)
    done = execute(s, p, out, o, qty, o.price)
    if done < qty:
        cancel_order(s, out, o, s.refusal if s.refusal > 0 else _POSITION_CLOSED)
    return done


@njit(cache=True, nogil=True)
def rest_on_trade(s, p, out, ts, price, qty, side):
    """A trade meets the resting orders: through the price fills all, at the price serves the queue.

    Fills at the price share the trade's quantity, older orders first.
    """
    used = 0
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if not is_live(o.state) or ts < o.active_ns:
            continue
        if o.side * price < o.side * o.price:
            _fill_resting(s, p, out, o, o.left, _THROUGH, o.front)
        elif price == o.price and side == -o.side and o.front != UNKNOWN and ts > o.queue_ns:
            ahead = o.front
            served = queue_serve(o, qty, used)
            if served > 0:
                used += _fill_resting(s, p, out, o, served, _QUEUE, ahead)


@njit(cache=True, nogil=True)
def rest_on_book(s, p, out, ts):
    """The snapshot just kept meets the resting orders: crossing fills, then the queues see it."""
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if not is_live(o.state) or ts < o.active_ns:
            continue
        crossing = min(o.left, free_in_book(s, o.side, o.price))
        if crossing > 0:
            use_book(s, o.side, o.price, _fill_resting(s, p, out, o, crossing, _CROSS, 0))
        if is_live(o.state):
            queue_see(p, o, level_in_book(s, o.side, o.price), ts)


@njit(cache=True, nogil=True)
def rest_on_quote(s, p, out, ts):
    """The quote just kept meets the resting orders; an unknown size (0) serves them all."""
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if not is_live(o.state) or ts < o.active_ns:
            continue
        i = (o.side + 1) // 2
        if o.side * s.quote_price[i] <= o.side * o.price:
            crossing = o.left
            if s.quote_qty[i] > 0:
                crossing = min(o.left, s.quote_qty[i] - s.quote_used[i])
            if crossing > 0:
                s.quote_used[i] += _fill_resting(s, p, out, o, crossing, _CROSS, 0)
        if is_live(o.state):
            queue_see(p, o, level_in_quote(s, o.side, o.price), ts)


@njit(cache=True, nogil=True)
def rest_on_bar(s, p, out, ts, open_ns, high, low, close):
    """A bar meets the resting orders: only a price beyond the limit fills.

    Of a bar in which the order arrived, only the close is known to lie after the arrival.
    """
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if not is_live(o.state) or ts < o.active_ns:
            continue
        reach = low if o.side > 0 else high
        if o.active_ns > open_ns:
            reach = close
        if o.side * reach < o.side * o.price:
            _fill_resting(s, p, out, o, o.left, _LIMIT_BAR, o.front)


# --- the broker's own orders -----------------------------------------------------------------


@njit(cache=True, nogil=True)
def _broker_order(s, w, kind, qty, price, exit_reason):
    """The scratch slot as an accepted order that closes ``qty`` of position ``w``."""
    o = s.orders[SCRATCH]
    new_order(s, o, kind, -w.side, qty, price)
    o.named = w.id
    o.position_id = w.id
    o.reduce_only = 1
    o.exit_reason = exit_reason
    o.active_ns = s.now_ns
    order_step(s, o, SUBMIT)
    order_step(s, o, ACCEPT)
    return o


@njit(cache=True, nogil=True)
def _close_at_market(s, p, out, w, bound, why):
    """Close the triggered position ``w`` with what the market shows, never better than ``bound``.

    What cannot be served now stays triggered and is tried again at the next event.
    """
    _, source, reason = can_take(s, p, -w.side)
    if reason > 0:
        return
    stopped_out = w.triggered == _EXIT_STOP_OUT
    kind = _MARKET if stopped_out else _STOP
    o = _broker_order(s, w, kind, w.qty, 0 if stopped_out else w.stop, w.triggered)
    s.liquidity = _TAKER
    s.why = _FILL_STOP_OUT if stopped_out else why
    s.queue_ahead = 0
    s.refusal = 0
    take(s, p, out, o, w.qty, source, 0, bound)
    if is_live(o.state):
        cancel_order(s, out, o, s.refusal if s.refusal > 0 else _NO_LIQUIDITY)


@njit(cache=True, nogil=True)
def _close_at_price(s, p, out, w, kind, qty, price, why):
    """Close ``qty`` of ``w`` at exactly ``price``: a target, or the stop of a bar."""
    exit_reason = _EXIT_TARGET if kind == _TARGET else _EXIT_STOP
    o = _broker_order(s, w, kind, qty, w.target if kind == _TARGET else w.stop, exit_reason)
    s.liquidity = _MAKER if kind == _TARGET else _TAKER
    s.why = why
    s.queue_ahead = 0
    done = execute(s, p, out, o, qty, price)
    if is_live(o.state):
        cancel_order(s, out, o, s.refusal)
    return done


@njit(cache=True, nogil=True)
def exits_on_trade(s, p, out, ts, price, stop_why, target_why):
    """A trade meets stops and targets: a stop at its price, a target beyond its price."""
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        if w.qty == 0 or ts < w.armed_ns:
            continue
        if w.triggered == 0 and w.stop > 0 and w.side * price <= w.side * w.stop:
            w.triggered = _EXIT_STOP
            s.changed = 1
        if w.triggered:
            _close_at_market(s, p, out, w, price, stop_why)
        elif w.target > 0 and w.side * price > w.side * w.target:
            _close_at_price(s, p, out, w, _TARGET, w.qty, w.target, target_why)


@njit(cache=True, nogil=True)
def _shown_for_target(s, w, from_book):
    """Quantity that the event shows at or beyond the target of ``w``; all of it where unknown."""
    if from_book:
        return min(w.qty, free_in_book(s, -w.side, w.target))
    i = (1 - w.side) // 2
    if s.quote_qty[i] == 0:
        return w.qty
    return min(w.qty, max(0, s.quote_qty[i] - s.quote_used[i]))


@njit(cache=True, nogil=True)
def exits_on_touch(s, p, out, ts, bid, ask, from_book, stop_why, target_why):
    """A touch (0 = empty side) meets stops and targets; longs look at the bid, shorts at the ask."""
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        seen = bid if w.side > 0 else ask
        if w.qty == 0 or ts < w.armed_ns:
            continue
        if w.triggered == 0 and w.stop > 0 and seen > 0 and w.side * seen <= w.side * w.stop:
            w.triggered = _EXIT_STOP
            s.changed = 1
        if w.triggered:
            _close_at_market(s, p, out, w, seen, stop_why)
        elif w.target > 0 and seen > 0 and w.side * seen >= w.side * w.target:
            qty = _shown_for_target(s, w, from_book)
            if qty > 0:
                done = _close_at_price(s, p, out, w, _TARGET, qty, w.target, target_why)
                if from_book:
                    use_book(s, -w.side, w.target, done)
                else:
                    s.quote_used[(1 - w.side) // 2] += done


@njit(cache=True, nogil=True)
def stops_on_bar(s, p, out, ts, open_ns, open_, high, low):
    """A bar meets the stops: filled at the stop, or at the open where the bar opened beyond it.

    Half the spread and the slippage come on top. The open counts only for a stop that was armed
    before it; the range counts for every stop, the pessimistic reading of what is not known.
    """
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        if w.qty == 0 or ts < w.armed_ns:
            continue
        reach = low if w.side > 0 else high
        hit = w.stop > 0 and w.side * reach <= w.side * w.stop
        if not hit and w.triggered == 0:
            continue
        price = w.stop if hit else open_
        if w.armed_ns <= open_ns and w.side * open_ < w.side * price:
            price = open_
        price = max(1, price - w.side * (p.half_spread + p.slippage))
        _close_at_price(s, p, out, w, _STOP, w.qty, price, _STOP_BAR)


@njit(cache=True, nogil=True)
def targets_on_bar(s, p, out, ts, open_ns, high, low, close):
    """A bar meets the targets: only a price beyond fills; a bar that saw the entry counts by its close."""
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        if w.qty == 0 or w.target == 0 or ts < w.armed_ns:
            continue
        reach = high if w.side > 0 else low
        if w.armed_ns > open_ns:
            reach = close
        if w.side * reach > w.side * w.target:
            _close_at_price(s, p, out, w, _TARGET, w.qty, w.target, _TARGET_BAR)


@njit(cache=True, nogil=True)
def stop_out(s, p, out):
    """Close everything when the equity has fallen below its share of the margin in use."""
    if p.stop_out_ppb == 0 or s.margin == 0:
        return
    if equity_now(s, p) >= share_ppb(s.margin, p.stop_out_ppb):
        return
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if is_live(o.state):
            cancel_order(s, out, o, _STOPPED_OUT)
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        w.triggered = _EXIT_STOP_OUT
        _, source, _ = can_take(s, p, -w.side)
        blame(s, source)
        _close_at_market(s, p, out, w, 0, _FILL_STOP_OUT)
    s.changed = 1
