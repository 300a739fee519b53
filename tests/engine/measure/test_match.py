"""Signals against labels: events, matching and windows against slow, obvious oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.events import NS, RECORDS, numpy_dtype
from data.sources.synthetic import Label
from engine.measure.match import EVENT, largest, match, onsets, windows

S = NS
HOLD = 5


def records(rows: list[tuple[int, int]]) -> np.ndarray:
    """Signal records at (second, direction)."""
    out = np.zeros(len(rows), numpy_dtype(RECORDS["signal"]))
    for r, (second, side) in zip(out, rows, strict=True):
        r["ts_ns"], r["direction"], r["value_fp9"] = second * S, side, side * second * 10**9
    return out


def label(start: int, end: int, direction: int = 1, onset: int | None = None) -> Label:
    at = start if onset is None else onset
    return Label("x", start * S, at * S, end * S, (end + 60) * S, direction, 1.0, 0, False, 1)


def events(seconds: list[int]) -> np.ndarray:
    out = np.zeros(len(seconds), EVENT)
    out["ts_ns"], out["direction"] = np.array(seconds, np.int64) * S, 1
    return out


ROWS = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([-1, 1])), max_size=30).map(sorted)


@given(ROWS)
def test_events_begin_after_a_silence_or_a_turn(rows: list[tuple[int, int]]) -> None:
    found = onsets(records(rows), HOLD * S)
    want = [
        (t, d) for i, (t, d) in enumerate(rows)
        if i == 0 or t - rows[i - 1][0] > HOLD or d != rows[i - 1][1]
    ]  # fmt: skip
    assert [(int(e["ts_ns"]) // S, int(e["direction"])) for e in found] == want
    assert [float(e["value"]) for e in found] == [float(t * d) for t, d in want]


@given(st.lists(st.integers(0, 1000), max_size=40).map(sorted), st.integers(0, 50))
def test_matching_by_looking_at_every_pair(seconds: list[int], tolerance: int) -> None:
    labels = [label(100, 160), label(400, 430, onset=420), label(700, 710)]
    m = match(events(seconds), labels, tolerance)
    inside = [
        [i for i, t in enumerate(seconds) if x.onset_ns <= t * S <= x.end_ns + tolerance * S]
        for x in labels
    ]
    assert m.found.tolist() == [found[0] if found else -1 for found in inside]
    taken = {i for found in inside for i in found}
    assert m.false.tolist() == [i for i in range(len(seconds)) if i not in taken]


def test_an_event_at_the_very_end_of_the_tolerance_counts_and_one_after_does_not() -> None:
    x = label(100, 160)
    assert match(events([190]), [x], 30).found.tolist() == [0]
    late = events([190])
    late["ts_ns"] += 1
    assert match(late, [x], 30).found.tolist() == [-1]
    assert match(events([99]), [x], 30).false.tolist() == [0]
    assert match(events([405]), [label(400, 430, onset=420)], 30).false.tolist() == [0]


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(1, 600))
def test_windows_are_whole_and_side_by_side(start: int, length: int, window: int) -> None:
    edges = windows(start * S, (start + length) * S, window)
    assert edges[0] == start * S
    assert (np.diff(edges) == window * S).all()
    assert 0 <= (start + length) * S - edges[-1] < window * S


@given(ROWS, st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), max_size=8))
def test_the_largest_of_a_span(rows: list[tuple[int, int]], spans: list[Any]) -> None:
    said = records(rows)
    value = said["value_fp9"] / 1e9
    cut = np.array([(a * S, (a + n) * S) for a, n in spans], np.int64).reshape(-1, 2)
    have = largest(said["ts_ns"], value, cut)
    want = [max([abs(t) for t, _ in rows if a <= t < a + n], default=-1.0) for a, n in spans]
    assert have.tolist() == want
