"""Handlers that trade on what was judged: from confluence and plans to exits and risk.

Owns their place in a fold: last. They refuse to look at events; they read signals.
"""

from __future__ import annotations

from data.events import Kind
from engine.kernel import (
    confluence,
    desk,
    exits,
    flip,
    lifecycle,
    metrics,
    microstructure,
    plans,
    risk,
)
from engine.kernel.handler import Handler

_SIGNALS = (
    "absorption",
    "delta_divergence",
    "sweep",
    "cvd_divergence",
    "vwap_deviation",
    "pressure",
    "cvd_trend",
    "diagonal",
)
"""Handlers that the classifier listens to, in the order of ``confluence.SOURCES``."""

TRADING: tuple[Handler, ...] = (
    Handler(
        "confluence",
        confluence.CONFLUENCE_STATE,
        "engine.kernel.confluence",
        ("confluence_boundary",),
        {
            "boundary": (
                "confluence_boundary(s.confluence, p.confluence, s.windows, now, "
                + ", ".join(f"s.{name}.signal" for name in _SIGNALS)
                + ")",
            ),
        },
        confluence.CONFLUENCE_PARAMS,
        needs=("windows", *_SIGNALS),
        kinds=(),
    ),
    Handler(
        "microstructure",
        microstructure.MICROSTRUCTURE_STATE,
        "engine.kernel.microstructure",
        ("microstructure_trades", "microstructure_boundary", "microstructure_gap"),
        {
            "trades": ("microstructure_trades(s.microstructure, trade_price, i, k)",),
            "boundary": (
                "microstructure_boundary(s.microstructure, p.microstructure, s.core, "
                "p.core.step_ns, s.windows, s.book, s.walls, s.market_state, now)",
            ),
            "gap_trade": ("microstructure_gap(s.microstructure)",),
        },
        microstructure.MICROSTRUCTURE_PARAMS,
        needs=("windows", "book", "walls", "market_state"),
        kinds=(Kind.TRADE, Kind.DEPTH, Kind.GAP),
    ),
    Handler("flip", flip.FLIP_STATE, "engine.kernel.flip", (), params=flip.FLIP_PARAMS, kinds=()),
    Handler(
        "exits",
        exits.EXITS_STATE,
        "engine.kernel.exits",
        (),
        params=exits.EXITS_PARAMS,
        needs=("flip",),
        kinds=(),
    ),
    Handler(
        "lifecycle",
        lifecycle.LIFECYCLE_STATE,
        "engine.kernel.lifecycle",
        ("lifecycle_follow",),
        {
            "boundary": ("lifecycle_follow(s.lifecycle, p.lifecycle, s.known, core.paused, now)",),
            "decided": ("core.decision.lifecycle = s.lifecycle.state",),
        },
        params=lifecycle.LIFECYCLE_PARAMS,
        kinds=(),
    ),
    Handler(
        "risk",
        risk.RISK_STATE,
        "engine.kernel.risk",
        ("risk_boundary", "risk_control"),
        {
            "boundary": ("risk_boundary(s.risk, p.risk, p.core, core, s.sides, s.known, now)",),
            "control": ("risk_control(s.risk, control_code[r])",),
        },
        params=risk.RISK_PARAMS,
        needs=("sides",),
    ),
    Handler(
        "metrics",
        metrics.METRICS_STATE,
        "engine.kernel.metrics",
        ("metrics_begin",),
        {"boundary": ("metrics_begin(s.metrics, core, now)",)},
    ),
    Handler(
        "plans",
        plans.PLANS_STATE,
        "engine.kernel.plans",
        ("plans_control", "plans_pass"),
        {
            "control": ("plans_control(s.plans, p.plans, control_code[r], control_value[r])",),
            "metrics": (
                "plans_pass(s.plans, p.plans, s.metrics, s.absorption.zones, p.core.slow_ns, now)",
            ),
        },
        plans.PLANS_PARAMS,
        needs=("metrics", "absorption"),
        kinds=(Kind.CONTROL,),
    ),
    Handler(
        "desk",
        desk.DESK_STATE,
        "engine.kernel.desk",
        (),
        params=desk.DESK_PARAMS,
        needs=(
            "windows",
            "book",
            "atr",
            "pivots",
            "absorption",
            "sweep",
            "market_state",
            "confluence",
            "microstructure",
            "plans",
            "exits",
            "lifecycle",
            "risk",
            "reference",
        ),
        kinds=(),
    ),
)
