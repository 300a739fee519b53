"""Two tables of records side by side, row by row, until they differ.

Owns the comparison that ``ofs verify`` (a run and a fold) and ``ofs diff`` (two runs) share. What
must hold: memory is bounded by the portions that are handed in; a table is compared up to its first
difference and not beyond; a column that a recorded file lacks (it is older) is not compared.

It refuses to know where rows come from and how a difference is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import CorruptFileError, DataError
from data.events import ENUMS, Table, numpy_dtype
from data.runs import Run
from data.times import format_utc
from engine.runtime.records import read_rows


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first row in which two tables differ.

    ``left`` and ``right`` are structured records; one of them is None where only the other table
    goes on. ``fields`` names the columns that differ, none where a row is missing.
    """

    table: Table
    row: int
    left: Any
    right: Any
    fields: tuple[str, ...]

    @property
    def time_ns(self) -> int:
        """Market time of the earlier of the two rows."""
        return min(int(r["ts_ns"]) for r in (self.left, self.right) if r is not None)

    def number(self, column: str) -> int:
        """Value of ``column`` in the right row, else the left; 0 where the table has none."""
        record = self.right if self.right is not None else self.left
        return int(record[column]) if column in self.table.names else 0


class Comparison:
    """Compares two tables that come in portions of equal length, the last one aside."""

    def __init__(self, table: Table, columns: tuple[str, ...] | None = None) -> None:
        self.table = table
        self.columns = table.names if columns is None else columns
        self.first: Mismatch | None = None
        self._row = 0

    def take(self, left: np.ndarray, right: np.ndarray) -> None:
        """Compare the next rows (structured arrays); a shorter side has come to its end."""
        if self.first is not None:
            return
        n = min(len(left), len(right))
        same = np.ones(n, dtype=bool)
        for name in self.columns:
            same &= left[name][:n] == right[name][:n]
        if not same.all():
            at = int(np.argmin(same))
            fields = tuple(c for c in self.columns if left[c][at] != right[c][at])
            self.first = Mismatch(self.table, self._row + at, left[at], right[at], fields)
        elif len(left) > n:
            self.first = Mismatch(self.table, self._row + n, left[n], None, ())
        elif len(right) > n:
            self.first = Mismatch(self.table, self._row + n, None, right[n], ())
        self._row += n


class RecordedRows:
    """Recorded rows of one table of a run, taken in any portions.

    DataError where the run lacks the table, CorruptFileError where it cannot be read.
    """

    def __init__(self, recorded: Run, table: Table) -> None:
        path = recorded.file(table.view)
        self._batches: Iterator[np.ndarray] = iter(())
        self._rest = np.zeros(0, dtype=numpy_dtype(table))
        self.columns: tuple[str, ...] = ()
        self.lacking: tuple[str, ...] = ()
        if not path.is_file() and recorded.manifest.get("schema", 1) < table.since:
            self.rows = 0
            return  # a run of an older version: there was nothing to write
        if not path.is_file():
            raise DataError(
                "a table of the run is missing", where=str(path), do="run the backtest again"
            )
        self.rows, stored = _facts(path)
        self.columns = tuple(name for name in table.names if name in stored)
        self.lacking = tuple(name for name in table.names if name not in stored)
        self._batches = read_rows(path, table)

    def next(self, n: int) -> np.ndarray:
        """The next ``n`` rows, fewer at the end."""
        parts = [self._rest]
        have = len(self._rest)
        while have < n:
            batch = next(self._batches, None)
            if batch is None:
                break
            parts.append(batch)
            have += len(batch)
        rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
        self._rest = rows[n:]
        return rows[:n]


def _facts(path: Any) -> tuple[int, set[str]]:
    """Rows and columns of a table file."""
    try:
        found = pq.read_metadata(path)
        return int(found.num_rows), set(found.schema.to_arrow_schema().names)
    except (OSError, pa.ArrowException) as error:
        raise CorruptFileError(
            "a table of the run cannot be read",
            where=str(path),
            why=str(error),
            do="run the backtest again",
        ) from error


def stored_text(table: Table, column: str, value: Any) -> str:
    """A stored integer as text: times in ISO 8601, enums by name, all else as it is."""
    unit = table.field(column).unit
    if unit == "ns":
        return format_utc(int(value)) if int(value) else "0"
    if unit.startswith("enum:"):
        enum = ENUMS[unit[5:]]
        return enum(int(value)).name if int(value) in set(enum) else str(int(value))
    return str(int(value))
