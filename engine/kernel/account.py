"""The account: what a fill does to positions, balance and margin.

Owns money: notional, commission, margin, result, equity; the opening, enlarging, reducing and
closing of positions in netting and hedging accounts; and the end of an order's row.

What must hold, exactly and in integers:

* balance = start balance + sum of the fills' ``pnl`` - sum of the fills' ``fee``;
* a position's quantity = sum of its entries - sum of its exits, and it is gone at 0;
* the cost of what is closed is the average cost of the position, rounded against the holder and
  kept as an exact sum, so a position closed in parts closes its whole cost;
* nothing is formed that could leave int64: what does not fit is refused and counted.

It refuses to know why an order fills: the cause stands in the state before :func:`execute`.
"""

from __future__ import annotations

import numpy as np

from data.events import FP9, PRICE_QTY_PRODUCT_MAX, ExitReason, Liquidity, OrderReason
from engine.kernel.compiled import inlined, internal
from engine.kernel.matching_book import source_now, touch
from engine.kernel.matching_records import write_equity, write_fill, write_order, write_position
from engine.kernel.matching_state import POSITIONS, V_ORDER_STATE, V_OVERFLOW
from engine.kernel.numbers import divide_half_away, product_fits
from engine.kernel.orders import FILL_ALL, FILL_PART, advance, is_live

_MAKER = np.int64(Liquidity.MAKER)
_NONE = np.int64(OrderReason.NONE)
_MARGIN = np.int64(OrderReason.MARGIN)
_NO_SLOT = np.int64(OrderReason.NO_SLOT)
_OVERFLOW = np.int64(OrderReason.OVERFLOW)
_REVERSE = np.int64(ExitReason.REVERSE)
_STRATEGY = np.int64(ExitReason.STRATEGY)
SUM_MAX = PRICE_QTY_PRODUCT_MAX
"""A sum of price * quantity stays below this."""
_HALF = PRICE_QTY_PRODUCT_MAX >> 1


# --- money -----------------------------------------------------------------------------------


@internal
def money_fits(p, price, qty):
    """True when price * qty, and its money and fee, stay inside int64 with room to double."""
    if price > _HALF or qty > _HALF:
        return False
    if not product_fits(2 * price, qty) or not product_fits(2 * price * qty, p.mul):
        return False
    return product_fits(qty, p.fee_unit)


@internal
def to_money(p, product):
    """Money (1e-8) of a price * qty product that is known to fit; rounded half away from zero."""
    return divide_half_away(product * p.mul, p.div)


@internal
def share_ppb(amount, ppb):
    """amount * ppb / 1e9 of a money amount >= 0, |ppb| <= 1e9; rounded half away from zero."""
    whole = amount // FP9
    return whole * ppb + divide_half_away((amount - whole * FP9) * ppb, FP9)


@internal
def commission(p, price, qty, liquidity):
    """Fee of a fill, money: a share of the notional plus a fee per whole unit of quantity."""
    ppb = p.maker_ppb if liquidity == _MAKER else p.taker_ppb
    fee = share_ppb(to_money(p, price * qty), ppb)
    return fee + divide_half_away(qty * p.fee_unit, p.qty_unit)


@internal
def _mul_div(a, b, c):
    """(quotient, remainder) of a * b / c for 0 <= a < c and b >= 0, exact without 128 bits.

    Nothing is doubled or added that could pass c: that may lie near the edge of an int64.
    """
    if product_fits(a, b):
        return a * b // c, a * b % c
    quotient = 0
    rest = 0
    bit = 1 << 62
    while bit > 0:
        quotient *= 2
        if rest >= c - rest:
            rest -= c - rest
            quotient += 1
        else:
            rest *= 2
        if b & bit:
            if rest >= c - a:
                rest -= c - a
                quotient += 1
            else:
                rest += a
        bit >>= 1
    return quotient, rest


@internal
def portion(total, qty, whole, side):
    """total * qty / whole of integers >= 0, qty <= whole; rounded up for a long, else down."""
    if qty == whole:
        return total
    base = total // whole
    quotient, rest = _mul_div(total - base * whole, qty, whole)
    return base * qty + quotient + (1 if side > 0 and rest > 0 else 0)


# --- the account as a whole ------------------------------------------------------------------


