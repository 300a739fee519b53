"""Raw websocket recordings: lines of ``<local time> <JSON>`` to rows.

Owns the line format (two of them: an integer time and a space; Unix seconds, a colon and a space),
what becomes of each message, and the books of all symbols over the files of one import
(:class:`Session`). Receive time is the line's local time, ``seq`` is the line number within its own
file: the same file gives the same rows whatever is imported along with it.

What must hold: a line becomes an event, feeds a book, is skipped as a message that carries no event
of ours (counted by stream), or is rejected with a reason; it never raises.

It refuses to know the log and how files are opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from data.events import Kind
from data.sources.binance_frames import (
    MESSAGES,
    RAW_STREAMS,
    Combined,
    DepthSnapshot,
    ForceOrder,
    Head,
    channel_of,
)
from data.sources.book import BookBuilder, BookCounts, Diff, Snapshot
from data.sources.chunks import Chunk
from data.sources.decimals import Fixed, PrecisionError
from data.sources.recording_rows import (
    MAKERS,
    WORK_SCALE,
    Rows,
    depth_chunks,
    gap_chunk,
    partial_row,
    rows_to_chunks,
    time_ns,
)
from data.sources.rejects import RejectedError, Rejects
from data.sources.row_checks import TIME_MAX_NS, TIME_MIN_NS

SPOT = "binance-spot"

Key = tuple[Kind, str, str]
"""(kind, symbol, source): ``source`` is the stream that the rows come from."""

PARTIAL_CADENCE_NS = 100_000_000
"""Partial books come at 100 ms at the fastest; only a longer cadence thins them out."""


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


class Session:
    """What outlives one file: the books, and the memo of numbers already converted."""

    def __init__(self, *, levels: int, cadence_ns: int) -> None:
        self.levels = levels
        self.cadence_ns = cadence_ns
        self.books: dict[tuple[str, str], BookBuilder] = {}
        self.numbers = Fixed(WORK_SCALE)
        self.prices = LevelPrices(WORK_SCALE)
        self.quantities = LevelQuantities(WORK_SCALE)

    def book(self, venue: str, symbol: str) -> BookBuilder:
        """The book of a symbol, made when it is first asked for."""
        found = self.books.get((venue, symbol))
        if found is None:
            found = BookBuilder(
                chained=venue != SPOT, levels=self.levels, cadence_ns=self.cadence_ns
            )
            self.books[venue, symbol] = found
        return found

    def finish(self) -> list[tuple[str, str, Chunk]]:
        """(venue, symbol, gap rows) of books that were left without a snapshot."""
        left = []
        for (venue, symbol), book in self.books.items():
            book.finish()
            if book.gaps:
                left.append((venue, symbol, gap_chunk(book.gaps)))
                book.gaps = []
        return left


@dataclass(slots=True)
class Route:
    """Where the messages of one stream go."""

    symbol: str
    channel: str
    source: str
    decode: Callable[[bytes], Any]
    make: Callable[[Any, int, int], Any] | None
    rows: Rows | None


@dataclass(slots=True)
class RecordingCounts:
    """What one file held beside rows: skipped messages, and what its books went through."""

    lines: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    books: dict[str, BookCounts] = field(default_factory=dict)


class RecordingParser:
    """Parses one recording of ``venue``; give it the blocks of the file in order.

    ``symbol`` is for REST snapshots, which name none; None when the file has several. With ``sure``
    it stays, else it is given up as soon as another symbol shows up in the file.
    """

    def __init__(
        self,
        venue: str,
        symbol: str | None,
        session: Session,
        rejects: Rejects,
        *,
        sure: bool = False,
    ) -> None:
        self.venue = venue
        self.symbol = symbol
        self._sure = sure
        self.session = session
        self.rejects = rejects
        self.counts = RecordingCounts()
        self._routes: dict[bytes, Route | None] = {}
        self._rows: dict[Key, Rows] = {}
        self._partial_slots: dict[Key, int] = {}
        for (own, name), book in session.books.items():
            if own == venue:
                self.counts.books[name] = book.start_file()

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
        recv_ns = local_time_ns(head)
        # `{"stream":"NAME","data":BODY}` is what a combined connection sends, byte for byte.
        if payload[:11] == b'{"stream":"':
            end = payload.find(b'"', 11)
            name = payload[11:end]
            try:
                route = self._routes[name]
            except KeyError:
                route = self._add_route(name)
            payload = payload.rstrip()
            if payload[end : end + 9] == b'","data":' and payload.endswith(b"}"):
                self._deliver(route, name, payload[end + 9 : -1], recv_ns, number)
                return
        self._other(payload, recv_ns, number)

    def _deliver(
        self, route: Route | None, name: bytes, body: bytes, recv_ns: int, number: int
    ) -> None:
        if route is None:
            self.counts.skipped[f"stream {_kind_of_stream(name)}"] += 1
            return
        data = route.decode(body)
        if not route.symbol:
            symbol = data.o.s if route.channel == "forceOrder" else data.s
            route = self._routed(f"{symbol.lower()}@{route.channel}".encode())
            if route is None:
                raise RejectedError("symbol")
        if route.make is None:
            self._depth(route, data, recv_ns, number)
            return
        row = route.make(data, recv_ns, number)
        if row is not None and route.rows is not None:
            route.rows.append(row)
        elif row is None:
            self.counts.skipped["open kline"] += 1

    def _other(self, payload: bytes, recv_ns: int, number: int) -> None:
        """A frame in another spelling, a frame without a stream name, a REST body, an answer."""
        head = msgspec.json.decode(payload, type=Head)
        if b'"stream"' in payload[:64]:
            frame = msgspec.json.decode(payload, type=Combined)
            name = frame.stream.encode()
            self._deliver(self._routed(name), name, bytes(frame.data), recv_ns, number)
        elif head.lastUpdateId >= 0 and not head.e:
            self._snapshot(msgspec.json.decode(payload, type=DepthSnapshot))
        elif head.e in RAW_STREAMS or (head.s and head.B):
            stream = RAW_STREAMS.get(head.e, "bookTicker")
            symbol = head.s or _order_symbol(payload)
            name = f"{symbol.lower()}@{stream}".encode()
            self._deliver(self._routed(name), name, payload, recv_ns, number)
        else:
            self.counts.skipped[f"message {head.e}" if head.e else "answer"] += 1

    def _routed(self, name: bytes) -> Route | None:
        if name not in self._routes:
            self._add_route(name)
        return self._routes[name]

    def _add_route(self, name: bytes) -> Route | None:
        """Remember where messages of the stream ``name`` go; None for those of no use."""
        found = channel_of(name.decode("utf-8", "replace"))
        if found is None:
            self._routes[name] = None
            return None
        symbol, channel = found
        if symbol and symbol != self.symbol and not self._sure:
            self.symbol = None
        message = channel
        if channel == "partial" and self.venue == SPOT:
            message = "partial_spot"
        source = name.decode().partition("@")[2] if channel in ("diff", "partial") else channel
        kind, maker = MAKERS.get(channel, (Kind.DEPTH, None))
        rows: Rows | None = None
        if symbol and (maker is not None or channel == "partial"):
            rows = self._rows.setdefault((kind, symbol, source), [])
        route = Route(
            symbol,
            channel,
            source,
            msgspec.json.Decoder(MESSAGES[message]).decode,
            maker(symbol, self.session.numbers) if maker is not None else None,
            rows,
        )
        self._routes[name] = route
        return route

    def _depth(self, route: Route, data: Any, recv_ns: int, number: int) -> None:
        if route.channel == "partial":
            self._partial(route, data, recv_ns, number)
            return
        if data.s != route.symbol:
            raise RejectedError("symbol")
        if (data.pu < 0) != (self.venue == SPOT) or data.u < data.U:
            raise RejectedError("frame")
        prices, quantities = self.session.prices, self.session.quantities
        diff = Diff(
            time_ns(data.T or data.E),
            recv_ns,
            number,
            data.U,
            data.u,
            data.pu,
            [(prices[p], quantities[q]) for p, q in data.b],
            [(prices[p], quantities[q]) for p, q in data.a],
        )
        self._book(route.symbol).add_diff(diff)

    def _book(self, symbol: str) -> BookBuilder:
        book = self.session.book(self.venue, symbol)
        if symbol not in self.counts.books:
            self.counts.books[symbol] = book.counts
        return book

    def _partial(self, route: Route, data: Any, recv_ns: int, number: int) -> None:
        session = self.session
        memos = (session.prices, session.quantities)
        row = partial_row(data, recv_ns, number, *memos, session.levels)
        key = (Kind.DEPTH, route.symbol, route.source)
        if session.cadence_ns > PARTIAL_CADENCE_NS:
            slot = row.ts_ns // session.cadence_ns
            if self._partial_slots.get(key, -1) >= slot:
                self.counts.skipped["partial book within a slot"] += 1
                return
            self._partial_slots[key] = slot
        assert route.rows is not None
        route.rows.append(row)

    def _snapshot(self, data: DepthSnapshot) -> None:
        if self.symbol is None:
            raise RejectedError("snapshot_symbol")
        prices, quantities = self.session.prices, self.session.quantities
        bids = [(prices[p], quantities[q]) for p, q in data.bids]
        asks = [(prices[p], quantities[q]) for p, q in data.asks]
        self._book(self.symbol).add_snapshot(Snapshot(data.lastUpdateId, bids, asks))

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
        for (venue, symbol), book in self.session.books.items():
            if venue != self.venue:
                continue
            depth_key = (Kind.DEPTH, symbol, "book")
            out += [(depth_key, c) for c in depth_chunks(Kind.DEPTH, book.depth, reject)]
            if book.gaps:
                out.append(((Kind.GAP, symbol, "book"), gap_chunk(book.gaps)))
            book.depth, book.gaps = [], []
        return out


def local_time_ns(text: bytes) -> int:
    """int64 ns UTC of a line's local time: digits (ms, us or ns by their number) or ``seconds.x:``.

    RejectedError when it is neither, or lies outside 2009 to 2100.
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
    if not TIME_MIN_NS <= value < TIME_MAX_NS:
        raise RejectedError("time")
    return value


def _kind_of_stream(name: bytes) -> str:
    """The part of an unknown stream name that says what it is, without the symbol."""
    text = name.decode("utf-8", "replace")
    return text.partition("@")[2][:40] or text[:40]


def _order_symbol(payload: bytes) -> str:
    """Symbol of a raw liquidation, which stands one level deeper than in other messages."""
    return msgspec.json.decode(payload, type=ForceOrder).o.s
