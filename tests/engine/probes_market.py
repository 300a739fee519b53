"""Probes of the detectors of the book and of the market's condition (see ``probes``)."""

from __future__ import annotations

from numba import njit

from engine.kernel.numbers import fp9


@njit(cache=True, nogil=True)
def pressure(s, p, o, now, grid):
    d = s.core.decision
    g = s.pressure.signal
    d.delta = g.ready + 3 * g.direction
    d.entry_delta = g.strength_fp9
    d.delta_z_fp9 = s.pressure.z_fp9
    d.book_fp9 = fp9(s.pressure.flow)
    d.flip_fp9 = g.value_fp9 + g.threshold_fp9


@njit(cache=True, nogil=True)
def toxicity(s, p, o, now, grid):
    d = s.core.decision
    g = s.toxicity.signal
    d.delta = g.ready + 3 * s.toxicity.toxic + 7 * s.toxicity.buckets
    d.entry_delta = s.toxicity.net + 3 * s.toxicity.filled + 5 * s.toxicity.size
    d.delta_z_fp9 = s.toxicity.vpin_fp9
    d.book_fp9 = g.value_fp9 + 3 * s.toxicity.rank_fp9
    d.flip_fp9 = s.toxicity.kyle_t_fp9 + 3 * s.toxicity.impact_fp9


@njit(cache=True, nogil=True)
def regime(s, p, o, now, grid):
    d = s.core.decision
    r = s.regime
    d.delta = r.volatility.level + 3 * r.trend.level + 9 * r.volume.level + 27 * r.book.level
    d.entry_delta = r.volatility.changes + r.trend.age + r.volume.ready + r.book.age
    d.delta_z_fp9 = r.trend.value_fp9 + r.signal.direction
    d.book_fp9 = r.volatility.value_fp9 + 3 * r.book.value_fp9
    d.flip_fp9 = r.volume.value_fp9


@njit(cache=True, nogil=True)
def walls(s, p, o, now, grid):
    d = s.core.decision
    w = s.walls
    d.delta = w.live[0] + 100 * w.live[1]
    d.entry_delta = w.pulled + 1000 * w.eaten
    d.delta_z_fp9 = w.signal.direction + 3 * w.signal.ready
    d.book_fp9 = w.score_fp9
    for x in range(16):
        if w.walls[x].side != 0:
            d.flip_fp9 += w.walls[x].qty + 3 * w.walls[x].traded + 5 * w.walls[x].price


@njit(cache=True, nogil=True)
def market_state(s, p, o, now, grid):
    d = s.core.decision
    m = s.market_state
    d.delta = m.state
    d.entry_delta = m.entered[1] + 100 * m.entered[4]
    d.delta_z_fp9 = m.pump_fp9
    d.book_fp9 = m.signal.direction + 3 * m.signal.ready
    d.flip_fp9 = fp9(m.depth * 1e-6) + fp9(m.volume * 1e-6)


@njit(cache=True, nogil=True)
def replenish(s, p, o, now, grid):
    d = s.core.decision
    r = s.replenish
    d.delta = r.bid.traded + 3 * r.ask.traded
    d.entry_delta = r.bid.shown + 3 * r.ask.shown
    d.delta_z_fp9 = r.bid.price + 3 * r.ask.price + r.bid.fired + r.ask.fired
    d.book_fp9 = r.signal.direction + 3 * r.signal.ready + 10 * r.signal.strength_fp9
    d.flip_fp9 = r.signal.value_fp9 + r.bid.away_ns % 1000 + r.signal.until_ns % 1000


MARKET_PROBES = {
    f.__name__: f for f in (pressure, toxicity, regime, walls, market_state, replenish)
}
