"""The generated lines of a fold whose orders the matching model fills (``engine.kernel.matching``).

Owns how intents are sent to it, what of an event it hears, and how a strategy comes to see its
account; that last text serves every fold that keeps an account. It refuses to know any rule of
matching.
"""

from __future__ import annotations

from data.events import Kind

IMPORTS = (
    "from engine.kernel.matching import sim_bar, sim_boundary, sim_cancel, sim_clock, "
    "sim_depth, sim_move_stop, sim_quote, sim_submit, sim_trades"
)

ROUTE = """
@njit(cache=True, nogil=True)
def _route(s, p, o, now):
    d = s.core.decision
    for x in range(s.intents.n):
        r = s.intents.items[x]
        if r.action == 4:
            sim_cancel(s.sim, p.sim, o, now, r.subject)
        elif r.action == 5:
            sim_move_stop(s.sim, p.sim, o, now, r.subject, r.stop)
        else:
            s.known.last_order_id = sim_submit(
                s.sim, p.sim, o, now, d.id, r.kind, r.side, r.qty, r.price, r.stop, r.target,
                1 if r.action == 3 or r.action == 6 else 0, r.tif, r.exit_reason)
"""

SEE = """

@njit(cache=True, nogil=True)
def _see(s):
    v = s.known
    m = s.sim
    v.qty = m.known_qty
    v.entry_price = m.known_entry_price
    v.open_ns = m.known_open_ns
    v.position_id = m.known_position_id
    v.open_orders = m.open_orders
    v.balance = m.known_balance
    v.closed_positions = m.closed_positions
    v.last_exit_reason = m.last_exit_reason
    v.last_exit_ns = m.last_exit_ns
"""

TRADES = (
    "k = sim_trades(s.sim, p.sim, o, trade_ts_ns, trade_id, trade_price, trade_qty, side, i, j)"
)

ROWS = {
    Kind.DEPTH: "sim_depth(s.sim, p.sim, o, ts, depth_id[r], depth_bid_price, depth_bid_qty, "
    "depth_bid_offsets[r], depth_bid_offsets[r + 1], depth_ask_price, depth_ask_qty, "
    "depth_ask_offsets[r], depth_ask_offsets[r + 1])",
    Kind.QUOTE: "sim_quote(s.sim, p.sim, o, ts, quote_id[r], quote_bid[r], quote_bid_qty[r], "
    "quote_ask[r], quote_ask_qty[r])",
    Kind.BAR: "sim_bar(s.sim, p.sim, o, ts, bar_id[r], bar_open_ns[r], bar_open[r], bar_high[r], "
    "bar_low[r], bar_close[r])",
    Kind.CLOCK: "sim_clock(s.sim, p.sim, o, ts)",
}
"""What a row of a kind does to the matching model, by kind."""
