"""The flip rules against geometry and exact run lengths (reference 6.5 and 9)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from engine.kernel import flip

P = np.zeros(1, dtype=flip.FLIP_PARAMS)
S = np.zeros(1, dtype=flip.FLIP_STATE)


def params(mode: int, share: float = 0.8, k: float = 0.5, h: float = 4.0) -> np.ndarray:
    p = P.copy()
    p["mode"], p["share_fp9"] = mode, round(share * 1e9)
    p["k_fp9"], p["h_fp9"] = round(k * 1e9), round(h * 1e9)
    return p


@njit
def seed_flips(s, p, pairs):
    """(flips, armed) over pairs of entry and later delta; positions follow the entry delta."""
    flips = 0
    for entry, later in pairs:
        flip.flip_arm(s, 1 if entry > 0 else -1, entry)
        flips += flip.flip_seed(s, p, later)
    return flips


def test_seed_rule_without_information_flips_28_and_a_half_percent_of_the_time() -> None:
    """P = 2 (90 - atan .8) / 360 = .2852 for two independent normal deltas of one size."""
    exact = 2 * (90 - math.degrees(math.atan(0.8))) / 360
    assert round(exact, 4) == 0.2852
    n = 400_000
    pairs = np.rint(np.random.default_rng(1).normal(0, 1e6, (n, 2))).astype(np.int64)
    share = seed_flips(S.copy()[0], params(flip.SEED)[0], pairs) / n
    assert abs(share - exact) < 4 * math.sqrt(exact * (1 - exact) / n)


@pytest.mark.parametrize(
    ("direction", "entry", "now", "flips"),
    [
        (1, 1000, -800, True), (1, 1000, -799, False), (1, 1000, 5, False),
        (-1, -1000, 800, True), (-1, -1000, 799, False), (-1, -1000, -5000, False),
        (1, -1000, 5000, False), (1, -1000, -5000, False), (-1, 1000, 5000, False),
        (1, 0, -10**9, False), (-1, 0, 10**9, False),
    ],
)  # fmt: skip
def test_seed_rule_at_its_bound(direction: int, entry: int, now: int, flips: bool) -> None:
    """At 80 % and beyond; never where the stored delta was against the position, or nothing."""
    s = S.copy()
    flip.flip_arm(s[0], direction, entry)
    assert flip.flip_seed(s[0], params(flip.SEED)[0], now) == flips


@njit
def run_lengths(s, p, seed, runs, shift):
    np.random.seed(seed)
    total = 0
    for _ in range(runs):
        flip.flip_arm(s, 1, 0)
        while True:
            total += 1
            if flip.flip_cusum(s, p, np.random.normal(shift, 1.0)):
                break
    return total / runs


def exact_run_length(k: float, h: float, shift: float = 0.0, cells: int = 400) -> float:
    """Mean run of a one-sided CUSUM by a Markov chain over [0, h] (Brook and Evans 1972)."""
    width = 2 * h / (2 * cells - 1)
    centre = np.arange(cells) * width

    def below(x: np.ndarray) -> np.ndarray:
        return np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)

    # S' = max(0, S - x - k); with x normal(shift, 1) the step -x - k is normal(-shift - k, 1)
    step = centre[None, :] - centre[:, None] + shift + k
    move = below(step + width / 2) - below(step - width / 2)
    move[:, 0] = below(step[:, 0] + width / 2)
    return float(np.linalg.solve(np.eye(cells) - move, np.ones(cells))[0])


@pytest.mark.parametrize(("h", "known"), [(3.0, 117.6), (4.0, 335.4), (5.0, 930.9)])
def test_mean_run_between_false_exits(h: float, known: float) -> None:
    assert exact_run_length(0.5, h) == pytest.approx(known, rel=2e-3)
    mean = run_lengths(S.copy()[0], params(flip.CUSUM, h=h)[0], 3, 6000, 0.0)
    assert mean == pytest.approx(known, rel=0.05)


def test_mean_run_when_the_flow_has_turned() -> None:
    mean = run_lengths(S.copy()[0], params(flip.CUSUM, h=4.0)[0], 5, 20_000, -1.0)
    assert exact_run_length(0.5, 4.0, -1.0) == pytest.approx(8.38, rel=5e-3)
    assert mean == pytest.approx(8.38, rel=0.05)


def test_cusum_step_by_step() -> None:
    """S = max(0, S - direction * z - k); exit only beyond h."""
    s, p = S.copy(), params(flip.CUSUM, k=0.5, h=2.0)
    flip.flip_arm(s[0], -1, 5)
    for z, statistic, leaves in (
        (0.4, 0, False),
        (1.5, 1.0, False),
        (1.5, 2.0, False),
        (0.6, 2.1, True),
    ):
        assert flip.flip_cusum(s[0], p[0], z) == leaves
        assert int(s["cusum_fp9"][0]) == pytest.approx(statistic * 1e9, abs=2)
    flip.flip_disarm(s[0])
    assert [int(s[n][0]) for n in s.dtype.names] == [0, 0, 0]
