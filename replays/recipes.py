"""The recipe of every replay: its market, what is run over it, and what must then be true.

Owns :data:`RECIPES`. A recipe's market is a specification of a synthetic one or a script. The
default was chosen for what it shows and never for what a strategy earns on it. The golden sessions
are examples: their seeds were found by search, because they tell one story from the event to the
fill, and they claim nothing about how often such a story has this end. Several detectors are told
to be ready sooner, and the absorption's to speak sooner, than they would in a market that runs all
day, and only the exit that the story is about is on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import replays
from data.sources.synthetic import PATTERN_KINDS, MarketSpec
from replays import guards
from replays.guards import BROKER_ENDS
from replays.script import Script

AFTERNOON_NS = 1_767_614_400_000_000_000
"""2026-01-05T12:00:00Z: six hours from before the opening of New York."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """``strategy`` runs over ``market`` with ``settings`` (as ``--set`` takes them) and ``plans``,
    the text of a file of plans (empty: none); ``story`` is what must be true of the result.
    """

    title: str
    market: MarketSpec | Script
    strategy: str = "delta_flip"
    settings: dict[str, str] = field(default_factory=dict)
    plans: str = ""
    story: dict[str, Any] = field(default_factory=dict)


_SOON = {"impact.warm": "30", "desk.warmup": "10", "regime.warm": "20"}

_SHORT = """\
# Goes with a falling market. Here the flow turns up, and the broker's stop ends it.
[[plan]]
id = 1
name = "down with the flow"
symbol = "BTCUSDT"
direction = "SELL"
stop = { share = 0.001 }
target = { r = 2 }

[plan.conditions]
delta_negative = true
cvd_falling = true
delta_30s = 3
"""

_LONG = """\
# Goes with a rising market, until the flow turns.
[[plan]]
id = 1
name = "up with the flow"
symbol = "BTCUSDT"
direction = "BUY"
stop = { share = 0.003 }
target = { r = 2 }

[plan.conditions]
delta_positive = true
cvd_rising = true
delta_30s = 3
market_state = "normal"
"""


def _small(seed: int, minutes: int, pattern: str, strength: tuple[float, float]) -> MarketSpec:
    """A quiet market of a few thousand trades with one kind of pattern."""
    return MarketSpec(
        seed=seed,
        start_ns=AFTERNOON_NS,
        duration_s=minutes * 60,
        rate_per_s=6.0,
        depth_ms=2_000,
        patterns=(pattern,),
        every_s=600,
        strength=strength,
    )


RECIPES: dict[str, Recipe] = {
    replays.DEFAULT: Recipe(
        "Six hours of a synthetic BTCUSDT with every pattern planted",
        MarketSpec(
            seed=20_260_105,
            start_ns=AFTERNOON_NS,
            duration_s=6 * 3_600,
            rate_per_s=12.0,
            depth_ms=500,
            patterns=PATTERN_KINDS,
            every_s=900,
        ),
    ),
    "absorption_long": Recipe(
        "A long on an absorption that reaches its target (an example, its seed found by search)",
        _small(33, 66, "absorption", (2.0, 4.0)),
        "scalper",
        {
            **_SOON,
            **BROKER_ENDS,
            "desk.source": "classifier",
            "desk.stop": "share",
            "desk.target": "r",
            "absorption.flow_z": "1.5",
            "absorption.shortfall": "1.5",
        },
        story={
            "side": "BUY",
            "exit_reason": "TARGET",
            "planted": "absorption",
            "dominant": "absorption",
        },
    ),
    "short_stopped": Recipe(
        "A plan's short that the broker's stop ends (an example, its seed found by search)",
        _small(47, 20, "flow_flip", (2.0, 3.0)),
        "scalper",
        {**_SOON, **BROKER_ENDS, "desk.source": "plans"},
        _SHORT,
        {"side": "SELL", "exit_reason": "STOP", "planted": "flow_flip", "plan": 1},
    ),
    "flip_exit": Recipe(
        "A plan's long that ends when the flow turns (an example, its seed found by search)",
        _small(46, 20, "flow_flip", (2.0, 3.0)),
        "scalper",
        {**_SOON, **BROKER_ENDS, "desk.source": "plans", "flip.mode": "cusum"},
        _LONG,
        {"side": "BUY", "exit_reason": "FLIP", "planted": "flow_flip", "plan": 1},
    ),
    "guards_day": Recipe(
        "A day, written by hand, in which every guard refuses",
        Script(
            "replays.guards",
            guards.columns,
            guards.START_NS,
            guards.END_NS,
        ),
        "scalper",
        guards.SETTINGS,
        guards.plans(),
        guards.story(),
    ),
}
"""Every replay, by name."""
