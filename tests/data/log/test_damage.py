"""Damaged files: each is named, none is believed, and the rest of the log stays readable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data.errors import CorruptFileError, DataError
from data.events import Kind, Scales
from data.log import LogReader, LogStore
from data.log.checks import Wanted, check_log
from tests.data.log.support import DAY, MIDNIGHT, SYMBOL, VENUE, put, rows_of_batches, trade

KINDS = {Kind.TRADE: ("ts_ns", "id", "price")}
BAD = "kind=trade/venue=binance-um/symbol=BTCUSDT/date=2024-08-10/data.parquet"


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    """Three days of trades; the second day's file is the one that suffers."""
    made = LogStore(tmp_path, create=True)
    for day in range(3):
        rows = [trade(MIDNIGHT + day * DAY + k, id=day * 100 + k + 1) for k in range(40)]
        put(made, Kind.TRADE, rows)
    return made


def damage(root: Path, how: str) -> None:
    path = root / BAD
    content = path.read_bytes()
    if how == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flip":
        path.write_bytes(content[:100] + bytes([content[100] ^ 4]) + content[101:])
    elif how == "other":
        path.write_bytes((root / BAD.replace("08-10", "08-11")).read_bytes())


@pytest.mark.parametrize("how", ["truncate", "empty", "flip", "other"])
def test_a_damaged_file_is_named_and_the_rest_is_readable(store: LogStore, how: str) -> None:
    assert store.storage.local is not None
    damage(store.storage.local, how)
    for fresh in (store, LogStore(store.storage.local)):
        with pytest.raises(CorruptFileError) as caught:
            rows_of_batches(LogReader(fresh, VENUE, SYMBOL, KINDS))
        assert BAD in str(caught.value)
        assert caught.value.exit_code == 4
        assert caught.value.do
        for start, stop in ((None, MIDNIGHT + DAY), (MIDNIGHT + 2 * DAY, None)):
            rows = rows_of_batches(LogReader(fresh, VENUE, SYMBOL, KINDS, start, stop))
            assert len(rows) == 40


def test_the_checks_go_on_past_damage(store: LogStore) -> None:
    assert store.storage.local is not None
    damage(store.storage.local, "flip")
    found = list(check_log(store))
    assert [(f.check, f.path) for f in found if f.check == "corrupt_file"] == [
        ("corrupt_file", BAD)
    ]
    holes = [f for f in found if f.check == "id_hole"]
    assert [(f.from_id, f.to_id, f.count) for f in holes] == [(40, 201, 160)]
    damage(store.storage.local, "truncate")
    found = list(check_log(store, Wanted(checks=("corrupt_file",))))
    assert [f.path for f in found] == [BAD]


def test_an_import_does_not_launder_damage(store: LogStore) -> None:
    assert store.storage.local is not None
    damage(store.storage.local, "flip")
    with pytest.raises(CorruptFileError, match="08-10"):
        put(store, Kind.TRADE, [trade(MIDNIGHT + DAY + 7, id=999)])
    damage(store.storage.local, "truncate")
    with pytest.raises(CorruptFileError, match="08-10"):
        put(store, Kind.TRADE, [trade(MIDNIGHT + DAY + 7, id=999)])


def test_damage_while_a_process_runs_is_seen(store: LogStore) -> None:
    """What was checked once is not believed for ever."""
    assert store.storage.local is not None
    rows_of_batches(LogReader(store, VENUE, SYMBOL, KINDS))
    rows_of_batches(LogReader(store, VENUE, SYMBOL, KINDS))
    path = store.storage.local / BAD
    before = path.stat()
    damage(store.storage.local, "flip")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(CorruptFileError):
        rows_of_batches(LogReader(store, VENUE, SYMBOL, KINDS))


@pytest.mark.campaign
def test_every_flipped_bit_is_detected(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, [trade(MIDNIGHT + k, id=k + 1) for k in range(3)], Scales(1, 1))
    path = next(tmp_path.glob("kind=*/**/*.parquet"))
    whole = path.read_bytes()
    reader = LogReader(store, VENUE, SYMBOL, KINDS, ahead=False)
    assert len(rows_of_batches(reader)) == 3
    undetected = []
    every = bool(os.environ.get("OFS_CAMPAIGN"))
    for bit in range(0, 8 * len(whole), 1 if every else 17):  # 17 visits all places in a byte
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        store.verified.clear()
        try:
            rows_of_batches(reader)
            undetected.append(bit)
        except CorruptFileError:
            pass
    assert undetected == []


@pytest.mark.campaign
def test_a_damaged_catalogue_is_named_and_can_be_made_again(store: LogStore) -> None:
    assert store.storage.local is not None
    path = store.storage.local / "catalogue.parquet"
    whole = path.read_bytes()
    expected = store.catalogue().entries
    every = bool(os.environ.get("OFS_CAMPAIGN"))
    for bit in range(0, 8 * len(whole), 1 if every else 97):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert store.catalogue().entries == expected
        except CorruptFileError as error:
            assert "catalogue.parquet" in str(error)
    for content in (b"", whole[: len(whole) // 2], b"PAR1" + b"\0" * 50 + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(CorruptFileError, match=r"catalogue\.parquet"):
            store.catalogue()
    path.unlink()
    assert store.catalogue().entries == expected


def test_a_file_that_does_not_belong_is_broken_not_believed(store: LogStore) -> None:
    assert store.storage.local is not None
    root = store.storage.local
    stray = root / "kind=trade/venue=binance-um/symbol=ETHUSDT/date=2024-08-10/data.parquet"
    stray.parent.mkdir(parents=True)
    stray.write_bytes((root / BAD).read_bytes())
    assert [b.why for b in store.catalogue().broken] == ["it holds binance-um BTCUSDT trade"]
    assert len(rows_of_batches(LogReader(store, VENUE, SYMBOL, KINDS))) == 120
    with pytest.raises(DataError, match="ETHUSDT"):
        LogReader(store, VENUE, "ETHUSDT", KINDS)


def test_a_file_that_went_away_leaves_the_catalogue(store: LogStore) -> None:
    assert store.storage.local is not None
    reader = LogReader(store, VENUE, SYMBOL, KINDS)
    (store.storage.local / BAD).unlink()
    with pytest.raises(DataError, match="is gone"):
        rows_of_batches(reader)
    assert [e.date for e in store.catalogue().entries] == ["2024-08-09", "2024-08-11"]
