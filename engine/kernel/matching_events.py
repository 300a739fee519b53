"""What market events do to resting orders, stops and targets.

Owns the fill rules of everything that waits: limit orders (trade through, queue, crossing, bar),
stops and targets (held by the broker, one pair a position), and the stop-out. A rule is a function
that says how much is filled and why; two loops carry out what the rules say. It refuses to know how
orders come to rest and how events are read: the event stands in ``s.event``.

One event acts in one order: resting orders by arrival, then targets and stops by age of the
position; in a bar stops come first. Nothing is filled by an event older than itself: an order must
have been active, and a stop armed, at or before the event's own time, because streams are merged by
arrival and their exchange times may step back.
"""

from __future__ import annotations

import numpy as np

from data.events import ExitReason, FillReason, Kind, Liquidity, OrderReason, OrderType
from engine.kernel.account import end_order, equity_now, execute, order_step, share_ppb
from engine.kernel.compiled import internal
from engine.kernel.matching_book import blame, shown, source_now, touch_at_fill, use_shown
from engine.kernel.matching_orders import cannot_take, new_order, take
from engine.kernel.matching_state import SCRATCH
from engine.kernel.orders import ACCEPT, CANCEL, SUBMIT, is_live
from engine.kernel.queue_position import (
    UNKNOWN,
    level_in_book,
    level_in_quote,
    queue_see,
    queue_serve,
)

BY_SIGHT = np.int64(0)
BY_BAR_STOP = np.int64(1)
BY_BAR_TARGET = np.int64(2)

_ZERO = np.int64(0)
_TRADE = np.int64(Kind.TRADE)
_DEPTH = np.int64(Kind.DEPTH)
_QUOTE = np.int64(Kind.QUOTE)
_CLOCK = np.int64(Kind.CLOCK)
_BAR = np.int64(Kind.BAR)
_TAKER = np.int64(Liquidity.TAKER)
_MAKER = np.int64(Liquidity.MAKER)
_STOP = np.int64(OrderType.STOP)
_TARGET = np.int64(OrderType.TARGET)
_MARKET = np.int64(OrderType.MARKET)
_EXIT_STOP = np.int64(ExitReason.STOP)
_EXIT_TARGET = np.int64(ExitReason.TARGET)
_EXIT_STOP_OUT = np.int64(ExitReason.STOP_OUT)
_THROUGH = np.int64(FillReason.TRADE_THROUGH)
_QUEUE = np.int64(FillReason.QUEUE)
_CROSS = np.int64(FillReason.BOOK_CROSS)
_STOP_TRADE = np.int64(FillReason.STOP_TRADE)
_STOP_BOOK = np.int64(FillReason.STOP_BOOK)
_STOP_BAR = np.int64(FillReason.STOP_BAR)
_TARGET_TRADE = np.int64(FillReason.TARGET_TRADE)
_TARGET_BOOK = np.int64(FillReason.TARGET_BOOK)
_TARGET_BAR = np.int64(FillReason.TARGET_BAR)
_LIMIT_BAR = np.int64(FillReason.LIMIT_BAR)
_FILL_STOP_OUT = np.int64(FillReason.STOP_OUT)
_STOPPED_OUT = np.int64(OrderReason.STOP_OUT)
_POSITION_CLOSED = np.int64(OrderReason.POSITION_CLOSED)
_NO_LIQUIDITY = np.int64(OrderReason.NO_LIQUIDITY)


# --- rules of resting limit orders: how much, and why in s.why and s.queue_ahead ---------------


@internal
def _fill_by_trade(s, o, used):
    """Through the price all that is left; at the price what the queue leaves after ``used``."""
    e = s.event
    if o.side * e.price < o.side * o.price:
        s.why = _THROUGH
        s.queue_ahead = max(0, o.front)
        return o.left
    hits = e.price == o.price and e.side == -o.side
    if not hits or o.front == UNKNOWN or e.ts <= o.queue_ns:
        return 0
    s.why = _QUEUE
    s.queue_ahead = o.front
    return queue_serve(o, e.qty, used)


