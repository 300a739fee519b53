"""Rolling windows of 1, 5, 15, 30, 60 and 300 s over event time.

Owns a ring of one-second buckets (buy and sell quantity, counts, largest print). At a decision
boundary, which lies on a whole second, the sums are exact for everything folded so far: a trade
that arrives late still lands in its own second while that second is in the ring. A window is never
a count of trades standing in for time. It refuses to know what a window is used for.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import NS

SPANS_S = (1, 5, 15, 30, 60, 300)
"""Window lengths in seconds; index into the arrays of the state."""
SPANS = len(SPANS_S)
RING = 512
MASK = RING - 1
_SPANS = np.array(SPANS_S, dtype=np.int64)

WINDOWS_STATE = np.dtype(
    [
        ("head_s", "i8"),
        ("started", "i8"),
        ("late", "i8"),
        ("buy", "i8", (SPANS,)),
        ("sell", "i8", (SPANS,)),
        ("buys", "i8", (SPANS,)),
        ("sells", "i8", (SPANS,)),
        ("largest", "i8", (SPANS,)),
        ("bucket_buy", "i8", (RING,)),
        ("bucket_sell", "i8", (RING,)),
        ("bucket_buys", "i8", (RING,)),
        ("bucket_sells", "i8", (RING,)),
        ("bucket_largest", "i8", (RING,)),
    ],
    align=True,
)
"""head_s: newest second in the ring; buy, sell ... (per span): sums at the last boundary."""


@njit(cache=True, nogil=True)
def _clear(s, slot):
    s.bucket_buy[slot] = 0
    s.bucket_sell[slot] = 0
    s.bucket_buys[slot] = 0
    s.bucket_sells[slot] = 0
    s.bucket_largest[slot] = 0


@njit(cache=True, nogil=True)
def windows_roll(s, second):
    """Advance the ring to ``second`` (whole seconds UTC), clearing what is new."""
    if s.started == 0:
        s.started = 1
        s.head_s = second
        return
    first = max(s.head_s + 1, second - MASK)
    for x in range(first, second + 1):
        _clear(s, x & MASK)
    s.head_s = max(s.head_s, second)


@njit(cache=True, nogil=True)
def _flush(s, slot, buy, sell, buys, sells, largest):
    s.bucket_buy[slot] += buy
    s.bucket_sell[slot] += sell
    s.bucket_buys[slot] += buys
    s.bucket_sells[slot] += sells
    s.bucket_largest[slot] = max(s.bucket_largest[slot], largest)


@njit(cache=True, nogil=True)
def windows_trades(s, ts, qty, side, i, j):
    """Add trades [i, j): ts int64 ns, qty int64, side int8 in {-1, 0, +1}.

    A trade older than the ring is counted in ``late`` and left out.
    """
    k = i
    while k < j:
        second = ts[k] // NS
        end = (second + 1) * NS
        start = end - NS
        buy = np.int64(0)
        sell = np.int64(0)
        buys = np.int64(0)
        sells = np.int64(0)
        largest = np.int64(0)
        m = k
        while m < j and start <= ts[m] < end:
            q = qty[m]
            d = side[m]
            up = d > 0
            down = d < 0
            buy += q if up else 0
            sell += q if down else 0
            buys += 1 if up else 0
            sells += 1 if down else 0
            largest = max(largest, q)
            m += 1
        if s.started == 0 or second > s.head_s:
            windows_roll(s, second)
        if second > s.head_s - RING:
            _flush(s, second & MASK, buy, sell, buys, sells, largest)
        else:
            s.late += m - k
        k = m


@njit(cache=True, nogil=True)
def windows_boundary(s, now_ns):
    """Sum every span over [now - span, now); ``now_ns`` is a whole second."""
    now_s = now_ns // NS
    windows_roll(s, now_s)
    buy = np.int64(0)
    sell = np.int64(0)
    buys = np.int64(0)
    sells = np.int64(0)
    largest = np.int64(0)
    back = np.int64(1)
    for w in range(SPANS):
        while back <= _SPANS[w]:
            x = (now_s - back) & MASK
            buy += s.bucket_buy[x]
            sell += s.bucket_sell[x]
            buys += s.bucket_buys[x]
            sells += s.bucket_sells[x]
            largest = max(largest, s.bucket_largest[x])
            back += 1
        s.buy[w] = buy
        s.sell[w] = sell
        s.buys[w] = buys
        s.sells[w] = sells
        s.largest[w] = largest
