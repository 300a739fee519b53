"""Handlers that judge the market: one signal each, and the yardsticks that they lean on.

Owns their place in a fold: after what keeps the market, before what trades on it. What a yardstick
measured at a close (ATR, pivots, impact) stands before the detector that reads it.
"""

from __future__ import annotations

import numpy as np

from data.events import Kind
from engine.kernel import (
    absorption,
    atr,
    auction,
    cvd_divergence,
    cvd_trend,
    delta_divergence,
    delta_turn,
    diagonal,
    impact,
    market_state,
    order_block,
    pivots,
    pressure,
    regime,
    replenish,
    sweep,
    tape,
    toxicity,
    vwap_deviation,
    walls,
)
from engine.kernel.handler import Handler


def _of_rows(name: str, state: np.dtype, params: np.dtype) -> Handler:
    """A detector that reads the rows of closed minutes and keeps zones of them."""
    rows = f"s.{name}, p.{name}, s.footprint, s.candles, p.footprint.row_units, minute_ends"
    hooks: dict[str, tuple[str, ...]] = {
        "rows": (f"{name}_rows({rows})",),
        "boundary": (f"{name}_boundary(s.{name}, now)",),
        "gap_trade": (f"{name}_gap(s.{name})",),
    }
    imports = (f"{name}_rows", f"{name}_boundary", f"{name}_gap")
    return Handler(name, state, f"engine.kernel.{name}", imports, hooks, params, ("footprint",))


