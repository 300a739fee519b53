"""What the market shows to an order: the last snapshot, the last quote, the last price.

Owns the copies of market data that simulated matching keeps, the rule that says which of them may
be used, and how much of a snapshot our own orders have already taken. It refuses to know orders.

The rule: a snapshot not older than ``stale_ns`` is used; where there is none, a quote not older
than ``stale_ns``; where there is none, the last price with half the configured spread around it. A
quote that is newer than the snapshot in use bounds its prices from the unfavourable side.
"""

from __future__ import annotations

import numpy as np

from data.events import FillReason, Kind
from engine.kernel.compiled import inlined, internal
from engine.kernel.matching_state import (
    FROM_BOOK,
    FROM_LAST,
    FROM_NOTHING,
    FROM_QUOTE,
    LEVELS,
    V_CROSSED,
    V_LEVELS,
    worse,
)

_DEPTH = np.int64(Kind.DEPTH)
_QUOTE = np.int64(Kind.QUOTE)
_BOOK_WALK = np.int64(FillReason.BOOK_WALK)
_QUOTE_TOUCH = np.int64(FillReason.QUOTE_TOUCH)
_BAR = np.int64(Kind.BAR)
_LAST_PRICE = np.int64(FillReason.LAST_PRICE)
_STOP_BAR = np.int64(FillReason.STOP_BAR)
_TARGET_BAR = np.int64(FillReason.TARGET_BAR)
_LIMIT_BAR = np.int64(FillReason.LIMIT_BAR)
_STOP_OUT = np.int64(FillReason.STOP_OUT)
_BUY = np.int64(1)
_SELL = np.int64(-1)
_ZERO = np.int64(0)


@internal
def source_now(s, p):
    """Which market data (a FROM_ code) an order would meet at ``s.now_ns``."""
    if s.book_ns > 0 and s.now_ns - s.book_ns <= p.stale_ns:
        return FROM_BOOK
    if s.quote_ns > 0 and s.now_ns - s.quote_ns <= p.stale_ns:
        return FROM_QUOTE
    recent = p.price_stale_ns == 0 or s.now_ns - s.last_ns <= p.price_stale_ns
    return FROM_LAST if s.last_price > 0 and recent else FROM_NOTHING


