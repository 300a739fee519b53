"""What can be varied about a synthetic market does what it says, and left alone is silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data.errors import ConfigError
from data.events import Kind
from data.sources.synthetic import MarketSpec, generate, join

SMALL = MarketSpec(
    seed=3, duration_s=7_200, rate_per_s=3.0, depth_ms=1_000, depth_levels=1, kinds=(Kind.TRADE,)
)
LATER = {
    "flow_share": 0.3, "sign_noise": 0.5, "stretch": 2.0, "settle_s": 600, "lookback_s": 900,
    "stops": 20.0,
}  # fmt: skip


def trades(spec: MarketSpec) -> Any:
    return join([c.columns[Kind.TRADE] for c in generate(spec)])


def correlation(spec: MarketSpec) -> float:
    """Of price change and delta over minutes."""
    t = trades(spec)
    minute = (t["ts_ns"] - spec.start_ns) // 60_000_000_000
    last = np.searchsorted(minute, np.arange(spec.duration_s // 60), "right") - 1
    delta = np.bincount(minute, t["side"].astype(float) * t["qty"])[1:]
    return float(np.corrcoef(np.diff(t["price"][last]), delta)[0, 1])


def test_left_alone_they_are_not_written_down() -> None:
    assert not set(LATER) & set(SMALL.to_dict())
    assert MarketSpec.from_dict(SMALL.to_dict()) == SMALL
    for name, value in LATER.items():
        spec = replace(SMALL, **{name: value})
        assert spec.to_dict()[name] == value
        assert MarketSpec.from_dict(spec.to_dict()) == spec


def test_the_share_of_flow_sets_the_correlation() -> None:
    low, high = (correlation(replace(SMALL, flow_share=x, duration_s=36_000)) for x in (0.2, 0.9))
    assert low < 0.45 < 0.65 < high


def test_noise_of_signs_leaves_prices_to_other_orders() -> None:
    a, b = trades(SMALL), trades(replace(SMALL, sign_noise=1.0))
    np.testing.assert_array_equal(a["ts_ns"][:10], b["ts_ns"][:10])
    runs = [np.mean(t["side"][1:] == t["side"][:-1]) for t in (a, b)]
    assert runs[1] < runs[0] - 0.1


def test_a_stretched_pattern_is_longer_and_fades_as_long_as_told() -> None:
    spec = replace(SMALL, patterns=("absorption",), every_s=3_000, stretch=3.0, settle_s=900)
    labels = [x for c in generate(spec) for x in c.labels]
    assert len(labels) == 2
    for x in labels:
        assert (x.end_ns - x.start_ns, x.settle_ns - x.end_ns) == (180 * 10**9, 900 * 10**9)


def test_a_sweep_runs_the_extreme_of_its_lookback() -> None:
    """The further back it looks, the further the level may lie; more stops are more volume."""
    spec = replace(SMALL, patterns=("liquidity_sweep",), every_s=3_600, duration_s=36_000)
    near, far, dense = (
        [x for c in generate(s) for x in c.labels]
        for s in (spec, replace(spec, lookback_s=3_000), replace(spec, stops=40.0))
    )
    for a, b in zip(near, far, strict=True):
        assert a.direction * (a.level - b.level) >= 0
    assert any(a.level != b.level for a, b in zip(near, far, strict=True))
    assert len(trades(replace(spec, stops=40.0))["ts_ns"]) > len(trades(spec)["ts_ns"])
    assert [x.start_ns for x in dense] == [x.start_ns for x in near]


@pytest.mark.parametrize(
    ("name", "value"),
    [("flow_share", 0.0), ("sign_noise", 1.1), ("stretch", 0.1), ("settle_s", 10),
     ("lookback_s", 1), ("stops", 0.0)],
)  # fmt: skip
def test_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        replace(SMALL, patterns=("absorption",), **{name: value})
