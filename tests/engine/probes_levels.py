"""Probes of detectors of levels: distances, zones, sweeps."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def vwap_deviation(s, p, o, now, grid):
    d = s.core.decision
    g = s.vwap_deviation.signal
    d.delta = g.direction
    d.entry_delta = g.value_fp9
    d.delta_z_fp9 = g.strength_fp9
    d.book_fp9 = s.vwap_deviation.efficiency_fp9
    d.flip_fp9 = g.ready


PROBES = {
    "vwap_deviation": vwap_deviation,
}
