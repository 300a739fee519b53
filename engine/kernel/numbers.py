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
def capped_product(a, b):
    """a * b of int64 >= 0, the largest int64 where it would not fit."""
    if a > 0 and b > _INT64_MAX // a:
        return np.int64(_INT64_MAX)
    return a * b


@njit(cache=True, nogil=True)
def capped_sum(a, b):
    """a + b of int64 >= 0, the largest int64 where it would not fit."""
    if a > _INT64_MAX - b:
        return np.int64(_INT64_MAX)
    return a + b


@njit(cache=True, nogil=True)
def _long_part(a, b, c):
    """(quotient, remainder) of a * b / c for 0 <= a < c, bit by bit: nothing leaves int64."""
    quotient = np.int64(0)
    rest = np.int64(0)
    for bit in range(62, -1, -1):
        quotient *= 2
        if rest >= c - rest:
            rest -= c - rest
            quotient += 1
        else:
            rest += rest
        if (b >> bit) & 1:
            if rest >= c - a:
                rest -= c - a
                quotient += 1
            else:
                rest += a
    return quotient, rest


@njit(cache=True, nogil=True)
def product_over(a, b, c):
    """Largest int64 not above a * b / c for a, b >= 0, c > 0: exact; capped where it will not fit.

    The product itself may be as long as 126 bits.
    """
    part = a % c
    if product_fits(part, b):
        low = part * b // c
    else:
        low = _long_part(part, b, c)[0]
    return capped_sum(capped_product(a // c, b), low)


@njit(cache=True, nogil=True)
def product_over_up(a, b, c):
    """Smallest int64 not below a * b / c for a, b >= 0, c > 0: exact; capped as product_over."""
    part = a % c
    if product_fits(part, b):
        low = part * b // c
        rest = part * b % c
    else:
        low, rest = _long_part(part, b, c)
    up = capped_sum(capped_product(a // c, b), low)
    return capped_sum(up, np.int64(1)) if rest > 0 else up


@njit(cache=True, nogil=True)
def isqrt_float(x):
    """Square root of a non-negative float; 0 where rounding made it negative."""
    return math.sqrt(x) if x > 0.0 else 0.0
