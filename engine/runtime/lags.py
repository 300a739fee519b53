"""Latencies as histograms: fixed size whatever is counted, percentiles to three per cent.

Owns :class:`Lags` (all that was ever counted, which a session keeps over restarts) and
:class:`Rolling` (the last minute). Buckets are log-linear: 32 equal steps in each power of two of
nanoseconds, so the bound that a percentile gives is at most 1/32 above the true one and never
below. A time before zero (two clocks that disagree) is counted apart and not used.

It refuses to know what is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

_STEPS = 32
_POWERS = 64
_NS_MS = 1e6
SLOTS = 6
SLOT_S = 10.0
"""A rolling histogram looks back over SLOTS times SLOT_S seconds."""


class Lags:
    """A histogram of times in ns."""

    def __init__(self) -> None:
        self._counts = np.zeros(_STEPS * _POWERS, dtype=np.int64)
        self.count = 0
        self.negative = 0
        self.most_ns = 0

    def add(self, ns: np.ndarray | int) -> None:
        """Count one time or an array of them, ns."""
        values = np.atleast_1d(np.asarray(ns, dtype=np.int64))
        below = int((values < 0).sum())
        if below:
            self.negative += below
            values = values[values >= 0]
        if not len(values):
            return
        self.count += len(values)
        self.most_ns = max(self.most_ns, int(values.max()))
        part, power = np.frexp(values.astype(np.float64))
        step = np.minimum(((part - 0.5) * 2 * _STEPS).astype(np.int64), _STEPS - 1)
        at = np.where(values > 0, power * _STEPS + step, 0)
        self._counts += np.bincount(at, minlength=len(self._counts))

    def merge(self, other: Lags) -> None:
        """Count all that ``other`` counted, too."""
        self._counts += other._counts
        self.count += other.count
        self.negative += other.negative
        self.most_ns = max(self.most_ns, other.most_ns)

    def percentile_ms(self, share: float) -> float:
        """The time that ``share`` (0 to 1) of all lie at or below, ms; 0 when there are none."""
        if not self.count:
            return 0.0
        rank = max(1, int(np.ceil(share * self.count)))
        at = int(np.searchsorted(np.cumsum(self._counts), rank))
        if at == 0:
            return 0.0
        power, step = divmod(at, _STEPS)
        bound = np.ldexp(0.5 + (step + 1) / (2 * _STEPS), power)
        return min(float(bound), float(self.most_ns)) / _NS_MS

    def facts(self) -> dict[str, Any]:
        """One JSON object to go on from after a restart."""
        at = np.flatnonzero(self._counts)
        return {
            "count": self.count,
            "negative": self.negative,
            "most_ns": self.most_ns,
            "buckets": {str(int(k)): int(self._counts[k]) for k in at},
        }

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Lags:
        """Back from :meth:`facts`."""
        lags = cls()
        lags.count, lags.negative = int(facts["count"]), int(facts["negative"])
        lags.most_ns = int(facts["most_ns"])
        for k, n in facts["buckets"].items():
            lags._counts[int(k)] = int(n)
        return lags


class Rolling:
    """Times of the last minute; ``total`` holds all. ``clock_s`` is a monotonic clock, seconds."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.total = Lags()
        self._clock_s = clock_s
        self._slots: list[tuple[int, Lags]] = []

    def add(self, ns: np.ndarray | int) -> None:
        """Count one time or an array of them, ns."""
        self.total.add(ns)
        number = int(self._clock_s() // SLOT_S)
        if not self._slots or self._slots[-1][0] != number:
            self._slots.append((number, Lags()))
            del self._slots[:-SLOTS]
        self._slots[-1][1].add(ns)

    def percentiles_ms(self, *shares: float) -> tuple[float, ...]:
        """Percentiles (0 to 1) of the last minute, ms."""
        recent, oldest = Lags(), int(self._clock_s() // SLOT_S) - SLOTS
        for number, lags in self._slots:
            if number > oldest:
                recent.merge(lags)
        return tuple(recent.percentile_ms(share) for share in shares)
