"""Reads columns of a run's record tables, and keeps its statistics in a table of their own.

Owns the file ``<run>/statistics.parquet`` and the one figure, :class:`Statistic`, that it holds a
row of. It refuses to know how a figure is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import CorruptFileError, DataError
from data.events import RECORDS
from data.log.arrow import ints_of, one_chunk, text_array, texts_of
from data.runs import STATISTIC_COLUMNS, STATISTICS, Run

_TYPES = {"VARCHAR": pa.string(), "DOUBLE": pa.float64()}


@dataclass(frozen=True, slots=True)
class Statistic:
    """One figure of a run: ``value`` and the ends of its 95 % interval, None where there is none.

    ``unit`` is share, ratio, count, s, days, 1/day, bp or a currency; ``note`` says why there is no
    value, or what to bear in mind, and is empty where there is nothing to say; ``doc`` says what
    the figure is.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    note: str
    doc: str


assert tuple(f.name for f in fields(Statistic)) == tuple(c[0] for c in STATISTIC_COLUMNS)

SCHEMA = pa.schema(
    [pa.field(n, _TYPES[t], nullable=t == "DOUBLE") for n, t, _ in STATISTIC_COLUMNS]
)


def columns_of(run: Run, name: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of the record table ``name`` of ``run``, integers as stored; 0 where a run made by an
    older version has no such column.

    DataError where the file is missing, CorruptFileError where it cannot be read.
    """
    path = run.file(RECORDS[name].view)
    if not path.is_file():
        raise DataError(
            "a table of the run is missing", where=str(path), do="run the backtest again"
        )
    try:
        with pq.ParquetFile(path) as file:
            have = [column for column in wanted if column in file.schema_arrow.names]
            table = file.read(columns=have, use_threads=False)
            found = {column: ints_of(table.column(column)) for column in have}
            rows = table.num_rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _corrupt(path, error) from error
    return {c: found[c] if c in found else np.zeros(rows, dtype=np.int64) for c in wanted}


def write_statistics(folder: Path, statistics: Sequence[Statistic]) -> None:
    """Write ``statistics`` into the folder of a run."""
    arrays = [
        text_array([getattr(s, f.name) for s in statistics])
        if f.type == pa.string()
        else _float_array([getattr(s, f.name) for s in statistics])
        for f in SCHEMA
    ]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA)
    pq.write_table(table, folder / f"{STATISTICS}.parquet", compression="lz4")


def read_statistics(run: Run) -> list[Statistic] | None:
    """The statistics that ``run`` has on file; None where it was made before there were any.

    CorruptFileError where the file cannot be read.
    """
    path = run.file(STATISTICS)
    if not path.is_file():
        return None
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
            columns = [
                texts_of(table.column(f.name))
                if f.type == pa.string()
                else _floats_of(table.column(f.name))
                for f in SCHEMA
            ]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _corrupt(path, error) from error
    return [Statistic(*row) for row in zip(*columns, strict=True)]


def _float_array(values: Sequence[float | None]) -> pa.Array:
    """An Arrow array of doubles in which None is null."""
    there = np.array([v is not None for v in values], dtype=bool)
    numbers = np.array([0.0 if v is None else v for v in values], dtype=np.float64)
    bits = pa.py_buffer(np.packbits(there, bitorder="little").tobytes())
    return pa.Array.from_buffers(pa.float64(), len(values), [bits, pa.py_buffer(numbers)])


def _floats_of(column: pa.ChunkedArray) -> list[float | None]:
    values: list[float | None] = one_chunk(column).to_pylist()
    return values


def _corrupt(path: Path, error: Exception) -> CorruptFileError:
    return CorruptFileError(
        "a table of the run cannot be read",
        where=str(path),
        why=str(error),
        do="run the backtest again",
    )
