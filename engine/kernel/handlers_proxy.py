"""Handlers of flow without prints: pseudo trades with their gate, and the seed's proxy metrics.

Owns their place in a fold: after the detectors, so that the gate silences what they said before
anybody reads it, and before what trades on them. How pseudo trades reach the hooks of the other
handlers is generated (``engine.runtime.compose_proxy``).
"""

from __future__ import annotations

from data.events import Kind
from engine.kernel import proxy, proxy_metrics
from engine.kernel.handler import Handler

_QUOTE = int(Kind.QUOTE)

PROXIES: tuple[Handler, ...] = (
    Handler(
        "proxy",
        proxy.PROXY_STATE,
        "engine.kernel.proxy",
        (
            "proxy_trades",
            "proxy_quote",
            "proxy_bar",
            "proxy_gap",
            "proxy_boundary",
            "proxy_close",
            "proxy_due",
        ),
        {
            "trades": ("proxy_trades(s.proxy, trade_ts_ns, i, k)",),
            "quote": (
                f"proxy_quote(s.proxy, p.proxy, p.core.latency_ns[{_QUOTE}], quote_ts_ns[r], "
                "quote_bid[r], quote_bid_qty[r], quote_ask[r], quote_ask_qty[r])",
            ),
            "bar": (
                "if proxy_bar(s.proxy, p.proxy, ts, bar_open_ns[r], bar_open[r], bar_high[r], "
                "bar_low[r], bar_close[r], bar_volume[r], bar_trades[r]) > 0:",
                "    _pseudo(s, p, o)",
            ),
            "boundary": ("proxy_boundary(s.proxy, p.proxy, s.sides, now)",),
        },
        proxy.PROXY_PARAMS,
        needs=("sides",),
        kinds=(Kind.TRADE, Kind.QUOTE, Kind.BAR, Kind.GAP),
    ),
    Handler(
        "proxy_metrics",
        proxy_metrics.PROXY_METRICS_STATE,
        "engine.kernel.proxy_metrics",
        (
            "proxy_metrics_trades",
            "proxy_metrics_quote",
            "proxy_metrics_boundary",
            "proxy_metrics_gap",
        ),
        {
            "trades": ("proxy_metrics_trades(s.proxy_metrics, trade_ts_ns, trade_qty, i, k)",),
            "quote": (
                "proxy_metrics_quote(s.proxy_metrics, s.proxy.side_source, quote_ts_ns[r], "
                "quote_bid[r], quote_ask[r])",
            ),
            "boundary": (
                "proxy_metrics_boundary(s.proxy_metrics, p.proxy_metrics, p.core, core, "
                "s.candles, s.proxy, now)",
            ),
            "gap_trade": ("proxy_metrics_gap(s.proxy_metrics)",),
        },
        proxy_metrics.PROXY_METRICS_PARAMS,
        needs=("candles", "proxy"),
        kinds=(Kind.TRADE, Kind.QUOTE, Kind.BAR, Kind.GAP),
    ),
)
