"""Sealing: a session's events become shared files, once, and read as they were admitted."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data.errors import DataError
from data.events import Kind
from data.log import LogReader, LogStore
from data.log import seal as module
from data.log.compact import compact, plan_compaction
from data.log.seal import seal, sealed_upto
from tests.data.log.sealing import (
    SECOND,
    SERIES,
    groups_of,
    of_symbol,
    read,
    sealed,
    session,
)
from tests.data.log.support import MIDNIGHT, VENUE, dying_at_move, leftovers, put, trade

SYMBOLS = [s.symbol for s in SERIES]


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path / "log", create=True)


def root_of(store: LogStore) -> Path:
    assert store.storage.local is not None
    return store.storage.local


def data_files(store: LogStore) -> list[str]:
    root = root_of(store)
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*.parquet"))[1:]


def same_when_learned_anew(store: LogStore) -> bool:
    """What the catalogue says is what the files say."""
    known = store.catalogue()
    (root_of(store) / "catalogue.parquet").unlink()
    return LogStore(root_of(store)).catalogue().entries == known.entries


def test_a_session_reads_as_it_was_admitted(store: LogStore) -> None:
    events = session()
    sealed(store, events)
    for symbol in SYMBOLS:
        assert read(store, symbol) == of_symbol(events, symbol)
    reader = LogReader(store, VENUE, "ETHUSDT", {Kind.TRADE: ("price",)})
    assert reader.scales == SERIES[1].scales
    assert sealed_upto(store, "s1") == len(events)
    assert same_when_learned_anew(store)
    assert not leftovers(root_of(store))


def test_one_file_a_kind_and_day_for_all_symbols(store: LogStore) -> None:
    """Midnight falls into the sealing: the rows go by the UTC date of their receive time."""
    events = session(40, start=MIDNIGHT - 20 * SECOND)
    done = seal(store, "s1", SERIES, groups_of(events), 40)
    kinds = {kind for kind, _, _ in events}
    assert len(done.files) == len(data_files(store)) == 2 * len(kinds)
    assert done.rows == 40
    assert done.last_recv_ns == events[-1][2]["recv_ns"]
    for entry in store.catalogue().entries:
        days = {"2024-08-08": (0, MIDNIGHT - 1), "2024-08-09": (MIDNIGHT, 2 * MIDNIGHT)}
        low, high = days[entry.date]
        assert low <= entry.min_key_ns <= entry.max_key_ns <= high
    sizes = sum((root_of(store) / f).stat().st_size for f in data_files(store))
    assert done.bytes == sizes
    assert sum(e.bytes for e in store.catalogue().entries) == pytest.approx(sizes, rel=0.01)


def test_memory_is_bounded_and_does_not_show(store: LogStore) -> None:
    events = session()
    seal(store, "s1", SERIES, groups_of(events), 300, hold_bytes=3_000)
    for symbol in SYMBOLS:
        assert read(store, symbol) == of_symbol(events, symbol)


def test_sealing_again_seals_nothing(store: LogStore) -> None:
    """A process that dies after the commit hands over the same groups again."""
    events = session()
    groups = groups_of(events)
    seal(store, "s1", SERIES, groups, 155)
    files = data_files(store)
    again = seal(store, "s1", SERIES, groups, 155)
    assert (again.rows, again.last_seq, again.files) == (0, 155, ())
    assert data_files(store) == files
    seal(store, "s1", SERIES, groups, 300)
    assert read(store, "BTCUSDT") == of_symbol(events, "BTCUSDT")


def test_the_note_and_the_files_are_one_commit(store: LogStore) -> None:
    """Whatever step of the commit it dies at: before or after, never between."""
    events = session(60)
    groups = groups_of(events)
    seal(store, "s1", SERIES, groups, 20)
    deaths = 0
    for die_at in range(1, 12):
        try:
            with dying_at_move(store, die_at):
                seal(store, "s1", SERIES, groups, 60)
        except KeyboardInterrupt:
            deaths += 1
            upto = sealed_upto(store, "s1")
            assert upto in (20, 60)
            rows = sum(e.rows for e in store.catalogue().entries)
            assert rows == upto
    assert deaths
    seal(store, "s1", SERIES, groups, 60)
    assert read(store, "XRPUSDT") == of_symbol(events, "XRPUSDT")


def test_a_missing_event_is_an_error(store: LogStore) -> None:
    groups = groups_of(session())
    with pytest.raises(DataError, match="11 to 20"):
        seal(store, "s1", SERIES, [groups[0], *groups[2:]], 300)
    with pytest.raises(DataError, match="291 to 300"):
        seal(store, "s1", SERIES, groups[:-1], 300)
    assert sealed_upto(store, "s1") == 0
    assert not leftovers(root_of(store))


def test_a_receive_time_that_falls_is_an_error(store: LogStore) -> None:
    events = session()
    events[200][2]["recv_ns"] -= 100 * SECOND
    with pytest.raises(DataError, match="order of arrival"):
        seal(store, "s1", SERIES, groups_of(events), 300)


@pytest.mark.parametrize("symbol", ["BTCUSDT", None])
def test_a_compaction_takes_shares_out(store: LogStore, symbol: str | None) -> None:
    events = session(start=MIDNIGHT - 100 * SECOND)
    sealed(store, events)
    done = list(compact(store, plan_compaction(store.catalogue(), symbol=symbol)))
    assert not any(d.error or d.duplicates for d in done)
    for name in SYMBOLS:
        assert read(store, name) == of_symbol(events, name)
    assert same_when_learned_anew(store)
    left = [f for f in data_files(store) if f.startswith("sealed")]
    assert bool(left) == (symbol is not None)
    assert not list(compact(store, plan_compaction(store.catalogue(), symbol=symbol)))


def test_an_old_catalogue_brings_no_row_back(store: LogStore) -> None:
    sealed(store, session())
    old = (root_of(store) / "catalogue.parquet").read_bytes()
    rows = len(read(store, "BTCUSDT"))
    list(compact(store, plan_compaction(store.catalogue(), symbol="BTCUSDT")))
    (root_of(store) / "catalogue.parquet").write_bytes(old)
    assert len(read(store, "BTCUSDT")) == rows


def test_fetched_rows_join_a_share(store: LogStore) -> None:
    """A fill over REST: rows without a receive time, some of which the session has."""
    events = session()
    sealed(store, events)
    have = [row for kind, row in of_symbol(events, "BTCUSDT") if kind == Kind.TRADE]
    bare = {"recv_ns": 0, "seq": 0}
    fetched = [{**row, **bare} for row in have[:20]]
    fetched += [trade(have[0]["ts_ns"] + i, id=10_000 + i) for i in range(5)]
    result = put(store, Kind.TRADE, fetched)
    assert (result.added, result.duplicates, result.conflicts) == (5, 20, 0)
    rows = [row for kind, row in read(store, "BTCUSDT") if kind == Kind.TRADE]
    assert [r for r in rows if r["seq"]] == have
    assert len(rows) == len(have) + 5
    assert same_when_learned_anew(store)
    for name in SYMBOLS[1:]:
        assert read(store, name) == of_symbol(events, name)
    assert put(store, Kind.TRADE, fetched).added == 0


def test_memory_is_let_go(store: LogStore) -> None:
    """What is handed over as an iterator is not kept: only what waits to be written is."""
    events = session(200)
    seen = 0

    def one_by_one():  # type: ignore[no-untyped-def]
        nonlocal seen
        for group in groups_of(events):
            seen += 1
            yield group

    module.seal(store, "s1", SERIES, one_by_one(), 105)
    assert seen == 11


class Filling(io.RawIOBase):
    """A file on a disk that has room for some bytes."""

    def __init__(self, path: Path, room: list[int]) -> None:
        self._file = path.open("wb")
        self._room = room

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._room[0] -= len(data)
        if self._room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()
        super().close()


@pytest.mark.parametrize("room", [0, 100, 4_000, 8_000, 12_000])
def test_a_full_disk_seals_nothing_and_later_all(
    store: LogStore, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    events = session(60)
    groups = groups_of(events)
    seal(store, "s1", SERIES, groups, 20)
    before = data_files(store)
    left = [room]

    def open_output(path: str) -> Any:
        target = root_of(store) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return pa.PythonFile(Filling(target, left), mode="w")

    monkeypatch.setattr(store.storage, "open_output", open_output)
    with pytest.raises(OSError, match="No space left") as caught:
        seal(store, "s1", SERIES, groups, 60)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert data_files(store) == before and not leftovers(root_of(store))
    assert sealed_upto(store, "s1") == 20
    seal(store, "s1", SERIES, groups, 60)
    for symbol in SYMBOLS:
        assert read(store, symbol) == of_symbol(events, symbol)
