"""How much stands ahead of a resting order, and what a trade at its price leaves for it.

Owns the queue models. A price level is first come, first served; the log shows its total quantity
but not who stands where, so the quantity ahead (``front``) is an estimate:

* on arrival everything visible at the price is ahead;
* a trade at the price, by an aggressor of the other side, is served from the front;
* a new snapshot shows the level's total. ``risk_averse`` believes that cancellations happen behind
  us as long as that is possible: ``front' = min(front, total)``. The probabilistic models share a
  decrease ``chg`` (net of what traded) between ahead and behind:
  ``front' = front - (1 - p) chg - max(0, p chg - back)``, capped at the total, where p is the
  chance that a cancellation happened behind us, of front ``f`` and back ``b``:
  ``power`` p = b^n / (b^n + f^n); ``log`` p = ln(1+b) / (ln(1+b) + ln(1+f));
  ``ratio`` p = 1 - (f / (f + b))^n.
  Source: the queue models of hftbacktest (its ``ProbQueueModel``). Two things differ: the back is
  counted after the trades of the interval, and ``front`` never falls below 0, so a change of
  the book alone never fills an order.

p is rounded to 1e-9 and the sharing is done in integers, rounded in favour of those ahead of us;
powers are made by multiplication. So the result is the same on every machine.

What must hold: a trade that a snapshot already contains is not served from the front twice: only
trades younger than the last sight of the level count. An order whose level has never been
visible has an unknown queue (``front`` = -1) and cannot be filled at its own price.
"""

from __future__ import annotations

import math

from data.events import FP9
from engine.kernel.compiled import internal
from engine.kernel.matching_state import (
    FROM_BOOK,
    FROM_QUOTE,
    QUEUE_LOG,
    QUEUE_RATIO,
    QUEUE_RISK_AVERSE,
)
from engine.kernel.numbers import fp9

UNKNOWN = -1
"""``front`` of an order whose level was never visible."""


@internal
def _power(x, n):
    """x**n of a float by multiplication, n a positive int."""
    y = 1.0
    for _ in range(n):
        y *= x
    return y


@internal
def chance_behind(model, n, front, back):
    """Chance, int at 1e-9, that a cancellation at the level happened behind us."""
    if front <= 0:
        return FP9
    if back <= 0:
        return 0
    f = float(front)
    b = float(back)
    if model == QUEUE_LOG:
        behind = math.log(1.0 + b)
        return fp9(behind / (behind + math.log(1.0 + f)))
    ahead = _power(f / (f + b), n)
    if model == QUEUE_RATIO:
        return fp9(1.0 - ahead)
    behind = _power(b / (f + b), n)
    return fp9(behind / (behind + ahead))


@internal
def front_after(model, n, front, before, traded, total):
    """Quantity ahead once the level shows ``total``.

    ``front`` now, ``before`` the total at the last sight, ``traded`` what traded there since; all
    in quantity units, ``model`` and ``n`` the queue model and its power.
    """
    change = before - traded - total
    if model != QUEUE_RISK_AVERSE and change > 0:
        back = max(0, before - traded - front)
        ahead_fp9 = FP9 - chance_behind(model, n, front, back)
        whole = change // FP9
        ahead = ahead_fp9 * whole + ahead_fp9 * (change - whole * FP9) // FP9
        front -= ahead + max(0, change - ahead - back)
    return max(0, min(front, total))


@internal
def level_in_book(s, side, price):
    """Total shown at ``price`` on our own side of the snapshot, -1 where that is not visible."""
    k = (1 - side) // 2
    n = s.n_levels[k]
    if n == 0 or side * price < side * s.book_price[k, n - 1]:
        return UNKNOWN
    for i in range(n):
        if s.book_price[k, i] == price:
            return s.book_qty[k, i]
        if side * s.book_price[k, i] < side * price:
            return 0
    return 0


@internal
def level_in_quote(s, side, price):
    """Total shown at ``price`` by the last quote, -1 where that is not visible."""
    k = (1 - side) // 2
    if side * price > side * s.quote_price[k]:
        return 0
    if price == s.quote_price[k] and s.quote_qty[k] > 0:
        return s.quote_qty[k]
    return UNKNOWN


@internal
def queue_join(s, o, source):
    """The order ``o`` joins the end of its level as ``source`` shows it; else it is unknown."""
    o.front = UNKNOWN
    o.queue_ns = 0
    if source == FROM_BOOK:
        o.front = level_in_book(s, o.side, o.price)
        o.queue_ns = s.book_ns
    elif source == FROM_QUOTE:
        o.front = level_in_quote(s, o.side, o.price)
        o.queue_ns = s.quote_ns
    o.level_qty = max(0, o.front)
    o.traded = 0


@internal
def queue_see(p, o, total, ts):
    """The level of ``o`` shows ``total`` at ``ts``; -1 and older sights teach nothing."""
    if total < 0 or ts < o.queue_ns:
        return
    if o.front == UNKNOWN:
        o.front = total
    else:
        o.front = front_after(p.queue_model, p.queue_power, o.front, o.level_qty, o.traded, total)
    o.level_qty = total
    o.traded = 0
    o.queue_ns = ts


@internal
def queue_serve(o, qty, used):
    """Serve a trade of ``qty`` at the price of ``o``, of which our older orders took ``used``.

    Returns what is left for ``o`` to fill with (0 or more, at most what is left of the order).
    """
    rest = qty - used
    o.traded += qty
    if rest <= o.front:
        o.front -= rest
        return 0
    rest -= o.front
    o.front = 0
    return min(rest, o.left)
