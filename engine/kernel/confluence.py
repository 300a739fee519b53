"""Weighted confluence: what eight sources say, as one score, one side, and what it is worth.

Owns the classifier at every boundary, over ``SOURCES`` in their order. ``seed`` (reference
"orderflow" 11.6): sum of weight times strength, 0 to 100, no direction read, so that bulls and
bears add up; a source that is missing counts as 0; passes at the threshold; the pattern is the
first largest weighted source. It has no side, and where one is needed it is the sign of the net
volume of the last 30 s. ``standard`` (6.4): s_i = direction * strength; B, A = weighted shares of
what points up and down; side = sgn(B - A); score = max - gamma * min, in [0, 1].
What must hold: a source that is not ready is missing, not zero, so its weight is left out of the
share, and below ``coverage`` of all weights (and of all coefficients of a fitted model) nothing is
said; the two sides never add up; a number is called a probability only when a model was fitted:
L = intercept + side * sum(beta_i s_i), read off a calibrator of up to 12 knots, linear between and
flat beyond. It refuses to know stops and costs: see :func:`needed_probability`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import FP9
from engine.kernel.numbers import fp9
from engine.kernel.signals import SIGNAL_STATE, signal_stand, signal_unready

SOURCES = (
    "absorption",
    "delta_divergence",
    "liquidity_sweep",
    "cvd_divergence",
    "vwap_deviation",
    "pressure",
    "cvd_trend",
    "diagonal",
)
"""Names of the sources; a source's place is its bit in ``missing`` and its index everywhere."""
N = len(SOURCES)
KNOTS_MAX = 12
SEED = 1
DELTA_SPAN = 3
"""Index of the 30 s window (``windows.SPANS_S``) whose net volume is the side in seed mode."""
_UNIT = 1e-9

CONFLUENCE_STATE = np.dtype(
    [
        ("signal", SIGNAL_STATE),
        ("side", "i8"),
        ("score_fp9", "i8"),
        ("meets", "i8"),
        ("for_fp9", "i8"),
        ("against_fp9", "i8"),
        ("coverage_fp9", "i8"),
        ("missing", "i8"),
        ("dominant", "i8"),
        ("logit_fp9", "i8"),
        ("fitted", "i8"),
        ("probability_fp9", "i8"),
        ("lower_fp9", "i8"),
        ("evidence_fp9", "i8", (N,)),
        ("scores_fp9", "i8", (N,)),
    ],
    align=True,
)
"""signal: ready 0 where it abstains; direction is the side, strength the score in [0, 1], value the
score, threshold what it is held against. side -1, 0, +1; score 0 to 100 (seed) or 0 to 1; meets:
score >= threshold (standard: and a side); for, against: shares of weight on the side and against
it; missing: bits of sources not heard; dominant: index of the source that says most, -1 none;
logit: L; fitted 1: the probability and its lower bound are known (else both are 0); evidence: s_i;
scores: weighted."""

CONFLUENCE_PARAMS = np.dtype(
    [
        ("mode", "i8"),
        ("threshold_fp9", "i8"),
        ("gamma_fp9", "i8"),
        ("coverage_fp9", "i8"),
        ("weight_fp9", "i8", (N,)),
        ("fitted", "i8"),
        ("intercept_fp9", "i8"),
        ("beta_fp9", "i8", (N,)),
        ("knots", "i8"),
        ("knot_x_fp9", "i8", (KNOTS_MAX,)),
        ("knot_p_fp9", "i8", (KNOTS_MAX,)),
        ("knot_low_fp9", "i8", (KNOTS_MAX,)),
    ],
    align=True,
)
"""threshold: share of 1 in both modes; knots: how many are in use, x ascending."""


@njit(cache=True, nogil=True)
def needed_probability(stop_distance, target_distance, cost):
    """Probability at 1e-9 at which a trade breaks even: (SL + c) / (TP + SL), int64.

    The three in one unit, of a price or of money; ``cost`` is paid either way. Where no target or
    no stop is given no probability is enough: 1. It is above 1 where the cost exceeds the target.
    (Reference "orderflow" 6.4; with no cost it is the win rate of a random barrier.)
    """
    stop = float(stop_distance)
    target = float(target_distance)
    if not (stop > 0.0 and target > 0.0):
        return np.int64(FP9)
    return fp9((stop + float(cost)) / (target + stop))


@njit(cache=True, nogil=True)
def calibrated(x_fp9, knot_x, knot_y, knots):
    """``knot_y`` at ``x_fp9``: linear between the first ``knots`` of the int64 arrays, flat beyond.

    0 where there is no knot. Never outside the range of the knots in use.
    """
    if knots <= 0:
        return np.int64(0)
    if x_fp9 <= knot_x[0]:
        return knot_y[0]
    for k in range(1, knots):
        if x_fp9 <= knot_x[k]:
            share = float(x_fp9 - knot_x[k - 1]) / float(knot_x[k] - knot_x[k - 1])
            return knot_y[k - 1] + np.int64(np.rint(share * float(knot_y[k] - knot_y[k - 1])))
    return knot_y[knots - 1]


@njit(cache=True, nogil=True)
def covered(weights, missing):
    """Share (float) of the sum of |weights| (int64 array) whose bit in ``missing`` is not set.

    1 where no source weighs anything: there is none to miss.
    """
    heard = 0.0
    total = 0.0
    for k in range(N):
        weight = abs(float(weights[k]))
        total += weight
        if (missing >> k) & 1 == 0:
            heard += weight
    return heard / total if total > 0.0 else 1.0


