"""What the engine knows, and when: reports travel back for the response latency.

Owns the line of reports, the fields of the state that a strategy may read, and the tidying up
after something happened: ended orders and closed positions leave their slots, the price band that
could wake anything is drawn again, and one report of the account as it now stands is sent.

A report carries absolute values, so reports that become known at one time are one report, and a
line that is full postpones its youngest report instead of losing it: the engine then learns
later than it should, never earlier.
"""

from __future__ import annotations

import numpy as np

from data.events import OrderReason, OrderState
from engine.kernel.account import drop_closed, end_order, live_reducer_is_idle
from engine.kernel.compiled import internal
from engine.kernel.matching_state import NEVER, REPORTS
from engine.kernel.orders import CANCEL, is_live

_POSITION_CLOSED = np.int64(OrderReason.POSITION_CLOSED)
_PENDING = np.int64(OrderState.PENDING)


@internal
def apply_reports(s, now):
    """Make known what was reported up to ``now`` (ns)."""
    while s.n_reports > 0:
        r = s.reports[s.report_head]
        if r.known_ns > now:
            return
        s.known_qty = r.qty
        s.known_entry_price = r.entry_price
        s.known_open_ns = r.open_ns
        s.known_position_id = r.position_id
        s.known_balance = r.balance
        s.closed_positions = r.closed
        s.last_exit_reason = r.exit_reason
        s.last_exit_ns = r.exit_ns
        s.open_orders = s.submitted - r.ended
        s.report_head = (s.report_head + 1) % REPORTS
        s.n_reports -= 1


@internal
def _report_slot(s, known_ns):
    """Index of the report that becomes known at ``known_ns``: the youngest, or a new one."""
    last = (s.report_head + s.n_reports - 1) % REPORTS
    if s.n_reports > 0 and s.reports[last].known_ns == known_ns:
        return last
    if s.n_reports == REPORTS:
        s.reports_merged += 1
        return last
    s.n_reports += 1
    return (last + 1) % REPORTS


@internal
def send_report(s, p):
    """Send the account as it stands; position fields are those of the oldest open position."""
    apply_reports(s, s.now_ns)
    known_ns = s.now_ns + p.response_latency_ns
    r = s.reports[_report_slot(s, known_ns)]
    r.known_ns = known_ns
    r.qty = s.net_qty
    r.entry_price = 0
    r.open_ns = 0
    r.position_id = 0
    if s.n_positions > 0:
        w = s.positions[s.position_at[0]]
        r.entry_price = w.cost // w.qty if w.side < 0 else -(-w.cost // w.qty)
        r.open_ns = w.open_ns
        r.position_id = w.id
    r.balance = s.balance
    r.closed = s.closed
    r.exit_reason = s.exit_reason
    r.exit_ns = s.exit_ns
    r.ended = s.ended


@internal
def _drop_ended_orders(s, p, out):
    """End reduce-only orders whose position is gone, and free the slots of ended orders."""
    kept = 0
    for k in range(s.n_orders):
        i = s.order_at[k]
        o = s.orders[i]
        if live_reducer_is_idle(s, p, o):
            end_order(s, out, o, CANCEL, _POSITION_CLOSED)
        if o.state == _PENDING or is_live(o.state):
            s.order_at[kept] = i
            kept += 1
        else:
            o.id = 0
    s.n_orders = kept


@internal
def draw_band(s):
    """Prices up to ``band_lo``, or from ``band_hi`` on, may wake an order or a position."""
    lo = -NEVER
    hi = NEVER
    for k in range(s.n_orders):
        o = s.orders[s.order_at[k]]
        if is_live(o.state):
            if o.side > 0:
                lo = max(lo, o.price)
            else:
                hi = min(hi, o.price)
    for k in range(s.n_positions):
        w = s.positions[s.position_at[k]]
        if w.triggered:
            lo = NEVER
        aim = w.target + w.side if w.target > 0 else 0
        below = w.stop if w.side > 0 else aim
        above = aim if w.side > 0 else w.stop
        if below > 0:
            lo = max(lo, below)
        if above > 0:
            hi = min(hi, above)
    s.band_lo = lo
    s.band_hi = hi


@internal
def settle(s, p, out):
    """Tidy up after an event that changed something; must follow every such event."""
    if s.changed == 0:
        return
    _drop_ended_orders(s, p, out)
    drop_closed(s)
    draw_band(s)
    s.changed = 0
    if s.news:
        send_report(s, p)
        s.news = 0
