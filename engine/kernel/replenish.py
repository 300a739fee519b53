"""Replenishment: a level that trades more than it ever showed, the iceberg as far as L2 shows it.

Owns one watched level a side: the best one when it was taken up, kept while the best price is no
worse, and given up for a better one that has stood for ``away``. ratio = executed at the level by
the other side / largest quantity displayed there (reference "orderflow" 4.1: >= 3, and the level
survives). It fires once a level, at a boundary at which the level is still the best, where what was
executed is also at least ``least`` mean levels of the book (a level of next to nothing is refilled
by anyone). A bid that is refilled is a hidden buyer: direction +1; an ask -1; of two, the larger
ratio. strength = ratio / (2 * threshold), at most 1. It speaks for ``hold``, and not after its
level has broken. What must hold: nothing is added up over a gap. Order ids would tell an iceberg;
here a crowd that refills a level looks the same, and it refuses to know the difference.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.signals import (
    SIGNAL_STATE,
    signal_age,
    signal_fire,
    signal_set,
    signal_unready,
)
from engine.kernel.walls import mean_level, traded_at

WATCHED = np.dtype(
    [
        ("price", "i8"),
        ("shown", "i8"),
        ("traded", "i8"),
        ("away_ns", "i8"),
        ("fired", "i8"),
    ],
    align=True,
)
"""price 0: none; shown: the most displayed there; traded: executed against it; away_ns: since when
a better price has been the best (0: it is the best)."""

REPLENISH_STATE = np.dtype(
    [("signal", SIGNAL_STATE), ("bid", WATCHED), ("ask", WATCHED), ("seen", "i8")], align=True
)

REPLENISH_PARAMS = np.dtype(
    [("ratio_fp9", "i8"), ("least_fp9", "i8"), ("away_ns", "i8"), ("hold_ns", "i8")], align=True
)


@njit(cache=True, nogil=True)
def _forget(level):
    level.price = 0
    level.shown = 0
    level.traded = 0
    level.away_ns = 0
    level.fired = 0


@njit(cache=True, nogil=True)
def replenish_gap(s):
    """Trades or snapshots were missed: both levels are given up."""
    _forget(s.bid)
    _forget(s.ask)
    signal_unready(s.signal)


@njit(cache=True, nogil=True)
def replenish_trades(s, price, qty, side, i, j):
    """Add trades [i, j) to the level that they hit: int64 price, qty; side int8."""
    aggressor = np.int64(-1)
    if s.bid.price > 0:
        s.bid.traded += traded_at(price, qty, side, i, j, s.bid.price, aggressor)
    if s.ask.price > 0:
        s.ask.traded += traded_at(price, qty, side, i, j, s.ask.price, -aggressor)


@njit(cache=True, nogil=True)
def _watch(level, sign, price, qty, n, ts_ns, away_ns):
    """Look for the level in one side of a new book; take up the best one where it is gone."""
    best = price[0]
    gone = level.price == 0 or sign * best < sign * level.price
    if not gone and best != level.price:
        if level.away_ns == 0:
            level.away_ns = ts_ns
        gone = ts_ns - level.away_ns > away_ns
    elif not gone:
        level.away_ns = 0
    if gone:
        _forget(level)
        level.price = best
    for m in range(n):
        if price[m] == level.price:
            level.shown = max(level.shown, qty[m])


@njit(cache=True, nogil=True)
def replenish_depth(s, p, book):
    """Follow both levels into the new snapshot, after ``book_depth``."""
    used = book.snapshots - book.crossed
    if used == s.seen or book.bids == 0 or book.asks == 0:
        return
    s.seen = used
    bid = np.int64(1)
    _watch(s.bid, bid, book.bid_price, book.bid_qty, book.bids, book.ts_ns, p.away_ns)
    _watch(s.ask, -bid, book.ask_price, book.ask_qty, book.asks, book.ts_ns, p.away_ns)


@njit(cache=True, nogil=True)
def _ratio(level, best, least):
    """Executed over displayed of a level that is the best and traded ``least`` (float), else 0."""
    if level.price != best or level.shown <= 0 or float(level.traded) < least:
        return 0.0
    return float(level.traded) / float(level.shown)


@njit(cache=True, nogil=True)
def replenish_boundary(s, p, book, now_ns):
    """Fire, go on or fall silent at a boundary, after ``book_boundary``."""
    g = s.signal
    if book.stale == 1:
        signal_unready(g)
        return
    least = float(p.least_fp9) * 1e-9 * mean_level(book)
    threshold = float(p.ratio_fp9) * 1e-9
    bid = _ratio(s.bid, book.bid_price[0], least)
    ask = _ratio(s.ask, book.ask_price[0], least)
    fresh_bid = bid >= threshold and s.bid.fired == 0
    fresh_ask = ask >= threshold and s.ask.fired == 0
    if (fresh_bid and bid > ask) or (fresh_ask and ask > bid):
        direction = np.int64(1) if bid > ask else np.int64(-1)
        ratio = max(bid, ask)
        signal_fire(g, now_ns, now_ns + p.hold_ns, direction, ratio / (2.0 * threshold), ratio,
                    threshold)  # fmt: skip
        if direction > 0:
            s.bid.fired = 1
        else:
            s.ask.fired = 1
        return
    broken = (g.direction > 0 and s.bid.fired == 0) or (g.direction < 0 and s.ask.fired == 0)
    signal_age(g, now_ns)
    if g.direction == 0 or broken:
        signal_set(g, np.int64(0), 0.0, max(bid, ask), threshold)
