"""Imports through the store: the log depends on what was imported, not on how."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.events import Kind, Scales
from data.ids import OPAQUE_ID
from data.log import LogReader, LogStore, MergeResult
from tests.data.log.support import (
    DAY,
    MIDNIGHT,
    SCALES,
    SYMBOL,
    VENUE,
    Row,
    book,
    columns,
    files_of,
    leftovers,
    put,
    rows_of_batches,
    tapes,
    trade,
)

ALL = {Kind.TRADE: ("ts_ns", "recv_ns", "seq", "id", "price", "qty", "side")}


@st.composite
def appearances(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """(what the log must hold, the same trades as several sources show them, shuffled).

    A trade comes once or more from an archive, from a recording, or from both; where a recording
    has it, its row is the one to keep. Some ids stand for two different trades.
    """
    truth = draw(tapes([Kind.TRADE]))[Kind.TRADE]
    for row in list(truth):
        if draw(st.integers(0, 9)) == 0:
            truth.append({**row, "price": row["price"] + 10, "recv_ns": 0, "seq": 0})
    shown = []
    for row in truth:
        shown += [row] * draw(st.integers(1, 2))
        if row["recv_ns"] and draw(st.booleans()):
            shown.append({**row, "recv_ns": 0, "seq": 0})
    return truth, draw(st.permutations(shown))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(appearances(), st.data())
def test_splits_and_orders_of_imports_leave_no_trace(
    tmp_path_factory: pytest.TempPathFactory, given_rows: Any, data: st.DataObject
) -> None:
    truth, shown = given_rows
    root = tmp_path_factory.mktemp("log")
    whole = LogStore(root / "whole", create=True)
    put(whole, Kind.TRADE, truth)
    parts = LogStore(root / "parts", create=True)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shown)), max_size=4)))
    edges = list(pairwise([0, *cuts, len(shown)]))
    total = MergeResult()
    if data.draw(st.booleans(), label="in one transaction"):
        with parts.transaction() as tx:
            for a, b in edges:
                piece = columns(Kind.TRADE, shown[a:b])
                total += tx.merge(Kind.TRADE, VENUE, SYMBOL, piece, SCALES)
    else:
        for a, b in edges:
            total += put(parts, Kind.TRADE, shown[a:b])
    assert files_of(parts) == files_of(whole)
    assert total.added == len(truth)
    assert total.added + total.duplicates == len(shown)
    assert total.conflicts == len(truth) - len({row["id"] for row in truth})


def test_importing_twice_rewrites_no_file(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    tape = [trade(MIDNIGHT + i, id=i + 1) for i in range(50)]
    books = [book(MIDNIGHT + i, [(5, 1)], [(6, 1)], id=i) for i in range(20)]
    assert put(store, Kind.TRADE, tape) == MergeResult(50, 0, 0)
    assert put(store, Kind.DEPTH, books) == MergeResult(20, 0, 0)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
    assert put(store, Kind.TRADE, tape) == MergeResult(0, 50, 0)
    assert put(store, Kind.DEPTH, books) == MergeResult(0, 20, 0)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")} == before
    assert leftovers(tmp_path) == []


def test_rows_go_to_the_day_of_their_arrival(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    tape = [
        trade(MIDNIGHT + 5, id=1, recv_ns=MIDNIGHT - 7, seq=1),
        trade(MIDNIGHT + 5, id=2),
        trade(MIDNIGHT - 1, id=3),
    ]
    put(store, Kind.TRADE, tape)
    entries = {e.date: e for e in store.catalogue().entries}
    assert {d: e.rows for d, e in entries.items()} == {"2024-08-08": 2, "2024-08-09": 1}
    first = entries["2024-08-08"]
    assert (first.min_ts_ns, first.max_ts_ns) == (MIDNIGHT - 1, MIDNIGHT + 5)
    assert (first.min_key_ns, first.max_key_ns) == (MIDNIGHT - 7, MIDNIGHT - 1)
    assert (first.min_id, first.max_id, first.has_recv, first.gaps) == (1, 3, True, 1)
    assert first.path == ("kind=trade/venue=binance-um/symbol=BTCUSDT/date=2024-08-08/data.parquet")


@pytest.mark.parametrize("recording_first", [True, False])
def test_a_trade_on_either_side_of_midnight_is_one_trade(
    tmp_path: Path, recording_first: bool
) -> None:
    store = LogStore(tmp_path, create=True)
    recorded = [trade(MIDNIGHT + 5, id=1, recv_ns=MIDNIGHT - 7, seq=1)]
    archive = [trade(MIDNIGHT + 5, id=1), trade(MIDNIGHT + 6, id=2)]
    imports = [recorded, archive] if recording_first else [archive, recorded]
    results = [put(store, Kind.TRADE, rows) for rows in imports]
    assert sum((r.added for r in results), 0) == 2
    assert sum((r.duplicates for r in results), 0) == 1
    assert {e.date: e.rows for e in store.catalogue().entries} == {
        "2024-08-08": 1,
        "2024-08-09": 1,
    }


def test_scales_are_raised_to_the_larger(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, [trade(MIDNIGHT, id=1, price=15, qty=2)], Scales(1, 0))
    same = put(store, Kind.TRADE, [trade(MIDNIGHT, id=1, price=150, qty=2000)], Scales(2, 3))
    assert same == MergeResult(0, 1, 0)
    assert store.catalogue().entries[0].scales == Scales(1, 0)
    put(store, Kind.TRADE, [trade(MIDNIGHT + 1, id=2, price=155, qty=2500)], Scales(2, 3))
    put(store, Kind.TRADE, [trade(MIDNIGHT + 2, id=3, price=16, qty=3)], Scales(1, 0))
    entry = store.catalogue().entries[0]
    assert entry.scales == Scales(2, 3)
    got = [r for _, r in rows_of_batches(LogReader(store, VENUE, SYMBOL, ALL))]
    assert [(r["price"], r["qty"]) for r in got] == [(150, 2000), (155, 2500), (160, 3000)]


def test_a_scale_that_would_overflow_is_refused_and_leaves_the_log_alone(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, [trade(MIDNIGHT, id=1, price=2**62)], Scales(0, 0))
    before = files_of(store)
    with pytest.raises(DataError, match=r"trade\.price overflows"):
        put(store, Kind.TRADE, [trade(MIDNIGHT + 1, id=2)], Scales(1, 0))
    assert files_of(store) == before
    assert leftovers(tmp_path) == []


def test_an_import_in_chunks_makes_the_file_of_an_import_in_one(tmp_path: Path) -> None:
    """Across row groups, forwards, backwards and interleaved."""
    n = 300_000
    index = np.arange(n)
    tape = {
        "ts_ns": MIDNIGHT + index // 3 * 1_000_000,
        "id": index + 1,
        "price": 100 + index % 7,
        "qty": 1 + index % 5,
        "side": np.where(index % 2, 1, -1),
    }
    ways = {
        "whole": [index],
        "forwards": np.array_split(index, 7),
        "backwards": np.array_split(index, 7)[::-1],
        "interleaved": [index[k::5] for k in range(5)],
        "again": [index[: n // 2], *np.array_split(index, 3)],
    }
    made = {}
    for name, parts in ways.items():
        store = LogStore(tmp_path / name, create=True)
        with store.transaction() as tx:
            for part in parts:
                some = {c: v[part] for c, v in tape.items()}
                tx.merge(Kind.TRADE, VENUE, SYMBOL, some, SCALES)
        made[name] = files_of(store)
    assert len(made["whole"]) == 1
    assert all(files == made["whole"] for files in made.values())


def test_days_far_apart_make_files_of_their_own(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, [trade(MIDNIGHT + k * DAY, id=k + 1) for k in range(5)])
    assert [e.rows for e in store.catalogue().entries] == [1] * 5
    assert store.series()[0].files == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ts_ns": np.array([0])}, "must be positive"),
        ({"seq": np.array([-1])}, "must not be negative"),
        ({"price": np.array([1.5])}, "expected integers"),
        ({"price": np.array([1, 2])}, "shape"),
        ({"side": np.array([300])}, "does not fit int8"),
        ({"colour": np.array([1])}, "no column colour"),
        ({"price": None}, "lack the column price"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    store = LogStore(tmp_path, create=True)
    given_columns = {**columns(Kind.TRADE, [trade(MIDNIGHT, id=1)]), **change}
    given_columns = {k: v for k, v in given_columns.items() if v is not None}
    with pytest.raises(DataError, match=message), store.transaction() as tx:
        tx.merge(Kind.TRADE, VENUE, SYMBOL, given_columns, SCALES)
    assert files_of(store) == {}


@pytest.mark.parametrize("symbol", ["", "A/B", "A B", "..", "a=b", "_x", "x*"])
def test_names_that_cannot_be_paths_are_refused(tmp_path: Path, symbol: str) -> None:
    store = LogStore(tmp_path, create=True)
    with pytest.raises(DataError, match="cannot name a symbol"):
        put(store, Kind.TRADE, [trade(MIDNIGHT, id=1)], symbol=symbol)


def test_rejects_are_kept_beside_the_log(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    for _ in range(2):
        with store.transaction() as tx:
            tx.attach("2024/a.csv", b"bad row\n")
    assert (tmp_path / "rejects/2024/a.csv").read_bytes() == b"bad row\n"
    with pytest.raises(DataError), store.transaction() as tx:
        tx.attach("../x", b"")
    assert not (tmp_path.parent / "x").exists()


def test_opaque_ids_across_days_and_chunks(tmp_path: Path) -> None:
    """An archive and a recording of the same trades, in chunks, over midnight: one row each."""
    store = LogStore(tmp_path, create=True)
    rng = np.random.default_rng(3)
    ids = (OPAQUE_ID + rng.permutation(400)).tolist()
    times = [MIDNIGHT + (i - 200) * 50_000_000 for i in range(400)]
    archive = [trade(t, id=n, price=100 + n % 7) for t, n in zip(times, ids, strict=True)]
    # seen 2 s later, so that some fall on the next day; the first ones half a minute late
    recorded = [
        {**row, "recv_ns": row["ts_ns"] + (40 if i < 9 else 2) * 10**9, "seq": i + 1}
        for i, row in enumerate(archive)
    ]
    for first in range(0, 400, 80):
        put(store, Kind.TRADE, archive[first : first + 80])
    for first in range(0, 400, 130):
        result = put(store, Kind.TRADE, recorded[first : first + 130])
        assert (result.added, result.conflicts) == (0, 0)
    summary = store.series()[0]
    assert (summary.rows, summary.gaps) == (400, 0)
    assert all(e.has_recv for e in store.catalogue().entries)
    before = files_of(store)
    assert put(store, Kind.TRADE, archive).added == 0
    assert put(store, Kind.TRADE, recorded).added == 0
    assert files_of(store) == before
