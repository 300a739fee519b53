"""Toxicity: VPIN in volume time and Kyle's lambda. Features of a regime, never a direction.

Owns volume buckets and one regression. VPIN (Easley, Lopez de Prado and O'Hara 2012) =
sum |buy - sell| / sum of volume over the last ``buckets`` buckets, the absolute value inside the
sum; a trade is split at the bucket's edge, exactly in integers. A bucket holds ``bucket``, or where
that is 0 a fiftieth of a day at the pace of the closed 5 m candles that traded. VPIN is read as a
rank in its own past; ``toxic`` goes up at rank ``enter`` and down below ``leave``. Kyle (1985):
change of price over delta of closed 1 m candles, lambda = Sxy / Sxx with recursive sums, its t
statistic, and impact = lambda * usual delta in price units.
What must hold: only trades whose venue flagged the side count as bought or sold, and where the
others are more than ``unflagged`` of the volume it is not ready; nothing is carried over a gap.
It refuses to vote: on flagged data VPIN has no directional value, and its level is no probability.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP, closed_candle
from engine.kernel.numbers import FP9_MAX, fp9, isqrt_float
from engine.kernel.ranks import HISTORY, RANKS, rank_of, rank_push
from engine.kernel.signals import SIGNAL_STATE, signal_fire, signal_set, signal_unready

BUCKETS_MAX = 64
BUCKETS_A_DAY = 50
FIVES_A_DAY = 288
SIZE_MAX = float(1 << 55)
_ALIKE = BUCKETS_MAX + HISTORY

TOXICITY_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("size", "i8"),
        ("filled", "i8"),
        ("net", "i8"),
        ("flagged", "i8"),
        ("have", "i8"),
        ("at", "i8"),
        ("buckets", "i8"),
        ("imbalance_sum", "i8"),
        ("volume_sum", "f8"),
        ("flagged_sum", "f8"),
        ("imbalance", "i8", (BUCKETS_MAX,)),
        ("volume", "i8", (BUCKETS_MAX,)),
        ("known", "i8", (BUCKETS_MAX,)),
        ("vpin_fp9", "i8"),
        ("rank_fp9", "i8"),
        ("toxic", "i8"),
        ("past", RANKS),
        ("fives", "i8"),
        ("five_volume", "f8"),
        ("minutes", "i8"),
        ("xx", "f8"),
        ("xy", "f8"),
        ("yy", "f8"),
        ("kyle", "f8"),
        ("kyle_t_fp9", "i8"),
        ("impact_fp9", "i8"),
        ("kyle_ready", "i8"),
    ],
    align=True,
)
"""size, filled, net, flagged: the open bucket (int64 quantities; size 0: none is open); have: whole
buckets since the last gap; imbalance, volume, known: rings of them; past: VPIN values; fives,
five_volume: closed 5 m candles and their mean volume; xx, xy, yy: mean products of delta and change
of price; kyle: price units per unit of quantity; impact: price units per usual delta."""

TOXICITY_PARAMS = np.dtype(
    [
        ("bucket_lots", "i8"),
        ("buckets", "i8"),
        ("warm", "i8"),
        ("enter_fp9", "i8"),
        ("leave_fp9", "i8"),
        ("unflagged_fp9", "i8"),
        ("minutes", "i8"),
    ],
    align=True,
)
"""bucket_lots: size of a bucket, 0 by pace; warm: VPIN values before a rank is read, closed 5 m
candles before a pace is; minutes: 1 m candles that the regression remembers."""


@njit(cache=True, nogil=True)
def _open_bucket(s, p):
    """Fix the size of the next bucket; 0 while the pace is unknown."""
    s.filled = 0
    s.net = 0
    s.flagged = 0
    s.size = p.bucket_lots
    if s.size == 0 and s.fives >= p.warm:
        size = s.five_volume * float(FIVES_A_DAY) / float(BUCKETS_A_DAY)
        s.size = np.int64(min(max(size, 1.0), SIZE_MAX))


@njit(cache=True, nogil=True)
def _close_bucket(s, p, time_ns):
    x = s.at
    if s.have == p.buckets:
        s.imbalance_sum -= s.imbalance[x]
        s.volume_sum -= float(s.volume[x])
        s.flagged_sum -= float(s.known[x])
    else:
        s.have += 1
    s.imbalance[x] = abs(s.net)
    s.volume[x] = s.size
    s.known[x] = s.flagged
    s.imbalance_sum += s.imbalance[x]
    s.volume_sum += float(s.size)
    s.flagged_sum += float(s.flagged)
    s.at = (x + 1) % p.buckets
    s.buckets += 1
    if s.have == p.buckets and _is_flagged(s, p):
        vpin = fp9(float(s.imbalance_sum) / s.volume_sum)
        s.vpin_fp9 = vpin
        s.rank_fp9 = fp9(rank_of(s.past, float(vpin)))
        rank_push(s.past, time_ns, float(vpin))


@njit(cache=True, nogil=True)
def _is_flagged(s, p):
    """True when at most the share ``unflagged`` of the window's volume has no flag."""
    return s.volume_sum - s.flagged_sum <= float(p.unflagged_fp9) * 1e-9 * s.volume_sum


