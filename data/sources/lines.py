"""What all recordings of raw messages share: lines, local times, books over files, rows to chunks.

Owns the line formats (``<local time> <JSON>`` in two spellings: an integer time and a space; Unix
seconds, a colon and a space; or the JSON alone, where nobody wrote down when it came), the loop
that turns each line into something, and the books of all symbols over the files of one import
(:class:`Session`). Receive time is the line's local time, ``seq`` is the line number within its own
file: the same file gives the same rows whatever is imported along with it. Both are 0 where a line
has no local time.

What must hold: a line becomes an event, feeds a book, is skipped as a message that carries no event
of ours (counted by stream), or is rejected with a reason; it never raises.

It refuses to know venues and their messages, the log, and how files are opened.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec
import numpy as np

from data.events import Kind
from data.sources.book import BookBuilder, BookCounts, DepthRow, GapRow
from data.sources.chunks import Chunk
from data.sources.decimals import Fixed, PrecisionError
from data.sources.recording_rows import (
    WORK_SCALE,
    Rows,
    depth_chunks,
    gap_chunk,
    rows_to_chunks,
)
from data.sources.rejects import RejectedError, Rejects
from data.sources.row_checks import TIME_MIN_NS, latest_ns
from data.sources.stream_book import StreamBook

SPOT = "binance-spot"

Key = tuple[Kind, str, str]
"""(kind, symbol, source): ``source`` is the stream that the rows come from."""

BookKey = tuple[str, str, str]
"""(venue, symbol, source)"""


class LevelPrices(Fixed):
    """Prices of book levels: positive."""

    def __missing__(self, text: str) -> int:
        """Convert and remember; RejectedError for a price that is not positive."""
        value = super().__missing__(text)
        if value <= 0:
            del self[text]
            raise RejectedError("price")
        return value


class LevelQuantities(Fixed):
    """Quantities of book levels: not negative."""

    def __missing__(self, text: str) -> int:
        """Convert and remember; RejectedError for a negative quantity."""
        value = super().__missing__(text)
        if value < 0:
            del self[text]
            raise RejectedError("qty")
        return value


class AnyBook(Protocol):
    """A book that is fed by messages and gathers rows."""

    depth: list[DepthRow]
    gaps: list[GapRow]
    counts: BookCounts

    def start_file(self) -> BookCounts:
        """Begin counting anew."""

    def finish(self) -> None:
        """No more messages will come."""


class Session:
    """What outlives one file: the books, and the memo of numbers already converted."""

    def __init__(self, *, levels: int, cadence_ns: int) -> None:
        self.levels = levels
        self.cadence_ns = cadence_ns
        self.books: dict[BookKey, AnyBook] = {}
        self.numbers = Fixed(WORK_SCALE)
        self.prices = LevelPrices(WORK_SCALE)
        self.quantities = LevelQuantities(WORK_SCALE)

    def book(self, venue: str, symbol: str) -> BookBuilder:
        """The book of a symbol from diffs and REST snapshots, made when it is first asked for."""
        key = venue, symbol, "book"
        found = self.books.get(key)
        if not isinstance(found, BookBuilder):
            found = BookBuilder(
                chained=venue != SPOT, levels=self.levels, cadence_ns=self.cadence_ns
            )
            self.books[key] = found
        return found

    def stream_book(self, venue: str, symbol: str, source: str) -> StreamBook:
        """The book of a symbol from one stream that brings its own snapshots."""
        key = venue, symbol, source
        found = self.books.get(key)
        if not isinstance(found, StreamBook):
            found = StreamBook(levels=self.levels, cadence_ns=self.cadence_ns)
            self.books[key] = found
        return found

    def finish(self) -> list[tuple[BookKey, Chunk]]:
        """Gap rows of books that were left without a snapshot."""
        left = []
        for key, book in self.books.items():
            book.finish()
            if book.gaps:
                left.append((key, gap_chunk(book.gaps)))
                book.gaps = []
        return left


@dataclass(slots=True)
class RecordingCounts:
    """What one file held beside rows: skipped messages, and what its books went through.

    ``books`` goes by symbol, or by ``symbol source`` where a symbol may have several.
    """

    lines: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    books: dict[str, BookCounts] = field(default_factory=dict)


class LineParser:
    """Parses one recording of ``venue``; give it the blocks of the file in order.

    With ``stamped`` a line is a local time and JSON, else JSON alone. A venue's own parser says
    what becomes of a message (:meth:`message`).
    """

    snapshot_word = "snapshot message"
    """What a book of this venue begins with, in words."""

    def __init__(
        self, venue: str, session: Session, rejects: Rejects, *, stamped: bool = True
    ) -> None:
        self.venue = venue
        self.session = session
        self.rejects = rejects
        self.counts = RecordingCounts()
        self._stamped = stamped
        self._rows: dict[Key, Rows] = {}
        for key, book in session.books.items():
            if key[0] == venue:
                self.counts.books[book_name(key)] = book.start_file()

    @abstractmethod
    def message(self, payload: bytes, recv_ns: int, number: int) -> None:
        """Take one message: its JSON, local time in ns (0 where not known) and line number.

        Raises RejectedError, or what reading JSON and numbers raises.
        """

    def parse(self, block: bytes) -> list[tuple[Key, Chunk]]:
        """Rows of one block of whole lines, by kind, symbol and source."""
        first = self.counts.lines + 1
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        self.counts.lines += len(lines)
        for number, raw in enumerate(lines, start=first):
            try:
                self._line(number, raw)
            except RejectedError as error:
                self.rejects.add(number, error.reason, raw)
            except PrecisionError:
                self.rejects.add(number, "precision", raw)
            except msgspec.ValidationError:
                self.rejects.add(number, "frame", raw)
            except msgspec.DecodeError:
                self.rejects.add(number, "json", raw)
            except (ValueError, RecursionError):
                # NumberError, and text that is not UTF-8: both say that a value cannot be read.
                self.rejects.add(number, "number", raw)
        return self._take_rows(lines, first)

    def _line(self, number: int, raw: bytes) -> None:
        """One line; raises what :meth:`parse` knows."""
        if not self._stamped:
            if raw.strip():
                self.message(raw, 0, number)
            return
        head, _, payload = raw.partition(b" ")
        if not payload:
            if raw.strip():
                raise RejectedError("line")
            return
        if not head[:1].isdigit():
            if raw.startswith((b"wss://", b"ws://")):
                self.counts.skipped["control line"] += 1
                return
            raise RejectedError("line")
        self.message(payload, local_time_ns(head), number)

    def _count_book(self, key: BookKey, book: AnyBook) -> None:
        """Let the counts of a book appear among those of the file."""
        self.counts.books.setdefault(book_name(key), book.counts)

    def _take_rows(self, lines: list[bytes], first: int) -> list[tuple[Key, Chunk]]:
        """Everything gathered since the last call, as chunks."""

        def reject(number: int, reason: str) -> None:
            # A row of the book may carry the line of an earlier block.
            raw = lines[number - first] if first <= number < first + len(lines) else b""
            self.rejects.add(number, reason, raw)

        out: list[tuple[Key, Chunk]] = []
        for key, rows in self._rows.items():
            if not rows:
                continue
            make = depth_chunks if key[0] == Kind.DEPTH else rows_to_chunks
            out += [(key, chunk) for chunk in make(key[0], rows, reject)]
            rows.clear()
        for (venue, symbol, source), book in self.session.books.items():
            if venue != self.venue:
                continue
            depth_key = (Kind.DEPTH, symbol, source)
            out += [(depth_key, c) for c in depth_chunks(Kind.DEPTH, book.depth, reject)]
            if book.gaps:
                out.append(((Kind.GAP, symbol, source), gap_chunk(book.gaps)))
            book.depth, book.gaps = [], []
        if not self._stamped:
            # seq served as the line number so far; nobody knows the order of arrival
            out = [(key, _without_seq(chunk)) for key, chunk in out]
        return out


def _without_seq(chunk: Chunk) -> Chunk:
    columns = {**chunk.columns, "seq": np.zeros(len(chunk), dtype=np.int64)}
    return replace(chunk, columns=columns)


def book_name(key: BookKey) -> str:
    """How a book is called within its venue: by its symbol, and by its source where it has one."""
    return key[1] if key[2] == "book" else f"{key[1]} {key[2]}"


def local_time_ns(text: bytes) -> int:
    """int64 ns UTC of a line's local time: digits (ms, us or ns by their number) or ``seconds.x:``.

    RejectedError when it is neither, or lies before 2009 or after now.
    """
    if text.isdigit():
        unit = {19: 1, 16: 1_000, 13: 1_000_000}.get(len(text))
        if unit is None:
            raise RejectedError("line")
        value = int(text) * unit
    else:
        whole, _, part = text.removesuffix(b":").partition(b".")
        digits = part or b"0"
        if not (whole.isdigit() and digits.isdigit() and len(whole) <= 10 and text.endswith(b":")):
            raise RejectedError("line")
        value = int(whole) * 1_000_000_000 + int(digits[:9].ljust(9, b"0"))
    if not TIME_MIN_NS <= value < latest_ns():
        raise RejectedError("time")
    return value
