"""Do-nothing strategies, one a handler: their decisions carry numbers read off that handler.

A strategy that trades nothing still writes a decision at every boundary. Its probe puts what the
handler says at that moment into the record, so that the digest of the decisions depends on the
handler's state at every boundary and not only at the end.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import closed_candle
from engine.kernel.numbers import fp9
from engine.kernel.registry import resolve
from engine.kernel.vwap import vwap_value, vwap_z
from engine.runtime.strategy import Strategy
from tests.engine import probes_classifier, probes_levels, probes_rows
from tests.engine import probes_divergence as divergence
from tests.engine.kernel.oracle_proxy import SHORT as PROXY_SHORT
from tests.engine.probes_market import MARKET_PROBES
from tests.engine.probes_plans import BESIDE, PLAN_PROBES
from tests.engine.probes_proxy import PROXY_PROBES
from tests.engine.probes_trading import TRADING_PROBES


@njit(cache=True, nogil=True)
def sides(s, p, o, now, grid):
    d = s.core.decision
    d.delta = s.sides.by_flag
    d.entry_delta = s.sides.by_quote
    d.delta_z_fp9 = s.sides.by_tick
    d.book_fp9 = s.sides.unknown
    d.flip_fp9 = s.sides.tick_dir


@njit(cache=True, nogil=True)
def flow(s, p, o, now, grid):
    d = s.core.decision
    d.delta = s.flow.buy
    d.entry_delta = s.flow.sell
    d.delta_z_fp9 = s.flow.unknown
    d.book_fp9 = s.flow.trades
    d.flip_fp9 = s.flow.sessions


@njit(cache=True, nogil=True)
def windows(s, p, o, now, grid):
    d = s.core.decision
    for w in range(6):
        d.delta += (w + 1) * s.windows.buy[w]
        d.entry_delta += (w + 1) * s.windows.sell[w]
        d.delta_z_fp9 += (w + 1) * s.windows.buys[w]
        d.book_fp9 += (w + 1) * s.windows.sells[w]
        d.flip_fp9 += (w + 1) * s.windows.largest[w]


@njit(cache=True, nogil=True)
def candles(s, p, o, now, grid):
    d = s.core.decision
    for f in range(3):
        c = closed_candle(s.candles, f, 1)
        d.delta += (f + 1) * (c.buy - c.sell + c.volume)
        d.entry_delta += (f + 1) * (c.high - c.low + c.close)
        d.delta_z_fp9 += (f + 1) * (c.delta_max - 3 * c.delta_min + c.trades)
        d.book_fp9 += (f + 1) * s.candles.closed[f] + c.flags
    d.flip_fp9 = s.candles.late


@njit(cache=True, nogil=True)
def footprint(s, p, o, now, grid):
    d = s.core.decision
    for f in range(3):
        c = closed_candle(s.candles, f, 1)
        d.delta += (f + 1) * c.poc
        d.entry_delta += (f + 1) * c.value_high
        d.delta_z_fp9 += (f + 1) * c.value_low
        d.book_fp9 += (f + 1) * c.value_fp9
    d.flip_fp9 = s.footprint.merges


@njit(cache=True, nogil=True)
def vwap(s, p, o, now, grid):
    d = s.core.decision
    mean, sigma = vwap_value(s.vwap.session)
    d.delta = fp9(mean * 1e-3)
    d.entry_delta = fp9(sigma)
    mean, sigma = vwap_value(s.vwap.anchored)
    d.delta_z_fp9 = fp9(mean * 1e-3)
    d.book_fp9 = fp9(sigma)
    d.flip_fp9 = fp9(vwap_z(s.vwap.session, d.price))


@njit(cache=True, nogil=True)
def book(s, p, o, now, grid):
    d = s.core.decision
    d.delta = s.book.ofi[0] + 3 * s.book.ofi[5] + s.book.mlofi[1]
    d.entry_delta = s.book.imbalance5_fp9 + 3 * s.book.imbalance25_fp9
    d.delta_z_fp9 = fp9(s.book.queue) + s.book.imbalance10_fp9
    d.book_fp9 = fp9(s.book.bid_share)
    d.flip_fp9 = fp9(s.book.micro * 1e-3) + s.book.stale


@njit(cache=True, nogil=True)
def atr(s, p, o, now, grid):
    d = s.core.decision
    for f in range(3):
        d.delta += (f + 1) * s.atr.range_sum[f]
        d.entry_delta += (f + 1) * fp9(s.atr.value[f] * 1e-3)
        d.flip_fp9 += (f + 1) * s.atr.ready[f]


PROBES = {f.__name__: f for f in (sides, flow, windows, candles, footprint, vwap, book, atr)}
PROBES |= {f.__name__: f for f in divergence.ALL}
PROBES.update(probes_rows.PROBES)
PROBES.update(probes_levels.PROBES)
PROBES |= MARKET_PROBES
PROBES |= TRADING_PROBES
PROBES |= PROXY_PROBES
PROBES |= PLAN_PROBES
PROBES |= probes_classifier.PROBES
STATE = np.dtype([("unused", "i8")])


def alone(name: str) -> Strategy:
    """The do-nothing strategy over handler ``name``; KeyError where it has no probe."""
    return Strategy(
        f"probe_{name}",
        f"Probe {name}.",
        (*BESIDE.get(name, ()), name),
        (),
        STATE,
        PROBES[name],
        overrides=short((name,)),
    )


def short(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Settings under which the detectors among ``names`` speak on a tape of minutes."""
    needed = {h.name for h in resolve(names)}
    proxied = PROXY_SHORT if "proxy" in needed else ()
    return (divergence.SHORT if "impact" in needed else ()) + proxied
