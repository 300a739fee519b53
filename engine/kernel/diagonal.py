"""Diagonal and stacked imbalances of a closed one-minute footprint, and the zones they leave.

Owns the comparison of what lifted the offer at one price row with what hit the bid one row below.
Rows x and x + 1 are neighbours in the grid, whether or not somebody traded there: a row without
trades is a row of volume 0. With the plain ratio R (3.0 is what ATAS calls 300 %; other tools mean
4.0 by the same word):

    buy imbalance at row x + 1   <=>  buy[x + 1] > R sell[x]   and buy[x + 1] counts
    sell imbalance at row x      <=>  sell[x] > R buy[x + 1]   and sell[x] counts

A volume counts when it is above ``volume`` and above ``rows`` times the candle's mean volume a row.
Against 0 the ratio is no number: ``zeros`` says whether a volume that met none is an imbalance
(count, as ATAS does by default) or not (ignore, as flowsurface does). Only pairs inside the
candle's own range are compared. ``stack`` imbalances of one side in neighbouring rows are a stack;
direction is the side with more volume in its stacks, strength the surplus as a share of the
candle's volume. Each stack leaves a zone until a later trade touches it.

Sources: ATAS StackedImbalance (ratio 300 %, range 3), Quantower; reference "orderflow" 4.1.
What must hold: volumes, never counts of trades; exact integers; no zone lives across a gap, and a
candle that a gap or the start of the fold cut short is not judged. It refuses to know what the
book shows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP
from engine.kernel.footprint import BUY, SELL, grid_price, grid_total, least_volume
from engine.kernel.numbers import fp9, ratio_of
from engine.kernel.signals import SIGNAL_STATE, signal_age, signal_fire, signal_set, signal_unready
from engine.kernel.zones import ZONES_STATE, zones_add, zones_clear, zones_expire, zones_touch

COUNT = 0
IGNORE = 1

SIDE = np.dtype([("rows", "i8"), ("longest", "i8"), ("stacks", "i8"), ("volume", "i8")], align=True)
"""Of one side: imbalanced rows, longest run of them, stacks, aggressor volume in the stacks."""

DIAGONAL_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("buy", SIDE),
        ("sell", SIDE),
        ("volume", "i8"),
        ("height", "i8"),
        ("coarse", "i8"),
        ("zones", ZONES_STATE),
    ],
    align=True,
)
"""buy, sell, volume (int64 quantity) and height (rows) of the last candle judged; coarse: candles
whose rows had merged."""

DIAGONAL_PARAMS = np.dtype(
    [
        ("ratio_fp9", "i8"),
        ("volume_lots", "i8"),
        ("rows_fp9", "i8"),
        ("zeros", "i8"),
        ("stack", "i8"),
        ("life_ns", "i8"),
        ("zone_life_ns", "i8"),
    ],
    align=True,
)
"""ratio and rows at 1e-9; volume_lots int64 quantity; zeros COUNT or IGNORE; stack in rows."""


@njit(cache=True, nogil=True)
def imbalanced(mine, theirs, ratio_fp9, zeros):
    """True when quantity ``mine`` (int64) outweighs ``theirs`` by more than the ratio at 1e-9."""
    if theirs == 0:
        return mine > 0 and zeros == COUNT
    return mine > ratio_of(theirs, ratio_fp9)


@njit(cache=True, nogil=True)
def _scan(s, p, g, units, end_ns, own, other, up):
    """Judge every pair of rows for one side; returns (rows, longest, stacks, volume in stacks).

    ``own`` trades at the upper row of a pair when ``up`` is 1 (buys), else at the lower (sells).
    """
    least = least_volume(p.volume_lots, p.rows_fp9, s.volume, s.height)
    rows = longest = stacks = volume = run = inside = np.int64(0)
    for x in range(g.low, g.high + 1):
        # at the last x there is no pair: it only ends the run
        mine = g.cells[own, x + up] if x < g.high else np.int64(0)
        theirs = g.cells[other, x + 1 - up] if x < g.high else np.int64(0)
        if mine > least and imbalanced(mine, theirs, p.ratio_fp9, p.zeros):
            rows += 1
            run += 1
            inside += mine
            longest = max(longest, run)
            continue
        if run >= p.stack:
            stacks += 1
            volume += inside
            low = grid_price(g, units, x - run + up)
            high = grid_price(g, units, x + up) - 1
            share = fp9(float(inside) / float(s.volume))
            until_ns = end_ns + p.zone_life_ns
            zones_add(s.zones, low, high, 2 * up - 1, end_ns, until_ns, share)
        run = np.int64(0)
        inside = np.int64(0)
    return rows, longest, stacks, volume


@njit(cache=True, nogil=True)
def _keep(r, found):
    r.rows, r.longest, r.stacks, r.volume = found


@njit(cache=True, nogil=True)
def diagonal_grid(s, p, g, units, end_ns):
    """Judge a footprint grid whose candle ends at ``end_ns``; rows are ``units`` price units."""
    s.volume, s.height = grid_total(g)
    s.coarse += np.int64(g.shift > 0)
    one = np.int64(1)
    _keep(s.buy, _scan(s, p, g, units, end_ns, BUY, SELL, one))
    _keep(s.sell, _scan(s, p, g, units, end_ns, SELL, BUY, one - one))
    surplus = s.buy.volume - s.sell.volume
    ratio = float(p.ratio_fp9) / 1e9
    if surplus != 0:
        share = float(surplus) / float(s.volume)
        direction = one if surplus > 0 else -one
        signal_fire(s.signal, end_ns, end_ns + p.life_ns, direction, abs(share), share, ratio)
    elif s.signal.direction == 0:
        signal_set(s.signal, one - one, 0.0, 0.0, ratio)


@njit(cache=True, nogil=True)
def diagonal_rows(s, p, footprint, candles, units, minute_ends):
    """The 15 s candle ends: trades of it touch zones; at a minute's end its rows are judged."""
    small = candles.open[0]
    if small.trades > 0:
        zones_touch(s.zones, small.low, small.high)
    if not minute_ends or candles.closed[1] == 0:
        return
    if (small.flags | candles.open[1].flags) & FLAG_GAP:
        signal_unready(s.signal)
    elif footprint.minute.used == 1:
        diagonal_grid(s, p, footprint.minute, units, candles.end_ns)


@njit(cache=True, nogil=True)
def diagonal_boundary(s, now_ns):
    """Engine time ``now_ns``: what is over falls silent."""
    signal_age(s.signal, now_ns)
    zones_expire(s.zones, now_ns)


@njit(cache=True, nogil=True)
def diagonal_gap(s):
    """Trades were missed: zones may have been touched, the open candle will not be judged."""
    signal_unready(s.signal)
    zones_clear(s.zones)
