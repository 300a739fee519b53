"""Figures against slow oracles; detectors that always and never fire; intervals that repeat."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.events import NS, Scales
from engine.measure.bench import Piece, above, count, threshold
from engine.measure.markets import Market
from engine.measure.match import EVENT
from engine.measure.score import Tally, auc, average_precision, figures
from tests.engine.measure.test_match import events, label

VALUES = st.lists(st.integers(-3, 3).map(float), max_size=12).map(np.array)


@given(VALUES, VALUES)
def test_auc_counts_pairs(planted: np.ndarray, null: np.ndarray) -> None:
    pairs = [(p > n) + (p == n) / 2 for p, n in product(planted, null)]
    have = auc(planted, null)
    assert have == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


@given(VALUES, VALUES)
def test_average_precision_looks_at_every_threshold(planted: np.ndarray, null: np.ndarray) -> None:
    found = [sum(q >= p for q in planted) / sum(q >= p for q in [*planted, *null]) for p in planted]
    have = average_precision(planted, null)
    assert have == (pytest.approx(sum(found) / len(found)) if found else None)


LABELS = tuple(
    label(t, t + 120, 1 if t % 12_000 < 6_000 else -1) for t in range(600, 36_000, 6_000)
)
MARKET = Market("flow", "x", "base", 1, False, 0, 36_000 * NS, Scales(1, 3), {}, LABELS)
NEVER = np.zeros(0, EVENT)
ALWAYS = events(list(range(0, 36_000, 60)))


def test_who_always_speaks_finds_all_and_is_seldom_right() -> None:
    f = figures([count(ALWAYS, ALWAYS, MARKET, 60)])
    assert (f["recall"], f["false_alarm_rate"], f["false_alarms_per_hour"]) == (1.0, 1.0, 60.0)
    assert f["base_rate"] == 6 / 120
    assert f["precision"] == pytest.approx(6 / (6 + 600 - 6 * 4), abs=1e-4)
    assert f["direction_accuracy"] == pytest.approx(3 / 6)
    assert f["delay_s"] == 0.0


def test_who_never_speaks_is_neither_right_nor_wrong() -> None:
    f = figures([count(NEVER, NEVER, MARKET, 60)])
    assert (f["recall"], f["false_alarm_rate"]) == (0.0, 0.0)
    assert f["precision"] is f["direction_accuracy"] is f["delay_s"] is f["f1"] is None


def test_who_knows_is_always_right() -> None:
    told = np.zeros(len(LABELS), EVENT)
    told["ts_ns"] = [x.onset_ns + 30 * NS for x in LABELS]
    told["direction"] = [x.direction for x in LABELS]
    f = figures([count(told, NEVER, MARKET, 60)])
    assert [f[n] for n in ("precision", "recall", "f1", "direction_accuracy")] == [1.0] * 4
    assert f["delay_s"] == 30.0


def test_null_windows_are_counted_once_however_often_they_alarm() -> None:
    alarms = events([10, 20, 30, 299, 300, 35_999])
    t = count(NEVER, alarms, MARKET, 60)
    assert (t.null_alarmed, t.null_windows, t.null_events, t.null_hours) == (3, 120, 6, 10.0)


def test_intervals_are_over_seeds_and_repeat() -> None:
    good, bad = Tally(labels=10, found=9, windows=200), Tally(labels=10, found=1, windows=200)
    alike = figures([good] * 8)
    assert alike["recall"] == alike["recall_low"] == alike["recall_high"] == 0.9
    mixed = figures([good, bad] * 8)
    assert mixed == figures([good, bad] * 8)
    assert mixed["recall_low"] < mixed["recall"] == 0.5 < mixed["recall_high"]
    wide, narrow = (f["recall_high"] - f["recall_low"] for f in (mixed, figures([good, bad] * 32)))
    assert narrow < wide


def test_pooling_weighs_by_labels_not_by_seeds() -> None:
    few, many = Tally(labels=1, found=1), Tally(labels=9)
    assert figures([few, many])["recall"] == 0.1
    assert figures([few, replace(many, auc=0.8, auc_n=1)])["auc"] == 0.8


def test_calibration_lets_two_percent_of_the_others_windows_pass() -> None:
    """1000 windows with one number each: the twenty largest are above the threshold."""
    null = np.zeros(1_000, EVENT)
    null["ts_ns"] = np.arange(1_000) * 300 * NS
    null["value"] = np.random.default_rng(1).permutation(1_000) * np.resize([1, -1], 1_000)
    piece = Piece(
        ("delta_divergence", "standard", "flag", "flow", "base"), Tally(), start_ns=0,
        end_ns=300_000 * NS, open_null=null,
    )  # fmt: skip
    limit = threshold([piece])
    assert limit is not None
    assert (np.abs(null["value"]) > limit).sum() == 20
    assert threshold([]) is None


def test_events_above_a_threshold_merge_within_their_hold() -> None:
    rows = events([0, 60, 120, 300, 600])
    rows["value"] = [3, 1, 3, 3, 3]
    rows["direction"] = [1, 1, 1, 1, -1]
    kept = above(rows, 2.0, 180 * NS)
    assert (kept["ts_ns"] // NS).tolist() == [0, 600]
    assert (above(rows, 2.0, 119 * NS)["ts_ns"] // NS).tolist() == [0, 120, 300, 600]
