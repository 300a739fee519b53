"""Settings of the handlers that trade, and the presets that change many of them at once.

Owns the groups of :data:`TRADING`, which ``parameters`` takes among all others, and what a preset
stands for: naming one changes the defaults of its group. It refuses to know how text is read.
"""

from __future__ import annotations

from engine.runtime.strategy import Param

_TRIGGERS = ("off", "r", "target", "money", "share")

_BREAKEVEN = (
    Param(
        "breakeven_by",
        "choice",
        "r",
        "break-even at a gain in: R, the target's distance, money at risk (after costs), price",
        _TRIGGERS,
    ),
    Param("breakeven_at", "ratio", "1", "and so much of it", low=0),
    Param("breakeven_fees", "flag", "true", "the stop then pays the fees both ways"),
    Param("breakeven_extra", "ratio", "0", "and so much of the entry price on top", low=0, high=1),
)

_PARTIAL = (
    Param("partial_by", "choice", "r", "partial exit at a gain in (see breakeven_by)", _TRIGGERS),
    Param("partial_at", "ratio", "1.5", "and so much of it", low=0),
    Param("partial_share", "ratio", "0.5", "share of the position that is closed", low=0, high=1),
)

_WIDEN = (
    Param("widen", "flag", "true", "high volatility moves the stop away, inside the risk budget"),
    Param("widen_ratio", "ratio", "1.5", "ATR now over ATR at entry that is high (0: off)", low=0),
    Param("widen_vix", "ratio", "18", "VIX above which it is high (0: off)", low=0),
    Param("widen_most", "ratio", "2", "most that the distance is multiplied by", low=1),
    Param("widen_base", "choice", "stop", "what is multiplied: the first stop, an ATR multiple",
          ("stop", "atr")),
    Param("widen_atr", "ratio", "1.5", "that ATR multiple", low=0),
)  # fmt: skip

_TRAIL = (
    Param("trail", "ratio", "2", "distance of the trailing stop, in ATR (0: off)", low=0),
    Param("trail_from", "choice", "breakeven", "when it starts", ("breakeven", "entry")),
    Param("trail_step", "ratio", "0.0002", "least step, as a share of price", low=0),
)

_MOMENTUM = (
    Param("momentum", "choice", "flow", "momentum loss is told by", ("off", "flow", "price")),
    Param("momentum_z", "ratio", "1.5", "flow: z of the window against the position", low=0),
    Param("momentum_n", "count", "6", "flow: decisions in a row; price: decisions back", low=1,
          high=31),
    Param("momentum_move", "ratio", "0.002", "price: share that it went against it", low=0),
)  # fmt: skip

TRADING: dict[str, tuple[Param, ...]] = {
    "flip": (
        Param(
            "mode", "choice", "seed", "exit rule: seed (80 %), cusum, off", ("seed", "cusum", "off")
        ),
        Param("share", "ratio", "0.8", "seed: share of the entry delta", low=0),
        Param("k", "ratio", "0.5", "CUSUM: slack, in sigmas", low=0),
        Param("h", "ratio", "4", "CUSUM: threshold, in sigmas", low=0),
    ),
    "exits": (
        Param("preset", "choice", "standard", "what the rest starts from", ("standard", "seed")),
        Param("atr", "choice", "1m", "ATR that the rules read", ("15s", "1m", "5m", "seed")),
        Param("check", "duration", "0", "rules are asked on this grid only (0: every decision)"),
        *_BREAKEVEN,
        *_PARTIAL,
        *_WIDEN,
        *_TRAIL,
        Param("hold", "duration", "30m", "longest time in a position (0: no limit)"),
        *_MOMENTUM,
    ),
}
"""Settings of the handlers that trade, by group."""

PRESETS: dict[str, dict[str, dict[str, str]]] = {
    "exits": {
        "standard": {},
        "seed": {
            "atr": "seed",
            "check": "30s",
            "breakeven_by": "target",
            "breakeven_at": "0.2",
            "breakeven_fees": "false",
            "breakeven_extra": "0.0001",
            "partial_by": "target",
            "partial_at": "0.5",
            "partial_share": "0.5",
            "widen": "true",
            "widen_ratio": "0",
            "widen_vix": "18",
            "widen_most": "2",
            "widen_base": "atr",
            "widen_atr": "1.5",
            "trail": "1.5",
            "trail_from": "breakeven",
            "trail_step": "0.0005",
            "hold": "0",
            "momentum": "off",
        },
    },
}
"""By group and name: settings that the preset changes (``exits``: ``engine.kernel.exits``)."""
