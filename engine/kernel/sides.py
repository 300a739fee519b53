"""The aggressor ladder: who took liquidity, by the best source there is.

Owns the side of every trade. Standard mode: exchange flag, else the quote rule on a synced quote,
else the tick rule, else unknown; an unknown side is counted and left out of every delta, never
called a sell. Seed mode puts tick direction first, as the seed microstructure report does.
Sources: Lee and Ready (1991); the quote and tick rules of reference "orderflow" 1.1.

State must be the same however a run of trades is split. It refuses to know about candles or books.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.numbers import product_fits

STANDARD = 0
SEED = 1
INVALID = 2
"""Marks a trade whose numbers cannot be folded: price or quantity not positive, or too large,
or a flag that is no side (a handler indexes by side)."""

SIDES_STATE = np.dtype(
    [
        ("last_price", "i8"),
        ("tick_dir", "i8"),
        ("bid", "i8"),
        ("ask", "i8"),
        ("quote_ns", "i8"),
        ("by_flag", "i8"),
        ("by_quote", "i8"),
        ("by_tick", "i8"),
        ("unknown", "i8"),
        ("invalid", "i8"),
    ],
    align=True,
)
"""Last price and tick direction, last synced quote, and how many trades each rule decided."""

SIDES_PARAMS = np.dtype([("mode", "i8"), ("quote_age_ns", "i8")], align=True)
"""mode STANDARD or SEED; quote_age_ns: a quote older than this does not count as synced."""


@njit(cache=True, nogil=True)
def tick_rule(price, last_price, tick_dir):
    """Sign of the change of int64 prices; on a zero tick the last direction; 0 at the start."""
    if last_price == 0:
        return np.int64(0)
    if price > last_price:
        return np.int64(1)
    if price < last_price:
        return np.int64(-1)
    return tick_dir


@njit(cache=True, nogil=True)
def quote_rule(price, bid, ask):
    """+1 above the middle of bid and ask (int64 prices), -1 below, 0 at it or without a quote."""
    if bid <= 0 or ask <= bid:
        return np.int64(0)
    twice = 2 * price
    if twice > bid + ask:
        return np.int64(1)
    if twice < bid + ask:
        return np.int64(-1)
    return np.int64(0)


@njit(cache=True, nogil=True)
def sides_quote(s, ts_ns, bid, ask):
    """Remember a synced quote (int64 prices, ns); an empty or crossed one is forgotten."""
    if bid > 0 and ask > bid:
        s.bid = bid
        s.ask = ask
        s.quote_ns = ts_ns
    else:
        s.bid = 0
        s.ask = 0


@njit(cache=True, nogil=True)
def _unflagged(s, p, ts_ns, price, tick):
    """Side of a trade that carries no flag; counts the rule that decided."""
    age = ts_ns - s.quote_ns
    if s.bid > 0 and 0 <= age <= p.quote_age_ns:
        side = quote_rule(price, s.bid, s.ask)
        if side != 0:
            s.by_quote += 1
            return side
    if tick != 0:
        s.by_tick += 1
    else:
        s.unknown += 1
    return tick


@njit(cache=True, nogil=True)
def _copy_flags(price, qty, flag, side, i, j):
    """Copy the flags of [i, j); True when every trade is flagged and has plain numbers.

    Plain: price and quantity between 1 and 2**31 - 1, so that their product fits.
    """
    # slices: an index that starts at 0 needs no check for negative numbers, so the loops vectorise
    flags = flag[i:j]
    sides = side[i:j]
    prices = price[i:j]
    qtys = qty[i:j]
    missing = np.int64(0)
    for k in range(len(flags)):
        sides[k] = flags[k]
        missing += np.int64((flags[k] != 1) & (flags[k] != -1))
    odd = np.int64(0)
    for k in range(len(prices)):
        odd |= ((prices[k] | qtys[k]) >> 31) | ((prices[k] - 1) >> 63) | ((qtys[k] - 1) >> 63)
    return missing == 0 and odd == 0


@njit(cache=True, nogil=True)
def _last_tick(price, last_price, tick_dir, i, j):
    """Tick direction after trades [i, j), found from the end: the last change of price."""
    for k in range(j - 1, i, -1):
        if price[k] != price[k - 1]:
            return tick_rule(price[k], price[k - 1], tick_dir)
    return tick_rule(price[i], last_price, tick_dir)


@njit(cache=True, nogil=True)
def sides_trades(s, p, ts, price, qty, flag, side, i, j):
    """Resolve the sides of trades [i, j) into ``side`` (int8: -1, 0, +1 or INVALID).

    ts, price, qty are int64 arrays (ns, scaled), ``flag`` the int8 flag of the venue. Returns the
    number of invalid trades, which leave the ladder's state as it was.
    """
    if j <= i:
        return 0
    if p.mode == STANDARD and _copy_flags(price, qty, flag, side, i, j):
        s.tick_dir = _last_tick(price, s.last_price, s.tick_dir, i, j)
        s.last_price = price[j - 1]
        s.by_flag += j - i
        return 0
    return _ladder(s, p, ts, price, qty, flag, side, i, j)


@njit(cache=True, nogil=True)
def _ladder(s, p, ts, price, qty, flag, side, i, j):
    """The ladder trade by trade, for runs that the flags alone do not settle."""
    last = s.last_price
    tick = s.tick_dir
    by_flag = 0
    invalid = 0
    seed = p.mode == SEED
    for k in range(i, j):
        x = price[k]
        f = flag[k]
        if x <= 0 or qty[k] <= 0 or f > 1 or f < -1 or not product_fits(x, qty[k]):
            side[k] = INVALID
            invalid += 1
            continue
        tick = tick_rule(x, last, tick)
        last = x
        if seed and tick != 0:
            side[k] = tick
            s.by_tick += 1
        elif f != 0:
            side[k] = f
            by_flag += 1
        else:
            side[k] = _unflagged(s, p, ts[k], x, tick)
    s.last_price = last
    s.tick_dir = tick
    s.by_flag += by_flag
    s.invalid += invalid
    return invalid
