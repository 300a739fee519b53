"""A tape with a known logistic truth is found again; a tape without one is not traded."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import DataError
from engine.calibrate.fit import GRID, fit_linear
from engine.calibrate.fitting import Fit, Scheme, fit
from tests.engine.calibrate.tapes import S, planted

BETA = (1.6, 1.2, 0.9, 0.0, -0.8, 0.6, 0.0, 0.0)
FORWARD = Scheme(5, 0, "walk-forward")
KFOLD = Scheme(5, 60 * S, "kfold")


@pytest.mark.parametrize("scheme", [FORWARD, KFOLD])
def test_a_planted_truth_is_found(scheme: Scheme) -> None:
    rows, market, truth = planted(7, 1800, BETA)
    made = fit(rows, market, scheme)
    strong = np.abs(BETA) > 0.5
    assert (np.sign(made.linear.beta[strong]) == np.sign(np.array(BETA)[strong])).all()
    assert np.abs(made.linear.beta - BETA).max() < 0.45
    assert abs(made.linear.intercept) < 0.05
    assert made.linear.c in GRID

    f = made.figures
    assert f.brier_skill > 0.03 and f.auc is not None and f.auc > 0.6
    assert f.ece < 0.06 and f.spiegelhalter_z is not None and abs(f.spiegelhalter_z) < 3
    inside = [b.low <= b.forecast <= b.high for b in f.bins]
    assert np.mean(inside) >= 0.8, "the diagram lies on the diagonal"

    both = np.column_stack((truth, 1 - truth))
    score = made.linear.scores(rows.scores)
    assert np.abs(made.table.probability(score) - both).mean() < 0.05
    sure = made.table.lower(score) <= both
    assert sure.mean() > 0.8


def test_where_the_truth_pays_it_is_traded_and_pays() -> None:
    rows, market, _ = planted(3, 1800, np.array(BETA) * 2, cost=0.5)
    f = fit(rows, market, FORWARD).figures
    sold = f.traded
    assert sold.rows > 50 and sold.precision is not None and sold.needed is not None
    assert sold.precision > sold.needed
    assert sold.expectancy_r is not None and sold.expectancy_r > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scheme", [FORWARD, KFOLD])
def test_nothing_is_found_in_nothing(seed: int, scheme: Scheme) -> None:
    """No edge, costs of a tenth of the stop: no lower bound may beat what a trade needs."""
    rows, market, _ = planted(100 + seed, 1000, np.zeros(8), cost=0.5)
    made = fit(rows, market, scheme)
    assert made.figures.brier_skill < 0.01
    assert made.figures.traded.rows == 0
    score = made.linear.scores(rows.scores)
    assert not (made.table.lower(score) > market.needed[:, None]).any()


def test_without_skill_the_model_holds_the_base_rate() -> None:
    tables = []
    for seed in range(8):
        rows, market, _ = planted(200 + seed, 400, np.zeros(8))
        made = fit(rows, market, FORWARD)
        if made.figures.brier_skill <= 0:
            tables.append(made.table)
    assert tables and all(t.method == "base_rate" and len(t.x) == 1 for t in tables)


def test_a_market_that_only_rises_teaches_no_side() -> None:
    """Every purchase wins whatever the sources say: nothing of it is theirs."""
    rows, _, _ = planted(4, 300, np.zeros(8))
    rows.won[:, 0], rows.won[:, 1] = True, False
    model = fit_linear(rows, np.arange(300), 1.0)
    assert model is not None
    r = np.random.default_rng(0)
    turned = r.random(300) < 0.5  # the same scores, half of them turned: sides carry no name
    rows.scores[turned] *= -1
    again = fit_linear(rows, np.arange(300), 1.0)
    assert again is not None
    assert abs(model.intercept) < 1e-6 and abs(again.intercept) < 1e-6


def test_it_is_the_same_every_time() -> None:
    def numbers(made: Fit) -> tuple[object, ...]:
        return (*made.linear.beta.tolist(), made.linear.intercept, made.table, made.figures)

    rows, market, _ = planted(9, 500, BETA)
    assert numbers(fit(rows, market, KFOLD)) == numbers(fit(rows, market, KFOLD))


def test_too_little_is_said_with_counts() -> None:
    rows, market, _ = planted(1, 25, BETA)
    with pytest.raises(DataError, match="the range holds too little") as error:
        fit(rows, market, FORWARD)
    assert "25 decisions are worth 2" in error.value.why
    rows, market, _ = planted(1, 34, BETA)
    with pytest.raises(DataError, match="folds hold too little") as error:
        fit(rows, market, FORWARD)
    assert "5 folds of " in error.value.why
    rows, market, _ = planted(1, 200, BETA)
    rows.won[:] = True
    with pytest.raises(DataError, match="too little"):
        fit(rows, market, FORWARD)
