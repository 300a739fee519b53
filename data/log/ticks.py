"""Which price step an instrument trades on, read off its prices.

Owns :func:`infer_tick`. It refuses to know where prices come from.
"""

from __future__ import annotations

import numpy as np

SHARE = 0.999
"""A step explains a series when at least this share of its prices are multiples of it."""

_GROUPS = 64
_GROUP_SIZES = (4, 16, 64)


def infer_tick(prices: np.ndarray) -> int:
    """The largest integer of which at least 99.9 % of ``prices`` (scaled int64) are multiples.

    Prices that are not positive do not count; 0 where there are fewer than 2 different ones. A
    few wild prices would spoil the greatest common divisor of all, so it is taken over many small
    groups (spread evenly, no random), and the best of those divisors is kept: with under 0.1 % of
    wild prices nearly every group is free of them.
    """
    prices = prices[prices > 0]
    values, counts = np.unique(prices, return_counts=True)
    if len(values) < 2:
        return 0
    candidates = {int(np.gcd.reduce(values))}
    for size in _GROUP_SIZES:
        picks = np.linspace(0, len(prices) - 1, _GROUPS * size).astype(np.int64)
        for group in prices[picks].reshape(size, _GROUPS).T:
            candidates.add(int(np.gcd.reduce(group)))
    total = counts.sum()
    good = [c for c in candidates if counts[values % c == 0].sum() >= SHARE * total]
    return max(good, default=1)
