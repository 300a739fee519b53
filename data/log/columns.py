"""A table of one kind in memory: flat numpy columns, and the few operations the log needs on them.

Owns :class:`Rows`. A list column of the schema (``bid_price``) is held as its values under its own
name, and the offsets that it shares with the other columns of its side under ``bid_offsets``
(int64, one more than there are rows). What must hold: all columns have one length, every array is
C-contiguous, offsets begin at 0 and end at the length of the values.

It refuses to know where rows come from and in which order they belong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.errors import DataError
from data.events import EVENTS, Field, Kind, Scales

Column = np.ndarray | tuple[np.ndarray, np.ndarray]

OPTIONAL = frozenset({"recv_ns", "seq", "id", "tick", "buy_volume", "trades"})
"""Columns that a caller may leave out; 0 means *not known* in all of them."""

_INT64_MAX = np.iinfo(np.int64).max


def offsets_name(list_column: str) -> str:
    """Name of the offsets that a list column shares with its side: bid_price -> bid_offsets."""
    return list_column.split("_", maxsplit=1)[0] + "_offsets"


def list_columns(kind: Kind) -> tuple[str, ...]:
    """Names of the list columns of ``kind`` in storage order."""
    return tuple(f.name for f in EVENTS[kind].fields if f.is_list)


def scale_power(unit: str, old: Scales, new: Scales) -> int:
    """Power of ten that raises a value of ``unit`` from the scales ``old`` to ``new``."""
    base = unit.removesuffix("[]")
    if base == "price":
        return new.price - old.price
    if base == "qty":
        return new.qty - old.qty
    return 0


def multiply_checked(values: np.ndarray, power: int, what: str) -> np.ndarray:
    """``values * 10**power`` as int64; DataError naming ``what`` where a value would overflow."""
    if power == 0 or len(values) == 0:
        return values
    factor = 10**power
    largest = max(abs(int(values.max())), abs(int(values.min())))
    if largest * factor > _INT64_MAX:
        raise DataError(
            f"{what} overflows when its scale is raised by {power}",
            why=f"{largest} * {factor} does not fit a 64-bit integer",
            do="import this instrument with a smaller scale",
        )
    return values * np.int64(factor)


def larger(a: Scales, b: Scales) -> Scales:
    """The scales that hold both without loss."""
    return Scales(max(a.price, b.price), max(a.qty, b.qty))


@dataclass(slots=True)
class Rows:
    """Rows of one kind. ``columns`` may be a subset of the schema's; ``n`` is their number."""

    kind: Kind
    n: int
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Number of rows."""
        return self.n

    def __getitem__(self, name: str) -> np.ndarray:
        """The column called ``name``; KeyError where there is none."""
        return self.columns[name]

    def slice(self, start: int, stop: int) -> Rows:
        """Rows [start, stop) without copying values; offsets are copied to begin at 0 again."""
        if start == 0 and stop == self.n:
            return self
        cut: dict[str, np.ndarray] = {}
        for name, values in self.columns.items():
            if name.endswith("_offsets"):
                cut[name] = values[start : stop + 1] - values[start]
            elif _is_list(self.kind, name):
                offsets = self.columns[offsets_name(name)]
                cut[name] = values[offsets[start] : offsets[stop]]
            else:
                cut[name] = values[start:stop]
        return Rows(self.kind, stop - start, cut)

    def take(self, index: np.ndarray) -> Rows:
        """Rows at ``index`` (int64[m]), copied in that order."""
        taken: dict[str, np.ndarray] = {}
        flat: dict[str, np.ndarray] = {}
        for name, offsets in self.columns.items():
            if name.endswith("_offsets"):
                taken[name], flat[name] = _gather(offsets, index)
        for name, values in self.columns.items():
            if name in taken:
                continue
            where = flat[offsets_name(name)] if _is_list(self.kind, name) else index
            taken[name] = values[where]
        return Rows(self.kind, len(index), taken)

    def rescale(self, old: Scales, new: Scales) -> Rows:
        """The same rows at the larger scales ``new``; DataError on overflow."""
        if old == new:
            return self
        table = EVENTS[self.kind]
        out = dict(self.columns)
        for name in self.columns:
            if name.endswith("_offsets"):
                continue
            power = scale_power(table.field(name).unit, old, new)
            out[name] = multiply_checked(out[name], power, f"{table.name}.{name}")
        return Rows(self.kind, self.n, out)


def concat(parts: Sequence[Rows]) -> Rows:
    """All rows of ``parts`` (at least one, same kind and columns) after each other."""
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, np.ndarray] = {}
    for name in parts[0].columns:
        if name.endswith("_offsets"):
            joined[name] = _join_offsets([part[name] for part in parts])
        else:
            joined[name] = np.concatenate([part[name] for part in parts])
    return Rows(parts[0].kind, sum(part.n for part in parts), joined)


def from_input(kind: Kind, columns: Mapping[str, Column]) -> Rows:
    """Rows from what an importer hands over; list columns come as (values, offsets).

    Missing :data:`OPTIONAL` columns become 0. DataError where a column is unknown, missing, of
    another length, or where times are not positive.
    """
    table = EVENTS[kind]
    unknown = set(columns) - set(table.names)
    if unknown:
        raise DataError(f"{table.name} has no column {', '.join(sorted(unknown))}")
    if "ts_ns" not in columns:
        raise DataError(f"{table.name} rows lack the column ts_ns")
    n = len(columns["ts_ns"])
    out: dict[str, np.ndarray] = {}
    for field in table.fields:
        if field.is_list:
            _add_list(out, table.name, field, columns, n)
        else:
            out[field.name] = _scalar(table.name, field, columns, n)
    rows = Rows(kind, n, out)
    _check_times(table.name, rows)
    return rows


def _is_list(kind: Kind, name: str) -> bool:
    return EVENTS[kind].field(name).is_list


def _gather(offsets: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lengths = offsets[index + 1] - offsets[index]
    new = np.zeros(len(index) + 1, np.int64)
    np.cumsum(lengths, out=new[1:])
    flat = np.repeat(offsets[index] - new[:-1], lengths) + np.arange(new[-1])
    return new, flat


def _join_offsets(parts: Sequence[np.ndarray]) -> np.ndarray:
    joined = [parts[0]]
    base = parts[0][-1]
    for offsets in parts[1:]:
        joined.append(offsets[1:] + base)
        base = base + offsets[-1]
    return np.concatenate(joined)


def _scalar(table: str, field: Field, columns: Mapping[str, Column], n: int) -> np.ndarray:
    if field.name not in columns:
        if field.name not in OPTIONAL:
            raise DataError(f"{table} rows lack the column {field.name}")
        return np.zeros(n, field.dtype)
    return _as_column(f"{table}.{field.name}", columns[field.name], field.dtype, n)


def _as_column(name: str, given: Column, dtype: str, n: int) -> np.ndarray:
    values = np.asarray(given)
    if values.ndim != 1 or len(values) != n:
        raise DataError(f"{name} has shape {values.shape}, expected ({n},)")
    if values.dtype.kind not in "iub":
        raise DataError(f"{name} holds {values.dtype}, expected integers")
    wanted = np.dtype(dtype)
    if values.dtype != wanted and len(values):
        limits = np.iinfo(wanted)
        if int(values.min()) < limits.min or int(values.max()) > limits.max:
            raise DataError(f"{name} does not fit {wanted}")
    return np.ascontiguousarray(values, wanted)


def _add_list(
    out: dict[str, np.ndarray], table: str, field: Field, columns: Mapping[str, Column], n: int
) -> None:
    given = columns.get(field.name)
    if not isinstance(given, tuple):
        raise DataError(f"{table}.{field.name} must be given as (values, offsets)")
    values = _as_column(f"{table}.{field.name}", given[0], field.dtype, len(given[0]))
    offsets = _as_column(f"{table}.{field.name} offsets", given[1], "i8", n + 1)
    whole = offsets[0] == 0 and offsets[-1] == len(values) and bool((np.diff(offsets) >= 0).all())
    if not whole:
        raise DataError(f"{table}.{field.name} has offsets that do not cover its values in order")
    shared = offsets_name(field.name)
    if shared in out and not np.array_equal(out[shared], offsets):
        raise DataError(f"{table}.{field.name} has another number of levels than its side")
    out[shared] = offsets
    out[field.name] = values


def _check_times(table: str, rows: Rows) -> None:
    if rows.n == 0:
        return
    if int(rows["ts_ns"].min()) <= 0:
        raise DataError(f"{table}.ts_ns must be positive", why="0 is no exchange time")
    for name in ("recv_ns", "seq", "id"):
        if int(rows[name].min()) < 0:
            raise DataError(f"{table}.{name} must not be negative")
