"""Regimes: volatility, trend, volume and quality of the book, from closed 1 m candles alone.

Owns four levels in {-1, 0, +1}. Volatility: sum of squared changes of the close over ``window``
candles, as a rank in its own past (+1 wild, -1 quiet). Trend: efficiency ratio sum d / sum |d| over
the same candles (reference "orderflow" 6.6; +1 up, -1 down, 0 range). Volume: sum over ``burst``
candles, as a rank (+1 busy, -1 thin). Book: mean spread of the minute, sampled at boundaries, as a
rank; half or more of the samples without a fresh book is the worst (+1 poor, -1 tight).
What must hold: a level is entered at one threshold and left at another, and kept for at least
``dwell`` candles; a gap inside a window makes it not ready and its level 0; values that turn out to
lie in a hole are taken back. It refuses to read an open candle, and to know what a level allows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP, SPANS_NS, closed_candle
from engine.kernel.numbers import fp9
from engine.kernel.ranks import RANKS, rank_drop, rank_of, rank_push
from engine.kernel.signals import SIGNAL_STATE, signal_set, signal_unready

_MINUTE_NS = SPANS_NS[1]
_ONE = 1_000_000_000

LEVEL = np.dtype(
    [("level", "i8"), ("age", "i8"), ("ready", "i8"), ("value_fp9", "i8"), ("changes", "i8")],
    align=True,
)
"""level -1, 0, +1; age: closes since it was entered; value: the rank or ratio it was read from."""

REGIME_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("volatility", LEVEL),
        ("trend", LEVEL),
        ("volume", LEVEL),
        ("book", LEVEL),
        ("squares", RANKS),
        ("volumes", RANKS),
        ("spreads", RANKS),
        ("samples", "i8"),
        ("stale", "i8"),
        ("spread_sum", "i8"),
    ],
    align=True,
)
"""squares (price units squared), volumes, spreads: their past by minute; samples, stale and
spread_sum: boundaries of the running minute, those without a fresh book, spreads of the others."""

REGIME_PARAMS = np.dtype(
    [
        ("window", "i8"),
        ("burst", "i8"),
        ("warm", "i8"),
        ("dwell", "i8"),
        ("enter_fp9", "i8"),
        ("leave_fp9", "i8"),
        ("trend_enter_fp9", "i8"),
        ("trend_leave_fp9", "i8"),
    ],
    align=True,
)
"""window, burst, dwell: closed 1 m candles; warm: values of the past before a rank is read;
thresholds at 1e-9, those of ranks mirrored about one half."""


@njit(cache=True, nogil=True)
def level_reset(v):
    """Nothing is known: not ready, level 0, dwelling begins anew."""
    v.level = 0
    v.age = 0
    v.ready = 0
    v.value_fp9 = 0


@njit(cache=True, nogil=True)
def level_step(v, value_fp9, enter, leave, low_enter, low_leave, dwell):
    """One close: ``value_fp9`` against int64 thresholds at 1e-9 (enter > leave > low leave >
    low enter); a level younger than ``dwell`` closes stands."""
    v.ready = 1
    v.value_fp9 = value_fp9
    v.age += 1
    if v.age < dwell:
        return
    level = v.level
    if value_fp9 >= enter:
        level = np.int64(1)
    elif value_fp9 <= low_enter:
        level = np.int64(-1)
    elif (level > 0 and value_fp9 < leave) or (level < 0 and value_fp9 > low_leave):
        level = np.int64(0)
    if level != v.level:
        v.level = level
        v.age = 0
        v.changes += 1


@njit(cache=True, nogil=True)
def _ranked(v, past, p, time_ns, x):
    """Step a level by the rank of ``x`` in its past, then keep ``x``."""
    if past.have >= p.warm:
        rank = fp9(rank_of(past, x))
        level_step(v, rank, p.enter_fp9, p.leave_fp9, _ONE - p.enter_fp9, _ONE - p.leave_fp9,
                   p.dwell)  # fmt: skip
    else:
        level_reset(v)
    rank_push(past, time_ns, x)


@njit(cache=True, nogil=True)
def _whole(candles, n):
    """True when the last ``n`` closed 1 m candles exist and none touches a gap."""
    flags = np.int64(0) if candles.closed[1] >= n else np.int64(FLAG_GAP)
    for back in range(1, min(n, candles.closed[1]) + 1):
        flags |= closed_candle(candles, 1, back).flags
    return (flags & FLAG_GAP) == 0


@njit(cache=True, nogil=True)
def _prices(s, p, candles, time_ns):
    """Volatility and trend of the last ``window`` changes of the close."""
    net = np.int64(0)
    path = np.int64(0)
    squares = 0.0
    for back in range(1, p.window + 1):
        d = closed_candle(candles, 1, back).close - closed_candle(candles, 1, back + 1).close
        net += d
        path += abs(d)
        squares += float(d) * float(d)
    _ranked(s.volatility, s.squares, p, time_ns, squares)
    ratio = float(net) / float(path) if path > 0 else 0.0
    level_step(s.trend, fp9(ratio), p.trend_enter_fp9, p.trend_leave_fp9, -p.trend_enter_fp9,
               -p.trend_leave_fp9, p.dwell)  # fmt: skip
    signal_set(s.signal, s.trend.level, abs(ratio), ratio, float(p.trend_enter_fp9) * 1e-9)


@njit(cache=True, nogil=True)
def _quality(s, p, time_ns):
    """The book of the minute: mean spread of the fresh samples, or none to speak of."""
    fresh = s.samples - s.stale
    if 2 * s.stale >= s.samples:
        level_step(s.book, np.int64(_ONE), p.enter_fp9, p.leave_fp9, _ONE - p.enter_fp9,
                   _ONE - p.leave_fp9, p.dwell)  # fmt: skip
    else:
        _ranked(s.book, s.spreads, p, time_ns, float(s.spread_sum) / float(fresh))
    s.samples = 0
    s.stale = 0
    s.spread_sum = 0


@njit(cache=True, nogil=True)
def regime_candle(s, p, candles, frames):
    """A candle closed; where it is one of 1 m, step every level."""
    if frames < 2:
        return
    time_ns = closed_candle(candles, 1, 1).open_ns + _MINUTE_NS
    if _whole(candles, p.window + 1):
        _prices(s, p, candles, time_ns)
    else:
        level_reset(s.volatility)
        level_reset(s.trend)
        signal_unready(s.signal)
    if _whole(candles, p.burst + 1):  # the first candle of all began in its middle
        volume = 0.0
        for back in range(1, p.burst + 1):
            volume += float(closed_candle(candles, 1, back).volume)
        _ranked(s.volume, s.volumes, p, time_ns, volume)
    else:
        level_reset(s.volume)
    _quality(s, p, time_ns)


@njit(cache=True, nogil=True)
def regime_boundary(s, book):
    """Sample the book, after ``book_boundary``."""
    s.samples += 1
    if book.stale == 1:
        s.stale += 1
    else:
        s.spread_sum += book.ask_price[0] - book.bid_price[0]


@njit(cache=True, nogil=True)
def regime_gap(s, from_ns):
    """Trades were missed from ``from_ns`` on: what was read off that time is taken back."""
    level_reset(s.volatility)
    level_reset(s.trend)
    level_reset(s.volume)
    signal_unready(s.signal)
    rank_drop(s.squares, from_ns)
    rank_drop(s.volumes, from_ns)
