"""Footprint and volume profile of every candle: quantity by price row and aggressor.

Owns three grids of price rows (15 s, 1 m, 5 m): sell, unknown and buy quantity a row. A row is
``row_units`` price units high. The grid never drops volume: when a candle's range outgrows it,
the grid moves, and when even that is not enough, neighbouring rows merge pairwise (``shift``
grows by one), so the rows always sum exactly to the trades. Only the 15 s grid is touched per
trade; at its close the rows are added to the longer grids.

Point of control: the row of most volume, the upper one on a tie. Value area: from the point of
control outwards, one row at a time, the larger neighbour first (tie: the nearer to the point of
control, then the upper), until at least ``value_fp9`` (70 %) of the volume lies inside; the share
reached is reported. It refuses to know about time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.numbers import ratio_of

ROWS = 2048
SELL = 0
UNKNOWN = 1
BUY = 2

GRID = np.dtype(
    [
        ("base", "i8"),
        ("shift", "i8"),
        ("low", "i8"),
        ("high", "i8"),
        ("used", "i8"),
        ("unknown", "i8"),
        ("cells", "i8", (3, ROWS)),
        ("volume", "i8", (ROWS,)),
    ],
    align=True,
)
"""base: absolute bin of cell 0; shift: rows are row_units * 2**shift; low..high: cells touched;
unknown: 1 when a trade of unknown side was added; volume: the sides of each cell added up,
written when the grid is described."""

FOOTPRINT_STATE = np.dtype(
    [("quarter", GRID), ("minute", GRID), ("five", GRID), ("merges", "i8")], align=True
)
"""Grids of the open 15 s, 1 m and 5 m candle; merges: how often rows had to merge."""

FOOTPRINT_PARAMS = np.dtype([("row_units", "i8"), ("value_fp9", "i8")], align=True)
"""row_units: height of a row in price units; value_fp9: share of the value area at 1e-9."""


@njit(cache=True, nogil=True)
def grid_clear(g):
    """Forget every row; the next trade places the grid."""
    if g.used == 1:
        for side in range(SELL, BUY + 1, 1 if g.unknown else 2):
            row = g.cells[side, g.low : g.high + 1]
            for k in range(len(row)):
                row[k] = 0
    g.used = 0
    g.unknown = 0
    g.shift = 0
    g.base = 0
    g.low = 0
    g.high = 0


@njit(cache=True, nogil=True)
def _place(g, row):
    """First row of an empty grid: the middle of the cells."""
    g.base = (row >> g.shift) - ROWS // 2
    g.low = ROWS // 2
    g.high = ROWS // 2
    g.used = 1


@njit(cache=True, nogil=True)
def _merge_rows(g):
    """Double the height of the rows in place; volume is kept exactly."""
    old = g.base
    new_base = (old + g.low) >> 1
    low = np.int64(0)
    high = ((old + g.high) >> 1) - new_base
    for side in range(3):
        target = np.int64(-1)
        for x in range(g.low, g.high + 1):
            q = g.cells[side, x]
            g.cells[side, x] = 0
            y = ((old + x) >> 1) - new_base
            if y == target:
                g.cells[side, y] += q
            else:
                g.cells[side, y] = q
                target = y
    g.base = new_base
    g.low = low
    g.high = high
    g.shift += 1


@njit(cache=True, nogil=True)
def _move(g, offset):
    """Shift the touched cells by ``offset`` places (positive: towards higher indices)."""
    n = g.high - g.low + 1
    for side in range(3):
        if offset > 0:
            for k in range(n - 1, -1, -1):
                q = g.cells[side, g.low + k]
                g.cells[side, g.low + k] = 0
                g.cells[side, g.low + k + offset] = q
        else:
            for k in range(n):
                q = g.cells[side, g.low + k]
                g.cells[side, g.low + k] = 0
                g.cells[side, g.low + k + offset] = q
    g.base -= offset
    g.low += offset
    g.high += offset


@njit(cache=True, nogil=True)
def grid_make_room(g, row):
    """Make ``row`` (price // row_units) fit; returns how often rows merged to get there."""
    merges = np.int64(0)
    if g.used == 0:
        _place(g, row)
        return merges
    while True:
        x = (row >> g.shift) - g.base
        low = min(g.low, x)
        high = max(g.high, x)
        if high - low + 1 <= ROWS:
            break
        _merge_rows(g)
        merges += 1
    if low < 0 or high >= ROWS:
        _move(g, (ROWS - (high - low + 1)) // 2 - low)
    return merges


@njit(cache=True, nogil=True)
def footprint_trades(s, p, price, qty, side, i, j):
    """Add trades [i, j) to the 15 s grid: price, qty int64; side int8 in {-1, 0, +1}."""
    g = s.quarter
    units = p.row_units
    base = g.base
    shift = g.shift
    low = g.low
    high = g.high
    used = g.used
    unknown = g.unknown
    for k in range(i, j):
        row = price[k] if units == 1 else price[k] // units
        x = (row >> shift) - base
        if used == 0 or x < 0 or x >= ROWS:
            g.low = low
            g.high = high
            s.merges += grid_make_room(g, row)
            base = g.base
            shift = g.shift
            low = g.low
            high = g.high
            used = np.int64(1)
            x = (row >> shift) - base
        low = min(low, x)
        high = max(high, x)
        d = side[k]
        unknown |= np.int64(d == 0)
        g.cells[d + 1, x] += qty[k]
    g.low = low
    g.high = high
    g.unknown = unknown


@njit(cache=True, nogil=True)
def _add_aligned(big, small, offset):
    """Add cell by cell where both grids have rows of one height (a loop that vectorises)."""
    for side in range(SELL, BUY + 1, 1 if small.unknown else 2):
        to = big.cells[side, small.low + offset : small.high + 1 + offset]
        of = small.cells[side, small.low : small.high + 1]
        for k in range(len(of)):
            to[k] += of[k]


@njit(cache=True, nogil=True)
def _add_coarser(big, small, up):
    """Add the rows of ``small`` to rows that are 2**up times as high."""
    for side in range(3):
        for x in range(small.low, small.high + 1):
            q = small.cells[side, x]
            if q != 0:
                big.cells[side, ((small.base + x) >> up) - big.base] += q


@njit(cache=True, nogil=True)
def grid_add(big, small):
    """Add every row of ``small`` to ``big``; returns how often rows of ``big`` merged."""
    if small.used == 0:
        return np.int64(0)
    merges = np.int64(0)
    if big.used == 0:
        big.shift = small.shift
    while big.shift < small.shift:
        _merge_rows(big)
        merges += 1
    merges += grid_make_room(big, (small.base + small.low) << small.shift)
    big.low = min(big.low, ((small.base + small.low) << small.shift >> big.shift) - big.base)
    merges += grid_make_room(big, (small.base + small.high) << small.shift)
    big.high = max(big.high, ((small.base + small.high) << small.shift >> big.shift) - big.base)
    big.unknown |= small.unknown
    up = big.shift - small.shift
    if up == 0:
        _add_aligned(big, small, small.base - big.base)
    else:
        _add_coarser(big, small, up)
    return merges


@njit(cache=True, nogil=True)
def grid_price(g, units, x):
    """Lower edge, in price units, of cell ``x``."""
    return ((g.base + x) << g.shift) * units


@njit(cache=True, nogil=True)
def grid_total(g):
    """(int64 volume of all rows and sides, rows from the lowest to the highest traded)."""
    total = np.int64(0)
    for side in range(3):
        row = g.cells[side, g.low : g.high + 1]
        for k in range(len(row)):
            total += row[k]
    return total, g.high - g.low + 1


@njit(cache=True, nogil=True)
def least_volume(lots, rows_fp9, total, height):
    """Int64 quantity above which a row counts: ``lots``, or so many mean volumes of a row (1e-9).

    ``total`` quantity lies in ``height`` rows; exact.
    """
    return max(lots, ratio_of(total, rows_fp9) // height)


@njit(cache=True, nogil=True)
def _sum_sides(g):
    """Write each cell's volume over all sides; returns (total, largest)."""
    sell = g.cells[SELL, g.low : g.high + 1]
    unknown = g.cells[UNKNOWN, g.low : g.high + 1]
    buy = g.cells[BUY, g.low : g.high + 1]
    volume = g.volume[g.low : g.high + 1]
    total = np.int64(0)
    most = np.int64(0)
    for k in range(len(volume)):
        v = sell[k] + unknown[k] + buy[k]
        volume[k] = v
        total += v
        most = max(most, v)
    return total, most


@njit(cache=True, nogil=True)
def _share_of(total, share_fp9):
    """Least int64 quantity that is ``share_fp9`` (0 to 1 at 1e-9) of ``total``: exact, no float."""
    part = total % FP9 * share_fp9
    return total // FP9 * share_fp9 + (part + FP9 - 1) // FP9


@njit(cache=True, nogil=True)
def _grow(volume, bottom, top, poc, low, high, inside, wanted):
    """Widen [low, high] row by row until ``inside`` reaches ``wanted``; (low, high, inside)."""
    while inside < wanted and (low > bottom or high < top):
        up = volume[high + 1] if high < top else np.int64(-1)
        down = volume[low - 1] if low > bottom else np.int64(-1)
        if up > down or (up == down and high + 1 - poc <= poc - (low - 1)):
            high += 1
            inside += up
        else:
            low -= 1
            inside += down
    return low, high, inside


@njit(cache=True, nogil=True)
def value_area(g, value_fp9):
    """(poc, low, high, share_fp9) of a grid as cell indices; all 0 when it is empty."""
    if g.used == 0:
        return np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    total, most = _sum_sides(g)
    volume = g.volume
    poc = g.high
    while volume[poc] != most:
        poc -= 1
    wanted = _share_of(total, value_fp9)
    low, high, inside = _grow(volume, g.low, g.high, poc, poc, poc, most, wanted)
    reached = np.int64(0)
    if total > 0:
        reached = np.int64(np.rint(float(inside) / float(total) * FP9))
    return poc, low, high, reached


@njit(cache=True, nogil=True)
def _describe(g, p, candle):
    """Write point of control and value area of a grid into the candle that closes."""
    if g.used == 0:
        return
    poc, low, high, share = value_area(g, p.value_fp9)
    candle.poc = grid_price(g, p.row_units, poc)
    candle.value_low = grid_price(g, p.row_units, low)
    candle.value_high = grid_price(g, p.row_units, high)
    candle.value_fp9 = share


@njit(cache=True, nogil=True)
def footprint_close(s, p, candles, minute_ends, five_ends):
    """Before the open 15 s candle closes: describe it and roll it up.

    ``candles`` is the array of open candles; ``minute_ends``/``five_ends`` tell which close too.
    The rows of a candle that ends stay until :func:`footprint_begin`, so that they can be read.
    """
    _describe(s.quarter, p, candles[0])
    s.merges += grid_add(s.minute, s.quarter)
    if minute_ends:
        _describe(s.minute, p, candles[1])
        s.merges += grid_add(s.five, s.minute)
        if five_ends:
            _describe(s.five, p, candles[2])


@njit(cache=True, nogil=True)
def footprint_begin(s, minute_ends, five_ends):
    """Forget the rows of the candles that ended; their successors begin."""
    grid_clear(s.quarter)
    if minute_ends:
        grid_clear(s.minute)
        if five_ends:
            grid_clear(s.five)
