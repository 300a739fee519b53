"""Columns of integers in few bytes: zigzag varints, one deflate stream, base64.

Owns the encoding that ``assets/decode.js`` reads back. A column is differenced where that makes it
smaller, mapped to unsigned by zigzag (0, -1, 1, -2 ...) and written seven bits a byte, least first,
as in Protocol Buffers. What must hold: decoding gives back every integer exactly, as long as it and
its differences stay below 2**53, which is as far as a browser's numbers are exact.

It refuses to know what a column means.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

EXACT = 1 << 53
"""Browsers keep integers exactly below this."""


def varints(values: np.ndarray) -> bytes:
    """Zigzag varints of int64 ``values``, in order."""
    v = np.ascontiguousarray(values, dtype=np.int64)
    z = ((v << 1) ^ (v >> 63)).view(np.uint64)
    lengths = np.ones(len(z), dtype=np.int64)
    for k in range(1, 10):
        lengths += z >= np.uint64(1 << (7 * k))
    stops = np.cumsum(lengths)
    out = np.zeros(int(stops[-1]) if len(stops) else 0, dtype=np.uint8)
    at = stops - lengths
    for k in range(int(lengths.max(initial=0))):
        here = lengths > k
        part = (z[here] >> np.uint64(7 * k)) & np.uint64(0x7F)
        more = (lengths[here] > k + 1).astype(np.uint8) << 7
        out[at[here] + k] = part.astype(np.uint8) | more
    return out.tobytes()


def exact(values: np.ndarray) -> tuple[np.ndarray, int]:
    """int64 ``values`` divided by the smallest power of ten that keeps them (and the differences
    of neighbours) exact in a browser; the values and that divisor, 1 where nothing is lost.
    """
    divisor = 1
    limit = EXACT // 2
    while len(values) and (values.max() // divisor >= limit or values.min() // divisor <= -limit):
        divisor *= 10
    return (values if divisor == 1 else values // divisor), divisor


class Packer:
    """Collects columns; :meth:`text` is all of them, :attr:`columns` says where each one lies.

    ``columns[name]`` is [number of values, 1 where differenced, divisor]; the columns follow each
    other in the stream in the order in which they were added.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.columns: dict[str, list[int]] = {}

    def add(self, name: str, values: np.ndarray, *, delta: bool = False) -> None:
        """Add an integer column; ``delta`` stores differences (a column that moves slowly)."""
        if name in self.columns:
            raise ValueError(f"column {name!r} was added before")
        kept, divisor = exact(np.asarray(values, dtype=np.int64))
        self.columns[name] = [len(kept), int(delta), divisor]
        self._parts.append(varints(np.diff(kept, prepend=np.int64(0)) if delta else kept))

    @property
    def raw_bytes(self) -> int:
        """Bytes of all columns before deflate."""
        return sum(map(len, self._parts))

    def text(self) -> str:
        """All columns, deflated (zlib form) and in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._parts), 9)).decode("ascii")
