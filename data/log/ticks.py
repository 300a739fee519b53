"""Which price step an instrument trades on, read off its prices, and which prices are off it.

Owns :func:`infer_tick` and the histogram that it needs. What must hold: the histogram is exact in
one pass, and its size is the number of different prices (up to :data:`DIFFERENT_MAX`).

It refuses to know where prices come from.
"""

from __future__ import annotations

import numpy as np

SHARE = 0.999
"""A step explains a series when at least this share of its prices are multiples of it."""

DIFFERENT_MAX = 1_000_000
"""Prices that are new after so many different ones are not looked at (50 MB of histogram)."""

_GROUPS = 64
_GROUP_SIZES = (4, 16, 64)
_RANGE_MAX = 1 << 22


class PriceHistogram:
    """How often each price occurred, and where first and last.

    ``prices`` are the different prices (scaled int64, rising), ``counts`` how often each occurred;
    ``first`` and ``last`` are int64[2, prices]: time and id of the first and the last row.
    """

    def __init__(self) -> None:
        self.prices = np.empty(0, np.int64)
        self.counts = np.empty(0, np.int64)
        self.first = np.empty((2, 0), np.int64)
        self.last = np.empty((2, 0), np.int64)

    def add(self, prices: np.ndarray, row: np.ndarray, stamps: np.ndarray) -> None:
        """Take prices int64[n]; ``row`` int64[n] rises and points into ``stamps`` int64[2, m]."""
        if not len(prices):
            return
        different, counts, first, last = _distinct(prices)
        at = np.searchsorted(self.prices, different)
        known = at < len(self.prices)
        known[known] = self.prices[at[known]] == different[known]
        self.counts[at[known]] += counts[known]
        self.last[:, at[known]] = stamps[:, row[last[known]]]
        new = np.flatnonzero(~known)[: max(0, DIFFERENT_MAX - len(self.prices))]
        if len(new):
            place = at[new]
            self.prices = np.insert(self.prices, place, different[new])
            self.counts = np.insert(self.counts, place, counts[new])
            self.first = np.insert(self.first, place, stamps[:, row[first[new]]], axis=1)
            self.last = np.insert(self.last, place, stamps[:, row[last[new]]], axis=1)


def infer_tick(prices: np.ndarray, counts: np.ndarray | None = None) -> int:
    """The largest integer of which at least 99.9 % of ``prices`` (scaled int64) are multiples.

    ``counts`` says how often each price occurred (once where it is None). Prices that are not
    positive do not count; 0 where fewer than 2 different ones are left. A few wild prices would
    spoil the greatest common divisor of all, so it is taken over many small groups (spread evenly,
    no random), and the best of those divisors is kept: with under 0.1 % of wild prices nearly every
    group is free of them.
    """
    weights = np.ones(len(prices), np.int64) if counts is None else counts
    weights, prices = weights[prices > 0], prices[prices > 0]
    if len(prices) < 2 or prices.min() == prices.max():
        return 0
    order = np.argsort(prices, kind="stable")
    prices, weights = prices[order], weights[order]
    reach = np.cumsum(weights)
    total = int(reach[-1])
    candidates = {int(np.gcd.reduce(prices))}
    for size in _GROUP_SIZES:
        picks = np.linspace(0, total - 1, _GROUPS * size).astype(np.int64)
        chosen = prices[np.searchsorted(reach, picks, side="right")]
        for group in chosen.reshape(size, _GROUPS).T:
            candidates.add(int(np.gcd.reduce(group)))
    good = [c for c in candidates if weights[prices % c == 0].sum() >= SHARE * total]
    return max(good, default=1)


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Different values, rising, with count, first and last index of each; all int64."""
    low, high = int(values.min()), int(values.max())
    index = np.arange(len(values))
    if high - low < _RANGE_MAX:
        offset = values - low
        counts = np.bincount(offset)
        first = np.empty(len(counts), np.int64)
        last = np.empty(len(counts), np.int64)
        first[offset[::-1]] = index[::-1]
        last[offset] = index
        there = np.flatnonzero(counts)
        return there + low, counts[there], first[there], last[there]
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    counts = np.diff(np.append(starts, len(ranked)))
    return ranked[starts], counts, order[starts], order[starts + counts - 1]
