"""The formulas of performance statistics, each with its source; numpy and the stdlib only.

Owns estimators and their standard errors over plain arrays of returns or results. What must hold:
nothing here returns nan or inf. A caller asks for enough observations first; where a figure does
not exist all the same (no loss, no variance), the answer is None.

Returns are simple returns a period, one float64 array; a Sharpe ratio here is *per period* and its
benchmark is a riskless rate of zero. Every interval is at 95 %. All standard errors treat the
observations as independent; a strategy whose returns hang together deserves wider ones.

It refuses to know where the numbers come from and how they are scaled to a year.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()
CONFIDENCE = 0.95
Z = NORMAL.inv_cdf(0.5 + CONFIDENCE / 2)
"""Two-sided 95 % quantile of the normal."""

EULER_GAMMA = 0.5772156649015329
_SERIES_MAX = 30
_LEAST = 1e-12
"""A spread below this share of the largest value is rounding, not movement."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Moments:
    """Of one sample: size, mean, standard deviation (n - 1), skewness and RAW kurtosis.

    Kurtosis is 3 for a normal; skewness and kurtosis are those of the sample, without correction.
    """

    n: int
    mean: float
    sd: float
    skew: float
    kurtosis: float

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per period: mean over standard deviation."""
        return self.mean / self.sd


def moments(x: np.ndarray) -> Moments | None:
    """Moments of float64 ``x``; None for fewer than 2 values or values that are all the same."""
    n = len(x)
    if n < 2:
        return None
    mean = float(x.mean())
    d = x - mean
    variance = float((d * d).mean())
    if variance <= (_LEAST * float(np.abs(x).max())) ** 2:
        return None
    z = d / math.sqrt(variance)
    sd = math.sqrt(variance * n / (n - 1))
    return Moments(n, mean, sd, float((z**3).mean()), float((z**4).mean()))


# --- Sharpe ratio ----------------------------------------------------------------------------


def sharpe_variance(sharpe: float, skew: float, kurtosis: float) -> float:
    """1 - skew SR + (kurtosis - 1)/4 SR^2, RAW kurtosis; n - 1 times the variance of SR's estimate.

    Mertens (2002), "Comments on variance of the IID estimator in Lo (2002)". It cannot be negative,
    because kurtosis >= 1 + skew^2.
    """
    return max(0.0, 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe)


def sharpe_error(m: Moments) -> float:
    """Standard error of ``m.sharpe``: sqrt(variance / (n - 1)); Bailey, Lopez de Prado (2012)."""
    return math.sqrt(sharpe_variance(m.sharpe, m.skew, m.kurtosis) / (m.n - 1))


def probabilistic_sharpe(m: Moments, benchmark: float = 0.0) -> float | None:
    """Probability that the true Sharpe ratio (per period) lies above ``benchmark``; 0 to 1.

    PSR = Phi((SR - benchmark) / SE); Bailey, Lopez de Prado (2012), "The Sharpe ratio efficient
    frontier". None where the standard error is 0.
    """
    error = sharpe_error(m)
    return NORMAL.cdf((m.sharpe - benchmark) / error) if error > 0 else None


def expected_maximum(trials: int) -> float:
    """E[max] of ``trials`` independent standard normals, 0 for one trial.

    (1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)), g Euler's constant; Bailey, Lopez de Prado
    (2014), "The deflated Sharpe ratio". ValueError for fewer than one.
    """
    if trials < 1:
        raise ValueError(f"a number of trials is at least 1, got {trials}")
    if trials == 1:
        return 0.0
    one = NORMAL.inv_cdf(1.0 - 1.0 / trials)
    two = NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return (1.0 - EULER_GAMMA) * one + EULER_GAMMA * two


def luckiest_sharpe(variance: float, trials: int) -> float:
    """The Sharpe ratio per period that the luckiest of ``trials`` worthless strategies shows.

    SR0 = sqrt(V) E[max]; V is the variance of the trials' Sharpe ratios, per period. Some
    published forms drop sqrt(V); then SR0 is a Sharpe ratio of 2.5 per period and nothing passes.
    """
    return math.sqrt(variance) * expected_maximum(trials)


def deflated_sharpe(m: Moments, variance: float, trials: int) -> float | None:
    """PSR against :func:`luckiest_sharpe`: the probability that the best of many is no luck."""
    return probabilistic_sharpe(m, luckiest_sharpe(variance, trials))


def track_record(m: Moments, benchmark: float = 0.0) -> float | None:
    """Periods after which this Sharpe ratio would prove, at 95 % one-sided, to beat ``benchmark``.

    MinTRL = 1 + (1 - skew SR + (kurtosis - 1)/4 SR^2) (z / (SR - benchmark))^2; Bailey, Lopez de
    Prado (2012). None where the Sharpe ratio is not above the benchmark.
    """
    if m.sharpe <= benchmark:
        return None
    spread = sharpe_variance(m.sharpe, m.skew, m.kurtosis)
    return 1.0 + spread * (NORMAL.inv_cdf(CONFIDENCE) / (m.sharpe - benchmark)) ** 2


# --- other figures of returns ----------------------------------------------------------------


def deviation_interval(m: Moments) -> Interval:
    """Interval of the standard deviation ``m.sd``.

    Var(log s) = (kurtosis - 1) / (4 n), by the delta method from the variance of a sample variance
    (Cramer (1946), 27.4); it is taken on the logarithm, so that it never goes below 0. A sample
    seldom shows how fat its tails are: of 400 values it covers 92 % at a kurtosis of 6, 90 at 12.
    """
    return _around(m.sd, math.sqrt(max(0.0, m.kurtosis - 1.0) / (4.0 * m.n)))


def sortino(x: np.ndarray) -> tuple[float, float] | None:
    """(ratio, standard error) per period: mean over downside deviation against a target of 0.

    Downside deviation = sqrt(mean(min(r, 0)^2)) over ALL periods (Sortino, van der Meer (1991)).
    The error is the delta method's. None where no period lost.
    """
    down = np.minimum(x, 0.0)
    square = float((down * down).mean())
    if square <= 0.0:
        return None
    mean, deviation = float(x.mean()), math.sqrt(square)
    pull = (x - mean) / deviation - mean / (2.0 * deviation**3) * (down * down - square)
    return mean / deviation, _error(pull)


# --- figures of round trips ------------------------------------------------------------------


def wilson(hits: int, n: int) -> Interval:
    """Interval of the share ``hits`` / ``n`` by Wilson (1927); n >= 1."""
    p = hits / n
    z2 = Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (middle - half if hits > 0 else 0.0), (middle + half if hits < n else 1.0)


def mean_interval(x: np.ndarray) -> Interval | None:
    """Interval of the mean of ``x`` by Student's t; None for fewer than 2 values."""
    if len(x) < 2:
        return None
    half = t_quantile(0.5 + CONFIDENCE / 2, len(x) - 1) * _error(x)
    mean = float(x.mean())
    return mean - half, mean + half


