"""How good probabilities are: proper scores, calibration, and what trading on them would have paid.

Owns the figures of a model's report, each of arrays of one length: p (probability), won (bool) and
w (weight: uniqueness, so that a stretch in which a hundred labels overlap counts as few). It
refuses to know which model the probabilities came from; whoever calls passes out-of-fold ones.

* Brier score and skill against the base rate: BSS = 1 - BS / BS_base (G. Brier, 1950).
* Murphy's decomposition over bins of equal weight: BS = reliability - resolution + uncertainty,
  exact for forecasts that are replaced by their bin's mean (A. Murphy, 1973).
* ECE: weighted mean of |mean p - win rate| over the same bins.
* Spiegelhalter's z: how far the Brier score is from what the p themselves promise; |z| > 1.96 says
  that they are not calibrated (D. Spiegelhalter, 1986).
* AUC: the chance that a won row scores above a lost one; ties count half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.calibrate.calibrator import bins_of, effective, wilson

BINS = 10
Z95 = 1.959963984540054
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram: mean forecast, win rate with its 95 % interval (Wilson, on
    the effective events), rows, and effective events.
    """

    forecast: float
    rate: float
    low: float
    high: float
    rows: int
    events: float


def brier(p: np.ndarray, won: np.ndarray, w: np.ndarray) -> float:
    """Weighted mean of (p - won)^2."""
    return float((w * (p - won) ** 2).sum() / w.sum())


def log_loss(p: np.ndarray, won: np.ndarray, w: np.ndarray) -> float:
    """Weighted mean of -ln P(what happened); p is kept 1e-9 away from 0 and 1."""
    kept = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    return float(-(w * np.where(won, np.log(kept), np.log1p(-kept))).sum() / w.sum())


def auc(p: np.ndarray, won: np.ndarray, w: np.ndarray) -> float | None:
    """Weighted area under the ROC curve; None where there is one class only."""
    _, place = np.unique(p, return_inverse=True)
    win = np.bincount(place, weights=w * won)
    loss = np.bincount(place, weights=w * ~won)
    if not win.sum() or not loss.sum():
        return None
    below = np.concatenate(([0.0], np.cumsum(loss)[:-1]))
    return float((win * (below + loss / 2)).sum() / (win.sum() * loss.sum()))


def murphy(p: np.ndarray, won: np.ndarray, w: np.ndarray) -> tuple[float, float, float, float]:
    """(reliability, resolution, uncertainty, ECE) over :data:`BINS` bins of equal weight."""
    place = bins_of(p, w, BINS)
    weight = np.bincount(place, weights=w)
    here = weight > 0
    weight = weight[here]
    forecast = np.bincount(place, weights=w * p)[here] / weight
    rate = np.bincount(place, weights=w * won)[here] / weight
    share = weight / weight.sum()
    base = float((share * rate).sum())
    return (
        float((share * (forecast - rate) ** 2).sum()),
        float((share * (rate - base) ** 2).sum()),
        base * (1 - base),
        float((share * np.abs(forecast - rate)).sum()),
    )


def spiegelhalter(p: np.ndarray, won: np.ndarray, w: np.ndarray) -> float | None:
    """Spiegelhalter's z with each row counting as ``w`` independent ones; None where p is all 0.5
    or certain.
    """
    variance = float((w * (1 - 2 * p) ** 2 * p * (1 - p)).sum())
    if variance <= 0:
        return None
    return float((w * (won - p) * (1 - 2 * p)).sum() / np.sqrt(variance))


def reliability(p: np.ndarray, won: np.ndarray, w: np.ndarray, decision: np.ndarray) -> list[Bin]:
    """The bins of the reliability diagram, of equal weight; ``decision`` numbers the rows'
    decisions, whose two sides count once.
    """
    place = bins_of(p, w, BINS)
    out = []
    for b in np.unique(place):
        m = place == b
        weight = float(w[m].sum())
        rate = float((w * won)[m].sum()) / weight
        n = effective(decision[m], w[m])
        low, high = (wilson(rate, n, Z95, end) for end in (-1, 1))
        out.append(Bin(float((w * p)[m].sum()) / weight, rate, low, high, int(m.sum()), n))
    return out


@dataclass(frozen=True)
class Traded:
    """What the rows whose lower bound beats what they need came to.

    ``precision`` is the share that was won; ``needed`` the mean probability that they needed;
    ``expectancy_bp`` the mean result after costs in 1/10000 of the price, ``expectancy_r`` in
    multiples of the stop. None where nothing is traded.
    """

    rows: int
    events: float
    precision: float | None
    needed: float | None
    expectancy_bp: float | None
    expectancy_r: float | None


def traded(
    take: np.ndarray, won: np.ndarray, w: np.ndarray, needed: np.ndarray, net: np.ndarray,
    entry: np.ndarray, stop: np.ndarray,
) -> Traded:  # fmt: skip
    """The rows ``take`` (bool); net, entry and stop in price units."""
    weight = w[take]
    total = float(weight.sum())
    if not total:
        return Traded(0, 0.0, None, None, None, None)

    def mean(values: np.ndarray) -> float:
        return float((weight * values[take]).sum() / total)

    return Traded(
        int(take.sum()), total, mean(won.astype(np.float64)), mean(needed),
        mean(net / entry) * 1e4, mean(net / stop),
    )  # fmt: skip
