"""The block bootstrap: the same every time, wide where results hang together, exact at the ends."""

from __future__ import annotations

import numpy as np

from engine.report.formulas import mean_interval
from engine.report.resample import block_length, mean_by_blocks, place_in, sums_of


def test_few_values_give_no_interval_and_many_give_the_same_one_always() -> None:
    x = np.random.default_rng(1).normal(1.0, 2.0, 400)
    assert mean_by_blocks(x[:9]) is None
    low, high = mean_by_blocks(x) or (0.0, 0.0)
    assert (low, high) == mean_by_blocks(x)
    assert low < x.mean() < high
    t_low, t_high = mean_interval(x) or (0.0, 0.0)
    assert abs((high - low) / (t_high - t_low) - 1) < 0.25  # independent values: as Student says


def test_results_that_hang_together_get_a_wider_interval() -> None:
    noise = np.random.default_rng(2).normal(0.0, 1.0, 2000)
    x = np.convolve(noise, np.ones(10) / 10, "valid")
    low, high = mean_by_blocks(x) or (0.0, 0.0)
    t_low, t_high = mean_interval(x) or (0.0, 0.0)
    assert high - low > 1.7 * (t_high - t_low)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        low, high = mean_by_blocks(random.normal(0.0, 1.0, 60), draws=300) or (0.0, 0.0)
        hits += low <= 0 <= high
    assert 0.86 <= hits / 200 <= 0.99


def test_blocks_grow_with_the_cube_root() -> None:
    assert [block_length(n) for n in (1, 8, 27, 28, 1000)] == [1, 2, 3, 4, 10]


def test_sums_have_the_mean_and_the_spread_of_as_many_values() -> None:
    x = np.arange(30.0)
    sums = sums_of(x)
    assert abs(sums.mean() / x.sum() - 1) < 0.02
    assert abs(sums.std() / (x.std() * 30**0.5) - 1) < 0.1
    assert (sums_of(np.full(20, 2.5)) == 50.0).all()


def test_a_place_counts_equals_half() -> None:
    of = np.array([1.0, 2.0, 2.0, 3.0])
    assert [place_in(x, of) for x in (0.0, 1.0, 2.0, 2.5, 9.0)] == [0, 0.125, 0.5, 0.75, 1]
