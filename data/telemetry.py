"""The table in which a session keeps what it cost: one row a reading of its performance monitor.

Owns the columns, and writing and finding the files
(``<runs>/_sessions/<session>/monitor/<UTC day>.parquet``). What must hold: a file is whole or not
there (written beside and renamed), there is one a day, and a restart on the same day adds to it.

It refuses to know who measures.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data.busy import replace
from data.live.session_folder import SESSIONS

if TYPE_CHECKING:
    import pyarrow as pa

MONITOR = "monitor"
"""Folder of the table inside a session's folder, and the name of its view."""


class MonitorColumn(NamedTuple):
    """Name, whether it is a whole number, and what it means."""

    name: str
    whole: bool
    doc: str


COLUMNS: tuple[MonitorColumn, ...] = (
    MonitorColumn("ts_ns", True, "session time of the reading, ns UTC"),
    MonitorColumn("wall_ns", True, "wall time of the reading, ns UTC"),
    MonitorColumn("cpu_percent", False, "CPU of the process, percent of one core"),
    MonitorColumn("memory_mb", False, "resident memory, MB"),
    MonitorColumn("threads", True, "threads of the process"),
    MonitorColumn("open_files", True, "open files and sockets, NULL where not told"),
    MonitorColumn("net_in_per_s", False, "bytes a second into this machine"),
    MonitorColumn("net_out_per_s", False, "bytes a second out of this machine"),
    MonitorColumn("disk_read_per_s", False, "bytes a second that the process read from disk"),
    MonitorColumn("disk_write_per_s", False, "bytes a second that the process wrote to disk"),
    MonitorColumn("disk_free", True, "bytes free where the log lies"),
    MonitorColumn("log_bytes", True, "bytes of the log"),
    MonitorColumn("journal_bytes", True, "bytes of the journal"),
    MonitorColumn("disk_level", True, "0: all is recorded; more: kinds left out to save space"),
    MonitorColumn("engines", True, "folds that run"),
    MonitorColumn("checks_per_s", False, "decisions a second"),
    MonitorColumn("cache_hits", True, "folds that were found compiled"),
    MonitorColumn("cache_misses", True, "folds that had to be compiled"),
    MonitorColumn("events", True, "events admitted since the session began"),
    MonitorColumn("events_per_s", False, "events a second"),
    MonitorColumn("frames_per_s", False, "messages a second"),
    MonitorColumn("lag_p50_ms", False, "half of the events were folded within, ms"),
    MonitorColumn("lag_p99_ms", False, "99 % of the events were folded within, ms"),
    MonitorColumn("decision_p50_ms", False, "half of the decisions were made within, ms"),
    MonitorColumn("decision_p99_ms", False, "99 % of the decisions were made within, ms"),
    MonitorColumn("sync_p99_ms", False, "99 % of the syncs of the journal took at most, ms"),
    MonitorColumn("connections", True, "open connections"),
    MonitorColumn("disconnects", True, "connections lost since the session began"),
    MonitorColumn("queued", True, "messages that wait"),
    MonitorColumn("dropped", True, "messages dropped since the session began"),
    MonitorColumn("gaps", True, "holes since the session began"),
    MonitorColumn("gaps_filled", True, "holes that were filled"),
    MonitorColumn("gaps_open", True, "holes that are open now"),
    MonitorColumn("admitted", True, "last seq in the queue"),
    MonitorColumn("written", True, "last seq handed to the operating system"),
    MonitorColumn("synced", True, "last seq on the disk, which is what counts"),
    MonitorColumn("sealed", True, "last seq in Parquet"),
    MonitorColumn("checkpointed", True, "last seq in a snapshot"),
)
"""Columns in storage order."""

Row = Mapping[str, Any]


def schema() -> pa.Schema:
    """Arrow schema of the table; a value that nobody can tell is NULL."""
    import pyarrow as pa

    return pa.schema([(c.name, pa.int64() if c.whole else pa.float64()) for c in COLUMNS])


def add_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Add ``rows`` (in order of time) to the files of their days in ``folder``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    days: dict[str, list[Row]] = {}
    for row in rows:
        day = datetime.fromtimestamp(row["ts_ns"] // 1_000_000_000, UTC)
        days.setdefault(f"{day:%Y-%m-%d}", []).append(row)
    for day_name, of_day in days.items():
        path = folder / f"{day_name}.parquet"
        table = pa.Table.from_pylist([dict(row) for row in of_day], schema=schema())
        if (kept := _kept(path)) is not None:
            table = pa.concat_tables([kept, table])
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            with beside.open("wb") as file:
                pq.write_table(table, file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def _kept(path: Path) -> pa.Table | None:
    """What the file of that day holds; None where there is none that can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read().select(schema().names).cast(schema())
    except (OSError, KeyError, pa.ArrowException):
        return None


def monitor_files(runs: Path) -> list[Path]:
    """Every file of the table of every session below the folder of runs."""
    return sorted(runs.glob(f"{SESSIONS}/*/{MONITOR}/*.parquet"))
