"""How much the price usually moves with the flow: sd, correlation and impact of n-minute sums.

Owns exponentially weighted moments of (R, F), the change of the close and the delta summed over
1, 3, 6 and 12 closed minutes (reference "orderflow" 6: half-life 240 bars; sd of n-bar sums, since
the signs of trades have long memory and root-n scaling would be wrong). From them: sigma_r,
sigma_D, rho = E[RF] / sqrt(E[RR] E[FF]), lambda = rho sigma_r / sigma_D, and the residual

    z_p = R / sigma_r ;  z_c = F / sigma_D ;  e = (z_c - rho z_p) / sqrt(1 - rho^2)

which is N(0, 1) under "flow as usual given the price move". Two things make that hold on markets
whose activity comes in bursts. The variances of R and F both grow with the number of trades, so
the moments are kept a trade and sigma is that of a sum of so many trades (``activity``; without it
a busy minute is the surprise of the day: of null windows 2.5 % instead of .3 % lay beyond three
sigmas). And a sum beyond ``clip`` sigmas is folded as one of ``clip`` sigmas, or the very patterns
that are looked for would become what is usual.

Changes of price stand for the log-returns of the reference: within a half-life they differ by a
constant that sigma_r takes out, and they mirror exactly. What must hold: past only, and the newest
n-minute sum that is folded ends where the current one begins, so a window never helps to judge
itself; no sum reaches across a gap; a sum in which nothing happened is passed over, or a silent
hour would make the next trade the surprise of the year; means are taken as zero. It refuses to
know what a surprise is worth.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.candles import FLAG_GAP, closed_candle
from engine.kernel.numbers import isqrt_float

HORIZONS = (1, 3, 6, 12)
"""Minutes of a sum, by index; a longer window is judged by the last of them."""
LAST = np.int64(len(HORIZONS) - 1)
_HORIZONS = np.array(HORIZONS, dtype=np.int64)
_MINUTE = np.int64(1)
_LEAST_REST = 1e-6
"""Share of the variance of F that R must leave unexplained for a residual to mean anything."""

MOMENTS = np.dtype([("n", "i8"), ("rr", "f8"), ("ff", "f8"), ("rf", "f8")], align=True)
"""How many sums were folded; mean R^2, F^2 and R F (units of price and quantity), each over the
sum's amount: its trades, or its minutes where activity is not asked for."""

IMPACT_STATE = np.dtype([("run", "i8"), ("sums", MOMENTS, (len(HORIZONS),))], align=True)
"""run: minutes closed since the last gap; moments by horizon."""

IMPACT_PARAMS = np.dtype(
    [("length", "i8"), ("warm", "i8"), ("activity", "i8"), ("clip_fp9", "i8")], align=True
)
"""length: sums remembered (346 = half-life 240 / ln 2); warm: sums needed before it may be read;
activity 1: moments a trade, 0: a minute; clip: sigmas beyond which a sum is cut, 0: never."""


@njit(cache=True, nogil=True)
def impact_move(candles, newest, minutes):
    """(R, F, trades): change of close and delta of ``minutes`` minutes, the last ``newest`` ago.

    ``candles`` is a CANDLES_STATE record; newest 1 is the last closed minute; R and F are floats.
    The caller knows that newest + minutes closed minutes are free of gaps.
    """
    flow = np.int64(0)
    trades = np.int64(0)
    for back in range(newest, newest + minutes):
        c = closed_candle(candles, _MINUTE, back)
        flow += c.buy - c.sell
        trades += c.trades
    change = (
        closed_candle(candles, _MINUTE, newest).close
        - closed_candle(candles, _MINUTE, newest + minutes).close
    )
    return float(change), float(flow), trades


@njit(cache=True, nogil=True)
def impact_amount(p, minutes, trades):
    """What the variance of a sum over ``minutes`` minutes and ``trades`` trades grows with."""
    return float(max(trades, np.int64(1))) if p.activity == 1 else float(minutes)


@njit(cache=True, nogil=True)
def _clipped(x, square, clip_fp9):
    """``x`` cut at clip sigmas, sigma being the root of ``square``."""
    most = float(clip_fp9) / FP9 * isqrt_float(square)
    return min(max(x, -most), most)


