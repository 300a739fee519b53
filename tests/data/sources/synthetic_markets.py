"""Synthetic markets for tests, made once a process, and measurements on them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from data.events import Kind
from data.sources.synthetic import PATTERN_KINDS, Label, MarketSpec, generate, join

NS = 1_000_000_000
HOUR_S = 3_600


@dataclass(frozen=True)
class Market:
    """A whole market in memory: columns by kind, the touch before each trade, labels."""

    spec: MarketSpec
    trades: dict
    depth: dict
    bars: dict
    bid_before: np.ndarray
    ask_before: np.ndarray
    labels: list[Label]

    def levels(self, name: str) -> np.ndarray:
        """A list column of the depth as an array [rows, levels]."""
        return self.depth[name][0].reshape(-1, self.spec.depth_levels)

    @property
    def mid(self) -> np.ndarray:
        """Mid price of each snapshot, in price units."""
        return (self.levels("bid_price")[:, 0] + self.levels("ask_price")[:, 0]) / 2


@cache
def market(spec: MarketSpec) -> Market:
    """The market of ``spec``."""
    chunks = list(generate(spec))
    trades, depth, bars = (
        join([c.columns[k] for c in chunks]) for k in (Kind.TRADE, Kind.DEPTH, Kind.BAR)
    )
    return Market(
        spec,
        trades,
        depth,
        bars,
        np.concatenate([c.touch[0] for c in chunks]),
        np.concatenate([c.touch[1] for c in chunks]),
        [label for c in chunks for label in c.labels],
    )


def plain() -> Market:
    """Two hours without a pattern, from before midnight."""
    return market(MarketSpec(seed=5, duration_s=2 * HOUR_S, start_ns=1_767_569_400 * NS))


def busy() -> Market:
    """A day at the mean rate of the busiest day on record, books only each second."""
    return market(MarketSpec(seed=4, rate_per_s=48.0, depth_ms=1_000))


def planted(null: bool = False) -> Market:
    """Ten hours with a pattern every ten minutes, or its null twin."""
    return market(
        MarketSpec(
            seed=1,
            duration_s=10 * HOUR_S,
            rate_per_s=15.0,
            patterns=PATTERN_KINDS,
            every_s=600,
            null=null,
        )
    )


def digest(spec: MarketSpec) -> str:
    """sha256 of all columns, whatever the chunks."""
    h = hashlib.sha256()
    m = market(spec)
    for table in (m.trades, m.depth, m.bars):
        for name, column in table.items():
            h.update(name.encode())
            for part in column if isinstance(column, tuple) else (column,):
                h.update(part.tobytes())
    h.update(repr(m.labels).encode())
    return h.hexdigest()
