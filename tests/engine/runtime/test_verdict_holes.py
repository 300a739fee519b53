"""What was missed: intervals, counted against a brute-force count of every nanosecond."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.verdict_holes import Hole, less, missing_of, open_to, union

TIMES = st.integers(0, 40)
HOLES = st.lists(
    st.builds(
        Hole,
        symbol=st.sampled_from(["A", "B"]),
        stream=st.sampled_from(["trade", "depth"]),
        from_ns=TIMES,
        to_ns=TIMES,
        reason=st.sampled_from(["DISCONNECT", "DOWNTIME"]),
        filled=st.booleans(),
    ),
    max_size=8,
)


def covered(holes: list[Hole]) -> set[int]:
    return {t for h in holes for t in range(h.from_ns, max(h.from_ns, h.to_ns))}


@given(HOLES, st.integers(0, 20), st.integers(21, 40))
def test_shares_are_those_of_counting(holes: list[Hole], from_ns: int, to_ns: int) -> None:
    found = missing_of(holes, from_ns, to_ns)
    time = set(range(from_ns, to_ns))
    near = [h for h in holes if h.to_ns >= from_ns and h.from_ns <= to_ns]
    for share in found.shares:
        mine = [h for h in near if (h.symbol, h.stream) == (share.symbol, share.stream)]
        open_ = covered(mine) - covered([h for h in mine if h.filled])
        assert abs(share.share - len(open_ & time) / len(time)) < 1e-12
    assert found.trade_filled <= found.trade_holes <= found.holes <= sum(found.reasons.values())


@given(st.lists(st.tuples(TIMES, TIMES), max_size=8))
def test_a_union_is_sorted_apart_and_whole(intervals: list[tuple[int, int]]) -> None:
    made = union(intervals)
    assert all(a[1] < b[0] for a, b in pairwise(made))
    assert {t for a, b in made for t in range(a, b)} == {
        t for a, b in intervals for t in range(a, b)
    }
    assert less(made, made) == []
    assert less(made, []) == [(a, b) for a, b in made if a < b]


def hole(from_ns: int, to_ns: int, reason: str = "DISCONNECT", filled: bool = False) -> Hole:
    return Hole("BTCUSDT", "trade", from_ns, to_ns, reason, filled)


def test_the_two_rows_of_one_gap_are_one_hole() -> None:
    """Written when it opens, and again, longer, when the stream speaks."""
    found = missing_of([hole(10, 20), hole(10, 25)], 0, 100)
    assert (found.trade_holes, found.trade_filled, found.reasons) == (1, 0, {"DISCONNECT": 1})
    assert found.shares[0].share == 0.15
    closed = missing_of([hole(10, 20), hole(10, 25, filled=True)], 0, 100)
    assert (closed.trade_holes, closed.trade_filled, closed.shares[0].share) == (1, 1, 0.0)


def test_a_hole_that_is_filled_in_part_is_not_filled() -> None:
    found = missing_of([hole(10, 30), hole(10, 20, filled=True)], 0, 100)
    assert (found.trade_holes, found.trade_filled, found.shares[0].share) == (1, 0, 0.1)


def test_downtime_is_told_by_the_stream_that_saw_all_of_it_and_nearest() -> None:
    """Each restart leaves a hole in each stream, from the last event that the stream had."""
    holes = [
        hole(41, 60, "DOWNTIME"), hole(80, 90, "DOWNTIME"),
        Hole("BTCUSDT", "mark", 38, 60, "DOWNTIME", False),
        Hole("BTCUSDT", "mark", 79, 90, "DOWNTIME", False),
        Hole("BTCUSDT", "liquidation", 2, 60, "DOWNTIME", False),
        Hole("BTCUSDT", "liquidation", 2, 90, "DOWNTIME", False),
        Hole("BTCUSDT", "bar", 80, 90, "DOWNTIME", False),
    ]  # fmt: skip
    found = missing_of(holes, 0, 100)
    assert (found.downs, found.down_ns) == (2, 29)
    assert found.up == 1 - 0.29
    assert "liquidation" not in {share.stream for share in found.shares}


def test_a_hole_that_nobody_closed_reaches_to_the_end() -> None:
    holes = [hole(10, 20), hole(50, 60), Hole("BTCUSDT", "depth", 50, 60, "DISK", False)]
    found = open_to(holes, {"trade": 90, "depth": 50}, 100)
    assert [h.to_ns for h in found] == [20, 60, 100]
    assert [h.to_ns for h in open_to(holes, {"trade": 50}, 100)] == [20, 100, 100]
    assert open_to(holes, {}, 55)[1].to_ns == 60  # it began after what is judged


def test_a_hole_has_each_of_its_reasons_once() -> None:
    """Downtime, and behind it a disk that has no room for the stream."""
    holes = [hole(10, 20, "DOWNTIME"), hole(10, 22, "DOWNTIME"), hole(20, 40, "DISK")]
    found = missing_of(holes, 0, 100)
    assert (found.holes, found.reasons) == (1, {"DOWNTIME": 1, "DISK": 1})


def test_nothing_missed_is_all_up_and_no_time_is_none() -> None:
    assert missing_of([], 0, 100).up == 1.0
    assert missing_of([], 5, 5).up == 0.0
