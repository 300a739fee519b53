"""What is remembered of a position until it is gone, and when it is taken up and wiped.

Owns the records of the handler ``exits``: what was known when the entry was asked for, what the
position is (entry, delta of the entry and its window, the flip rule in use, R, money at risk), and
what was done to it (stop as last asked, stages). All of it lies in the fold's state, so a snapshot
taken in the middle of a position goes on as if nothing had been. It refuses to know the rules:
they stand in ``exits.py``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.flip import flip_arm, flip_disarm
from engine.kernel.numbers import fp9
from engine.kernel.placement import money_of

RULES = ("none", "flip", "breakeven", "partial", "volatility", "trail", "time", "momentum")
"""The rules in their order; ``exits_manage`` returns their number."""
STEPS = 32
"""Decisions whose prices the momentum rule can look back on."""
TRIES = 3
"""How often a partial that found nothing to trade with is asked for."""

EXPECTED = np.dtype(
    [
        ("entry_delta", "i8"),
        ("window_ns", "i8"),
        ("rule", "i8"),
        ("stop", "i8"),
        ("target", "i8"),
        ("atr_fp9", "i8"),
        ("budget", "i8"),
    ],
    align=True,
)
"""What was known when the entry was asked for: delta of the window (quantity) and its length (ns),
flip rule, stop and target prices, ATR (price units at 1e-9), risk budget (money at 1e-8)."""

EXITS_STATE = np.dtype(
    [
        ("expected", EXPECTED),
        ("entry", EXPECTED),
        ("position_id", "i8"),
        ("direction", "i8"),
        ("entry_price", "i8"),
        ("entry_ns", "i8"),
        ("qty", "i8"),
        ("distance", "i8"),
        ("risk", "i8"),
        ("best", "i8"),
        ("stop", "i8"),
        ("exiting", "i8"),
        ("moved", "i8"),
        ("parted", "i8"),
        ("tries", "i8"),
        ("part_of", "i8"),
        ("widened", "i8"),
        ("against", "i8"),
        ("seen", "i8"),
        ("marks", "i8", (STEPS,)),
        ("count", "i8", (len(RULES),)),
    ],
    align=True,
)
"""expected: of the entry under way; entry: of the position; qty: largest seen; distance: of the
first stop (R, price units; 0: no stop); risk: money that R is; best: highest gain (price units);
stop: as last asked; exiting: an exit is under way; moved, parted, widened: stages done; part_of:
size when a partial was asked; against: decisions in a row with the flow against; seen, marks:
prices of the last decisions; count: by rule, how often it acted."""

EXITS_PARAMS = np.dtype(
    [
        ("preset", "i8"),
        ("atr", "i8"),
        ("check_ns", "i8"),
        ("breakeven_by", "i8"),
        ("breakeven_at_fp9", "i8"),
        ("breakeven_fees", "i8"),
        ("breakeven_extra_fp9", "i8"),
        ("partial_by", "i8"),
        ("partial_at_fp9", "i8"),
        ("partial_share_fp9", "i8"),
        ("widen", "i8"),
        ("widen_ratio_fp9", "i8"),
        ("widen_vix_fp9", "i8"),
        ("widen_most_fp9", "i8"),
        ("widen_base", "i8"),
        ("widen_atr_fp9", "i8"),
        ("trail_fp9", "i8"),
        ("trail_from", "i8"),
        ("trail_step_fp9", "i8"),
        ("hold_ns", "i8"),
        ("momentum", "i8"),
        ("momentum_z_fp9", "i8"),
        ("momentum_n", "i8"),
        ("momentum_move_fp9", "i8"),
    ],
    align=True,
)
"""Documented where they are set: ``engine.runtime.parameters``."""


@njit(cache=True, nogil=True)
def exits_expect(s, flip_p, entry_delta, window_ns, stop, target, atr, budget):
    """An entry is asked for: int64 delta of its window, window (ns), stop and target prices (0:
    none), ATR (float, price units; 0 unknown), money that the position may risk (1e-8)."""
    e = s.expected
    e.entry_delta = entry_delta
    e.window_ns = window_ns
    e.rule = flip_p.mode
    e.stop = stop
    e.target = target
    e.atr_fp9 = fp9(atr)
    e.budget = budget


@njit(cache=True, nogil=True)
def exits_follow(s, flip, core, known):
    """Compare with the account as it is known: 1 a position was opened, -1 it is gone, else 0.

    Call at every decision before :func:`exits_manage`. An entry that fills in pieces grows the
    position until its first partial.
    """
    if known.qty == 0:
        if s.direction == 0:
            return 0
        exits_disarm(s, flip)
        return -1
    if known.position_id != s.position_id:
        exits_arm(s, flip, core, known)
        return 1
    if abs(known.qty) > s.qty and s.tries == 0:
        s.moved = 0
        _size(s, core, known)
    if known.open_orders == 0:
        s.exiting = 0
        if s.part_of > 0 and abs(known.qty) >= s.part_of:
            s.parted = 1 if s.tries >= TRIES else 0
        s.part_of = 0
    return 0


@njit(cache=True, nogil=True)
def exits_arm(s, flip, core, known):
    """A position is known to be open: it takes over what was expected of its entry."""
    s.position_id = known.position_id
    s.direction = 1 if known.qty > 0 else -1
    s.entry_ns = known.open_ns
    e = s.entry
    x = s.expected
    e.entry_delta = x.entry_delta
    e.window_ns = x.window_ns
    e.rule = x.rule
    e.stop = x.stop
    e.target = x.target
    e.atr_fp9 = x.atr_fp9
    e.budget = x.budget
    s.stop = x.stop
    s.best = 0
    _stages(s)
    _size(s, core, known)
    flip_arm(flip, s.direction, e.entry_delta)


@njit(cache=True, nogil=True)
def _stages(s):
    """No stage is done, nothing was seen."""
    s.exiting = 0
    s.moved = 0
    s.parted = 0
    s.tries = 0
    s.part_of = 0
    s.widened = 0
    s.against = 0
    s.seen = 0


@njit(cache=True, nogil=True)
def _size(s, core, known):
    """Size, entry price, R and the money that R is, of the position as it is known."""
    s.qty = abs(known.qty)
    s.entry_price = known.entry_price
    away = s.direction * (known.entry_price - s.entry.stop)
    s.distance = away if s.entry.stop > 0 and away > 0 else 0
    s.risk = money_of(core, float(s.distance), s.qty)


@njit(cache=True, nogil=True)
def exits_disarm(s, flip):
    """The position is gone: what was remembered of it is wiped."""
    flip_disarm(flip)
    _stages(s)
    e = s.entry
    e.entry_delta = 0
    e.window_ns = 0
    e.rule = 0
    e.stop = 0
    e.target = 0
    e.atr_fp9 = 0
    e.budget = 0
    s.position_id = 0
    s.direction = 0
    s.entry_price = 0
    s.entry_ns = 0
    s.qty = 0
    s.distance = 0
    s.risk = 0
    s.best = 0
    s.stop = 0