@njit(cache=True, nogil=True)
def _split(s, p, time_ns, qty, side):
    """A trade that reaches the end of the open bucket: fill it, whole ones, and the rest's."""
    take = s.size - s.filled
    s.net += take * side
    s.flagged += take * abs(side)
    _close_bucket(s, p, time_ns)
    _open_bucket(s, p)
    rest = qty - take
    whole = rest // s.size
    # beyond window and history one more bucket like the ones before changes nothing
    for _ in range(min(whole, _ALIKE)):
        s.net = s.size * side
        s.flagged = s.size * abs(side)
        _close_bucket(s, p, time_ns)
    s.buckets += max(whole - _ALIKE, 0)
    s.filled = rest - whole * s.size
    s.net = s.filled * side
    s.flagged = s.filled * abs(side)


@njit(cache=True, nogil=True)
def toxicity_trades(s, p, ts, qty, flag, i, j):
    """Add trades [i, j): int64 ns, qty; ``flag`` int8, the venue's own side (0: none)."""
    if s.size == 0:
        _open_bucket(s, p)
    if s.size == 0:
        return
    for k in range(i, j):
        q = qty[k]
        d = np.int64(flag[k])
        if q < s.size - s.filled:
            s.filled += q
            s.net += q * d
            s.flagged += q * abs(d)
        else:
            _split(s, p, ts[k], q, d)


@njit(cache=True, nogil=True)
def toxicity_candle(s, p, candles, frames):
    """Closed candles set the pace of the next bucket (5 m) and feed the regression (1 m)."""
    if frames >= 2 and candles.closed[1] >= 2:
        c = closed_candle(candles, 1, 1)
        before = closed_candle(candles, 1, 2)
        if ((c.flags | before.flags) & FLAG_GAP) == 0 and c.trades > 0:
            _regress(s, p, float(c.buy - c.sell), float(c.close - before.close))
    if frames == 3:
        five = closed_candle(candles, 2, 1)
        if (five.flags & FLAG_GAP) == 0 and five.trades > 0:
            s.fives += 1
            weight = 1.0 / float(min(s.fives, FIVES_A_DAY))
            s.five_volume += weight * (float(five.volume) - s.five_volume)


@njit(cache=True, nogil=True)
def _regress(s, p, x, y):
    s.minutes += 1
    n = min(s.minutes, p.minutes)
    weight = 1.0 / float(n)
    s.xx += weight * (x * x - s.xx)
    s.xy += weight * (x * y - s.xy)
    s.yy += weight * (y * y - s.yy)
    s.kyle = s.xy / s.xx if s.xx > 0.0 else 0.0
    s.impact_fp9 = fp9(s.kyle * math.sqrt(s.xx)) if s.xx > 0.0 else 0
    rest = s.yy - s.kyle * s.xy
    if s.xx <= 0.0 or s.xy == 0.0:
        t = 0.0
    elif rest <= 1e-12 * s.yy:
        t = math.copysign(FP9_MAX, s.kyle)  # a perfect fit
    else:
        t = s.kyle * isqrt_float(float(n) * s.xx / rest)
    s.kyle_t_fp9 = fp9(t)
    s.kyle_ready = 1 if s.minutes >= p.minutes // 4 else 0


@njit(cache=True, nogil=True)
def toxicity_boundary(s, p, now_ns):
    """Say what the last whole bucket left: rank as value, ``toxic`` with hysteresis."""
    ready = s.have == p.buckets and s.past.have > p.warm
    if not (ready and _is_flagged(s, p)):
        s.toxic = 0
        signal_unready(s.signal)
        return
    bound = p.leave_fp9 if s.toxic == 1 else p.enter_fp9
    was = s.toxic
    s.toxic = 1 if s.rank_fp9 >= bound else 0
    none = np.int64(0)
    rank = float(s.rank_fp9) * 1e-9
    if s.toxic > was:
        signal_fire(s.signal, now_ns, none, none, 0.0, rank, float(p.enter_fp9) * 1e-9)
    else:
        signal_set(s.signal, none, 0.0, rank, float(p.enter_fp9) * 1e-9)


@njit(cache=True, nogil=True)
def toxicity_gap(s):
    """Trades were missed: the open bucket and the window begin anew."""
    s.size = 0
    s.filled = 0
    s.net = 0
    s.flagged = 0
    s.have = 0
    s.at = 0
    s.imbalance_sum = 0
    s.volume_sum = 0.0
    s.flagged_sum = 0.0
    s.toxic = 0
    signal_unready(s.signal)
