"""Speed of the tape, and prints that are large for it.

Owns two readings at every decision boundary (reference "orderflow" 4.1):

* speed: trades of the last 15 s against the 285 s before them. Fast (rule auto, ATAS: 1.5 times
  its mean) when the count is above ``ratio`` times the mean count m of 15 s, and above m by
  ``sigmas`` roots of m (a Poisson count strays by one root), and at least ``least``; rule fixed:
  above ``trades``. Speed alone has no side: direction is that of the 15 s' delta where its share
  of the volume is at least ``lean``; strength is that share times (1 - m / count).
* large prints: trades since the last boundary larger than a size that was set at it: ``multiple``
  times the mean print of 300 s (auto), a quantity, or a notional at the last price (the seed's
  whales). Direction is the side with more volume in them, strength its surplus as a share of it
  times (1 - size / largest); it speaks for ``life``.

What must hold: 300 s without a gap for a mean; only trades whose side is known count; what is
large was set before it was traded. It refuses to know about candles and the book.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import NS
from engine.kernel.core import qty_of, window_ready
from engine.kernel.numbers import fp9, isqrt_float, ratio_of
from engine.kernel.signals import SIGNAL_STATE, signal_age, signal_fire, signal_set, signal_unready
from engine.kernel.windows import SPANS_S

AUTO = 0
FIXED = 1
QUANTITY = 1
NOTIONAL = 2
SHORT = SPANS_S.index(15)
LONG = SPANS_S.index(300)
_PARTS = SPANS_S[LONG] // SPANS_S[SHORT] - 1
_LONG_NS = SPANS_S[LONG] * NS

TAPE_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("prints", SIGNAL_STATE),
        ("pace", "i8"),
        ("before", "i8"),
        ("fast", "i8"),
        ("large_lots", "i8"),
        ("large", "f8"),
        ("bought", "i8"),
        ("sold", "i8"),
        ("largest", "i8"),
    ],
    align=True,
)
"""signal: speed; pace and before: trades of the last 15 s and of the 285 s before; fast 0 or 1;
large_lots, large: size above which a print is large, floored and as a float (0: not known);
bought, sold, largest: int64 quantity of large prints since the last boundary."""

TAPE_PARAMS = np.dtype(
    [
        ("rule", "i8"),
        ("ratio_fp9", "i8"),
        ("sigmas_fp9", "i8"),
        ("least", "i8"),
        ("trades", "i8"),
        ("lean_fp9", "i8"),
        ("size", "i8"),
        ("multiple_fp9", "i8"),
        ("quantity_lots", "i8"),
        ("notional_money", "i8"),
        ("life_ns", "i8"),
    ],
    align=True,
)
"""rule AUTO or FIXED; size AUTO, QUANTITY, NOTIONAL; ratios at 1e-9, money at 1e-8."""


@njit(cache=True, nogil=True)
def tape_trades(s, qty, side, i, j):
    """Add up the large ones among trades [i, j): int64 qty, side int8 in {-1, 0, +1}."""
    least = s.large_lots
    if least == 0:
        return
    bought = s.bought
    sold = s.sold
    largest = s.largest
    qtys = qty[i:j]
    sides = side[i:j]
    for k in range(len(qtys)):
        d = np.int64(sides[k])
        q = qtys[k] * np.int64(qtys[k] > least) * d
        bought += max(q, np.int64(0))
        sold -= min(q, np.int64(0))
        largest = max(largest, abs(q))
    s.bought = bought
    s.sold = sold
    s.largest = largest


@njit(cache=True, nogil=True)
def is_fast(p, pace, before):
    """True when ``pace`` trades in 15 s are fast after ``before`` in the 285 s before (counts)."""
    if p.rule == FIXED:
        return pace > p.trades
    mean = float(before) / float(_PARTS)
    above = float(pace) - mean > float(p.sigmas_fp9) / 1e9 * isqrt_float(mean)
    return above and pace >= p.least and pace * _PARTS > ratio_of(before, p.ratio_fp9)


@njit(cache=True, nogil=True)
def _speed(s, p, w, now_ns):
    """Set the signal of speed from the windows' sums (record)."""
    one = np.int64(1)
    s.pace = w.buys[SHORT] + w.sells[SHORT]
    s.before = w.buys[LONG] + w.sells[LONG] - s.pace
    s.fast = one if is_fast(p, s.pace, s.before) else one - one
    value = strength = 0.0
    direction = one - one
    if s.pace > 0:
        mean = float(s.before) / float(_PARTS)
        value = float(s.pace) / max(mean, 1.0)
        volume = w.buy[SHORT] + w.sell[SHORT]
        lean = float(w.buy[SHORT] - w.sell[SHORT]) / float(volume)
        if s.fast == 1 and abs(fp9(lean)) >= p.lean_fp9 and lean != 0.0:
            direction = one if lean > 0.0 else -one
            strength = abs(lean) * max(1.0 - mean / float(s.pace), 0.0)
    threshold = float(p.ratio_fp9) / 1e9
    if direction != 0 and direction != s.signal.direction:
        signal_fire(s.signal, now_ns, now_ns, direction, strength, value, threshold)
    else:
        signal_set(s.signal, direction, strength, value, threshold)


@njit(cache=True, nogil=True)
def _prints(s, p, now_ns):
    """Set the signal of large prints from what was added up since the last boundary."""
    one = np.int64(1)
    signal_age(s.prints, now_ns)
    surplus = s.bought - s.sold
    if surplus != 0:
        share = float(surplus) / float(s.bought + s.sold)
        strength = abs(share) * (1.0 - s.large / float(s.largest))
        direction = one if surplus > 0 else -one
        until_ns = now_ns + p.life_ns
        multiple = float(s.largest) / s.large
        signal_fire(s.prints, now_ns, until_ns, direction, strength, multiple, 1.0)
    elif s.prints.direction == 0:
        signal_set(s.prints, one - one, 0.0, 0.0, 1.0)


@njit(cache=True, nogil=True)
def _set_size(s, p, core_params, core, w, whole):
    """What is large until the next boundary; nothing is where it cannot be known."""
    s.bought = 0
    s.sold = 0
    s.largest = 0
    s.large_lots = 0
    prints = w.buys[LONG] + w.sells[LONG]
    if p.size == QUANTITY:
        s.large_lots = p.quantity_lots
    elif p.size == NOTIONAL:
        s.large_lots = qty_of(core_params, p.notional_money, core.last_price)
    elif whole and prints > 0:
        volume = w.buy[LONG] + w.sell[LONG]
        s.large_lots = ratio_of(volume, p.multiple_fp9) // prints
        s.large = float(p.multiple_fp9) / 1e9 * float(volume) / float(prints)
        return
    s.large = float(s.large_lots)


@njit(cache=True, nogil=True)
def tape_boundary(s, p, core_params, core, w, now_ns):
    """Read the tape at decision boundary ``now_ns``; ``w`` is the WINDOWS_STATE record of it."""
    whole = window_ready(core, now_ns, _LONG_NS)
    if whole:
        _speed(s, p, w, now_ns)
    else:
        signal_unready(s.signal)
        s.fast = 0
    if s.large_lots > 0 and (whole or p.size != AUTO):
        _prints(s, p, now_ns)
    else:
        signal_unready(s.prints)
    _set_size(s, p, core_params, core, w, whole)


@njit(cache=True, nogil=True)
def tape_gap(s):
    """Trades were missed: silence until the windows are whole again."""
    signal_unready(s.signal)
    signal_unready(s.prints)
    s.fast = 0
    s.large_lots = 0
    s.large = 0.0
    s.bought = 0
    s.sold = 0
    s.largest = 0
