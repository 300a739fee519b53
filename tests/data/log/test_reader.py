"""Reading a range: the same events in the same order, however they are cut."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.events import EVENTS, Kind, Scales
from data.log import LogReader, LogStore
from data.log import files as files_module
from data.log.ahead import ahead
from tests.data.log.support import (
    DAY,
    MIDNIGHT,
    SCALES,
    SYMBOL,
    VENUE,
    Row,
    book,
    put,
    rows_of_batches,
    tapes,
    trade,
)

KINDS = [Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.BAR]
EVERYTHING = {kind: EVENTS[kind].names for kind in KINDS}


def expected_order(
    tape: dict[Kind, list[Row]], latency: dict[Kind, int], start: int | None, stop: int | None
) -> list[tuple[Kind, int]]:
    """(kind, id) by the total order, said as plainly as possible.

    Each stream stands sorted without latency; its key is the running maximum of its arrivals;
    then the heads of the streams are compared until all are used up.
    """
    queues: dict[Kind, list[tuple[tuple[int, int, int, int], int]]] = {}
    for kind, rows in tape.items():
        stored = sorted(rows, key=lambda r: (r["recv_ns"] or r["ts_ns"], r["seq"], r["id"]))
        reach = -(2**62)
        queues[kind] = []
        for row in stored:
            if (start is not None and row["ts_ns"] < start) or (
                stop is not None and row["ts_ns"] >= stop
            ):
                continue
            reach = max(reach, row["recv_ns"] or row["ts_ns"] + latency.get(kind, 0))
            queues[kind].append(((reach, row["seq"], int(kind), row["id"]), row["id"]))
    out = []
    while any(queues.values()):
        kind = min((q[0], k) for k, q in queues.items() if q)[1]
        out.append((kind, queues[kind].pop(0)[1]))
    return out


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tapes(KINDS), st.data())
def test_every_cut_of_the_reading_gives_the_total_order(
    tmp_path_factory: pytest.TempPathFactory, tape: dict[Kind, list[Row]], data: st.DataObject
) -> None:
    if not any(tape.values()):
        return
    # bars of one interval start are one bar: give each its own
    for i, row in enumerate(tape[Kind.BAR]):
        row["open_ns"] = MIDNIGHT - DAY + i
    store = LogStore(tmp_path_factory.mktemp("log"), create=True)
    for kind, rows in tape.items():
        put(store, kind, rows)
    latency = {kind: data.draw(st.integers(0, 5)) * 1_000 for kind in KINDS}
    edge = st.none() | st.integers(-7, 7).map(lambda k: MIDNIGHT + k * 1_000)
    start, stop = data.draw(edge), data.draw(edge)
    expected = expected_order(tape, latency, start, stop)
    if not expected:
        return
    for chunk in (1, data.draw(st.integers(2, 20)), 65_536):
        reader = LogReader(
            store, VENUE, SYMBOL, EVERYTHING, start, stop, latency, chunk, data.draw(st.booleans())
        )
        batches = list(reader)
        assert all(0 < b.rows <= chunk for b in batches)
        got = rows_of_batches(batches)
        assert [(k, r["id"]) for k, r in got] == expected
    originals = {(k, row["id"]): row for k, rows in tape.items() for row in rows}
    for kind, row in got:
        original = originals[kind, row["id"]]
        assert row == {name: original.get(name, 0) for name in row}


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 16 rows, so that a small log has many."""
    monkeypatch.setattr(files_module, "GROUP_ROWS", 16)
    monkeypatch.setattr(files_module, "GROUP_ROWS_DEPTH", 16)


