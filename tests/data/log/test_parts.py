"""A partition of several files reads as if it were one: the total order, whatever the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.events import EVENTS, Kind
from data.log import LogReader, LogStore
from tests.data.log.parts import split_store, splits, write_part
from tests.data.log.support import DAY, MIDNIGHT, SYMBOL, VENUE, rows_of_batches, tapes, trade
from tests.data.log.test_reader import KINDS, expected_order

EVERYTHING = {kind: EVENTS[kind].names for kind in KINDS}


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tapes(KINDS), st.data())
def test_any_split_into_files_reads_in_the_total_order(
    tmp_path_factory: pytest.TempPathFactory, tape: dict, data: st.DataObject
) -> None:
    for i, row in enumerate(tape[Kind.BAR]):
        row["open_ns"] = MIDNIGHT - DAY + i
    store = split_store(tmp_path_factory.mktemp("log"), tape, data.draw(splits(tape)))
    latency = {kind: data.draw(st.integers(0, 5)) * 1_000 for kind in KINDS}
    edge = st.none() | st.integers(-7, 7).map(lambda k: MIDNIGHT + k * 1_000)
    start, stop = data.draw(edge), data.draw(edge)
    expected = expected_order(tape, latency, start, stop)
    if not expected:
        return
    for chunk in (1, data.draw(st.integers(2, 20)), 65_536):
        reader = LogReader(store, VENUE, SYMBOL, EVERYTHING, start, stop, latency, chunk, False)
        got = rows_of_batches(reader)
        assert [(k, r["id"]) for k, r in got] == expected


def test_rows_without_an_id_keep_the_order_of_their_files_in_every_range(tmp_path: Path) -> None:
    """Which rows of one instant come first must not depend on where a range begins."""
    at = MIDNIGHT
    write_part(tmp_path, Kind.TRADE, [trade(at, price=1), trade(at + 10, price=2)], "a.parquet")
    write_part(tmp_path, Kind.TRADE, [trade(at + 5, price=3), trade(at + 20, price=4)], "b.parquet")
    write_part(
        tmp_path, Kind.TRADE, [trade(at + 12, price=5), trade(at + 20, price=6)], "c.parquet"
    )
    store = LogStore(tmp_path)

    def prices(start: int) -> list[int]:
        reader = LogReader(store, VENUE, SYMBOL, {Kind.TRADE: ("price",)}, start)
        return [row["price"] for _, row in rows_of_batches(reader)]

    assert prices(at) == [1, 3, 2, 5, 4, 6]
    assert prices(at + 11) == [5, 4, 6]


def test_a_latency_moves_no_row_within_its_kind(tmp_path: Path) -> None:
    """Rows with and without a receive time, in two files: ordered as one file would be."""
    stamped = trade(MIDNIGHT, recv_ns=MIDNIGHT + 500, seq=1, id=1)
    write_part(tmp_path, Kind.TRADE, [stamped, trade(MIDNIGHT + 900, id=3)], "a.parquet")
    archive = [trade(MIDNIGHT + 400, id=2), trade(MIDNIGHT + 600, id=4)]
    write_part(tmp_path, Kind.TRADE, archive, "b.parquet")
    reader = LogReader(
        LogStore(tmp_path), VENUE, SYMBOL, {Kind.TRADE: ("id",)}, latency_ns={Kind.TRADE: 1_000}
    )
    assert [row["id"] for _, row in rows_of_batches(reader)] == [2, 1, 4, 3]
