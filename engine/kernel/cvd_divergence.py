"""CVD divergence: the price makes a new extreme and the flow does not go with it.

Owns both forms. ``standard`` (reference "orderflow" 6.2): between the last two pivots a, b of one
kind, e = (z_c - rho z_p) / sqrt(1 - rho^2) of the change of the closes and of the CVD from a to b
(see ``impact``). Bearish at high pivots when the pivot price rose by at least ``price_z`` sigmas
and e <= -z_alpha, bullish mirrored at low pivots; ``classic`` also asks that the CVD went against
the price; of two at once the larger counts, and of equals none. Closes are read, not extremes,
because the delta of the same minutes explains them: then e keeps its null whatever pivots the
price chose. Strength 1 - 2 Phi(-|e|). One event a pivot; it speaks for ``ttl``.

``seed`` (11.3), at the close of every minute on its last (at most 50) minutes and as many CVD
values, one a minute, matched by count and across gaps: three-bar swings of the last 20, bearish
tested first, strength min(1, (dp + dc) / (2 dp)) in raw units; dollars are added to coins. The
seed's terminal also handed out the forming minute and its history may have held one value a trade
instead; neither is reproduced. It refuses to know about delta slopes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import closed_candle
from engine.kernel.impact import (
    LAST,
    confidence,
    impact_amount,
    impact_ready,
    impact_residual,
    impact_sigmas,
)
from engine.kernel.numbers import fp9
from engine.kernel.pivots import HIGH, LOW, MINUTE, pivot, pivots_kept
from engine.kernel.signals import SIGNAL_STATE, signal_age, signal_fire, signal_set, signal_unready

STANDARD = 0
SEED = 1
BARS = 20
BARS_ASKED = 50

CVD_DIVERGENCE_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("price_z_fp9", "i8"),
        ("cvd_z_fp9", "i8"),
        ("price_change", "i8"),
        ("cvd_change", "i8"),
        ("cvd", "i8", (BARS + 1,)),
    ],
    align=True,
)
"""The numbers of the last event: z of the price between the pivots, z of the CVD, and the changes
in units; signal.value is e (standard) or the strength (seed). cvd: the seed's window, from one
minute before it."""

CVD_DIVERGENCE_PARAMS = np.dtype(
    [
        ("mode", "i8"),
        ("z_alpha_fp9", "i8"),
        ("price_z_fp9", "i8"),
        ("classic", "i8"),
        ("span", "i8"),
        ("ttl_ns", "i8"),
        ("price_scale", "i8"),
        ("qty_scale", "i8"),
    ],
    align=True,
)
"""mode STANDARD or SEED; thresholds at 1e-9; span: most minutes between the pivots; price_scale,
qty_scale: units in one whole of the quote and of the base."""


@njit(cache=True, nogil=True)
def _surprise(s, p, pivots, impact, impact_p, kind):
    """e turned so that a divergence is positive, or 0 where the pivots of ``kind`` show none."""
    if pivots.fresh[kind] == 0 or pivots_kept(pivots, kind) < 2:
        return 0.0
    a = pivot(pivots, kind, np.int64(2))
    b = pivot(pivots, kind, np.int64(1))
    minutes = b.bar - a.bar
    if minutes > p.span:
        return 0.0
    up = 1.0 if kind == HIGH else -1.0
    amount = impact_amount(impact_p, minutes, b.trades - a.trades)
    gate = up * float(b.price - a.price) / impact_sigmas(impact, minutes, amount)[0]
    known, _, z_c, e = impact_residual(
        impact, minutes, amount, float(b.close - a.close), float(b.cvd - a.cvd)
    )
    if not known or fp9(gate) < p.price_z_fp9 or fp9(-up * e) < p.z_alpha_fp9:
        return 0.0
    if p.classic == 1 and up * z_c >= 0.0:
        return 0.0
    return -up * e


@njit(cache=True, nogil=True)
def _fire(s, p, pivots, impact, impact_p, kind, surprise, end_ns):
    a = pivot(pivots, kind, np.int64(2))
    b = pivot(pivots, kind, np.int64(1))
    amount = impact_amount(impact_p, b.bar - a.bar, b.trades - a.trades)
    sigma_r, sigma_d = impact_sigmas(impact, b.bar - a.bar, amount)
    s.price_change = b.price - a.price
    s.cvd_change = b.cvd - a.cvd
    s.price_z_fp9 = fp9(float(s.price_change) / sigma_r)
    s.cvd_z_fp9 = fp9(float(s.cvd_change) / sigma_d)
    direction = np.int64(-1 if kind == HIGH else 1)
    signal_fire(
        s.signal, end_ns, end_ns + p.ttl_ns, direction, confidence(surprise),
        float(direction) * surprise, float(p.z_alpha_fp9) * 1e-9,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _standard(s, p, candles, pivots, impact, impact_p):
    if pivots.run == 0 or not impact_ready(impact, impact_p, LAST):
        signal_unready(s.signal)
        return
    s.signal.ready = 1
    bear = _surprise(s, p, pivots, impact, impact_p, HIGH)
    bull = _surprise(s, p, pivots, impact, impact_p, LOW)
    end_ns = candles.open[0].open_ns
    if bear > bull:
        _fire(s, p, pivots, impact, impact_p, HIGH, bear, end_ns)
    elif bull > bear:
        _fire(s, p, pivots, impact, impact_p, LOW, bull, end_ns)


@njit(cache=True, nogil=True)
def _price_swings(candles, up):
    """(last, previous) swing of the seed as prices turned by ``up``, and how many (at most 2)."""
    found = np.int64(0)
    last = np.int64(0)
    before = np.int64(0)
    for x in range(BARS - 2, 0, -1):
        left = closed_candle(candles, MINUTE, np.int64(BARS + 1 - x))
        c = closed_candle(candles, MINUTE, np.int64(BARS - x))
        right = closed_candle(candles, MINUTE, np.int64(BARS - 1 - x))
        if up > 0 and c.high > left.high and c.high > right.high:
            price = c.high
        elif up < 0 and c.low < left.low and c.low < right.low:
            price = -c.low
        else:
            continue
        found += 1
        if found == 1:
            last = price
        else:
            before = price
            break
    return last, before, found


@njit(cache=True, nogil=True)
def _cvd_swings(cvd, first, up):
    """The same on CVD values [first, BARS - 2] of the window, which stand one place later."""
    found = np.int64(0)
    last = np.int64(0)
    before = np.int64(0)
    for x in range(BARS - 2, first - 1, -1):
        value = up * cvd[x + 1]
        if value > up * cvd[x] and value > up * cvd[x + 2]:
            found += 1
            if found == 1:
                last = value
            else:
                before = value
                break
    return last, before, found


@njit(cache=True, nogil=True)
def _seed_side(s, candles, first, up):
    """True when the seed sees a divergence at highs (up 1) or lows (-1); keeps its changes."""
    price, price_before, prices = _price_swings(candles, up)
    cvd, cvd_before, cvds = _cvd_swings(s.cvd, first, up)
    if prices < 2 or cvds < 2 or price <= price_before or cvd >= cvd_before:
        return False
    s.price_change = up * (price - price_before)
    s.cvd_change = up * (cvd - cvd_before)
    return True


@njit(cache=True, nogil=True)
def _seed(s, p, candles):
    bars = candles.closed[MINUTE]
    if bars < BARS:
        signal_unready(s.signal)
        return
    s.cvd[0] = 0
    for x in range(BARS):
        c = closed_candle(candles, MINUTE, np.int64(BARS - x))
        s.cvd[x + 1] = s.cvd[x] + c.buy - c.sell
    first = np.int64(1 if bars == BARS else 0)
    direction = np.int64(0)
    if _seed_side(s, candles, first, np.int64(1)):
        direction = np.int64(-1)
    elif _seed_side(s, candles, first, np.int64(-1)):
        direction = np.int64(1)
    strength = 0.0
    if direction != 0:
        dp = abs(float(s.price_change)) / float(p.price_scale)
        dc = abs(float(s.cvd_change)) / float(p.qty_scale)
        strength = min(1.0, (dp + dc) / (2.0 * dp))
    end_ns = candles.open[0].open_ns
    if direction != 0 and direction != s.signal.direction:
        signal_fire(s.signal, end_ns, end_ns + p.ttl_ns, direction, strength, strength, 0.0)
    else:
        signal_set(s.signal, direction, strength, strength, 0.0)
        s.signal.until_ns = end_ns + p.ttl_ns


@njit(cache=True, nogil=True)
def cvd_divergence_minute(s, p, candles, pivots, impact, impact_p):
    """A minute has closed: look for a divergence (records of the handlers that it reads)."""
    if p.mode == SEED:
        _seed(s, p, candles)
    else:
        _standard(s, p, candles, pivots, impact, impact_p)


@njit(cache=True, nogil=True)
def cvd_divergence_gap(s, p):
    """Trades were missed: standard mode falls silent; the seed does not notice."""
    if p.mode == STANDARD:
        signal_unready(s.signal)


@njit(cache=True, nogil=True)
def cvd_divergence_boundary(s, now_ns):
    """A divergence falls silent when its time is over (engine time, ns)."""
    signal_age(s.signal, now_ns)
