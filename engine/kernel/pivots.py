"""Pivots: highs and lows of closed one-minute candles that stand out from their neighbours.

Owns the last pivots of each kind with the CVD at each. A bar is a high pivot when its high is
greater than that of each of the ``bars`` before it and not less than that of each of the ``bars``
after it (a low pivot mirrored): of equal highs the first counts, and a flat market has none. A
pivot is known ``bars`` minutes after it, never earlier. One that follows the last of its kind by
less than ``separation`` bars takes its place if it is more extreme, else it is passed over
(reference "orderflow" 6.1, defects 3 and 5). After a gap in the trades all pivots are forgotten:
nothing is compared across it. It refuses to know what a pivot means.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP, closed_candle

MINUTE = np.int64(1)
"""Index of the one-minute timeframe."""
HIGH = np.int64(0)
LOW = np.int64(1)
RING = 16
MASK = RING - 1

PIVOT = np.dtype(
    [
        ("bar", "i8"),
        ("open_ns", "i8"),
        ("price", "i8"),
        ("close", "i8"),
        ("cvd", "i8"),
        ("trades", "i8"),
    ],
    align=True,
)
"""bar: number of the minute (``PIVOTS_STATE.bars`` counts them); price: its high or low; cvd: sum
of aggressor volume to the end of that minute, trades: of trades; only their differences mean
something."""

PIVOTS_STATE = np.dtype(
    [
        ("bars", "i8"),
        ("run", "i8"),
        ("cvd", "i8"),
        ("trades", "i8"),
        ("count", "i8", (2,)),
        ("fresh", "i8", (2,)),
        ("ring", PIVOT, (2 * RING,)),
    ],
    align=True,
)
"""bars: minutes closed; run: minutes closed since the last gap; count: pivots since then, by kind
(HIGH, LOW); fresh: 1 when the last closed minute confirmed one; ring: kind * RING + n."""

PIVOTS_PARAMS = np.dtype([("bars", "i8"), ("separation", "i8")], align=True)
"""bars on each side; least distance in bars of two pivots of a kind."""


@njit(cache=True, nogil=True)
def pivot(s, kind, back):
    """The pivot of ``kind`` (HIGH or LOW), ``back`` ago (1 = the last); ask ``count`` first."""
    return s.ring[kind * RING + ((s.count[kind] - back) & MASK)]


@njit(cache=True, nogil=True)
def pivots_kept(s, kind):
    """How many pivots of ``kind`` can be read, at most RING."""
    return min(s.count[kind], RING)


@njit(cache=True, nogil=True)
def pivots_gap(s):
    """Trades were missed: every pivot is forgotten."""
    s.run = 0
    for kind in range(2):
        s.count[kind] = 0
        s.fresh[kind] = 0


@njit(cache=True, nogil=True)
def _height(candles, kind, back):
    """How extreme a minute is: its high, or its low turned round (int64 price)."""
    c = closed_candle(candles, MINUTE, back)
    return c.high if kind == HIGH else -c.low


@njit(cache=True, nogil=True)
def _stands_out(candles, kind, bars):
    """True when the minute ``bars`` + 1 ago is a pivot of ``kind``."""
    middle = bars + 1
    top = _height(candles, kind, middle)
    for x in range(1, middle):
        if _height(candles, kind, middle - x) > top or _height(candles, kind, middle + x) >= top:
            return False
    return True


@njit(cache=True, nogil=True)
def _keep(s, p, candles, kind):
    """Put the minute ``bars`` + 1 ago into the ring, unless the last of its kind is too near."""
    back = p.bars + 1
    bar = s.bars - back
    c = closed_candle(candles, MINUTE, back)
    if s.count[kind] > 0:
        last = s.ring[kind * RING + ((s.count[kind] - 1) & MASK)]
        if bar - last.bar < p.separation:
            higher = c.high > last.price if kind == HIGH else c.low < last.price
            if not higher:
                return
            s.count[kind] -= 1
    r = s.ring[kind * RING + (s.count[kind] & MASK)]
    r.bar = bar
    r.open_ns = c.open_ns
    r.price = c.high if kind == HIGH else c.low
    r.close = c.close
    r.cvd = s.cvd
    r.trades = s.trades
    for x in range(1, back):
        later = closed_candle(candles, MINUTE, np.int64(x))
        r.cvd -= later.buy - later.sell
        r.trades -= later.trades
    s.count[kind] += 1
    s.fresh[kind] = 1


@njit(cache=True, nogil=True)
def pivots_minute(s, p, candles):
    """A minute has closed (CANDLES_STATE record): find what it confirms."""
    last = closed_candle(candles, MINUTE, np.int64(1))
    s.bars = candles.closed[MINUTE]
    s.cvd += last.buy - last.sell
    s.trades += last.trades
    if last.flags & FLAG_GAP:
        pivots_gap(s)
        return
    s.run += 1
    for kind in range(2):
        s.fresh[kind] = 0
        if s.run > 2 * p.bars and _stands_out(candles, kind, p.bars):
            _keep(s, p, candles, kind)
