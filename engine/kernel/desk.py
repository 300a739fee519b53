"""The desk: from what was judged to what is done about it, once a boundary.

Owns the order in which everything between signals and intents is asked, for every strategy that
trades plans and confluence: measure the flow, follow the account, then either manage the position
(halts first, then the exits) or seek an entry: plans that are met go before the classifier, by id,
the stop and the target are placed, the size follows from the stop, the guards are asked, and one
order leaves. What was refused gives way to the next idea; the decision tells of the idea that was
entered, or of the first that was refused. What must hold: no order without a stop that can be
placed and without the guards' leave; a plan whose order got something filled is not acted on again;
every gate that was asked stands in the decision; what is left of an entry never outlives its time
limit, its position, or the operator's pause. A pause ends entries, not exits: the desk is asked
while paused, and the guards refuse. Who wants to be flat says so (FLATTEN). It refuses to know how
anything is judged, placed, sized or guarded: each lies in a file of its own.

Functions take the whole state ``s`` and params ``p`` of a fold that has the handler ``desk``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Action, ExitReason, Kind
from engine.kernel.confluence import confluence_pays, needed_probability
from engine.kernel.core import Q_BOOK_STALE, Q_GAP, Q_WARMING, window_ready
from engine.kernel.desk_state import (
    DESK_PARAMS,
    DESK_STATE,
    G_FREE,
    G_GUARDS,
    G_HISTORY,
    G_IDEA,
    G_MODEL,
    G_PLACED,
    G_SIZE,
    GATES,
    LIMIT,
    TRADE_UNFITTED,
    answer_keep,
    answer_tell,
    gate,
)
from engine.kernel.ewma import ewma_sigma, ewma_update
from engine.kernel.exits import exits_atr, exits_expect, exits_follow, exits_manage
from engine.kernel.ideas import idea_next
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
from engine.kernel.placement import NONE, cost_units, stop_price, target_price
from engine.kernel.plans import plans_again, plans_executed
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

__all__ = ["DESK_PARAMS", "DESK_STATE", "GATES", "desk_decide"]

_SPANS_NS = np.array(SPANS_S, dtype=np.int64) * 1_000_000_000
_DEPTH = int(Kind.DEPTH)
_A_LONG = int(Action.ENTER_LONG)
_A_SHORT = int(Action.ENTER_SHORT)
_A_EXIT = int(Action.EXIT)
_A_CANCEL = int(Action.CANCEL)
_A_MOVE = int(Action.MOVE_STOP)
_A_PARTIAL = int(Action.PARTIAL)
_BY_RISK = int(ExitReason.RISK)


@njit(cache=True, nogil=True)
def desk_decide(s, p, now_ns):
    """One decision at boundary ``now_ns`` (ns UTC); fills ``s.core.decision``, adds intents."""
    d = s.core.decision
    _measure(s, p, d, now_ns)
    d.market = s.market_state.state
    exits_follow(s.exits, s.flip, p.core, s.known)
    _follow_entry(s)
    if s.known.qty != 0:
        _manage(s, p, d, now_ns)
    elif s.desk.entry.order > 0 and lifecycle_withdraws(s.lifecycle, s.known):
        _withdraw(s, d)
    else:
        _seek(s, p, d, now_ns)


# --- the entry under way ---------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _follow_entry(s):
    """Learn the number of the entry that was sent, and when it is over.

    An entry that ended with nothing filled (refused, withdrawn) was none: its plan waits again.
    """
    e = s.desk.entry
    if e.sent == 1:
        e.sent = 0
        e.order = s.known.last_order_id
    if s.known.open_orders == 0:
        e.order = 0
        if e.plan > 0 and s.known.qty == 0 and s.known.closed_positions == e.closed:
            plans_again(s.plans, e.plan)
        e.plan = 0


@njit(cache=True, nogil=True)
def _withdraw(s, d):
    """Ask the broker to cancel what is left of the entry; whatever else is done comes first."""
    if d.action == 0:
        d.action = _A_CANCEL
    cancel_order(s.intents, s.desk.entry.order)


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
    traded = p.risk.stale_ns == 0 or now_ns - r.trade_ns <= p.risk.stale_ns
    if r.bid > 0 and not fresh and not traded and now_ns % p.core.slow_ns != 0:
        return  # a market that is silent fills nothing: it is asked again every half minute
    halted = risk_closes(s.risk, p.risk)
    if halted:
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
    if s.desk.entry.order > 0 and _rest_is_over(s, p, d, now_ns):
        _withdraw(s, d)
    if d.action == 0 and s.desk.ready == 1 and not halted:
        idea_next(s, p, d, np.int64(0))
        if gate(d, G_IDEA, s.desk.idea.direction != 0):
            _consider(s, p, d, now_ns)


@njit(cache=True, nogil=True)
def _rest_is_over(s, p, d, now_ns):
    """True when what is left of an entry may not enlarge the position any more."""
    limit = p.lifecycle.entry_ns
    late = limit > 0 and now_ns - s.desk.entry.ns >= limit
    leaves = d.action == _A_EXIT or d.action == _A_PARTIAL or s.exits.exiting == 1
    return late or leaves or risk_standing(s.risk, now_ns) != 0


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
    idea_next(s, p, d, np.int64(0))
    there = s.desk.idea.direction != 0
    detected = lifecycle_signal(s.lifecycle, there, now_ns)
    if gate(d, G_IDEA, there) and detected:
        _consider_all(s, p, d, now_ns)


@njit(cache=True, nogil=True)
def _consider_all(s, p, d, now_ns):
    """One idea after another until one is entered; else the decision tells of the first."""
    x = s.desk.idea
    gates = d.gates
    blocked = d.blocked
    _consider(s, p, d, now_ns)
    others = False
    while d.action == 0 and x.slot >= 0:
        if not others:
            answer_keep(s.desk.first, d)
        d.gates = gates
        d.blocked = blocked
        idea_next(s, p, d, s.plans.slots[x.slot].id)
        if x.direction == 0:
            break
        others = True
        _consider(s, p, d, now_ns)
    if d.action == 0 and (others or x.direction == 0):
        answer_tell(s.desk.first, d)


@njit(cache=True, nogil=True)
def _consider(s, p, d, now_ns):
    """Place, size and guard the idea; send it when everything agrees."""
    x = s.desk.idea
    x.entry, x.spread = _touch(s, p, now_ns, x.direction)
    if p.desk.entry == LIMIT:
        x.entry -= x.direction * x.spread
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
    sized = qty
    if sized == 0:
        sized = _size(s, p, x.spread, probability, share)
    slip = _slip(s, p, sized)
    cost = x.spread + max(slip, np.int64(0))
    if qty == 0 and slip > 0:
        sized = _size(s, p, cost, probability, share)
    risk_propose(s.risk, x.direction, x.entry, x.stop, x.target, sized, cost)
    a = s.risk.ask
    a.market = s.market_state.state
    a.slip = slip
    far = abs(x.target - x.entry) if x.target > 0 else np.int64(0)
    a.needed_fp9 = needed_probability(abs(x.entry - x.stop), far, cost_units(p.core, x.entry, cost))
    if x.slot >= 0:
        a.min_rr_fp9 = s.plans.slots[x.slot].min_rr_fp9
    elif s.confluence.fitted == 1:
        a.fitted = 1
        a.lower_fp9 = s.confluence.lower_fp9


@njit(cache=True, nogil=True)
def _size(s, p, cost, probability, share):
    """Quantity of the idea by its risk; ``cost`` of spread and slippage, price units."""
    x = s.desk.idea
    return risk_size(
        p.risk, p.core, s.risk.equity, x.entry, x.stop, x.target, cost, probability, share
    )


@njit(cache=True, nogil=True)
def _slip(s, p, qty):
    """What taking ``qty`` costs over the touch, price units; -1: the book that there is cannot say.

    An order that rests slips nowhere; a market that never showed a book has none to ask.
    """
    if p.desk.entry == LIMIT or s.core.events[_DEPTH] == 0:
        return np.int64(0)
    if s.book.stale == 1:
        return np.int64(-1)
    return risk_slippage(s.book, s.desk.idea.direction, qty)


@njit(cache=True, nogil=True)
def _enter(s, p, d, now_ns):
    """One order leaves; what the exits need is noted, the plan is done."""
    x = s.desk.idea
    a = s.risk.ask
    d.action = _A_LONG if x.direction > 0 else _A_SHORT
    share = s.plans.slots[x.slot].risk_fp9 if x.slot >= 0 else np.int64(0)
    share = share if share > 0 else p.risk.share_fp9
    budget = max(a.risk, ratio_of(max(s.risk.equity, 0), share))
    atr = float(x.atr_fp9) * 1e-9
    window_ns = _SPANS_NS[p.desk.window]
    exits_expect(s.exits, p.flip, d.delta, window_ns, x.stop, x.target, atr, budget)
    if p.desk.entry == LIMIT and x.spread > 0:
        enter_limit(s.intents, x.direction, a.qty, x.entry, x.stop, x.target)
    else:
        enter_market(s.intents, x.direction, a.qty, x.stop, x.target)
    risk_accept(s.risk)
    lifecycle_event(s.lifecycle, ENTER, now_ns)
    e = s.desk.entry
    e.sent = 1
    e.ns = now_ns
    e.plan = 0
    e.closed = s.known.closed_positions
    if x.slot >= 0:
        e.plan = s.plans.slots[x.slot].id
        plans_executed(s.plans, x.slot)
    s.desk.entries += 1
