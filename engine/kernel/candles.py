"""Candles of 15 s, 1 m and 5 m from trades, by exchange time.

Owns the open candle of each timeframe and a bounded ring of closed ones. Only the 15 s candle is
touched per trade; longer ones are rolled up from closed 15 s candles, exactly: extremes of the
running delta inside a longer candle are the extremes of (sum so far + inner extreme). A candle
closes when a trade at or past its end is folded, or when engine time passes its end by
``grace_ns``. Empty candles are present with volume 0 at the last close. A trade later than its
candle is counted in ``late`` and added to the open one, so that no volume is lost.
It refuses to know about price levels inside a candle (see ``footprint``).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import NS

SPANS_NS = (15 * NS, 60 * NS, 300 * NS)
"""Timeframes in ns; index 0, 1, 2 everywhere."""
FRAMES = len(SPANS_NS)
RING = 256
MASK = RING - 1
_SPANS = np.array(SPANS_NS, dtype=np.int64)
FLAG_GAP = 1

CANDLE = np.dtype(
    [
        ("open_ns", "i8"),
        ("open", "i8"),
        ("high", "i8"),
        ("low", "i8"),
        ("close", "i8"),
        ("volume", "i8"),
        ("buy", "i8"),
        ("sell", "i8"),
        ("trades", "i8"),
        ("delta_min", "i8"),
        ("delta_max", "i8"),
        ("poc", "i8"),
        ("value_high", "i8"),
        ("value_low", "i8"),
        ("value_fp9", "i8"),
        ("flags", "i8"),
    ],
    align=True,
)
"""One candle: prices and quantities int64 scaled; delta_min/max of the running delta from 0;
poc, value_high, value_low: lower edge of a price row, 0 without a footprint."""

CANDLES_STATE = np.dtype(
    [
        ("started", "i8"),
        ("end_ns", "i8"),
        ("last_close", "i8"),
        ("late", "i8"),
        ("closed", "i8", (FRAMES,)),
        ("open", CANDLE, (FRAMES,)),
        ("ring", CANDLE, (FRAMES * RING,)),
    ],
    align=True,
)
"""end_ns: end of the open 15 s candle; closed: candles closed by frame; ring: frame * RING + n."""

CANDLES_PARAMS = np.dtype([("grace_ns", "i8")], align=True)
"""grace_ns: how long after its end a candle waits for late trades when no newer trade comes."""


@njit(cache=True, nogil=True)
def _begin(c, open_ns, price):
    c.open_ns = open_ns
    c.open = price
    c.high = price
    c.low = price
    c.close = price
    c.volume = 0
    c.buy = 0
    c.sell = 0
    c.trades = 0
    c.delta_min = 0
    c.delta_max = 0
    c.poc = 0
    c.value_high = 0
    c.value_low = 0
    c.value_fp9 = 0
    c.flags = 0


@njit(cache=True, nogil=True)
def candles_start(s, ts_ns, price):
    """Open the first candle of every timeframe around the first trade (ns, int64 price)."""
    s.started = 1
    s.last_close = price
    for f in range(FRAMES):
        _begin(s.open[f], ts_ns // _SPANS[f] * _SPANS[f], price)
    s.end_ns = s.open[0].open_ns + _SPANS[0]


@njit(cache=True, nogil=True)
def candles_limit(s, ts_ns):
    """Time (ns) before which the trades lie that join the one at ``ts_ns`` in its 15 s candle."""
    if s.started == 1:
        return s.end_ns
    return (ts_ns // _SPANS[0] + 1) * _SPANS[0]


@njit(cache=True, nogil=True)
def candles_trades(s, ts, price, qty, side, i, j):
    """Add trades [i, j), none at or past ``end_ns``: int64 ns, price, qty; side int8."""
    c = s.open[0]
    start = c.open_ns
    first = c.trades == 0
    high = price[i] if first else c.high
    low = price[i] if first else c.low
    if first:
        c.open = price[i]
    times = ts[i:j]
    prices = price[i:j]
    qtys = qty[i:j]
    sides = side[i:j]
    volume = np.int64(0)
    late = np.int64(0)
    for k in range(len(prices)):
        high = max(high, prices[k])
        low = min(low, prices[k])
        volume += qtys[k]
        late += np.int64(times[k] < start)
    delta = c.buy - c.sell
    lo = c.delta_min
    hi = c.delta_max
    buy = c.buy
    for k in range(len(qtys)):
        q = qtys[k]
        d = np.int64(sides[k])
        delta += q * d
        buy += q * np.int64(d > 0)
        lo = min(lo, delta)
        hi = max(hi, delta)
    sell = buy - delta
    c.high = high
    c.low = low
    c.close = price[j - 1]
    c.volume += volume
    c.buy = buy
    c.sell = sell
    c.delta_min = lo
    c.delta_max = hi
    c.trades += j - i
    s.late += late


@njit(cache=True, nogil=True)
def _roll_up(big, small):
    """Add a closed 15 s candle to the open longer one."""
    if small.trades > 0:
        if big.trades == 0:
            big.open = small.open
            big.high = small.high
            big.low = small.low
        big.high = max(big.high, small.high)
        big.low = min(big.low, small.low)
        big.close = small.close
        so_far = big.buy - big.sell
        big.delta_min = min(big.delta_min, so_far + small.delta_min)
        big.delta_max = max(big.delta_max, so_far + small.delta_max)
        big.volume += small.volume
        big.buy += small.buy
        big.sell += small.sell
        big.trades += small.trades
    big.flags |= small.flags


@njit(cache=True, nogil=True)
def _keep(s, f):
    """Copy the open candle of frame ``f`` into the ring."""
    s.ring[f * RING + (s.closed[f] & MASK)] = s.open[f]
    s.closed[f] += 1


@njit(cache=True, nogil=True)
def candles_close(s):
    """Close the open 15 s candle and every longer one that ends with it; open the next.

    Returns how many timeframes closed (1 to 3). A footprint must have written its rows before.
    """
    end = s.end_ns
    small = s.open[0]
    if small.trades > 0:
        s.last_close = small.close
    n = np.int64(1)
    for f in range(1, FRAMES):
        big = s.open[f]
        _roll_up(big, small)
        if big.open_ns + _SPANS[f] == end:
            n += 1
    for f in range(n):
        _keep(s, f)
        _begin(s.open[f], end, s.last_close)
    s.end_ns = end + _SPANS[0]
    return n


@njit(cache=True, nogil=True)
def candles_due(s, p, now_ns):
    """True when engine time has passed the end of the open 15 s candle by the grace."""
    return s.started == 1 and s.end_ns + p.grace_ns <= now_ns


@njit(cache=True, nogil=True)
def candles_gap(s, from_ns):
    """Trades were missed from ``from_ns`` on: every candle that reaches beyond it is marked.

    The hole is told at its end, so candles inside it may have closed already.
    """
    if s.started == 0:
        return
    for f in range(FRAMES):
        s.open[f].flags |= FLAG_GAP
        back = np.int64(1)
        while back <= min(s.closed[f], RING):
            c = s.ring[f * RING + ((s.closed[f] - back) & MASK)]
            if c.open_ns + _SPANS[f] <= from_ns:
                break
            c.flags |= FLAG_GAP
            back += 1


@njit(cache=True, nogil=True)
def closed_candle(s, frame, back):
    """Closed candle of ``frame``, ``back`` candles ago (1 = the last); ask ``closed`` first."""
    return s.ring[frame * RING + ((s.closed[frame] - back) & MASK)]
