"""One Parquet file: its encodings, its size on real data, its memory, its versions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import CorruptFileError, DataError
from data.events import EVENTS, SCHEMA_VERSION, Kind, Scales, arrow_schema, file_metadata
from data.log import LogReader, LogStore
from data.log.columns import Rows, from_input
from data.log.files import FileReader, FileWriter
from data.log.storage import Storage
from tests.data.log.support import (
    MIDNIGHT,
    SCALES,
    SYMBOL,
    VENUE,
    book,
    columns,
    put,
    rows_of_batches,
    trade,
)
from tests.shared import shared_data


def write(path: Path, kind: Kind, groups: list[Rows]) -> FileReader:
    storage = Storage(path)
    sink, total = storage.open_output("x.parquet"), sum(rows.n for rows in groups)
    with FileWriter(sink, kind, VENUE, SYMBOL, SCALES, total) as writer:
        for rows in groups:
            writer.write(rows)
    return FileReader(storage.open_input("x.parquet"), "x.parquet")


BOOKS = [
    book(MIDNIGHT, [(9, 1), (8, 2)], [(10, 3)], id=1),
    book(MIDNIGHT + 1, [], [], id=2, recv_ns=5, seq=6),
    book(MIDNIGHT + 2, [(7, 4)], [(11, 5), (12, 6), (13, 7)], id=3),
]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_comes_back_as_it_was(tmp_path: Path, kind: Kind) -> None:
    if kind == Kind.DEPTH:
        rows = from_input(kind, columns(kind, BOOKS))
    else:
        given = {f.name: np.arange(1, 6, dtype=f.dtype) for f in EVENTS[kind].fields}
        rows = from_input(kind, given)
    reader = write(tmp_path, kind, [rows, rows.slice(1, 3)])
    assert (reader.rows, reader.groups) == (rows.n + 2, 2)
    assert reader.header.kind == kind
    assert (reader.header.venue, reader.header.symbol) == (VENUE, SYMBOL)
    assert reader.header.scales == SCALES
    for group, expected in enumerate((rows, rows.slice(1, 3))):
        got = reader.read(group, EVENTS[kind].names)
        assert list(got.columns) != []
        for name, values in expected.columns.items():
            assert got[name].tolist() == values.tolist()
            assert got[name].dtype == values.dtype


def test_some_columns_of_a_book(tmp_path: Path) -> None:
    reader = write(tmp_path, Kind.DEPTH, [from_input(Kind.DEPTH, columns(Kind.DEPTH, BOOKS))])
    got = reader.read(0, ("ask_qty", "seq"))
    assert {name: values.tolist() for name, values in got.columns.items()} == {
        "ask_qty": [3, 5, 6, 7],
        "ask_offsets": [0, 1, 1, 4],
        "seq": [0, 6, 0],
    }


def test_the_encodings_are_the_promised_ones(tmp_path: Path) -> None:
    write(tmp_path, Kind.DEPTH, [from_input(Kind.DEPTH, columns(Kind.DEPTH, BOOKS))])
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    for i in range(group.num_columns):
        column = group.column(i)
        assert "DELTA_BINARY_PACKED" in column.encodings, column.path_in_schema
        assert "PLAIN" not in column.encodings
        assert "PLAIN_DICTIONARY" not in column.encodings
        assert "RLE_DICTIONARY" not in column.encodings
        assert column.compression == "ZSTD"
        assert column.is_stats_set


def test_decoded_columns_share_arrows_memory(tmp_path: Path) -> None:
    tape = [trade(MIDNIGHT + k, id=k, price=k, side=k % 2) for k in range(100)]
    reader = write(tmp_path, Kind.TRADE, [from_input(Kind.TRADE, columns(Kind.TRADE, tape))])
    got = reader.read(0, ("price", "side"))
    for values in got.columns.values():
        assert not values.flags.owndata
        assert values.flags.writeable


def test_a_constant_column_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = [trade(MIDNIGHT + k, id=k, price=7) for k in range(10)]
    reader = write(tmp_path, Kind.TRADE, [from_input(Kind.TRADE, columns(Kind.TRADE, tape))])
    asked: list[list[str]] = []
    original = reader._file.read_row_group

    def spy(group: int, columns: list[str], use_threads: bool) -> Any:
        asked.append(columns)
        return original(group, columns=columns, use_threads=use_threads)

    monkeypatch.setattr(reader._file, "read_row_group", spy)
    got = reader.read(0, ("id", "price", "recv_ns", "tick"))
    assert asked == [["id"]]
    assert got["price"].tolist() == [7] * 10
    assert got["tick"].dtype == np.int8


def old_file(path: Path, lacking: set[str], version: int = 0) -> None:
    """A file as an older (or newer) ofs wrote it: another version, some columns not there."""
    table = EVENTS[Kind.TRADE]
    schema = arrow_schema(table)
    kept = [f for f in schema if f.name not in lacking]
    values = {f.name: pa.array([1, 2], f.type) for f in kept}
    values["ts_ns"] = pa.array([MIDNIGHT + 1, MIDNIGHT + 2], pa.int64())
    values["side"] = pa.array([1, -1], pa.int8())
    facts = file_metadata(Kind.TRADE, VENUE, SYMBOL, SCALES) | {"ofs.schema": str(version)}
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = pa.table(values, schema=pa.schema(kept)).replace_schema_metadata(facts)
    pq.write_table(whole, path)


PLACE = "kind=trade/venue=binance-um/symbol=BTCUSDT/date=2024-08-09/data.parquet"


def test_an_older_file_lacks_a_column_and_reads_as_zero(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    old_file(tmp_path / PLACE, {"tick", "recv_ns", "seq"})
    kinds = {Kind.TRADE: EVENTS[Kind.TRADE].names}
    got = [row for _, row in rows_of_batches(LogReader(store, VENUE, SYMBOL, kinds))]
    assert [(r["tick"], r["recv_ns"], r["side"]) for r in got] == [(0, 0, 1), (0, 0, -1)]
    assert store.catalogue().entries[0].schema == 0
    # an import into it writes the file anew, at the version of today
    put(store, Kind.TRADE, [trade(MIDNIGHT + 9, id=9, tick=2)])
    assert store.catalogue().entries[0].schema == SCHEMA_VERSION
    got = [row for _, row in rows_of_batches(LogReader(store, VENUE, SYMBOL, kinds))]
    assert [r["tick"] for r in got] == [0, 0, 2]


def test_an_older_book_may_lack_a_side_of_quantities(tmp_path: Path) -> None:
    rows = from_input(Kind.DEPTH, columns(Kind.DEPTH, BOOKS))
    write(tmp_path, Kind.DEPTH, [rows])
    table = pq.read_table(tmp_path / "x.parquet").drop_columns(["bid_qty"])
    facts = file_metadata(Kind.DEPTH, VENUE, SYMBOL, SCALES) | {"ofs.schema": "0"}
    pq.write_table(table.replace_schema_metadata(facts), tmp_path / "y.parquet")
    reader = FileReader(Storage(tmp_path).open_input("y.parquet"), "y")
    got = reader.read(0, ("bid_qty",))
    assert got["bid_qty"].tolist() == [0, 0, 0]
    assert got["bid_offsets"].tolist() == [0, 2, 2, 3]


def test_a_newer_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    old_file(tmp_path / PLACE, set(), SCHEMA_VERSION + 1)
    with pytest.raises(DataError, match="newer") as caught:
        FileReader(store.storage.open_input(PLACE), PLACE)
    assert "install" in caught.value.do
    with pytest.raises(DataError):
        LogReader(store, VENUE, SYMBOL, {Kind.TRADE: ("id",)})


def test_a_file_of_today_without_a_column_is_damaged(tmp_path: Path) -> None:
    old_file(tmp_path / "x.parquet", {"tick"}, SCHEMA_VERSION)
    with pytest.raises(CorruptFileError, match="lacks the column tick"):
        FileReader(Storage(tmp_path).open_input("x.parquet"), "x")


def test_any_other_parquet_file_is_no_file_of_a_log(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(CorruptFileError, match="no file of an ofs log"):
        FileReader(Storage(tmp_path).open_input("x.parquet"), "x")


def recorded_trades(path: Path, price_scale: int, qty_scale: int) -> dict[str, np.ndarray]:
    """The trades of a raw recording: ``<local time> <JSON>`` lines."""
    rows = []
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    for seq, line in enumerate(lines, 1):
        local, _, text = line.partition(" ")
        if "@trade" not in text:
            continue
        data = json.loads(text)["data"]
        unit = 1000 if len(local) == 16 else 1
        price = round(float(data["p"]) * 10**price_scale)
        qty = round(float(data["q"]) * 10**qty_scale)
        stamps = (data["T"] * 1_000_000, int(local) * unit, seq, data["t"])
        rows.append((*stamps, price, qty, -1 if data["m"] else 1))
    table = np.array(rows, np.int64)
    names = ("ts_ns", "recv_ns", "seq", "id", "price", "qty", "side")
    return {name: table[:, i] for i, name in enumerate(names)}


def bytes_a_row(tmp_path: Path, kind: Kind, given: dict[str, Any], scales: Scales) -> float:
    store = LogStore(tmp_path / kind.name, create=True)
    with store.transaction() as tx:
        tx.merge(kind, VENUE, SYMBOL, given, scales)
    (series,) = store.series()
    return series.bytes / series.rows


def test_a_trade_takes_at_most_6_bytes(tmp_path: Path) -> None:
    tape = recorded_trades(shared_data("binance-um/btcusdt_20240808.gz"), 1, 3)
    assert len(tape["id"]) == 21_313
    size = bytes_a_row(tmp_path, Kind.TRADE, tape, Scales(1, 3))
    assert size <= 6, size


def test_a_trade_of_a_quiet_symbol_takes_at_most_9_bytes(tmp_path: Path) -> None:
    names = ("nexousdt_20240723.dat.gz", "nexousdt_20240724.dat.gz")
    parts = [recorded_trades(shared_data(f"binance-spot/{name}"), 4, 2) for name in names]
    tape = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert len(tape["id"]) == 12_458
    size = bytes_a_row(tmp_path, Kind.TRADE, tape, Scales(4, 2))
    assert size <= 9, size


def test_a_book_of_20_levels_takes_at_most_90_bytes(tmp_path: Path) -> None:
    path = shared_data("depth1000/lobdeep_btc_fut_2026-02-16_04.parquet")
    table = pq.read_table(path)
    n = table.num_rows
    offsets = np.arange(0, 20 * n + 1, 20)
    given: dict[str, Any] = {
        "ts_ns": table["exch_ts_ms"].to_numpy() * 1_000_000,
        "recv_ns": table["ts_ms"].to_numpy() * 1_000_000,
        "seq": np.arange(1, n + 1) * 3,
        "id": table["seq"].to_numpy(),
    }
    for column, name, scale in (
        ("bids_px", "bid_price", 10),
        ("bids_qty", "bid_qty", 1000),
        ("asks_px", "ask_price", 10),
        ("asks_qty", "ask_qty", 1000),
    ):
        levels = np.array([level[:20] for level in table[column].to_pylist()])
        given[name] = (np.round(levels * scale).astype(np.int64).ravel(), offsets)
    size = bytes_a_row(tmp_path, Kind.DEPTH, given, Scales(1, 3))
    assert size <= 90, size
