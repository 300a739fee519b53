"""From rows to a model: folds, scores out of fold, calibrator, figures.

Owns the order in which things are fitted and what every figure stands on. A probability in the
report is out of sample twice: its score comes from a model of other folds, and its calibrator from
the scores of other folds (purged as the folds are; walking forward, of earlier ones). The
calibrator that goes into the file is fitted on all scores out of fold, unless these show no skill
(Brier skill not above 0): then it is the base rate, with which nothing is traded (see
:mod:`engine.calibrate.calibrator`).

It refuses to know where rows come from and how a model is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.errors import DataError
from engine.calibrate import scores as figures
from engine.calibrate.calibrator import Table, calibrate
from engine.calibrate.fit import Linear, OutOfFold, Rows, choose_c, fit_linear, out_of_fold
from engine.calibrate.folds import Fold, split

EVENTS_MIN = 30
"""Effective events (labels that do not overlap) that a fit asks for."""

RARE_MIN = 10
"""Effective events of the rarer outcome that it asks for."""


@dataclass(frozen=True)
class Scheme:
    """How it is cut: number of folds, embargo in ns, ``walk-forward`` or ``kfold`` (``name``)."""

    folds: int
    embargo_ns: int
    name: str


@dataclass(frozen=True)
class Market:
    """What a trade of each decision would have paid; arrays of n, n x 2 for ``net``.

    ``needed`` (share) is the probability at which stop, target and cost break even; ``net``,
    ``entry`` and ``stop`` in price units; ``side`` -1, 0, +1 is the side that the classifier takes.
    """

    needed: np.ndarray
    net: np.ndarray
    entry: np.ndarray
    stop: np.ndarray
    side: np.ndarray


@dataclass(frozen=True)
class Figures:
    """The report, all out of fold: see :mod:`engine.calibrate.scores` for each figure."""

    rows: int
    events: float
    base_rate: float
    brier: float
    brier_base: float
    brier_skill: float
    log_loss: float
    log_loss_base: float
    auc: float | None
    reliability: float
    resolution: float
    uncertainty: float
    ece: float
    spiegelhalter_z: float | None
    traded: figures.Traded
    bins: tuple[figures.Bin, ...]


@dataclass(frozen=True)
class Fit:
    """What was fitted: model, calibrator, folds with their out-of-fold scores, figures."""

    linear: Linear
    table: Table
    folds: tuple[Fold, ...]
    scored: OutOfFold
    figures: Figures


def fit(rows: Rows, market: Market, scheme: Scheme) -> Fit:
    """Fit ``rows``; DataError with the counts where there is too little to fit on."""
    enough(rows, np.arange(len(rows.scores)), "the range")
    folds = split(rows.start_ns, rows.end_ns, scheme.folds, scheme.embargo_ns, scheme.name)
    scored = out_of_fold(rows, folds, scheme.embargo_ns)
    tested = np.flatnonzero(scored.fold >= 0)
    enough(rows, tested, "the test folds", folds)
    p, low = _cross_calibrated(rows, scored, folds, scheme)
    told = np.flatnonzero(~np.isnan(p).any(axis=1))
    enough(rows, told, "the calibrated folds", folds)
    found = _figures(rows, market, p, low, told)
    method = None
    if found.brier_skill <= 0:
        method = "base_rate"
        found = _figures(rows, market, p, np.zeros_like(low), told)
    linear = fit_linear(rows, np.arange(len(rows.scores)), choose_c(rows, folds))
    assert linear is not None  # both classes were seen above
    table = calibrate(
        scored.scores[tested],
        rows.won[tested],
        rows.weight[tested],
        method,
    )
    return Fit(linear, table, tuple(folds), scored, found)


def enough(rows: Rows, which: np.ndarray, where: str, folds: Sequence[Fold] = ()) -> None:
    """DataError unless the decisions ``which`` hold enough events of both outcomes."""
    weight, won = rows.weight[which], rows.won[which]
    events = float(weight.sum()) / 2
    wins = float((weight * won).sum()) / 2
    if events >= EVENTS_MIN and min(wins, events - wins) >= RARE_MIN:
        return
    tests = f"; {len(folds)} folds of " if folds else ""
    tests += ", ".join(f"{len(f.train)}+{len(f.test)}" for f in folds)
    raise DataError(
        f"{where} hold too little to fit a model on"
        if folds
        else f"{where} holds too little to fit a model on",
        why=f"{len(which):,} decisions are worth {events:.1f} labels that do not overlap, "
        f"{wins:.1f} of them won; {EVENTS_MIN} are asked for, {RARE_MIN} of either outcome{tests}",
        do="take a longer range, nearer stops and targets, or a shorter --horizon",
    )


def _cross_calibrated(
    rows: Rows, scored: OutOfFold, folds: Sequence[Fold], scheme: Scheme
) -> tuple[np.ndarray, np.ndarray]:
    """(p, low) float64[n, 2]; each fold by a calibrator of the other folds' scores, purged.

    Walking forward, these are the folds before it; the first has none and stays NaN.
    """
    p, low = np.full(rows.won.shape, np.nan), np.full(rows.won.shape, np.nan)
    for n, fold in enumerate(folds):
        if scored.models[n] is None:
            continue
        first_ns, last_ns = rows.start_ns[fold.test].min(), rows.end_ns[fold.test].max()
        others = (scored.fold >= 0) & (scored.fold != n)
        clear = rows.end_ns < first_ns
        if scheme.name == "kfold":
            clear |= rows.start_ns > last_ns + scheme.embargo_ns
        others &= clear
        won, weight = rows.won[others], rows.weight[others]
        if not won.any() or won.all() or weight.sum() / 2 < RARE_MIN:
            continue
        table = calibrate(scored.scores[others], won, weight)
        p[fold.test] = table.probability(scored.scores[fold.test])
        low[fold.test] = table.lower(scored.scores[fold.test])
    return p, low


def _figures(
    rows: Rows, market: Market, p: np.ndarray, low: np.ndarray, told: np.ndarray
) -> Figures:
    flat, won, w = p[told].ravel(), rows.won[told].ravel(), rows.weight[told].ravel()
    base = float((w * won).sum() / w.sum())
    constant = np.full_like(flat, base)
    score, score_base = figures.brier(flat, won, w), figures.brier(constant, won, w)
    rel, res, unc, ece = figures.murphy(flat, won, w)
    decision = np.repeat(told, 2)
    sides = np.column_stack((market.side[told] > 0, market.side[told] < 0))
    take = sides & (low[told] > market.needed[told, None])

    def both(values: np.ndarray) -> np.ndarray:
        return np.repeat(values[told], 2)

    return Figures(
        len(flat), rows.effective(told), base, score, score_base, 1 - score / score_base,
        figures.log_loss(flat, won, w), figures.log_loss(constant, won, w),
        figures.auc(flat, won, w), rel, res, unc, ece, figures.spiegelhalter(flat, won, w),
        figures.traded(take.ravel(), won, w, both(market.needed), market.net[told].ravel(),
                       both(market.entry), both(market.stop)),
        tuple(figures.reliability(flat, won, w, decision)),
    )  # fmt: skip
