"""Tables never fall, bounds are bounds, and scores that tell nothing give the base rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.calibrate.calibrator import KNOTS, Z90, Table, calibrate, wilson


def mirrored(seed: int, n: int, slope: float, offset: float = 0.0):  # type: ignore[no-untyped-def]
    """(scores, won, weight, true p): lean z of the purchase; one of the two sides wins."""
    r = np.random.default_rng(seed)
    z = r.normal(0, 1, n)
    score = np.column_stack((offset + z, offset - z))
    truth = 1 / (1 + np.exp(-slope * score))
    up = r.random(n) < truth[:, 0] / truth.sum(axis=1)
    won = np.column_stack((up, ~up))
    return score, won, np.ones((n, 2)), truth / truth.sum(axis=1, keepdims=True)


def check(table: Table) -> None:
    assert 1 <= len(table.x) <= KNOTS
    assert (np.diff(table.x) > 0).all()
    assert (np.diff(table.p) >= 0).all() and (np.diff(table.low) >= 0).all()
    assert all(0 <= low <= p <= 1 for low, p in zip(table.low, table.p, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(4, 300), st.floats(-3, 3),
    st.sampled_from(["platt", "isotonic", "base_rate"]), st.booleans(),
)  # fmt: skip
def test_a_table_never_falls(seed: int, n: int, slope: float, method: str, ties: bool) -> None:
    score, won, weight, _ = mirrored(seed, n, slope)
    check(calibrate(np.round(score) if ties else score, won, weight, method))


def test_which_form_by_effective_events() -> None:
    score, won, weight, _ = mirrored(1, 1200, 1.0)
    assert calibrate(score, won, weight).method == "isotonic"
    assert calibrate(score, won, weight * 0.8).method == "platt"


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_the_truth_is_found_and_the_bound_holds_nine_times_in_ten(method: str) -> None:
    held, off = [], []
    for seed in range(40):
        score, won, weight, truth = mirrored(seed, 1500, 1.3)
        table = calibrate(score, won, weight, method)
        at = np.array([-1.5, -0.5, 0.5, 1.5])
        true = 1 / (1 + np.exp(-1.3 * at * 1.0))
        off.append(np.abs(table.probability(at) - true).max())
        held.append(table.lower(at) <= true)
        assert abs(float(table.probability(score).mean()) - truth.mean()) < 0.02
    assert np.mean(off) < 0.06
    assert 0.8 <= np.mean(held) <= 1.0


def test_scores_that_point_the_wrong_way_are_not_believed() -> None:
    score, won, weight, _ = mirrored(5, 400, -1.5)
    table = calibrate(score, won, weight, "platt")
    assert table.method == "base_rate" and table.p == (0.5,)
    assert table.low[0] == pytest.approx(wilson(0.5, 400, Z90, -1), abs=2e-6)
    flat = calibrate(score, won, weight, "isotonic")
    assert max(flat.p) - min(flat.p) < 0.02


def test_wilson_by_hand() -> None:
    assert wilson(0.5, 100, 1.96, -1) == pytest.approx(0.4038, abs=1e-4)
    assert wilson(0.5, 100, 1.96, 1) == pytest.approx(0.5962, abs=1e-4)
    assert wilson(0.0, 10, 1.96, -1) == 0.0 and wilson(1.0, 10, 1.96, 1) == 1.0
    assert (wilson(0.3, 0, 1.96, -1), wilson(0.3, 0, 1.96, 1)) == (0.0, 1.0)
