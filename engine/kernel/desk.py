"""The desk: from what was judged to what is done about it, once a boundary.

Owns the order in which everything between signals and intents is asked, for every strategy that
trades plans and confluence: measure the flow, follow the account, then either manage the position
(halts first, then the exits) or seek an entry: a plan that is met goes before the classifier, the
stop and the target are placed, the size follows from the stop, the guards are asked, and one order
leaves. What must hold: no order without a stop that can be placed and without the guards' leave; a
plan that was acted on is not acted on again; every gate that was asked stands in the decision. It
refuses to know how anything is judged, placed, sized or guarded: each lies in a file of its own.

Functions take the whole state ``s`` and params ``p`` of a fold that has the handler ``desk``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Action, ExitReason
from engine.kernel.confluence import confluence_pays, needed_probability
from engine.kernel.core import Q_BOOK_STALE, Q_GAP, Q_WARMING, window_ready
from engine.kernel.ewma import EWMA_STATE, ewma_sigma, ewma_update
from engine.kernel.exits import exits_atr, exits_expect, exits_follow, exits_manage
from engine.kernel.intents import cancel_order, enter_limit, enter_market, exit_market
from engine.kernel.lifecycle import (
    ENTER,
    EXIT,
    lifecycle_block,
    lifecycle_event,
    lifecycle_look,
    lifecycle_signal,
    lifecycle_withdraws,
)
from engine.kernel.numbers import fp9, ratio_of
from engine.kernel.placement import (
    ATR,
    MULTIPLE,
    NONE,
    SHARE,
    STRUCTURE,
    cost_units,
    stop_price,
    target_price,
)
from engine.kernel.plans import plans_executed, plans_next
from engine.kernel.risk import (
    risk_accept,
    risk_check,
    risk_closes,
    risk_moved,
    risk_note,
    risk_propose,
    risk_size,
    risk_slippage,
    risk_standing,
)
from engine.kernel.windows import SPANS_S

GATES = ("history", "idea", "score", "model", "placed", "size", "guards", "free")
"""Names of the bits in ``decision.gates`` and ``decision.blocked``, lowest first."""
G_HISTORY, G_IDEA, G_SCORE, G_MODEL, G_PLACED, G_SIZE, G_GUARDS, G_FREE = (
    1 << n for n in range(len(GATES))
)
_SPANS_NS = np.array(SPANS_S, dtype=np.int64) * 1_000_000_000
BOTH, PLANS, CLASSIFIER = range(3)
STOP_BY_ATR, STOP_BY_SHARE, STOP_BY_STRUCTURE = range(3)
TARGET_BY_R, TARGET_BY_ATR, TARGET_BY_SHARE, TARGET_NONE = range(4)
LIMIT = 1
TRADE_UNFITTED = 0
_A_LONG = int(Action.ENTER_LONG)
_A_SHORT = int(Action.ENTER_SHORT)
_A_EXIT = int(Action.EXIT)
_A_CANCEL = int(Action.CANCEL)
_A_MOVE = int(Action.MOVE_STOP)
_BY_RISK = int(ExitReason.RISK)

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

DESK_STATE = np.dtype(
    [
        ("sigma", EWMA_STATE),
        ("z_fp9", "i8"),
        ("ready", "i8"),
        ("entries", "i8"),
        ("idea", IDEA),
    ],
    align=True,
)
"""sigma: usual size of the window's delta; z and ready: of this boundary; entries: orders sent."""

