"""What a trade would cost at its stop, what the account is worth, and how large a trade may be.

Owns exact integer money: prices and quantities in their units, money at 1e-8, shares at 1e-9. What
must hold: every rounding is against us (costs and losses up, gains and sizes down); the cost of the
returned size at its stop, fees included, is never above the money it was asked for; a larger
distance never gives a larger size; a long and its mirrored short give the same; a product that
would leave int64 is capped at the largest int64, which refuses, and never wraps. Sources: reference
"orderflow" 6.6 (size = risk money / distance of the stop, quarter Kelly). It refuses to know what
is forbidden: that is ``risk``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.numbers import (
    capped_product,
    capped_sum,
    product_over,
    product_over_up,
    ratio_of,
)

_FP9 = np.int64(FP9)
MONEY_MAX = np.int64(1 << 60)
"""Largest part of an equity: sums and differences of two equities stay inside int64."""


@njit(cache=True, nogil=True)
def worth_up(c, price, qty):
    """Money (1e-8, rounded up) of int64 price * qty, both >= 0; ``c``: the core's parameters."""
    return product_over_up(capped_product(price, c.money_mul), qty, c.money_div)


@njit(cache=True, nogil=True)
def worth_down(c, price, qty):
    """Money (1e-8, rounded down) of int64 price * qty, both >= 0."""
    return product_over(capped_product(price, c.money_mul), qty, c.money_div)


@njit(cache=True, nogil=True)
def risk_equity(c, balance, qty, entry_price, bid, ask):
    """Balance plus the open result of ``qty`` (signed) at the touch, money; prices int64.

    A long is worth the bid, a short the ask; with no touch (0) the balance alone.
    """
    held = max(min(balance, MONEY_MAX), -MONEY_MAX)
    price = bid if qty > 0 else ask
    if qty == 0 or price <= 0 or entry_price <= 0:
        return held
    away = price - entry_price if qty > 0 else entry_price - price
    if away >= 0:
        return held + min(worth_down(c, away, abs(qty)), MONEY_MAX)
    return held - min(worth_up(c, -away, abs(qty)), MONEY_MAX)


@njit(cache=True, nogil=True)
def fee_units(c, price):
    """Fee of taking one unit of quantity at int64 ``price``, in price units, rounded up."""
    fee = product_over_up(price, max(c.taker_ppb, 0), _FP9)
    if c.fee_unit > 0:
        fee += product_over_up(c.fee_unit, c.money_div, capped_product(c.money_mul, c.qty_unit))
    return fee


@njit(cache=True, nogil=True)
def cost_units(c, entry, stop, cost):
    """Costs of a round trip, price units: ``cost`` (spread, slippage) and the fee of taking twice.

    The exit's fee is that of the higher price that far away, so that both sides cost the same.
    With no ``stop`` (0) the exit is taken at twice the entry price.
    """
    away = abs(entry - stop) if stop > 0 else entry
    fees = capped_sum(fee_units(c, entry), fee_units(c, capped_sum(entry, away)))
    return capped_sum(fees, max(cost, 0))


@njit(cache=True, nogil=True)
def loss_units(c, entry, stop, cost):
    """Loss of one unit of quantity at its stop, costs included, price units; int64 prices.

    With no stop (0) the whole price is at risk.
    """
    away = abs(entry - stop) if stop > 0 else entry
    return capped_sum(away, cost_units(c, entry, stop, cost))


@njit(cache=True, nogil=True)
def risk_money(c, entry, stop, qty, cost):
    """Money (1e-8, rounded up) that ``qty`` loses at its stop, costs included; int64 prices."""
    return worth_up(c, loss_units(c, entry, stop, cost), max(qty, 0))


@njit(cache=True, nogil=True)
def kelly_share(c, entry, stop, target, cost, probability_fp9):
    """Kelly's share of the capital to lose at the stop: p - (1 - p) * loss / gain, at 1e-9.

    ``probability_fp9`` of reaching ``target`` before ``stop`` (int64 prices); ``cost`` price units
    off the gain and on top of the loss. 0 where the bet loses. Source: Kelly (1956), binary bet.
    """
    loss = loss_units(c, entry, stop, cost)
    gain = abs(target - entry) - cost_units(c, entry, stop, cost)
    if gain <= 0:
        return np.int64(0)
    against = product_over_up(_FP9 - min(probability_fp9, _FP9), loss, gain)
    return max(np.int64(0), min(probability_fp9, _FP9) - against)


@njit(cache=True, nogil=True)
def _largest(c, money, units):
    """Largest qty whose worth at ``units`` of price is not above ``money`` (>= 0)."""
    return product_over(money, c.money_div, capped_product(max(units, 1), c.money_mul))


@njit(cache=True, nogil=True)
def risk_size(p, c, equity, entry, stop, target, cost, probability_fp9, share_fp9):
    """int64 quantity that loses no more than its share of ``equity`` (money) at ``stop``.

    ``p``, ``c``: parameters of risk and of the core; int64 prices, ``target`` 0 for none; ``cost``
    of spread and slippage, price units; ``probability_fp9`` of the target, 0 where none is known
    (a known one caps the share at ``kelly`` of Kelly's, if there is a target); ``share_fp9``: a
    plan's own share, 0 for the setting's. Capped by notional, leverage and the largest order,
    floored to the quantity step; 0 below the smallest order.
    """
    if equity <= 0 or entry <= 0:
        return np.int64(0)
    share = share_fp9 if share_fp9 > 0 else p.share_fp9
    if probability_fp9 > 0 and target > 0 and p.kelly_fp9 > 0:
        full = kelly_share(c, entry, stop, target, cost, probability_fp9)
        share = min(share, product_over(full, p.kelly_fp9, _FP9))
    qty = _largest(c, ratio_of(equity, share), loss_units(c, entry, stop, cost))
    if p.notional_max_money > 0:
        qty = min(qty, _largest(c, p.notional_max_money, entry))
    if p.leverage_fp9 > 0:
        qty = min(qty, _largest(c, ratio_of(equity, p.leverage_fp9), entry))
    if p.qty_max_lots > 0:
        qty = min(qty, p.qty_max_lots)
    qty = qty // c.qty_step * c.qty_step
    return qty if qty >= c.qty_min else np.int64(0)


@njit(cache=True, nogil=True)
def _walk(price, size, levels, qty):
    """Mean distance from the best level at which ``qty`` is served, rounded up; -1: not served."""
    left = qty
    paid = np.int64(0)
    for m in range(levels):
        part = min(left, size[m])
        paid = capped_sum(paid, capped_product(abs(price[m] - price[0]), part))
        left -= part
        if left == 0:
            return product_over_up(paid, np.int64(1), qty)
    return np.int64(-1)


@njit(cache=True, nogil=True)
def risk_slippage(book, side, qty):
    """What taking ``qty`` from the last snapshot costs over the touch, int64 price units a unit.

    ``side`` +1 buys; rounded up; -1 where the visible levels do not serve it all.
    """
    if qty <= 0:
        return np.int64(-1)
    if side > 0:
        return _walk(book.ask_price, book.ask_qty, book.asks, qty)
    return _walk(book.bid_price, book.bid_qty, book.bids, qty)
