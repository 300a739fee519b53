"""Order blocks: the last candle against the market before a move that broke a level.

Owns the table of blocks and what stands against each. At the close of a candle (1 m, and 5 m where
asked), upwards (downwards everything is turned round):

    break         this close lies beyond the last pivot high, the close before did not
    block         the last falling candle among the ``candles`` before it, not this one itself
    displacement  this close less that of the block >= ``displacement`` ATR of the same timeframe
    zone          [low, high] of the block, until trades go through it or ``life`` is over

While price is inside a block (the youngest that holds it), the block is validated by what the seed
names (reference "orderflow" 11.2 says that it reads delta, CVD trend and absorption zones; its rule
is not given, so this one is ours): delta of the candles after the block had its sign, the trend of
the CVD has it now, and no absorption zone of the other side overlaps it. ``signal`` speaks when all
three agree. What must hold: closed candles only; nothing across a gap; no block is told before the
candle that breaks has closed. It refuses to know who placed what orders there.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.candles import FLAG_GAP, closed_candle
from engine.kernel.pivots import HIGH, LOW, pivot
from engine.kernel.signals import SIGNAL_STATE, signal_stand, signal_unready

BLOCKS = 16
MINUTE = np.int64(1)
FIVE = np.int64(2)
QUARTER = np.int64(0)
ONLY_MINUTES, ONLY_FIVES = 1, 2

BLOCK = np.dtype(
    [
        ("low", "i8"),
        ("high", "i8"),
        ("side", "i8"),
        ("frame", "i8"),
        ("born_ns", "i8"),
        ("until_ns", "i8"),
        ("delta", "i8"),
        ("moved_fp9", "i8"),
    ],
    align=True,
)
"""low, high: price units, inclusive; side +1 or -1; frame 1 (1 m) or 2 (5 m); delta: int64 quantity
of the candles after it up to the break; moved: the displacement in ATR."""

ORDER_BLOCK_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("side", "i8"),
        ("delta_side", "i8"),
        ("cvd_side", "i8"),
        ("zones_side", "i8"),
        ("cvd_ready", "i8"),
        ("zones_ready", "i8"),
        ("n", "i8"),
        ("added", "i8"),
        ("mitigated", "i8"),
        ("expired", "i8"),
        ("displaced", "i8"),
        ("blocks", BLOCK, (BLOCKS,)),
    ],
    align=True,
)
"""side: of the block that price is in, 0 in none; delta_side, cvd_side, zones_side: that side where
the validation holds, else 0; blocks[:n] live, oldest first; the rest counts what became of all."""

ORDER_BLOCK_PARAMS = np.dtype(
    [("frames", "i8"), ("candles", "i8"), ("displacement_fp9", "i8"), ("life_ns", "i8")],
    align=True,
)
"""frames: 0 both, ONLY_MINUTES, ONLY_FIVES; candles: how far back the block may lie."""


@njit(cache=True, nogil=True)
def _drop(s, k):
    for x in range(k, s.n - 1):
        s.blocks[x] = s.blocks[x + 1]
    s.n -= 1


@njit(cache=True, nogil=True)
def _through(s, low, high):
    """Trades happened at int64 prices low..high: blocks that they went through are mitigated."""
    k = np.int64(0)
    while k < s.n:
        r = s.blocks[k]
        if (r.side > 0 and low < r.low) or (r.side < 0 and high > r.high):
            _drop(s, k)
            s.mitigated += 1
        else:
            k += 1


@njit(cache=True, nogil=True)
def _expire(s, now_ns):
    k = np.int64(0)
    while k < s.n:
        if now_ns >= s.blocks[k].until_ns:
            _drop(s, k)
            s.expired += 1
        else:
            k += 1


@njit(cache=True, nogil=True)
def _keep(s, p, block, side, frame, delta, moved, now_ns):
    """A new block over candle ``block``; a full table gives up its oldest."""
    if s.n == BLOCKS:
        _drop(s, np.int64(0))
        s.displaced += 1
    r = s.blocks[s.n]
    r.low = block.low
    r.high = block.high
    r.side = side
    r.frame = frame
    r.born_ns = now_ns
    r.until_ns = now_ns + p.life_ns
    r.delta = delta
    r.moved_fp9 = moved
    s.n += 1
    s.added += 1


@njit(cache=True, nogil=True)
def _breaks(pivots, side, close, before):
    """True when ``close`` is the first beyond the last pivot of that side (int64 prices)."""
    kind = HIGH if side > 0 else LOW
    if pivots.count[kind] == 0:
        return False
    level = pivot(pivots, kind, np.int64(1)).price
    return side * (close - level) > 0 and side * (before - level) <= 0


@njit(cache=True, nogil=True)
def _find(s, p, candles, pivots, atr, frame, side, now_ns):
    """Look for the block of a break on ``side`` at the close of a candle of ``frame``."""
    reach = min(p.candles + 1, candles.closed[frame])
    if reach < 2 or atr.ready[frame] == 0 or atr.value[frame] <= 0.0:
        return
    last = closed_candle(candles, frame, np.int64(1))
    flags = last.flags
    if not _breaks(pivots, side, last.close, closed_candle(candles, frame, np.int64(2)).close):
        return
    delta = last.buy - last.sell
    for back in range(2, reach + 1):
        c = closed_candle(candles, frame, np.int64(back))
        flags |= c.flags
        if flags & FLAG_GAP:
            return
        if side * (c.close - c.open) < 0:
            moved = float(side * (last.close - c.close)) / atr.value[frame]
            moved_fp9 = np.int64(np.rint(moved * FP9))
            if moved_fp9 >= p.displacement_fp9:
                _keep(s, p, c, side, frame, delta, moved_fp9, now_ns)
            return
        delta += c.buy - c.sell


@njit(cache=True, nogil=True)
def order_block_candle(s, p, candles, pivots, atr, frames):
    """Candles of the first ``frames`` timeframes have closed: blocks are broken and found."""
    quarter = closed_candle(candles, QUARTER, np.int64(1))
    if quarter.trades > 0:
        _through(s, quarter.low, quarter.high)
    now_ns = candles.open[QUARTER].open_ns
    for side in (np.int64(1), np.int64(-1)):
        if frames >= 2 and p.frames != ONLY_FIVES:
            _find(s, p, candles, pivots, atr, MINUTE, side, now_ns)
        if frames >= 3 and p.frames != ONLY_MINUTES:
            _find(s, p, candles, pivots, atr, FIVE, side, now_ns)


@njit(cache=True, nogil=True)
def order_block_gap(s):
    """Trades were missed: every block may have been gone through."""
    s.n = 0
    s.side = 0
    s.delta_side = 0
    s.cvd_side = 0
    s.zones_side = 0
    signal_unready(s.signal)


@njit(cache=True, nogil=True)
def _holding(s, price):
    """Index of the youngest block that holds int64 ``price``, or -1."""
    best = np.int64(-1)
    for k in range(s.n):
        if s.blocks[k].low <= price and price <= s.blocks[k].high:
            best = np.int64(k)
    return best


@njit(cache=True, nogil=True)
def _free(zones, r):
    """True when no absorption zone (ZONES_STATE record) of the other side overlaps block ``r``."""
    found = False
    for k in range(zones.n):
        z = zones.items[k]
        found |= z.side == -r.side and z.low <= r.high and z.high >= r.low
    return not found


@njit(cache=True, nogil=True)
def _validate(s, r, trend, absorption):
    """Ask the three validations of block ``r`` (record)."""
    none = np.int64(0)
    s.side = r.side
    s.delta_side = r.side if r.side * r.delta > 0 else none
    s.cvd_side = r.side if trend.signal.direction == r.side else none
    s.zones_side = r.side if _free(absorption.zones, r) else none


@njit(cache=True, nogil=True)
def order_block_boundary(s, p, candles, atr, trend, absorption, price, now_ns):
    """A boundary (ns): is int64 ``price`` in a block, and what speaks for it."""
    _expire(s, now_ns)
    none = np.int64(0)
    s.side = none
    s.delta_side = none
    s.cvd_side = none
    s.zones_side = none
    s.cvd_ready = trend.signal.ready
    s.zones_ready = absorption.signal.ready
    if candles.started == 0 or atr.ready[MINUTE] == 0:
        signal_unready(s.signal)
        return
    if candles.open[QUARTER].trades > 0:
        _through(s, candles.open[QUARTER].low, candles.open[QUARTER].high)
    least = float(p.displacement_fp9) / FP9
    k = _holding(s, price)
    if k < 0:
        signal_stand(s.signal, now_ns, none, 0.0, 0.0, least)
        return
    r = s.blocks[k]
    _validate(s, r, trend, absorption)
    agreed = s.delta_side != 0 and s.cvd_side != 0 and s.zones_side != 0
    moved = float(r.moved_fp9) / FP9
    direction = r.side if agreed else none
    if s.cvd_ready == 0 or s.zones_ready == 0:
        signal_unready(s.signal)
    else:
        signal_stand(s.signal, now_ns, direction, moved / (moved + least), moved, least)
