"""Where a value stands among its own past: the mid-rank in a bounded ring.

Owns a ring of the last ``HISTORY`` values with their times. The rank of x is the share of kept
values below it plus half the share equal to it, so a constant stands at one half and no unit or
scale matters. What must hold: a value is ranked before it is pushed (past only); values that turn
out to lie in a hole of the data can be taken back. It refuses to know what it ranks.
"""

from __future__ import annotations

import numpy as np
from numba import njit

HISTORY = 256
MASK = HISTORY - 1

RANKS = np.dtype(
    [("have", "i8"), ("at", "i8"), ("values", "f8", (HISTORY,)), ("times", "i8", (HISTORY,))],
    align=True,
)
"""have: values kept; at: next place; times in ns."""


@njit(cache=True, nogil=True)
def rank_of(r, x):
    """Mid-rank in [0, 1] of float ``x`` among the kept values; one half when there are none."""
    if r.have == 0:
        return 0.5
    twice = np.int64(0)
    for back in range(1, r.have + 1):
        v = r.values[(r.at - back) & MASK]
        twice += np.int64(v < x) + np.int64(v <= x)
    return float(twice) / float(2 * r.have)


@njit(cache=True, nogil=True)
def rank_push(r, time_ns, x):
    """Keep float ``x`` of ``time_ns``; the oldest goes when the ring is full."""
    r.values[r.at] = x
    r.times[r.at] = time_ns
    r.at = (r.at + 1) & MASK
    r.have = min(r.have + 1, HISTORY)


@njit(cache=True, nogil=True)
def rank_drop(r, from_ns):
    """Take back every value later than ``from_ns``: what it was taken from was not whole."""
    while r.have > 0 and r.times[(r.at - 1) & MASK] > from_ns:
        r.at = (r.at - 1) & MASK
        r.have -= 1
