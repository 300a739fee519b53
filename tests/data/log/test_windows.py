"""The log where an open file can be neither replaced nor removed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from data import busy
from data.errors import LockedError
from data.events import Kind
from data.log import LogReader, LogStore
from data.log.checks import check_log
from data.log.compact import compact, plan_compaction
from data.log.journal import pending
from data.log.prune import Limits, plan_pruning, prune
from tests.data.log.parts import write_part
from tests.data.log.support import (
    DAY,
    MIDNIGHT,
    SYMBOL,
    VENUE,
    book,
    leftovers,
    put,
    rows_of_batches,
    trade,
)
from tests.data.log.windows import windows_log

COLUMNS = {Kind.TRADE: ("ts_ns", "id", "price")}
NS = 1_000_000_000


def trades(first: int, n: int = 300) -> list[dict[str, int]]:
    return [trade(MIDNIGHT + (first + i) * NS, id=first + i) for i in range(n)]


def reader(store: LogStore) -> LogReader:
    return LogReader(store, VENUE, SYMBOL, COLUMNS, chunk_rows=10, ahead=False)


def test_the_log_holds_no_file_open_that_it_replaces(tmp_path: Path) -> None:
    """Imports that merge into files that are there, checks and whole passes: nothing is refused."""
    store, there = windows_log(tmp_path)
    for first in (1, 200, 100):
        put(store, Kind.TRADE, trades(first))
        put(store, Kind.DEPTH, [book(MIDNIGHT + first * NS, [(9, 1)], [(11, 1)])])
        assert len(rows_of_batches(reader(store))) == sum(
            e.rows for e in store.catalogue().entries if e.kind == Kind.TRADE
        )
        list(check_log(store))
    assert there.refused == 0 and there.open_files() == []
    assert leftovers(tmp_path) == []
    assert sum(e.rows for e in store.catalogue().entries if e.kind == Kind.TRADE) == 499


def test_compaction_and_retention_replace_nothing_that_they_hold_open(tmp_path: Path) -> None:
    store, there = windows_log(tmp_path)
    put(store, Kind.TRADE, trades(1))
    write_part(tmp_path, Kind.TRADE, trades(301, 20), "hour-23.parquet")
    plan = plan_compaction(store.catalogue())
    assert plan.tasks, "two files of one day"
    list(compact(store, plan))
    assert [e.rows for e in store.catalogue().entries] == [320]
    prune(store, plan_pruning(store, Limits(keep_ns=1), MIDNIGHT + 9 * DAY))
    assert store.catalogue().entries == []
    assert there.refused == 0 and there.open_files() == [] and leftovers(tmp_path) == []


def test_an_import_waits_for_a_reader_to_let_go(tmp_path: Path) -> None:
    store, there = windows_log(tmp_path)
    put(store, Kind.TRADE, trades(1))
    batches = iter(reader(store))
    next(batches)
    assert there.open_files(), "the reader is in the middle of the file"
    threading.Timer(0.3, batches.close).start()  # type: ignore[attr-defined]
    put(store, Kind.TRADE, trades(500))
    assert there.refused > 0, "it was in the way for a while"
    assert len(rows_of_batches(reader(store))) == 600


def test_a_reader_that_stays_is_named_and_the_change_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "WAIT_S", 0.2)
    monkeypatch.setattr("data.log.store.COMMIT_WAIT_S", 0.1)
    store, there = windows_log(tmp_path)
    put(store, Kind.TRADE, trades(1))
    batches = iter(reader(store))
    next(batches)
    with pytest.raises(LockedError, match="is being read") as error:
        put(store, Kind.TRADE, trades(500))
    assert "data.parquet" in error.value.where and "committed" in error.value.do
    assert pending(store.storage)
    with pytest.raises(LockedError):
        store.catalogue()  # half of a commit is never shown
    batches.close()  # type: ignore[attr-defined]
    assert len(rows_of_batches(reader(store))) == 600, "the next reader finishes it"
    assert not pending(store.storage) and leftovers(tmp_path) == []
    assert there.open_files() == []


def test_a_catalogue_that_is_being_read_is_kept_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "WAIT_S", 0.1)
    store, there = windows_log(tmp_path)
    put(store, Kind.TRADE, trades(1))
    (tmp_path / "catalogue.parquet").unlink()
    put(store, Kind.TRADE, trades(500))
    with there.open_input_file("catalogue.parquet"):
        next((tmp_path / "kind=trade").rglob("*.parquet")).unlink()
        assert store.catalogue().entries == []
    assert store.catalogue().entries == []


def test_patience_is_only_for_files_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waiting cannot mend is not waited for."""
    monkeypatch.setattr(busy.time, "sleep", lambda _s: pytest.fail("it waits"))

    def missing() -> None:
        raise FileNotFoundError(2, "No such file")

    def forbidden() -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(FileNotFoundError):
        busy.patiently(missing)
    with pytest.raises(PermissionError):
        busy.patiently(forbidden)
