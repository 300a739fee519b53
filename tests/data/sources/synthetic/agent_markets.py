"""Markets of agents for tests, made once a process, and plain measurements on them."""

from __future__ import annotations

import hashlib
from functools import cache, cached_property

import numpy as np

from data.events import NS, Kind
from data.sources.synthetic import agents
from data.sources.synthetic.agents import AgentSpec
from data.sources.synthetic.agents_flow import MEAN_LOTS

HOUR_S = 3_600
MINUTE_NS = 60 * NS
LIGHT = (Kind.TRADE, Kind.QUOTE)
SLOT_S = {"cvd_divergence": 1_500}


class Seen:
    """A market with what a test wants to read from it: prices in ticks, sizes in mean orders."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        market = agents.market(spec)
        self.tables, self.labels, self.touch = market.tables, market.labels, market.touch
        self.trades = self.tables[Kind.TRADE]
        self.quotes = self.tables[Kind.QUOTE]

    @cached_property
    def mids(self) -> np.ndarray:
        return (self.quotes["bid"] + self.quotes["ask"]) / 2 / self.spec.tick_units

    @cached_property
    def _flow(self) -> np.ndarray:
        signed = self.trades["qty"] * self.trades["side"]
        return np.concatenate([[0], np.cumsum(signed)]) / MEAN_LOTS

    def mid(self, at_ns: np.ndarray | int) -> np.ndarray:
        """Mid as of ``at_ns``, ticks."""
        at = np.searchsorted(self.quotes["ts_ns"], at_ns, side="right") - 1
        return self.mids[np.maximum(at, 0)]

    def flow(self, from_ns: np.ndarray | int, to_ns: np.ndarray | int) -> np.ndarray:
        """Signed flow of [from_ns, to_ns), mean orders."""
        ts = self.trades["ts_ns"]
        return self._flow[np.searchsorted(ts, to_ns)] - self._flow[np.searchsorted(ts, from_ns)]

    def extreme(self, from_ns: int, to_ns: int, side: int) -> tuple[float, int]:
        """The furthest mid on ``side`` within [from_ns, to_ns), ticks, and its time."""
        ts = self.quotes["ts_ns"]
        a, b = np.searchsorted(ts, [from_ns, to_ns])
        k = a + int(np.argmax(self.mids[a:b] * side))
        return float(self.mids[k]), int(ts[k])

    @cached_property
    def minutes(self) -> tuple[np.ndarray, np.ndarray]:
        """Signed flow and return of the mid, minute by minute."""
        edge = self.spec.start_ns + np.arange(self.spec.duration_s // 60 + 1) * MINUTE_NS
        return self.flow(edge[:-1], edge[1:]), np.diff(self.mid(edge))

    @property
    def rho(self) -> float:
        """Correlation of signed flow and return of a minute."""
        return float(np.corrcoef(*self.minutes)[0, 1])


@cache
def seen(spec: AgentSpec) -> Seen:
    """The market of ``spec``."""
    return Seen(spec)


def everything() -> Seen:
    """Two hours with every kind of pattern and of table, over midnight."""
    return seen(
        AgentSpec(
            seed=3,
            duration_s=2 * HOUR_S,
            start_ns=1_767_569_400 * NS,
            patterns=agents.PATTERN_KINDS,
            every_s=1_260,
        )
    )


def planted(kind: str, null: bool = False, strength: float = 0.0) -> Seen:
    """Eight patterns of one kind, or their null twins; of one ``strength`` where it is given."""
    every_s = SLOT_S.get(kind, 660)
    return seen(
        AgentSpec(
            seed=11,
            duration_s=8 * every_s,
            patterns=(kind,),
            every_s=every_s,
            null=null,
            strength=(strength, strength) if strength else (1.0, 2.0),
            kinds=LIGHT,
            depth_ms=1_000,
        )
    )


def digest(spec: AgentSpec) -> str:
    """sha256 of all columns and labels, whatever the chunks."""
    h = hashlib.sha256()
    market = agents.market(spec)
    for kind, table in market.tables.items():
        h.update(kind.name.encode())
        for name, column in table.items():
            h.update(name.encode())
            for part in column if isinstance(column, tuple) else (column,):
                h.update(part.tobytes())
    h.update(repr(market.labels).encode())
    return h.hexdigest()