@internal
def open_result(s, p, w):
    """Open result of position ``w`` in money at what its exit would meet; 0 with no price."""
    price = touch(s, p, -w.side, source_now(s, p))
    if price == 0:
        price = s.last_price
    if price <= 0:
        return 0
    if not money_fits(p, price, w.qty):
        s.violations[V_OVERFLOW] += 1
        return 0
    return to_money(p, w.side * (price * w.qty - w.cost))


@internal
def equity_now(s, p):
    """Balance plus the open result of every position, money."""
    equity = s.balance
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        if w.qty > 0:
            equity += open_result(s, p, w)
    return equity


@internal
def margin_bears(s, p, price, qty, released):
    """True when the equity covers all margin once ``qty`` is opened and ``released`` is freed."""
    if p.margin_ppb == 0:
        return True
    needed = share_ppb(to_money(p, price * qty), p.margin_ppb)
    return s.margin - released + needed <= equity_now(s, p)


# --- orders that end -------------------------------------------------------------------------


@internal
def order_step(s, o, event):
    """Move the order by ``event`` of its life cycle; an illegal step is counted."""
    if not advance(o, event):
        s.violations[V_ORDER_STATE] += 1
    o.done_ns = s.now_ns
    s.changed = 1


@internal
def end_order(s, out, o, event, reason):
    """Move an order into a terminal state by ``event``, with an OrderReason, and write its row."""
    order_step(s, o, event)
    o.reason = reason
    if o.travelled:
        s.ended += 1
        s.news = 1
    write_order(out, o)


# --- what a fill does ------------------------------------------------------------------------


@internal
def closable(s, p, o):
    """Slot of the oldest position that ``o`` reduces, -1 where there is none.

    An order that names a position reduces that one; in a netting account every order reduces the
    opposite position, in a hedging account only a reduce-only order does.
    """
    if p.hedging and not o.reduce_only:
        return -1
    for k in range(s.n_positions):
        i = s.position_at[k]
        w = s.positions[i]
        if w.qty > 0 and w.side == -o.side and (o.named == 0 or o.named == w.id):
            return i
    return -1


@internal
def closable_qty(s, p, o):
    """Quantity that ``o`` could close in all."""
    if p.hedging and not o.reduce_only:
        return 0
    total = 0
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        if w.side == -o.side and (o.named == 0 or o.named == w.id):
            total += w.qty
    return total


@inlined
def own_position(s, p, o):
    """Slot of the position that an opening fill of ``o`` enlarges, -1 where it opens a new one."""
    for k in range(s.n_positions):
        i = s.position_at[k]
        w = s.positions[i]
        if w.qty > 0 and w.side == o.side and (p.hedging == 0 or w.entry_order_id == o.id):
            return i
    return -1


@internal
def drop_closed(s):
    """Free the slots of closed positions; the order of the others stays."""
    kept = 0
    for k in range(s.n_positions):
        i = s.position_at[k]
        if s.positions[i].qty > 0:
            s.position_at[kept] = i
            kept += 1
        else:
            s.positions[i].id = 0
    s.n_positions = kept


@inlined
def _blank_position(w):
    """Zero what a new position adds to."""
    w.qty = 0
    w.cost = 0
    w.peak_qty = 0
    w.margin = 0
    w.stop = 0
    w.target = 0
    w.armed_ns = 0
    w.triggered = 0
    w.closed_ns = 0
    w.entry_notional = 0
    w.exit_notional = 0
    w.entry_qty = 0
    w.exit_qty = 0
    w.pnl = 0
    w.fees = 0
    w.exit_reason = 0
    w.exit_order_id = 0


@inlined
def new_position(s, o):
    """Slot of a new, empty position opened by ``o``, -1 where there is no slot."""
    drop_closed(s)
    if s.n_positions >= POSITIONS:
        return -1
    for i in range(POSITIONS):
        w = s.positions[i]
        if w.id == 0:
            _blank_position(w)
            s.position_id += 1
            w.id = s.position_id
            w.side = o.side
            w.open_ns = s.now_ns
            w.entry_order_id = o.id
            s.position_at[s.n_positions] = i
            s.n_positions += 1
            return i
    return -1


@internal
def _count_fill(s, out, o, w, qty, fee, pnl):
    """Book a fill of ``qty`` of ``o`` on position ``w`` and on the account."""
    w.fees += fee
    w.pnl += pnl
    s.balance += pnl - fee
    s.net_qty += o.side * qty
    s.news = 1
    o.position_id = w.id
    o.left -= qty
    if o.left == 0:
        end_order(s, out, o, FILL_ALL, o.reason)
    else:
        order_step(s, o, FILL_PART)


