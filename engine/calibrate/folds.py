"""Folds in which no training label knows anything of a test label's time.

Owns the two schemes (reference: Lopez de Prado 2018, ch. 7). Both cut the decisions, in order of
time, into blocks of equal count; each block in turn is the test.

* ``walk-forward``: trains on what ended before the block began. One more block than folds is cut,
  because the first only trains. Nothing after the test is used, so no embargo is needed.
* ``kfold``: trains on both sides of the block. A training label must end before the first test
  decision, or begin after the last test label ended plus the embargo: a feature that looks back
  over the test would tell what the test's label is made of, so the embargo must be as long as the
  longest look-back.

It refuses to know what is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCHEMES = ("walk-forward", "kfold")


@dataclass(frozen=True)
class Fold:
    """Indices (int64, ascending) of a fold's training and test decisions.

    ``purged`` counts decisions that were left out because their label overlaps the test in time,
    ``embargoed`` those left out because they begin within the embargo after it.
    """

    train: np.ndarray
    test: np.ndarray
    purged: int
    embargoed: int


def split(
    start_ns: np.ndarray, end_ns: np.ndarray, folds: int, embargo_ns: int, scheme: str
) -> list[Fold]:
    """Folds over labels [start, end] (int64 ns; start ascending, end >= start), in time order."""
    forward = scheme == "walk-forward"
    blocks = np.array_split(np.arange(len(start_ns)), folds + forward)
    out = []
    for test in blocks[1:] if forward else blocks:
        if len(test):
            out.append(_fold(start_ns, end_ns, test, embargo_ns, forward))
    return out


def _fold(
    start_ns: np.ndarray, end_ns: np.ndarray, test: np.ndarray, embargo_ns: int, forward: bool
) -> Fold:
    low_ns, high_ns = start_ns[test].min(), end_ns[test].max()
    other = np.ones(len(start_ns), dtype=bool)
    other[test] = False
    if forward:
        other &= start_ns < low_ns
    overlaps = other & (end_ns >= low_ns) & (start_ns <= high_ns)
    near = other & ~overlaps & (start_ns > high_ns) & (start_ns <= high_ns + embargo_ns)
    return Fold(
        np.flatnonzero(other & ~overlaps & ~near), test, int(overlaps.sum()), int(near.sum())
    )
