"""Exact integer arithmetic of the kernel: checked products, money, fixed point.

Owns the rounding rules. A product that would leave int64 is never formed: :func:`product_fits`
decides first, and the caller counts a violation. Money is int64 at 1e-8 of the account currency,
rounded half away from zero so that mirrored sides mirror exactly. It refuses to know about orders.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import FP9, PRICE_QTY_PRODUCT_MAX

_INT64_MAX = np.iinfo(np.int64).max
_PRODUCT_MAX = float(PRICE_QTY_PRODUCT_MAX)
FP9_MAX = 9.0e9
"""Largest magnitude that :func:`fp9` keeps; beyond it the value is clamped."""


@njit(cache=True, nogil=True)
def product_fits(a, b):
    """True when |a * b| < 2**62 (int64 operands); decided in floats, safe by a factor of two."""
    return abs(float(a) * float(b)) < _PRODUCT_MAX


@njit(cache=True, nogil=True)
def divide_half_away(a, b):
    """a / b of int64, b > 0, rounded half away from zero."""
    if a >= 0:
        return (a + b // 2) // b
    return -((-a + b // 2) // b)


@njit(cache=True, nogil=True)
def fp9(x):
    """Float to int64 at 1e-9, rounded half to even, clamped to +-9e9; NaN becomes 0."""
    if math.isnan(x):
        return np.int64(0)
    return np.int64(np.rint(min(max(x, -FP9_MAX), FP9_MAX) * FP9))


@njit(cache=True, nogil=True)
def ratio_of(value, ratio_fp9):
    """Largest int64 not above ``value`` times a ratio at 1e-9 (both >= 0): exact, no float.

    For integers ``a > value * ratio`` is ``a > ratio_of(value, ratio_fp9)``. A product that would
    not fit is the largest int64.
    """
    whole = ratio_fp9 // FP9
    part = ratio_fp9 % FP9
    if value > _INT64_MAX // (whole + 1):
        return np.int64(_INT64_MAX)
    return value * whole + value // FP9 * part + value % FP9 * part // FP9


@njit(cache=True, nogil=True)
def ratio_up(value, ratio_fp9):
    """Smallest int64 not below ``value`` times a ratio at 1e-9 (both >= 0): exact, no float.

    For integers ``a >= value * ratio`` is ``a >= ratio_up(value, ratio_fp9)``.
    """
    down = ratio_of(value, ratio_fp9)
    rest = value % FP9 * (ratio_fp9 % FP9) % FP9
    return down + 1 if rest > 0 and down < _INT64_MAX else down


@njit(cache=True, nogil=True)
def isqrt_float(x):
    """Square root of a non-negative float; 0 where rounding made it negative."""
    return math.sqrt(x) if x > 0.0 else 0.0
