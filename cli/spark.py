"""Small charts made of letters: columns of block characters, or of ASCII where there is no better.

Owns fitting values into a width (neighbours are averaged, so the whole span is seen) and drawing
them in one or more rows. It refuses to know what the values are and which colour they get.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*%#"


def fitted(values: Sequence[float], width: int) -> list[float]:
    """At most ``width`` values, oldest first: means of as many neighbours as are needed."""
    if width <= 0 or not values:
        return []
    columns, n = min(width, len(values)), len(values)
    edges = [k * n // columns for k in range(columns + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def heights(values: Sequence[float], levels: int, low: float, high: float) -> list[int]:
    """Each value as a whole number from 0 (at ``low``) to ``levels`` (at ``high``)."""
    span = high - low
    if span <= 0:
        return [0 for _ in values]
    return [min(levels, max(0, round((v - low) / span * levels))) for v in values]


def rows_of(tops: Sequence[int], height: int, letters: str = BLOCKS) -> list[str]:
    """Columns of the heights ``tops`` (eighths of a row) as ``height`` rows, the highest first."""
    steps = len(letters) - 1
    return [
        "".join(letters[min(steps, max(0, top - row * steps))] for top in tops)
        for row in range(height - 1, -1, -1)
    ]


def lines(
    values: Sequence[float], width: int, height: int = 1, letters: str = BLOCKS
) -> tuple[list[str], list[float]]:
    """(rows, the values drawn) of a chart from its least to its largest value.

    Even the least value gets a foot, so that a chart shows where it has data.
    """
    shown = fitted(values, width)
    steps = (len(letters) - 1) * height
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    tops = [max(1, top) for top in heights(shown, steps, low, high)]
    return _padded(rows_of(tops, height, letters), width), shown


def bars(
    values: Sequence[float], width: int, height: int = 1, letters: str = BLOCKS
) -> tuple[list[str], list[float]]:
    """(rows, the values drawn) of bars as high as the values are large, whatever their sign."""
    shown = fitted(values, width)
    sizes = [abs(v) for v in shown]
    steps = (len(letters) - 1) * height
    tops = heights(sizes, steps, 0.0, max(sizes, default=0.0))
    seen = [max(1, t) if size else 0 for t, size in zip(tops, sizes, strict=True)]
    return _padded(rows_of(seen, height, letters), width), shown


def _padded(rows: list[str], width: int) -> list[str]:
    """Rows that end at the right edge: the newest value stands there."""
    return [row.rjust(width) for row in rows]
