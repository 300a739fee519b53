"""Where the records of a run go: Parquet tables, their digests, and the figures they add up to.

Owns the output tables of a run and their SHA-256. A digest is taken of each table's raw integers
in order, so it depends on what was decided and on nothing else: not on buffers, chunks or files.
It refuses to know what a record means beyond adding up money.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import CorruptFileError
from data.events import RECORDS, Table, arrow_schema, numpy_dtype
from data.log.arrow import int_array, ints_of

ROW_GROUP = 8_192
DIGESTED = ("signal", "decision", "order", "fill", "position")
"""Tables that the decision digest covers, in this order."""


class Digest:
    """SHA-256 of each record table as it streams by."""

    def __init__(self) -> None:
        self._hashes = {name: hashlib.sha256() for name in DIGESTED}
        self.rows = dict.fromkeys(RECORDS, 0)

    def take(self, name: str, rows: np.ndarray) -> None:
        """Fold ``rows`` (structured as RECORDS[name]) into the table's hash."""
        self.rows[name] += len(rows)
        if name in self._hashes:
            self._hashes[name].update(packed(RECORDS[name], rows))

    def copy(self) -> Digest:
        """A digest that goes on from here by itself."""
        other = Digest()
        other.rows = dict(self.rows)
        other._hashes = {name: h.copy() for name, h in self._hashes.items()}
        return other

    def marks(self) -> dict[str, str]:
        """The hash of each table so far, hex."""
        return {name: h.hexdigest() for name, h in self._hashes.items()}

    def hexdigest(self) -> str:
        """One hash over the hashes of all tables."""
        total = hashlib.sha256()
        for name in DIGESTED:
            total.update(self._hashes[name].digest())
        return total.hexdigest()


def packed(table: Table, rows: np.ndarray) -> bytes:
    """Bytes of ``rows`` without padding, fields in storage order, little endian."""
    dense = np.dtype([(f.name, "<" + f.dtype) for f in table.fields])
    out = np.empty(len(rows), dtype=dense)
    for f in table.fields:
        out[f.name] = rows[f.name]
    return out.tobytes()


class TableWriter:
    """Writes one record table as Parquet, in row groups of ROW_GROUP rows."""

    def __init__(self, path: Path, table: Table) -> None:
        self._table = table
        self._pending: list[np.ndarray] = []
        self._rows = 0
        self._schema = arrow_schema(table)
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="lz4",  # a sixth less CPU than zstd, a thirtieth more bytes
            use_dictionary=False,
            column_encoding={
                f.name: "DELTA_BINARY_PACKED" if f.dtype == "i8" else "PLAIN" for f in table.fields
            },
        )

    def take(self, rows: np.ndarray) -> None:
        """Buffer ``rows``; a full row group is written."""
        self._pending.append(rows)
        self._rows += len(rows)
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        rows = np.concatenate(self._pending)
        columns = [int_array(rows[f.name]) for f in self._table.fields]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._pending.clear()
        self._rows = 0

    def close(self) -> None:
        """Write what is buffered and the footer."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the file of a run that will not be kept."""
        self._writer.close()


class Totals:
    """Adds up the result of a run: money at 1e-8, counts."""

    def __init__(self) -> None:
        self.gross = 0
        self.fees = 0
        self.round_trips = 0
        self.wins = 0
        self.max_drawdown = 0
        self.last_equity: int | None = None
        self.start_equity: int | None = None

    def take(self, name: str, rows: np.ndarray) -> None:
        """Add up fills, positions and equity rows."""
        if name == "fill":
            self.gross += int(rows["pnl"].sum())
            self.fees += int(rows["fee"].sum())
        elif name == "position":
            closed = rows[rows["closed_ns"] != 0]
            self.round_trips += len(closed)
            self.wins += int((closed["net_pnl"] > 0).sum())
        elif name == "equity":
            self.max_drawdown = max(self.max_drawdown, int(rows["drawdown"].max()))
            self.last_equity = int(rows["equity"][-1])


class RunSink:
    """The sink of a backtest: tables into a folder, digest and totals on the way."""

    def __init__(self, folder: Path | None) -> None:
        self.digest = Digest()
        self.totals = Totals()
        self._tables = (
            {name: TableWriter(folder / f"{t.view}.parquet", t) for name, t in RECORDS.items()}
            if folder is not None
            else {}
        )

    def take(self, name: str, rows: np.ndarray) -> None:
        """Take drained records of table ``name``."""
        self.digest.take(name, rows)
        self.totals.take(name, rows)
        if name in self._tables:
            self._tables[name].take(rows)

    def close(self) -> None:
        """Finish every table."""
        for table in self._tables.values():
            table.close()

    def abandon(self) -> None:
        """Close the files of a run that will not be kept."""
        for table in self._tables.values():
            table.abandon()


def read_rows(path: Path, table: Table, batch_rows: int = 16_384) -> Iterator[np.ndarray]:
    """Yield structured arrays of a record table file, in order; CorruptFileError names it where
    it cannot be read.
    """
    dtype = numpy_dtype(table)
    for batch in _batches(path, batch_rows):
        rows = np.zeros(batch.num_rows, dtype=dtype)
        for f in table.fields:
            if f.name in batch.schema.names:
                rows[f.name] = ints_of(batch.column(f.name))
        yield rows


def _batches(path: Path, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Record batches of a Parquet file; every way of being damaged is one error."""
    try:
        yield from pq.ParquetFile(path).iter_batches(batch_rows)
    except (OSError, pa.ArrowException) as error:
        raise CorruptFileError(
            "a table of the run cannot be read",
            where=str(path),
            why=str(error),
            do="run the backtest again",
        ) from error
