"""Performance formulas against vectors worked out by hand, published ones, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report import formulas
from engine.report.formulas import Moments, moments

FIVE = np.array([0.01, -0.01, 0.02, 0.0, 0.03])
"""Mean .01; deviations 0, -2, 1, -1, 2 (e-2): squares add to 10, cubes to 0, fourths to 34."""


def of(
    a_year: float, periods: int, skew: float = 0.0, kurtosis: float = 3.0, n: int = 2
) -> Moments:
    """Moments of a sample of ``n`` whose Sharpe ratio, annualised, is ``a_year``."""
    return Moments(n, a_year / math.sqrt(periods), 1.0, skew, kurtosis)


def test_moments_by_hand():
    m = moments(FIVE)
    assert m is not None
    assert m.n == 5
    assert m.mean == pytest.approx(0.01)
    assert m.sd == pytest.approx(math.sqrt(2.5e-4))
    assert m.skew == pytest.approx(0.0, abs=1e-12)
    assert m.kurtosis == pytest.approx(6.8e-8 / 4e-8)
    assert m.sharpe == pytest.approx(0.01 / math.sqrt(2.5e-4))


def test_kurtosis_is_raw_and_skew_has_its_sign():
    m = moments(np.array([-3.0, 1.0, 1.0, 1.0]))
    assert m is not None
    assert m.skew == pytest.approx(-24 / 4 / 3**1.5)
    assert m.kurtosis == pytest.approx(84 / 4 / 9)
    normal = moments(np.random.default_rng(1).normal(size=200_000))
    assert normal is not None and normal.kurtosis == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("x", [[], [1.0], [0.0, 0.0], [0.1, 0.1, 0.1], [1e9, 1e9]])
def test_what_never_moves_has_no_moments(x: list[float]):
    assert moments(np.array(x)) is None


def test_error_of_the_sharpe_ratio_by_hand():
    m = moments(FIVE)
    assert m is not None
    assert m.sharpe**2 == pytest.approx(0.4)
    assert formulas.sharpe_error(m) == pytest.approx(math.sqrt((1 + 0.7 / 4 * 0.4) / 4))


# --- deflated Sharpe ratio: the example of Bailey, Lopez de Prado (2014) ------------------------

PAPER = {"a_year": 2.5, "periods": 250, "n": 1250}
V = 0.5 / 250


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "dsr"),
    [
        (46, -3, 10, 0.9505),
        (88, -3, 10, 0.9102),
        (88, 0, 3, 0.9505),
        (100, -3, 10, 0.900397),
    ],
)
def test_deflated_sharpe_ratio_of_the_paper(trials: int, skew: int, kurtosis: int, dsr: float):
    m = of(**PAPER, skew=skew, kurtosis=kurtosis)
    found = formulas.deflated_sharpe(m, V, trials)
    assert found == pytest.approx(dsr, abs=1e-6 if trials == 100 else 5e-5)


def test_the_luckiest_of_a_hundred():
    assert formulas.luckiest_sharpe(V, 100) == pytest.approx(0.113172, abs=1e-6)
    assert formulas.expected_maximum(100) == pytest.approx(2.530603, abs=1e-6)


@pytest.mark.parametrize(
    ("trials", "z"), [(1, 0.0), (10, 1.57), (100, 2.53), (1000, 3.26), (10_000, 3.86)]
)
def test_expected_maximum_of_normals(trials: int, z: float):
    assert formulas.expected_maximum(trials) == pytest.approx(z, abs=0.005)


def test_expected_maximum_is_what_a_simulation_gives():
    highest = np.random.default_rng(3).normal(size=(20_000, 50)).max(axis=1).mean()
    assert formulas.expected_maximum(50) == pytest.approx(highest, abs=0.03)
    with pytest.raises(ValueError, match="at least 1"):
        formulas.expected_maximum(0)


def test_one_trial_is_not_deflated_and_more_trials_never_help():
    m = of(**PAPER, skew=-1, kurtosis=6)
    values = [formulas.deflated_sharpe(m, V, n) for n in (1, 2, 3, 5, 10, 100, 10**6)]
    assert values[0] == formulas.probabilistic_sharpe(m)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "days"),
    [
        (1, 0, 3, 684),
        (2, 0, 3, 173),
        (3, 0, 3, 78),
        (1, -1, 8, 730),
        (2, -1, 8, 198),
        (3, -1, 8, 96),
    ],
)
def test_minimum_track_record_of_the_paper(a_year: int, skew: int, kurtosis: int, days: int):
    m = of(a_year, 252, skew, kurtosis)
    assert formulas.track_record(m) == pytest.approx(days, abs=0.5)


def test_no_track_record_proves_a_ratio_that_is_not_above_its_benchmark():
    assert formulas.track_record(of(0, 252)) is None
    assert formulas.track_record(of(1, 252), benchmark=1 / math.sqrt(252)) is None


def test_at_the_length_of_its_track_record_a_ratio_is_above_0_with_95_percent():
    m = of(2, 252, -1, 8, n=round(formulas.track_record(of(2, 252, -1, 8)) or 0))
    assert formulas.probabilistic_sharpe(m) == pytest.approx(0.95, abs=1e-3)


# --- the others -------------------------------------------------------------------------------


def test_sortino_by_hand():
    found = formulas.sortino(FIVE)
    assert found is not None and found[0] == pytest.approx(math.sqrt(5))
    assert formulas.sortino(np.array([0.0, 0.1, 0.2])) is None


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_interval(hits: int, n: int, low: float, high: float):
    """The last row is the example of Newcombe (1998), table I, method 3."""
    assert formulas.wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (10, 2.2281), (29, 2.0452),
     (30, 2.0423), (60, 2.0003), (120, 1.9799), (10**6, 1.9600)],
)  # fmt: skip
def test_students_t_of_the_printed_tables(freedom: int, t: float):
    assert formulas.t_quantile(0.975, freedom) == pytest.approx(t, abs=5e-5)


def test_interval_of_a_mean_by_hand():
    low, high = formulas.mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) or (0, 0)
    assert (low, high) == pytest.approx((3 - 1.96324, 3 + 1.96324), abs=1e-4)
    assert formulas.mean_interval(np.array([1.0])) is None


def test_profit_factor_by_hand():
    found = formulas.profit_factor(np.array([2.0, -1.0, 3.0, -2.0]))
    assert found is not None
    factor, (low, high) = found
    assert factor == pytest.approx(5 / 3)
    # gain/mean - loss/mean = 1.6, -4/3, 2.4, -8/3: mean 0, squares add to 17.2089
    error = math.sqrt(17.208889 / 3 / 4)
    assert math.log(high / low) / 2 == pytest.approx(formulas.Z * error, abs=1e-5)
    assert formulas.profit_factor(np.array([1.0, 2.0])) is None
    assert formulas.profit_factor(np.array([0.0, -2.0])) is None


# --- the errors are the errors: against simulation ----------------------------------------------


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    """4000 samples of 400 skewed, fat-tailed returns."""
    r = np.random.default_rng(7)
    return 1.1 + 0.7 * r.normal(size=(4000, 400)) - r.exponential(size=(4000, 400))


def test_interval_of_the_sharpe_ratio_covers_the_truth(draws: np.ndarray):
    truth = draws.mean() / draws.std()
    hits = 0
    for x in draws:
        m = moments(x)
        assert m is not None
        hits += abs(m.sharpe - truth) < formulas.Z * formulas.sharpe_error(m)
    assert hits / len(draws) == pytest.approx(0.95, abs=0.015)


def test_interval_of_the_deviation_covers_the_truth(draws: np.ndarray):
    truth, hits = draws.std(), 0
    for x in draws:
        m = moments(x)
        assert m is not None
        low, high = formulas.deviation_interval(m)
        hits += low < truth < high
    assert hits / len(draws) == pytest.approx(0.925, abs=0.015)


def test_errors_of_sortino_and_profit_factor_are_their_spread(draws: np.ndarray):
    ratios = [formulas.sortino(x) or (0, 0) for x in draws]
    assert np.mean([e for _, e in ratios]) == pytest.approx(
        np.std([v for v, _ in ratios]), rel=0.06
    )
    factors = [formulas.profit_factor(x) or (1, (1, 1)) for x in draws]
    spread = np.std([math.log(v) for v, _ in factors])
    error = np.mean([math.log(h / low) / 2 / formulas.Z for _, (low, h) in factors])
    assert error == pytest.approx(spread, rel=0.06)


# --- properties ----------------------------------------------------------------------------------

samples = st.lists(st.floats(-0.2, 0.2).map(lambda v: round(v, 6)), min_size=3, max_size=60).filter(
    lambda v: len(set(v)) > 1
)


@given(samples, st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_neither_the_scale_nor_the_order_of_returns_matters(values, scale, random):
    x = np.array(values)
    shuffled = np.array(random.sample(values, len(values))) * scale
    a, b = moments(x), moments(shuffled)
    assert a is not None and b is not None
    for name in ("sharpe", "skew", "kurtosis"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-6, abs=1e-9)
    one, two = formulas.sortino(x), formulas.sortino(shuffled)
    assert (one is None) == (two is None)
    if one is not None and two is not None:
        assert one == pytest.approx(two, rel=1e-6, abs=1e-9)
    three, four = formulas.profit_factor(x), formulas.profit_factor(shuffled)
    if three is not None and four is not None:
        assert three[0] == pytest.approx(four[0], rel=1e-6)


@given(samples)
def test_turned_upside_down_the_ratio_turns_its_sign_and_psr_is_the_rest(values):
    a, b = moments(np.array(values)), moments(-np.array(values))
    assert a is not None and b is not None
    assert a.sharpe == -b.sharpe
    assert a.skew == pytest.approx(-b.skew, abs=1e-12)
    assert formulas.sharpe_error(a) == pytest.approx(formulas.sharpe_error(b), abs=1e-9)
    up, down = formulas.probabilistic_sharpe(a), formulas.probabilistic_sharpe(b)
    if up is not None and down is not None:
        assert up + down == pytest.approx(1.0)


@given(samples)
def test_nothing_is_infinite(values):
    m = moments(np.array(values))
    assert m is not None
    found = [m.sd, m.sharpe, m.skew, m.kurtosis, formulas.sharpe_error(m)]
    found += [*formulas.deviation_interval(m), formulas.track_record(m)]
    found += [*(formulas.sortino(np.array(values)) or ())]
    assert all(math.isfinite(v) for v in found if v is not None)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_its_share_and_mirrors(pair):
    hits, n = pair
    low, high = formulas.wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    assert (1 - high, 1 - low) == pytest.approx(formulas.wilson(n - hits, n))
