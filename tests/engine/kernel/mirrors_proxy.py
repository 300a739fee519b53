"""How flow by proxy mirrors and scales (see ``test_symmetry``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.engine.kernel.mirrors_market import equal


def tape(s: Any, name: str) -> list[int]:
    return [int(x) for x in s["tape"][name][: int(s["n"])]]


def mirror_proxy(a: Any, b: Any, centre: int) -> None:
    equal(a, b, ("direction",), -1)
    equal(a, b, ("trades", "emitted", "silenced", "late", "crossed", "refused", "updates"))
    equal(a, b, ("side_source", "side_conf_fp9", "data_quality", "allowed", "last_ns", "counts"))
    assert tape(a, "ts_ns") == tape(b, "ts_ns")
    assert sorted(tape(a, "price")) == sorted(centre - x for x in tape(b, "price"))
    if int(a["direction"]):
        assert tape(a, "qty") == tape(b, "qty")
        assert tape(a, "side") == [-x for x in tape(b, "side")]


def mirror_proxy_metrics(a: Any, b: Any) -> None:
    """A notional is another at a mirrored price, so the count of large trades is its own."""
    equal(a, b, ("cvd_value", "cvd_slope", "slope_fp9", "imbalance_fp9"), -1)
    equal(a, b, ("imbalance_score", "data_quality", "data_source", "bars"))
    equal(a["signal"], b["signal"], ("direction",), -1)
    equal(a["signal"], b["signal"], ("ready", "strength_fp9", "fired", "fired_ns", "until_ns"))


def scaled_proxy(a: Any, b: Any) -> None:
    """Other units of price or of real trades: what quotes and bars count stays what it was."""
    equal(a, b, ("trades", "emitted", "silenced", "updates", "direction", "counts", "allowed"))


def scaled_proxy_metrics(a: Any, b: Any, k: int, volume: bool) -> None:
    equal(a, b, ("data_quality", "data_source", "bars"))
    if volume and int(a["data_source"]) != 1:
        return  # quotes and bars count updates, whatever trades are measured in
    if not volume:
        equal(a, b, ("imbalance_score", "cvd_value", "cvd_slope"))
        assert np.isclose(int(a["imbalance_fp9"]), int(b["imbalance_fp9"]), rtol=1e-8, atol=4)
        assert math.isclose(int(a["slope_fp9"]), int(b["slope_fp9"]), rel_tol=1e-8, abs_tol=4)
