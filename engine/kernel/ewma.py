"""Exponentially weighted second moment: how large is usual.

Owns one recursive mean square, past values only: read it before folding the value it judges.
The first values are averaged plainly until their count passes the effective length, so that the
start is unbiased. It refuses to know what it measures.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.numbers import isqrt_float

EWMA_STATE = np.dtype([("n", "i8"), ("mean_square", "f8")], align=True)


@njit(cache=True, nogil=True)
def ewma_update(s, x, length):
    """Fold float ``x``; ``length`` (>= 1) is the effective number of values remembered."""
    s.n += 1
    weight = 1.0 / float(min(s.n, length))
    s.mean_square += weight * (x * x - s.mean_square)


@njit(cache=True, nogil=True)
def ewma_sigma(s):
    """Root mean square of what was folded; 0 before the first value."""
    return isqrt_float(s.mean_square)
