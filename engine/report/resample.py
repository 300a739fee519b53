"""Block bootstrap: intervals and distributions of results that hang together in time.

Owns resampling by blocks. What must hold: the same numbers give the same answer on every machine
(the generator is seeded, its draws are integers); a result is never split from its neighbours of
one block, so what hangs together stays together.

Kuensch (1989), "The jackknife and the bootstrap for general stationary observations"; circular
blocks as Politis, Romano (1992), which weight every observation alike.

It refuses to know what is resampled.
"""

from __future__ import annotations

import numpy as np

from engine.report.formulas import CONFIDENCE, Interval

DRAWS = 2000
SEED = 20_260_101
LEAST = 10
"""Observations below which a bootstrap says nothing."""


def block_length(n: int) -> int:
    """Observations a block: the cube root of their number, rounded up (Hall, Horowitz, Jing
    (1995): the optimal order for a variance)."""
    return max(1, int(np.ceil(n ** (1 / 3))))


def mean_by_blocks(x: np.ndarray, draws: int = DRAWS) -> Interval | None:
    """95 % interval of the mean of float64 ``x``, in order of time; None for fewer than LEAST.

    Percentiles of the means of ``draws`` circular resamples.
    """
    n = len(x)
    if n < LEAST:
        return None
    length = block_length(n)
    blocks = -(-n // length)
    random = np.random.Generator(np.random.PCG64(SEED))
    means = np.empty(draws)
    offsets = np.arange(length)
    for k in range(draws):
        starts = random.integers(0, n, size=blocks)
        picked = ((starts[:, None] + offsets) % n).ravel()[:n]
        means[k] = x[picked].mean()
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def sums_of(x: np.ndarray, draws: int = DRAWS) -> np.ndarray:
    """Sums of ``draws`` resamples, with replacement, of float64 ``x``: shape (draws,).

    Each value is the result of a stretch of time of one length, so a sum is the result of as much
    time as there was.
    """
    random = np.random.Generator(np.random.PCG64(SEED))
    picked = random.integers(0, len(x), size=(draws, len(x)))
    sums: np.ndarray = x[picked].sum(axis=1)
    return sums


def place_in(value: float, of: np.ndarray) -> float:
    """Share of ``of`` (at least one) below ``value``, those equal to it half: 0 to 1."""
    below, equal = int((of < value).sum()), int((of == value).sum())
    return (below + equal / 2) / len(of)
