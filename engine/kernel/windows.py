"""Rolling windows of 1, 5, 15, 30, 60 and 300 s over event time.

Owns a ring of one-second buckets (buy and sell quantity, counts, largest print) and the same in
blocks of five seconds, so that a boundary on a multiple of five adds up 60 blocks and not 300
buckets. At a decision boundary, which lies on a whole second, the sums are exact for everything
folded so far: a trade that arrives late still lands in its own second while that second is in the
ring. A window is never a count of trades standing in for time. It refuses to know what a window is
used for.
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
BLOCK_S = 5
BLOCKS = 128
BLOCK_MASK = BLOCKS - 1
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
        ("block_buy", "i8", (BLOCKS,)),
        ("block_sell", "i8", (BLOCKS,)),
        ("block_buys", "i8", (BLOCKS,)),
        ("block_sells", "i8", (BLOCKS,)),
        ("block_largest", "i8", (BLOCKS,)),
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
def _clear_block(s, slot):
    s.block_buy[slot] = 0
    s.block_sell[slot] = 0
    s.block_buys[slot] = 0
    s.block_sells[slot] = 0
    s.block_largest[slot] = 0


@njit(cache=True, nogil=True)
def windows_roll(s, second):
    """Advance the ring to ``second`` (whole seconds UTC), clearing what is new."""
    if s.started == 0:
        s.started = 1
        s.head_s = second
        return
    if second <= s.head_s:
        return
    for x in range(max(s.head_s + 1, second - MASK), second + 1):
        _clear(s, x & MASK)
    block = second // BLOCK_S
    for x in range(max(s.head_s // BLOCK_S + 1, block - BLOCK_MASK), block + 1):
        _clear_block(s, x & BLOCK_MASK)
    s.head_s = second


@njit(cache=True, nogil=True)
def _flush(s, second, buy, sell, buys, sells, largest):
    x = second & MASK
    s.bucket_buy[x] += buy
    s.bucket_sell[x] += sell
    s.bucket_buys[x] += buys
    s.bucket_sells[x] += sells
    s.bucket_largest[x] = max(s.bucket_largest[x], largest)
    y = (second // BLOCK_S) & BLOCK_MASK
    s.block_buy[y] += buy
    s.block_sell[y] += sell
    s.block_buys[y] += buys
    s.block_sells[y] += sells
    s.block_largest[y] = max(s.block_largest[y], largest)


@njit(cache=True, nogil=True)
def windows_trades(s, ts, qty, side, i, j):
    """Add trades [i, j): ts int64 ns, qty int64, side int8 in {-1, 0, +1}.

    A trade older than the ring is counted in ``late`` and left out.
    """
    k = i
    while k < j:
        second = ts[k] // NS
        start = second * NS
        m = k + 1
        while m < j and 0 <= ts[m] - start < NS:
            m += 1
        if s.started == 0 or second > s.head_s:
            windows_roll(s, second)
        if second > s.head_s - RING:
            _add_second(s, second, qty, side, k, m)
        else:
            s.late += m - k
        k = m


@njit(cache=True, nogil=True)
def _add_second(s, second, qty, side, i, j):
    """Add trades [i, j), all of one second, which is in the ring."""
    buy = np.int64(0)
    sell = np.int64(0)
    buys = np.int64(0)
    sells = np.int64(0)
    largest = np.int64(0)
    qtys = qty[i:j]
    sides = side[i:j]
    for k in range(len(qtys)):
        q = qtys[k]
        d = np.int64(sides[k])
        up = np.int64(d > 0)
        down = np.int64(d < 0)
        buy += q * up
        sell += q * down
        buys += up
        sells += down
        largest = max(largest, q)
    _flush(s, second, buy, sell, buys, sells, largest)


@njit(cache=True, nogil=True)
def _by_seconds(s, now_s, first, spans):
    """Extend the sums of spans ``first``.. second by second; span ``first - 1`` is done."""
    back = np.int64(1) if first == 0 else _SPANS[first - 1] + 1
    for w in range(first, spans):
        if w > 0:
            _start_from(s, w)
        else:
            _start_empty(s)
        while back <= _SPANS[w]:
            x = (now_s - back) & MASK
            s.buy[w] += s.bucket_buy[x]
            s.sell[w] += s.bucket_sell[x]
            s.buys[w] += s.bucket_buys[x]
            s.sells[w] += s.bucket_sells[x]
            s.largest[w] = max(s.largest[w], s.bucket_largest[x])
            back += 1


@njit(cache=True, nogil=True)
def _start_empty(s):
    s.buy[0] = 0
    s.sell[0] = 0
    s.buys[0] = 0
    s.sells[0] = 0
    s.largest[0] = 0


@njit(cache=True, nogil=True)
def _start_from(s, w):
    """A span holds everything that the next shorter one holds."""
    s.buy[w] = s.buy[w - 1]
    s.sell[w] = s.sell[w - 1]
    s.buys[w] = s.buys[w - 1]
    s.sells[w] = s.sells[w - 1]
    s.largest[w] = s.largest[w - 1]


@njit(cache=True, nogil=True)
def _by_blocks(s, now_s):
    """Spans of 15 s and more from whole blocks; ``now_s`` is a multiple of BLOCK_S."""
    block = now_s // BLOCK_S
    back = np.int64(2)
    buy = s.buy[1]
    sell = s.sell[1]
    buys = s.buys[1]
    sells = s.sells[1]
    largest = s.largest[1]
    for w in range(2, SPANS):
        while back * BLOCK_S <= _SPANS[w]:
            x = (block - back) & BLOCK_MASK
            buy += s.block_buy[x]
            sell += s.block_sell[x]
            buys += s.block_buys[x]
            sells += s.block_sells[x]
            largest = max(largest, s.block_largest[x])
            back += 1
        s.buy[w] = buy
        s.sell[w] = sell
        s.buys[w] = buys
        s.sells[w] = sells
        s.largest[w] = largest


@njit(cache=True, nogil=True)
def windows_boundary(s, now_ns):
    """Sum every span over [now - span, now); ``now_ns`` is a whole second."""
    now_s = now_ns // NS
    windows_roll(s, now_s)
    if now_s % BLOCK_S == 0:
        _by_seconds(s, now_s, 0, 2)
        _by_blocks(s, now_s)
    else:
        _by_seconds(s, now_s, 0, SPANS)