@inlined
def _open_part(s, p, out, o, qty, price):
    """Open or enlarge with ``qty`` at ``price``; 0 and a reason in ``s.refusal`` when refused."""
    if s.liquidity == _MAKER and not margin_bears(s, p, price, qty, _NONE):
        s.refusal = _MARGIN
        return 0
    i = own_position(s, p, o)
    if i >= 0 and s.positions[i].cost + price * qty > SUM_MAX // (2 * p.mul):
        s.violations[V_OVERFLOW] += 1
        s.refusal = _OVERFLOW
        return 0
    if i < 0:
        i = new_position(s, o)
    if i < 0:
        s.refusal = _NO_SLOT
        return 0
    fee = commission(p, price, qty, s.liquidity)
    book_open(s, p, out, o, s.positions[i], qty, price, _NONE, fee)
    return qty


@inlined
def _close_part(s, p, out, o, w, qty, price):
    """Reduce position ``w`` by ``qty`` at ``price``."""
    cost = portion(w.cost, qty, w.qty, w.side)
    pnl = to_money(p, w.side * (price * qty - cost))
    fee = commission(p, price, qty, s.liquidity)
    book_close(s, p, out, o, w, qty, price, cost, pnl, fee)


@inlined
def book_open(s, p, out, o, w, qty, price, pnl, fee):
    """Enlarge ``w``, which may be new, with ``qty`` of ``o`` at ``price``; ``pnl``, ``fee`` money.

    That it fits into int64 was asked before.
    """
    notional = to_money(p, price * qty)
    margin = share_ppb(notional, p.margin_ppb)
    w.qty += qty
    w.peak_qty = max(w.peak_qty, w.qty)
    w.cost += price * qty
    w.entry_qty += qty
    w.entry_notional += notional
    w.margin += margin
    s.margin += margin
    if o.stop > 0 and w.stop != o.stop:
        w.stop = o.stop
        w.armed_ns = s.now_ns
    if o.target > 0 and w.target != o.target:
        w.target = o.target
        w.armed_ns = s.now_ns
    write_fill(s, p, out, o, w.id, qty, price, fee, pnl)
    _count_fill(s, out, o, w, qty, fee, pnl)


@inlined
def book_close(s, p, out, o, w, qty, price, cost, pnl, fee):
    """Reduce ``w`` by ``qty`` of ``o`` at ``price``; ``cost`` (price * qty) is what it gives up of
    its cost, ``pnl`` and ``fee`` are money."""
    margin = portion(w.margin, qty, w.qty, -w.side * w.side)
    w.qty -= qty
    w.cost -= cost
    w.exit_qty += qty
    w.exit_notional += to_money(p, price * qty)
    w.margin -= margin
    s.margin -= margin
    w.exit_order_id = o.id
    w.exit_reason = o.exit_reason
    if o.exit_reason == 0:
        w.exit_reason = _REVERSE if o.left > qty and not o.reduce_only else _STRATEGY
    write_fill(s, p, out, o, w.id, qty, price, fee, pnl)
    _count_fill(s, out, o, w, qty, fee, pnl)
    if w.qty == 0:
        w.closed_ns = s.now_ns
        s.closed += 1
        s.exit_reason = w.exit_reason
        s.exit_ns = s.now_ns
        write_position(out, w)
        write_equity(s, out, s.now_ns, equity_now(s, p))


@internal
def execute(s, p, out, o, qty, price):
    """Fill ``qty`` of the live order ``o`` at ``price``: close what it closes, open the rest.

    Liquidity, reason and cause stand in ``s``. Returns the quantity filled; where that is less,
    ``s.refusal`` holds the OrderReason (0: there was nothing left to reduce).
    """
    s.refusal = 0
    if not money_fits(p, price, qty):
        s.violations[V_OVERFLOW] += 1
        s.refusal = _OVERFLOW
        return 0
    left = qty
    while left > 0:
        i = closable(s, p, o)
        if i < 0:
            break
        part = min(left, s.positions[i].qty)
        _close_part(s, p, out, o, s.positions[i], part, price)
        left -= part
    if left > 0 and not o.reduce_only:
        left -= _open_part(s, p, out, o, left, price)
    return qty - left


@internal
def live_reducer_is_idle(s, p, o):
    """True when ``o`` is a live reduce-only order with nothing left to reduce."""
    return o.reduce_only and is_live(o.state) and closable(s, p, o) < 0
