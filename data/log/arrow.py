"""Between numpy and Arrow without a copy, and without importing pandas.

Owns the few conversions that the log needs. pyarrow's own (``pa.array``, ``to_numpy``) import
pandas, which costs a third of a second and 30 MB at the start of every command.

It refuses to know what the values mean.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

_POOL = "jemalloc"
"""mimalloc, the default of pyarrow's wheels, holds on to 40 MB more for the same speed."""


def lean_memory() -> None:
    """Let Arrow allocate from the pool that gives memory back, where it was built with it.

    The environment variable ARROW_DEFAULT_MEMORY_POOL has the last word.
    """
    chosen = "ARROW_DEFAULT_MEMORY_POOL" in os.environ
    if not chosen and _POOL in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())


_ARROW = {"i8": pa.int64(), "i4": pa.int32(), "i1": pa.int8()}
_NUMPY = {pa.int64(): np.int64, pa.int32(): np.int32, pa.int8(): np.int8}


def arrow_type(dtype: str | np.dtype) -> pa.DataType:
    """The Arrow type of an integer dtype (i8, i4 or i1)."""
    return _ARROW[np.dtype(dtype).str[1:]]


def int_array(values: np.ndarray) -> pa.Array:
    """An Arrow array over the memory of ``values`` (int64, int32 or int8, one dimension)."""
    values = np.ascontiguousarray(values)
    buffers = [None, pa.py_buffer(values)]
    return pa.Array.from_buffers(arrow_type(values.dtype), len(values), buffers)


def list_array(values: np.ndarray, offsets: np.ndarray, kind: pa.DataType) -> pa.Array:
    """An Arrow list array of type ``kind`` over ``values``; ``offsets`` are int64[rows + 1]."""
    starts = pa.py_buffer(offsets.astype(np.int32))
    items = int_array(values)
    return pa.Array.from_buffers(kind, len(offsets) - 1, [None, starts], children=[items])


def text_array(values: Sequence[str]) -> pa.Array:
    """An Arrow string array (copies)."""
    words = [value.encode() for value in values]
    offsets = np.zeros(len(words) + 1, np.int32)
    np.cumsum([len(word) for word in words], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(words))]
    return pa.Array.from_buffers(pa.string(), len(words), buffers)


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as one array; copied only where it came in several chunks."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ints_of(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The values of an integer column over Arrow's own memory, writeable.

    numba's types depend on the flag, so read-only memory is copied. ValueError where a value is
    missing or the type is not int64, int32 or int8.
    """
    array = one_chunk(column)
    dtype = _NUMPY.get(array.type)
    if dtype is None:
        raise ValueError(f"expected integers, found {array.type}")
    if array.null_count:
        raise ValueError("a value is missing")
    if len(array) == 0:
        return np.empty(0, dtype)
    values = np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]
    return values if values.flags.writeable else values.copy()


def lists_of(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Values and offsets (int64, from 0) of a list column; ValueError where a list is missing."""
    lists = one_chunk(column)
    if not pa.types.is_list(lists.type):
        raise ValueError(f"expected lists, found {lists.type}")
    n = len(lists)
    if n == 0:
        return np.empty(0, np.int64), np.zeros(1, np.int64)
    raw = np.frombuffer(lists.buffers()[1], np.int32)[lists.offset : lists.offset + n + 1]
    if lists.null_count or len(raw) != n + 1:
        raise ValueError("a list is missing")
    offsets = raw.astype(np.int64) - int(raw[0])
    return ints_of(lists.values)[int(raw[0]) : int(raw[-1])], offsets


def texts_of(column: pa.Array | pa.ChunkedArray) -> list[str]:
    """The values of a string column; ValueError where one is missing."""
    array = one_chunk(column)
    if array.type != pa.string() or array.null_count:
        raise ValueError(f"expected strings, found {array.type}")
    if len(array) == 0:
        return []
    offsets = np.frombuffer(array.buffers()[1], np.int32)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    words = data.to_pybytes() if data is not None else b""
    ends = offsets.tolist()
    return [words[a:b].decode() for a, b in pairwise(ends)]
