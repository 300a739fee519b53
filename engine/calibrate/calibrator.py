"""From a score out of fold to a probability that can be believed, as a table of knots.

Owns three forms, which end as the same table (x, p, p_low), at most 12 knots, linear between and
flat beyond, none of them ever falling:

* ``platt``, below :data:`ISOTONIC_FROM` effective events: sigmoid(a L + b) with Platt's smoothed
  targets (J. Platt, 1999); a is not let below 0. The lower bound is the delta method's, in
  log-odds: the weighted Hessian's covariance of (a, b), one-sided 90 %. Long and short row of a
  decision are mirror images, so each counts half.
* ``isotonic``, from there on: bins of equal weight, their win rates pooled until none falls (PAVA),
  knots at the bins' mean scores. The lower bound is Wilson's, one-sided 90 %, on the effective
  events of the pool.
* ``base_rate``: where scores tell nothing out of fold, the win rate alone, whatever the score. It
  is what keeps a model without skill from ever beating what a trade needs.

A bound is the least of those at its score and above, so it never falls either and no bound is
raised by this. It refuses to know where the scores came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

KNOTS = 12
ISOTONIC_FROM = 1000
"""Effective events below which isotonic regression bends to noise (reference "orderflow" 7.3)."""

Z90 = 1.2815515655446004
"""One-sided 90 % quantile of the normal distribution."""

_DECIMALS = 6


@dataclass(frozen=True)
class Table:
    """Knots: ``x`` ascending log-odds, ``p`` and ``low`` never falling, 0 <= low <= p <= 1."""

    method: str
    x: tuple[float, ...]
    p: tuple[float, ...]
    low: tuple[float, ...]

    def probability(self, score: np.ndarray) -> np.ndarray:
        """p at ``score`` (any shape), linear between knots and flat beyond."""
        return np.interp(score, self.x, self.p)

    def lower(self, score: np.ndarray) -> np.ndarray:
        """The lower bound at ``score``."""
        return np.interp(score, self.x, self.low)


def wilson(rate: float, n: float, z: float, side: int) -> float:
    """Wilson's bound of a proportion ``rate`` of ``n`` events; side -1 lower, +1 upper."""
    if n <= 0:
        return 0.0 if side < 0 else 1.0
    centre = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return min(max((centre + side * spread) / (1 + z * z / n), 0.0), 1.0)


def calibrate(
    score: np.ndarray, won: np.ndarray, weight: np.ndarray, method: str | None = None
) -> Table:
    """The table of scores float64[n, 2] (purchase, sale), won bool[n, 2], uniqueness float64[n, 2].

    ``method`` None takes platt or isotonic by the effective number of events.
    """
    if method is None:
        method = "isotonic" if weight.sum() / 2 >= ISOTONIC_FROM else "platt"
    if method == "base_rate":
        return base_rate(score, won, weight)
    x, y, w = score.ravel(), won.ravel().astype(np.float64), weight.ravel()
    if method == "isotonic":
        decision = np.repeat(np.arange(len(score)), score.shape[1])
        return _isotonic(x, y, w, decision)
    return _platt(x, y, w / 2)


def base_rate(score: np.ndarray, won: np.ndarray, weight: np.ndarray) -> Table:
    """The win rate, whatever the score."""
    rate = float((weight * won).sum() / weight.sum())
    low = wilson(rate, float(weight.sum()) / 2, Z90, -1)
    return _table("base_rate", np.array([float(score.mean())]), np.array([rate]), np.array([low]))


def _table(method: str, x: np.ndarray, p: np.ndarray, low: np.ndarray) -> Table:
    """Rounded, knots at one x left out, bounds made monotone and never above p."""
    x, p = np.round(x, _DECIMALS), np.round(p, _DECIMALS)
    keep = np.concatenate(([True], np.diff(x) > 0))
    x, p = x[keep], np.maximum.accumulate(p[keep])
    low = np.floor(low[keep] * 10**_DECIMALS) / 10**_DECIMALS
    low = np.minimum(np.minimum.accumulate(low[::-1])[::-1], p)
    return Table(method, tuple(x.tolist()), tuple(p.tolist()), tuple(np.maximum(low, 0).tolist()))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _newton(x: np.ndarray, t: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coefficients (slope, offset), covariance) of a logistic fit of ``t`` in [0, 1] on ``x``."""
    design = np.column_stack((x, np.ones_like(x)))
    at = np.array([0.0, 0.0])
    hessian = np.eye(2)
    for _ in range(100):
        p = _sigmoid(design @ at)
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (w * (t - p)))
        at = at + np.clip(step, -5.0, 5.0)
        if np.abs(step).max() < 1e-12:
            break
    return at, np.linalg.inv(hessian)


def _platt(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Table:
    wins, losses = float((w * y).sum()), float((w * (1 - y)).sum())
    targets = np.where(y > 0, (wins + 1) / (wins + 2), 1 / (losses + 2))
    centre = float((w * x).sum() / w.sum())
    at, covariance = _newton(x - centre, targets, w)
    if at[0] <= 0:
        return base_rate(x[:, None], y[:, None], 2 * w[:, None])
    ends = _quantiles(x, w, np.array([0.005, 0.995]))
    knots = np.unique(np.linspace(float(ends[0]), float(ends[1]), KNOTS))
    design = np.column_stack((knots - centre, np.ones_like(knots)))
    eta = design @ at
    deviation = np.sqrt(np.einsum("ij,jk,ik->i", design, covariance, design))
    return _table("platt", knots, _sigmoid(eta), _sigmoid(eta - Z90 * deviation))


def _quantiles(x: np.ndarray, w: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Weighted quantiles: the x at which so large a share of the weight lies at or below."""
    order = np.argsort(x, kind="stable")
    total = np.cumsum(w[order])
    at = np.searchsorted(total, shares * total[-1])
    return np.asarray(x[order][np.minimum(at, len(x) - 1)])


def bins_of(x: np.ndarray, w: np.ndarray, count: int) -> np.ndarray:
    """Bin (int64, from 0) of each row: ``count`` bins of equal weight; equal x, equal bin."""
    cuts = np.unique(_quantiles(x, w, np.arange(1, count) / count))
    return np.searchsorted(cuts, x, side="left")


def effective(decision: np.ndarray, w: np.ndarray) -> float:
    """Weight of rows where both sides of a decision, mirror images, count once."""
    _, at = np.unique(decision, return_inverse=True)
    most = np.zeros(int(at.max()) + 1 if len(at) else 0)
    np.maximum.at(most, at, w)
    return float(most.sum())


def _isotonic(x: np.ndarray, y: np.ndarray, w: np.ndarray, decision: np.ndarray) -> Table:
    from sklearn.isotonic import isotonic_regression

    place = bins_of(x, w, KNOTS)
    present = np.unique(place)
    weight = np.array([w[place == b].sum() for b in present])
    mean = np.array([(w * x)[place == b].sum() for b in present]) / weight
    rate = np.array([(w * y)[place == b].sum() for b in present]) / weight
    fitted = np.asarray(isotonic_regression(rate, sample_weight=weight))
    low = np.zeros_like(fitted)
    for value in np.unique(fitted):
        pool = np.isin(place, present[fitted == value])
        low[fitted == value] = wilson(value, effective(decision[pool], w[pool]), Z90, -1)
    return _table("isotonic", mean, fitted, low)
