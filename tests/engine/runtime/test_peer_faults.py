"""Faults of a peer's engine (not of its matching) that must not be ours."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from data.events import Kind, Scales
from engine.runtime.behind import Behind
from engine.runtime.compose import compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from strategies import get


class Kept:
    """A sink that keeps what it takes."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def take(self, name: str, rows: np.ndarray) -> None:
        self.rows[name] = self.rows.get(name, 0) + len(rows)


def fold() -> Fold:
    composition = compose(get("delta_flip"))
    return Fold(composition, build(composition, settle(composition, {}), Scales(1, 3)), Kept())


def temporaries(n: int) -> dict[Kind, dict[str, Any]]:
    """Columns that nobody else holds."""
    return {
        Kind.TRADE: {
            "ts_ns": np.arange(1, n + 1) * 10_000_000 + 1_700_000_000_000_000_000,
            "id": np.arange(1, n + 1),
            "price": np.full(n, 600_000),
            "qty": np.full(n, 7),
            "side": np.where(np.arange(n) % 3 == 0, 1, -1).astype(np.int8),
        }
    }


def test_arrays_that_nobody_else_holds_are_folded_whole() -> None:
    run = fold()
    for _ in range(20):
        run.feed(temporaries(5000), np.array([Kind.TRADE], np.int8), np.array([5000]))
        gc.collect()
        np.empty(5000 * 8).fill(1e300)  # whoever freed them too early would now read this
    run.drain()
    assert run.events[Kind.TRADE] == 100_000
    flow = run.state["flow"]
    assert int(flow["buy"][0]) == 20 * 1667 * 7
    assert int(flow["sell"][0]) == 20 * 3333 * 7


def test_using_a_closed_recorder_is_an_error_not_a_crash() -> None:
    behind = Behind(Kept())
    behind.close()
    with pytest.raises(ValueError, match="closed"):
        behind.take("order", np.zeros(1))
