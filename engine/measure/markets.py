"""The markets of the bench: planted patterns, their null twins, and what is varied.

Owns which patterns are planted how strongly and how often (:data:`PLANTINGS`), the sweep of
correlation, rate, spread and noise (:data:`VARIATIONS`) and :class:`Market`, the columns of one
market in memory. Two generators that know nothing of each other make them. A pattern comes once in
:data:`EVERY_S` seconds, so one evaluation window in twenty holds one: the base rate is 5 %. Its
length is that of the window in which its detector looks, and what it did to the price fades over
half an hour, because a price that snaps back without flow would itself be a divergence.
It refuses to know any detector's thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data.events import NS, Kind, Scales
from data.sources.synthetic import Label, MarketSpec, agents, generate, join
from data.sources.synthetic.agents import AgentSpec

WINDOW_S = 300
"""Length of an evaluation window, seconds."""

EVERY_S = 20 * WINDOW_S
"""One pattern in so many seconds."""

WARM_S = 5 * 3_600
"""Nothing is judged before: impact needs 240 sums of up to 12 minutes, most of five hours."""

HOURS = 25
"""Length of a market, of which twenty are judged."""


@dataclass(frozen=True)
class Planting:
    """How one kind of pattern is planted; ``tolerance_s`` after its end a signal still counts."""

    kind: str
    tolerance_s: int
    options: dict[str, Any] = field(default_factory=dict)


_COMMON = {"settle_s": 1_800, "every_s": EVERY_S}
PLANTINGS: dict[str, Planting] = {
    p.kind: p
    for p in (
        Planting("absorption", 180, {"strength": (1.5, 2.5), "stretch": 3.0}),
        Planting("delta_divergence", 180, {"strength": (1.5, 2.5), "stretch": 6.0}),
        Planting("cvd_divergence", 300, {"strength": (2.0, 3.0), "stretch": 3.0}),
        Planting(
            "liquidity_sweep",
            180,
            {"strength": (1.0, 1.8), "stretch": 1.5, "stops": 30.0, "lookback_s": 3_600},
        ),
        Planting("flow_flip", 60, {"strength": (1.5, 2.5), "stretch": 5.0}),
    )
}
"""By kind. A flow_flip lasts ten minutes, five of either side."""

AGENTS_STRENGTH = (1.5, 2.5)
"""Of every pattern that agents act; how long each lasts they decide themselves."""

PLAIN = "none"
"""The kind of a market without patterns: of detectors that nothing is planted for."""


@dataclass(frozen=True)
class Variation:
    """One point of the sweep: fields of the market that differ from the base, by generator."""

    name: str
    flow: dict[str, Any] = field(default_factory=dict)
    agents: dict[str, Any] = field(default_factory=dict)


BASE = Variation("base")
VARIATIONS = (
    Variation("correlation low", {"flow_share": 0.3}, {"rho": 0.35}),
    Variation("correlation high", {"flow_share": 0.85}, {"rho": 0.85}),
    Variation("rate low", {"rate_per_s": 1.0}, {"rate_per_s": 0.8}),
    Variation("rate high", {"rate_per_s": 8.0}, {"rate_per_s": 6.5}),
    Variation("spread 2", {"tick": 10}, {"spread_ticks": 2.0}),
    Variation("spread 3", {"tick": 30}, {"spread_ticks": 3.0}),
    Variation("noise low", {"sign_noise": 0.0}, {"noise": 0.2}),
    Variation("noise high", {"sign_noise": 0.6}, {"noise": 0.9}),
)
"""One at a time, so that what moved a figure is known. Noise is the share of orders whose side
nobody planned; a spread of 2 and 3 ticks is, in markets of one-tick spreads, one of coarser ticks.
"""


@dataclass(frozen=True)
class Market:
    """One market in memory: columns by kind as a fold takes them, and its labels.

    ``start_ns`` to ``end_ns`` is what is judged, after the warm-up. ``seed`` and ``twin`` are those
    of the generator; ``labels`` are in order of time and empty where nothing was planted.
    """

    generator: str
    kind: str
    variation: str
    seed: int
    twin: bool
    start_ns: int
    end_ns: int
    scales: Scales
    columns: dict[Kind, dict[str, np.ndarray]]
    labels: tuple[Label, ...]


Maker = Callable[[str, int, Variation, bool, int], Market]
"""(kind, seed, variation, null, hours) -> Market."""


def kinds_of(kind: str) -> tuple[Kind, ...]:
    """Events of a market of ``kind``: books only where a detector judged on it reads one."""
    books = (Kind.DEPTH,) if kind in ("absorption", PLAIN) else ()
    return (Kind.TRADE, *books, Kind.BAR)


def flow_market(kind: str, seed: int, variation: Variation, null: bool, hours: int) -> Market:
    """A market of the flow generator (``data.sources.synthetic``); ``kind`` may be PLAIN."""
    planted = kind != PLAIN
    spec = MarketSpec(
        seed=seed,
        duration_s=hours * 3_600,
        rate_per_s=4.0,
        depth_ms=1_000,
        depth_levels=10 if kind == PLAIN else 5,
        kinds=kinds_of(kind),
        patterns=(kind,) if planted else (),
        null=null,
        **({**_COMMON, **PLANTINGS[kind].options} if planted else {}),
    )
    spec = replace(spec, **variation.flow)
    return _gathered("flow", kind, variation, spec, list(generate(spec)))


def agents_market(kind: str, seed: int, variation: Variation, null: bool, hours: int) -> Market:
    """A market of the agents (``data.sources.synthetic.agents``); ``kind`` may be PLAIN."""
    spec = AgentSpec(
        seed=seed,
        duration_s=hours * 3_600,
        rate_per_s=3.3,
        depth_ms=1_000,
        depth_levels=10 if kind == PLAIN else 5,
        kinds=kinds_of(kind),
        patterns=() if kind == PLAIN else (kind,),
        every_s=EVERY_S,
        strength=AGENTS_STRENGTH,
        null=null,
    )
    spec = replace(spec, **variation.agents)
    return _gathered("agents", kind, variation, spec, list(agents.generate(spec)))


def _gathered(
    generator: str, kind: str, variation: Variation, spec: MarketSpec | AgentSpec, chunks: list[Any]
) -> Market:
    """The chunks of a generator as one market; what lies in the warm-up is not judged."""
    start_ns = spec.start_ns + WARM_S * NS
    labels = [x for c in chunks for x in c.labels if x.start_ns >= start_ns]
    return Market(
        generator,
        kind,
        variation.name,
        spec.seed,
        spec.null,
        start_ns,
        spec.end_ns,
        spec.scales,
        {k: flat(join([c.columns[k] for c in chunks])) for k in spec.kinds},
        tuple(labels),
    )


def flat(columns: dict[str, Any]) -> dict[str, np.ndarray]:
    """Columns of a generator as a fold takes them: list columns as values and shared offsets."""
    out: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        if isinstance(column, tuple):
            out[name] = np.ascontiguousarray(column[0])
            out[name.split("_")[0] + "_offsets"] = np.ascontiguousarray(column[1])
        else:
            out[name] = np.ascontiguousarray(column)
    return out


GENERATORS: dict[str, Maker] = {"flow": flow_market, "agents": agents_market}
"""By name; each was written without a look at the other or at the detectors."""
