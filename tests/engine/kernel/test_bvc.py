"""Bulk volume classification by hand, by scipy, and by the facts of the reference 9."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.bvc import (
    BVC_MOMENTS,
    NORMAL,
    NU,
    STUDENT,
    bvc_fold,
    bvc_less,
    bvc_sigma,
    tail,
)

stats = pytest.importorskip("scipy.stats", reason="scipy tells the laws")
POINTS = (0.0, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 50.0, 1e4)


@pytest.mark.parametrize("z", POINTS)
def test_tails_are_those_of_the_laws(z: float) -> None:
    assert tail(z, NORMAL, NU) == pytest.approx(stats.norm.sf(z), rel=1e-12, abs=1e-18)
    for nu in (NU, 1.0, 4.0):
        assert tail(z, STUDENT, nu) == pytest.approx(stats.t.sf(z, nu), rel=1e-12, abs=1e-15)


def moments(bars: list[tuple[int, int]], length: int = 10**6) -> np.ndarray:
    m = np.zeros(1, dtype=BVC_MOMENTS)
    for volume, change in bars:
        bvc_fold(m[0], volume, change, length)
    return m


def test_sigma_is_weighted_by_volume() -> None:
    bars = [(1, 4), (3, -2), (6, 1)]
    want = np.sqrt((1 * 16 + 3 * 4 + 6 * 1) / 10)
    assert bvc_sigma(moments(bars)[0]) == pytest.approx(want, rel=1e-15)
    assert bvc_sigma(moments([])[0]) == 0.0
    assert bvc_sigma(moments([(5, 0), (2, 0)])[0]) == 0.0
    old = moments([(1, 1000)] + [(1, 1)] * 200, length=10)
    assert bvc_sigma(old[0]) == pytest.approx(1.0, abs=1e-2), "the past fades"


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 10**12), st.integers(-(10**6), 10**6), st.floats(0, 1e6))
@pytest.mark.parametrize("dist", [NORMAL, STUDENT])
def test_parts_add_up_and_lean_with_the_price(
    dist: int, volume: int, change: int, sigma: float
) -> None:
    less = bvc_less(volume, change, sigma, dist)
    assert 0 <= less <= volume - less
    if change == 0 or sigma == 0:
        assert less == volume // 2, "BVC(dP = 0) = V / 2"
    elif volume % 2 == 0 and volume and abs(change) / sigma > 1e-8:
        assert less < volume - less, "the sign of BVC is the sign of dP"
    assert less == bvc_less(volume, -change, sigma, dist)


def test_one_sigma_and_ten() -> None:
    assert bvc_less(1_000_000, 5, 5.0, NORMAL) == int(1_000_000 * stats.norm.sf(1.0))
    assert bvc_less(1_000_000, 5, 5.0, STUDENT) == int(1_000_000 * stats.t.sf(1.0, 0.25))
    assert bvc_less(1_000_000, 50, 5.0, NORMAL) == 0
    assert bvc_less(1_000_000, 50, 5.0, STUDENT) > 100_000, "the t form never says all"


def elo(bought: np.ndarray, volume: np.ndarray, said: np.ndarray) -> float:
    """Accuracy of Easley, Lopez de Prado and O'Hara (reference 1.1)."""
    right = np.minimum(said, bought) + np.minimum(volume - said, volume - bought)
    return float(right.sum() / volume.sum())


def test_halves_score_what_the_reference_says() -> None:
    """ELO's accuracy of a constant 50/50 split is 1 - sum |D| / (2 sum V), close to .9."""
    rng = np.random.default_rng(3)
    volume = rng.integers(2, 2_000, 400) * 2
    bought = np.rint(volume * np.clip(rng.normal(0.5, 0.12, 400), 0, 1)).astype(np.int64)
    delta = 2 * bought - volume
    base = elo(bought, volume, volume // 2)
    assert base == pytest.approx(1 - np.abs(delta).sum() / (2 * volume.sum()), abs=1e-12)
    assert 0.85 < base < 0.95
