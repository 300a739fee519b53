"""The book rebuild: the venues' rules, the cadence, and a naive book as the oracle."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import GapReason
from data.sources.book import RECENT_DIFFS, BookBuilder, DepthRow, Diff, Snapshot

MS = 1_000_000
BASE = 1_723_161_600_000 * MS


def diff(
    first: int,
    last: int,
    prev: int = -1,
    at_ms: int = 0,
    bids: Sequence[tuple[int, int]] = (),
    asks: Sequence[tuple[int, int]] = (),
) -> Diff:
    ts_ns = BASE + at_ms * MS
    return Diff(ts_ns, ts_ns + 5 * MS, last, first, last, prev, list(bids), list(asks))


def spot(levels: int = 20, cadence_ms: int = 0) -> BookBuilder:
    return BookBuilder(chained=False, levels=levels, cadence_ns=cadence_ms * MS)


def um(levels: int = 20, cadence_ms: int = 0) -> BookBuilder:
    return BookBuilder(chained=True, levels=levels, cadence_ns=cadence_ms * MS)


SNAP = Snapshot(100, [(99, 5), (98, 5)], [(101, 5), (102, 5)])


def ids(builder: BookBuilder) -> list[int]:
    return [row.id for row in builder.depth]


def reasons(builder: BookBuilder) -> list[GapReason]:
    return [GapReason(gap.reason) for gap in builder.gaps]


# --- bridging ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "bridges"),
    [
        (90, 100, False),  # older than the snapshot: all of it is in there
        (95, 101, True),
        (101, 101, True),  # no overlap: U == L + 1, as in a real recording
        (101, 120, True),
        (102, 120, False),  # 101 is missing
    ],
)
def test_spot_bridge(first: int, last: int, bridges: bool) -> None:
    for early in (False, True):
        builder = spot()
        if early:
            builder.add_diff(diff(first, last))
            builder.add_snapshot(SNAP)
        else:
            builder.add_snapshot(SNAP)
            builder.add_diff(diff(first, last))
        assert builder.synced is bridges
        assert ids(builder) == ([last] if bridges else [])


@pytest.mark.parametrize(
    ("first", "last", "bridges"),
    [
        (90, 99, False),
        (90, 100, True),
        (100, 100, True),
        (95, 120, True),
        (101, 120, False),  # valid on spot, not on USD-M
    ],
)
def test_um_bridge(first: int, last: int, bridges: bool) -> None:
    for early in (False, True):
        builder = um()
        if early:
            builder.add_diff(diff(first, last, 80))
            builder.add_snapshot(SNAP)
        else:
            builder.add_snapshot(SNAP)
            builder.add_diff(diff(first, last, 80))
        assert builder.synced is bridges


def test_diffs_before_the_snapshot_are_applied_and_shown() -> None:
    builder = um()
    chain = [(80, 90, 79), (91, 95, 90), (96, 105, 95), (106, 110, 105), (111, 112, 110)]
    for first, last, prev in chain[:4]:
        builder.add_diff(diff(first, last, prev, bids=[(last, 1)]))
    builder.add_snapshot(Snapshot(100, [(50, 1)], [(1000, 1)]))
    builder.add_diff(diff(*chain[4], bids=[(112, 1)]))
    assert ids(builder) == [105, 110, 112]
    assert builder.depth[-1].bid_price == [112, 110, 105, 50]
    assert not builder.gaps
    assert builder.counts.applied == 3


def test_a_snapshot_too_old_is_dropped_and_the_next_one_used() -> None:
    builder = spot()
    builder.add_snapshot(SNAP)
    builder.add_diff(diff(105, 106))
    assert not builder.synced
    builder.add_diff(diff(107, 110))
    builder.add_snapshot(Snapshot(108, [(99, 1)], [(101, 1)]))
    assert builder.synced
    assert (builder.counts.snapshots, builder.counts.snapshots_used) == (2, 1)
    # diffs were there that no book could take: that is worth saying
    assert reasons(builder) == [GapReason.NO_SNAPSHOT]


def test_a_book_that_never_gets_a_snapshot_is_a_gap_and_no_depth() -> None:
    builder = spot()
    for i in range(3 * RECENT_DIFFS):
        builder.add_diff(diff(i, i, at_ms=i))
    builder.finish()
    assert not builder.depth
    assert not builder.synced
    (gap,) = builder.gaps
    assert (gap.reason, gap.from_ns, gap.to_ns) == (
        GapReason.NO_SNAPSHOT, BASE, BASE + (3 * RECENT_DIFFS - 1) * MS,
    )  # fmt: skip
    assert gap.ts_ns == gap.to_ns
    assert len(builder._recent) == RECENT_DIFFS


def test_nothing_is_said_of_a_stream_without_diffs() -> None:
    builder = spot()
    builder.add_snapshot(SNAP)
    builder.finish()
    assert not builder.gaps


# --- sequence ----------------------------------------------------------------------------------


def synced(builder: BookBuilder) -> BookBuilder:
    builder.add_snapshot(SNAP)
    builder.add_diff(diff(95, 105, 94))
    assert builder.synced
    return builder


def test_a_break_is_a_gap_and_the_book_waits_for_a_snapshot() -> None:
    for builder, bad in ((synced(spot()), diff(107, 110)), (synced(um()), diff(106, 110, 104))):
        builder.add_diff(bad)
        builder.add_diff(diff(111, 115, 110, at_ms=50))
        assert not builder.synced
        assert ids(builder) == [105]
        assert builder.counts.sequence_breaks == 1
        (gap,) = builder.gaps
        assert gap.reason == GapReason.SEQUENCE_BREAK
        assert (gap.from_id, gap.to_id) == (105, bad.first_id)
        builder.add_snapshot(Snapshot(112, [(99, 1)], [(101, 1)]))
        assert builder.synced
        assert ids(builder) == [105, 115]
        assert reasons(builder) == [GapReason.SEQUENCE_BREAK, GapReason.NO_SNAPSHOT]
        assert (builder.gaps[1].from_ns, builder.gaps[1].to_ns) == (BASE, BASE + 50 * MS)
        builder.finish()
        assert len(builder.gaps) == 2


def test_um_first_ids_need_not_join() -> None:
    builder = synced(um())
    builder.add_diff(diff(150, 160, 105))
    assert builder.synced
    assert builder.counts.sequence_breaks == 0


def test_a_snapshot_from_before_the_break_cannot_heal_it() -> None:
    builder = synced(spot())
    builder.add_diff(diff(107, 110))
    builder.add_snapshot(Snapshot(104, [], []))
    assert not builder.synced


def test_a_diff_seen_twice_is_stale() -> None:
    builder = synced(spot())
    builder.add_diff(diff(106, 110))
    builder.add_diff(diff(95, 105, 94))
    builder.add_diff(diff(106, 110))
    builder.add_diff(diff(111, 112))
    assert ids(builder) == [105, 110, 112]
    assert builder.counts.stale == 2
    assert not builder.gaps


def test_a_file_that_goes_on_continues_the_book() -> None:
    builder = synced(spot())
    counts = builder.start_file()
    builder.add_diff(diff(106, 110))
    assert builder.synced
    assert (counts.diffs, counts.restarts, counts.sequence_breaks) == (1, 0, 0)


def test_a_file_that_does_not_go_on_is_a_restart_and_no_break() -> None:
    builder = synced(spot())
    counts = builder.start_file()
    builder.add_diff(diff(500, 510, at_ms=1000))
    builder.add_snapshot(Snapshot(505, [(9, 1)], [(10, 1)]))
    assert builder.synced
    assert (counts.restarts, counts.sequence_breaks) == (1, 0)
    assert reasons(builder) == [GapReason.DISCONNECT]
    assert (builder.gaps[0].from_id, builder.gaps[0].to_id) == (105, 500)


def test_each_stretch_without_a_book_is_said_once() -> None:
    builder = spot()
    builder.add_diff(diff(1, 5))
    builder.add_diff(diff(6, 9, at_ms=10))
    builder.start_file()
    builder.add_diff(diff(50, 55, at_ms=100))
    builder.finish()
    assert reasons(builder) == [
        GapReason.NO_SNAPSHOT, GapReason.DISCONNECT, GapReason.NO_SNAPSHOT,
    ]  # fmt: skip
    assert (builder.gaps[0].from_ns, builder.gaps[0].to_ns) == (BASE, BASE + 10 * MS)


def test_a_fresh_snapshot_in_step_makes_far_levels_known() -> None:
    builder = synced(spot())
    builder.add_diff(diff(106, 110, bids=[(97, 3)]))
    builder.add_snapshot(Snapshot(107, [(99, 5), (98, 5), (50, 7)], [(101, 5)]))
    builder.add_diff(diff(111, 112))
    assert builder.synced
    assert builder.depth[-1].bid_price == [99, 98, 97, 50]
    assert ids(builder) == [105, 110, 112]


# --- what is shown -----------------------------------------------------------------------------


def test_a_slot_shows_its_last_state_when_it_is_over() -> None:
    builder = spot(cadence_ms=100)
    builder.add_snapshot(SNAP)
    for i, at_ms in enumerate((0, 40, 99, 100, 310, 320)):
        builder.add_diff(diff(101 + i, 101 + i, at_ms=at_ms, bids=[(99, 10 + i)]))
    assert ids(builder) == [103, 104]
    first = builder.depth[0]
    assert (first.ts_ns, first.recv_ns, first.seq) == (BASE + 99 * MS, BASE + 104 * MS, 103)
    assert first.bid_qty[0] == 12
    assert builder.depth[1].bid_qty[0] == 13


def test_slots_lie_on_multiples_of_the_cadence_in_utc() -> None:
    builder = spot(cadence_ms=250)
    builder.add_snapshot(SNAP)
    for i, at_ms in enumerate((249, 250, 499, 500)):
        builder.add_diff(diff(101 + i, 101 + i, at_ms=at_ms))
    assert ids(builder) == [101, 103]


def test_a_break_shows_the_last_good_state() -> None:
    builder = spot(cadence_ms=100)
    builder.add_snapshot(SNAP)
    builder.add_diff(diff(101, 101))
    builder.add_diff(diff(105, 106, at_ms=1))
    assert ids(builder) == [101]


def test_a_crossed_book_is_counted_and_not_shown() -> None:
    builder = spot()
    builder.add_snapshot(SNAP)
    builder.add_diff(diff(101, 101, bids=[(101, 1)]))
    builder.add_diff(diff(102, 102, asks=[(101, 0)]))
    assert builder.counts.crossed == 1
    assert ids(builder) == [102]
    assert builder.depth[0].bid_price[0] < builder.depth[0].ask_price[0]


def test_an_empty_side_is_shown_as_empty() -> None:
    builder = spot()
    builder.add_snapshot(Snapshot(100, [(99, 1)], []))
    builder.add_diff(diff(101, 101, bids=[(99, 0), (42, 0)]))
    assert (builder.depth[0].bid_price, builder.depth[0].ask_price) == ([], [])


side = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), max_size=6)


@settings(deadline=None)
@given(
    st.lists(st.tuples(side, side, st.integers(0, 400)), max_size=40),
    st.integers(1, 5),
    st.sampled_from([0, 100]),
    st.booleans(),
)
def test_against_a_naive_book(
    steps: list[tuple[list, list, int]], levels: int, cadence_ms: int, chained: bool
) -> None:
    builder = BookBuilder(chained=chained, levels=levels, cadence_ns=cadence_ms * MS)
    builder.add_snapshot(Snapshot(100, [(5, 1)], [(200, 1)]))
    bids, asks = {5: 1}, {200: 1}
    want: list[DepthRow] = []
    at_ms, states = 0, []
    for i, (b, a, wait) in enumerate(steps):
        at_ms += wait
        asks_up = [(p + 15, q) for p, q in a]
        step = diff(100 + i if chained else 101 + i, 101 + i, 100 + i, at_ms, b, asks_up)
        builder.add_diff(step)
        bids |= dict(b)
        asks |= dict(asks_up)
        best_bids = sorted(((p, q) for p, q in bids.items() if q), reverse=True)
        best_asks = sorted((p, q) for p, q in asks.items() if q)
        crossed = bool(best_bids and best_asks) and best_bids[0][0] >= best_asks[0][0]
        states.append((step, best_bids[:levels], best_asks[:levels], crossed))
    for i, (step, best_bids, best_asks, crossed) in enumerate(states):
        slot = step.ts_ns // (100 * MS)
        over = i + 1 < len(states) and states[i + 1][0].ts_ns // (100 * MS) > slot
        if crossed or (cadence_ms and not over):
            continue
        prices_qtys = [[x[k] for x in s] for s in (best_bids, best_asks) for k in (0, 1)]
        want.append(DepthRow(step.ts_ns, step.recv_ns, step.seq, step.last_id, *prices_qtys))
    assert builder.depth == want
    assert builder.counts.crossed == sum(s[3] for s in states)
    assert builder.counts.sequence_breaks == 0
