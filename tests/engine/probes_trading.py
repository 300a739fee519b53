"""Do-nothing strategies over the handlers that trade."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def flip(s, p, o, now, grid):
    s.core.decision.flip_fp9 = s.flip.cusum_fp9


@njit(cache=True, nogil=True)
def exits(s, p, o, now, grid):
    s.core.decision.flip_fp9 = s.exits.best
    s.core.decision.stop = s.exits.stop


@njit(cache=True, nogil=True)
def lifecycle(s, p, o, now, grid):
    d = s.core.decision
    d.delta = s.lifecycle.since_ns
    d.entry_delta = s.lifecycle.steps + 1000 * s.lifecycle.illegal


@njit(cache=True, nogil=True)
def risk(s, p, o, now, grid):
    d = s.core.decision
    d.delta = s.risk.bid + 3 * s.risk.ask_price
    d.entry_delta = s.risk.touch_ns
    d.cvd = s.risk.trade_ns
    d.book_fp9 = s.risk.gap_ns
    d.flip_fp9 = s.risk.day + 7 * s.risk.paused


@njit(cache=True, nogil=True)
def reference(s, p, o, now, grid):
    d = s.core.decision
    d.delta = s.reference.vix_fp9
    d.entry_delta = s.reference.at_ns
    d.flip_fp9 = s.reference.known


@njit(cache=True, nogil=True)
def desk(s, p, o, now, grid):
    s.core.decision.delta = s.desk.entries
    s.core.decision.stop = s.desk.idea.stop


TRADING_PROBES = {f.__name__: f for f in (flip, exits, lifecycle, risk, reference, desk)}