@internal
def _fill_by_bar(s, o):
    """All that is left once a price lay beyond the limit.

    Of a bar in which the order arrived, only the close is known to lie after the arrival.
    """
    e = s.event
    reach = e.low if o.side > 0 else e.high
    if o.active_ns > e.open_ns:
        reach = e.close
    s.why = _LIMIT_BAR
    s.queue_ahead = max(0, o.front)
    return o.left if o.side * reach < o.side * o.price else 0


@internal
def _fill_by_touch(s, o):
    """What a snapshot or a quote shows at or beyond the price, on the other side."""
    s.why = _CROSS
    s.queue_ahead = 0
    return shown(s, s.event.kind, o.side, o.price, o.left)


@internal
def _see_queue(s, p, o):
    """The order learns what its level shows."""
    e = s.event
    if e.kind == _DEPTH:
        queue_see(p, o, level_in_book(s, o.side, o.price), e.ts)
    elif e.kind == _QUOTE:
        queue_see(p, o, level_in_quote(s, o.side, o.price), e.ts)


@internal
def rest(s, p, out):
    """The event meets the resting orders, oldest first; all fill as makers at their own price.

    Fills at the price of one trade share its quantity. An order that the account cannot bear, or
    that has nothing left to reduce, ends here.
    """
    e = s.event
    used = 0
    s.liquidity = _MAKER
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if not is_live(o.state) or e.ts < o.active_ns:
            continue
        if e.kind == _TRADE:
            qty = _fill_by_trade(s, o, used)
        elif e.kind == _BAR:
            qty = _fill_by_bar(s, o)
        else:
            qty = _fill_by_touch(s, o)
        if qty > 0:
            done = execute(s, p, out, o, qty, o.price)
            if s.why == _QUEUE:
                used += done
            elif s.why == _CROSS:
                use_shown(s, e.kind, o.side, o.price, done)
            if done < qty:
                reason = s.refusal if s.refusal > 0 else _POSITION_CLOSED
                end_order(s, out, o, CANCEL, reason)
        if is_live(o.state):
            _see_queue(s, p, o)


# --- rules of stops and targets: how much; the rest stands in s.exit_kind, _price, _bound, why --


@internal
def _exit_by_sight(s, p, w):
    """A trade, snapshot, quote or stop-out meets position ``w``.

    The stop fires at its price and fills at the market, never better than what fired it; what
    cannot be served stays triggered and is tried again at the next event. The target has no queue
    credit: a trade must go beyond it, or the touch must reach it. Longs look at the bid.
    """
    e = s.event
    seen = e.bid if w.side > 0 else e.ask
    if w.triggered == 0 and w.stop > 0 and seen > 0 and w.side * seen <= w.side * w.stop:
        w.triggered = _EXIT_STOP
        s.changed = 1
    traded = e.kind == _TRADE
    if w.triggered:
        s.exit_kind = _MARKET if w.triggered == _EXIT_STOP_OUT else _STOP
        s.exit_price = 0
        s.exit_bound = seen
        s.why = _STOP_TRADE if traded else _STOP_BOOK
        if w.triggered == _EXIT_STOP_OUT:
            s.why = _FILL_STOP_OUT
        return w.qty if cannot_take(s, source_now(s, p), -w.side) == 0 else 0
    beyond = w.side * (seen - w.target)
    if w.target == 0 or seen == 0 or beyond < 0 or (traded and beyond == 0):
        return 0
    s.exit_kind = _TARGET
    s.exit_price = w.target
    s.why = _TARGET_TRADE if traded else _TARGET_BOOK
    return w.qty if traded else shown(s, e.kind, -w.side, w.target, w.qty)


