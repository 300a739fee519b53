"""Where stops and targets stand, and what the way there costs.

Owns plain functions from an idea of a stop or a target (a price, a distance, a share of the price,
a multiple of the ATR, the structure of the market, a multiple of the stop's distance) to a price
on the instrument's grid. What must hold: a stop lies on the losing side and a target on the
winning one, no nearer than three price steps and the spread; rounding goes away from the entry for
a stop and towards it for a target, so that neither is better than it was asked for; long and short
mirror exactly. Where nothing can be placed (no ATR yet, no structure that protects, the wrong side)
the price is 0, and the caller refuses. It refuses to know who asks, and what an order is.

Prices and distances are int64 price units, ATR a float in price units, direction +1 or -1.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.numbers import fp9, product_fits
from engine.kernel.pivots import HIGH, LOW, pivot, pivots_kept

NONE = np.int64(0)
PRICE = np.int64(1)
DISTANCE = np.int64(2)
SHARE = np.int64(3)
ATR = np.int64(4)
STRUCTURE = np.int64(5)
MULTIPLE = np.int64(6)
MODES = ("none", "price", "distance", "share", "atr", "structure", "multiple")
"""Names of the modes, by code. Of a stop: all but multiple; of a target: all but structure."""

STEPS_MIN = 3
"""Least distance of a stop or target in price steps (reference "orderflow" 11.12: SL >= 3)."""
PIVOT_SPAN = 240
"""Minutes beyond which a pivot protects nothing any more."""
FEE_PPB_MAX = np.int64(500_000_000)
"""A fee of more than half the notional is no fee: nothing would ever pay for it."""
SLACK = 1e-6
"""Share of a price unit that float arithmetic may be off by before a rounding counts."""


# --- costs -----------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def fee_units(core, price):
    """Fee of taking one side of a trade at ``price``, as a distance in price units (float).

    ``core`` is the CORE_PARAMS record: a share of the price, and a fee by quantity.
    """
    flat = float(core.fee_unit) * float(core.money_div)
    worth = float(core.money_mul) * float(core.qty_unit)
    return float(price) * float(core.taker_ppb) * 1e-9 + flat / worth


@njit(cache=True, nogil=True)
def cost_units(core, price, spread):
    """What a round trip at ``price`` costs: fees both ways and the spread, price units (float)."""
    return 2.0 * fee_units(core, price) + float(max(spread, 0))


@njit(cache=True, nogil=True)
def break_even(core, direction, entry, spread, with_fees, extra_fp9):
    """First price on the grid at which an exit pays for the trade (int64).

    It stands beyond ``entry`` by the fees both ways where ``with_fees`` is 1 (the exit's fee is a
    share of the exit's own price: entry (1 + f) / (1 - f) for a long), half the spread, and
    ``extra_fp9`` (a share of the entry price at 1e-9).
    """
    ppb = min(core.taker_ppb, FEE_PPB_MAX) if with_fees == 1 else NONE
    flat = fee_units(core, NONE) if with_fees == 1 else 0.0
    rate = float(ppb) * 1e-9
    rest = 2.0 * flat + 0.5 * float(max(spread, 0)) + float(entry) * float(extra_fp9) * 1e-9
    away = (2.0 * float(entry) * rate + rest) / (1.0 - float(direction) * rate)
    price = on_grid(direction, float(entry) + float(direction) * away, core.price_step, 1)
    if product_fits(price + entry, np.int64(FP9)):
        needed = np.int64(math.ceil(rest * FP9))
        while direction * (price - entry) * FP9 - ppb * (price + entry) < needed:
            price += direction * core.price_step
    return price


# --- the grid --------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def on_grid(direction, price, step, outwards):
    """``price`` (float) on the grid: in the sense of ``direction`` (1) or against it (-1)."""
    steps = price / float(step)
    slack = SLACK / float(step)
    if direction * outwards > 0:
        return np.int64(math.ceil(steps - slack)) * step
    return np.int64(math.floor(steps + slack)) * step


@njit(cache=True, nogil=True)
def least_distance(step, spread):
    """Least distance of a stop or a target from the price: three price steps, and the spread."""
    return max(STEPS_MIN * step, spread)


@njit(cache=True, nogil=True)
def _placed(sense, price, entry, step, spread, widen):
    """``price`` (int64, on the grid) if it lies beyond ``entry`` in ``sense`` and far enough.

    One that is too near is moved out where ``widen`` is 1, else it is 0.
    """
    least = least_distance(step, spread)
    if price <= 0 or sense * (price - entry) <= 0:
        return NONE
    if sense * (price - entry) >= least:
        return price
    if widen == 0:
        return NONE
    out = on_grid(sense, float(entry + sense * least), step, 1)
    return out if out > 0 else NONE


# --- stops and targets -----------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _away(mode, value, entry, atr):
    """Distance (float, price units) that a mode and its value ask for; -1 where it is unknown."""
    if mode == DISTANCE:
        return float(value)
    if mode == SHARE:
        return float(entry) * float(value) * 1e-9
    if mode == ATR and atr > 0.0:
        return atr * float(value) * 1e-9
    return -1.0


@njit(cache=True, nogil=True)
def stop_price(mode, value, direction, entry, atr, core, spread, pivots, absorption, sweep):
    """Price of the stop of an entry at ``entry``, 0 where it cannot be placed.

    ``mode`` and ``value`` as in :data:`MODES`: price and distance in price units, share, ATR
    multiple and the buffer beyond a structure (in ATR) at 1e-9. A price or a distance that is too
    near is refused, because it was said in so many words; any other is moved out to the least
    distance. ``core`` CORE_PARAMS; ``pivots``, ``absorption`` and ``sweep`` are state records.
    """
    step = core.price_step
    if mode == STRUCTURE:
        price = structure_stop(direction, entry, atr, value, step, pivots, absorption, sweep)
    else:
        price = plain_price(mode, value, -direction, entry, atr, step, 1)
    widen = 0 if mode in (PRICE, DISTANCE) else 1
    return _placed(-direction, price, entry, step, spread, widen)


@njit(cache=True, nogil=True)
def target_price(mode, value, direction, entry, stop, atr, core, spread):
    """Price of the target of an entry at ``entry``, 0 where it cannot be placed.

    ``MULTIPLE``: ``value`` (1e-9) times the distance of ``stop``; 0 without a stop.
    """
    step = core.price_step
    if mode == MULTIPLE:
        if stop <= 0 or direction * (entry - stop) <= 0:
            return NONE
        far = float(abs(entry - stop)) * float(value) * 1e-9
        price = on_grid(direction, float(entry) + float(direction) * far, step, -1)
    else:
        price = plain_price(mode, value, direction, entry, atr, step, -1)
    widen = 0 if mode in (PRICE, DISTANCE) else 1
    return _placed(direction, price, entry, step, spread, widen)


@njit(cache=True, nogil=True)
def plain_price(mode, value, sense, entry, atr, step, outwards):
    """Price ``sense`` (+1 up) of ``entry`` by a mode that needs no structure; 0 if unknown.

    ``outwards`` 1 rounds away from the entry, -1 towards it.
    """
    if mode == PRICE:
        return on_grid(sense, float(value), step, outwards)
    away = _away(mode, value, entry, atr)
    if away <= 0.0:
        return NONE
    return on_grid(sense, float(entry) + float(sense) * away, step, outwards)


@njit(cache=True, nogil=True)
def structure_stop(direction, entry, atr, buffer_fp9, step, pivots, absorption, sweep):
    """Beyond the nearest structure that protects, by ``buffer_fp9`` ATR (1e-9); 0 without one.

    Candidates: the last pivot that still holds, the far edge of an absorption zone of this
    direction, the extreme of a sweep that speaks for this direction.
    """
    if atr <= 0.0:
        return NONE
    edge = protecting_pivot(direction, entry, pivots)
    edge = _nearer(direction, entry, edge, protecting_zone(direction, entry, absorption.zones))
    if sweep.signal.direction == direction:
        edge = _nearer(direction, entry, edge, sweep.extreme)
    if edge <= 0:
        return NONE
    away = float(edge) - float(direction) * atr * float(buffer_fp9) * 1e-9
    return on_grid(-direction, away, step, 1)


@njit(cache=True, nogil=True)
def _nearer(direction, entry, edge, other):
    """Of two edges (0: none) the one that is nearer to ``entry`` on the losing side."""
    if other <= 0 or direction * (entry - other) <= 0:
        return edge
    if edge <= 0 or direction * (other - edge) > 0:
        return other
    return edge


@njit(cache=True, nogil=True)
def protecting_pivot(direction, entry, pivots):
    """The nearest pivot on the losing side of ``entry`` that no later one has passed; 0: none.

    A long is protected by lows. Pivots of the last ``PIVOT_SPAN`` minutes count.
    """
    kind = LOW if direction > 0 else HIGH
    furthest = NONE
    for back in range(1, pivots_kept(pivots, kind) + 1):
        r = pivot(pivots, kind, back)
        if pivots.bars - r.bar > PIVOT_SPAN:
            break
        if furthest == 0 or direction * (furthest - r.price) >= 0:
            furthest = r.price
            if direction * (entry - r.price) > 0:
                return r.price
    return NONE


@njit(cache=True, nogil=True)
def protecting_zone(direction, entry, zones):
    """The nearest far edge on the losing side of ``entry`` of a zone of ``direction``; 0: none."""
    edge = NONE
    for x in range(zones.n):
        z = zones.items[x]
        if z.side == direction:
            edge = _nearer(direction, entry, edge, z.low if direction > 0 else z.high)
    return edge


# --- what it is worth ------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def reward_to_risk(direction, entry, stop, target, cost):
    """(reward - cost) / (risk + cost) at 1e-9; 0 without both a stop and a target.

    ``cost`` is a float in price units (:func:`cost_units`; 0: the plain ratio).
    """
    risk = float(direction * (entry - stop))
    reward = float(direction * (target - entry))
    if stop <= 0 or target <= 0 or risk <= 0.0 or reward <= 0.0:
        return NONE
    return max(NONE, fp9((reward - cost) / (risk + cost)))


@njit(cache=True, nogil=True)
def pays_enough(direction, entry, stop, target, cost, least_fp9):
    """True when reward to risk after costs is at least ``least_fp9`` (1e-9; 0: not asked)."""
    if least_fp9 <= 0:
        return True
    return reward_to_risk(direction, entry, stop, target, cost) >= least_fp9


@njit(cache=True, nogil=True)
def money_of(core, distance, qty):
    """Money (int64 at 1e-8) of a distance (float, price units) on ``qty`` units, rounded up."""
    money = distance * float(abs(qty)) * float(core.money_mul) / float(core.money_div)
    return np.int64(math.ceil(min(money, 9.0e9 * FP9)))
