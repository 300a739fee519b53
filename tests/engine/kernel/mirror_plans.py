"""How metrics and plans mirror and scale (see ``test_symmetry``)."""

from __future__ import annotations

from typing import Any

from engine.kernel.metrics import AT, METRICS

TURNED = ("delta_30s", "delta_300s", "cvd", "cvd_slope", "cvd_slope_t", "vwap_z", "book_imbalance",
          "trend_regime")  # fmt: skip
SWAPPED = {"bid": "ask", "ask": "bid", "price": "price"}


def mirror_metrics(a: Any, b: Any, centre: int) -> None:
    for name, unit in METRICS:
        x, y = AT[name], AT[SWAPPED.get(name, name)]
        assert int(a["known"][x]) == int(b["known"][y]), name
        if not int(a["known"][x]):
            continue
        have, other = int(a["value"][x]), int(b["value"][y])
        if name in SWAPPED:
            assert have == centre - other, name
        elif unit == "side" or name in TURNED:
            assert abs(have + other) <= 1, name
        elif name == "book_share":
            assert abs(have + other - 10**9) <= 1
        elif name == "aggressor_ratio":
            if 0 < have < 900 * 10**9 and 0 < other < 900 * 10**9:
                assert abs(have * other - 10**18) <= max(have, other)
        else:
            assert have == other, name


def mirror_order_block(a: Any, b: Any, centre: int) -> None:
    for name in ("ready", "strength_fp9", "value_fp9", "fired", "fired_ns"):
        assert int(a["signal"][name]) == int(b["signal"][name]), name
    for name in ("side", "delta_side", "cvd_side", "zones_side"):
        assert int(a[name]) == -int(b[name]), name
    assert int(a["signal"]["direction"]) == -int(b["signal"]["direction"])
    for name in ("n", "added", "mitigated", "expired", "displaced", "cvd_ready", "zones_ready"):
        assert int(a[name]) == int(b[name]), name
    n = int(a["n"])
    here = [
        [int(x[f]) for f in ("low", "high", "side", "delta", "born_ns")] for x in a["blocks"][:n]
    ]
    there = [
        [int(x[f]) for f in ("low", "high", "side", "delta", "born_ns")] for x in b["blocks"][:n]
    ]
    turned = [[centre - y[1], centre - y[0], -y[2], -y[3], y[4]] for y in there]
    assert sorted(here) == sorted(turned)


def mirror_plans(a: Any, b: Any) -> None:
    for name in ("started", "now_ns", "met", "committed", "rejected"):
        assert int(a[name]) == int(b[name]), name
    for x, y in zip(a["slots"], b["slots"], strict=True):
        for name in ("id", "status", "at_ns", "passed", "failed", "unknown"):
            assert int(x[name]) == int(y[name]), name


BY_VOLUME = {"cvd_slope"}
"""Numbers at 1e-9 that are a quantity, so many a step."""


def scaled_metrics(a: Any, b: Any, k: int, volume: bool) -> None:
    for n, (name, unit) in enumerate(METRICS):
        assert int(a["known"][n]) == int(b["known"][n]), name
        scales = unit == ("qty" if volume else "price") or (volume and name in BY_VOLUME)
        factor = k if scales else 1
        off = factor if name in BY_VOLUME else 1  # one that is rounded to 1e-9 before it is scaled
        assert abs(int(a["value"][n]) * factor - int(b["value"][n])) <= off, name