@njit(cache=True, nogil=True)
def _fold(m, p, change, flow, amount):
    """Fold one sum into its moments; once these may be read, a sum beyond the clip is cut."""
    root = isqrt_float(amount)
    r = change / root
    f = flow / root
    if p.clip_fp9 > 0 and m.n >= p.warm and m.rr > 0.0 and m.ff > 0.0:
        r = _clipped(r, m.rr, p.clip_fp9)
        f = _clipped(f, m.ff, p.clip_fp9)
    m.n += 1
    weight = 1.0 / float(min(m.n, p.length))
    m.rr += weight * (r * r - m.rr)
    m.ff += weight * (f * f - m.ff)
    m.rf += weight * (r * f - m.rf)


@njit(cache=True, nogil=True)
def impact_gap(s):
    """Trades were missed: what was learned stays, new sums begin after the gap."""
    s.run = 0


@njit(cache=True, nogil=True)
def impact_minute(s, p, candles):
    """A minute has closed: fold, by horizon, the newest sum that ends before the current one."""
    if closed_candle(candles, _MINUTE, np.int64(1)).flags & FLAG_GAP:
        impact_gap(s)
        return
    s.run += 1
    for h in range(len(_HORIZONS)):
        n = _HORIZONS[h]
        if s.run > 2 * n:
            change, flow, trades = impact_move(candles, n + 1, n)
            if change != 0.0 or flow != 0.0:
                _fold(s.sums[h], p, change, flow, impact_amount(p, n, trades))


@njit(cache=True, nogil=True)
def impact_horizon(minutes):
    """Index of the longest horizon that is not longer than ``minutes`` (>= 1)."""
    h = LAST
    while h > 0 and _HORIZONS[h] > minutes:
        h -= 1
    return h


@njit(cache=True, nogil=True)
def impact_ready(s, p, h):
    """True when horizon ``h`` has folded enough, and prices and flow have both moved."""
    m = s.sums[h]
    return m.n >= p.warm and m.rr > 0.0 and m.ff > 0.0


@njit(cache=True, nogil=True)
def impact_rho(m):
    """Correlation of R and F of a MOMENTS record that is ready, in [-1, 1]."""
    rho = m.rf / (isqrt_float(m.rr) * isqrt_float(m.ff))
    return min(max(rho, -1.0), 1.0)


@njit(cache=True, nogil=True)
def impact_lambda(m):
    """Price units that one unit of quantity usually moves: rho sigma_r / sigma_D = E[RF]/E[FF]."""
    return m.rf / m.ff


@njit(cache=True, nogil=True)
def impact_sigmas(s, minutes, amount):
    """(sigma_r, sigma_D) of a sum over ``minutes`` minutes, in price and quantity units.

    ``amount`` is its :func:`impact_amount`.
    """
    m = s.sums[impact_horizon(minutes)]
    return isqrt_float(m.rr * amount), isqrt_float(m.ff * amount)


@njit(cache=True, nogil=True)
def impact_residual(s, minutes, amount, change, flow):
    """(known, z_p, z_c, e) of R = ``change`` and F = ``flow`` (floats) over ``minutes`` minutes.

    Ask :func:`impact_ready` of the horizon first; ``amount`` is the sum's :func:`impact_amount`.
    ``known`` is False where price and flow go so closely together (1 - rho^2 < 1e-6) that nothing
    is left to judge.
    """
    sigma_r, sigma_d = impact_sigmas(s, minutes, amount)
    rho = impact_rho(s.sums[impact_horizon(minutes)])
    rest = 1.0 - rho * rho
    z_p = change / sigma_r
    z_c = flow / sigma_d
    if rest < _LEAST_REST:
        return False, z_p, z_c, 0.0
    return True, z_p, z_c, (z_c - rho * z_p) / math.sqrt(rest)


@njit(cache=True, nogil=True)
def confidence(z):
    """1 - 2 Phi(-|z|): how surprising a standard normal value is, in [0, 1)."""
    return math.erf(abs(z) / math.sqrt(2.0))
