"""The total order, against a sort that anybody can read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import Kind
from data.log.columns import from_input
from data.log.order import arrival, merge_runs, running_keys, sort_index
from tests.data.log.support import MIDNIGHT, book, columns, tapes, trade


@given(tapes([Kind.TRADE]), st.randoms())
def test_sorting_is_by_arrival_then_seq_then_id(tape: dict, random: object) -> None:
    rows = tape[Kind.TRADE]
    random.shuffle(rows)
    table = from_input(Kind.TRADE, columns(Kind.TRADE, rows))
    index = sort_index(table)
    got = list(range(len(rows))) if index is None else index.tolist()
    expected = sorted(rows, key=lambda r: (r["recv_ns"] or r["ts_ns"], r["seq"], r["id"]))
    assert [rows[i] for i in got] == expected


def test_rows_without_an_id_keep_the_order_they_came_in() -> None:
    rows = [trade(MIDNIGHT, price=p) for p in (5, 3, 9, 3)]
    assert sort_index(from_input(Kind.TRADE, columns(Kind.TRADE, rows))) is None
    rows = [trade(MIDNIGHT + 1), *rows]
    index = sort_index(from_input(Kind.TRADE, columns(Kind.TRADE, rows)))
    assert index is not None
    assert index.tolist() == [1, 2, 3, 4, 0]


def test_rows_with_equal_ids_are_ordered_by_content_not_by_input() -> None:
    rows = [book(MIDNIGHT, [(p, 1)], [(p + 1, 1)], id=7) for p in (5, 3, 9)]
    orders = []
    for given_rows in (rows, rows[::-1], [rows[1], rows[2], rows[0]]):
        table = from_input(Kind.DEPTH, columns(Kind.DEPTH, given_rows))
        index = sort_index(table)
        sorted_rows = table if index is None else table.take(index)
        orders.append(sorted_rows["bid_price"].tolist())
    assert orders[0] == orders[1] == orders[2]


def test_a_latency_shifts_only_rows_without_a_receive_time() -> None:
    ts, recv = np.array([10, 10]), np.array([0, 12])
    assert arrival(ts, recv, 5).tolist() == [15, 12]


@given(st.lists(st.integers(-50, 50)), st.integers(-50, 50))
def test_running_keys_never_fall(values: list[int], last: int) -> None:
    keys = running_keys(np.array(values, np.int64), last).tolist()
    reach, expected = last, []
    for value in values:
        reach = max(reach, value)
        expected.append(reach)
    assert keys == expected


@st.composite
def streams(draw: st.DrawFn) -> list[list[tuple[int, int, int]]]:
    rows = st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 3))
    count = draw(st.integers(1, 4))
    # keys rise within a stream; seq and id may do as they like
    return [sorted(draw(st.lists(rows, max_size=12)), key=lambda r: r[0]) for _ in range(count)]


def obvious(parts: list[list[tuple[int, int, int]]], ranks: list[int]) -> list[tuple[int, int]]:
    """Head against head: take the smallest (key, seq, id, rank of the stream)."""
    at = [0] * len(parts)
    out = []
    while any(at[s] < len(p) for s, p in enumerate(parts)):
        heads = [(p[at[s]], ranks[s], s) for s, p in enumerate(parts) if at[s] < len(p)]
        best = min(heads)[2]
        out.append((best, at[best]))
        at[best] += 1
    return out


@settings(max_examples=150, deadline=None)
@given(streams(), st.permutations(range(4)), st.integers(1, 9))
def test_the_merge_is_the_obvious_merge(
    parts: list[list[tuple[int, int, int]]], order: list[int], max_rows: int
) -> None:
    ranks = np.array(order[: len(parts)], np.int64)
    width = max(1, *(len(p) for p in parts))
    tables = np.zeros((3, len(parts), width), np.int64)
    for s, part in enumerate(parts):
        for i, row in enumerate(part):
            tables[:, s, i] = row
    pos = np.zeros(len(parts), np.int64)
    stop = np.array([len(p) for p in parts], np.int64)
    ended = np.ones(len(parts), np.int64)
    got: list[tuple[int, int]] = []
    while (pos < stop).any():
        run_stream, run_stop = np.zeros(max_rows, np.int64), np.zeros(max_rows, np.int64)
        at = pos.copy()
        runs = merge_runs(*tables, ranks, pos, stop, ended, max_rows, run_stream, run_stop)
        assert 0 < (pos - at).sum() <= max_rows
        for s, end in zip(run_stream[:runs].tolist(), run_stop[:runs].tolist(), strict=True):
            got += [(s, i) for i in range(at[s], end)]
            at[s] = end
    assert got == obvious(parts, ranks.tolist())


def test_the_merge_stops_where_a_stream_needs_its_next_block() -> None:
    keys = np.array([[1, 2, 9], [3, 4, 5]], np.int64)
    none, ranks = np.zeros((2, 0), np.int64), np.arange(2)
    pos, stop = np.zeros(2, np.int64), np.array([2, 3], np.int64)
    ended = np.array([0, 1], np.int64)
    run_stream, run_stop = np.zeros(9, np.int64), np.zeros(9, np.int64)
    assert merge_runs(keys, none, none, ranks, pos, stop, ended, 9, run_stream, run_stop) == 1
    assert pos.tolist() == [2, 0]
    assert merge_runs(keys, none, none, ranks, pos, stop, ended, 9, run_stream, run_stop) == 0
