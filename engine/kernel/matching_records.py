"""Writes what simulated matching has to say into the output buffers.

Owns the mapping from slots to the columns of the order, fill, position and equity tables. A row
that finds no room is counted in ``out.lost``. It refuses to know why anything happened.
"""

from __future__ import annotations

from engine.kernel.compiled import internal
from engine.kernel.matching_book import touch_at_fill
from engine.kernel.matching_state import MODEL_VERSION
from engine.kernel.outputs import EQUITY_MAX, FILLS_MAX, ORDERS_MAX, POSITIONS_MAX

_MODEL = MODEL_VERSION * 10


@internal
def write_order(out, o):
    """Append the row of the order slot ``o`` as it stands."""
    if out.n_orders >= ORDERS_MAX:
        out.lost += 1
        return
    r = out.orders[out.n_orders]
    r.ts_ns = o.sent_ns
    r.id = o.id
    r.decision_id = o.decision_id
    r.position_id = o.position_id
    r.type = o.type
    r.side = o.side
    r.qty = o.qty
    r.price = o.price
    r.state = o.state
    r.reason = o.reason
    r.filled_qty = o.qty - o.left
    r.active_ns = o.active_ns
    r.done_ns = o.done_ns
    r.bid = o.bid
    r.ask = o.ask
    out.n_orders += 1


@internal
def write_fill(s, p, out, o, position_id, qty, price, fee, pnl):
    """Append a fill of order ``o`` under the cause that stands in ``s``; money in 1e-8."""
    s.fill_id += 1
    if out.n_fills >= FILLS_MAX:
        out.lost += 1
        return
    r = out.fills[out.n_fills]
    r.ts_ns = s.now_ns
    r.id = s.fill_id
    r.order_id = o.id
    r.position_id = position_id
    r.side = o.side
    r.price = price
    r.qty = qty
    r.fee = fee
    r.pnl = pnl
    r.liquidity = s.liquidity
    r.reason = s.why
    r.cause_kind = s.cause_kind
    r.cause_ts_ns = s.cause_ns
    r.cause_id = s.cause_id
    r.queue_ahead = s.queue_ahead
    r.latency_ns = p.order_latency_ns if o.travelled else 0
    r.known_ns = s.now_ns + p.response_latency_ns
    r.model = _MODEL + p.queue_model
    bid, ask = touch_at_fill(s, p)
    r.bid = bid
    r.ask = ask
    out.n_fills += 1


@internal
def write_position(out, w):
    """Append the row of the position slot ``w``; closed_ns 0 means that it is open."""
    if out.n_positions >= POSITIONS_MAX:
        out.lost += 1
        return
    r = out.positions[out.n_positions]
    r.ts_ns = w.open_ns
    r.id = w.id
    r.side = w.side
    r.qty = w.peak_qty
    r.entry_notional = w.entry_notional
    r.exit_notional = w.exit_notional
    r.entry_qty = w.entry_qty
    r.exit_qty = w.exit_qty
    r.gross_pnl = w.pnl
    r.fees = w.fees
    r.net_pnl = w.pnl - w.fees
    r.exit_reason = w.exit_reason if w.closed_ns > 0 else 0
    r.closed_ns = w.closed_ns
    r.entry_order_id = w.entry_order_id
    r.exit_order_id = w.exit_order_id if w.closed_ns > 0 else 0
    out.n_positions += 1


@internal
def write_equity(s, out, ts_ns, equity):
    """Append a sample of the account at ``ts_ns``; ``equity`` is money. Keeps the peak."""
    s.peak_equity = max(s.peak_equity, equity)
    if out.n_equity >= EQUITY_MAX:
        out.lost += 1
        return
    r = out.equity[out.n_equity]
    r.ts_ns = ts_ns
    r.balance = s.balance
    r.equity = equity
    r.margin = s.margin
    r.position = s.net_qty
    r.drawdown = s.peak_equity - equity
    out.n_equity += 1
