"""Quantile tables and random streams: how a uniform number becomes a size, a normal, a level.

Every random number comes from numpy's PCG64, one stream per (seed, role, index), as raw 64-bit
words turned into doubles here, so that neither numpy's choice of algorithms nor the order in which
things are drawn can change a market. Table entries are rounded, so that the last bit of a machine's
exp or log does not matter either.
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np

CELLS = 4096
"""Entries of a quantile table; entry k stands for the uniform (k + 1/2) / CELLS."""

# Roles of the random streams. A number keeps its meaning: changing one changes every market.
RATE, ARRIVAL, FLOW, BOOK, PLAN, OVERLAY = range(1, 7)


def uniforms(seed: int, role: int, index: int, n: int, sub: int = 0) -> np.ndarray:
    """``n`` doubles in [0, 1) of the stream (seed, role, index, sub): float64[n]."""
    bits = np.random.PCG64(np.random.SeedSequence([seed, role, index, sub]))
    return (bits.random_raw(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def quantise(x: np.ndarray | float, bits: int = 30) -> np.ndarray:
    """``x`` rounded to multiples of 2**-bits."""
    return np.rint(np.asarray(x, np.float64) * 2.0**bits) * 2.0**-bits


@cache
def normal_table() -> np.ndarray:
    """Standard normal quantiles: float64[CELLS], scaled to unit variance."""
    inv = NormalDist().inv_cdf
    z = np.array([inv((k + 0.5) / CELLS) for k in range(CELLS)])
    return quantise(z / np.sqrt((z * z).mean()))


def normals(u: np.ndarray) -> np.ndarray:
    """Standard normals from uniforms, float64 of the same shape."""
    return normal_table()[(u * CELLS).astype(np.int64)]


ROUND_LOTS = np.array(
    [10, 20, 50, 100, 200, 250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000], np.int64
)
"""Sizes in lots at which orders cluster."""

_TINY = ((1, 0.07), (2, 0.30), (3, 0.13), (4, 0.16), (5, 0.10), (6, 0.07), (7, 0.06), (8, 0.11))
"""Sizes in lots of the smallest orders, with their shares among them."""

_TINY_SHARE = 0.36
_BODY_MEDIAN = 60.0
_BODY_SIGMA = 1.75
_TAIL_FROM = 1.0 - 1.0 / 128


@cache
def size_table() -> np.ndarray:
    """Order sizes in lots below the tail: int64[CELLS], rising.

    Tiny orders of a few lots, then a lognormal body. Medians of 20 to 30 lots (0.001 BTC each) with
    a 95 % point near 1000 and a 99 % point near 3000 are what BTCUSDT recordings show.
    """
    inv = NormalDist().inv_cdf
    tiny = np.repeat(
        np.array([q for q, _ in _TINY]),
        np.rint(np.array([w for _, w in _TINY]) * _TINY_SHARE * CELLS).astype(int),
    )
    n = CELLS - len(tiny)
    z = np.array([inv((k + 0.5) / n * _TAIL_FROM) for k in range(n)])
    body = np.rint(_BODY_MEDIAN * np.exp(_BODY_SIGMA * z)).astype(np.int64)
    return np.concatenate([tiny, np.maximum(body, 1)]).astype(np.int64)


def sizes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Order sizes in lots, int64[n], from two uniforms each: where in the law, and how round.

    Beyond the table stands a Pareto tail of exponent 1.6; (1 - u)**-0.625 is made of square roots,
    which are exact everywhere.
    """
    q = size_table()[(u * CELLS).astype(np.int64)]
    tail = v < 1.0 / 128
    w = np.maximum(v[tail] * 128, 2.0**-20)
    power = 1.0 / (np.sqrt(w) * np.sqrt(np.sqrt(np.sqrt(w))))
    q[tail] = np.rint(2_500.0 * power).astype(np.int64)
    rounded = (v > 0.75) & (q >= 8)
    at = np.searchsorted(ROUND_LOTS, q[rounded])
    lower = ROUND_LOTS[np.maximum(at - 1, 0)]
    upper = ROUND_LOTS[np.minimum(at, len(ROUND_LOTS) - 1)]
    q[rounded] = np.where(q[rounded] - lower <= upper - q[rounded], lower, upper)
    return q


@cache
def level_table() -> np.ndarray:
    """Quantity in lots of a level behind the touch: int64[CELLS]; 30 % of prices are empty."""
    inv = NormalDist().inv_cdf
    empty, small = int(0.30 * CELLS), int(0.45 * CELLS)
    large = CELLS - empty - small
    a = [3.0 * np.exp(1.0 * inv((k + 0.5) / small)) for k in range(small)]
    b = [180.0 * np.exp(1.2 * inv((k + 0.5) / large)) for k in range(large)]
    q = np.concatenate([np.zeros(empty), np.maximum(np.rint(a), 1), np.maximum(np.rint(b), 1)])
    return q.astype(np.int64)


TOUCH_LOTS = 2_600.0
"""Median quantity at the touch, lots."""


@cache
def exp_table() -> np.ndarray:
    """exp(z) for z = -4 to 4 in steps of 1/64: float64[513]."""
    return quantise(np.exp(np.arange(-256, 257) / 64.0))


@cache
def mean_size() -> float:
    """Mean order size in lots, over the law of :func:`sizes`."""
    u = (np.arange(1 << 18) * 0.6180339887498949) % 1.0
    v = (np.arange(1 << 18) * 0.7548776662466927) % 1.0
    return float(np.rint(sizes(u, v).mean()))


@cache
def rms_root_size() -> float:
    """Root mean square of sqrt(size), which is sqrt(mean size): the unit of impact."""
    return float(np.sqrt(mean_size()))
