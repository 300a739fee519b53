"""Tardis ``incremental_book_L2``: rows of single levels to books.

Owns the grouping of rows into messages (rows of one symbol that arrived at the same time and are
alike in being a snapshot or not) and their way through :class:`StreamBook`. Rows before the first
snapshot are no book. A later snapshot means that the connection was made anew: a gap.

It refuses to know text, and where rows go.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data.events import Kind
from data.sources.archive_columns import UNFIT, Values, decimals_at, ints, time_of
from data.sources.archive_csv import ArchiveParser
from data.sources.archive_layouts import Layout
from data.sources.book import BookCounts, Level
from data.sources.chunks import Chunk
from data.sources.recording_rows import WORK_SCALE, depth_chunks, gap_chunk
from data.sources.rejects import Rejects
from data.sources.row_checks import TIME_MIN_NS, first_reasons, latest_ns, venue_time_ns
from data.sources.stream_book import StreamBook, Update


@dataclass(slots=True)
class _Message:
    """Rows that arrived together, as far as they were read."""

    symbol: int
    recv_ns: int
    snapshot: bool
    ts_ns: int = 0
    line: int = 0
    sides: tuple[list[Level], list[Level]] = field(default_factory=lambda: ([], []))


class TardisBooks(ArchiveParser):
    """Parses one file of single levels; ``levels`` a side, one book per ``cadence_ns`` slot."""

    def __init__(
        self, layout: Layout, has_header: bool, rejects: Rejects, *, levels: int, cadence_ns: int
    ) -> None:
        super().__init__(layout, has_header, rejects, levels=levels, cadence_ns=cadence_ns)
        self._levels = levels
        self._books: dict[int, StreamBook] = {}
        self._open: _Message | None = None
        self._messages = 0

    def parse(self, block: bytes) -> list[Chunk]:
        """See :class:`ArchiveParser`; chunks are of books and of gaps."""
        super().parse(block)
        return self._take_rows()

    def finish(self) -> list[Chunk]:
        """See :class:`ArchiveParser`."""
        self._deliver()
        for book in self._books.values():
            book.finish()
        return self._take_rows()

    @property
    def books(self) -> dict[str, BookCounts]:
        """What happened to the book of each symbol."""
        return {self._names.symbols[code]: b.counts for code, b in self._books.items()}

    def _to_chunks(self, values: Values, lines: np.ndarray, block: bytes) -> list[Chunk] | None:
        try:
            price = decimals_at(values, "price", WORK_SCALE)
            qty = decimals_at(values, "qty", WORK_SCALE)
        except OverflowError:
            return None
        ts_ns, recv_ns = time_of(values), venue_time_ns(ints(values, "recv"))
        symbol = ints(values, "symbol")
        problems = [
            ("market", (ints(values, "exchange") < 0) | (symbol < 0)),
            ("precision", (price == UNFIT) | (qty == UNFIT)),
            ("price", price <= 0),
            ("qty", qty < 0),
        ]
        for time in (ts_ns, recv_ns):
            problems.append(("time", (time < TIME_MIN_NS) | (time >= latest_ns())))
        good, bad = first_reasons(iter(problems), len(lines))
        if bad:
            texts = block.split(b"\n")
            for row, reason in bad:
                self.rejects.add(int(lines[row]), reason, texts[row])
        columns = (symbol, recv_ns, ints(values, "is_snapshot"), ts_ns, lines)
        sides = ints(values, "book_side")
        self._feed([c[good].tolist() for c in (*columns, sides, price, qty)])
        return []

    def _feed(self, columns: list[list[int]]) -> None:
        """Take rows in file order."""
        message = self._open
        for symbol, recv_ns, snapshot, ts_ns, line, side, price, qty in zip(*columns, strict=True):
            if (
                message is None
                or recv_ns != message.recv_ns
                or symbol != message.symbol
                or snapshot != message.snapshot
            ):
                self._deliver()
                message = self._open = _Message(symbol, recv_ns, bool(snapshot))
            message.ts_ns, message.line = ts_ns, line
            message.sides[0 if side > 0 else 1].append((price, qty))

    def _deliver(self) -> None:
        """The open message is whole: it goes to its book."""
        message, self._open = self._open, None
        if message is None:
            return
        self._messages += 1
        book = self._books.get(message.symbol)
        if book is None:
            book = StreamBook(levels=self._levels, cadence_ns=self._cadence_ns)
            self._books[message.symbol] = book
        stamp = message.ts_ns, message.recv_ns, message.line, self._messages, 0
        update = Update(*stamp, *message.sides)
        if message.snapshot:
            book.add_snapshot(update)
        else:
            book.add_delta(update)

    def _take_rows(self) -> list[Chunk]:
        found = []
        for code, book in self._books.items():
            rows = depth_chunks(Kind.DEPTH, book.depth, self._reject)
            rows += [gap_chunk(book.gaps)] if book.gaps else []
            book.depth, book.gaps = [], []
            found += [_archived(c, self._names.symbols[code]) for c in rows]
        return found

    def _reject(self, line: int, reason: str) -> None:
        self.rejects.add(line, reason, b"")


def parser_of(
    layout: Layout, has_header: bool, rejects: Rejects, *, levels: int, cadence_ns: int
) -> ArchiveParser:
    """The parser of one archive file: of rows, or of single levels that make books."""
    make = TardisBooks if "is_snapshot" in layout.roles else ArchiveParser
    return make(layout, has_header, rejects, levels=levels, cadence_ns=cadence_ns)


def _archived(chunk: Chunk, symbol: str) -> Chunk:
    """The chunk without the numbers that stood in for ids and for the order of arrival."""
    zeros = np.zeros(len(chunk), dtype=np.int64)
    columns = {**chunk.columns, "seq": zeros, "id": zeros}
    if chunk.kind == Kind.GAP:
        columns |= {"from_id": zeros, "to_id": zeros}
    return Chunk(chunk.kind, columns, chunk.scales, chunk.lines, symbol)
