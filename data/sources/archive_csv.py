"""Archive CSV to rows: fast where a block is clean, line by line where it is not.

Owns the parsing of one CSV file of a known layout, block by block. Arrow's CSV reader converts a
clean block in one go, decimals exactly; a block that it refuses is halved until the lines at fault
stand alone, and those are read one by one and rejected with a reason. What must hold: both ways
accept the same texts with the same values, and no input raises anything else.

It refuses to know which venue it reads and where the rows go. Where the rows name their symbol, the
chunks do (``Chunk.symbol``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from data.events import Kind, Scales
from data.sources.archive_cells import Names, parse_clean, parse_line
from data.sources.archive_columns import Values, columns_of, ints, plain
from data.sources.archive_layouts import Layout, with_levels
from data.sources.chunks import Chunk, Column, shrink, take
from data.sources.forward import Forward
from data.sources.mapping_fields import unquoted
from data.sources.rejects import RejectedError, Rejects
from data.sources.row_checks import Problem, first_reasons, problems, unsorted_levels

_LEAF_LINES = 32
"""A refused block of at most this many lines is read line by line."""

_BOM = b"\xef\xbb\xbf"


class ArchiveParser:
    """Parses one CSV file of ``layout``; give it the blocks of the file in order.

    Rejected lines go to ``rejects``. ``lines`` is the number of lines read so far, ``skipped``
    counts rows left out. Books show ``levels`` a side, at most one per ``cadence_ns`` slot of event
    time (the first in it; 0: all).
    """

    def __init__(
        self,
        layout: Layout,
        has_header: bool,
        rejects: Rejects,
        *,
        levels: int = 25,
        cadence_ns: int = 0,
    ) -> None:
        self.layout = with_levels(layout, levels) if layout.kind == Kind.DEPTH else layout
        self.rejects = rejects
        self.lines = 0
        self.skipped: Counter[str] = Counter()
        self._skip_header = has_header
        self._names = Names(layout.exchange)
        self._cadence_ns = cadence_ns
        self._slots: dict[str, int] = {}
        self._forward = Forward() if layout.newest_first else None

    def parse(self, block: bytes) -> list[Chunk]:
        """Rows of one block of whole lines, in file order; each chunk at its smallest scale."""
        if not self.lines:
            block = block.removeprefix(_BOM)
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if b'"' in block:
            block = unquoted(block, ",")
        if self._skip_header:
            block = block[block.find(b"\n") + 1 :] if b"\n" in block else b""
            self._skip_header = False
            self.lines += 1
        first = self.lines + 1
        self.lines += _count_lines(block)
        chunks = self._halve(block, first) if block else []
        return self._forward.take(chunks) if self._forward else chunks

    def finish(self) -> list[Chunk]:
        """Rows that were held back until the end of the file."""
        return self._forward.finish() if self._forward else []

    @property
    def backwards(self) -> bool:
        """True when the file began with its newest row and was turned round."""
        return self._forward is not None and self._forward.backwards

    def _halve(self, block: bytes, first: int) -> list[Chunk]:
        """Parse a block whose first line has number ``first``; halve it where that fails."""
        count = _count_lines(block)
        values = parse_clean(block, count, self.layout, self._names)
        if values is not None:
            lines = np.arange(first, first + count, dtype=np.int64)
            chunks = self._to_chunks(values, lines, block)
            if chunks is not None:
                return chunks
        if count <= _LEAF_LINES:
            return self._line_by_line(block, first)
        middle = block.find(b"\n", len(block) // 2) + 1
        if middle in (0, len(block)):
            middle = block.rfind(b"\n", 0, len(block) // 2) + 1
        if middle in (0, len(block)):
            return self._line_by_line(block, first)
        left, right = block[:middle], block[middle:]
        return self._halve(left, first) + self._halve(right, first + _count_lines(left))

    def _line_by_line(self, block: bytes, first: int) -> list[Chunk]:
        found = []
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for number, raw in enumerate(lines, start=first):
            if not raw.strip():
                continue  # an empty line says nothing and holds nothing
            try:
                values = parse_line(raw, self.layout, self._names)
                chunks = self._to_chunks(values, np.array([number], dtype=np.int64), raw)
                if chunks is None:
                    raise RejectedError("overflow")
            except RejectedError as error:
                self.rejects.add(number, error.reason, raw)
                continue
            found += chunks
        return found

    def _to_chunks(self, values: Values, lines: np.ndarray, block: bytes) -> list[Chunk] | None:
        """The good rows of parsed ``values``; None when one scale cannot hold all of them."""
        try:
            columns, scales = columns_of(self.layout.kind, values, len(lines))
        except OverflowError:
            return None
        good = self._check(values, columns, lines, block)
        chunk = _trimmed(self.layout.kind, columns, scales, lines, good)
        symbols = ints(values, "symbol")[good] if "symbol" in values else None
        chunks = self._split(chunk, symbols)
        if self.layout.kind == Kind.DEPTH:
            return [part for c in chunks for part in self._thin(c)]
        return chunks

    def _check(
        self, values: Values, columns: dict[str, Column], lines: np.ndarray, block: bytes
    ) -> np.ndarray:
        """bool[rows] of those to keep; the others are rejected."""
        found = chain(self._own_problems(values, columns), problems(self.layout.kind, columns))  # type: ignore[arg-type]
        tombstone = ints(values, "first") == -1 if "first" in values else None
        good, bad = first_reasons(found, len(lines))
        if bad:
            texts = block.split(b"\n")
            for row, reason in bad:
                dead = tombstone is not None and tombstone[row]
                self.rejects.add(int(lines[row]), "tombstone" if dead else reason, texts[row])
        return good

    def _own_problems(self, values: Values, columns: dict[str, Column]) -> Iterator[Problem]:
        for role in ("exchange", "symbol"):
            if role in values:
                yield "market", ints(values, role) < 0
        if self.layout.kind == Kind.DEPTH:
            yield "levels", unsorted_levels(columns)
        if "bid" in self.layout.optional:
            bid, ask = plain(columns, "bid"), plain(columns, "ask")
            yield "one_sided", (bid == 0) | (ask == 0)

    def _split(self, chunk: Chunk, symbols: np.ndarray | None) -> list[Chunk]:
        """One chunk a symbol, where the rows name it."""
        if not len(chunk):
            return []
        if symbols is None:
            return [chunk]
        names = self._names.symbols
        different = np.unique(symbols).tolist()
        if len(different) == 1:
            return [replace(chunk, symbol=names[different[0]])]
        return [
            replace(shrink(take(chunk, symbols == code)), symbol=names[code]) for code in different
        ]

    def _thin(self, chunk: Chunk) -> list[Chunk]:
        """The first book of each slot of event time."""
        if not self._cadence_ns:
            return [chunk]
        slots = chunk.array("ts_ns") // self._cadence_ns
        before = np.concatenate([[self._slots.get(chunk.symbol, -1)], slots[:-1]])
        keep = slots > np.maximum.accumulate(before)
        self._slots[chunk.symbol] = max(int(slots.max()), int(before[0]))
        if not keep.all():
            self.skipped["book within a slot"] += int((~keep).sum())
        if not keep.any():
            return []
        return [replace(shrink(take(chunk, keep)), symbol=chunk.symbol)]


def _trimmed(
    kind: Kind, columns: dict[str, Column], scales: Scales, lines: np.ndarray, good: np.ndarray
) -> Chunk:
    """The chunk of the ``good`` rows; a rejected row does not raise the scale of the others."""
    chunk = Chunk(kind, dict(columns), scales, lines)
    return chunk if good.all() else shrink(take(chunk, good))


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") + (0 if block.endswith(b"\n") or not block else 1)
