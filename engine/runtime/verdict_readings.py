"""Reads what a session measured of itself: its monitor's table, and how late it was.

Owns which columns of the monitor's table a verdict needs, and where each kind of lateness is read.
What must hold: readings come in order of time; a session without the table has no readings, which
is said, not guessed.

It refuses to know what a reading is good enough for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import CorruptFileError, DataError
from data.events import Kind
from data.log import LogReader, LogStore
from data.runs import Run
from engine.runtime.lags import Lags
from engine.runtime.session_state import read_snapshot, snapshots
from engine.runtime.verdict import Lag, Readings

MB = 1e6
MINUTE_NS = 60_000_000_000
BEHIND = "the clock is behind, which is taken out minute by minute"
COLUMNS = (
    "ts_ns", "wall_ns", "cpu_percent", "memory_mb", "disk_free", "events_per_s", "checks_per_s",
    "lag_p50_ms", "lag_p99_ms", "decision_p50_ms", "decision_p99_ms",
)  # fmt: skip
"""Columns of :data:`data.telemetry.COLUMNS` that are read."""

_TIMED = {
    "lag": ("events_per_s", "lag_p50_ms", "lag_p99_ms", "receipt to fold"),
    "decision_lag": ("checks_per_s", "decision_p50_ms", "decision_p99_ms", "receipt to decision"),
}
"""By gate: what a reading stands for, its median, its 99th percentile, and what that times."""

_KEPT = {"lag": "lag", "decision_lag": "decision"}
"""By gate: the name under which a snapshot keeps its histogram."""

Table = dict[str, np.ndarray]


def monitored(folder: Path) -> Table | None:
    """The columns of the monitor's table in ``folder``, in order of time; None where it is empty.

    CorruptFileError where a file of it cannot be read or lacks a column.
    """
    parts = [_columns(path) for path in sorted(folder.glob("*.parquet"))]
    if not parts or not sum(len(part["ts_ns"]) for part in parts):
        return None
    columns = {name: np.concatenate([p[name] for p in parts]) for name in COLUMNS}
    order = np.argsort(columns["ts_ns"], kind="stable")
    return {name: values[order] for name, values in columns.items()}


def _columns(path: Path) -> Table:
    """The columns of one file as float64, times as int64."""
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(columns=list(COLUMNS), use_threads=False)
            found = {name: table.column(name).to_numpy() for name in COLUMNS}
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise CorruptFileError("the monitor's table cannot be read", where=str(path),
                               why=str(error), do="move the file away",
                               ) from error  # fmt: skip
    return {
        name: values.astype(np.int64 if name.endswith("_ns") else np.float64)
        for name, values in found.items()
    }


def histograms(state: Path) -> dict[str, Any]:
    """Histograms of the whole session by gate, of its latest snapshot in ``state`` that is whole;
    empty where there is none."""
    for path in snapshots(state):
        try:
            extra = read_snapshot(path).facts.get("extra", {})
        except CorruptFileError:
            continue  # the one before it is kept for this
        return {gate: extra[name] for gate, name in _KEPT.items() if name in extra}
    return {}


def readings_of(table: Table, starts_ns: Sequence[int]) -> Readings:
    """What the session cost; ``starts_ns`` are the wall times (ns UTC) at which it was started."""
    return Readings(
        table["ts_ns"],
        np.searchsorted(np.array(starts_ns, dtype=np.int64), table["wall_ns"], side="right"),
        table["cpu_percent"] / 100,
        table["memory_mb"] * MB,
        table["disk_free"],
    )


def lags_of(table: Table | None, kept: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, Lag]:
    """Every lateness that is known, by gate.

    ``kept`` are histograms of the whole session by gate (:meth:`engine.runtime.lags.Lags.facts`);
    where there is none, the readings tell, each weighed by how much it stands for. What the venue
    was late stands in the log: receipt less the venue's time of each trade.
    """
    found = {}
    for gate, (weight, p50, p99, of) in _TIMED.items():
        if isinstance(kept.get(gate), dict):
            found[gate] = _lag(Lags.of(kept[gate]), of)
        elif table is not None and table[weight].sum() > 0:
            w = table[weight]
            middle = weighted_quantile(table[p50], w, 0.5)
            high = weighted_quantile(table[p99], w, 0.99)
            found[gate] = Lag(len(w), middle, high, f"{of}; of {len(w)} readings")
    found["venue_lag"] = _lag(venue_lags(runs), "the venue's time to receipt, of trades")
    return found


def _lag(lags: Lags, of: str) -> Lag:
    early = f"; {lags.negative:,} came before their time: {BEHIND}" * bool(lags.negative)
    p50, p99 = (lags.percentile_ms(share) for share in (0.5, 0.99))
    return Lag(lags.count, p50, p99, f"{of}{early}")


def venue_lags(runs: Sequence[Run]) -> Lags:
    """How long after the venue's time each trade of the logs of ``runs`` was received.

    Where trades came before their time this machine's clock was behind, by that much at least: it
    is taken out, minute by minute. A clock that is ahead cannot be told from a late venue.
    """
    found = Lags()
    for run in runs:
        m = run.manifest
        wanted = {Kind.TRADE: ("ts_ns", "recv_ns")}
        try:
            reader = LogReader(LogStore(m["log"]["path"]), m["venue"], m["symbol"], wanted)
        except CorruptFileError:
            raise
        except DataError:
            continue  # no trade was recorded, or parity says that the log is gone
        for batch in reader:
            c = batch.columns[Kind.TRADE]
            received = c["recv_ns"] > 0
            late = (c["recv_ns"] - c["ts_ns"])[received]
            found.negative += int((late < 0).sum())
            found.add(late - _behind(late, c["recv_ns"][received] // MINUTE_NS))
    return found


def _behind(late: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """The least of ``late`` (ns) in each run of one ``minute``, where it is below zero; else 0."""
    if not len(late):
        return late
    first = np.flatnonzero(np.diff(minute, prepend=minute[0] - 1))
    least = np.minimum(np.minimum.reduceat(late, first), 0)
    return np.repeat(least, np.diff(first, append=len(late)))


def weighted_quantile(x: np.ndarray, weight: np.ndarray, q: float) -> float:
    """The smallest value of ``x`` at or below which a share ``q`` of the ``weight`` lies."""
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(weight[order])
    at = int(np.searchsorted(reached, q * reached[-1], side="left"))
    return float(x[order][min(at, len(x) - 1)])
