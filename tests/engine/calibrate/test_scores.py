"""Figures against their definitions and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from engine.calibrate import scores
from engine.calibrate.calibrator import bins_of, effective


@pytest.fixture
def made() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r = np.random.default_rng(1)
    p = np.round(r.uniform(0.05, 0.95, 4000), 2)
    return p, r.random(4000) < p, r.uniform(0.1, 1.0, 4000)


def test_scores_are_those_of_scikit_learn(made) -> None:  # type: ignore[no-untyped-def]
    p, won, w = made
    assert scores.brier(p, won, w) == pytest.approx(brier_score_loss(won, p, sample_weight=w))
    assert scores.log_loss(p, won, w) == pytest.approx(sklearn_log_loss(won, p, sample_weight=w))
    assert scores.auc(p, won, w) == pytest.approx(roc_auc_score(won, p, sample_weight=w))
    assert scores.auc(p, np.ones_like(won), w) is None
    assert scores.auc(np.full(4, 0.5), np.array([True, False, True, False]), np.ones(4)) == 0.5


def test_murphys_parts_add_up_for_binned_forecasts(made) -> None:  # type: ignore[no-untyped-def]
    p, won, w = made
    place = bins_of(p, w, scores.BINS)
    weight = np.bincount(place, weights=w)
    binned = (np.bincount(place, weights=w * p) / np.maximum(weight, 1e-300))[place]
    rel, res, unc, ece = scores.murphy(binned, won, w)
    assert scores.brier(binned, won, w) == pytest.approx(rel - res + unc)
    assert 0 <= ece < 0.05 and res > 0.05


def test_spiegelhalter_tells_calibrated_from_not(made) -> None:  # type: ignore[no-untyped-def]
    p, won, _ = made
    ones = np.ones_like(p)
    z = scores.spiegelhalter(p, won, ones)
    assert z is not None and abs(z) < 3
    worse = scores.spiegelhalter(np.clip((p - 0.5) * 1.5 + 0.5, 0.01, 0.99), won, ones)
    assert worse is not None and worse > 5
    assert scores.spiegelhalter(np.full(5, 0.5), np.ones(5, bool), np.ones(5)) is None
    p3, y3 = np.array([0.2, 0.7, 0.9]), np.array([False, True, True])
    top = sum((y - a) * (1 - 2 * a) for a, y in zip(p3, y3, strict=True))
    below = sum((1 - 2 * a) ** 2 * a * (1 - a) for a in p3) ** 0.5
    assert scores.spiegelhalter(p3, y3, np.ones(3)) == pytest.approx(top / below)


def test_bins_hold_equal_weight_and_count_a_decision_once(made) -> None:  # type: ignore[no-untyped-def]
    p, won, w = made
    decision = np.arange(len(p)) // 2
    bins = scores.reliability(p, won, w, decision)
    assert len(bins) == scores.BINS and sum(b.rows for b in bins) == len(p)
    totals = [w[bins_of(p, w, scores.BINS) == n].sum() for n in range(scores.BINS)]
    assert max(totals) < 1.35 * min(totals)  # forecasts come in hundredths
    assert all(b.low < b.rate < b.high and b.events < sum(totals) / 9 for b in bins)
    assert effective(np.array([7, 7, 9]), np.array([0.5, 0.7, 0.2])) == pytest.approx(0.9)


def test_what_is_traded() -> None:
    take = np.array([True, False, True])
    one = scores.traded(
        take, np.array([True, False, False]), np.array([1.0, 1.0, 3.0]),
        np.array([0.5, 0.5, 0.6]), np.array([9.0, 9.0, -11.0]), np.full(3, 1000.0),
        np.full(3, 10.0),
    )  # fmt: skip
    assert (one.rows, one.events, one.precision) == (2, 4.0, 0.25)
    assert one.expectancy_bp == pytest.approx((9 - 33) / 4 / 1000 * 1e4)
    assert one.expectancy_r == pytest.approx((0.9 - 3.3) / 4)
    assert one.needed == pytest.approx((0.5 + 1.8) / 4)
    none = scores.traded(take & False, take, take * 1.0, take * 1.0, take * 1.0, take + 1.0,
                         take + 1.0)  # fmt: skip
    assert none.rows == 0 and none.precision is None
