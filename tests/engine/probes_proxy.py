"""Probes of flow by proxy (see ``probes``)."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def proxy(s, p, o, now, grid):
    d = s.core.decision
    x = s.proxy
    d.delta = x.emitted + 3 * x.silenced + 5 * x.updates
    d.entry_delta = x.trades + 7 * x.direction
    d.delta_z_fp9 = x.side_conf_fp9 + x.side_source
    d.book_fp9 = x.data_quality + 10 * x.late + 100 * x.crossed
    for what in range(9):
        d.flip_fp9 = 2 * d.flip_fp9 + x.allowed[what]
    for n in range(x.n):
        d.flip_fp9 += (n + 1) * x.tape.qty[n] * x.tape.side[n]


@njit(cache=True, nogil=True)
def proxy_metrics(s, p, o, now, grid):
    d = s.core.decision
    x = s.proxy_metrics
    d.delta = x.cvd_value
    d.entry_delta = x.imbalance_score + 1000 * x.cvd_slope + 10_000 * x.large_trade_count
    d.delta_z_fp9 = x.slope_fp9
    d.book_fp9 = x.aggressor_ratio_fp9
    d.flip_fp9 = x.imbalance_fp9 + x.data_quality + 10 * x.data_source + 100 * x.bars


PROXY_PROBES = {f.__name__: f for f in (proxy, proxy_metrics)}
