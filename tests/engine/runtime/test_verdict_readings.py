"""What a session measured of itself, read back: the monitor's table, histograms, and the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import CorruptFileError
from data.events import Kind, Scales
from data.log import LogStore
from data.runs import Run
from data.telemetry import COLUMNS as TELEMETRY
from data.telemetry import add_rows
from engine.runtime.lags import Lags
from engine.runtime.session_state import Snapshot, snapshots, write_snapshot
from engine.runtime.verdict_readings import (
    COLUMNS,
    _behind,
    histograms,
    lags_of,
    monitored,
    readings_of,
    weighted_quantile,
)

SECOND = 1_000_000_000


def rows(n: int, **changes: Any) -> list[dict[str, Any]]:
    """Readings a minute apart, as the monitor writes them."""
    usual = dict.fromkeys((c.name for c in TELEMETRY), 1)
    return [usual | {"ts_ns": k * 60 * SECOND} | changes for k in range(n)]


def test_the_columns_are_those_that_the_monitor_writes() -> None:
    assert set(COLUMNS) <= {c.name for c in TELEMETRY}


def test_readings_of_all_days_come_in_order(tmp_path: Path) -> None:
    assert monitored(tmp_path) is None
    add_rows(tmp_path, rows(2000, cpu_percent=50.0, memory_mb=3.0, open_files=None))
    table = monitored(tmp_path)
    assert table is not None and len(list(tmp_path.iterdir())) == 2
    readings = readings_of(table, [])
    assert (np.diff(readings.ts_ns) == 60 * SECOND).all() and len(readings.ts_ns) == 2000
    assert set(readings.start) == {0}
    assert readings.cpu[0] == 0.5 and readings.memory[0] == 3e6
    (tmp_path / "1970-01-03.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptFileError) as caught:
        monitored(tmp_path)
    assert caught.value.where.endswith("1970-01-03.parquet")


def test_a_reading_belongs_to_the_process_that_read_it(tmp_path: Path) -> None:
    add_rows(tmp_path, [r | {"wall_ns": 10 + k} for k, r in enumerate(rows(5))])
    table = monitored(tmp_path)
    assert table is not None
    assert readings_of(table, [9, 12, 99]).start.tolist() == [1, 1, 2, 2, 2]


def test_a_reading_weighs_what_it_stands_for(tmp_path: Path) -> None:
    calm = rows(95, lag_p99_ms=5.0, events_per_s=1000.0)
    late = rows(5, lag_p99_ms=500.0, events_per_s=1.0)
    add_rows(tmp_path, calm + late)
    assert lags_of(monitored(tmp_path), {}, [])["lag"].p99_ms == 5.0
    add_rows(tmp_path, rows(2, lag_p99_ms=700.0, events_per_s=1000.0))
    assert lags_of(monitored(tmp_path), {}, [])["lag"].p99_ms == 700.0


def test_a_histogram_of_the_whole_session_goes_before_readings(tmp_path: Path) -> None:
    lags = Lags()
    lags.add(np.arange(1, 1001) * 1_000_000)
    add_rows(tmp_path, rows(9, decision_p99_ms=3.0))
    found = lags_of(monitored(tmp_path), {"lag": lags.facts(), "decision_lag": None}, [])
    assert found["lag"].count == 1000
    assert found["lag"].p50_ms == pytest.approx(500, rel=0.04)
    assert found["decision_lag"].p99_ms == 3.0
    assert "lag" not in lags_of(None, {}, [])


def test_histograms_are_those_of_the_latest_whole_snapshot(tmp_path: Path) -> None:
    assert histograms(tmp_path) == {}
    for seq in (1, 2):
        lags = Lags()
        lags.add(np.full(seq, 7_000_000))
        extra = {"lag": lags.facts(), "decision": lags.facts(), "recent": []}
        write_snapshot(tmp_path, Snapshot(seq, {"extra": extra}, {"BTCUSDT": b"state"}))
    assert lags_of(None, histograms(tmp_path), [])["lag"].count == 2
    last = snapshots(tmp_path)[0]
    last.write_bytes(last.read_bytes()[:-1] + b"!")
    found = lags_of(None, histograms(tmp_path), [])
    assert found["lag"].count == found["decision_lag"].count == 1


def test_what_the_venue_was_late_stands_in_the_log(tmp_path: Path) -> None:
    n = 100
    ts_ns = np.arange(1, n + 1, dtype=np.int64) * SECOND
    late = np.full(n, 40_000_000)
    late[:2] = (900_000_000, -5_000_000)
    received = ts_ns + late
    received[50:] = 0  # filled later: it was never received
    columns = {"ts_ns": ts_ns, "recv_ns": received, "seq": np.where(received > 0, ts_ns, 0),
               "id": ts_ns // SECOND, "price": ts_ns, "qty": ts_ns,
               "side": np.ones(n, np.int8), "tick": np.zeros(n, np.int8)}  # fmt: skip
    with LogStore(tmp_path / "log", create=True).transaction() as change:
        change.merge(Kind.TRADE, "binance-um", "BTCUSDT", columns, Scales(0, 0))
    log = {"log": {"path": str(tmp_path / "log")}, "venue": "binance-um"}
    run, other = (Run("r", tmp_path, {**log, "symbol": s}) for s in ("BTCUSDT", "ETHUSDT"))
    lag = lags_of(None, {}, [run, other])["venue_lag"]
    assert lag.count == 50 and "1 came before" in lag.of
    assert lag.p50_ms == pytest.approx(45, rel=0.04)
    assert lag.p99_ms == pytest.approx(905, rel=0.04)


def test_a_clock_that_is_behind_hides_no_lateness() -> None:
    """Clocks of real recorders were 1.3 s behind: nothing then comes after its time."""
    late = np.array([20, 30, 900, 25, 20, 40], dtype=np.int64)
    clock = np.array([-1300, -1300, -1300, -1301, -1301, 0])
    minute = np.array([1, 1, 1, 2, 2, 3])
    taken_out = late + clock - _behind(late + clock, minute)
    assert taken_out.tolist() == [0, 10, 880, 5, 0, 40]
    assert _behind(late[:0], minute[:0]).tolist() == []


def test_a_weighted_quantile_is_a_value_that_is_there() -> None:
    x, w = np.array([3.0, 1.0, 2.0]), np.array([1.0, 98.0, 1.0])
    assert [weighted_quantile(x, w, q) for q in (0.5, 0.98, 0.99, 1.0)] == [1.0, 1.0, 2.0, 3.0]
