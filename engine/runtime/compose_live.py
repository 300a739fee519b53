"""The generated lines of a fold whose orders a broker executes (``engine.kernel.live``).

Owns how intents leave, how answers come in, and what the handlers hear of the execution venue's
quotes: where flow and execution are two series those quotes are about another market, and no
handler hears them. It refuses to know what is done with an answer.
"""

from __future__ import annotations

from data.events import Kind
from engine.kernel.events import COLUMNS
from engine.kernel.handler import Handler

IMPORTS = (
    "from engine.kernel.live import basis_boundary, live_bar, live_boundary, live_broker, "
    "live_cancel, live_depth, live_move_stop, live_quote, live_submit, live_trades"
)

ROUTE = """
@njit(cache=True, nogil=True)
def _route(s, p, o, now):
    d = s.core.decision
    for x in range(s.intents.n):
        r = s.intents.items[x]
        if r.action == 4:
            live_cancel(s.live, s.sim, p.sim, s.basis, o, now, d.id, r.subject)
        elif r.action == 5:
            live_move_stop(
                s.live, s.sim, p.sim, p.live, s.basis, o, now, d.id, r.subject, r.stop)
        else:
            s.known.last_order_id = live_submit(
                s.live, s.sim, p.sim, p.live, s.basis, o, now, d.id, r)
"""

SEE = """
    v.open_orders += s.live.blocked
    if v.entry_price > 0:
        v.entry_price -= s.live.known_basis
"""
"""After what every fold with an account sees: an unknown outcome is an order under way, and the
entry is thought of in prices of the flow."""

TRADES = "k = live_trades(s.sim, p.live, trade_ts_ns, trade_id, trade_price, side, i, j)"

_QUOTE = (
    "live_quote(s.sim, p.live, s.basis, p.basis, core, ts, quote_id[r], quote_bid[r], "
    "quote_bid_qty[r], quote_ask[r], quote_ask_qty[r])"
)
_ANSWER = ", ".join(f"broker_{name}[r]" for name in COLUMNS[Kind.BROKER] if name != "ts_ns")

ROWS = {
    Kind.DEPTH: "live_depth(s.sim, p.live, ts, depth_id[r], depth_bid_price, depth_bid_qty, "
    "depth_bid_offsets[r], depth_bid_offsets[r + 1], depth_ask_price, depth_ask_qty, "
    "depth_ask_offsets[r], depth_ask_offsets[r + 1])",
    Kind.QUOTE: _QUOTE,
    Kind.BAR: "live_bar(s.sim, p.live, ts, bar_id[r], bar_open_ns[r], bar_high[r], bar_low[r], "
    "bar_close[r])",
    Kind.BROKER: f"live_broker(s.live, s.sim, p.sim, s.basis, o, core.now_ns, ts, {_ANSWER})",
}
"""What a row of a kind does to the account, by kind."""


def imports(handlers: tuple[Handler, ...]) -> str:
    """Import lines that the other lines need."""
    guard = _has(handlers, "risk")
    return IMPORTS + ("\nfrom engine.kernel.risk import risk_basis, risk_funds" if guard else "")


def boundary(handlers: tuple[Handler, ...]) -> tuple[str, str]:
    """Lines before and after the handlers' own, indented by 4: the account and the basis, and what
    the guards are told of it."""
    before = (
        "    live_boundary(s.sim, p.sim, o, now)\n    _see(s)\n"
        "    basis_boundary(s.basis, p.basis, p.live.apart, core, now)\n"
    )
    if _has(handlers, "risk"):
        before += "    risk_funds(s.risk, s.live)\n"
        return before, "\n    risk_basis(s.risk, s.basis.good)"
    return before, ""


def row(kind: Kind, hooks: list[str]) -> list[str]:
    """Lines of a row of ``kind``: the account first, then what the handlers do with it."""
    lines = [ROWS[kind]] if kind in ROWS else []
    if kind == Kind.QUOTE and hooks:
        return [*lines, "if p.live.apart == 0:", *("    " + line for line in hooks)]
    return [*lines, *hooks]


def _has(handlers: tuple[Handler, ...], name: str) -> bool:
    return any(h.name == name for h in handlers)
