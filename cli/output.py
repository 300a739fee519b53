"""How facts reach a person or a program: one JSON value, a stream of them, or an aligned table.

Owns the conversion of values to JSON and to cells. What must hold: stdout carries nothing but data;
numbers are written in full (no rounding for JSON); times are ISO 8601 in UTC; what JSON cannot say
(NaN, infinity) is null.

It refuses to know which command is speaking. rich is imported only to draw on a terminal.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text of ``value``; NaN and infinities become null, times ISO 8601, paths text."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def write_json_list(values: Iterable[Any]) -> None:
    """Write one JSON list to stdout, one value a line, without holding all of them."""
    sys.stdout.write("[")
    separator = "\n  "
    for value in values:
        sys.stdout.write(separator + to_json(value))
        separator = ",\n  "
    sys.stdout.write("]\n" if separator == "\n  " else "\n]\n")


def csv_cell(value: Any) -> Any:
    """A value as CSV writes it: lists and structures as JSON, nothing for null."""
    plain = _plain(value)
    return json.dumps(plain) if isinstance(plain, (list, dict)) else plain


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, (date, Path)):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    if hasattr(value, "__float__"):  # Decimal
        return _plain(float(value))
    return str(value)


def _iso(value: datetime) -> str:
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    text = aware.isoformat(timespec="microseconds" if aware.microsecond % 1000 else "milliseconds")
    return text.replace("+00:00", "Z")


def cell(value: Any) -> str:
    """Text of one table cell: thousands are not grouped, floats keep 10 significant digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, (list, tuple, Mapping)):
        return to_json(value)
    return str(value)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, color: bool) -> None:
    """Print rows under column names: drawn on a terminal, plain aligned text anywhere else.

    A column is right-aligned when every value in it is a number or empty.
    """
    body = [list(row) for row in rows]
    right = [
        all(r[i] is None or isinstance(r[i], (int, float)) for r in body) and bool(body)
        for i in range(len(columns))
    ]
    cells = [[cell(value) for value in row] for row in body]
    if sys.stdout.isatty():
        _rich_table(columns, cells, right, color)
        return
    widths = [max([len(c), *(len(row[i]) for row in cells)]) for i, c in enumerate(columns)]
    for line in [list(columns), *cells]:
        padded = (
            text.rjust(width) if flag else text.ljust(width)
            for text, width, flag in zip(line, widths, right, strict=True)
        )
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _rich_table(
    columns: Sequence[str], cells: list[list[str]], right: list[bool], color: bool
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, flag in zip(columns, right, strict=True):
        table.add_column(name, justify="right" if flag else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(text) for text in row))
    Console(no_color=not color, highlight=False).print(table)