@internal
def quote_bound(s, p, t):
    """Price that a taker of side ``t`` cannot beat while the quote is newer than the book; or 0."""
    newer = s.quote_ns > s.book_ns and s.now_ns - s.quote_ns <= p.stale_ns
    return s.quote_price[(t + 1) // 2] if newer else 0


@internal
def touch(s, p, t, source):
    """Price that a taker of side ``t`` meets first in ``source``, before slippage; 0: nothing."""
    k = (t + 1) // 2
    if source == FROM_NOTHING or (source == FROM_BOOK and s.n_levels[k] == 0):
        return 0
    if source == FROM_QUOTE:
        return s.quote_price[k]
    if source == FROM_LAST:
        return max(1, s.last_price + t * p.half_spread)
    bound = quote_bound(s, p, t)
    return worse(t, s.book_price[k, 0], bound) if bound > 0 else s.book_price[k, 0]


@internal
def touch_now(s, p):
    """(bid, ask) that takers would meet first at ``s.now_ns``; 0 for a side that shows nothing.

    Where only the last price is known, it is what is assumed: half the spread on either side.
    """
    source = source_now(s, p)
    return touch(s, p, _SELL, source), touch(s, p, _BUY, source)


@internal
def touch_at_fill(s, p):
    """(bid, ask) at the fill whose reason stands in ``s.why``; 0 for what is not known.

    Inside a bar nobody knows the touch: for a stop it is what the fill assumed, half the spread
    around the price at which the bar reached it, for limits and targets it is not known.
    """
    if s.why == _LIMIT_BAR or s.why == _TARGET_BAR:
        return _ZERO, _ZERO
    if s.why == _STOP_BAR or (s.why == _STOP_OUT and s.event.kind == _BAR):
        return max(1, s.exit_mid - p.half_spread), s.exit_mid + p.half_spread
    return touch_now(s, p)


@internal
def flat_price(s, p, t, source, bound):
    """Price of a fill with no book: the touch, no better than ``bound`` (0: none), slipped."""
    price = touch(s, p, t, source)
    if bound > 0:
        price = worse(t, price, bound)
    return max(1, price + t * p.slippage)


@internal
def free_in_book(s, t, limit):
    """Quantity that a taker of side ``t`` may still take up to ``limit`` (0: any price)."""
    k = (t + 1) // 2
    total = 0
    for i in range(s.n_levels[k]):
        if limit > 0 and t * s.book_price[k, i] > t * limit:
            break
        total += max(0, s.book_qty[k, i] - s.book_used[k, i])
    return total


@internal
def shown(s, kind, side, price, want):
    """Quantity, up to ``want``, that the event just kept shows to an order resting at ``price``.

    ``kind`` DEPTH or QUOTE, ``side`` of the resting order; a quote of unknown size serves all.
    """
    if kind == _DEPTH:
        return min(want, free_in_book(s, side, price))
    k = (side + 1) // 2
    if side * s.quote_price[k] > side * price:
        return 0
    if s.quote_qty[k] == 0:
        return want
    return min(want, max(0, s.quote_qty[k] - s.quote_used[k]))


@internal
def use_shown(s, kind, side, price, qty):
    """Remember that ``qty`` of what :func:`shown` gave is taken, best price first."""
    k = (side + 1) // 2
    if kind == _QUOTE:
        s.quote_used[k] += qty
        return
    for i in range(s.n_levels[k]):
        if qty == 0 or side * s.book_price[k, i] > side * price:
            break
        part = min(qty, max(0, s.book_qty[k, i] - s.book_used[k, i]))
        s.book_used[k, i] += part
        qty -= part
    s.book_taken = 1


@internal
def blame(s, source):
    """Make the market data of ``source`` the cause of the fills to come; their FillReason."""
    if source == FROM_BOOK:
        s.cause_kind = _DEPTH
        s.cause_ns = s.book_ns
        s.cause_id = s.book_id
        return _BOOK_WALK
    if source == FROM_QUOTE:
        s.cause_kind = _QUOTE
        s.cause_ns = s.quote_ns
        s.cause_id = s.quote_id
        return _QUOTE_TOUCH
    s.cause_kind = s.last_kind
    s.cause_ns = s.last_ns
    s.cause_id = s.last_id
    return _LAST_PRICE


@internal
def keep_book(s, ts, id_, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1):
    """Copy a snapshot (int64 arrays), forget what was taken; False and no book when crossed."""
    bids = min(b1 - b0, LEVELS)
    asks = min(a1 - a0, LEVELS)
    if bids < b1 - b0 or asks < a1 - a0:
        s.violations[V_LEVELS] += 1
    if s.book_taken:
        s.book_used[:, :] = 0
        s.book_taken = 0
    s.n_levels[0] = bids
    s.n_levels[1] = asks
    s.book_ns = ts
    s.book_id = id_
    price = s.book_price
    qty = s.book_qty
    for i in range(bids):
        price[0, i] = bid_price[b0 + i]
        qty[0, i] = bid_qty[b0 + i]
    for i in range(asks):
        price[1, i] = ask_price[a0 + i]
        qty[1, i] = ask_qty[a0 + i]
    crossed = bids > 0 and asks > 0 and price[0, 0] >= price[1, 0]
    unpriced = (bids > 0 and price[0, bids - 1] <= 0) or (asks > 0 and price[1, 0] <= 0)
    if crossed or unpriced:
        s.violations[V_CROSSED] += 1
        s.book_ns = 0
        return False
    return True


@internal
def keep_quote(s, ts, id_, bid, bid_qty, ask, ask_qty):
    """Remember a quote; False (and no quote) when it is crossed or has a price of 0 or less."""
    s.quote_id = id_
    s.quote_price[0] = bid
    s.quote_price[1] = ask
    s.quote_qty[0] = bid_qty
    s.quote_qty[1] = ask_qty
    s.quote_used[0] = 0
    s.quote_used[1] = 0
    if bid <= 0 or ask <= 0 or bid > ask:
        s.violations[V_CROSSED] += 1
        s.quote_ns = 0
        return False
    s.quote_ns = ts
    return True


@inlined
def keep_last(s, kind, ts, id_, price, side):
    """Remember the last price and the event that gave it."""
    s.last_kind = kind
    s.last_ns = ts
    s.last_id = id_
    s.last_price = price
    s.last_side = side
