"""Which way the CVD goes, and whether that is more than chance.

Owns both forms. ``standard`` (reference "orderflow" 6.1, defect 13): at the close of every minute
the t statistic of the mean delta of the last ``bars`` closed minutes, t = F / (s sqrt(n)) with s
their sample sd; rising when t > ``t``, falling when t < -``t``, else flat; without information t
is Student's with n - 1 degrees of freedom. No window reaches across a gap. ``seed`` (11.2), at
every boundary: of the CVD after each of the last 10 trades (fewer while there are fewer),
(last - first) / how many, in raw units; any sign counts and flat is only exactly 0. The seed gives
no strength; 1 stands where it has a direction. It refuses to know about prices.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP, closed_candle
from engine.kernel.impact import confidence
from engine.kernel.numbers import FP9_MAX, fp9
from engine.kernel.pivots import MINUTE
from engine.kernel.recent import recent_delta
from engine.kernel.signals import SIGNAL_STATE, signal_stand, signal_unready

STANDARD = 0
SEED = 1
VALUES = 10

CVD_TREND_STATE = np.dtype([("signal", SIGNAL_STATE), ("slope_fp9", "i8")], align=True)
"""signal.value: t (standard) or the slope (seed); slope: CVD a minute (standard) or a trade
(seed), in whole units of the base."""

CVD_TREND_PARAMS = np.dtype(
    [("mode", "i8"), ("bars", "i8"), ("t_fp9", "i8"), ("price_scale", "i8"), ("qty_scale", "i8")],
    align=True,
)
"""mode STANDARD or SEED; bars: minutes of the window (>= 2); t: dead band at 1e-9."""


@njit(cache=True, nogil=True)
def _window(candles, n):
    """(whole, mean, t) of the deltas of the last ``n`` closed minutes; whole: none has a gap."""
    if candles.closed[MINUTE] < n:
        return False, 0.0, 0.0
    total = np.int64(0)
    for back in range(1, n + 1):
        c = closed_candle(candles, MINUTE, np.int64(back))
        if c.flags & FLAG_GAP:
            return False, 0.0, 0.0
        total += c.buy - c.sell
    mean = float(total) / float(n)
    squares = 0.0
    for back in range(1, n + 1):
        c = closed_candle(candles, MINUTE, np.int64(back))
        off = float(c.buy - c.sell) - mean
        squares += off * off
    if total == 0:
        return True, 0.0, 0.0
    error = math.sqrt(squares / float(n - 1) / float(n))
    return True, mean, (mean / error if error > 0.0 else math.copysign(FP9_MAX, mean))


@njit(cache=True, nogil=True)
def cvd_trend_minute(s, p, candles):
    """A minute has closed: the t statistic of the window that ends with it."""
    if p.mode == SEED:
        return
    whole, mean, t = _window(candles, p.bars)
    if not whole:
        signal_unready(s.signal)
        return
    s.slope_fp9 = fp9(mean / float(p.qty_scale))
    value = fp9(t)
    direction = np.int64(value > p.t_fp9) - np.int64(value < -p.t_fp9)
    now_ns = candles.open[0].open_ns
    signal_stand(s.signal, now_ns, direction, confidence(t), t, float(p.t_fp9) * 1e-9)


@njit(cache=True, nogil=True)
def cvd_trend_boundary(s, p, recent, now_ns):
    """The seed's slope over the CVD of the last trades (RECENT_STATE record)."""
    if p.mode == STANDARD:
        return
    n = min(recent.n, np.int64(VALUES))
    change = np.int64(0)
    for back in range(1, n):
        change += recent_delta(recent, np.int64(back))
    slope = float(change) / float(max(n, np.int64(1))) / float(p.qty_scale)
    s.slope_fp9 = fp9(slope)
    direction = np.int64(change > 0) - np.int64(change < 0)
    signal_stand(s.signal, now_ns, direction, 1.0, slope, 0.0)


@njit(cache=True, nogil=True)
def cvd_trend_gap(s, p):
    """Trades were missed: standard mode falls silent; the seed does not notice."""
    if p.mode == STANDARD:
        signal_unready(s.signal)
