"""Arrow batches as rows that can be printed: times as ISO 8601 text, wide integers as integers.

What must hold: a nanosecond time and a 128-bit sum come out exact. Imported by commands when they
run, never before: it needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from data.times import format_utc

_NS_PER = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def unique_names(schema: pa.Schema) -> list[str]:
    """Column names; one that stands twice gets _1, _2 ..., so that no value is lost in JSON."""
    names: list[str] = []
    for name in schema.names:
        fresh, number = name, 0
        while fresh in names:
            number += 1
            fresh = f"{name}_{number}"
        names.append(fresh)
    return names


def rows_of(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Rows of ``batch`` as tuples of plain Python values."""
    return zip(*(plain_column(column) for column in batch.columns), strict=True)


def plain_column(column: pa.Array) -> Sequence[Any]:
    """Values of an Arrow column as numbers, text, lists and None."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        factor = _NS_PER[kind.unit]
        values = column.cast(pa.int64()).to_pylist()
        return [None if v is None else format_utc(v * factor) for v in values]
    if pa.types.is_decimal(kind):
        number = int if kind.scale == 0 else float
        return [None if v is None else number(v) for v in column.to_pylist()]
    if pa.types.is_interval(kind):
        return [None if v is None else _interval(*v) for v in column.to_pylist()]
    values = column.to_pylist()
    return list(values)


def _interval(months: int, days: int, nanoseconds: int) -> str:
    """``1 month 2 days 00:00:12.5``; parts that are zero are left out."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, part = divmod(abs(nanoseconds), 1_000_000_000)
    clock = f"{sign}{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    if part:
        clock += f".{part:09d}".rstrip("0")
    words = [_many(months, "month"), _many(days, "day"), clock]
    return " ".join(word for word in words if word)


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if abs(count) == 1 else 's'}" if count else ""
