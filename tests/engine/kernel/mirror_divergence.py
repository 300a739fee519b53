"""What price and side turned round do to pivots, impact, divergences and the trend of the CVD."""

from __future__ import annotations

from typing import Any

import numpy as np


def mirror_pivots(a: Any, b: Any, centre: int) -> None:
    """High pivots become low ones, with the CVD turned round."""
    assert [int(a[n]) for n in ("bars", "run", "cvd")] == [
        int(b["bars"]), int(b["run"]), -int(b["cvd"])
    ]  # fmt: skip
    for name in ("count", "fresh"):
        assert np.array_equal(a[name], b[name][::-1])
    for kind in range(2):
        for n in range(min(int(a["count"][kind]), 16)):
            x, y = a["ring"][kind * 16 + n], b["ring"][(1 - kind) * 16 + n]
            assert int(x["bar"]) == int(y["bar"])
            for field in ("price", "close"):
                assert int(x[field]) == centre - int(y[field])
            assert int(x["cvd"]) == -int(y["cvd"])


def scaled_pivots(a: Any, b: Any, k: int, volume: bool) -> None:
    """Other units change prices or the CVD, and nothing else."""
    for name in ("bars", "run", "count", "fresh"):
        assert np.array_equal(a[name], b[name])
    p, v = (1, k) if volume else (k, 1)
    for name, factor in (("price", p), ("close", p), ("cvd", v), ("bar", 1)):
        assert np.array_equal(a["ring"][name] * factor, b["ring"][name])
