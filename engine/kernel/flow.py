"""Delta and CVD with a session anchor.

Owns the running sums of aggressor volume since the session began. CVD is exact: int64 quantity,
no rounding. After a gap it goes on and is marked approximate until the next session. Trades of
unknown side count in ``unknown`` only. It refuses to know about windows or candles.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FLOW_STATE = np.dtype(
    [
        ("cvd", "i8"),
        ("buy", "i8"),
        ("sell", "i8"),
        ("unknown", "i8"),
        ("trades", "i8"),
        ("sessions", "i8"),
        ("approximate", "i8"),
    ],
    align=True,
)
"""Quantities (int64, scaled) and counts since the session anchor; sessions seen; gap marker."""


@njit(cache=True, nogil=True)
def flow_trades(s, qty, side, i, j):
    """Add trades [i, j): qty int64, side int8 in {-1, 0, +1}."""
    buy = np.int64(0)
    sell = np.int64(0)
    total = np.int64(0)
    qtys = qty[i:j]
    sides = side[i:j]
    for k in range(len(qtys)):
        q = qtys[k]
        d = np.int64(sides[k])
        total += q
        buy += q * np.int64(d > 0)
        sell += q * np.int64(d < 0)
    s.buy += buy
    s.sell += sell
    s.unknown += total - buy - sell
    s.cvd += buy - sell
    s.trades += j - i


@njit(cache=True, nogil=True)
def flow_session(s):
    """A new session begins: every sum starts at zero and is exact again."""
    s.cvd = 0
    s.buy = 0
    s.sell = 0
    s.unknown = 0
    s.trades = 0
    s.approximate = 0
    s.sessions += 1


@njit(cache=True, nogil=True)
def flow_gap(s):
    """Trades were missed: sums go on but are approximate until the next session."""
    s.approximate = 1
