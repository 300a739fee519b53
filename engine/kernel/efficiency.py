"""Efficiency ratio: how much of the way that price went led anywhere.

Owns |sum of changes| / sum of |changes| over closed one-minute candles (P. J. Kaufman, Smarter
Trading, 1995): 1 on a straight line, about 1 / sqrt(n) on a random walk, 0 where price came back.
What must hold: closed candles only, none of them touched by a gap. It refuses to know what trend
a trader means: the threshold is its caller's.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP, closed_candle
from engine.kernel.numbers import fp9

MINUTES = 1


@njit(cache=True, nogil=True)
def efficiency_fp9(candles, bars):
    """Efficiency ratio of the last ``bars`` one-minute changes, at 1e-9; -1 where it is unknown.

    0 where price did not move at all. ``bars`` from 1 to 250.
    """
    if candles.started == 0 or candles.closed[MINUTES] <= bars:
        return np.int64(-1)
    flags = candles.open[MINUTES].flags
    later = closed_candle(candles, MINUTES, 1).close
    ends = later
    flags |= closed_candle(candles, MINUTES, 1).flags
    way = np.int64(0)
    for back in range(2, bars + 2):
        c = closed_candle(candles, MINUTES, back)
        flags |= c.flags
        way += abs(later - c.close)
        later = c.close
    if flags & FLAG_GAP:
        return np.int64(-1)
    if way == 0:
        return np.int64(0)
    return fp9(float(abs(ends - later)) / float(way))
