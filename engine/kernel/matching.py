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

from numba import njit

from data.events import FillReason, Kind
from engine.kernel.account import equity_now
from engine.kernel.matching_book import keep_book, keep_last, keep_quote
from engine.kernel.matching_events import (
    exits_on_touch,
    exits_on_trade,
    rest_on_bar,
    rest_on_book,
    rest_on_quote,
    rest_on_trade,
    stop_out,
    stops_on_bar,
    targets_on_bar,
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
_TRADE = int(Kind.TRADE)
_DEPTH = int(Kind.DEPTH)
_QUOTE = int(Kind.QUOTE)
_BAR = int(Kind.BAR)
_STOP_TRADE = int(FillReason.STOP_TRADE)
_TARGET_TRADE = int(FillReason.TARGET_TRADE)
_STOP_BOOK = int(FillReason.STOP_BOOK)
_TARGET_BOOK = int(FillReason.TARGET_BOOK)


@njit(cache=True, nogil=True)
def _first_hit(s, ts, price, i, j):
    """First trade of [i, j) that reaches a due request or leaves the price band; j if there is none."""
    due = next_due(s)
    lo = s.band_lo
    hi = s.band_hi
    if due == NEVER and lo == -NEVER and hi == NEVER:
        return j
    if due == NEVER:
        for k in range(i, j):
            if price[k] <= lo or price[k] >= hi:
                return k
        return j
    for k in range(i, j):
        if ts[k] >= due or price[k] <= lo or price[k] >= hi:
            return k
    return j


@njit(cache=True, nogil=True)
def _keep_trade(s, ts, ids, price, side, k):
    """Remember trade ``k`` as the last one."""
    keep_last(s, _TRADE, ts[k], ids[k], price[k], side[k])
    s.trade_ns = ts[k]


@njit(cache=True, nogil=True)
def _cause(s, kind, ts, id_):
    """Make an event the cause of the fills to come; the clock never goes back."""
    s.now_ns = max(s.now_ns, ts)
    s.cause_kind = kind
    s.cause_ns = ts
    s.cause_id = id_


@njit(cache=True, nogil=True)
def _one_trade(s, p, out, ts, id_, price, qty, side):
    """A trade that may wake something; it has been remembered as the last one."""
    if price <= 0 or qty <= 0:
        s.violations[V_BAD_EVENT] += 1
        return
    _cause(s, _TRADE, ts, id_)
    rest_on_trade(s, p, out, ts, price, qty, side)
    exits_on_trade(s, p, out, ts, price, _STOP_TRADE, _TARGET_TRADE)
    settle(s, p, out)


@njit(cache=True, nogil=True)
def sim_trades(s, p, out, ts, ids, price, qty, side, i, j):
    """Trades [i, j) happen; returns the first one not processed (j unless ``out`` is nearly full).

    ``ts``, ``ids``, ``price``, ``qty`` int64 arrays, ``side`` int8 array of aggressors (0 unknown).
    With nothing under way, resting or armed this is O(1); else it looks at two prices a trade.
    """
    k = i
    while k < j:
        hit = _first_hit(s, ts, price, k, j)
        if hit > i:
            _keep_trade(s, ts, ids, price, side, hit - 1)
        if hit == j:
            return j
        if not room_for_fills(out):
            return hit
        run_due(s, p, out, ts[hit])
        _keep_trade(s, ts, ids, price, side, hit)
        _one_trade(s, p, out, ts[hit], ids[hit], price[hit], qty[hit], side[hit])
        k = hit + 1
    return j


@njit(cache=True, nogil=True)
def sim_depth(
    s, p, out, ts, id_, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1,
):  # fmt: skip
    """A snapshot: levels [b0, b1) and [a0, a1) of flat int64 arrays, best first, up to 25 a side."""
    run_due(s, p, out, ts)
    if not keep_book(s, ts, id_, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1):
        return
    if s.n_orders == 0 and s.n_positions == 0:
        return
    _cause(s, _DEPTH, ts, id_)
    rest_on_book(s, p, out, ts)
    bid = s.book_price[0, 0] if s.n_levels[0] > 0 else 0
    ask = s.book_price[1, 0] if s.n_levels[1] > 0 else 0
    exits_on_touch(s, p, out, ts, bid, ask, True, _STOP_BOOK, _TARGET_BOOK)
    settle(s, p, out)


@njit(cache=True, nogil=True)
def sim_quote(s, p, out, ts, id_, bid, bid_qty, ask, ask_qty):
    """A best bid and ask; a size of 0 is not known."""
    run_due(s, p, out, ts)
    if not keep_quote(s, ts, id_, bid, bid_qty, ask, ask_qty):
        return
    if s.n_orders == 0 and s.n_positions == 0:
        return
    _cause(s, _QUOTE, ts, id_)
    rest_on_quote(s, p, out, ts)
    exits_on_touch(s, p, out, ts, bid, ask, False, _STOP_BOOK, _TARGET_BOOK)
    settle(s, p, out)


@njit(cache=True, nogil=True)
def sim_bar(s, p, out, ts, id_, open_ns, open_, high, low, close):
    """A closed bar of [open_ns, ts); it acts only where no finer data were seen since its start."""
    run_due(s, p, out, ts)
    if s.trade_ns >= open_ns or s.book_ns >= open_ns or s.quote_ns >= open_ns:
        return
    if low <= 0 or high < low:
        s.violations[V_BAD_EVENT] += 1
        return
    if s.n_orders > 0 or s.n_positions > 0:
        _cause(s, _BAR, ts, id_)
        stops_on_bar(s, p, out, ts, open_ns, open_, high, low)
        targets_on_bar(s, p, out, ts, open_ns, high, low, close)
        rest_on_bar(s, p, out, ts, open_ns, high, low, close)
        stops_on_bar(s, p, out, ts, open_ns, open_, high, low)
        settle(s, p, out)
    keep_last(s, _BAR, ts, id_, close, 0)


@njit(cache=True, nogil=True)
def sim_clock(s, p, out, now):
    """Time reaches ``now`` (ns): what is due arrives, what was reported becomes known."""
    run_due(s, p, out, now)
    s.now_ns = max(s.now_ns, now)
    apply_reports(s, now)


@njit(cache=True, nogil=True)
def sim_boundary(s, p, out, now):
    """A decision boundary at ``now`` (ns), before the strategy looks: due things, stop-out, equity.

    A sample of the equity is written on every whole UTC minute.
    """
    run_due(s, p, out, now)
    s.now_ns = max(s.now_ns, now)
    stop_out(s, p, out)
    settle(s, p, out)
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
