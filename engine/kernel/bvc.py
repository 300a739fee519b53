"""Bulk volume classification: how much of a bar's volume was bought, told by its price change.

Owns the split V_buy = V Z(dP / sigma), V_sell = V - V_buy (Easley, Lopez de Prado and O'Hara 2012;
reference "orderflow" 1.1) and the volume-weighted sd of dP that it needs, exponentially weighted
and of past bars only: read it before folding the bar that it judges. Z is the normal CDF, or
Student's t with nu = 0.25. Means of dP are taken as zero, so that mirrored prices mirror exactly.

What must hold: parts are int64 and add up to V; dP = 0 halves V; the larger part lies on the side
of dP. sigma = 0 (no past, or a price that never moved) claims nothing: halves. A limitation, not a
fault: the sign of the split is always the sign of dP. It refuses to know how long a bar is.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.kernel.numbers import fp9, isqrt_float, ratio_of

NORMAL = 0
STUDENT = 1
NU = 0.25
"""Degrees of freedom of the t form (reference 1.1)."""

BVC_MOMENTS = np.dtype([("n", "i8"), ("volume", "f8"), ("squares", "f8")], align=True)
"""n bars folded; weighted means of V (quantity units) and V dP^2."""

_STEPS = 300
_SMALL = 1e-300


@njit(cache=True, nogil=True)
def bvc_sigma(m):
    """Volume-weighted root mean square of dP over the past of a BVC_MOMENTS record; 0 without."""
    return isqrt_float(m.squares / m.volume) if m.volume > 0.0 else 0.0


@njit(cache=True, nogil=True)
def bvc_fold(m, volume, change, length):
    """Fold a bar: int64 volume and change dP (price units); ``length`` bars are remembered."""
    m.n += 1
    weight = 1.0 / float(min(m.n, length))
    v = float(volume)
    x = float(change)
    m.volume += weight * (v - m.volume)
    m.squares += weight * (v * x * x - m.squares)


@njit(cache=True, nogil=True)
def _fraction(a, b, x):
    """Continued fraction of the incomplete beta function (modified Lentz)."""
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _SMALL else _SMALL)
    h = d
    for n in range(1, _STEPS):
        m = float(n)
        for even in (True, False):
            if even:
                y = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
            else:
                y = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
            d = 1.0 + y * d
            d = 1.0 / (d if abs(d) > _SMALL else _SMALL)
            c = 1.0 + y / c
            c = c if abs(c) > _SMALL else _SMALL
            h *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return h


@njit(cache=True, nogil=True)
def beta_share(a, b, x):
    """Regularised incomplete beta function I_x(a, b) of floats a, b > 0, 0 <= x <= 1."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta)
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


@njit(cache=True, nogil=True)
def tail(z, dist, nu):
    """P(X > z) of float z >= 0, in [0, 0.5]: ``dist`` NORMAL, or STUDENT with ``nu`` degrees."""
    if dist == STUDENT:
        return 0.5 * beta_share(0.5 * nu, 0.5, nu / (nu + z * z))
    return 0.5 * math.erfc(z / math.sqrt(2.0))


@njit(cache=True, nogil=True)
def bvc_less(volume, change, sigma, dist):
    """The smaller part of int64 ``volume`` (>= 0); the rest belongs to the side of ``change``.

    ``change`` is dP in price units (int64), ``sigma`` its sd; half where either is 0.
    """
    if change == 0 or sigma <= 0.0:
        return volume // 2
    return ratio_of(volume, fp9(tail(abs(float(change)) / sigma, dist, NU)))
