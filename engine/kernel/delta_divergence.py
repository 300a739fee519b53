"""Delta divergence: over the same minutes, the flow does not go with the price.

Owns both forms. ``standard`` (reference "orderflow" 6.1, defects 10 to 12, and 6.2): at the close
of every minute, R and F of the last ``bars`` minutes and their residual e (see ``impact``);
bearish when z_p >= ``price_z`` and e <= -z_alpha, bullish mirrored; ``classic`` also asks that the
flow went against the price. Scale-free; strength 1 - 2 Phi(-|e|); it stands for one minute, and no
window reaches across a gap. The default z_alpha of 2.5 raises an alarm in less than 2 % of five
minutes without a pattern, each of which is looked at five times. ``seed`` (11.4), at every
boundary: least-squares slopes, in raw units, of the last 20 closes of minutes and of the deltas of
the last 20 trades; bullish when the price's is below -``slope`` and the delta's above ``slope``,
bearish mirrored; strength min(1, (|sp| + |sd|) / ``divisor``). It refuses to know about pivots.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import closed_candle
from engine.kernel.impact import (
    confidence,
    impact_amount,
    impact_horizon,
    impact_move,
    impact_ready,
    impact_residual,
)
from engine.kernel.numbers import fp9
from engine.kernel.pivots import MINUTE
from engine.kernel.recent import recent_delta
from engine.kernel.signals import SIGNAL_STATE, signal_stand, signal_unready

STANDARD = 0
SEED = 1
BARS = 20

DELTA_DIVERGENCE_STATE = np.dtype(
    [("signal", SIGNAL_STATE), ("price_fp9", "i8"), ("flow_fp9", "i8")], align=True
)
"""price, flow: z_p and z_c of the window (standard) or the slopes in raw units (seed)."""

DELTA_DIVERGENCE_PARAMS = np.dtype(
    [
        ("mode", "i8"),
        ("bars", "i8"),
        ("z_alpha_fp9", "i8"),
        ("price_z_fp9", "i8"),
        ("classic", "i8"),
        ("slope_fp9", "i8"),
        ("divisor_fp9", "i8"),
        ("price_scale", "i8"),
        ("qty_scale", "i8"),
    ],
    align=True,
)
"""mode STANDARD or SEED; bars: minutes of the window; thresholds at 1e-9; scales: units in one
whole of the quote and of the base."""


@njit(cache=True, nogil=True)
def delta_divergence_minute(s, p, candles, impact, impact_p):
    """A minute has closed: the standard form judges the window that ends with it."""
    if p.mode == SEED:
        return
    h = impact_horizon(p.bars)
    if impact.run <= p.bars or not impact_ready(impact, impact_p, h):
        signal_unready(s.signal)
        return
    change, flow, trades = impact_move(candles, np.int64(1), p.bars)
    amount = impact_amount(impact_p, p.bars, trades)
    known, z_p, z_c, e = impact_residual(impact, p.bars, amount, change, flow)
    s.price_fp9 = fp9(z_p)
    s.flow_fp9 = fp9(z_c)
    direction = np.int64(0)
    if known and s.price_fp9 >= p.price_z_fp9 and fp9(e) <= -p.z_alpha_fp9:
        direction = np.int64(-1)
    elif known and -s.price_fp9 >= p.price_z_fp9 and fp9(e) >= p.z_alpha_fp9:
        direction = np.int64(1)
    if p.classic == 1 and float(direction) * z_c <= 0.0:
        direction = np.int64(0)
    now_ns = candles.open[0].open_ns
    signal_stand(s.signal, now_ns, direction, confidence(e), e, float(p.z_alpha_fp9) * 1e-9)


@njit(cache=True, nogil=True)
def _weight(x):
    """x - mean over the sum of squares, for a least-squares slope over 0 .. BARS - 1."""
    return float(2 * x - (BARS - 1)) / (BARS * (BARS * BARS - 1) / 6.0)


@njit(cache=True, nogil=True)
def delta_divergence_boundary(s, p, candles, recent, now_ns):
    """The seed's form, as often as its loop looks; records of the candles and recent trades."""
    if p.mode == STANDARD:
        return
    if candles.closed[MINUTE] < BARS or recent.n < BARS:
        signal_unready(s.signal)
        return
    first = closed_candle(candles, MINUTE, np.int64(BARS)).close
    price = 0.0
    flow = 0.0
    for x in range(BARS):
        back = np.int64(BARS - x)
        price += _weight(x) * float(closed_candle(candles, MINUTE, back).close - first)
        flow += _weight(x) * float(recent_delta(recent, back))
    s.price_fp9 = fp9(price / float(p.price_scale))
    s.flow_fp9 = fp9(flow / float(p.qty_scale))
    direction = np.int64(0)
    if s.price_fp9 < -p.slope_fp9 and s.flow_fp9 > p.slope_fp9:
        direction = np.int64(1)
    elif s.price_fp9 > p.slope_fp9 and s.flow_fp9 < -p.slope_fp9:
        direction = np.int64(-1)
    size = float(abs(s.price_fp9)) + float(abs(s.flow_fp9))
    strength = min(1.0, size / float(p.divisor_fp9))
    signal_stand(s.signal, now_ns, direction, strength, strength, float(p.slope_fp9) * 1e-9)


@njit(cache=True, nogil=True)
def delta_divergence_gap(s, p):
    """Trades were missed: standard mode falls silent; the seed does not notice."""
    if p.mode == STANDARD:
        signal_unready(s.signal)
