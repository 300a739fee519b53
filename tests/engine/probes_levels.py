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


@njit(cache=True, nogil=True)
def absorption(s, p, o, now, grid):
    d = s.core.decision
    x = s.absorption
    d.delta = x.signal.direction + 3 * x.signal.ready + 7 * x.signal.fired
    d.entry_delta = x.shortfall_fp9 + x.location_fp9
    d.delta_z_fp9 = x.flow_z_fp9 + x.signal.strength_fp9
    d.book_fp9 = x.efficiency_fp9 + x.volume + 3 * x.net
    d.flip_fp9 = x.zones.n + 7 * x.zones.touched + 11 * x.zones.expired + x.imbalance_fp9
    for k in range(x.zones.n):
        d.flip_fp9 += (k + 1) * (x.zones.items[k].low - 3 * x.zones.items[k].high)


@njit(cache=True, nogil=True)
def sweep(s, p, o, now, grid):
    d = s.core.decision
    x = s.sweep
    d.delta = x.signal.direction + 3 * x.signal.ready + 7 * x.signal.fired
    d.entry_delta = x.level + 3 * x.extreme + x.kind
    d.delta_z_fp9 = x.penetration_fp9 + 3 * x.reclaim_fp9
    d.book_fp9 = x.signal.value_fp9 + x.signal.strength_fp9
    for k in range(2):
        y = x.sides[k]
        d.flip_fp9 += (k + 1) * (y.kind + 7 * y.bars + y.peak + y.turn + y.high_bar)


@njit(cache=True, nogil=True)
def order_block(s, p, o, now, grid):
    d = s.core.decision
    x = s.order_block
    d.delta = x.signal.direction + 3 * x.signal.ready + 7 * x.signal.fired
    d.entry_delta = x.side + 3 * x.delta_side + 9 * x.cvd_side + 27 * x.zones_side
    d.delta_z_fp9 = x.signal.value_fp9 + x.signal.strength_fp9
    d.book_fp9 = x.added + 7 * x.mitigated + 11 * x.expired
    for k in range(x.n):
        d.flip_fp9 += (k + 1) * (x.blocks[k].low - 3 * x.blocks[k].high + x.blocks[k].delta)


PROBES = {
    "order_block": order_block,
    "vwap_deviation": vwap_deviation,
    "absorption": absorption,
    "sweep": sweep,
}