@pytest.fixture
def days(tmp_path: Path, small_groups: None) -> LogStore:
    """Ten days of 64 trades and 32 books each, a second apart."""
    store = LogStore(tmp_path, create=True)
    seconds = 1_000_000_000
    with store.transaction() as tx:
        for day in range(10):
            start = MIDNIGHT + day * DAY
            index = np.arange(64)
            tape = {"ts_ns": start + index * seconds, "id": day * 64 + index + 1}
            tape |= {"price": index + 1, "qty": index + 1, "side": np.ones(64, int)}
            tx.merge(Kind.TRADE, VENUE, SYMBOL, tape, SCALES)
            half = index[:32]
            two = (np.repeat(half, 2) + 1, np.arange(0, 65, 2))
            books: dict[str, Any] = {"ts_ns": start + half * 2 * seconds, "id": half + 1}
            books |= dict.fromkeys(("bid_price", "bid_qty", "ask_price", "ask_qty"), two)
            tx.merge(Kind.DEPTH, VENUE, SYMBOL, books, SCALES)
    return store


@pytest.mark.usefixtures("small_groups")
def test_a_range_opens_only_its_files_and_row_groups(days: LogStore) -> None:
    start = MIDNIGHT + 3 * DAY + 20 * 10**9
    kinds = {Kind.TRADE: ("ts_ns", "price")}
    reader = LogReader(days, VENUE, SYMBOL, kinds, start, start + 10 * 10**9)
    got = [row["ts_ns"] for _, row in rows_of_batches(reader)]
    assert got == [start + k * 10**9 for k in range(10)]
    assert len(reader.entries) == 1
    counters = reader.counters
    assert (counters.files_read, counters.groups_read, counters.groups_skipped) == (1, 1, 3)
    assert (counters.rows_read, counters.rows_outside) == (16, 6)


def test_reading_again_gives_the_same(days: LogStore) -> None:
    kinds = {Kind.TRADE: ("id",), Kind.DEPTH: ("id", "bid_price", "ask_qty")}
    reader = LogReader(days, VENUE, SYMBOL, kinds)
    assert rows_of_batches(reader) == rows_of_batches(reader)
    assert reader.counters.rows_read == 10 * (64 + 32)


def test_arrays_are_what_numba_expects(days: LogStore) -> None:
    kinds = {Kind.TRADE: ("ts_ns", "price", "side", "tick"), Kind.DEPTH: ("bid_price", "bid_qty")}
    for ahead_too in (False, True):
        reader = LogReader(days, VENUE, SYMBOL, kinds, MIDNIGHT + 5, chunk_rows=7, ahead=ahead_too)
        for batch in reader:
            assert batch.run_kind.dtype == np.int8
            assert batch.run_stop.dtype == np.int64
            trades = batch.columns[Kind.TRADE]
            assert [trades[n].dtype.str[1:] for n in trades] == ["i8", "i8", "i1", "i1"]
            for table in batch.columns.values():
                for values in table.values():
                    assert values.flags.c_contiguous
                    assert values.flags.writeable
            offsets = batch.columns[Kind.DEPTH]["bid_offsets"]
            assert offsets.dtype == np.int64
            assert offsets[0] == 0
            assert offsets[-1] == len(batch.columns[Kind.DEPTH]["bid_qty"])


def test_a_kind_without_rows_is_there_and_empty(days: LogStore) -> None:
    kinds = {Kind.TRADE: ("price",), Kind.GAP: EVENTS[Kind.GAP].names, Kind.DEPTH: ("ask_price",)}
    batch = next(iter(LogReader(days, VENUE, SYMBOL, kinds, MIDNIGHT + 60 * 10**9 + 1)))
    gap = batch.columns[Kind.GAP]
    assert tuple(gap) == EVENTS[Kind.GAP].names
    assert all(len(values) == 0 for values in gap.values())
    assert gap["reason"].dtype == np.int8
    assert batch.columns[Kind.DEPTH]["ask_offsets"].tolist() == [0] or batch.rows


