"""Ideas: whose turn it is at this boundary, and where its stop and its target are to stand.

Owns the order (plans that are met by their ids, then the classifier), the gates between a score and
an idea, and which settings an idea takes where it says nothing itself. What must hold: a decision
never tells of one idea what was found of another. It refuses to know prices, sizes and guards.
"""

from __future__ import annotations

from numba import njit

from engine.kernel.desk_state import G_SCORE, G_SECOND, SECOND_OFF, gate
from engine.kernel.microstructure import microstructure_level
from engine.kernel.placement import ATR, MULTIPLE, NONE, SHARE, STRUCTURE
from engine.kernel.plans import plans_after

BOTH, PLANS, CLASSIFIER = range(3)
STOP_BY_ATR, STOP_BY_SHARE, STOP_BY_STRUCTURE = range(3)
TARGET_BY_R, TARGET_BY_ATR, TARGET_BY_SHARE, TARGET_NONE = range(4)


@njit(cache=True, nogil=True)
def idea_next(s, p, d, after):
    """The next idea: the plan met with the lowest id above ``after``, else the classifier's.

    Nothing that was said of an idea before it stays in the decision.
    """
    x = s.desk.idea
    x.direction = 0
    x.slot = -1
    d.plan = 0
    d.direction = s.confluence.side
    d.refused = 0
    d.needed_fp9 = 0
    d.qty = 0
    d.stop = 0
    d.target = 0
    d.risk = 0
    if p.desk.source != CLASSIFIER:
        slot = plans_after(s.plans, after)
        if slot >= 0:
            _of_plan(s, p, slot)
            d.plan = s.plans.slots[slot].id
            d.direction = x.direction
            return
    if p.desk.source == PLANS or s.confluence.signal.ready == 0 or s.confluence.side == 0:
        return
    if not gate(d, G_SCORE, s.confluence.meets == 1 or s.confluence.fitted == 1):
        return
    if p.desk.second != SECOND_OFF:
        level = microstructure_level(s.microstructure, p.microstructure, s.confluence.side)
        if not gate(d, G_SECOND, level >= p.desk.second):
            return
    _of_classifier(s, p, s.confluence.side)


@njit(cache=True, nogil=True)
def _of_classifier(s, p, direction):
    """Stop and target as the settings say."""
    x = s.desk.idea
    x.direction = direction
    x.target_mode = NONE
    x.target_value = 0
    _default_stop(x, p)
    if p.desk.target == TARGET_BY_R:
        x.target_mode = MULTIPLE
        x.target_value = p.desk.target_r_fp9
    elif p.desk.target == TARGET_BY_ATR:
        x.target_mode = ATR
        x.target_value = p.desk.target_atr_fp9
    elif p.desk.target == TARGET_BY_SHARE:
        x.target_mode = SHARE
        x.target_value = p.desk.target_share_fp9


@njit(cache=True, nogil=True)
def _default_stop(x, p):
    if p.desk.stop == STOP_BY_ATR:
        x.stop_mode = ATR
        x.stop_value = p.desk.stop_atr_fp9
    elif p.desk.stop == STOP_BY_SHARE:
        x.stop_mode = SHARE
        x.stop_value = p.desk.stop_share_fp9
    else:
        x.stop_mode = STRUCTURE
        x.stop_value = p.desk.stop_buffer_fp9


@njit(cache=True, nogil=True)
def _of_plan(s, p, slot):
    """Stop and target as the plan says; a plan without a stop takes that of the settings."""
    x = s.desk.idea
    r = s.plans.slots[slot]
    _of_classifier(s, p, r.direction)
    x.slot = slot
    if r.stop_mode != NONE:
        x.stop_mode = r.stop_mode
        x.stop_value = r.stop_value
    if r.target_mode != NONE:
        x.target_mode = r.target_mode
        x.target_value = r.target_value
