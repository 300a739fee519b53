"""Every handler of the kernel and how it is called: the one list that folds are put together from.

Owns the composition table. A handler is a state dtype, a params dtype, and for each hook one call
written as source, which the fold generator pastes into a module of its own (closures over
dispatchers would never hit numba's disk cache). What a strategy does not ask for is not in its
fold and costs nothing. Names that a call may use: ``s`` state record, ``p`` params record, ``o``
output record, ``core``, ``now`` (boundary, ns), the columns of the event kind (``trade_price``,
``depth_bid_qty``), ``side`` (resolved aggressor), ``i`` and ``k`` (run of trades [i, k)), ``r``
(row of another kind). It refuses to know any strategy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data.events import Kind
from engine.kernel import (
    absorption,
    atr,
    auction,
    book,
    candles,
    cvd_divergence,
    cvd_trend,
    delta_divergence,
    delta_turn,
    diagonal,
    flip,
    flow,
    footprint,
    impact,
    market_state,
    pivots,
    pressure,
    recent,
    regime,
    replenish,
    sides,
    sweep,
    tape,
    toxicity,
    vwap,
    vwap_deviation,
    walls,
    windows,
)


@dataclass(frozen=True)
class Handler:
    """One handler: ``hooks`` maps a hook name to source lines, ``imports`` names what they use.

    Hooks: trades, depth, quote, bar, gap_trade, gap_depth, boundary, session; rows (a candle ends,
    its footprint still stands; ``minute_ends`` and ``five_ends`` tell which do beside that of 15 s)
    and candle (it is closed; ``frames`` is how many timeframes closed, 1 to 3).
    """

    name: str
    state: np.dtype
    module: str
    imports: tuple[str, ...]
    hooks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    params: np.dtype | None = None
    needs: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = (Kind.TRADE, Kind.GAP)


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


_HANDLERS = (
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
        "recent",
        recent.RECENT_STATE,
        "engine.kernel.recent",
        ("recent_trades",),
        {"trades": ("recent_trades(s.recent, trade_qty, side, i, k)",)},
        needs=("sides",),
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
    Handler("flip", flip.FLIP_STATE, "engine.kernel.flip", (), params=flip.FLIP_PARAMS, kinds=()),
)

HANDLERS: dict[str, Handler] = {h.name: h for h in _HANDLERS}
"""Handlers by name, in the order in which a fold calls them."""


def resolve(names: tuple[str, ...]) -> tuple[Handler, ...]:
    """The handlers ``names`` and all they need, in calling order; KeyError for an unknown name."""
    wanted: set[str] = set()

    def want(name: str) -> None:
        if name not in HANDLERS:
            raise KeyError(f"no handler {name!r}; there are {', '.join(HANDLERS)}")
        wanted.add(name)
        for other in HANDLERS[name].needs:
            want(other)

    for name in (*names, "sides"):
        want(name)
    return tuple(h for h in _HANDLERS if h.name in wanted)
