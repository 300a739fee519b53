"""One Parquet file of the log: how it is encoded, and how its columns come back without a copy.

Owns the physical layout. Every integer column, list items included, is DELTA_BINARY_PACKED and
then zstd; there is no dictionary; statistics stand on every row group. Measured on BTCUSDT
recordings: 5.3 B a trade with receive time and sequence, 54 B a 20-level book; decoding five trade
columns gives 50 M rows/s, books 2 M rows/s, on one core. zstd level 3 is within 4 % of level 9 in
size at two and a half times its speed. Row groups of 131,072 rows (4,096 books) decode to a few MB.
A sparse file (a quiet symbol's day) is decoded in a millisecond whatever its encoding, so there
level 15 and PLAIN quantities take the last 4 %: 8.9 B a trade on NEXOUSDT.

What must hold: the reader knows this schema version and every older one (a column that an old file
lacks is 0), and refuses a newer one. Anything pyarrow cannot make sense of is a CorruptFileError
that names the file.

It refuses to know about partitions, order and the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from dataclasses import field as default
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import CorruptFileError, DataError
from data.events import (
    EVENTS,
    KIND_BY_NAME,
    SCHEMA_VERSION,
    Kind,
    Scales,
    arrow_schema,
    file_metadata,
)
from data.log.arrow import arrow_type, int_array, ints_of, list_array, lists_of
from data.log.columns import Rows, offsets_name
from data.log.footers import metadata_of

ZSTD_LEVEL = 3
ZSTD_LEVEL_SPARSE = 15
SPARSE_ROWS = 16_384
GROUP_ROWS = 131_072
GROUP_ROWS_DEPTH = 4_096

_COMMON_SINCE_START = frozenset({"ts_ns"})
"""Columns without which a file of any version makes no sense."""


_COMPACTED = "ofs.compacted_from"

SHARES = "ofs.shares"
"""Key under which a shared file names its symbols, their scales and their row groups."""

_RESTORE = (
    "restore the file from a copy, or delete it and import its source again; "
    "the rest of the log stays readable"
)


def group_rows(kind: Kind) -> int:
    """Rows a row group of ``kind``."""
    return GROUP_ROWS_DEPTH if kind == Kind.DEPTH else GROUP_ROWS


@dataclass(frozen=True, slots=True)
class Share:
    """What a file that several symbols share holds of one: its scales, numbers of row groups, and
    the shares that it was made from, as in :class:`Header`."""

    scales: Scales
    groups: tuple[int, ...]
    compacted_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """What the key-value metadata of a file says of it.

    ``compacted_from`` names, by :func:`short_hash`, the files whose rows a compaction put here.
    ``shares`` are there, by symbol, where several symbols share the file (``symbol`` is then that
    of the share that was asked for, or empty).
    """

    schema: int
    kind: Kind
    venue: str
    symbol: str
    scales: Scales
    compacted_from: tuple[str, ...] = ()
    shares: Mapping[str, Share] = default(default_factory=dict)


@contextmanager
def corrupt_file(where: str, do: str = "") -> Iterator[None]:
    """Turns what pyarrow raises on a damaged file into a CorruptFileError naming ``where``."""
    try:
        yield
    except (OSError, pa.ArrowException, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise damaged(where, str(error).split("\n")[0], do or _RESTORE) from error


def short_hash(sha256: str) -> str:
    """The half of a file's sha256 (hex) by which a compacted file names it: 128 bits."""
    return sha256[:32]


def damaged(where: str, why: str, do: str = _RESTORE) -> CorruptFileError:
    """The error for a file that cannot be used."""
    return CorruptFileError(f"cannot read {where}", where=where, why=why, do=do)


def arrays_of(rows: Rows) -> list[pa.Array]:
    """The columns of the schema, in its order, over the arrays of ``rows``; nothing copied."""
    columns = []
    for field, column in zip(EVENTS[rows.kind].fields, _schema(rows.kind), strict=True):
        if field.is_list:
            offsets = rows[offsets_name(field.name)]
            columns.append(list_array(rows[field.name], offsets, column.type))
        else:
            columns.append(int_array(rows[field.name]))
    return columns


def to_table(rows: Rows) -> pa.Table:
    """Arrow table over the arrays of ``rows`` (all columns of the schema), nothing copied."""
    return pa.Table.from_arrays(arrays_of(rows), schema=_schema(rows.kind))


@cache
def _schema(kind: Kind) -> pa.Schema:
    return arrow_schema(EVENTS[kind])


def rows_of(kind: Kind, decoded: pa.Table | pa.RecordBatch, columns: Sequence[str]) -> Rows:
    """The named columns of an Arrow table as :class:`Rows` over the table's own memory.

    ValueError where a value is missing or the sides of a book do not fit together.
    """
    out: dict[str, np.ndarray] = {}
    for name in columns:
        if EVENTS[kind].field(name).is_list:
            _add_list(out, name, decoded[name])
        else:
            out[name] = ints_of(decoded[name])
    return Rows(kind, decoded.num_rows, out)


