"""What price and side turned round do to pivots, impact, divergences and the trend of the CVD."""

from __future__ import annotations

import math
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


def near(a: Any, b: Any, names: tuple[str, ...], slack: int = 1000) -> None:
    """Numbers at 1e-9 that rounding in other units may move by a millionth."""
    for name in names:
        assert abs(int(a[name]) - int(b[name])) <= slack, name


def mirror_impact(a: Any, b: Any) -> None:
    """Squares and products of two that both turn round stay exactly what they were."""
    assert int(a["run"]) == int(b["run"])
    assert a["sums"].tobytes() == b["sums"].tobytes()


def scaled_impact(a: Any, b: Any, k: int, volume: bool) -> None:
    p, v = (1, k) if volume else (k, 1)
    assert int(a["run"]) == int(b["run"])
    for x, y in zip(a["sums"], b["sums"], strict=True):
        assert int(x["n"]) == int(y["n"])
        scale = math.sqrt(float(y["rr"]) * float(y["ff"]))
        for name, factor in (("rr", p * p), ("ff", v * v), ("rf", p * v)):
            want = float(x[name]) * factor
            assert math.isclose(float(y[name]), want, rel_tol=1e-9, abs_tol=1e-9 * scale)


def mirror_signal(a: Any, b: Any) -> None:
    """A signal that turns round: the same in all but its sign."""
    g, h = a["signal"], b["signal"]
    for name in ("ready", "strength_fp9", "threshold_fp9", "fired", "fired_ns", "until_ns"):
        assert int(g[name]) == int(h[name]), name
    for name in ("direction", "value_fp9"):
        assert int(g[name]) == -int(h[name]), name


def mirror_cvd_divergence(a: Any, b: Any) -> None:
    mirror_signal(a, b)
    for name in ("price_z_fp9", "cvd_z_fp9", "price_change", "cvd_change"):
        assert int(a[name]) == -int(b[name]), name


def scaled_signal(a: Any, b: Any) -> None:
    g, h = a["signal"], b["signal"]
    for name in ("ready", "direction", "fired", "fired_ns", "until_ns"):
        assert int(g[name]) == int(h[name]), name
    near(g, h, ("value_fp9", "strength_fp9"))


def mirror_recent(a: Any, b: Any) -> None:
    """Sells and trades of unknown side are both below zero: those of unknown side stay there."""
    assert int(a["n"]) == int(b["n"])
    assert np.array_equal(np.abs(a["delta"]), np.abs(b["delta"]))
    assert not ((a["delta"] > 0) & (b["delta"] > 0)).any()


def mirror_delta_divergence(a: Any, b: Any) -> None:
    mirror_signal(a, b)
    for name in ("price_fp9", "flow_fp9"):
        assert int(a[name]) == -int(b[name]), name


def mirror_cvd_trend(a: Any, b: Any) -> None:
    mirror_signal(a, b)
    assert int(a["slope_fp9"]) == -int(b["slope_fp9"])
