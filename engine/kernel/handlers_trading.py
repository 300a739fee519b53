"""Handlers that trade on what was judged: from confluence and plans to exits and risk.

Owns their place in a fold: last. They refuse to look at events; they read signals.
"""

from __future__ import annotations

from engine.kernel import (
    exits,
    flip,
)
from engine.kernel.handler import Handler

TRADING: tuple[Handler, ...] = (
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
)