def test_scales_of_several_files_become_one(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, [trade(MIDNIGHT, id=1, price=15, qty=2)], Scales(1, 0))
    put(store, Kind.TRADE, [trade(MIDNIGHT + DAY, id=2, price=155, qty=2500)], Scales(2, 3))
    put(store, Kind.DEPTH, [book(MIDNIGHT, [(15, 1)], [(16, 1)], id=1)], Scales(1, 0))
    kinds = {Kind.TRADE: ("price", "qty"), Kind.DEPTH: ("bid_price", "bid_qty")}
    reader = LogReader(store, VENUE, SYMBOL, kinds)
    assert reader.scales == Scales(2, 3)
    got = [row for _, row in rows_of_batches(reader)]
    assert got == [
        {"price": 150, "qty": 2000},
        {"bid_price": [150], "bid_qty": [1000]},
        {"price": 155, "qty": 2500},
    ]


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tapes([Kind.TRADE, Kind.DEPTH]), st.data())
def test_overlapping_files_of_one_kind_are_merged(
    tmp_path_factory: pytest.TempPathFactory, tape: dict[Kind, list[Row]], data: st.DataObject
) -> None:
    """Hours sealed by sessions: several files a partition, in any overlap."""
    root = tmp_path_factory.mktemp("log")
    store = LogStore(root / "log", create=True)
    shares = {kind: [data.draw(st.integers(0, 2)) for _ in rows] for kind, rows in tape.items()}
    for share in range(3):
        part = LogStore(root / f"part{share}", create=True)
        for kind, rows in tape.items():
            put(part, kind, [r for r, s in zip(rows, shares[kind], strict=True) if s == share])
        for path in (root / f"part{share}").glob("kind=*/**/data.parquet"):
            target = root / "log" / path.relative_to(root / f"part{share}")
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target.with_name(f"part{share}.parquet"))
    expected = expected_order(tape, {}, None, None)
    if not expected:
        return
    kinds = {Kind.TRADE: ("id",), Kind.DEPTH: ("id", "bid_price", "ask_qty")}
    for chunk in (3, 1000):
        got = rows_of_batches(LogReader(store, VENUE, SYMBOL, kinds, chunk_rows=chunk))
        assert [(k, row["id"]) for k, row in got] == expected
    # and an import into such a partition makes one file of it
    put(store, Kind.TRADE, [trade(MIDNIGHT + 10**9, id=10**6)])
    names = [p.name for p in (root / "log").glob("kind=trade/**/date=2024-08-09/*.parquet")]
    assert names == ["data.parquet"]


def test_the_content_hash_tells_ranges_and_contents_apart(days: LogStore) -> None:
    kinds = {Kind.TRADE: ("id",)}

    def digest(*bounds: int) -> str:
        return LogReader(days, VENUE, SYMBOL, kinds, *bounds).content_hash()

    assert digest() == digest()
    assert digest(MIDNIGHT) != digest()
    before = digest()
    put(days, Kind.TRADE, [trade(MIDNIGHT + 5, id=10**6)])
    assert digest() != before


def test_nothing_in_the_range_is_an_error_that_says_what_is_there(days: LogStore) -> None:
    with pytest.raises(DataError, match="binance-um BTCUSDT") as caught:
        LogReader(days, "bybit", SYMBOL, {Kind.TRADE: ("id",)})
    assert caught.value.exit_code == 4
    with pytest.raises(DataError):
        LogReader(days, VENUE, SYMBOL, {Kind.TRADE: ("id",)}, MIDNIGHT + 20 * DAY)


def decoding_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "ofs-decode-ahead"]


def test_stopping_early_ends_the_thread(days: LogStore) -> None:
    reader = LogReader(days, VENUE, SYMBOL, {Kind.TRADE: ("id",)}, chunk_rows=4)
    passes = iter(reader)
    next(passes)
    assert len(decoding_threads()) == 1
    passes.close()
    assert decoding_threads() == []
    with pytest.raises(KeyboardInterrupt):
        for _ in reader:
            raise KeyboardInterrupt
    del passes
    assert decoding_threads() == []


def test_an_error_of_the_thread_comes_out_at_the_consumer() -> None:
    def broken() -> Any:
        yield 1
        raise DataError("broken here")

    items = ahead(broken)
    assert next(items) == 1
    with pytest.raises(DataError, match="broken here"):
        next(items)
    assert decoding_threads() == []


def test_no_more_than_the_depth_waits() -> None:
    made = []

    def count() -> Any:
        for i in range(100):
            made.append(i)
            yield i

    items = ahead(count, depth=2)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(made) <= 5  # one handed over, two waiting, one in hand, and one begun
    assert list(items) == list(range(1, 100))
