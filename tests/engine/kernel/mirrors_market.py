"""How the detectors of the book and of the market's condition mirror (see ``test_symmetry``)."""

from __future__ import annotations

from typing import Any

import numpy as np


def equal(a: Any, b: Any, fields: tuple[str, ...], factor: int = 1) -> None:
    for f in fields:
        assert np.array_equal(np.asarray(a[f]) * factor, np.asarray(b[f])), f


def signals(a: Any, b: Any, value: int) -> None:
    """Directions turn; what stands behind them turns with them where ``value`` is -1."""
    x, y = a["signal"], b["signal"]
    equal(x, y, ("direction",), -1)
    equal(x, y, ("ready", "strength_fp9", "threshold_fp9", "fired", "fired_ns", "until_ns"))
    equal(x, y, ("value_fp9",), value)


def mirror_pressure(a: Any, b: Any) -> None:
    signals(a, b, -1)
    equal(a, b, ("flow", "z_fp9"), -1)
    equal(a["usual"], b["usual"], ("n", "mean_square"))


def mirror_toxicity(a: Any, b: Any) -> None:
    signals(a, b, 1)
    assert int(a["signal"]["direction"]) == 0
    equal(a, b, ("net",), -1)
    equal(a, b, ("vpin_fp9", "rank_fp9", "toxic", "buckets", "filled", "size", "flagged"))
    equal(a, b, ("kyle", "kyle_t_fp9", "impact_fp9"))  # price and delta turn both


def mirror_regime(a: Any, b: Any) -> None:
    signals(a, b, -1)
    equal(a["trend"], b["trend"], ("level", "value_fp9"), -1)
    equal(a["trend"], b["trend"], ("age", "ready", "changes"))
    for name in ("volatility", "volume", "book"):
        equal(a[name], b[name], ("level", "value_fp9", "age", "ready", "changes"))


def mirror_walls(a: Any, b: Any) -> None:
    signals(a, b, 1)
    equal(a, b, ("pulled", "eaten", "score_fp9"))
    assert a["live"].tolist() == b["live"].tolist()[::-1]
    equal(a, b, ("pull_side",), -1)


def mirror_market_state(a: Any, b: Any) -> None:
    signals(a, b, 1)
    equal(a, b, ("pump_side",), -1)
    equal(a, b, ("state", "since_ns", "pump_fp9", "jumped", "entered", "volume", "depth"))


def mirror_replenish(a: Any, b: Any) -> None:
    signals(a, b, 1)
    for x, y in (("bid", "ask"), ("ask", "bid")):
        equal(a[x], b[y], ("shown", "traded", "away_ns", "fired"))


MARKET_MIRRORS = {
    "walls": mirror_walls, "market_state": mirror_market_state,
    "pressure": mirror_pressure, "toxicity": mirror_toxicity, "regime": mirror_regime,
    "replenish": mirror_replenish,
}  # fmt: skip
MARKET_VOLUMES: dict[str, tuple[str, ...]] = {
    "pressure": (), "toxicity": (), "regime": (), "walls": (), "market_state": (),
    "replenish": (),
}  # fmt: skip
MARKET_PRICES: dict[str, tuple[str, ...]] = {"regime": ("spread_sum",)}
