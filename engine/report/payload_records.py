"""The records of a run as columns of a report: orders, fills, positions, decisions, equity.

Owns which records are shown when there are too many, and the units in which they cross over: times
in microseconds since the report's origin (-1 where there is none), prices and quantities in the
report's scales, statistics at 1e-4, money at 1e-8. What is left out is said in a note.

It refuses to know how a record is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.errors import DataError
from data.events import FP9, RECORDS, Scales, numpy_dtype
from data.runs import Run
from engine.report.encode import Packer
from engine.report.tables import columns_of
from engine.runtime.records import read_rows

DECISIONS_MAX = 20_000
EQUITY_MAX = 20_000
ROWS_MAX = 30_000
"""Most orders, fills, positions and signals that a report shows, each."""

RATIO_SCALE = 4
"""Statistics (fp9) are kept to this many decimals."""

_LEFT_OUT = {"decision": {"events", "grid_s"}}
_SPANS = {"latency_ns"}
_SLOW = {"ts_ns", "id", "price", "cvd", "balance", "equity", "decision_id", "order_id",
         "position_id", "active_ns", "done_ns", "known_ns", "cause_ts_ns", "cause_id",
         "closed_ns", "bid", "ask"}  # fmt: skip

Filter = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Frame:
    """What record units become: ``t0_ns`` is the origin of time, ``price_mul`` and ``qty_mul``
    raise the run's scales to the report's.
    """

    t0_ns: int
    price_mul: int = 1
    qty_mul: int = 1

    @staticmethod
    def of(t0_ns: int, run: Scales, shown: Scales) -> Frame:
        """The frame that raises scales ``run`` to ``shown``, which are not smaller."""
        return Frame(t0_ns, 10 ** (shown.price - run.price), 10 ** (shown.qty - run.qty))

    def micros(self, ns: np.ndarray) -> np.ndarray:
        """Microseconds since the origin; -1 for 0 ns, which means none."""
        return np.where(ns == 0, -1, (ns - self.t0_ns) // 1000)


def read_table(run: Run, name: str, keep: Filter | None = None) -> np.ndarray:
    """All rows of a record table, structured as RECORDS[name]; ``keep`` filters as it streams.

    A run without the file has no rows; CorruptFileError where it cannot be read.
    """
    table = RECORDS[name]
    path = run.file(table.view)
    parts = [np.zeros(0, numpy_dtype(table))]
    if path.is_file():
        parts += [rows if keep is None else rows[keep(rows)] for rows in read_rows(path, table)]
    return np.concatenate(parts)


def pack_table(packer: Packer, frame: Frame, name: str, rows: np.ndarray) -> None:
    """Add every column of a record table to ``packer`` as ``name.column``."""
    for field in RECORDS[name].fields:
        if field.name in _LEFT_OUT.get(name, ()):
            continue
        values = rows[field.name].astype(np.int64)
        if field.unit == "ns" and field.name in _SPANS:
            values = values // 1000
        elif field.unit == "ns":
            values = frame.micros(values)
        elif field.unit == "price":
            values = values * frame.price_mul
        elif field.unit == "qty":
            values = values * frame.qty_mul
        elif field.unit == "fp9":
            values = np.rint(values / (FP9 // 10**RATIO_SCALE)).astype(np.int64)
        packer.add(f"{name}.{field.name}", values, delta=field.name in _SLOW)


def decisions_of(run: Run, notes: list[str]) -> np.ndarray:
    """The decisions to show: all, or those that had an idea, or those that acted."""
    count = _count(run, "decision")
    if count <= DECISIONS_MAX:
        return read_table(run, "decision")
    rows = read_table(run, "decision", lambda r: (r["action"] != 0) | (r["direction"] != 0))
    shown = "those with a direction or an action"
    if len(rows) > DECISIONS_MAX:
        rows = rows[rows["action"] != 0]
        shown = "those that acted"
    rows = _capped(rows, "decisions that acted", notes)
    notes.append(
        f"Of {count:,} decisions, {shown} are shown ({len(rows):,}); all are in the run's table."
    )
    return rows


def prices_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(ts_ns, price) of every decision that knew a price; empty where the run has no such table."""
    if not run.file(RECORDS["decision"].view).is_file():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    table = columns_of(run, "decision", ("ts_ns", "price"))
    known = table["price"] > 0
    return table["ts_ns"][known], table["price"][known]


def equity_of(run: Run, span_ns: int, notes: list[str]) -> np.ndarray:
    """The equity rows to show: all, or the last of each ``span_ns`` with its largest drawdown."""
    rows = read_table(run, "equity")
    if len(rows) <= EQUITY_MAX:
        return rows
    slots = rows["ts_ns"] // span_ns
    starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
    thin = rows[np.append(starts[1:], len(rows)) - 1].copy()
    thin["drawdown"] = np.maximum.reduceat(rows["drawdown"], starts)
    thin = thin[:: -(-len(thin) // EQUITY_MAX)]
    notes.append(f"The equity curve shows {len(thin):,} of {len(rows):,} points.")
    return thin


def rows_of(run: Run, name: str, notes: list[str]) -> np.ndarray:
    """Rows of a record table, the first ROWS_MAX where there are more."""
    view = RECORDS[name].view
    if not run.file(view).is_file():
        notes.append(f"The run has no table of {view}.")
    return _capped(read_table(run, name), view, notes)


def _capped(rows: np.ndarray, what: str, notes: list[str]) -> np.ndarray:
    if len(rows) <= ROWS_MAX:
        return rows
    notes.append(f"Only the first {ROWS_MAX:,} of {len(rows):,} {what} are shown.")
    return rows[:ROWS_MAX]


def _count(run: Run, name: str) -> int:
    """Rows of a table, from its footer; 0 where there is no such file."""
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    path = run.file(RECORDS[name].view)
    if not path.is_file():
        return 0
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, ArrowException) as error:
        raise DataError(
            "a table of the run cannot be read",
            where=str(path),
            why=str(error),
            do="run the backtest again",
        ) from error
