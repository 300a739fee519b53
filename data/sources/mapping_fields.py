"""A block of delimited lines as spans of its cells: where each begins and ends.

Owns the splitting of lines into cells for the files that a mapping describes: any one-byte
separator, LF or CRLF, quoted cells, blanks around a cell. What must hold: nothing is copied and
nothing is looped over in Python for a clean line; a line with the wrong number of cells stands
apart with its number and its text; an empty line says nothing and holds nothing.

It refuses to know what a cell means.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np

_LF, _CR, _SPACE, _TAB, _QUOTE = 10, 13, 32, 9, 34
_HIDDEN = "\x1f"
"""Stands for a separator inside quotes; no number, time or word contains it."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Rows of cells. ``data`` is uint8 bytes; ``starts`` and ``ends`` are int64[rows, columns]
    offsets into it (empty where equal), blanks already cut off; ``lines`` int64[rows] line numbers.
    """

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.lines)

    def text(self, row: int, column: int) -> str:
        """One cell as text."""
        start, end = int(self.starts[row, column]), int(self.ends[row, column])
        return self.data[start:end].tobytes().decode("utf-8", "replace")

    def raw(self, row: int) -> bytes:
        """One line as it stands, without its line end and outer blanks."""
        return self.data[int(self.starts[row, 0]) : int(self.ends[row, -1])].tobytes()

    def take(self, keep: np.ndarray) -> Fields:
        """The rows of an index or a bool array."""
        return Fields(self.data, self.starts[keep], self.ends[keep], self.lines[keep])

    def matrix(self, rows: np.ndarray, column: int, width: int) -> np.ndarray:
        """uint8[len(rows), width]: the cells of ``rows``, which all have that width."""
        return self.data[self.starts[rows, column][:, None] + np.arange(width)]


def split(
    block: bytes, first_line: int, separator: str, columns: int, least: int
) -> tuple[Fields, list[tuple[int, bytes]], int]:
    """Cells of a block of whole lines whose first has the number ``first_line``.

    A row has ``least`` to ``columns`` cells; missing last ones are empty. Returns the fields, the
    lines that have another number of cells as (number, text), and the count of lines.
    """
    if b'"' in block:
        block = unquoted(block, separator)
    data = np.frombuffer(block, dtype=np.uint8)
    stops = np.flatnonzero(data == _LF)
    if len(data) and data[-1] != _LF:
        stops = np.append(stops, len(data))
    starts = np.concatenate(([0], stops[:-1] + 1)) if len(stops) else stops
    starts, ends = _trim(data, starts, stops, separator == "\t")
    marks = np.flatnonzero(data == ord(separator))
    low, high = np.searchsorted(marks, starts), np.searchsorted(marks, ends)
    cells = high - low + 1
    filled = ends > starts
    fits = filled & (cells >= least) & (cells <= columns)
    numbers = np.arange(first_line, first_line + len(stops), dtype=np.int64)
    odd = [
        (int(numbers[i]), data[starts[i] : ends[i]].tobytes())
        for i in np.flatnonzero(filled & ~fits)
    ]
    spans = _spans(marks, low[fits], cells[fits], starts[fits], ends[fits], columns)
    trimmed = _trim(data, *spans, separator == "\t")
    return Fields(data, *trimmed, numbers[fits]), odd, len(stops)


def _spans(
    marks: np.ndarray,
    low: np.ndarray,
    cells: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    columns: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Cell spans int64[rows, columns] from the places of separators."""
    first = np.empty((len(starts), columns), dtype=np.int64)
    last = np.empty_like(first)
    padded = np.append(marks, np.zeros(columns + 1, dtype=np.int64))
    for j in range(columns):
        first[:, j] = starts if j == 0 else np.where(j < cells, padded[low + j - 1] + 1, ends)
        last[:, j] = np.where(j < cells - 1, padded[low + j], ends)
    return first, last


def _trim(
    data: np.ndarray, starts: np.ndarray, ends: np.ndarray, tab_separates: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The spans without blanks and carriage returns at both ends."""
    if not len(data) or not starts.size:
        return starts, ends
    blank = np.zeros(256, dtype=bool)
    blank[[_SPACE, _CR] if tab_separates else [_SPACE, _CR, _TAB]] = True
    starts, ends = starts.copy(), ends.copy()
    top = len(data) - 1
    while (move := (ends > starts) & blank[data[ends - 1]]).any():
        ends -= move
    while (move := (ends > starts) & blank[data[np.minimum(starts, top)]]).any():
        starts += move
    return starts, ends


def unquoted(block: bytes, separator: str) -> bytes:
    """The block without quotes; a separator inside quotes becomes a sign that nothing contains."""
    data = np.frombuffer(block, dtype=np.uint8)
    quotes = data == _QUOTE
    inside = (np.cumsum(quotes) & 1).astype(bool)
    edge = (data == ord(separator)) | (data == _LF)
    # quotes around whole cells, and nothing in them that ends a cell: they can just go
    around = np.append(True, edge[:-1]) | np.append(edge[1:], True)
    around |= np.append((data[1:] == _CR) & np.append(data[2:] == _LF, True), True)
    if not (inside & edge).any() and around[quotes].all():
        return data[~quotes].tobytes()
    lines = block.split(b"\n")
    return b"\n".join(_unquoted_line(raw, separator) if b'"' in raw else raw for raw in lines)


def _unquoted_line(raw: bytes, separator: str) -> bytes:
    text = raw.decode("utf-8", "surrogateescape").rstrip("\r")
    try:
        cells = next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return raw  # a line that is no CSV; its cells will not be numbers either
    joined = separator.join(c.replace(separator, _HIDDEN).replace("\n", " ") for c in cells)
    return joined.encode("utf-8", "surrogateescape")
