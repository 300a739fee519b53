"""Price zones that live until they are touched or expire: a small table, oldest first.

Owns the table that a detector keeps for what it saw at a price: lower and upper edge (inclusive),
side, birth, end. What must hold: zones stand in order of birth; a full table gives up its oldest
and counts it; nothing lives across a gap (whoever keeps the table clears it then, because a touch
may have been missed). It refuses to know why there is a zone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ZONES = 32
"""Zones kept at most."""

ZONE = np.dtype(
    [
        ("low", "i8"),
        ("high", "i8"),
        ("side", "i8"),
        ("born_ns", "i8"),
        ("until_ns", "i8"),
        ("strength_fp9", "i8"),
    ],
    align=True,
)
"""low and high: price units, both inside; side -1 or +1; times ns; strength at 1e-9."""

ZONES_STATE = np.dtype(
    [
        ("n", "i8"),
        ("added", "i8"),
        ("touched", "i8"),
        ("expired", "i8"),
        ("displaced", "i8"),
        ("cleared", "i8"),
        ("items", ZONE, (ZONES,)),
    ],
    align=True,
)
"""n live zones in items[:n]; the other numbers count what became of all others."""


@njit(cache=True, nogil=True)
def _drop(z, k):
    for x in range(k, z.n - 1):
        z.items[x] = z.items[x + 1]
    z.n -= 1


@njit(cache=True, nogil=True)
def zones_add(z, low, high, side, born_ns, until_ns, strength_fp9):
    """A zone over int64 prices low..high (inclusive), until ``until_ns`` (ns)."""
    if z.n == ZONES:
        _drop(z, np.int64(0))
        z.displaced += 1
    r = z.items[z.n]
    r.low = low
    r.high = high
    r.side = side
    r.born_ns = born_ns
    r.until_ns = until_ns
    r.strength_fp9 = strength_fp9
    z.n += 1
    z.added += 1


@njit(cache=True, nogil=True)
def zones_touch(z, low, high):
    """Trades happened at int64 prices low..high: every zone that they reach is gone."""
    k = np.int64(0)
    while k < z.n:
        if low <= z.items[k].high and high >= z.items[k].low:
            _drop(z, k)
            z.touched += 1
        else:
            k += 1


@njit(cache=True, nogil=True)
def zones_expire(z, now_ns):
    """Zones whose time is over at ``now_ns`` are gone."""
    k = np.int64(0)
    while k < z.n:
        if now_ns >= z.items[k].until_ns:
            _drop(z, k)
            z.expired += 1
        else:
            k += 1


@njit(cache=True, nogil=True)
def zones_clear(z):
    """Nothing is known of what was touched since (a gap): all zones are gone."""
    z.cleared += z.n
    z.n = 0


@njit(cache=True, nogil=True)
def zones_through(z, low, high):
    """Trades happened at int64 prices low..high: every zone that they went through is gone.

    A zone of side +1 (support) is gone through below its lower edge, one of side -1 above its
    upper edge; a trade inside it, or leaving it on its own side, leaves it alone.
    """
    k = np.int64(0)
    while k < z.n:
        r = z.items[k]
        if (r.side > 0 and low < r.low) or (r.side < 0 and high > r.high):
            _drop(z, k)
            z.touched += 1
        else:
            k += 1


@njit(cache=True, nogil=True)
def zones_renew(z, low, high, side, born_ns, until_ns, strength_fp9):
    """The first zone of ``side`` that overlaps low..high moves there and lives on; else a new one.

    A renewed zone keeps the time of its birth.
    """
    for k in range(z.n):
        r = z.items[k]
        if r.side == side and low <= r.high and high >= r.low:
            r.low = low
            r.high = high
            r.until_ns = until_ns
            r.strength_fp9 = strength_fp9
            return
    zones_add(z, low, high, side, born_ns, until_ns, strength_fp9)


@njit(cache=True, nogil=True)
def zone_near(z, price, tolerance, side):
    """Index of the zone nearest to int64 ``price`` and within ``tolerance`` of it, or -1.

    Distance is to the nearer edge, 0 inside; ``side`` -1 or +1 asks for that side only, 0 for any.
    Of zones at one distance the youngest is given.
    """
    best = np.int64(-1)
    least = tolerance
    for k in range(z.n):
        r = z.items[k]
        distance = max(r.low - price, price - r.high, np.int64(0))
        if distance <= least and (side == 0 or side == r.side):
            best = np.int64(k)
            least = distance
    return best


@njit(cache=True, nogil=True)
def zone_level_near(z, price, tolerance):
    """The same by distance to the middle of a zone (int64 price units), as the seed has it."""
    best = np.int64(-1)
    least = 2 * tolerance
    for k in range(z.n):
        distance = abs(z.items[k].low + z.items[k].high - 2 * price)
        if distance <= least:
            best = np.int64(k)
            least = distance
    return best