DETECTORS: tuple[Handler, ...] = (
    _of_rows("diagonal", diagonal.DIAGONAL_STATE, diagonal.DIAGONAL_PARAMS),
    _of_rows("auction", auction.AUCTION_STATE, auction.AUCTION_PARAMS),
    Handler(
        "delta_turn",
        delta_turn.DELTA_TURN_STATE,
        "engine.kernel.delta_turn",
        ("delta_turn_candle", "delta_turn_boundary", "delta_turn_gap"),
        {
            "candle": (
                "if frames >= 2:",
                "    delta_turn_candle(s.delta_turn, p.delta_turn, p.core, s.candles)",
            ),
            "boundary": ("delta_turn_boundary(s.delta_turn, now)",),
            "gap_trade": ("delta_turn_gap(s.delta_turn)",),
        },
        delta_turn.DELTA_TURN_PARAMS,
        needs=("candles",),
    ),
    Handler(
        "tape",
        tape.TAPE_STATE,
        "engine.kernel.tape",
        ("tape_trades", "tape_boundary", "tape_gap"),
        {
            "trades": ("tape_trades(s.tape, trade_qty, side, i, k)",),
            "boundary": ("tape_boundary(s.tape, p.tape, p.core, core, s.windows, now)",),
            "gap_trade": ("tape_gap(s.tape)",),
        },
        tape.TAPE_PARAMS,
        needs=("windows",),
    ),
    Handler(
        "atr",
        atr.ATR_STATE,
        "engine.kernel.atr",
        ("atr_candle", "atr_gap"),
        {
            "candle": ("atr_candle(s.atr, p.atr, s.candles, frames)",),
            "gap_trade": ("atr_gap(s.atr)",),
        },
        atr.ATR_PARAMS,
        needs=("candles",),
    ),
    Handler(
        "pivots",
        pivots.PIVOTS_STATE,
        "engine.kernel.pivots",
        ("pivots_minute", "pivots_gap"),
        {
            "candle": ("if frames >= 2:", "    pivots_minute(s.pivots, p.pivots, s.candles)"),
            "gap_trade": ("pivots_gap(s.pivots)",),
        },
        pivots.PIVOTS_PARAMS,
        needs=("candles",),
    ),
    Handler(
        "impact",
        impact.IMPACT_STATE,
        "engine.kernel.impact",
        ("impact_minute", "impact_gap"),
        {
            "candle": ("if frames >= 2:", "    impact_minute(s.impact, p.impact, s.candles)"),
            "gap_trade": ("impact_gap(s.impact)",),
        },
        impact.IMPACT_PARAMS,
        needs=("candles",),
    ),
    Handler(
        "cvd_divergence",
        cvd_divergence.CVD_DIVERGENCE_STATE,
        "engine.kernel.cvd_divergence",
        ("cvd_divergence_minute", "cvd_divergence_gap", "cvd_divergence_boundary"),
        {
            "candle": (
                "if frames >= 2:",
                "    cvd_divergence_minute(s.cvd_divergence, p.cvd_divergence, s.candles, "
                "s.pivots, s.impact, p.impact)",
            ),
            "boundary": ("cvd_divergence_boundary(s.cvd_divergence, now)",),
            "gap_trade": ("cvd_divergence_gap(s.cvd_divergence, p.cvd_divergence)",),
        },
        cvd_divergence.CVD_DIVERGENCE_PARAMS,
        needs=("pivots", "impact"),
    ),
    Handler(
        "vwap_deviation",
        vwap_deviation.VWAP_DEVIATION_STATE,
        "engine.kernel.vwap_deviation",
        ("vwap_deviation_boundary",),
        {
            "boundary": (
                "vwap_deviation_boundary(s.vwap_deviation, p.vwap_deviation, s.vwap.session, "
                "s.candles, core, p.core.session_ns, now)",
            ),
        },
        vwap_deviation.VWAP_DEVIATION_PARAMS,
        needs=("candles", "vwap"),
    ),
    Handler(
        "delta_divergence",
        delta_divergence.DELTA_DIVERGENCE_STATE,
        "engine.kernel.delta_divergence",
        ("delta_divergence_minute", "delta_divergence_boundary", "delta_divergence_gap"),
        {
            "candle": (
                "if frames >= 2:",
                "    delta_divergence_minute(s.delta_divergence, p.delta_divergence, s.candles, "
                "s.impact, p.impact)",
            ),
            "boundary": (
                "delta_divergence_boundary(s.delta_divergence, p.delta_divergence, s.candles, "
                "s.recent, now)",
            ),
            "gap_trade": ("delta_divergence_gap(s.delta_divergence, p.delta_divergence)",),
        },
        delta_divergence.DELTA_DIVERGENCE_PARAMS,
        needs=("impact", "recent"),
    ),
    Handler(
        "cvd_trend",
        cvd_trend.CVD_TREND_STATE,
        "engine.kernel.cvd_trend",
        ("cvd_trend_minute", "cvd_trend_boundary", "cvd_trend_gap"),
        {
            "candle": (
                "if frames >= 2:",
                "    cvd_trend_minute(s.cvd_trend, p.cvd_trend, s.candles)",
            ),
            "boundary": ("cvd_trend_boundary(s.cvd_trend, p.cvd_trend, s.recent, now)",),
            "gap_trade": ("cvd_trend_gap(s.cvd_trend, p.cvd_trend)",),
        },
        cvd_trend.CVD_TREND_PARAMS,
        needs=("candles", "recent"),
    ),
    Handler(
        "absorption",
        absorption.ABSORPTION_STATE,
        "engine.kernel.absorption",
        ("absorption_quarter", "absorption_minute", "absorption_boundary", "absorption_gap"),
        {
            "candle": (
                "absorption_quarter(s.absorption, s.candles)",
                "if frames >= 2:",
                "    absorption_minute(s.absorption, p.absorption, s.candles, s.impact, p.impact, "
                "s.pivots, s.atr)",
            ),
            "boundary": (
                "absorption_boundary(s.absorption, p.absorption, now, s.candles, s.windows, "
                "s.book, s.atr)",
            ),
            "gap_trade": ("absorption_gap(s.absorption, p.absorption)",),
        },
        absorption.ABSORPTION_PARAMS,
        needs=("candles", "windows", "book", "impact", "pivots", "atr"),
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.GAP),
    ),
    Handler(
        "pressure",
        pressure.PRESSURE_STATE,
        "engine.kernel.pressure",
        ("pressure_boundary", "pressure_gap"),
        {
            "boundary": ("pressure_boundary(s.pressure, p.pressure, s.book, p.core.step_ns, now)",),
            "gap_depth": ("pressure_gap(s.pressure)",),
        },
        pressure.PRESSURE_PARAMS,
        needs=("book",),
        kinds=(Kind.DEPTH, Kind.GAP),
    ),
    Handler(
        "toxicity",
        toxicity.TOXICITY_STATE,
        "engine.kernel.toxicity",
        ("toxicity_trades", "toxicity_candle", "toxicity_boundary", "toxicity_gap"),
        {
            "trades": (
                "toxicity_trades(s.toxicity, p.toxicity, trade_ts_ns, trade_qty, trade_side, i, k)",
            ),
            "candle": ("toxicity_candle(s.toxicity, p.toxicity, s.candles, frames)",),
            "boundary": ("toxicity_boundary(s.toxicity, p.toxicity, now)",),
            "gap_trade": ("toxicity_gap(s.toxicity)",),
        },
        toxicity.TOXICITY_PARAMS,
        needs=("candles",),
    ),
    Handler(
        "regime",
        regime.REGIME_STATE,
        "engine.kernel.regime",
        ("regime_candle", "regime_boundary", "regime_gap"),
        {
            "candle": ("regime_candle(s.regime, p.regime, s.candles, frames)",),
            "boundary": ("regime_boundary(s.regime, s.book)",),
            "gap_trade": ("regime_gap(s.regime, gap_from_ns[r])",),
        },
        regime.REGIME_PARAMS,
        needs=("candles", "book"),
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.GAP),
    ),
    Handler(
        "walls",
        walls.WALLS_STATE,
        "engine.kernel.walls",
        ("walls_trades", "walls_depth", "walls_boundary", "walls_gap"),
        {
            "trades": ("walls_trades(s.walls, trade_price, trade_qty, side, i, k)",),
            "depth": ("walls_depth(s.walls, p.walls, s.book, p.book.stale_ns, p.core)",),
            "boundary": ("walls_boundary(s.walls, p.walls, s.book, now)",),
            "gap_trade": ("walls_gap(s.walls)",),
            "gap_depth": ("walls_gap(s.walls)",),
        },
        walls.WALLS_PARAMS,
        needs=("book",),
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.GAP),
    ),
    Handler(
        "market_state",
        market_state.MARKET_STATE,
        "engine.kernel.market_state",
        ("market_boundary", "market_gap"),
        {
            "boundary": (
                "market_boundary(s.market_state, p.market_state, s.core, s.windows, s.book, "
                "s.walls, p.core.step_ns, now)",
            ),
            "gap_trade": ("market_gap(s.market_state)",),
            "gap_depth": ("market_gap(s.market_state)",),
        },
        market_state.MARKET_PARAMS,
        needs=("windows", "book", "walls"),
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.GAP),
    ),
    Handler(
        "sweep",
        sweep.SWEEP_STATE,
        "engine.kernel.sweep",
        ("sweep_minute", "sweep_boundary", "sweep_gap"),
        {
            "candle": (
                "if frames >= 2:",
                "    sweep_minute(s.sweep, p.sweep, p.core, s.candles, s.pivots, s.atr)",
            ),
            "boundary": ("sweep_boundary(s.sweep, now)",),
            "gap_trade": ("sweep_gap(s.sweep)",),
        },
        sweep.SWEEP_PARAMS,
        needs=("candles", "pivots", "atr"),
    ),
    Handler(
        "replenish",
        replenish.REPLENISH_STATE,
        "engine.kernel.replenish",
        ("replenish_trades", "replenish_depth", "replenish_boundary", "replenish_gap"),
        {
            "trades": ("replenish_trades(s.replenish, trade_price, trade_qty, side, i, k)",),
            "depth": ("replenish_depth(s.replenish, p.replenish, s.book)",),
            "boundary": ("replenish_boundary(s.replenish, p.replenish, s.book, now)",),
            "gap_trade": ("replenish_gap(s.replenish)",),
            "gap_depth": ("replenish_gap(s.replenish)",),
        },
        replenish.REPLENISH_PARAMS,
        needs=("book",),
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.GAP),
    ),
    Handler(
        "order_block",
        order_block.ORDER_BLOCK_STATE,
        "engine.kernel.order_block",
        ("order_block_candle", "order_block_boundary", "order_block_gap"),
        {
            "candle": (
                "order_block_candle(s.order_block, p.order_block, s.candles, s.pivots, s.atr, "
                "frames)",
            ),
            "boundary": (
                "order_block_boundary(s.order_block, p.order_block, s.candles, s.atr, "
                "s.cvd_trend, s.absorption, core.last_price, now)",
            ),
            "gap_trade": ("order_block_gap(s.order_block)",),
        },
        order_block.ORDER_BLOCK_PARAMS,
        needs=("candles", "pivots", "atr", "cvd_trend", "absorption"),
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.GAP),
    ),
)
