"""The performance monitor: real readings, a bounded memory, a table that can be asked."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.telemetry import COLUMNS, MONITOR, SESSIONS, add_rows, monitor_files
from engine.runtime.compose import compose
from engine.runtime.fold import cache_figures, load_module
from engine.runtime.monitor import KEPT, SUMMED, Monitor
from engine.runtime.view import View
from strategies import get
from tests.engine.runtime.pictures import T0, a_symbol, a_view

DAY_NS = 86_400 * 10**9


def test_a_reading_has_a_value_for_every_column(tmp_path: Path) -> None:
    monitor = Monitor(lambda: a_view(2), tmp_path, cache=lambda: (3, 1), wall_ns=lambda: 5)
    monitor.read()
    (row,) = monitor.snapshots()
    assert list(row) == [c.name for c in COLUMNS]
    assert (row["ts_ns"], row["wall_ns"], row["synced"], row["gaps_open"]) == (T0, 5, 1_000, 1)
    assert row["memory_mb"] > 20
    assert row["threads"] >= 1
    assert (row["engines"], row["lag_p99_ms"], row["cache_hits"]) == (2, 12.25, 3)
    assert monitor.latest.cache_hit_percent == 75


def test_checks_a_second_are_decisions() -> None:
    made = [0]

    def view() -> View:
        return replace(a_view(), symbols=(replace(a_symbol(), counts={"decision": made[0]}),))

    monitor = Monitor(view)
    time.sleep(0.05)
    made[0] = 100
    monitor.read()
    assert 100 / 30 < monitor.latest.checks_per_s <= 100 / 0.05


def test_a_hundred_readings_are_kept_and_summed_up() -> None:
    monitor = Monitor(a_view)
    for _ in range(KEPT + 5):
        monitor.read()
    assert len(monitor.snapshots()) == KEPT
    summary = monitor.summary()
    assert set(summary) == set(SUMMED)
    assert summary["lag_p99_ms"] == {"min": 12.25, "mean": 12.25, "max": 12.25, "last": 12.25}
    assert Monitor(a_view).summary() == {}


def test_the_thread_reads_and_the_end_writes(tmp_path: Path) -> None:
    monitor = Monitor(a_view, tmp_path, every_s=0.02)
    monitor.start()
    deadline = time.monotonic() + 5
    while len(monitor.snapshots()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    monitor.stop()
    (file,) = tmp_path.iterdir()
    assert file.name == "2026-01-05.parquet"
    assert pq.read_metadata(file).num_rows == len(monitor.snapshots()) >= 4


def test_a_disk_that_takes_nothing_is_counted_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "monitor"
    folder.write_text("in the way", encoding="utf-8")
    monitor = Monitor(a_view, folder)
    monitor.stop()
    assert monitor.failures == 1
    assert monitor.last_failure
    folder.unlink()
    monitor.write()
    assert pq.read_metadata(folder / "2026-01-05.parquet").num_rows == 1


def test_one_file_a_day_and_a_restart_adds_to_it(tmp_path: Path) -> None:
    monitor = Monitor(a_view)
    monitor.read()
    row = dict(monitor.snapshots()[0])
    folder = tmp_path / SESSIONS / "s" / MONITOR
    for n in range(3):
        add_rows(folder, [{**row, "ts_ns": T0 + n}, {**row, "ts_ns": T0 + DAY_NS + n}])
    assert [f.name for f in monitor_files(tmp_path)] == ["2026-01-05.parquet", "2026-01-06.parquet"]
    table = pq.read_table(monitor_files(tmp_path)[0])
    assert table["ts_ns"].to_pylist() == [T0, T0 + 1, T0 + 2]


def test_a_damaged_file_of_the_day_is_begun_anew(tmp_path: Path) -> None:
    monitor = Monitor(a_view)
    monitor.read()
    (tmp_path / "2026-01-05.parquet").write_bytes(b"no parquet")
    add_rows(tmp_path, monitor.snapshots())
    assert pq.read_metadata(tmp_path / "2026-01-05.parquet").num_rows == 1
    assert [p.suffix for p in tmp_path.iterdir()] == [".parquet"]


def test_what_the_system_keeps_to_itself_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    def denied() -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr("psutil.net_io_counters", denied)
    monitor = Monitor(a_view)
    monitor.read()
    assert monitor.latest.net_in_per_s is None
    assert monitor.failures == 0


def test_the_cache_is_that_of_compiled_folds() -> None:
    composition = compose(get("delta_flip"))
    load_module(composition)
    hits, misses = cache_figures()
    load_module(composition)
    assert cache_figures() == (hits + 1, misses)
    monitor = Monitor(a_view, cache=cache_figures)
    monitor.read()
    assert (monitor.latest.cache_hits, monitor.latest.cache_misses) == (hits + 1, misses)
