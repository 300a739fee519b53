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
def _both(v, a, price, qty, i, j):
    """The same update of two sums that have begun, in one loop: their divisions overlap."""
    weight_v = v.weight
    mean_v = v.mean
    squares_v = v.squares
    origin_v = v.origin
    weight_a = a.weight
    mean_a = a.mean
    squares_a = a.squares
    origin_a = a.origin
    for k in range(i, j):
        q = float(qty[k])
        x = price[k]
        d = float(x - origin_v) - mean_v
        before = weight_v
        weight_v += q
        r = d * (q / weight_v)
        mean_v += r
        squares_v += before * d * r
        d = float(x - origin_a) - mean_a
        before = weight_a
        weight_a += q
        r = d * (q / weight_a)
        mean_a += r
        squares_a += before * d * r
    v.weight = weight_v
    v.mean = mean_v
    v.squares = squares_v
    a.weight = weight_a
    a.mean = mean_a
    a.squares = squares_a


@njit(cache=True, nogil=True)
def vwap_all(s, p, ts, price, qty, i, j):
    """Trades [i, j) (int64 ns, price, qty) into both sums; the anchored begins at its anchor."""
    if s.session.weight > 0.0 and s.anchored.weight > 0.0:
        _both(s.session, s.anchored, price, qty, i, j)
        return
    k = i
    if s.anchored.weight == 0.0:
        while k < j and ts[k] < p.anchor_ns:
            k += 1
    vwap_trades(s.session, price, qty, i, j)
    vwap_trades(s.anchored, price, qty, k, j)


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
