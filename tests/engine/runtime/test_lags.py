"""Histograms of latencies: bounded error, bounded size, whole after a restart."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.lags import Lags, Rolling


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=60), st.floats(0, 1))
def test_a_percentile_is_never_below_and_at_most_a_32nd_above(values: list[int], p: float) -> None:
    lags = Lags()
    lags.add(np.array(values[: len(values) // 2], dtype=np.int64))
    for value in values[len(values) // 2 :]:
        lags.add(value)
    true = sorted(values)[max(1, int(np.ceil(p * len(values)))) - 1] / 1e6
    found = lags.percentile_ms(p)
    assert true - 1e-9 <= found <= true * (1 + 1 / 31) + 2e-6
    again = Lags.of(json.loads(json.dumps(lags.facts())))
    assert again.percentile_ms(p) == found
    assert again.facts() == lags.facts()


def test_negative_times_are_counted_apart() -> None:
    lags = Lags()
    lags.add(np.array([-5, 2_000_000, -1]))
    assert (lags.count, lags.negative) == (1, 2)
    assert abs(lags.percentile_ms(0.5) - 2) < 0.1


def test_none_is_zero() -> None:
    lags = Lags()
    lags.add(np.zeros(0, dtype=np.int64))
    assert lags.percentile_ms(0.99) == 0


def test_a_minute_is_looked_back() -> None:
    now = [0.0]
    rolling = Rolling(lambda: now[0])
    rolling.add(5_000_000_000)
    for second in range(0, 200, 5):
        now[0] = second
        rolling.add(1_000_000)
    (p99,) = rolling.percentiles_ms(1.0)
    assert p99 < 1.1
    assert rolling.total.percentile_ms(1.0) == 5_000
    now[0] = 10_000
    assert rolling.percentiles_ms(0.5) == (0.0,)
    assert len(rolling._slots) <= 6
