"""Turns of delta against price on closed one-minute candles: three forms from three tools.

Owns three rules about the last closed candle c, the one before it b, and a before that, with
delta D = buy - sell (reference "orderflow" 4.1). Stated for the sell side, mirrored for the buy:

* quantower ("Delta Divergence Reversal"): higher high and higher low than b, and D < 0;
* atas (DeltaTurnaround): a and b rose, c fell, its high at or above that of b, and D < 0;
* marketdelta: the high at or through the highest of the session so far, and D < 0.

They are events only where the flow was large: |z_D| >= ``z`` (1) with z_D = D / sigma_D, sigma_D
the root mean square of past candles' deltas (``length`` 346 is a half-life of 240 candles;
reference 6, 6.2). Direction is the sign of D, strength 1 - 2 Phi(-|z_D|); bits of ``forms`` tell
which rules held. What must hold: closed candles with trades; three in a row without a gap; a
session's extremes count after ``settle`` candles and begin anew at a gap, since the highest may
have been missed. It refuses to know where inside a candle the volume traded.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.kernel.candles import FLAG_GAP, SPANS_NS, closed_candle
from engine.kernel.core import session_end
from engine.kernel.ewma import EWMA_STATE, ewma_sigma, ewma_update
from engine.kernel.numbers import fp9
from engine.kernel.signals import SIGNAL_STATE, signal_age, signal_fire, signal_set, signal_unready

QUANTOWER = 1
ATAS = 2
MARKETDELTA = 4
_MASKS = np.array([7, QUANTOWER, ATAS, MARKETDELTA], dtype=np.int64)
_MINUTE_NS = SPANS_NS[1]
_ROOT2 = math.sqrt(2.0)

DELTA_TURN_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("usual", EWMA_STATE),
        ("z_fp9", "i8"),
        ("forms", "i8"),
        ("session_end_ns", "i8"),
        ("session_candles", "i8"),
        ("session_high", "i8"),
        ("session_low", "i8"),
    ],
    align=True,
)
"""usual: deltas of past candles; z_fp9 and forms (bits) of the last candle judged; session_*: end
(ns), candles with trades so far and their extremes (int64 price)."""

DELTA_TURN_PARAMS = np.dtype(
    [
        ("z_fp9", "i8"),
        ("form", "i8"),
        ("length", "i8"),
        ("warm", "i8"),
        ("settle", "i8"),
        ("life_ns", "i8"),
    ],
    align=True,
)
"""z at 1e-9; form: 0 any, else the one form; length, warm, settle in candles."""


@njit(cache=True, nogil=True)
def _rose(c, sign):
    """The candle went with ``sign`` (+1 up, -1 down)."""
    return sign * (c.close - c.open) > 0


@njit(cache=True, nogil=True)
def _top(c, sign):
    """Its high (+1), or the negative of its low (-1): the larger, the further out."""
    return c.high if sign > 0 else -c.low


@njit(cache=True, nogil=True)
def delta_forms(a, b, c, sign, extreme):
    """Bits of the forms that hold on candles a, b, c (records, oldest first).

    ``sign`` is +1 for a turn down from a high; ``extreme`` the session's furthest int64 price
    before c, as :func:`_top` gives it, or one beyond every price where there is none.
    """
    forms = np.int64(0)
    if _top(c, sign) > _top(b, sign) and _top(c, -sign) < _top(b, -sign):
        forms |= QUANTOWER
    turned = _rose(a, sign) and _rose(b, sign) and _rose(c, -sign)
    if turned and _top(c, sign) >= _top(b, sign):
        forms |= ATAS
    if _top(c, sign) >= extreme:
        forms |= MARKETDELTA
    return forms


@njit(cache=True, nogil=True)
def _extend_session(s, c):
    """The session's extremes after candle ``c``, of which something traded."""
    first = s.session_candles == 0
    s.session_high = c.high if first else max(s.session_high, c.high)
    s.session_low = c.low if first else min(s.session_low, c.low)
    s.session_candles += 1


@njit(cache=True, nogil=True)
def _judge(s, p, a, b, c, end_ns):
    """The event of candle ``c``, if it is one; delta of it is not 0."""
    one = np.int64(1)
    sign = -one if c.buy > c.sell else one
    extreme = np.iinfo(np.int64).max
    if s.session_candles >= p.settle:
        extreme = s.session_high if sign > 0 else -s.session_low
    s.forms = delta_forms(a, b, c, sign, extreme) & _MASKS[p.form]
    if s.forms != 0 and abs(s.z_fp9) >= p.z_fp9:
        z = float(s.z_fp9) / 1e9
        strength = math.erf(abs(z) / _ROOT2)
        until_ns = end_ns + p.life_ns
        signal_fire(s.signal, end_ns, until_ns, -sign, strength, z, float(p.z_fp9) / 1e9)


@njit(cache=True, nogil=True)
def _speak(s, p, candles, c):
    """Judge ``c`` where three whole candles and enough history let it."""
    zero = np.int64(0)
    a, b = closed_candle(candles, 1, 3), closed_candle(candles, 1, 2)
    # the first candle of all began in its middle
    whole = candles.closed[1] > 3 and ((a.flags | b.flags) & FLAG_GAP) == 0
    if not whole or s.usual.n < p.warm:
        signal_unready(s.signal)
        return
    if s.signal.direction == 0:
        signal_set(s.signal, zero, 0.0, float(s.z_fp9) / 1e9, float(p.z_fp9) / 1e9)
    if s.z_fp9 != 0 and a.trades > 0 and b.trades > 0:
        _judge(s, p, a, b, c, c.open_ns + _MINUTE_NS)


@njit(cache=True, nogil=True)
def delta_turn_candle(s, p, core, candles):
    """A one-minute candle closed: judge it, then let it join what is usual (core: its params)."""
    c = closed_candle(candles, 1, 1)
    s.z_fp9 = 0
    s.forms = 0
    if candles.closed[1] == 1 or (c.flags & FLAG_GAP) != 0:
        delta_turn_gap(s)
        return
    end_ns = session_end(core, c.open_ns)
    if end_ns != s.session_end_ns:
        s.session_end_ns = end_ns
        s.session_candles = 0
    if c.trades > 0:
        sigma = ewma_sigma(s.usual)
        delta = float(c.buy - c.sell)
        s.z_fp9 = fp9(delta / sigma) if sigma > 0.0 else np.int64(0)
    _speak(s, p, candles, c)
    if c.trades > 0:
        ewma_update(s.usual, float(c.buy - c.sell), p.length)
        _extend_session(s, c)


@njit(cache=True, nogil=True)
def delta_turn_boundary(s, now_ns):
    """Engine time ``now_ns``: a turn whose time is over falls silent."""
    signal_age(s.signal, now_ns)


@njit(cache=True, nogil=True)
def delta_turn_gap(s):
    """Trades were missed: silence, and the session's extremes begin anew."""
    signal_unready(s.signal)
    s.session_candles = 0
