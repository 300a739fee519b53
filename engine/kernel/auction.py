"""How a closed one-minute candle ended at its extremes: exhausted, or unfinished.

Owns two judgements of the footprint's outermost rows, each from row to neighbouring row of the
grid (a row without trades is a row of volume 0):

* exhaustion (ATAS): from the highest row downwards the bought volume, or from the lowest row
  upwards the sold volume, grows strictly over ``levels`` (5) rows: the side that pushed ran dry
  towards the extreme. Direction is away from it; strength of an end is (last - first) / last of
  these volumes. ``zeros`` says whether the outermost row may hold nothing of that side (count) or
  must hold something (ignore). The innermost of the rows must count: more than ``volume`` and more
  than ``rows`` times the candle's mean volume a row.
* unfinished auction (ATAS): at the lowest row buyers lifted too, beside sold volume above the
  filter; at the highest row sellers hit too, beside bought volume above it. A finished auction
  ends one-sided, so price is expected to come back: direction is towards the row, strength the
  smaller side over the larger. The row is a line that lives until it is touched.

Where both ends speak, the stronger wins by its surplus. Both are weak evidence: on fair random
walks of 400 trades, whose ends taper by themselves, 9 % of candles count as exhausted and 20 % as
unfinished, as often up as down (synthetic). Source: reference "orderflow" 4.1.
What must hold: exact comparisons of volumes; nothing is judged that a gap or the start of the fold
cut short, and no line lives across a gap. It refuses to know which candles came before.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP
from engine.kernel.footprint import BUY, SELL, grid_price, grid_total, least_volume
from engine.kernel.numbers import fp9
from engine.kernel.signals import SIGNAL_STATE, signal_age, signal_fire, signal_set, signal_unready
from engine.kernel.zones import ZONES_STATE, zones_add, zones_clear, zones_expire, zones_touch

COUNT = 0
IGNORE = 1

AUCTION_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("unfinished", SIGNAL_STATE),
        ("dry_low_fp9", "i8"),
        ("dry_high_fp9", "i8"),
        ("open_low_fp9", "i8"),
        ("open_high_fp9", "i8"),
        ("coarse", "i8"),
        ("zones", ZONES_STATE),
    ],
    align=True,
)
"""signal: exhaustion; unfinished: the other judgement; of the last candle judged, at 1e-9: how dry
each end was, how unfinished (0: not); coarse: candles whose rows had merged; zones: the lines."""

AUCTION_PARAMS = np.dtype(
    [
        ("levels", "i8"),
        ("volume_lots", "i8"),
        ("rows_fp9", "i8"),
        ("zeros", "i8"),
        ("filter_lots", "i8"),
        ("filter_rows_fp9", "i8"),
        ("life_ns", "i8"),
        ("zone_life_ns", "i8"),
    ],
    align=True,
)
"""levels in rows; volume, filter: int64 quantity; rows, filter_rows at 1e-9; zeros as above."""


@njit(cache=True, nogil=True)
def exhaustion(row, at, step, levels, least, zeros):
    """How dry the end ``at`` of a side's rows is (float, 0: not): ``step`` (+-1) leads inwards.

    ``row`` is an int64 array of quantities; at least ``levels`` rows lie inwards of ``at``.
    """
    first = row[at]
    if first == 0 and zeros == IGNORE:
        return 0.0
    last = first
    for k in range(1, levels):
        q = row[at + k * step]
        if q <= last:
            return 0.0
        last = q
    if last <= least:
        return 0.0
    return float(last - first) / float(last)


@njit(cache=True, nogil=True)
def unfinished(mine, other, least):
    """How unfinished an extreme row is (float, 0: not): int64 quantities of the side that went
    there and of the one that should have left it alone."""
    if mine <= least or other == 0:
        return 0.0
    return float(min(mine, other)) / float(max(mine, other))


@njit(cache=True, nogil=True)
def _say(g, p, end_ns, up, down):
    """The stronger of two opposite events, by its surplus; silence where neither is."""
    one = np.int64(1)
    value = up - down
    if value != 0.0:
        direction = one if value > 0.0 else -one
        signal_fire(g, end_ns, end_ns + p.life_ns, direction, abs(value), value, 0.0)
    elif g.direction == 0:
        signal_set(g, one - one, 0.0, 0.0, 0.0)


@njit(cache=True, nogil=True)
def _line(s, p, g, units, x, side, strength_fp9, end_ns):
    if strength_fp9 > 0:
        low, high = grid_price(g, units, x), grid_price(g, units, x + 1) - 1
        zones_add(s.zones, low, high, side, end_ns, end_ns + p.zone_life_ns, strength_fp9)


@njit(cache=True, nogil=True)
def auction_grid(s, p, g, units, end_ns):
    """Judge a footprint grid whose candle ends at ``end_ns``; rows are ``units`` price units."""
    total, height = grid_total(g)
    bought, sold = g.cells[BUY], g.cells[SELL]
    one = np.int64(1)
    dry_low = dry_high = 0.0
    if height >= p.levels:
        least = least_volume(p.volume_lots, p.rows_fp9, total, height)
        dry_low = exhaustion(sold, g.low, one, p.levels, least, p.zeros)
        dry_high = exhaustion(bought, g.high, -one, p.levels, least, p.zeros)
    open_low = open_high = 0.0
    if height > 1:
        least = least_volume(p.filter_lots, p.filter_rows_fp9, total, height)
        open_low = unfinished(sold[g.low], bought[g.low], least)
        open_high = unfinished(bought[g.high], sold[g.high], least)
    s.dry_low_fp9, s.dry_high_fp9 = fp9(dry_low), fp9(dry_high)
    s.open_low_fp9, s.open_high_fp9 = fp9(open_low), fp9(open_high)
    s.coarse += np.int64(g.shift > 0)
    _line(s, p, g, units, g.low, -one, s.open_low_fp9, end_ns)
    _line(s, p, g, units, g.high, one, s.open_high_fp9, end_ns)
    _say(s.signal, p, end_ns, dry_low, dry_high)
    _say(s.unfinished, p, end_ns, open_high, open_low)


@njit(cache=True, nogil=True)
def _unready(s):
    signal_unready(s.signal)
    signal_unready(s.unfinished)


@njit(cache=True, nogil=True)
def auction_rows(s, p, footprint, candles, units, minute_ends):
    """The 15 s candle ends: trades of it touch lines; at a minute's end its rows are judged."""
    small = candles.open[0]
    if small.trades > 0:
        zones_touch(s.zones, small.low, small.high)
    if not minute_ends or candles.closed[1] == 0:
        return
    if (small.flags | candles.open[1].flags) & FLAG_GAP:
        _unready(s)
    elif footprint.minute.used == 1:
        auction_grid(s, p, footprint.minute, units, candles.end_ns)


@njit(cache=True, nogil=True)
def auction_boundary(s, now_ns):
    """Engine time ``now_ns``: what is over falls silent."""
    signal_age(s.signal, now_ns)
    signal_age(s.unfinished, now_ns)
    zones_expire(s.zones, now_ns)


@njit(cache=True, nogil=True)
def auction_gap(s):
    """Trades were missed: lines may have been touched, the open candle will not be judged."""
    _unready(s)
    zones_clear(s.zones)
