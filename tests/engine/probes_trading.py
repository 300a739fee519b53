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


TRADING_PROBES = {f.__name__: f for f in (flip, exits)}
