"""Session VWAP and anchored VWAP with volume-weighted deviation.

Owns two running weighted means and sums of squares, by West's update (D. H. D. West, "Updating
mean and variance estimates", CACM 22 (1979) 532-535): it stays accurate where sum(v p^2)/sum(v) -
mean^2 cancels to nonsense. Prices are kept relative to the first price of the sum, so the
magnitudes stay small. It refuses to know what a band means.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.numbers import isqrt_float

VWAP_SUM = np.dtype(
    [("origin", "i8"), ("weight", "f8"), ("mean", "f8"), ("squares", "f8")], align=True
)
"""origin: price units that mean is relative to; weight: quantity; squares: sum of q * dev^2."""

VWAP_STATE = np.dtype([("session", VWAP_SUM), ("anchored", VWAP_SUM)], align=True)
VWAP_PARAMS = np.dtype([("anchor_ns", "i8")], align=True)
"""anchor_ns: the anchored VWAP takes trades from here on (0: from the first trade)."""


@njit(cache=True, nogil=True)
def vwap_trades(v, price, qty, i, j):
    """West's update of one sum with trades [i, j): price and qty int64."""
    weight = v.weight
    mean = v.mean
    squares = v.squares
    if weight == 0.0 and j > i:
        v.origin = price[i]
    origin = v.origin
    for k in range(i, j):
        q = float(qty[k])
        d = float(price[k] - origin) - mean
        before = weight
        weight += q
        r = d * (q / weight)
        mean += r
        squares += before * d * r
    v.weight = weight
    v.mean = mean
    v.squares = squares


@njit(cache=True, nogil=True)
def vwap_anchored(v, p, ts, price, qty, i, j):
    """Trades [i, j) into the anchored sum, which begins at the first trade at or past the anchor."""
    k = i
    if v.weight == 0.0:
        while k < j and ts[k] < p.anchor_ns:
            k += 1
    vwap_trades(v, price, qty, k, j)


@njit(cache=True, nogil=True)
def vwap_session(s):
    """A new session begins: its sum starts empty; the anchored one goes on."""
    s.session.weight = 0.0
    s.session.mean = 0.0
    s.session.squares = 0.0


@njit(cache=True, nogil=True)
def vwap_value(v):
    """(vwap, sigma) in price units, floats; (0, 0) while nothing was traded."""
    if v.weight == 0.0:
        return 0.0, 0.0
    return float(v.origin) + v.mean, isqrt_float(v.squares / v.weight)


@njit(cache=True, nogil=True)
def vwap_z(v, price):
    """Signed distance of ``price`` from the VWAP in weighted deviations; 0 when sigma is 0."""
    mean, sigma = vwap_value(v)
    if sigma == 0.0:
        return 0.0
    return (float(price) - mean) / sigma
