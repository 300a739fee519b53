"""How a position is followed until it is closed: seven rules, asked in one order.

Owns the rules; ``exits_state.py`` keeps what they remember. They are asked in this order, and the
first that wants something is the action of this decision; what a later one wanted is asked again
at the next:

    flip        the order flow has turned (``flip.py``: the seed's 80 % rule, or the CUSUM)
    breakeven   stop to the entry plus fees, half the spread and ``extra``; once
    partial     a share of the position is closed, reduce-only; once
    volatility  realised volatility (ATR now over ATR at entry) or the VIX is high: the stop moves
                away, once, before break-even, and only as far as the risk budget bears
    trail       the stop follows the price at a multiple of the ATR
    time        the position is older than ``hold``
    momentum    the flow's z lies against the position for n decisions in a row (``flow``), or the
                price went against it by a share within n decisions (``price``). Windows that
                overlap are counted as they come: n is a stretch of time, not n independent facts

What must hold: the hard stop stays with the broker, and no rule ever takes it away; it moves only
in favour of the position, but for ``volatility`` within its budget; a stop is never asked nearer
to the price than three price steps and the spread; a partial leaves a position that can still be
closed. Gains are measured at what an exit would meet: a long at the bid.

``seed`` (reference "orderflow" 11.13; preset in ``engine.runtime.groups_trading``): its
document gives both triggers in percent of the target's distance, its code break-even in R; both
are percent of the target here (``breakeven_by=r`` is the code's). Its momentum rule only warned:
off. Rules for large prints and thin books are no exits of a position that has a stop: left out.

It refuses to know how flow, ATR and VIX are measured and how orders are filled.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import FP9, Action, ExitReason
from engine.kernel.exits_state import (
    EXITS_PARAMS,
    EXITS_STATE,
    RULES,
    STEPS,
    exits_arm,
    exits_disarm,
    exits_expect,
    exits_follow,
)
from engine.kernel.flip import CUSUM, SEED, flip_cusum, flip_seed
from engine.kernel.intents import exit_market, exit_part, move_stop
from engine.kernel.numbers import fp9, ratio_of, ratio_up
from engine.kernel.placement import (
    FEE_PPB_MAX,
    SLACK,
    break_even,
    fee_units,
    least_distance,
    on_grid,
)

__all__ = [
    "EXITS_PARAMS",
    "EXITS_STATE",
    "RULES",
    "exits_arm",
    "exits_atr",
    "exits_disarm",
    "exits_expect",
    "exits_follow",
    "exits_manage",
]

NOTHING, FLIP, BREAKEVEN, PARTIAL, VOLATILITY, TRAIL, TIME, MOMENTUM = (
    np.int64(n) for n in range(len(RULES))
)

BY_R, BY_TARGET, BY_MONEY, BY_SHARE = 1, 2, 3, 4
"""Triggers: gain over R; over the target's distance; net of costs over the money at risk; over
the entry price. 0: off."""
FROM_BREAKEVEN = 0
FLOW, PRICE = 1, 2
BASE_ATR = 1
ATR_15S, ATR_1M, ATR_5M, ATR_SEED = range(4)
M1_SHARE, M30_SHARE, M30_OF_M5 = 0.3, 0.7, math.sqrt(6.0)

_A_EXIT = int(Action.EXIT)
_A_MOVE = int(Action.MOVE_STOP)
_A_PARTIAL = int(Action.PARTIAL)
_R_FLIP = int(ExitReason.FLIP)
_R_TIME = int(ExitReason.TIME)
_R_MOMENTUM = int(ExitReason.MOMENTUM)
_R_PARTIAL = int(ExitReason.PARTIAL)


@njit(cache=True, nogil=True)
def exits_atr(p, atr):
    """ATR in price units (float) as ``p.atr`` asks, 0 where it is not ready.

    ``seed``: 0.3 of the 1 m and 0.7 of the 30 m range. Half-hours are not kept: the 5 m range times
    the root of six stands for theirs, as ranges of a random walk grow with the root of time.
    """
    if p.atr != ATR_SEED:
        return atr.value[p.atr] if atr.ready[p.atr] == 1 else 0.0
    if atr.ready[ATR_1M] == 0 or atr.ready[ATR_5M] == 0:
        return 0.0
    return M1_SHARE * atr.value[ATR_1M] + M30_SHARE * M30_OF_M5 * atr.value[ATR_5M]


# --- the rules ---------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def exits_manage(
    s, p, flip, flip_p, core, intents, d, known, now_ns, ready, delta, z, bid, ask, atr, vix_fp9,
):  # fmt: skip
    """Ask every rule in turn at boundary ``now_ns``; adds at most one intent; the rule's number.

    ``ready`` 1 when the entry's window is whole, ``delta`` its int64 delta now, ``z`` that over its
    usual size (float); ``bid`` and ``ask`` the touch (0 unknown: the last price stands for it),
    ``atr`` float in price units (0 unknown), ``vix_fp9`` the VIX at 1e-9 (0 unknown). ``core`` is
    CORE_PARAMS, ``d`` the decision: action, exit_reason, entry_delta, flip_fp9, qty (of a partial)
    and stop (as asked) are filled in. After :func:`exits_follow`.
    """
    if s.direction == 0 or known.qty == 0:
        return NOTHING
    d.entry_delta = s.entry.entry_delta
    mark = bid if s.direction > 0 else ask
    if mark <= 0:
        mark = d.price
    spread = ask - bid if 0 < bid < ask else np.int64(0)
    _observe(s, p, mark, ready, z)
    flips = _flips(s, flip, flip_p, d, now_ns, ready, delta, z)
    if s.exiting == 1 or (p.check_ns > 0 and now_ns % p.check_ns != 0):
        return NOTHING
    if flips:
        return _leave(s, intents, d, known, FLIP, _R_FLIP)
    rule = _protect(s, p, core, intents, d, known, mark, spread)
    if rule == NOTHING:
        rule = _adapt(s, p, core, intents, d, known, mark, spread, atr, vix_fp9)
    if rule == NOTHING and p.hold_ns > 0 and now_ns - s.entry_ns >= p.hold_ns:
        return _leave(s, intents, d, known, TIME, _R_TIME)
    if rule == NOTHING and _momentum_lost(s, p, mark):
        return _leave(s, intents, d, known, MOMENTUM, _R_MOMENTUM)
    return rule


@njit(cache=True, nogil=True)
def _observe(s, p, mark, ready, z):
    """What every decision notes, whoever acts: highest gain, price, flow against the position."""
    s.best = max(s.best, s.direction * (mark - s.entry_price))
    s.marks[s.seen % STEPS] = mark
    s.seen += 1
    if ready == 1 and fp9(float(s.direction) * z) <= -p.momentum_z_fp9:
        s.against += 1
    else:
        s.against = 0


@njit(cache=True, nogil=True)
def _leave(s, intents, d, known, rule, reason):
    """Close all of it at market."""
    d.action = _A_EXIT
    d.exit_reason = reason
    s.exiting = 1
    s.count[rule] += 1
    exit_market(intents, known.qty, reason)
    return rule


@njit(cache=True, nogil=True)
def _flips(s, flip, flip_p, d, now_ns, ready, delta, z):
    """The flip rule that was in use at the entry; the CUSUM takes windows that do not overlap."""
    if ready == 0:
        return False
    if s.entry.rule == SEED:
        e = s.entry.entry_delta
        d.flip_fp9 = fp9(-float(delta) / float(e)) if e != 0 else 0
        return flip_seed(flip, flip_p, delta)
    if s.entry.rule != CUSUM or s.entry.window_ns <= 0:
        return False
    flips = flip.cusum_fp9 > flip_p.h_fp9
    if now_ns % s.entry.window_ns == 0:
        flips = flip_cusum(flip, flip_p, z)
    d.flip_fp9 = flip.cusum_fp9
    return flips


@njit(cache=True, nogil=True)
def _reached(s, core, by, at_fp9, mark):
    """True when the gain at ``mark`` is ``at_fp9`` (1e-9) of what trigger ``by`` measures it by."""
    gain = s.direction * (mark - s.entry_price)
    if gain <= 0 or by == 0:
        return False
    if by == BY_R:
        return s.distance > 0 and gain >= ratio_up(s.distance, at_fp9)
    if by == BY_TARGET:
        way = s.direction * (s.entry.target - s.entry_price)
        return s.entry.target > 0 and way > 0 and gain >= ratio_up(way, at_fp9)
    if by == BY_MONEY:
        net = float(gain) - fee_units(core, s.entry_price) - fee_units(core, mark)
        return s.distance > 0 and fp9(net / float(s.distance)) >= at_fp9
    return by == BY_SHARE and gain >= ratio_up(s.entry_price, at_fp9)


@njit(cache=True, nogil=True)
def _ask_stop(s, intents, d, known, rule, stop):
    """Ask the broker to hold the stop at ``stop`` (int64 price, on the grid)."""
    d.action = _A_MOVE
    d.stop = stop
    s.stop = stop
    s.count[rule] += 1
    move_stop(intents, known.position_id, stop)
    return rule


@njit(cache=True, nogil=True)
def _in_favour(s, stop):
    """True when ``stop`` is a better stop than the one that stands."""
    return stop > 0 and (s.stop == 0 or s.direction * (stop - s.stop) > 0)


@njit(cache=True, nogil=True)
def _protect(s, p, core, intents, d, known, mark, spread):
    """Break-even, then the partial."""
    if s.moved == 0 and _reached(s, core, p.breakeven_by, p.breakeven_at_fp9, mark):
        fees, extra = p.breakeven_fees, p.breakeven_extra_fp9
        stop = break_even(core, s.direction, s.entry_price, spread, fees, extra)
        room = s.direction * (mark - stop)
        if room >= least_distance(core.price_step, spread):
            s.moved = 1
            if _in_favour(s, stop):
                return _ask_stop(s, intents, d, known, BREAKEVEN, stop)
    if s.parted == 0 and _reached(s, core, p.partial_by, p.partial_at_fp9, mark):
        part = _part(p, core, abs(known.qty))
        if part > 0:
            d.action = _A_PARTIAL
            d.exit_reason = _R_PARTIAL
            d.qty = part
            s.parted = 1
            s.tries += 1
            s.part_of = abs(known.qty)
            s.count[PARTIAL] += 1
            exit_part(intents, known.qty, part, _R_PARTIAL)
            return PARTIAL
    return NOTHING


@njit(cache=True, nogil=True)
def _part(p, core, qty):
    """Share of ``qty`` to close, on the grid; 0 where it or the rest were too small an order."""
    part = ratio_of(qty, p.partial_share_fp9) // core.qty_step * core.qty_step
    least = max(core.qty_min, 1)
    return part if part >= least and qty - part >= least else np.int64(0)


@njit(cache=True, nogil=True)
def _adapt(s, p, core, intents, d, known, mark, spread, atr, vix_fp9):
    """The volatility-aware stop, then the trailing one."""
    untouched = s.widened == 0 and s.moved == 0 and s.stop == s.entry.stop
    if p.widen == 1 and untouched and s.stop > 0:
        stop = _wider(s, p, core, known, atr, vix_fp9)
        if stop > 0:
            s.widened = 1
            return _ask_stop(s, intents, d, known, VOLATILITY, stop)
    if p.trail_fp9 > 0 and atr > 0.0 and (p.trail_from != FROM_BREAKEVEN or s.moved == 1):
        least = least_distance(core.price_step, spread)
        away = max(atr * float(p.trail_fp9) * 1e-9, float(least))
        price = float(mark) - float(s.direction) * away
        stop = on_grid(-s.direction, price, core.price_step, 1)
        step = ratio_up(mark, p.trail_step_fp9)
        far = s.stop == 0 or s.direction * (stop - s.stop) >= step
        if far and _in_favour(s, stop):
            return _ask_stop(s, intents, d, known, TRAIL, stop)
    return NOTHING


@njit(cache=True, nogil=True)
def widening(p, atr, atr_entry, vix_fp9):
    """Multiplier (1e-9) of the stop's distance: the greater of two, 1 where neither is high.

    ATR now over ATR at entry once it passes ``widen_ratio``; 1 + (VIX - 18) / 10 above 18
    (``widen_vix``; both 0: off); at most ``widen_most`` (2). Unknown is not high.
    """
    by = FP9
    if p.widen_ratio_fp9 > 0 and atr > 0.0 and atr_entry > 0.0:
        ratio = fp9(atr / atr_entry)
        if ratio >= p.widen_ratio_fp9:
            by = max(by, ratio)
    if p.widen_vix_fp9 > 0 and vix_fp9 > p.widen_vix_fp9:
        by = max(by, FP9 + (vix_fp9 - p.widen_vix_fp9) // 10)
    return min(by, p.widen_most_fp9)


@njit(cache=True, nogil=True)
def _wider(s, p, core, known, atr, vix_fp9):
    """Stop further away, as far as the budget bears; 0 where it is not wider than it stands."""
    by = widening(p, atr, float(s.entry.atr_fp9) * 1e-9, vix_fp9)
    if by <= FP9:
        return np.int64(0)
    away = float(by) * 1e-9 * float(s.distance)
    if p.widen_base == BASE_ATR:
        away = float(by) * 1e-9 * atr * float(p.widen_atr_fp9) * 1e-9
    away = min(away, affordable(core, s.direction, s.entry_price, known.qty, s.entry.budget))
    price = float(s.entry_price) - float(s.direction) * away
    if price <= 0.0:
        return np.int64(0)
    stop = on_grid(-s.direction, price, core.price_step, -1)
    wider = stop > 0 and s.direction * (s.stop - stop) > 0
    return stop if wider else np.int64(0)


@njit(cache=True, nogil=True)
def affordable(core, direction, entry, qty, budget):
    """Distance (float, price units) at which ``qty`` loses ``budget`` (money), fees included.

    The exit's fee is a share of its own price. A hair less, so that no rounding goes beyond.
    """
    money = float(abs(qty)) * float(core.money_mul) / float(core.money_div)
    if money <= 0.0 or budget <= 0:
        return 0.0
    rate = float(min(core.taker_ppb, FEE_PPB_MAX)) * 1e-9
    away = (float(budget) / money - 2.0 * fee_units(core, entry)) / (1.0 - direction * rate)
    return max(0.0, away - 2.0 * SLACK)


@njit(cache=True, nogil=True)
def _momentum_lost(s, p, mark):
    """The momentum rule that is set."""
    n = p.momentum_n
    if p.momentum == FLOW:
        return s.against >= n
    if p.momentum != PRICE or s.seen <= n:
        return False
    before = s.marks[(s.seen - 1 - n) % STEPS]
    return s.direction * (before - mark) >= max(1, ratio_up(before, p.momentum_move_fp9))