@njit(cache=True, nogil=True)
def _take(s, k, g):
    """Source ``k`` says the signal record ``g``."""
    s.evidence_fp9[k] = 0
    if g.ready == 1:
        s.evidence_fp9[k] = g.direction * g.strength_fp9
    else:
        s.missing |= np.int64(1) << k


@njit(cache=True, nogil=True)
def _clear(s):
    s.side = 0
    s.score_fp9 = 0
    s.meets = 0
    s.for_fp9 = 0
    s.against_fp9 = 0
    s.dominant = -1
    s.logit_fp9 = 0
    s.fitted = 0
    s.probability_fp9 = 0
    s.lower_fp9 = 0
    for k in range(N):
        s.scores_fp9[k] = 0


@njit(cache=True, nogil=True)
def _largest(s, sign):
    """Index of the first largest of ``sign`` times the scores; -1 where none is above 0."""
    best = np.int64(-1)
    most = np.int64(0)
    for k in range(N):
        score = sign * s.scores_fp9[k]
        if score > most:
            most = score
            best = np.int64(k)
    return best


@njit(cache=True, nogil=True)
def _seed(s, p, windows):
    """The unsigned sum, in percent; the side is that of the net volume of 30 s."""
    total = 0.0
    for k in range(N):
        weighted = float(p.weight_fp9[k]) * _UNIT * (float(abs(s.evidence_fp9[k])) * _UNIT)
        s.scores_fp9[k] = fp9(weighted)
        total += weighted
    net = windows.buy[DELTA_SPAN] - windows.sell[DELTA_SPAN]
    s.side = np.int64(net > 0) - np.int64(net < 0)
    s.score_fp9 = fp9(min(100.0 * total, 100.0))
    s.for_fp9 = fp9(total)
    s.dominant = _largest(s, np.int64(1))


@njit(cache=True, nogil=True)
def _signed(s, p):
    """Shares of weight up and down among the sources that were heard."""
    heard = 0.0
    for k in range(N):
        if (s.missing >> k) & 1 == 0:
            heard += float(p.weight_fp9[k])
    if heard <= 0.0:
        return
    up = 0.0
    down = 0.0
    for k in range(N):
        x = float(p.weight_fp9[k]) / heard * (float(s.evidence_fp9[k]) * _UNIT)
        s.scores_fp9[k] = fp9(x)
        if x > 0.0:
            up += x
        else:
            down -= x
    b = fp9(up)
    a = fp9(down)
    s.side = np.int64(b > a) - np.int64(b < a)
    s.for_fp9 = max(a, b)
    s.against_fp9 = min(a, b)
    if s.side != 0:
        score = float(s.for_fp9) * _UNIT - float(p.gamma_fp9) * _UNIT * (
            float(s.against_fp9) * _UNIT
        )
        s.score_fp9 = fp9(min(max(score, 0.0), 1.0))
        s.dominant = _largest(s, s.side)


@njit(cache=True, nogil=True)
def _model(s, p):
    """Log-odds of our side and, off the calibrator, the probability and its lower bound."""
    if p.fitted != 1 or s.side == 0:
        return
    x = 0.0
    for k in range(N):
        x += float(p.beta_fp9[k]) * _UNIT * (float(s.side * s.evidence_fp9[k]) * _UNIT)
    s.logit_fp9 = fp9(float(p.intercept_fp9) * _UNIT + x)
    s.fitted = 1
    s.probability_fp9 = calibrated(s.logit_fp9, p.knot_x_fp9, p.knot_p_fp9, p.knots)
    s.lower_fp9 = calibrated(s.logit_fp9, p.knot_x_fp9, p.knot_low_fp9, p.knots)


@njit(cache=True, nogil=True)
def _classify(s, p, windows, now_ns):
    """Add up the evidence that was taken in; ``now_ns`` is the boundary."""
    _clear(s)
    share = covered(p.weight_fp9, s.missing)
    if p.mode != SEED and p.fitted == 1:
        share = min(share, covered(p.beta_fp9, s.missing))
    s.coverage_fp9 = fp9(share)
    full = 100.0 if p.mode == SEED else 1.0
    if p.mode == SEED:
        _seed(s, p, windows)
    elif s.coverage_fp9 >= p.coverage_fp9:
        _signed(s, p)
        _model(s, p)
    else:
        signal_unready(s.signal)
        return
    threshold = np.int64(full) * p.threshold_fp9
    sided = p.mode == SEED or s.side != 0
    s.meets = 1 if sided and s.score_fp9 >= threshold else 0
    score = float(s.score_fp9) * _UNIT
    direction = s.side if s.score_fp9 > 0 else np.int64(0)
    signal_stand(s.signal, now_ns, direction, score / full, score, float(threshold) * _UNIT)


@njit(cache=True, nogil=True)
def confluence_boundary(s, p, windows, now_ns, absorption, delta_divergence, sweep, cvd_divergence,
                        vwap_deviation, pressure, cvd_trend, diagonal):  # fmt: skip
    """Score the eight signal records as of ``now_ns`` (ns), after their own boundary hooks."""
    s.missing = 0
    _take(s, 0, absorption)
    _take(s, 1, delta_divergence)
    _take(s, 2, sweep)
    _take(s, 3, cvd_divergence)
    _take(s, 4, vwap_deviation)
    _take(s, 5, pressure)
    _take(s, 6, cvd_trend)
    _take(s, 7, diagonal)
    _classify(s, p, windows, now_ns)


@njit(cache=True, nogil=True)
def confluence_pays(s, needed_fp9):
    """True when a fitted model puts even its lower bound above ``needed_fp9`` (int64 at 1e-9)."""
    return s.fitted == 1 and s.lower_fp9 > needed_fp9