DESK_PARAMS = np.dtype(
    [
        ("source", "i8"),
        ("window", "i8"),
        ("memory", "i8"),
        ("warmup", "i8"),
        ("unfitted", "i8"),
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
"""Documented where they are set: ``engine.runtime.groups_trading``."""


@njit(cache=True, nogil=True)
def desk_decide(s, p, now_ns):
    """One decision at boundary ``now_ns`` (ns UTC); fills ``s.core.decision``, adds intents."""
    d = s.core.decision
    _measure(s, p, d, now_ns)
    d.market = s.market_state.state
    exits_follow(s.exits, s.flip, p.core, s.known)
    if s.known.qty != 0:
        _manage(s, p, d, now_ns)
    elif lifecycle_withdraws(s.lifecycle, s.known):
        d.action = _A_CANCEL
        cancel_order(s.intents, s.known.last_order_id)
    else:
        _seek(s, p, d, now_ns)


@njit(cache=True, nogil=True)
def gate(d, bit, passed):
    """Note in decision ``d`` that a gate was asked, and whether it passed."""
    if passed:
        d.gates |= bit
    else:
        d.blocked |= bit
    return passed


# --- what there is to know -------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _measure(s, p, d, now_ns):
    """Delta of the window over its usual size; folds whole windows that do not overlap into it."""
    m = s.desk
    w = p.desk.window
    span = _SPANS_NS[w]
    d.delta = s.windows.buy[w] - s.windows.sell[w]
    d.score_fp9 = s.confluence.score_fp9
    d.direction = s.confluence.side
    d.probability_fp9 = s.confluence.probability_fp9
    if s.book.stale == 0:
        d.book_fp9 = s.book.imbalance5_fp9
    else:
        d.quality |= Q_BOOK_STALE
    whole = window_ready(s.core, now_ns, span)
    if not whole:
        d.quality |= Q_GAP if s.core.trade_gap_ns > now_ns - span else Q_WARMING
    sigma = ewma_sigma(m.sigma)
    warm = m.sigma.n >= p.desk.warmup and sigma > 0.0
    if not warm:
        d.quality |= Q_WARMING
    d.delta_z_fp9 = fp9(float(d.delta) / sigma) if warm else 0
    m.z_fp9 = d.delta_z_fp9
    m.ready = 1 if whole and warm else 0
    if whole and now_ns % span == 0:
        ewma_update(m.sigma, float(d.delta), p.desk.memory)


@njit(cache=True, nogil=True)
def _touch(s, p, now_ns, direction):
    """(price that an entry would meet, spread), 0 where there is none; a stale touch is none."""
    r = s.risk
    fresh = r.bid > 0 and (p.risk.stale_ns == 0 or now_ns - r.touch_ns <= p.risk.stale_ns)
    if not fresh:
        return s.core.last_price, np.int64(0)
    return (r.ask_price if direction > 0 else r.bid), max(r.ask_price - r.bid, np.int64(0))


# --- in a position ---------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _manage(s, p, d, now_ns):
    """A halt closes; else the exits are asked in their order, and a new idea is refused by name."""
    d.entry_delta = s.exits.entry.entry_delta
    r = s.risk
    fresh = r.bid > 0 and (p.risk.stale_ns == 0 or now_ns - r.touch_ns <= p.risk.stale_ns)
    if r.bid > 0 and not fresh and now_ns % p.core.slow_ns != 0:
        return  # a market that does not quote fills nothing: it is asked again every half minute
    if risk_closes(s.risk, p.risk):
        d.refused = risk_standing(s.risk, now_ns)
        if s.exits.exiting == 0:
            d.action = _A_EXIT
            d.exit_reason = _BY_RISK
            s.exits.exiting = 1
            exit_market(s.intents, s.known.qty, _BY_RISK)
    else:
        exits_manage(
            s.exits, p.exits, s.flip, p.flip, p.core, s.intents, d, s.known, now_ns, s.desk.ready,
            d.delta, float(s.desk.z_fp9) * 1e-9, r.bid if fresh else np.int64(0),
            r.ask_price if fresh else np.int64(0), exits_atr(p.exits, s.atr), s.reference.vix_fp9,
        )  # fmt: skip
    if d.action == _A_MOVE:
        risk_moved(s.risk, d.stop)
    elif d.action == _A_EXIT:
        lifecycle_event(s.lifecycle, EXIT, now_ns)
    elif d.action == 0 and s.desk.ready == 1:
        _find(s, p, d)
        if gate(d, G_IDEA, s.desk.idea.direction != 0):
            _consider(s, p, d, now_ns)


# --- flat ------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _seek(s, p, d, now_ns):
    """Look for an idea and, where there is one, ask everything that must agree to it."""
    standing = risk_standing(s.risk, now_ns)
    lifecycle_block(s.lifecycle, standing, now_ns)
    d.refused = standing
    if not gate(d, G_FREE, s.known.open_orders == 0):
        return
    looks = lifecycle_look(s.lifecycle, s.desk.ready == 1, now_ns)
    if not gate(d, G_HISTORY, s.desk.ready == 1) or not looks:
        return
    _find(s, p, d)
    there = s.desk.idea.direction != 0
    detected = lifecycle_signal(s.lifecycle, there, now_ns)
    if gate(d, G_IDEA, there) and detected:
        _consider(s, p, d, now_ns)


@njit(cache=True, nogil=True)
def _find(s, p, d):
    """The idea of this boundary: a plan that is met, else what the classifier says."""
    x = s.desk.idea
    x.direction = 0
    x.slot = -1
    if p.desk.source != CLASSIFIER:
        slot = plans_next(s.plans)
        if slot >= 0:
            _of_plan(s, p, slot)
            d.plan = s.plans.slots[slot].id
            d.direction = x.direction
            return
    if p.desk.source == PLANS or s.confluence.signal.ready == 0 or s.confluence.side == 0:
        return
    if gate(d, G_SCORE, s.confluence.meets == 1 or s.confluence.fitted == 1):
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


@njit(cache=True, nogil=True)
def _consider(s, p, d, now_ns):
    """Place, size and guard the idea; send it when everything agrees."""
    x = s.desk.idea
    x.entry, x.spread = _touch(s, p, now_ns, x.direction)
    atr = exits_atr(p.exits, s.atr)
    x.atr_fp9 = fp9(atr)
    x.stop = stop_price(
        x.stop_mode, x.stop_value, x.direction, x.entry, atr, p.core, x.spread, s.pivots,
        s.absorption, s.sweep,
    )  # fmt: skip
    x.target = target_price(
        x.target_mode, x.target_value, x.direction, x.entry, x.stop, atr, p.core, x.spread
    )
    wanted = x.target_mode != NONE
    if gate(d, G_PLACED, x.entry > 0 and x.stop > 0 and (x.target > 0 or not wanted)):
        _propose(s, p, now_ns)
        d.needed_fp9 = s.risk.ask.needed_fp9
        pays = _pays(s, p)
        sized = gate(d, G_SIZE, s.risk.ask.qty > 0)
        refused = risk_check(s.risk, p.risk, p.core, s.known, now_ns)
        risk_note(s.risk, d)
        guarded = gate(d, G_GUARDS, refused == 0)
        free = gate(d, G_FREE, s.known.qty == 0 and s.known.open_orders == 0)
        if gate(d, G_MODEL, pays) and sized and guarded and free:
            _enter(s, p, d, now_ns)


@njit(cache=True, nogil=True)
def _pays(s, p):
    """What was fitted must beat what this trade needs; an unfitted score is one, if it is let."""
    if s.desk.idea.slot >= 0:
        return True
    if s.confluence.fitted == 1:
        return confluence_pays(s.confluence, s.risk.ask.needed_fp9)
    return p.desk.unfitted == TRADE_UNFITTED


@njit(cache=True, nogil=True)
def _propose(s, p, now_ns):
    """Size the idea and put it before the guards."""
    x = s.desk.idea
    probability = np.int64(0)
    share = np.int64(0)
    qty = np.int64(0)
    if x.slot >= 0:
        share = s.plans.slots[x.slot].risk_fp9
        qty = s.plans.slots[x.slot].qty
    elif s.confluence.fitted == 1:
        probability = s.confluence.lower_fp9
    if qty == 0:
        qty = risk_size(
            p.risk, p.core, s.risk.equity, x.entry, x.stop, x.target, x.spread, probability, share
        )
    risk_propose(s.risk, x.direction, x.entry, x.stop, x.target, qty, x.spread)
    a = s.risk.ask
    a.market = s.market_state.state
    a.slip = risk_slippage(s.book, x.direction, qty) if s.book.stale == 0 else np.int64(0)
    if x.target > 0:
        cost = cost_units(p.core, x.entry, x.spread)
        a.needed_fp9 = needed_probability(abs(x.entry - x.stop), abs(x.target - x.entry), cost)
    if x.slot >= 0:
        a.min_rr_fp9 = s.plans.slots[x.slot].min_rr_fp9
    elif s.confluence.fitted == 1:
        a.fitted = 1
        a.lower_fp9 = s.confluence.lower_fp9


@njit(cache=True, nogil=True)
def _enter(s, p, d, now_ns):
    """One order leaves; what the exits need is noted, the plan is done."""
    x = s.desk.idea
    a = s.risk.ask
    d.action = _A_LONG if x.direction > 0 else _A_SHORT
    budget = max(a.risk, ratio_of(max(s.risk.equity, 0), p.risk.share_fp9))
    atr = float(x.atr_fp9) * 1e-9
    window_ns = _SPANS_NS[p.desk.window]
    exits_expect(s.exits, p.flip, d.delta, window_ns, x.stop, x.target, atr, budget)
    if p.desk.entry == LIMIT and x.spread > 0:
        price = x.entry - x.direction * x.spread
        enter_limit(s.intents, x.direction, a.qty, price, x.stop, x.target)
    else:
        enter_market(s.intents, x.direction, a.qty, x.stop, x.target)
    risk_accept(s.risk)
    lifecycle_event(s.lifecycle, ENTER, now_ns)
    if x.slot >= 0:
        plans_executed(s.plans, x.slot)
    s.desk.entries += 1
