"""Average true range of the last closed candles: the yardstick of detectors, stops and zones.

Owns, for each timeframe, the sum of the true ranges of the last ``length`` closed candles, exact
in int64. True range = max(high, close before) - min(low, close before) (J. Welles Wilder, New
Concepts in Technical Trading Systems, 1978); averaged plainly over its window, not by his
recursion, so that it forgets: no candle before the window and no start of the process weighs in.
What must hold: closed candles only; not ready while one of them, or the one before, reaches over a
gap or is missing (the first candle of all gives its close alone, because it began in its middle).
It refuses to know what its range is used for.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP, FRAMES, closed_candle

ATR_STATE = np.dtype(
    [("ready", "i8", (FRAMES,)), ("range_sum", "i8", (FRAMES,)), ("value", "f8", (FRAMES,))],
    align=True,
)
"""By timeframe (15 s, 1 m, 5 m): ready 0 or 1; sum of true ranges and their mean, price units."""

ATR_PARAMS = np.dtype([("length", "i8")], align=True)
"""length: candles averaged, 1 to 250."""


@njit(cache=True, nogil=True)
def atr_candle(s, p, candles, frames):
    """The first ``frames`` timeframes have just closed a candle: sum their windows anew."""
    for f in range(frames):
        total = np.int64(0)
        whole = candles.closed[f] > p.length
        back = np.int64(1)
        while whole and back <= p.length:
            c = closed_candle(candles, f, back)
            before = closed_candle(candles, f, back + 1)
            whole = ((c.flags | before.flags) & FLAG_GAP) == 0
            total += max(c.high, before.close) - min(c.low, before.close)
            back += 1
        s.ready[f] = 1 if whole else 0
        s.range_sum[f] = total if whole else 0
        s.value[f] = float(s.range_sum[f]) / float(p.length)


@njit(cache=True, nogil=True)
def atr_gap(s):
    """Trades were missed: nothing is known until windows are whole again."""
    for f in range(FRAMES):
        s.ready[f] = 0
        s.range_sum[f] = 0
        s.value[f] = 0.0
