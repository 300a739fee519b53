"""Order-flow flip: the flow turns against the position.

Owns the two exit rules. ``seed`` (reference "orderflow" 11.7): the delta of a 30 s window stored at
entry; exit when the current window's delta is at or beyond -80 % of it, and never when the stored
delta had the sign opposite to the position. ``cusum`` (6.5, Page's one-sided test): with
x_t = direction * delta_t / sigma of each window, S = max(0, S - x_t - k), exit at S > h; with k .5,
h 3 / 4 / 5 the mean run between false exits is 117.6 / 335.4 / 930.9 windows.
It refuses to know how sigma is measured and what closes the position.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.numbers import fp9

SEED = 0
CUSUM = 1
OFF = 2

FLIP_STATE = np.dtype([("entry_delta", "i8"), ("direction", "i8"), ("cusum_fp9", "i8")], align=True)
"""entry_delta: int64 quantity at entry; direction of the position; CUSUM statistic at 1e-9."""

FLIP_PARAMS = np.dtype(
    [("mode", "i8"), ("share_fp9", "i8"), ("k_fp9", "i8"), ("h_fp9", "i8")], align=True
)
"""mode SEED, CUSUM or OFF; share: .8 in the seed; k and h of the CUSUM; all at 1e-9."""


@njit(cache=True, nogil=True)
def flip_arm(s, direction, entry_delta):
    """A position was opened: direction +1 or -1, int64 delta of the window at entry."""
    s.direction = direction
    s.entry_delta = entry_delta
    s.cusum_fp9 = 0


@njit(cache=True, nogil=True)
def flip_disarm(s):
    """The position is gone."""
    s.direction = 0
    s.entry_delta = 0
    s.cusum_fp9 = 0


@njit(cache=True, nogil=True)
def flip_seed(s, p, delta):
    """The seed's rule on the current window's int64 delta; True means flip."""
    bound = float(p.share_fp9) * 1e-9 * abs(float(s.entry_delta))
    if s.direction > 0 and s.entry_delta > 0:
        return float(delta) <= -bound
    if s.direction < 0 and s.entry_delta < 0:
        return float(delta) >= bound
    return False


@njit(cache=True, nogil=True)
def flip_cusum(s, p, z):
    """Fold one window's z = delta / sigma (float); True when the statistic passes h."""
    s.cusum_fp9 = max(np.int64(0), s.cusum_fp9 - fp9(float(s.direction) * z) - p.k_fp9)
    return s.cusum_fp9 > p.h_fp9
