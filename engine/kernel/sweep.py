"""Liquidity sweeps: a level is run through in a burst and given back at once.

Owns, for each side, the level that is being run through. At every closed minute, in the sense of
the sweep (upwards; downwards everything is turned round; reference "orderflow" 6.3, 4.1):

    level L     a pivot, an extreme of this or the last session, or a round number + offset; it is
                ``age`` minutes old (a round number: that long out of reach) and never passed since
    penetration (H - L) / ATR in [0.05, 0.6] from a close at or below L; beyond 0.6 it is a breakout
    reclaim     close <= L - 0.05 ATR within ``bars`` minutes, the first included
    burst       z of a minute's volume against the ``history`` minutes before >= 2
    flow        the running delta rose by ``push`` root mean squares of a minute's delta, then fell
                by ``turn`` of them
    direction   against the sweep ; strength = 1 / (1 + exp(-(a0 + a1 z + a2 reclaim - a3 pen)))

Stops rest just beyond pivots, extremes and round numbers (C. Osler, Journal of International Money
and Finance 24 (2005) 219-241). The a are a scale, not a fit: nothing is a probability here. What
must hold: closed minutes only; the highest level in reach counts; nothing across a gap; two sweeps
at once, one a side, are told by the stronger. It refuses to know where stops really are.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.candles import closed_candle
from engine.kernel.core import session_end
from engine.kernel.numbers import fp9, isqrt_float
from engine.kernel.pivots import pivot, pivots_kept
from engine.kernel.signals import SIGNAL_STATE, signal_age, signal_fire, signal_unready

MINUTE = np.int64(1)
SPAN = 240
"""Minutes beyond which a pivot is no level any more (the ring of candles holds 256)."""
NONE = -(2**62)
PIVOT, SESSION, LAST_SESSION, ROUND = 1, 2, 3, 4
A0, A1, A2, A3 = -0.5, 0.25, 1.0, 1.0

SWEEP_SIDE = np.dtype(
    [
        ("kind", "i8"),
        ("level", "i8"),
        ("extreme", "i8"),
        ("bars", "i8"),
        ("atr", "f8"),
        ("mean", "f8"),
        ("sd", "f8"),
        ("usual", "f8"),
        ("burst", "f8"),
        ("flow", "i8"),
        ("peak", "i8"),
        ("turn", "i8"),
        ("high", "i8"),
        ("high_bar", "i8"),
        ("last_high", "i8"),
        ("last_bar", "i8"),
    ],
    align=True,
)
"""kind 0: no level is being run through. Prices are times the side, so that up is the sweep. mean,
sd: of volume; usual: rms delta; flow, peak, turn: delta since it began, its highest, its greatest
fall from there; high, last_high: extremes of this and the last session (NONE: there is none), made
in minutes high_bar and last_bar."""

SWEEP_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("session_end_ns", "i8"),
        ("kind", "i8"),
        ("level", "i8"),
        ("extreme", "i8"),
        ("penetration_fp9", "i8"),
        ("reclaim_fp9", "i8"),
        ("sides", SWEEP_SIDE, (2,)),
    ],
    align=True,
)
"""kind to reclaim: of the last sweep (price units; in ATR at 1e-9); signal.value_fp9 is its burst;
sides: upwards, downwards."""

SWEEP_PARAMS = np.dtype(
    [
        ("age", "i8"),
        ("bars", "i8"),
        ("history", "i8"),
        ("least_fp9", "i8"),
        ("most_fp9", "i8"),
        ("reclaim_fp9", "i8"),
        ("burst_fp9", "i8"),
        ("push_fp9", "i8"),
        ("turn_fp9", "i8"),
        ("round_units", "i8"),
        ("offset_units", "i8"),
        ("life_ns", "i8"),
    ],
    align=True,
)
"""age, bars, history in minutes; least, most, reclaim in ATR; push, turn in rms of delta."""


@njit(cache=True, nogil=True)
def _height(candles, sign, back):
    c = closed_candle(candles, MINUTE, back)
    return c.high if sign > 0 else -c.low


@njit(cache=True, nogil=True)
def _pivot_level(p, candles, pivots, sign, ceiling):
    """Highest pivot in reach that is old enough and was never passed since; NONE if none."""
    kind = np.int64(0) if sign > 0 else np.int64(1)
    best = np.int64(NONE)
    passed = np.int64(NONE)
    back = np.int64(2)
    for n in range(1, pivots_kept(pivots, kind) + 1):
        q = pivot(pivots, kind, np.int64(n))
        age = pivots.bars - 1 - q.bar
        if age > SPAN:
            break
        while back <= age:
            passed = max(passed, _height(candles, sign, back))
            back += 1
        level = sign * q.price
        if age >= p.age and passed <= level and best < level <= ceiling:
            best = level
    return best


@njit(cache=True, nogil=True)
def _round_level(p, candles, sign, ceiling):
    """Highest round number in reach that the last ``age`` minutes did not pass; NONE if none."""
    if p.round_units <= 0:
        return np.int64(NONE)
    grid = p.round_units
    level = (ceiling - p.offset_units) // grid * grid + p.offset_units
    for back in range(2, p.age + 2):
        if _height(candles, sign, np.int64(back)) > level:
            return np.int64(NONE)
    return level


@njit(cache=True, nogil=True)
def _find(x, p, candles, pivots, sign, ceiling):
    """(kind, level): the highest level at or below ``ceiling``; kind 0 where there is none.

    At one price a pivot counts before an extreme, an extreme before a round number.
    """
    kind = np.int64(PIVOT)
    level = _pivot_level(p, candles, pivots, sign, ceiling)
    if pivots.bars - 1 - x.high_bar >= p.age and level < x.high <= ceiling:
        kind = np.int64(SESSION)
        level = x.high
    if pivots.bars - 1 - x.last_bar >= p.age and level < x.last_high <= ceiling:
        kind = np.int64(LAST_SESSION)
        level = x.last_high
    number = _round_level(p, candles, sign, ceiling)
    if number > level:
        kind = np.int64(ROUND)
        level = number
    return (kind if level > NONE else np.int64(0)), level


@njit(cache=True, nogil=True)
def _usual(x, candles, history):
    """Mean and sd of volume and rms of delta over the ``history`` minutes before the last."""
    total = 0.0
    deltas = 0.0
    for back in range(2, history + 2):
        c = closed_candle(candles, MINUTE, np.int64(back))
        total += float(c.volume)
        deltas += float(c.buy - c.sell) ** 2
    n = float(history)
    x.mean = total / n
    x.usual = isqrt_float(deltas / n)
    squares = 0.0
    for back in range(2, history + 2):
        squares += (float(closed_candle(candles, MINUTE, np.int64(back)).volume) - x.mean) ** 2
    x.sd = isqrt_float(squares / n)


@njit(cache=True, nogil=True)
def _begin(x, p, candles, pivots, sign, atr):
    """Look whether the last minute ran through a level; sets ``x.kind``."""
    c = closed_candle(candles, MINUTE, np.int64(1))
    top = c.high if sign > 0 else -c.low
    # in whole price units, so that it does not depend on where zero lies
    ceiling = top - np.int64(math.ceil(float(p.least_fp9) / FP9 * atr - 1e-9))
    before = sign * closed_candle(candles, MINUTE, np.int64(2)).close
    kind, level = _find(x, p, candles, pivots, sign, ceiling)
    if kind == 0 or before > level:
        return
    x.kind = kind
    x.level = level
    x.extreme = top
    x.bars = 0
    x.atr = atr
    x.burst = 0.0
    x.flow = 0
    x.peak = 0
    x.turn = 0
    _usual(x, candles, p.history)


@njit(cache=True, nogil=True)
def _follow(x, candles, sign):
    """Add the last minute to the sweep that is under way."""
    c = closed_candle(candles, MINUTE, np.int64(1))
    x.bars += 1
    x.extreme = max(x.extreme, c.high if sign > 0 else -c.low)
    if x.sd > 0.0:
        x.burst = max(x.burst, (float(c.volume) - x.mean) / x.sd)
    x.peak = max(x.peak, x.flow + (c.delta_max if sign > 0 else -c.delta_min))
    x.flow += sign * (c.buy - c.sell)
    x.turn = max(x.turn, x.peak - x.flow)


@njit(cache=True, nogil=True)
def _judge(x, p, close):
    """Strength of the sweep when ``close`` (times the side) completes it, else 0; may end it."""
    pen_fp9 = fp9(float(x.extreme - x.level) / x.atr)
    back_fp9 = fp9(float(x.level - close) / x.atr)
    if pen_fp9 > p.most_fp9:
        x.kind = 0
        return 0.0
    if back_fp9 < p.reclaim_fp9:
        if x.bars >= p.bars:
            x.kind = 0
        return 0.0
    x.kind = -x.kind
    if (
        fp9(x.burst) < p.burst_fp9
        or x.usual <= 0.0
        or fp9(float(x.peak) / x.usual) < p.push_fp9
        or fp9(float(x.turn) / x.usual) < p.turn_fp9
    ):
        return 0.0
    lean = A0 + A1 * x.burst + A2 * float(back_fp9) / FP9 - A3 * float(pen_fp9) / FP9
    return 1.0 / (1.0 + math.exp(-lean))


@njit(cache=True, nogil=True)
def _side(x, p, candles, pivots, sign, atr):
    """Strength (0: none) of a sweep to ``sign`` that the last closed minute completes."""
    if x.kind <= 0 and atr > 0.0:
        _begin(x, p, candles, pivots, sign, atr)
    if x.kind <= 0:
        return 0.0
    _follow(x, candles, sign)
    return _judge(x, p, sign * closed_candle(candles, MINUTE, np.int64(1)).close)


@njit(cache=True, nogil=True)
def _extremes(s, core_params, candles, bar):
    """Take the last closed minute into the extremes of its session."""
    c = closed_candle(candles, MINUTE, np.int64(1))
    end_ns = session_end(core_params, c.open_ns)
    for k in range(2):
        x = s.sides[k]
        top = c.high if k == 0 else -c.low
        if end_ns != s.session_end_ns:
            x.last_high = x.high if s.session_end_ns > 0 else NONE
            x.last_bar = x.high_bar
            x.high = NONE
        if top > x.last_high:
            x.last_high = NONE
        if top > x.high:
            x.high = top
            x.high_bar = bar
    s.session_end_ns = end_ns


@njit(cache=True, nogil=True)
def sweep_gap(s):
    """Trades were missed: levels may have been passed, nothing is under way any more."""
    signal_unready(s.signal)
    s.session_end_ns = 0
    for k in range(2):
        x = s.sides[k]
        x.kind = 0
        x.high = NONE
        x.last_high = NONE


@njit(cache=True, nogil=True)
def _fire(s, p, k, strength, close, now_ns):
    """Tell the sweep of side ``k``; ``close`` is the last one, times the side."""
    x = s.sides[k]
    sign = np.int64(1) - 2 * k
    s.kind = -x.kind
    s.level = sign * x.level
    s.extreme = sign * x.extreme
    s.penetration_fp9 = fp9(float(x.extreme - x.level) / x.atr)
    s.reclaim_fp9 = fp9(float(x.level - close) / x.atr)
    least = float(p.burst_fp9) / FP9
    signal_fire(s.signal, now_ns, now_ns + p.life_ns, -sign, strength, x.burst, least)


@njit(cache=True, nogil=True)
def sweep_minute(s, p, core_params, candles, pivots, atr):
    """A minute has closed (records of the handlers named): judge both sides."""
    if pivots.run == 0:
        sweep_gap(s)
        return
    if pivots.run <= p.history or pivots.run <= p.age or atr.ready[MINUTE] == 0:
        signal_unready(s.signal)
    else:
        s.signal.ready = 1
        close = closed_candle(candles, MINUTE, np.int64(1)).close
        yard = atr.value[MINUTE]
        up = _side(s.sides[0], p, candles, pivots, np.int64(1), yard)
        down = _side(s.sides[1], p, candles, pivots, np.int64(-1), yard)
        if up != down:
            k = np.int64(0) if up > down else np.int64(1)
            signed = close if k == 0 else -close
            _fire(s, p, k, max(up, down), signed, candles.open[MINUTE].open_ns)
    _extremes(s, core_params, candles, pivots.bars - 1)


@njit(cache=True, nogil=True)
def sweep_boundary(s, now_ns):
    """A boundary (ns): a sweep told falls silent when its time is over."""
    signal_age(s.signal, now_ns)
