"""Rows of one kind on their way into the log, as int64 columns with their scale.

Owns :class:`Chunk`, its filtering, and how chunks of different scales become one. What must hold:
values are never rounded and never wrap.

It refuses to know where rows come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.events import EVENTS, Kind, Scales
from data.sources.decimals import grow, strip

Column = np.ndarray | tuple[np.ndarray, np.ndarray]
"""One value a row, or (values, offsets) with ``offsets`` of length rows + 1."""


@dataclass(slots=True)
class Chunk:
    """Some rows of one kind.

    ``columns`` holds every column of the kind; ``lines`` (int64) the line number of each row in its
    file, for those that are rejected later. ``symbol`` is set by parsers of files whose rows name
    their symbol; it does not survive filtering and joining.
    """

    kind: Kind
    columns: dict[str, Column]
    scales: Scales
    lines: np.ndarray
    symbol: str = ""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.lines)

    def array(self, name: str) -> np.ndarray:
        """A column with one value a row."""
        column = self.columns[name]
        if isinstance(column, tuple):
            raise TypeError(f"{name} is a list column")
        return column

    @property
    def nbytes(self) -> int:
        """Memory that the columns take, bytes."""
        return self.lines.nbytes + sum(
            sum(part.nbytes for part in c) if isinstance(c, tuple) else c.nbytes
            for c in self.columns.values()
        )


def take(chunk: Chunk, keep: np.ndarray) -> Chunk:
    """The rows where the bool array ``keep`` is true, in their order."""
    if keep.all():
        return chunk
    columns: dict[str, Column] = {}
    for name, column in chunk.columns.items():
        columns[name] = _take_lists(*column, keep) if isinstance(column, tuple) else column[keep]
    return Chunk(chunk.kind, columns, chunk.scales, chunk.lines[keep])


def _take_lists(values: np.ndarray, offsets: np.ndarray, keep: np.ndarray) -> Column:
    sizes = np.diff(offsets)
    kept = np.zeros(int(keep.sum()) + 1, dtype=np.int64)
    np.cumsum(sizes[keep], out=kept[1:])
    return values[np.repeat(keep, sizes)], kept


def rescale(chunk: Chunk, scales: Scales) -> Chunk:
    """The same rows at other ``scales``; OverflowError when a value does not fit.

    A smaller scale must hold every value exactly.
    """
    if scales == chunk.scales:
        return chunk
    by = {"price": scales.price - chunk.scales.price, "qty": scales.qty - chunk.scales.qty}
    columns: dict[str, Column] = {}
    for field in EVENTS[chunk.kind].fields:
        column = chunk.columns[field.name]
        more = by.get(field.unit.removesuffix("[]"), 0)
        if isinstance(column, tuple):
            columns[field.name] = (grow(column[0], more), column[1])
        else:
            columns[field.name] = grow(column, more)
    return Chunk(chunk.kind, columns, scales, chunk.lines)


def concat(chunks: Sequence[Chunk]) -> Chunk:
    """One chunk of several of the same kind, at the largest of their scales."""
    scales = top_scales(chunks)
    same = [rescale(c, scales) for c in chunks]
    if len(same) == 1:
        return same[0]
    columns: dict[str, Column] = {}
    for field in EVENTS[same[0].kind].fields:
        parts = [c.columns[field.name] for c in same]
        columns[field.name] = _concat_lists(parts) if field.is_list else np.concatenate(parts)  # type: ignore[arg-type]
    return Chunk(same[0].kind, columns, scales, np.concatenate([c.lines for c in same]))


def _concat_lists(parts: Sequence[Column]) -> Column:
    sizes = [np.diff(p[1]) for p in parts]
    offsets = np.zeros(sum(len(s) for s in sizes) + 1, dtype=np.int64)
    np.cumsum(np.concatenate(sizes), out=offsets[1:])
    return np.concatenate([p[0] for p in parts]), offsets


def top_scales(chunks: Sequence[Chunk]) -> Scales:
    """The largest price scale and the largest quantity scale among ``chunks``."""
    return Scales(max(c.scales.price for c in chunks), max(c.scales.qty for c in chunks))


def shrink(chunk: Chunk) -> Chunk:
    """The same rows at the smallest scales that hold them."""
    drop = {"price": chunk.scales.price, "qty": chunk.scales.qty}
    for field in EVENTS[chunk.kind].fields:
        unit = field.unit.removesuffix("[]")
        if unit in drop:
            column = chunk.columns[field.name]
            own = chunk.scales.price if unit == "price" else chunk.scales.qty
            _, need = strip(column[0] if isinstance(column, tuple) else column, own)
            drop[unit] = min(drop[unit], own - need)
    scales = Scales(chunk.scales.price - drop["price"], chunk.scales.qty - drop["qty"])
    return rescale(chunk, scales)
