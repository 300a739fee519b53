"""Handlers that keep the market as it is: sides, flow, windows, candles, footprint, VWAP, book.

Owns their place in a fold. Detectors read what these keep; they refuse to judge it.
"""

from __future__ import annotations

from data.events import REFERENCE, Kind
from engine.kernel import (
    book,
    candles,
    flow,
    footprint,
    recent,
    reference,
    sides,
    vwap,
    windows,
)
from engine.kernel.handler import Handler

MARKET: tuple[Handler, ...] = (
    Handler(
        "sides",
        sides.SIDES_STATE,
        "engine.kernel.sides",
        ("sides_trades", "sides_quote"),
        {
            "depth": (
                "if depth_bid_offsets[r + 1] > depth_bid_offsets[r] and "
                "depth_ask_offsets[r + 1] > depth_ask_offsets[r]:",
                "    sides_quote(s.sides, depth_ts_ns[r], depth_bid_price[depth_bid_offsets[r]], "
                "depth_ask_price[depth_ask_offsets[r]])",
            ),
            "quote": ("sides_quote(s.sides, quote_ts_ns[r], quote_bid[r], quote_ask[r])",),
        },
        sides.SIDES_PARAMS,
        # without books and quotes a trade without a flag would be classed otherwise than with them
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.GAP),
    ),
    Handler(
        "flow",
        flow.FLOW_STATE,
        "engine.kernel.flow",
        ("flow_trades", "flow_session", "flow_gap"),
        {
            "trades": ("flow_trades(s.flow, trade_qty, side, i, k)",),
            "session": ("flow_session(s.flow)",),
            "gap_trade": ("flow_gap(s.flow)",),
        },
        needs=("sides",),
    ),
    Handler(
        "windows",
        windows.WINDOWS_STATE,
        "engine.kernel.windows",
        ("windows_trades", "windows_boundary"),
        {
            "trades": ("windows_trades(s.windows, trade_ts_ns, trade_qty, side, i, k)",),
            "boundary": ("windows_boundary(s.windows, now)",),
        },
        needs=("sides",),
    ),
    Handler(
        "candles",
        candles.CANDLES_STATE,
        "engine.kernel.candles",
        (
            "candles_start",
            "candles_limit",
            "candles_trades",
            "candles_close",
            "candles_due",
            "candles_gap",
        ),
        {
            "trades": (
                "if s.candles.started == 0:",
                "    candles_start(s.candles, trade_ts_ns[i], trade_price[i])",
                "candles_trades(s.candles, trade_ts_ns, trade_price, trade_qty, side, i, k)",
            ),
            "boundary": (
                "while candles_due(s.candles, p.candles, now):",
                "    _close_candles(s, p)",
            ),
            "gap_trade": ("candles_gap(s.candles, gap_from_ns[r])",),
        },
        candles.CANDLES_PARAMS,
        needs=("sides",),
    ),
    Handler(
        "footprint",
        footprint.FOOTPRINT_STATE,
        "engine.kernel.footprint",
        ("footprint_trades", "footprint_close", "footprint_begin"),
        {
            "trades": (
                "footprint_trades(s.footprint, p.footprint, trade_price, trade_qty, side, i, k)",
            ),
        },
        footprint.FOOTPRINT_PARAMS,
        needs=("sides", "candles"),
    ),
    Handler(
        "vwap",
        vwap.VWAP_STATE,
        "engine.kernel.vwap",
        ("vwap_all", "vwap_session"),
        {
            "trades": ("vwap_all(s.vwap, p.vwap, trade_ts_ns, trade_price, trade_qty, i, k)",),
            "session": ("vwap_session(s.vwap)",),
        },
        vwap.VWAP_PARAMS,
        needs=("sides",),
    ),
    Handler(
        "book",
        book.BOOK_STATE,
        "engine.kernel.book",
        ("book_depth", "book_boundary", "book_gap"),
        {
            "depth": (
                "book_depth(s.book, depth_ts_ns[r], depth_bid_price, depth_bid_qty, "
                "depth_bid_offsets[r], depth_bid_offsets[r + 1], depth_ask_price, depth_ask_qty, "
                "depth_ask_offsets[r], depth_ask_offsets[r + 1])",
            ),
            "boundary": ("book_boundary(s.book, p.book, now)",),
            "gap_depth": ("book_gap(s.book)",),
        },
        book.BOOK_PARAMS,
        kinds=(Kind.DEPTH, Kind.GAP),
    ),
    Handler(
        "recent",
        recent.RECENT_STATE,
        "engine.kernel.recent",
        ("recent_trades",),
        {"trades": ("recent_trades(s.recent, trade_qty, side, i, k)",)},
        needs=("sides",),
    ),
    Handler(
        "reference",
        reference.REFERENCE_STATE,
        "engine.kernel.reference",
        ("reference_bar", "reference_boundary"),
        {
            "reference": ("reference_bar(s.reference, reference_ts_ns[r], reference_close[r])",),
            "boundary": ("reference_boundary(s.reference, p.reference, now)",),
        },
        reference.REFERENCE_PARAMS,
        kinds=(REFERENCE,),
    ),
)
