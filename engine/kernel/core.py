"""Engine time, decision boundaries, sessions and gaps: the part of the state that every fold has.

Owns the one clock of a fold. ``now_ns`` is exchange time as the engine knows it: the largest
``ts_ns + feed latency`` folded so far, or a clock event's time; it never goes back. Decision
boundaries are whole multiples of ``step_ns`` in UTC and fire before the event that reaches them
is folded. A session is ``session_ns`` long and starts at ``session_offset_ns`` after midnight UTC.
A gap makes everything that reaches over it *not ready*. It refuses to know what is decided.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import DECISION_DTYPE, NS, Control, Kind

KINDS = len(Kind)
Q_GAP = 1
Q_CVD_APPROX = 2
Q_BOOK_STALE = 4
Q_WARMING = 8

CORE_STATE = np.dtype(
    [
        ("now_ns", "i8"),
        ("event_ns", "i8"),
        ("next_ns", "i8"),
        ("session_end_ns", "i8"),
        ("first_trade_ns", "i8"),
        ("trade_gap_ns", "i8"),
        ("depth_gap_ns", "i8"),
        ("last_price", "i8"),
        ("last_trade_ns", "i8"),
        ("last_trade_id", "i8"),
        ("decisions", "i8"),
        ("skipped_boundaries", "i8"),
        ("invalid_trades", "i8"),
        ("paused", "i8"),
        ("flatten", "i8"),
        ("events", "i8", (KINDS,)),
        ("decision", DECISION_DTYPE),
    ],
    align=True,
)
"""now_ns (engine time), event_ns (the same, of events alone: a boundary is none), next_ns (next
boundary) ... in ns; events: how many of each Kind were folded."""

CORE_PARAMS = np.dtype(
    [
        ("step_ns", "i8"),
        ("slow_ns", "i8"),
        ("idle_ns", "i8"),
        ("session_ns", "i8"),
        ("session_offset_ns", "i8"),
        ("money_mul", "i8"),
        ("money_div", "i8"),
        ("price_step", "i8"),
        ("qty_step", "i8"),
        ("qty_min", "i8"),
        ("qty_unit", "i8"),
        ("taker_ppb", "i8"),
        ("fee_unit", "i8"),
        ("latency_ns", "i8", (KINDS,)),
    ],
    align=True,
)
"""step_ns and slow_ns: the two decision grids; latency_ns: feed latency by Kind;
money of price * qty is price * qty * money_mul / money_div at 1e-8. What the venue that executes
asks for: price_step, qty_step, qty_min (units, at least 1), qty_unit (one whole unit), and the fee
of taking: taker_ppb (share of notional, 1e-9) and fee_unit (money a whole unit)."""

KNOWN = np.dtype(
    [
        ("qty", "i8"),
        ("entry_price", "i8"),
        ("open_ns", "i8"),
        ("position_id", "i8"),
        ("open_orders", "i8"),
        ("balance", "i8"),
        ("closed_positions", "i8"),
        ("last_exit_reason", "i8"),
        ("last_exit_ns", "i8"),
        ("last_order_id", "i8"),
    ],
    align=True,
)
"""The account as a strategy may know it (signed qty; times ns; money 1e-8); last_order_id: the
order that its last entry or exit became, 0 when it was refused."""

CONTROL_PAUSE = int(Control.PAUSE)
CONTROL_RESUME = int(Control.RESUME)
CONTROL_FLATTEN = int(Control.FLATTEN)
CONTROL_STOP = int(Control.STOP)


@njit(cache=True, nogil=True)
def session_end(p, ts_ns):
    """End (ns) of the session that holds ``ts_ns``."""
    start = (ts_ns - p.session_offset_ns) // p.session_ns
    return (start + 1) * p.session_ns + p.session_offset_ns


@njit(cache=True, nogil=True)
def first_boundary(s, p, at_ns):
    """Set the first decision boundary: the first multiple of the step after ``at_ns``."""
    s.next_ns = (at_ns // p.step_ns + 1) * p.step_ns
    s.now_ns = at_ns
    s.event_ns = at_ns


@njit(cache=True, nogil=True)
def advance_boundary(s, p, at_ns):
    """Move to the boundary after the one that just fired, on the way to ``at_ns``.

    After ``idle_ns`` without an event nothing can change, so the grid jumps to the last boundary
    at or before ``at_ns`` and counts what it left out.
    """
    nxt = s.next_ns + p.step_ns
    last = at_ns // p.step_ns * p.step_ns
    if nxt < last and nxt - s.event_ns > p.idle_ns:
        s.skipped_boundaries += (last - nxt) // p.step_ns
        nxt = last
    s.next_ns = nxt


@njit(cache=True, nogil=True)
def grid_seconds(p, boundary_ns):
    """Largest decision grid, in seconds, that ``boundary_ns`` lies on."""
    if boundary_ns % p.slow_ns == 0:
        return p.slow_ns // NS
    return p.step_ns // NS


@njit(cache=True, nogil=True)
def scan_before(ts, limit_ns, i, j):
    """(first index in [i, j) at or past ``limit_ns``, else j; largest ts before it, 0 if none)."""
    k = i
    latest = np.int64(0)
    while k < j and ts[k] < limit_ns:
        latest = max(latest, ts[k])
        k += 1
    return k, latest


@njit(cache=True, nogil=True)
def find_invalid(side, i, j):
    """First index in [i, j) whose resolved side marks an invalid trade, else j."""
    k = i
    while k < j and side[k] != 2:
        k += 1
    return k


@njit(cache=True, nogil=True)
def note_now(s, at_ns):
    """Engine time moves to ``at_ns`` unless it is already later."""
    s.now_ns = max(s.now_ns, at_ns)


@njit(cache=True, nogil=True)
def note_event(s, at_ns):
    """An event of engine time ``at_ns`` was folded."""
    s.event_ns = max(s.event_ns, at_ns)
    s.now_ns = max(s.now_ns, at_ns)


@njit(cache=True, nogil=True)
def begin_decision(s, p, cvd, approximate, position):
    """Reset the decision record for the boundary that fires now; returns its grid in seconds."""
    d = s.decision
    grid = grid_seconds(p, s.next_ns)
    s.decisions += 1
    d.ts_ns = s.next_ns
    d.id = s.decisions
    d.grid_s = grid
    d.action = 0
    d.exit_reason = 0
    d.direction = 0
    d.score_fp9 = 0
    d.delta = 0
    d.cvd = cvd
    d.entry_delta = 0
    d.delta_z_fp9 = 0
    d.book_fp9 = 0
    d.flip_fp9 = 0
    d.price = s.last_price
    d.position = position
    d.gates = 0
    d.blocked = 0
    d.lifecycle = 0
    d.market = 0
    d.plan = 0
    d.probability_fp9 = 0
    d.needed_fp9 = 0
    d.refused = 0
    d.qty = 0
    d.stop = 0
    d.target = 0
    d.risk = 0
    d.quality = Q_CVD_APPROX if approximate else 0
    total = np.int64(0)
    for kind in range(KINDS):
        total += s.events[kind]
    d.events = total
    return grid


@njit(cache=True, nogil=True)
def control(s, code):
    """Fold a control event: pause, resume, flatten (close the position), stop (both) (count)."""
    if code in (CONTROL_PAUSE, CONTROL_STOP):
        s.paused = 1
    elif code == CONTROL_RESUME:
        s.paused = 0
    if code in (CONTROL_FLATTEN, CONTROL_STOP) and s.flatten == 0:
        s.flatten = 1


@njit(cache=True, nogil=True)
def qty_of(p, notional, price):
    """Largest int64 quantity whose notional (money at 1e-8) at ``price`` is not above it."""
    if price <= 0:
        return np.int64(0)
    worth = float(price) * float(p.money_mul)
    return np.int64(np.floor(float(notional) * float(p.money_div) / worth))


@njit(cache=True, nogil=True)
def window_ready(s, now_ns, window_ns):
    """True when a window [now - window, now) starts after the first trade and the last gap."""
    start = now_ns - window_ns
    return s.first_trade_ns > 0 and start >= s.first_trade_ns and start >= s.trade_gap_ns
