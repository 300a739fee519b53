"""What the desk remembers, what it is told by settings, and what it writes down of an idea.

Owns the records of the handler ``desk``, the names of its gates, and how a gate and an answer are
written into a decision. It refuses to know what is asked, and in which order: see ``desk.py``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.ewma import EWMA_STATE

GATES = ("history", "idea", "score", "model", "placed", "size", "guards", "free", "second")
"""Names of the bits in ``decision.gates`` and ``decision.blocked``, lowest first."""
G_HISTORY, G_IDEA, G_SCORE, G_MODEL, G_PLACED, G_SIZE, G_GUARDS, G_FREE, G_SECOND = (
    1 << n for n in range(len(GATES))
)
LIMIT = 1
TRADE_UNFITTED = 0
SECOND_OFF = 0

IDEA = np.dtype(
    [
        ("direction", "i8"),
        ("slot", "i8"),
        ("stop_mode", "i8"),
        ("stop_value", "i8"),
        ("target_mode", "i8"),
        ("target_value", "i8"),
        ("entry", "i8"),
        ("spread", "i8"),
        ("stop", "i8"),
        ("target", "i8"),
        ("atr_fp9", "i8"),
    ],
    align=True,
)
"""What is being considered: direction -1, 0, +1; slot: place of its plan, -1 the classifier's;
modes and values of ``placement``; entry, spread, stop and target: price units; ATR at 1e-9."""

ENTRY = np.dtype(
    [("sent", "i8"), ("order", "i8"), ("ns", "i8"), ("plan", "i8"), ("closed", "i8")], align=True
)
"""The entry under way: sent 1 until its number is known, order: that number (0: none is open), ns:
when it was sent, plan: id of the plan behind it (0: none), closed: positions closed until then."""

ANSWER_FIELDS = (
    "gates", "blocked", "refused", "plan", "direction", "needed_fp9", "qty", "stop", "target",
    "risk",
)  # fmt: skip
ANSWER = np.dtype([(name, "i8") for name in ANSWER_FIELDS], align=True)
"""What a decision says of one idea."""

DESK_STATE = np.dtype(
    [
        ("sigma", EWMA_STATE),
        ("z_fp9", "i8"),
        ("ready", "i8"),
        ("entries", "i8"),
        ("entry", ENTRY),
        ("idea", IDEA),
        ("first", ANSWER),
    ],
    align=True,
)
"""sigma: usual size of the window's delta; z and ready: of this boundary; entries: orders sent;
first: the answer to the first idea of a boundary, kept while others are asked about."""

DESK_PARAMS = np.dtype(
    [
        ("source", "i8"),
        ("window", "i8"),
        ("memory", "i8"),
        ("warmup", "i8"),
        ("unfitted", "i8"),
        ("second", "i8"),
        ("stop", "i8"),
        ("stop_atr_fp9", "i8"),
        ("stop_share_fp9", "i8"),
        ("stop_buffer_fp9", "i8"),
        ("target", "i8"),
        ("target_r_fp9", "i8"),
        ("target_atr_fp9", "i8"),
        ("target_share_fp9", "i8"),
        ("entry", "i8"),
    ],
    align=True,
)
"""Documented where they are set: ``engine.runtime.groups_desk``."""


@njit(cache=True, nogil=True)
def gate(d, bit, passed):
    """Note in decision ``d`` that a gate was asked, and whether it passed."""
    if passed:
        d.gates |= bit
    else:
        d.blocked |= bit
    return passed


@njit(cache=True, nogil=True)
def answer_keep(k, d):
    """Remember in ``k`` what decision ``d`` says of an idea."""
    k.gates = d.gates
    k.blocked = d.blocked
    k.refused = d.refused
    k.plan = d.plan
    k.direction = d.direction
    k.needed_fp9 = d.needed_fp9
    k.qty = d.qty
    k.stop = d.stop
    k.target = d.target
    k.risk = d.risk


@njit(cache=True, nogil=True)
def answer_tell(k, d):
    """Let decision ``d`` say what ``k`` remembers."""
    d.gates = k.gates
    d.blocked = k.blocked
    d.refused = k.refused
    d.plan = k.plan
    d.direction = k.direction
    d.needed_fp9 = k.needed_fp9
    d.qty = k.qty
    d.stop = k.stop
    d.target = k.target
    d.risk = k.risk
