"""No training label overlaps a test label in time, whatever the labels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.calibrate.folds import SCHEMES, split


@st.composite
def labels(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    steps = draw(st.lists(st.integers(1, 30), min_size=12, max_size=80))
    spans = draw(st.lists(st.integers(0, 60), min_size=len(steps), max_size=len(steps)))
    start = np.cumsum(steps)
    return start, start + np.array(spans)


@settings(max_examples=200, deadline=None)
@given(labels(), st.integers(2, 6), st.integers(0, 100), st.sampled_from(SCHEMES))
def test_training_knows_nothing_of_a_test(t, folds, embargo, scheme) -> None:  # type: ignore[no-untyped-def]
    start, end = t
    made = split(start, end, folds, embargo, scheme)
    assert len(made) == folds
    for fold in made:
        train, test = fold.train, fold.test
        assert not set(train) & set(test)
        overlaps = (start[train, None] <= end[None, test]) & (end[train, None] >= start[None, test])
        assert not overlaps.any()
        after = train[start[train] > start[test].min()]
        assert (start[after] > end[test].max() + embargo).all()
        if scheme == "walk-forward":
            assert not len(after)
        left = len(start) - len(train) - len(test) - fold.purged - fold.embargoed
        later = (start > start[test].max()).sum() if scheme == "walk-forward" else 0
        assert left == later, "whoever is left out is counted"


@settings(max_examples=100, deadline=None)
@given(labels(), st.integers(2, 6), st.integers(0, 100))
def test_every_decision_is_tested_once_by_kfold(t, folds, embargo) -> None:  # type: ignore[no-untyped-def]
    start, end = t
    made = split(start, end, folds, embargo, "kfold")
    assert np.concatenate([f.test for f in made]).tolist() == list(range(len(start)))


def test_nobody_is_left_out_without_need() -> None:
    start = np.arange(0, 600, 10)
    made = split(start, start + 4, 3, 0, "kfold")
    assert [f.purged + f.embargoed for f in made] == [0, 0, 0]
    assert all(len(f.train) + len(f.test) == len(start) for f in made)
    assert [f.embargoed for f in split(start, start + 4, 3, 25, "kfold")] == [2, 2, 0]
    assert [f.purged for f in split(start, start + 24, 3, 0, "kfold")] == [2, 4, 2]
