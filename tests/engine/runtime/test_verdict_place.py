"""Windows and stretches of time, against a count by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.units import NS_OF
from engine.runtime.verdict_place import Trips, by_time, windows

DAY = NS_OF["d"]


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(-5, 5)), max_size=20),
    st.integers(1, 120),
)
def test_a_window_sums_what_closed_in_it(trips: list[tuple[int, int]], length: int) -> None:
    trips.sort()
    closed = np.array([t for t, _ in trips], np.int64)
    net = np.array([x for _, x in trips], float)
    step = max(1, length // 4)
    expected = [
        sum(x for t, x in trips if start <= t < start + length)
        for start in range(0, 100 - length + 1, step)
    ]
    assert windows(closed, net, 0, 100, length).tolist() == expected


def test_a_session_of_no_length_has_no_window() -> None:
    assert len(windows(np.zeros(0, np.int64), np.zeros(0), 0, 100, 0)) == 0


def test_stretches_hold_every_trip_once_however_long_the_session() -> None:
    for days in (0.01, 1, 14, 400, 20_000):
        length = int(days * DAY)
        closed = np.linspace(0, length, 50).astype(np.int64)
        sums = by_time(closed, np.ones(50), 0, length)
        assert sums.sum() == 50 and len(sums) == max(20, int(days))
    assert by_time(np.zeros(0, np.int64), np.zeros(0), 0, DAY).tolist() == [0.0] * 20


def test_only_closed_positions_are_round_trips_and_symbols_are_mixed_by_time() -> None:
    dtype = [("closed_ns", "i8"), ("net_pnl", "i8")]
    kept = Trips()
    kept.take("position", np.array([(5, 300_000_000), (0, 1), (1, 100_000_000)], dtype))
    kept.take("fill", np.zeros(3, dtype))
    kept.take("position", np.array([(3, -200_000_000)], dtype))
    closed, net = kept.joined()
    assert closed.tolist() == [1, 3, 5] and net.tolist() == [1.0, -2.0, 3.0]
