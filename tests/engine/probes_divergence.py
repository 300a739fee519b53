"""Probes of pivots, impact, divergences and the trend of the CVD (see ``probes``)."""

from __future__ import annotations

from numba import njit

from engine.kernel.pivots import HIGH, LOW, pivot


@njit(cache=True, nogil=True)
def pivots(s, p, o, now, grid):
    d = s.core.decision
    high = pivot(s.pivots, HIGH, 1)
    low = pivot(s.pivots, LOW, 1)
    d.delta = high.cvd + 3 * low.cvd
    d.entry_delta = high.price + 3 * low.price
    d.delta_z_fp9 = high.bar + 3 * low.bar + s.pivots.run
    d.book_fp9 = s.pivots.count[HIGH] + 3 * s.pivots.count[LOW]
    d.flip_fp9 = s.pivots.fresh[HIGH] + 3 * s.pivots.fresh[LOW]
