"""The model: one ridge logistic regression for both sides, and its scores out of fold.

Owns P(win | side) = sigmoid(intercept + side * sum beta_i s_i). Every decision gives two rows, the
purchase with the scores as they are and the sale with their signs turned, so that the model cannot
prefer a side, and a range in which the price rose teaches it nothing about rising.

The penalty C is chosen by purged folds inside the training rows (the least log loss of
:data:`GRID`; of equals the strongest penalty), anew in every fold, and for the final model over the
outer folds. Rows weigh what their labels are unique for, so C weighs against labels that do not
overlap. What must hold: a score out of fold comes from a model that saw no label of that time.
scikit-learn is imported when a model is fitted and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.calibrate.folds import Fold, split
from engine.calibrate.labels import SIDES

GRID = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Values of C (1 / penalty) that are tried, the strongest penalty first."""

INNER_FOLDS = 3
_DECIMALS = 6
"""Decimals of coefficients: finer ones are the last bits of a linear algebra library."""


@dataclass(frozen=True)
class Rows:
    """n decisions with their labels, both sides; in time order.

    ``scores`` float64[n, 8]; ``won`` bool[n, 2]; ``weight`` float64[n, 2] uniqueness;
    ``start_ns`` and ``end_ns`` int64[n] the span of both labels.
    """

    scores: np.ndarray
    won: np.ndarray
    weight: np.ndarray
    start_ns: np.ndarray
    end_ns: np.ndarray

    def effective(self, which: np.ndarray | None = None) -> float:
        """How many labels that do not overlap the decisions (all, or ``which``) are worth."""
        weight = self.weight if which is None else self.weight[which]
        return float(weight.sum()) / len(SIDES)


@dataclass(frozen=True)
class Linear:
    """A fitted model: ``score(s, side)`` is L, in log-odds. ``c`` is the penalty it was given."""

    intercept: float
    beta: np.ndarray
    c: float

    def scores(self, s: np.ndarray) -> np.ndarray:
        """float64[n, 2]: L of the purchase and of the sale at scores ``s`` float64[n, 8]."""
        lean = s @ self.beta
        return np.column_stack([self.intercept + side * lean for side in SIDES])


@dataclass(frozen=True)
class OutOfFold:
    """``scores`` float64[n, 2], NaN where no fold tested; ``fold`` int64[n], -1 there."""

    scores: np.ndarray
    fold: np.ndarray
    models: tuple[Linear | None, ...]


def fit_linear(rows: Rows, which: np.ndarray, c: float) -> Linear | None:
    """The model of the decisions ``which``; None where they hold one class only."""
    from sklearn.linear_model import LogisticRegression

    x = np.concatenate([side * rows.scores[which] for side in SIDES])
    y = np.concatenate([rows.won[which, k] for k in range(len(SIDES))])
    weight = np.concatenate([rows.weight[which, k] for k in range(len(SIDES))]) / len(SIDES)
    if not len(y) or y.all() or not y.any():
        return None
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10, max_iter=200)
    model.fit(x, y.astype(np.int64), sample_weight=weight)
    return Linear(
        round(float(model.intercept_[0]), _DECIMALS), np.round(model.coef_[0], _DECIMALS) + 0.0, c
    )


def log_loss(won: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    """Weighted mean of -ln P(what happened), with log-odds ``score``; exact for large ones."""
    loss = np.logaddexp(0.0, np.where(won, -score, score))
    return float((weight * loss).sum() / weight.sum())


def choose_c(rows: Rows, folds: Sequence[Fold]) -> float:
    """The C of :data:`GRID` with the least log loss over ``folds``; the first where none has."""
    best, least = GRID[0], np.inf
    for c in GRID:
        total = weight = 0.0
        for fold in folds:
            model = fit_linear(rows, fold.train, c)
            if model is None:
                continue
            w = rows.weight[fold.test]
            loss = log_loss(rows.won[fold.test], model.scores(rows.scores[fold.test]), w)
            total += loss * float(w.sum())
            weight += float(w.sum())
        if weight and total / weight < least - 1e-9:
            best, least = c, total / weight
    return best


def _subset(rows: Rows, which: np.ndarray) -> Rows:
    return Rows(rows.scores[which], rows.won[which], rows.weight[which], rows.start_ns[which],
                rows.end_ns[which])  # fmt: skip


def out_of_fold(rows: Rows, folds: Sequence[Fold], embargo_ns: int) -> OutOfFold:
    """Score the test decisions of every fold with a model of its training decisions.

    C is chosen within the training decisions by purged k-fold with the same embargo. A fold whose
    training labels are of one class scores nothing; its model is None.
    """
    scores = np.full(rows.won.shape, np.nan)
    number = np.full(len(rows.scores), -1, dtype=np.int64)
    models: list[Linear | None] = []
    for n, fold in enumerate(folds):
        inside = _subset(rows, fold.train)
        inner = split(inside.start_ns, inside.end_ns, INNER_FOLDS, embargo_ns, "kfold")
        model = fit_linear(rows, fold.train, choose_c(inside, inner))
        models.append(model)
        if model is not None:
            scores[fold.test] = model.scores(rows.scores[fold.test])
            number[fold.test] = n
    return OutOfFold(scores, number, tuple(models))
