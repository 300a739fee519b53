"""The generated lines of folds whose trades may come by proxy (``engine.kernel.proxy``).

Owns how pseudo trades run through the hooks of the other handlers, when an interval of quotes is
closed, how a hole in the quotes becomes one in the trades, and the gate that silences detectors.
Every function returns an empty text for a fold without the handler ``proxy``, which is then what it
was. It refuses to know what is in a pseudo trade.
"""

from __future__ import annotations

from data.events import Kind
from engine.kernel.handler import Handler
from engine.kernel.proxy_gate import BOOK, CLAIM_NAMES, FLIP, GATED, PRICE, ZONED

Handlers = tuple[Handler, ...]

REAL_ONLY = frozenset({"proxy", "proxy_metrics"})
"""Handlers whose ``trades`` hook hears real trades only."""


def has(handlers: Handlers, name: str) -> bool:
    """True when handler ``name`` is in the fold."""
    return any(h.name == name for h in handlers)


def imports(handlers: Handlers) -> list[str]:
    """Import lines that the other lines need."""
    if not has(handlers, "proxy"):
        return []
    gate = ["import numpy as np", "from engine.kernel.signals import signal_unready"]
    if any(h.name in ZONED for h in handlers):
        gate.append("from engine.kernel.proxy_gate import gate_zones")
    if has(handlers, "flip"):
        gate.append("from engine.kernel.flip import flip_disarm")
    return gate


def pseudo(handlers: Handlers) -> str:
    """``_pseudo`` (runs the tape through every hook of trades) and ``_flush`` (closes what is due).

    The simulated matching hears nothing of either.
    """
    if not has(handlers, "proxy"):
        return ""
    lines = [x for h in handlers if h.name not in REAL_ONLY for x in h.hooks.get("trades", ())]
    candles = ""
    if has(handlers, "candles"):
        candles = """
    while s.candles.started == 1 and at >= s.candles.end_ns:
        _close_candles(s, p)"""
    columns = "\n".join(
        f"    trade_{name} = t.{field}"
        for name, field in (
            ("ts_ns", "ts_ns"),
            ("id", "id"),
            ("price", "price"),
            ("qty", "qty"),
            ("side", "flag"),
        )
    )
    hooks = "\n".join("    " + x for x in lines)
    return f"""
@njit(cache=True, nogil=True)
def _pseudo(s, p, o):
    core = s.core
    t = s.proxy.tape
{columns}
    side = t.side
    i = np.int64(0)
    k = s.proxy.n
    at = trade_ts_ns[i]
    if at >= core.session_end_ns:
        _new_session(s, p, at){candles}
{hooks}
    if core.first_trade_ns == 0:
        core.first_trade_ns = at
    core.last_price = trade_price[k - 1]
    core.last_trade_ns = max(core.last_trade_ns, at)


@njit(cache=True, nogil=True)
def _flush(s, p, o, at):
    if proxy_due(s.proxy) <= at and proxy_close(s.proxy, p.proxy) > 0:
        _pseudo(s, p, o)
"""


def flush(handlers: Handlers, at: str, indent: int) -> str:
    """A line (with its end) that closes what is due at engine time ``at``."""
    return f"{' ' * indent}_flush(s, p, o, {at})\n" if has(handlers, "proxy") else ""


def wait(handlers: Handlers) -> str:
    """Condition under which a trade must wait: for a boundary, or for an interval that is due."""
    boundary = "at >= core.next_ns"
    return f"({boundary} or at >= proxy_due(s.proxy))" if has(handlers, "proxy") else boundary


def limit(handlers: Handlers) -> str:
    """A run of trades ends where an interval of quotes is closed."""
    if not has(handlers, "proxy"):
        return ""
    return "\n        limit = min(limit, proxy_due(s.proxy) - latency)"


def gap(handlers: Handlers) -> str:
    """Condition on the stream of a gap that makes it one of trades."""
    trades = f"gap_stream[r] == {int(Kind.TRADE)}"
    if not has(handlers, "proxy"):
        return trades
    return f"({trades} or proxy_gap(s.proxy, p.proxy, gap_stream[r], gap_from_ns[r]))"


def gate(handlers: Handlers) -> tuple[str, ...]:
    """Lines after ``proxy``'s boundary: no detector says what its source cannot know."""
    silenced: dict[int, list[str]] = {}
    for h in handlers:
        for field, what in GATED.get(h.name, ()):
            silenced.setdefault(what, []).append(f"    signal_unready(s.{h.name}.{field})")
        if h.name in ZONED:
            silenced.setdefault(ZONED[h.name], []).append(f"    gate_zones(s.{h.name}.zones)")
        if h.name == "flip":
            silenced.setdefault(FLIP, []).append("    flip_disarm(s.flip)")
    lines: list[str] = []
    for what, body in sorted(silenced.items()):
        if what not in (PRICE, BOOK):
            lines.append(f"if s.proxy.allowed[{what}] == 0:  # {CLAIM_NAMES[what]}")
            lines += body
    return tuple(lines)
