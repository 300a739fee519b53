"""Simulated matching: the functions that the fold calls, one for each thing that can happen.

Owns the order in which an event acts: first every request that was due at or before it arrives and
is executed against the market *before* the event; then the event is remembered; then it meets
resting orders, targets and stops; then the state is settled and one report goes back. The rules
themselves lie in ``matching_events`` (what waits), ``matching_orders`` (what arrives),
``queue_position``, ``account`` and ``matching_reports``; ``engine.broker.simulated`` states them,
and what they leave out, in prose.

What must hold: splitting a run of trades anywhere gives the same state and the same records. So
nothing here depends on trades that woke nothing, except on the last one.

``s`` is a SIM_STATE record, ``p`` a SIM_PARAMS record, ``out`` an OUT record; times are int64 ns,
prices and quantities int64 in the units of the log.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Kind
from engine.kernel.account import equity_now
from engine.kernel.compiled import inlined, internal
from engine.kernel.matching_book import keep_book, keep_last, keep_quote
from engine.kernel.matching_events import (
    BY_BAR_STOP,
    BY_BAR_TARGET,
    BY_SIGHT,
    exits,
    rest,
    stop_out,
)
from engine.kernel.matching_orders import (
    next_due,
    run_due,
    sim_cancel,
    sim_move_stop,
    sim_submit,
)
from engine.kernel.matching_records import write_equity, write_order, write_position
from engine.kernel.matching_reports import apply_reports, settle
from engine.kernel.matching_state import (
    MODEL_VERSION,
    NEVER,
    SIM_PARAMS,
    SIM_STATE,
    V_BAD_EVENT,
    sim_init,
)
from engine.kernel.outputs import room_for_fills

__all__ = [
    "MODEL_VERSION",
    "SIM_PARAMS",
    "SIM_STATE",
    "sim_bar",
    "sim_boundary",
    "sim_cancel",
    "sim_clock",
    "sim_depth",
    "sim_finish",
    "sim_init",
    "sim_move_stop",
    "sim_quote",
    "sim_submit",
    "sim_trades",
]

MINUTE_NS = 60_000_000_000
_GAP = np.int64(Kind.GAP)
_TRADE = np.int64(Kind.TRADE)
_DEPTH = np.int64(Kind.DEPTH)
_QUOTE = np.int64(Kind.QUOTE)
_BAR = np.int64(Kind.BAR)
_CLOCK = np.int64(Kind.CLOCK)
_ZERO = np.int64(0)


@njit(cache=True, nogil=True)
def wake(s, p, out, kind, ts, id_):
    """Let the event in ``s.event`` act; the one door to everything that can fill.

    ``kind`` GAP: only what is due up to ``ts`` arrives. CLOCK: a boundary, with the stop-out. Other
    kinds meet what waits; a trade is remembered as the last price once what was due has arrived.
    """
    run_due(s, p, out, ts)
    if kind == _GAP:
        return
    e = s.event
    e.kind = kind
    e.ts = ts
    e.id = id_
    s.now_ns = max(s.now_ns, ts)
    s.cause_kind = kind
    s.cause_ns = ts
    s.cause_id = id_
    if kind == _BAR:
        exits(s, p, out, BY_BAR_STOP)
        exits(s, p, out, BY_BAR_TARGET)
        rest(s, p, out)
        exits(s, p, out, BY_BAR_STOP)
    elif kind == _CLOCK:
        stop_out(s, p, out)
        exits(s, p, out, BY_SIGHT)
    else:
        if kind == _TRADE:
            s.trade_ns = ts
            keep_last(s, kind, ts, id_, e.price, e.side)
            if e.price <= 0 or e.qty <= 0:
                s.violations[V_BAD_EVENT] += 1
                return
        rest(s, p, out)
        exits(s, p, out, BY_SIGHT)
    settle(s, p, out)


@internal
def first_hit(s, ts, price, i, j):
    """First trade of [i, j) that reaches a due request or leaves the price band; else ``j``."""
    due = next_due(s)
    lo = s.band_lo
    hi = s.band_hi
    if due == NEVER:
        for k in range(i, j):
            if price[k] <= lo or price[k] >= hi:
                return k
        return j
    for k in range(i, j):
        if ts[k] >= due or price[k] <= lo or price[k] >= hi:
            return k
    return j


@inlined
def sim_trades(s, p, out, ts, ids, price, qty, side, i, j):
    """Trades [i, j) happen; returns the first one not processed (j unless ``out`` is nearly full).

    ``ts``, ``ids``, ``price``, ``qty`` int64 arrays, ``side`` int8 array of aggressors (0 unknown).
    With nothing under way, resting or armed this is O(1); else it looks at two prices a trade.
    """
    k = i
    while k < j:
        hit = j
        if s.n_requests > 0 or s.band_lo > -NEVER or s.band_hi < NEVER:
            hit = first_hit(s, ts, price, k, j)
        if hit > i:
            keep_last(s, _TRADE, ts[hit - 1], ids[hit - 1], price[hit - 1], side[hit - 1])
            s.trade_ns = ts[hit - 1]
        k = hit
        if hit < j:
            if not room_for_fills(out):
                break
            e = s.event
            e.price = price[hit]
            e.qty = qty[hit]
            e.side = side[hit]
            e.bid = price[hit]
            e.ask = price[hit]
            wake(s, p, out, _TRADE, ts[hit], ids[hit])
            k = hit + 1
    return k


@inlined
def sim_depth(
    s, p, out, ts, id_, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1,
):  # fmt: skip
    """A snapshot: levels [b0, b1) and [a0, a1) of flat int64 arrays, best first, 25 a side."""
    if s.n_requests > 0:
        wake(s, p, out, _GAP, ts, id_)
    good = keep_book(s, ts, id_, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1)
    if good and (s.n_orders > 0 or s.n_positions > 0):
        s.event.bid = s.book_price[0, 0] if s.n_levels[0] > 0 else 0
        s.event.ask = s.book_price[1, 0] if s.n_levels[1] > 0 else 0
        wake(s, p, out, _DEPTH, ts, id_)


@inlined
def sim_quote(s, p, out, ts, id_, bid, bid_qty, ask, ask_qty):
    """A best bid and ask (price units) with sizes (quantity units); a size of 0 is not known."""
    if s.n_requests > 0:
        wake(s, p, out, _GAP, ts, id_)
    good = keep_quote(s, ts, id_, bid, bid_qty, ask, ask_qty)
    if good and (s.n_orders > 0 or s.n_positions > 0):
        s.event.bid = bid
        s.event.ask = ask
        wake(s, p, out, _QUOTE, ts, id_)


@internal
def bar_counts(s, open_ns, high, low):
    """True when a bar may act: its prices are sane and no finer data were seen since its start."""
    if max(s.trade_ns, s.book_ns, s.quote_ns) >= max(1, open_ns):
        return False
    if low <= 0 or high < low:
        s.violations[V_BAD_EVENT] += 1
        return False
    return True


@inlined
def sim_bar(s, p, out, ts, id_, open_ns, open_, high, low, close):
    """A closed bar of [open_ns, ts), price units; acts only with no finer data since its start."""
    if s.n_requests > 0:
        wake(s, p, out, _GAP, ts, id_)
    if bar_counts(s, open_ns, high, low):
        if s.n_orders > 0 or s.n_positions > 0:
            e = s.event
            e.open_ns = open_ns
            e.open = open_
            e.high = high
            e.low = low
            e.close = close
            wake(s, p, out, _BAR, ts, id_)
        keep_last(s, _BAR, ts, id_, close, _ZERO)


@inlined
def sim_clock(s, p, out, now):
    """Time reaches ``now`` (ns): what is due arrives, what was reported becomes known."""
    if s.n_requests > 0:
        wake(s, p, out, _GAP, now, _ZERO)
    s.now_ns = max(s.now_ns, now)
    apply_reports(s, now)


@inlined
def sim_boundary(s, p, out, now):
    """A decision boundary at ``now`` (ns), before the strategy looks: due things, stop-out, equity.

    A sample of the equity is written on every whole UTC minute.
    """
    if s.n_requests > 0 or s.n_positions > 0:
        s.event.bid = 0
        s.event.ask = 0
        wake(s, p, out, _CLOCK, now, _ZERO)
    s.now_ns = max(s.now_ns, now)
    apply_reports(s, now)
    if now % MINUTE_NS == 0:
        write_equity(s, out, now, equity_now(s, p))


@njit(cache=True, nogil=True)
def sim_finish(s, p, out):
    """Write the rows of what is still open: orders as they stand, positions as OPEN."""
    for k in range(s.n_orders):
        write_order(out, s.orders[s.order_at[k]])
    for k in range(s.n_positions):
        write_position(out, s.positions[s.position_at[k]])
