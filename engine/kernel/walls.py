"""Walls: large resting orders, and whether they were there to be seen or to be traded.

Owns up to eight walls a side and the walls pulled of late. A wall is a level of at least ``ratio``
times the mean level of the book and worth at least ``notional`` (reference "orderflow" 11.12: 3 x,
500 dollars). It is pulled when it has stood for ``alive``, price came near it, less than half of it
is left, and less than ``eaten`` of it was traded; near is one of the first ``near`` levels
(``standard``) or within .2 % of mid, walls within 2 % (``seed``: of the 25 levels of a liquid book
all are). Score = .3 a pull within ``memory``, + .1 where three walls stand on one side, + .25 where
all pulls are of one side, at most 1. Pulled bids were bait for buyers: direction -1, asks +1.
``standard`` counts only pulls beyond 1.5 times the usual number of this book, past only: where
levels blink all day, blinking is no spoof.
What must hold: a wall out of sight is dropped without a verdict, and so is every wall over a gap or
a stale book. It refuses to call one pull a proof.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.signals import SIGNAL_STATE, signal_fire, signal_set, signal_unready

SEED = 1
SIDE_WALLS = 8
WALLS = 2 * SIDE_WALLS
PULLS = 64
USUAL_LENGTH = 720
USUAL_TIMES = 1.5
PULL_FP9 = 300_000_000
LAYER_FP9 = 100_000_000
ONE_SIDE_FP9 = 250_000_000
LAYERS = 3
SEED_FAR = 0.02
SEED_NEAR = 0.002
_ONE = 1_000_000_000

WALL = np.dtype(
    [
        ("side", "i8"),
        ("price", "i8"),
        ("qty", "i8"),
        ("first_ns", "i8"),
        ("near", "i8"),
        ("traded", "i8"),
    ],
    align=True,
)
"""side +1 bid, -1 ask, 0 an empty place; qty: the most it showed; near: price came near it;
traded: quantity that hit it since it was found."""

WALLS_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("last_ns", "i8"),
        ("seen", "i8"),
        ("live", "i8", (2,)),
        ("low", "i8"),
        ("high", "i8"),
        ("walls", WALL, (WALLS,)),
        ("pulled", "i8"),
        ("eaten", "i8"),
        ("pull_ns", "i8", (PULLS,)),
        ("pull_side", "i8", (PULLS,)),
        ("looks", "i8"),
        ("usual", "f8"),
        ("score_fp9", "i8"),
    ],
    align=True,
)
"""seen: snapshots looked at; live: walls standing (bids, asks); low, high: their prices; pulled,
eaten: walls that went so; pull_ns, pull_side: ring of the last pulls; looks, usual: boundaries, and
the mean of pulls at them; score at 1e-9."""

WALLS_PARAMS = np.dtype(
    [
        ("mode", "i8"),
        ("ratio_fp9", "i8"),
        ("notional_money", "i8"),
        ("alive_ns", "i8"),
        ("near", "i8"),
        ("eaten_fp9", "i8"),
        ("memory_ns", "i8"),
        ("spoof_fp9", "i8"),
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def walls_gap(s):
    """Trades or snapshots were missed: nobody knows how a wall went."""
    for w in range(WALLS):
        s.walls[w].side = 0
    s.live[0] = 0
    s.live[1] = 0


@njit(cache=True, nogil=True)
def walls_trades(s, price, qty, side, i, j):
    """Add trades [i, j) to the walls that they hit: int64 price, qty; side int8."""
    if s.live[0] + s.live[1] == 0:
        return
    prices = price[i:j]
    low = prices[0]
    high = prices[0]
    for k in range(len(prices)):
        low = min(low, prices[k])
        high = max(high, prices[k])
    if low > s.high or high < s.low:
        return
    for w in range(WALLS):
        wall = s.walls[w]
        if wall.side != 0 and low <= wall.price <= high:
            wall.traded += traded_at(price, qty, side, i, j, wall.price, -wall.side)


@njit(cache=True, nogil=True)
def traded_at(price, qty, side, i, j, level, aggressor):
    """Quantity that ``aggressor`` (+1, -1) traded at int64 price ``level`` in trades [i, j)."""
    total = np.int64(0)
    prices = price[i:j]
    qtys = qty[i:j]
    sides = side[i:j]
    for k in range(len(prices)):
        total += qtys[k] * np.int64((prices[k] == level) & (np.int64(sides[k]) == aggressor))
    return total


@njit(cache=True, nogil=True)
def _is_near(p, price, index, mid2):
    """Near the touch: by level (standard) or by share of twice the mid price (seed)."""
    if p.mode == SEED:
        return abs(2.0 * float(price) - float(mid2)) <= SEED_NEAR * float(mid2)
    return index < p.near


@njit(cache=True, nogil=True)
def _judge(s, p, wall, price, qty, n, ts_ns, mid2):
    """Look for ``wall`` on its side of the new book; a wall that went is pulled or eaten."""
    if wall.side * price[n - 1] > wall.side * wall.price:
        wall.side = 0  # beyond the last level in sight
        return
    shown = np.int64(0)
    for m in range(n):
        if price[m] == wall.price:
            shown = qty[m]
            if _is_near(p, wall.price, m, mid2):
                wall.near = 1
    wall.qty = max(wall.qty, shown)
    if shown >= wall.qty - shown:
        return
    if float(wall.traded) >= float(p.eaten_fp9) * 1e-9 * float(wall.qty):
        s.eaten += 1
    elif wall.near == 1 and ts_ns - wall.first_ns >= p.alive_ns:
        s.pull_ns[s.pulled % PULLS] = ts_ns
        s.pull_side[s.pulled % PULLS] = wall.side
        s.pulled += 1
    wall.side = 0


@njit(cache=True, nogil=True)
def _place(s, first, price):
    """Where a wall at ``price`` goes: an empty place of its side, -1 when known or none."""
    empty = np.int64(-1)
    for w in range(first, first + SIDE_WALLS):
        wall = s.walls[w]
        if wall.side != 0 and wall.price == price:
            return np.int64(-1)
        if wall.side == 0 and empty < 0:
            empty = np.int64(w)
    return empty


@njit(cache=True, nogil=True)
def _find(s, p, core, side, first, price, qty, n, least, ts_ns, mid2):
    """Take in the walls of one side: levels of at least ``least`` (float) and the notional."""
    for m in range(n):
        if float(qty[m]) < least:
            continue
        worth = float(price[m]) * float(qty[m]) * float(core.money_mul)
        if worth < float(p.notional_money) * float(core.money_div):
            continue
        if p.mode == SEED and abs(2.0 * float(price[m]) - float(mid2)) > SEED_FAR * float(mid2):
            continue
        w = _place(s, first, price[m])
        if w >= 0:
            wall = s.walls[w]
            wall.side = side
            wall.price = price[m]
            wall.qty = qty[m]
            wall.first_ns = ts_ns
            wall.near = 1 if _is_near(p, price[m], m, mid2) else 0
            wall.traded = 0


@njit(cache=True, nogil=True)
def _count(s):
    s.live[0] = 0
    s.live[1] = 0
    for w in range(WALLS):
        wall = s.walls[w]
        if wall.side != 0:
            if s.live[0] + s.live[1] == 0:
                s.low = wall.price
                s.high = wall.price
            s.low = min(s.low, wall.price)
            s.high = max(s.high, wall.price)
            s.live[0 if wall.side > 0 else 1] += 1


@njit(cache=True, nogil=True)
def mean_level(book):
    """Mean quantity (float) of the levels of both sides; neither may be empty."""
    total = np.int64(0)
    for m in range(book.bids):
        total += book.bid_qty[m]
    for m in range(book.asks):
        total += book.ask_qty[m]
    return float(total) / float(book.bids + book.asks)


@njit(cache=True, nogil=True)
def walls_depth(s, p, book, stale_ns, core):
    """Judge the walls against the new snapshot (after ``book_depth``) and take in new ones.

    ``stale_ns``: a book older than that says nothing of what came between; ``core``: params.
    """
    used = book.snapshots - book.crossed
    if used == s.seen or book.bids == 0 or book.asks == 0:
        return
    s.seen = used
    if book.ts_ns - s.last_ns > stale_ns:
        walls_gap(s)
    s.last_ns = max(s.last_ns, book.ts_ns)
    mid2 = book.bid_price[0] + book.ask_price[0]
    if s.live[0] + s.live[1] > 0:
        for w in range(WALLS):
            wall = s.walls[w]
            if wall.side > 0:
                _judge(s, p, wall, book.bid_price, book.bid_qty, book.bids, book.ts_ns, mid2)
            elif wall.side < 0:
                _judge(s, p, wall, book.ask_price, book.ask_qty, book.asks, book.ts_ns, mid2)
    least = float(p.ratio_fp9) * 1e-9 * mean_level(book)
    bid = np.int64(1)
    first = np.int64(0)
    _find(s, p, core, bid, first, book.bid_price, book.bid_qty, book.bids, least, book.ts_ns, mid2)
    first = np.int64(SIDE_WALLS)
    _find(s, p, core, -bid, first, book.ask_price, book.ask_qty, book.asks, least, book.ts_ns,
          mid2)  # fmt: skip
    _count(s)


@njit(cache=True, nogil=True)
def walls_boundary(s, p, book, now_ns):
    """Score and direction as of ``now_ns``, after ``book_boundary``."""
    bids = np.int64(0)
    asks = np.int64(0)
    for x in range(min(s.pulled, PULLS)):
        if now_ns - s.pull_ns[x] < p.memory_ns:
            if s.pull_side[x] > 0:
                bids += 1
            else:
                asks += 1
    many = bids + asks
    if p.mode != SEED:
        many = max(many - np.int64(USUAL_TIMES * s.usual), 0)
    score = PULL_FP9 * many
    if max(s.live[0], s.live[1]) >= LAYERS:
        score += LAYER_FP9
    if many > 0 and min(bids, asks) == 0:
        score += ONE_SIDE_FP9
    s.score_fp9 = min(score, _ONE)
    s.looks += 1
    s.usual += (float(bids + asks) - s.usual) / float(min(s.looks, USUAL_LENGTH))
    if book.stale == 1:
        signal_unready(s.signal)
        return
    direction = np.int64(0)
    if s.score_fp9 >= p.spoof_fp9 and many > 0 and min(bids, asks) == 0:
        direction = np.int64(-1) if bids > 0 else np.int64(1)
    value = float(s.score_fp9) * 1e-9
    threshold = float(p.spoof_fp9) * 1e-9
    if direction != 0 and direction != s.signal.direction:
        signal_fire(s.signal, now_ns, np.int64(0), direction, value, value, threshold)
    else:
        signal_set(s.signal, direction, value, value, threshold)
