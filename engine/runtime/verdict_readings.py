"""Reads the monitor's table of a session: what it cost and how far it lagged, reading by reading.

Owns which columns of ``monitor/*.parquet`` a verdict needs. What must hold: readings come in order
of time; a session without the table has no readings, which is said, not guessed.

It refuses to know what a reading is good enough for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import CorruptFileError
from engine.runtime.verdict import Readings

MB = 1e6
COLUMNS = (
    "ts_ns", "events_per_s", "cpu_percent", "memory_mb", "disk_free_bytes", "lag_p50_ms",
    "lag_p99_ms", "decision_p99_ms", "venue_lag_p99_ms",
)  # fmt: skip


def readings_of(folder: Path) -> Readings | None:
    """The readings in ``folder``; None where there are none.

    CorruptFileError where a file of the table cannot be read or lacks a column.
    """
    parts = [_columns(path) for path in sorted(folder.glob("*.parquet"))]
    columns = {name: np.concatenate([p[name] for p in parts]) for name in COLUMNS} if parts else {}
    if not parts or not len(columns["ts_ns"]):
        return None
    order = np.argsort(columns["ts_ns"], kind="stable")
    c = {name: values[order] for name, values in columns.items()}
    return Readings(
        c["ts_ns"].astype(np.int64),
        c["events_per_s"],
        c["cpu_percent"] / 100,
        c["memory_mb"] * MB,
        c["disk_free_bytes"],
        c["lag_p50_ms"],
        c["lag_p99_ms"],
        c["decision_p99_ms"],
        c["venue_lag_p99_ms"],
    )


def _columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of one file as float64, times as int64."""
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(columns=list(COLUMNS), use_threads=False)
            found = {name: table.column(name).to_numpy(zero_copy_only=False) for name in COLUMNS}
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise CorruptFileError("the monitor's table cannot be read", where=str(path),
                               why=str(error), do="leave the gates on resources off, or delete it",
                               ) from error  # fmt: skip
    return {
        name: values.astype(np.int64 if name == "ts_ns" else np.float64)
        for name, values in found.items()
    }