class FileWriter:
    """Writes one file of ``total`` rows, row group by row group, to a pyarrow stream ``sink``.

    Use it as a context manager: leaving it without an error writes the footer. ``compacted_from``
    goes into the file's :class:`Header`.
    """

    def __init__(
        self,
        sink: Any,
        kind: Kind,
        venue: str,
        symbol: str,
        scales: Scales,
        total: int,
        compacted_from: Sequence[str] = (),
    ) -> None:
        table = EVENTS[kind]
        sparse = total < SPARSE_ROWS
        leaves = [f.name + ".list.element" if f.is_list else f.name for f in table.fields]
        encodings = dict.fromkeys(leaves, "DELTA_BINARY_PACKED")
        if sparse:
            encodings |= {f.name: "PLAIN" for f in table.fields if f.unit == "qty"}
        self._sink = sink
        self._writer = pq.ParquetWriter(
            sink,
            arrow_schema(table),
            compression="zstd",
            compression_level=ZSTD_LEVEL_SPARSE if sparse else ZSTD_LEVEL,
            use_dictionary=False,
            column_encoding=encodings,
            write_statistics=True,
            store_schema=False,
        )
        facts = file_metadata(kind, venue, symbol, scales)
        if compacted_from:
            facts[_COMPACTED] = " ".join(compacted_from)
        self._writer.add_key_value_metadata(facts)

    def write(self, rows: Rows) -> None:
        """Append ``rows`` as one row group."""
        self._writer.write_table(to_table(rows), row_group_size=max(rows.n, 1))

    def __enter__(self) -> FileWriter:
        """The writer itself."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write the footer unless there was an error; close the stream either way."""
        if error is None:
            self._writer.close()
        self._writer.is_open = False  # else its destructor writes a footer to a closed stream
        self._sink.close()


class FileReader:
    """Reads one file from an open pyarrow file ``source``; ``where`` is its name in messages.

    ``share`` names the symbol of a shared file whose rows are meant: the file then reads as if it
    held nothing else.
    """

    def __init__(self, source: Any, where: str, share: str = "") -> None:
        self._where = where
        with corrupt_file(where):
            known = metadata_of(source) if share else None
            self._file = pq.ParquetFile(source, metadata=known, memory_map=False, pre_buffer=False)
            self._meta = self._file.metadata
            self._leaf = {
                self._meta.schema.column(i).path.split(".")[0]: i
                for i in range(self._meta.num_columns)
            }
        self.header = _header(self._meta.metadata or {}, where)
        self._at: Sequence[int] = range(self._meta.num_row_groups)
        self._check_columns()
        if share:
            self._narrow(share)

    @property
    def rows(self) -> int:
        """Rows in the file."""
        if isinstance(self._at, range):
            return self._meta.num_rows
        return sum(self.group_size(group) for group in range(self.groups))

    @property
    def groups(self) -> int:
        """Row groups in the file."""
        return len(self._at)

    @property
    def numbers(self) -> Sequence[int]:
        """Which row groups of the file itself these are."""
        return self._at

    def group_size(self, group: int) -> int:
        """Rows in a row group."""
        return self._meta.row_group(self._at[group]).num_rows

    def extents(self) -> list[tuple[int, int]]:
        """Where the bytes of each row group lie: (first, one behind the last)."""
        with corrupt_file(self._where):
            return [_extent(self._meta.row_group(number)) for number in self._at]

    def has(self, column: str) -> bool:
        """True when the file holds ``column`` (an older schema may not)."""
        return column in self._leaf

    def bounds(self, group: int, column: str) -> tuple[int, int] | None:
        """Smallest and largest value of a scalar column in a row group; None where not known."""
        if column not in self._leaf:
            return 0, 0
        stats = self._meta.row_group(self._at[group]).column(self._leaf[column]).statistics
        if stats is None or not stats.has_min_max:
            return None
        return int(stats.min), int(stats.max)

    def read(self, group: int, columns: Sequence[str]) -> Rows:
        """The named columns of a row group as :class:`Rows`, without a copy of what is decoded.

        A scalar column whose statistics say that it is constant is not decoded at all, and one
        that the file's older schema lacks is 0. CorruptFileError where the file is damaged.
        """
        with corrupt_file(self._where):
            return self._read(group, columns)

    def _read(self, group: int, columns: Sequence[str]) -> Rows:
        table = EVENTS[self.header.kind]
        n = self.group_size(group)
        constants: dict[str, int] = {}
        for name in columns:
            limits = None if table.field(name).is_list else self.bounds(group, name)
            if limits is not None and limits[0] == limits[1]:
                constants[name] = limits[0]
        wanted = [self._stored(name) for name in columns if name not in constants]
        decoded = self._file.read_row_group(self._at[group], columns=wanted, use_threads=False)
        if decoded.num_rows != n and wanted:
            raise ValueError(f"it holds {decoded.num_rows} of {n} rows")
        out: dict[str, np.ndarray] = {}
        for name in columns:
            field = table.field(name)
            if name in constants:
                out[name] = np.full(n, constants[name], field.dtype)
            elif field.is_list:
                _add_list(out, name, decoded[self._stored(name)], self.has(name))
            else:
                out[name] = ints_of(decoded[name])
        return Rows(self.header.kind, n, out)

    def _stored(self, name: str) -> str:
        """``name``, or the column of its side that gives the lengths of a list the file lacks."""
        if self.has(name):
            return name
        side = offsets_name(name)
        for other in EVENTS[self.header.kind].fields:
            if other.is_list and offsets_name(other.name) == side and self.has(other.name):
                return other.name
        raise ValueError(f"it lacks the column {name}")

    def of(self, symbol: str) -> FileReader:
        """The same open file, of which the rows of ``symbol`` are all that there is."""
        narrow = copy(self)
        narrow._narrow(symbol)
        return narrow

    def _narrow(self, symbol: str) -> None:
        """Let the rows of ``symbol`` be all that there is."""
        share = self.header.shares.get(symbol)
        if share is None or not set(share.groups) <= set(self._at):
            raise damaged(self._where, f"it holds nothing of {symbol}")
        made_of = share.compacted_from
        self.header = replace(
            self.header, symbol=symbol, scales=share.scales, compacted_from=made_of
        )
        self._at = share.groups

    def _check_columns(self) -> None:
        table = EVENTS[self.header.kind]
        missing = [n for n in table.names if n not in self._leaf]
        old = self.header.schema < SCHEMA_VERSION
        if missing and (not old or _COMMON_SINCE_START & set(missing)):
            raise damaged(self._where, f"it lacks the column {', '.join(missing)}")
        for i, field in enumerate(self._file.schema_arrow):
            if field.name in table.names and not _fits(table.field(field.name).dtype, field.type):
                raise damaged(self._where, f"column {i} ({field.name}) has type {field.type}")