def profit_factor(x: np.ndarray) -> tuple[float, Interval] | None:
    """(sum of gains over sum of losses, interval) of results ``x``; None without a gain or a loss.

    The interval is the delta method's on the logarithm: the variance of
    gain_i / mean gain - loss_i / mean loss, over n.
    """
    gain, loss = np.maximum(x, 0.0), np.maximum(-x, 0.0)
    up, down = float(gain.mean()), float(loss.mean())
    if up == 0.0 or down == 0.0:
        return None
    return up / down, _around(up / down, _error(gain / up - loss / down))


def t_quantile(p: float, freedom: int) -> float:
    """Quantile of Student's t with ``freedom`` >= 1 degrees of freedom, 0.5 <= p < 1.

    Bisection of the finite series of Abramowitz, Stegun 26.7.3 and 26.7.4; from 30 degrees on
    the expansion 26.7.5, good to 1e-6 there.
    """
    if freedom < _SERIES_MAX:
        low, high = 0.0, math.pi / 2
        for _ in range(60):
            angle = (low + high) / 2
            low, high = (angle, high) if _t_inside(angle, freedom) < 2 * p - 1 else (low, angle)
        return math.sqrt(freedom) * math.tan(low)
    z = NORMAL.inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (k + 1) for k, term in enumerate(terms))


def _t_inside(angle: float, freedom: int) -> float:
    """P(|t| < sqrt(freedom) tan(angle)): the finite series in sine and cosine."""
    cos, term, total = math.cos(angle), 1.0, 0.0
    odd = freedom % 2
    if odd:
        term = cos
    for k in range(freedom // 2):
        total += term
        term *= cos * cos * (2 * k + 1 + odd) / (2 * k + 2 + odd)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def _error(x: np.ndarray) -> float:
    """Standard error of the mean of ``x``."""
    return float(x.std(ddof=1)) / math.sqrt(len(x)) if len(x) > 1 else 0.0


def _around(value: float, log_error: float) -> Interval:
    """``value`` times and over exp(Z * log_error)."""
    factor = math.exp(min(Z * log_error, 600.0))
    return value / factor, value * factor
