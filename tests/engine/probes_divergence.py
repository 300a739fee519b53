"""Probes of pivots, impact, divergences and the trend of the CVD (see ``probes``)."""

from __future__ import annotations

from numba import njit

from engine.kernel.numbers import fp9
from engine.kernel.pivots import HIGH, LOW, pivot

SHORT = (("impact.length", "12"), ("impact.warm", "6"))
"""Settings of every probe that has impact in it: tapes of minutes reach readiness."""


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


@njit(cache=True, nogil=True)
def impact(s, p, o, now, grid):
    d = s.core.decision
    d.entry_delta = s.impact.run
    for h in range(4):
        m = s.impact.sums[h]
        d.delta += (h + 1) * m.n
        d.delta_z_fp9 += (h + 1) * fp9(m.rr * 1e-3)
        d.book_fp9 += (h + 1) * fp9(m.ff * 1e-6)
        d.flip_fp9 += (h + 1) * fp9(m.rf * 1e-6)


@njit(cache=True, nogil=True)
def cvd_divergence(s, p, o, now, grid):
    d = s.core.decision
    x = s.cvd_divergence
    d.delta = x.cvd_change + x.signal.ready
    d.entry_delta = x.price_change + x.signal.direction * x.signal.strength_fp9
    d.delta_z_fp9 = x.signal.value_fp9
    d.book_fp9 = x.price_z_fp9
    d.flip_fp9 = x.cvd_z_fp9 + x.signal.fired


@njit(cache=True, nogil=True)
def recent(s, p, o, now, grid):
    d = s.core.decision
    for x in range(32):
        d.delta += (x + 1) * s.recent.delta[x]
    d.entry_delta = s.recent.n


@njit(cache=True, nogil=True)
def delta_divergence(s, p, o, now, grid):
    d = s.core.decision
    x = s.delta_divergence
    d.delta = x.signal.ready + 3 * x.signal.direction + 7 * x.signal.fired
    d.entry_delta = x.signal.strength_fp9
    d.delta_z_fp9 = x.signal.value_fp9
    d.book_fp9 = x.price_fp9
    d.flip_fp9 = x.flow_fp9


@njit(cache=True, nogil=True)
def cvd_trend(s, p, o, now, grid):
    d = s.core.decision
    x = s.cvd_trend
    d.delta = x.signal.ready + 3 * x.signal.direction + 7 * x.signal.fired
    d.entry_delta = x.signal.strength_fp9
    d.delta_z_fp9 = x.signal.value_fp9
    d.book_fp9 = x.slope_fp9


ALL = (pivots, impact, cvd_divergence, recent, delta_divergence, cvd_trend)