@internal
def _exit_by_bar_stop(s, p, w):
    """A bar meets a stop: filled at the stop, or at the open where the bar opened beyond it.

    Half the spread and the slippage come on top. The open counts only for a stop that was armed
    before it; the range counts for every stop, the pessimistic reading of what is not known: a
    stop that was set beyond the whole range goes at its worst price. What was triggered before and
    could not be served goes at the open.
    """
    e = s.event
    reach = e.low if w.side > 0 else e.high
    hit = w.stop > 0 and w.side * reach <= w.side * w.stop
    if not hit and w.triggered == 0:
        return 0
    price = e.open if w.triggered else w.stop
    if w.armed_ns <= e.open_ns and w.side * e.open < w.side * price:
        price = e.open
    best = e.high if w.side > 0 else e.low
    if w.side * price > w.side * best:
        price = reach
    s.exit_kind = _MARKET if w.triggered == _EXIT_STOP_OUT else _STOP
    s.exit_mid = price
    s.exit_price = max(1, price - w.side * (p.half_spread + p.slippage))
    s.why = _FILL_STOP_OUT if w.triggered == _EXIT_STOP_OUT else _STOP_BAR
    return w.qty


@internal
def _exit_by_bar_target(s, w):
    """A bar meets a target: a price beyond it; the bar of the entry counts by its close only."""
    e = s.event
    reach = e.high if w.side > 0 else e.low
    if w.armed_ns > e.open_ns:
        reach = e.close
    s.exit_kind = _TARGET
    s.exit_price = w.target
    s.why = _TARGET_BAR
    return w.qty if w.target > 0 and w.side * reach > w.side * w.target else 0


@internal
def _broker_order(s, p, w, qty):
    """The scratch slot as an accepted order that closes ``qty`` of position ``w``."""
    o = s.orders[SCRATCH]
    price = _ZERO
    exit_reason = w.triggered
    if s.exit_kind == _TARGET:
        price = w.target
        exit_reason = _EXIT_TARGET
    elif s.exit_kind == _STOP:
        price = w.stop
        exit_reason = _EXIT_STOP
    new_order(s, o, s.exit_kind, -w.side, qty, price)
    o.named = w.id
    o.position_id = w.id
    o.reduce_only = 1
    o.exit_reason = exit_reason
    o.active_ns = s.now_ns
    bid, ask = touch_at_fill(s, p)
    o.bid = bid
    o.ask = ask
    if s.exit_kind == _MARKET:
        o.reason = _STOPPED_OUT
    order_step(s, o, SUBMIT)
    order_step(s, o, ACCEPT)
    return o


@internal
def exits(s, p, out, rule):
    """The event meets stops and targets, oldest position first, by one of the BY_ rules."""
    e = s.event
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        if w.qty == 0 or e.ts < w.armed_ns:
            continue
        if rule == BY_SIGHT:
            qty = _exit_by_sight(s, p, w)
        elif rule == BY_BAR_STOP:
            qty = _exit_by_bar_stop(s, p, w)
        else:
            qty = _exit_by_bar_target(s, w)
        if qty == 0:
            continue
        o = _broker_order(s, p, w, qty)
        s.liquidity = _MAKER if s.exit_kind == _TARGET else _TAKER
        s.queue_ahead = 0
        s.refusal = 0
        if s.exit_price == 0:
            source = source_now(s, p)
            if e.kind == _CLOCK:
                blame(s, source)
            take(s, p, out, o, qty, source, _ZERO, s.exit_bound)
        else:
            done = execute(s, p, out, o, qty, s.exit_price)
            if s.why == _TARGET_BOOK:
                use_shown(s, e.kind, o.side, o.price, done)
        if is_live(o.state):
            end_order(s, out, o, CANCEL, s.refusal if s.refusal > 0 else _NO_LIQUIDITY)


@internal
def stop_out(s, p, out):
    """Below its share of the margin, end every resting order and trigger every position."""
    if p.stop_out_ppb == 0 or s.margin == 0:
        return
    if equity_now(s, p) >= share_ppb(s.margin, p.stop_out_ppb):
        return
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if is_live(o.state):
            end_order(s, out, o, CANCEL, _STOPPED_OUT)
    for k in range(s.n_positions):
        s.positions[s.position_at[k]].triggered = _EXIT_STOP_OUT
    s.changed = 1