def _fits(dtype: str, found: pa.DataType) -> bool:
    value = found.value_type if pa.types.is_list(found) else found
    return value == arrow_type(dtype)


def _add_list(
    out: dict[str, np.ndarray], name: str, column: pa.ChunkedArray, here: bool = True
) -> None:
    """Values and offsets of a list column; with ``here`` False only its lengths, filled with 0."""
    values, offsets = lists_of(column)
    shared = offsets_name(name)
    if shared in out and not np.array_equal(out[shared], offsets):
        raise ValueError(f"{name} has another number of levels than its side")
    out[shared] = offsets
    out[name] = values if here else np.zeros(len(values), np.int64)


def _extent(group: Any) -> tuple[int, int]:
    """First byte of a row group, and the one behind its last."""
    first, end = [], []
    for i in range(group.num_columns):
        column = group.column(i)
        start = column.dictionary_page_offset or column.data_page_offset
        first.append(start)
        end.append(start + column.total_compressed_size)
    return min(first), max(end)


@lru_cache(maxsize=32)
def _shares(text: str) -> Mapping[str, Share]:
    """What :data:`SHARES` says; ValueError or TypeError where it makes no sense. It is asked for
    each symbol of a file, so the last few answers are kept."""
    found = {}
    for symbol, (price, qty, groups, made_of) in json.loads(text).items():
        numbers = tuple(int(g) for g in groups)
        found[str(symbol)] = Share(Scales(int(price), int(qty)), numbers, tuple(made_of))
    return found


def _header(metadata: Mapping[bytes, bytes], where: str) -> Header:
    facts = {k.decode(): v.decode() for k, v in metadata.items() if k.startswith(b"ofs.")}
    try:
        schema = int(facts["ofs.schema"])
        if schema > SCHEMA_VERSION:
            raise DataError(
                f"{where} was written by a newer ofs",
                where=where,
                why=f"its schema version is {schema}, this ofs knows up to {SCHEMA_VERSION}",
                do="install a newer ofs",
            )
        if SHARES in facts:
            kind, venue = KIND_BY_NAME[facts["ofs.kind"]], facts["ofs.venue"]
            return Header(schema, kind, venue, "", Scales(0, 0), shares=_shares(facts[SHARES]))
        return Header(
            schema,
            KIND_BY_NAME[facts["ofs.kind"]],
            facts["ofs.venue"],
            facts["ofs.symbol"],
            Scales(int(facts["ofs.price_scale"]), int(facts["ofs.qty_scale"])),
            tuple(facts.get(_COMPACTED, "").split()),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(where, f"it is no file of an ofs log ({error})") from error
