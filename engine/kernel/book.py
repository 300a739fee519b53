"""The last book and what is read off it: imbalance, micro-price, order-flow imbalance.

Owns the last depth snapshot (up to 25 levels a side), order-flow imbalance after Cont, Kukanov and
Stoikov (2014) at the best quotes in one-second buckets, and the same indicator at ten levels
(multi-level OFI, Xu, Gould and Howison 2019) since the last boundary. Imbalance measures read the
last snapshot only, so they are computed at boundaries, not per event. A snapshot older than
``stale_ns`` is stale; nothing is differenced across a gap. It refuses to know about trades.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import DEPTH_LEVELS_MAX, NS
from engine.kernel.numbers import fp9
from engine.kernel.windows import SPANS, SPANS_S

LEVELS = DEPTH_LEVELS_MAX
MLOFI_LEVELS = 10
RING = 512
MASK = RING - 1
_SPANS = np.array(SPANS_S, dtype=np.int64)
SEED_STRONG = 0.6
SEED_WEAK = 0.4

BOOK_STATE = np.dtype(
    [
        ("ts_ns", "i8"),
        ("bids", "i8"),
        ("asks", "i8"),
        ("linked", "i8"),
        ("crossed", "i8"),
        ("snapshots", "i8"),
        ("stale", "i8"),
        ("bid_price", "i8", (LEVELS,)),
        ("bid_qty", "i8", (LEVELS,)),
        ("ask_price", "i8", (LEVELS,)),
        ("ask_qty", "i8", (LEVELS,)),
        ("imbalance5_fp9", "i8"),
        ("imbalance10_fp9", "i8"),
        ("imbalance25_fp9", "i8"),
        ("bid_share", "f8"),
        ("seed_sign", "i8"),
        ("queue", "f8"),
        ("micro", "f8"),
        ("mid2", "i8"),
        ("head_s", "i8"),
        ("ofi", "i8", (SPANS,)),
        ("bucket_ofi", "i8", (RING,)),
        ("mlofi", "i8", (MLOFI_LEVELS,)),
        ("mlofi_sum", "i8", (MLOFI_LEVELS,)),
    ],
    align=True,
)
"""Quantities int64; imbalances: log ratios at 1e-9 (a logarithm's last bit is not portable);
micro: float price units; mid2: twice the mid price."""

BOOK_PARAMS = np.dtype([("stale_ns", "i8")], align=True)


@njit(cache=True, nogil=True)
def side_ofi(price, qty, last_price, last_qty, sign):
    """One side's term e_n of Cont et al.: ``sign`` +1 for bids, -1 for asks (int64 inputs).

    A better or equal price adds the new quantity, a worse or equal one takes the old away.
    """
    e = np.int64(0)
    if sign * price >= sign * last_price:
        e += qty
    if sign * price <= sign * last_price:
        e -= last_qty
    return sign * e


@njit(cache=True, nogil=True)
def _roll(s, second):
    if s.head_s == 0:
        s.head_s = second
    for x in range(max(s.head_s + 1, second - MASK), second + 1):
        s.bucket_ofi[x & MASK] = 0
    s.head_s = max(s.head_s, second)


@njit(cache=True, nogil=True)
def _difference(s, ts_ns, bid_price, bid_qty, b0, nb, ask_price, ask_qty, a0, na):
    """Order-flow imbalance of the new snapshot against the kept one, level by level."""
    n = min(nb, s.bids, na, s.asks, MLOFI_LEVELS)
    for m in range(n):
        e = side_ofi(bid_price[b0 + m], bid_qty[b0 + m], s.bid_price[m], s.bid_qty[m], 1)
        e += side_ofi(ask_price[a0 + m], ask_qty[a0 + m], s.ask_price[m], s.ask_qty[m], -1)
        s.mlofi_sum[m] += e
        if m == 0:
            second = ts_ns // NS
            _roll(s, second)
            if second > s.head_s - RING:
                s.bucket_ofi[second & MASK] += e


@njit(cache=True, nogil=True)
def book_depth(s, ts_ns, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1):
    """Fold one snapshot: levels [b0, b1) and [a0, a1) of flat int64 arrays, best first.

    A crossed or locked snapshot is counted and not used.
    """
    nb = min(b1 - b0, LEVELS)
    na = min(a1 - a0, LEVELS)
    s.snapshots += 1
    if nb > 0 and na > 0 and bid_price[b0] >= ask_price[a0]:
        s.crossed += 1
        return
    if s.linked == 1:
        _difference(s, ts_ns, bid_price, bid_qty, b0, nb, ask_price, ask_qty, a0, na)
    for m in range(nb):
        s.bid_price[m] = bid_price[b0 + m]
        s.bid_qty[m] = bid_qty[b0 + m]
    for m in range(na):
        s.ask_price[m] = ask_price[a0 + m]
        s.ask_qty[m] = ask_qty[a0 + m]
    s.bids = nb
    s.asks = na
    s.ts_ns = ts_ns
    s.linked = 1


@njit(cache=True, nogil=True)
def book_gap(s):
    """Snapshots were missed: the next one is not differenced with the one before."""
    s.linked = 0


@njit(cache=True, nogil=True)
def _sum(qty, levels, n):
    total = np.int64(0)
    for m in range(min(levels, n)):
        total += qty[m]
    return total


@njit(cache=True, nogil=True)
def log_imbalance(s, levels):
    """log(sum of bid qty / sum of ask qty) over ``levels``; 0 when a side is empty."""
    bid = _sum(s.bid_qty, levels, s.bids)
    ask = _sum(s.ask_qty, levels, s.asks)
    if bid <= 0 or ask <= 0:
        return 0.0
    return math.log(float(bid) / float(ask))


@njit(cache=True, nogil=True)
def _seed(s):
    """The seed's bid share over 25 levels, .5 when empty, and its > .6 / < .4 sign."""
    bid = float(_sum(s.bid_qty, LEVELS, s.bids))
    ask = float(_sum(s.ask_qty, LEVELS, s.asks))
    s.bid_share = bid / (bid + ask) if bid + ask > 0.0 else 0.5
    s.seed_sign = 0
    if s.bid_share > SEED_STRONG:
        s.seed_sign = 1
    elif s.bid_share < SEED_WEAK:
        s.seed_sign = -1


@njit(cache=True, nogil=True)
def _touch(s):
    """Queue imbalance (qb - qa)/(qb + qa) and micro-price (qa Pb + qb Pa)/(qb + qa)."""
    qb = float(s.bid_qty[0])
    qa = float(s.ask_qty[0])
    pb = float(s.bid_price[0])
    pa = float(s.ask_price[0])
    s.queue = (qb - qa) / (qb + qa) if qb + qa > 0.0 else 0.0
    s.micro = (qa * pb + qb * pa) / (qb + qa) if qb + qa > 0.0 else 0.0
    s.mid2 = s.bid_price[0] + s.ask_price[0]


@njit(cache=True, nogil=True)
def book_boundary(s, p, now_ns):
    """Compute every measure at a boundary (``now_ns`` a whole second)."""
    if s.snapshots == 0:
        s.stale = 1
        s.bid_share = 0.5
        return
    now_s = now_ns // NS
    _roll(s, now_s)
    total = np.int64(0)
    back = np.int64(1)
    for w in range(SPANS):
        while back <= _SPANS[w]:
            total += s.bucket_ofi[(now_s - back) & MASK]
            back += 1
        s.ofi[w] = total
    for m in range(MLOFI_LEVELS):
        s.mlofi[m] = s.mlofi_sum[m]
        s.mlofi_sum[m] = 0
    ready = s.bids > 0 and s.asks > 0 and now_ns - s.ts_ns <= p.stale_ns
    s.stale = 0 if ready else 1
    s.imbalance5_fp9 = fp9(log_imbalance(s, 5)) if ready else 0
    s.imbalance10_fp9 = fp9(log_imbalance(s, 10)) if ready else 0
    s.imbalance25_fp9 = fp9(log_imbalance(s, LEVELS)) if ready else 0
    if ready:
        _seed(s)
        _touch(s)
    else:
        s.bid_share = 0.5
        s.seed_sign = 0
        s.queue = 0.0
        s.micro = 0.0
        s.mid2 = 0
