"""The last step before the log: gathered rows of one import, made fit and merged.

Owns the choice between streams that show the same thing twice (single trades and aggregates, a
rebuilt book and a partial one), the common scale of a symbol, the guard against two numberings of
trades in one series, and the bound on memory. What must hold: what is left out is counted; a row
that fits no scale is rejected by name; one series never holds the same volume under two ids.

It refuses to know file formats and how the log stores rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from data.events import EVENTS, Kind, Scales
from data.ids import OPAQUE_ID, ordinals
from data.sources.chunks import Chunk, take
from data.sources.fitting import join
from data.sources.import_report import FileReport
from data.sources.rejects import Rejects
from data.times import format_utc

if TYPE_CHECKING:
    from data.log import Entry
    from data.log.transaction import Transaction

BUFFER_BYTES = 16 << 20
"""Rows held before they are merged, in all. A merge needs some ten times as much: the rows that the
log holds of the same time, both together, their keys and their order."""

OVERLAP_NS = 1_000_000_000
"""Two runs of trades of one numbering overlap in time by no more than jitter."""

_PRICED = frozenset({Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.BAR})
_AVERAGED = {Kind.MARK: ("mark", "index"), Kind.LIQUIDATION: ("price",)}
"""Prices that lie off the grid; they are rounded to the price scale of their symbol."""

_COUNTED = frozenset({Kind.TRADE, Kind.LIQUIDATION, Kind.QUOTE})
"""Kinds of which the log counts equal rows without an id: those of an instant come together."""

Series = tuple[str, Kind, str]
"""(venue, kind, symbol)"""


@dataclass(frozen=True, slots=True)
class _Span:
    """Times (ns) and ids of some trades of one series; ids are 0 where no trade has one."""

    low_ns: int
    high_ns: int
    low_id: int
    high_id: int

    def counts_otherwise(self, other: _Span) -> bool:
        """True when the ids cannot be of one numbering, or only one of the two has ids."""
        if bool(self.high_id) != bool(other.high_id):
            return True
        if self.low_id >= OPAQUE_ID and other.low_id >= OPAQUE_ID:
            return False  # hashes lie anywhere
        return self.low_id > other.high_id or other.low_id > self.high_id


class Inlet:
    """Takes chunks of one file after another and merges them into the transaction ``tx``.

    ``entries`` are the files that the log held before.
    """

    def __init__(self, entries: Sequence[Entry], tx: Transaction) -> None:
        self._log = entries
        self._tx = tx
        self._held: dict[Series, dict[str, list[Chunk]]] = {}
        self._bytes = 0
        self._chosen: dict[Series, str] = {}
        # Exchange times, ns, of the books taken from the stream that is used.
        self._books_ns: dict[Series, tuple[int, int]] = {}
        self._price_scale: dict[tuple[str, str], int] = {}
        self._spans: dict[tuple[str, str], list[_Span]] = {}
        self._order: dict[tuple[Series, str], tuple[int, int]] = {}
        self._report: FileReport
        self._rejects: Rejects

    def start_file(self, report: FileReport, rejects: Rejects) -> None:
        """Rows that follow are of another file."""
        self._report, self._rejects = report, rejects
        self._order.clear()

    def add(self, venue: str, kind: Kind, symbol: str, source: str, chunk: Chunk) -> None:
        """Take rows of one stream; merges everything when much is held."""
        if not len(chunk):
            return
        series = (venue, kind, symbol)
        self._count_disorder(series, source, chunk)
        self._held.setdefault(series, {}).setdefault(source, []).append(chunk)
        self._bytes += chunk.nbytes
        if self._bytes > BUFFER_BYTES:
            self._flush(hold_back=True)

    def flush(self) -> None:
        """Merge everything that is held. Kinds whose prices need the symbol's scale come last."""
        self._flush(hold_back=False)

    def _flush(self, hold_back: bool) -> None:
        """Merge what is held; with ``hold_back`` not an instant whose rows may go on."""
        held, self._held, self._bytes = self._held, {}, 0
        for series in sorted(held, key=lambda s: (s[1] in _AVERAGED, s[1] == Kind.GAP, s)):
            chunks = self._choose(series, held[series])
            if hold_back and series[1] in _COUNTED:
                chunks, rest = _split_instant(chunks)
                if rest:
                    self._held[series] = {self._chosen.get(series, "rest"): rest}
                    self._bytes += sum(c.nbytes for c in rest)
            if chunks:
                self._merge(series, chunks)

    def depth_source(self, venue: str, symbol: str) -> str:
        """Where the depth of a symbol comes from so far: ``book``, a partial stream, or empty."""
        return self._chosen.get((venue, Kind.DEPTH, symbol), "")

    def _count_disorder(self, series: Series, source: str, chunk: Chunk) -> None:
        """Count rows whose time, or whose id, lies behind one already seen in this stream."""
        if series[1] not in _PRICED:
            return
        last_ns, last_id = self._order.get((series, source), (0, 0))
        ts_ns, ids = chunk.array("ts_ns"), ordinals(chunk.array("id"))
        top_ns = np.maximum.accumulate(np.concatenate([[last_ns], ts_ns]))
        top_id = np.maximum.accumulate(np.concatenate([[last_id], ids]))
        behind = (ts_ns < top_ns[:-1]) | (ids < top_id[:-1])
        self._report.out_of_order += int(behind.sum())
        self._order[series, source] = int(top_ns[-1]), int(top_id[-1])

    def _choose(self, series: Series, sources: dict[str, list[Chunk]]) -> list[Chunk]:
        """The chunks of the stream to be used; the others are counted as left out."""
        venue, kind, symbol = series
        if kind == Kind.GAP:
            return self._choose_gaps(self.depth_source(venue, symbol), sources)
        if kind not in (Kind.TRADE, Kind.DEPTH):
            return [c for chunks in sources.values() for c in chunks]
        used = self._chosen.get(series, "")
        if used not in sources and not self._stands_in(series, sources):
            used = min(sources, key=_rank)
            self._chosen[series] = used
            self._books_ns.pop(series, None)
        for source, chunks in sources.items():
            if source != used:
                rows = sum(len(c) for c in chunks)
                self._report.left_out[f"{source} (there is {used})"] += rows
        chunks = sources.get(used, [])
        if kind == Kind.DEPTH and chunks:
            self._books_ns[series] = _range_ns(chunks, self._books_ns.get(series))
        return chunks

    def _stands_in(self, series: Series, sources: dict[str, list[Chunk]]) -> bool:
        """True when the books of the stream used so far are of the time of these ``sources``."""
        span = self._books_ns.get(series)
        if span is None:
            return False
        low_ns, high_ns = _range_ns([c for chunks in sources.values() for c in chunks], None)
        return low_ns <= span[1] and span[0] <= high_ns

    def _choose_gaps(self, used: str, sources: dict[str, list[Chunk]]) -> list[Chunk]:
        """The gaps of the stream of books that is used; ``used`` is empty where none is yet."""
        for source, chunks in sources.items():
            if used not in ("", source):
                self._report.left_out["gaps of unused depth diffs"] += sum(map(len, chunks))
        return [c for source, chunks in sources.items() if used in ("", source) for c in chunks]

    def _merge(self, series: Series, chunks: list[Chunk]) -> None:
        venue, kind, symbol = series
        if kind in _AVERAGED:
            chunks = [self._on_grid(venue, symbol, c) for c in chunks]
        whole, keep = join(chunks)
        for chunk, mask in zip(chunks, keep, strict=True):
            for row in np.flatnonzero(~mask):
                self._rejects.add(int(chunk.lines[row]), "overflow", _row_text(chunk, int(row)))
        if not len(whole):
            return
        ts_ns = whole.array("ts_ns")
        if kind in _PRICED:
            known = self._price_scale.get((venue, symbol), 0)
            self._price_scale[venue, symbol] = max(known, whole.scales.price)
        if kind == Kind.TRADE:
            self._guard_numbering(venue, symbol, whole)
        result = self._tx.merge(kind, venue, symbol, whole.columns, whole.scales)
        report = self._report
        report.rows[EVENTS[kind].name] += len(whole)
        report.added += result.added
        report.duplicates += result.duplicates
        report.conflicts += result.conflicts
        report.saw(int(ts_ns.min()), int(ts_ns.max()))
        if kind == Kind.DEPTH and result.added:
            self._note_other_books(venue, symbol, result.added, whole)

    def _note_other_books(self, venue: str, symbol: str, added: int, depth: Chunk) -> None:
        """Say when books were added among books that the log held before."""
        low_ns, high_ns = int(depth.array("ts_ns").min()), int(depth.array("ts_ns").max())
        for entry in self._entries(venue, symbol, frozenset({Kind.DEPTH})):
            if entry.min_ts_ns < high_ns and low_ns < entry.max_ts_ns:
                self._report.notes.append(
                    f"{symbol}: {added:,} books were added among those that the log already held "
                    "of this time; one recording should be imported with one --levels and --cadence"
                )
                return

    def _on_grid(self, venue: str, symbol: str, chunk: Chunk) -> Chunk:
        """Round averaged prices half to even to the symbol's price scale, where that is known."""
        scale = self._known_scale(venue, symbol)
        if scale is None or scale >= chunk.scales.price:
            return chunk
        step = 10 ** (chunk.scales.price - scale)
        columns = dict(chunk.columns)
        for name in _AVERAGED[chunk.kind]:
            whole, rest = np.divmod(chunk.array(name), step)
            up = (rest * 2 > step) | ((rest * 2 == step) & (whole % 2 == 1))
            columns[name] = whole + up
        return Chunk(chunk.kind, columns, Scales(scale, chunk.scales.qty), chunk.lines)

    def _known_scale(self, venue: str, symbol: str) -> int | None:
        """The price scale of what this import read of the symbol, else of what the log holds."""
        own = self._price_scale.get((venue, symbol))
        if own is not None:
            return own
        return max((e.scales.price for e in self._entries(venue, symbol, _PRICED)), default=None)

    def _entries(self, venue: str, symbol: str, kinds: frozenset[Kind]) -> list[Entry]:
        here = (venue, symbol)
        return [e for e in self._log if (e.venue, e.symbol) == here and e.kind in kinds]

    def _guard_numbering(self, venue: str, symbol: str, trades: Chunk) -> None:
        """DataError when trades of the same time carry ids of another numbering."""
        if (venue, symbol) not in self._spans:
            self._spans[venue, symbol] = [
                _Span(e.min_ts_ns, e.max_ts_ns, e.min_id, e.max_id)
                for e in self._entries(venue, symbol, frozenset({Kind.TRADE}))
            ]
        ts_ns, ids = trades.array("ts_ns"), trades.array("id")
        known = ids[ids != 0]
        lowest = int(known.min()) if len(known) else 0
        new = _Span(int(ts_ns.min()), int(ts_ns.max()), lowest, int(ids.max()))
        for old in self._spans[venue, symbol]:
            overlap = min(new.high_ns, old.high_ns) - max(new.low_ns, old.low_ns)
            if new.counts_otherwise(old) and overlap > OVERLAP_NS:
                raise _two_numberings(self._report, venue, symbol, old, new)
        self._spans[venue, symbol].append(new)


def _two_numberings(
    report: FileReport, venue: str, symbol: str, old: _Span, new: _Span
) -> DataError:
    start_ns = max(new.low_ns, old.low_ns)
    return DataError(
        f"these trades of {venue} {symbol} are numbered otherwise than those already there",
        where=report.path,
        why=f"from {format_utc(start_ns)} on there are {_ids(old)}; the file has {_ids(new)}: "
        "the same trades, told by aggregates and singly or by two sources, would count twice",
        do="keep the two kinds of trades in two logs (--log); nothing of this import was kept",
    )


def _ids(span: _Span) -> str:
    if not span.high_id:
        return "trades without ids"
    if span.low_id >= OPAQUE_ID:
        return "trades whose ids are texts"
    return f"ids {span.low_id} to {span.high_id}"


def _range_ns(chunks: list[Chunk], known: tuple[int, int] | None) -> tuple[int, int]:
    """First and last exchange time, ns, of ``chunks`` and of what is ``known``."""
    ends = [(int(c.array("ts_ns").min()), int(c.array("ts_ns").max())) for c in chunks]
    ends += [known] if known else []
    return min(low for low, _ in ends), max(high for _, high in ends)


def _split_instant(chunks: list[Chunk]) -> tuple[list[Chunk], list[Chunk]]:
    """(what may be merged now, the rows without ids of the last instant, which may go on)."""
    last_ns = int(chunks[-1].array("ts_ns")[-1]) if chunks else 0
    ready = list(chunks)
    rest: list[Chunk] = []
    while ready and int(ready[-1].array("ts_ns")[-1]) == last_ns:
        chunk = ready.pop()
        again = (chunk.array("ts_ns") == last_ns) & (chunk.array("id") == 0)
        if not again.any() or sum(c.nbytes for c in rest) > BUFFER_BYTES // 2:
            ready.append(chunk)  # it has ids, or the file knows no time worth the name
            break
        rest.insert(0, take(chunk, again))
        if not again.all():
            ready.append(take(chunk, ~again))
            break
    return ready, rest


def _rank(source: str) -> tuple[int, int, str]:
    """Order of preference among streams of one kind: the smallest is used."""
    first = {"aggTrade": 0, "book": 0}.get(source, 1)
    digits = source.removeprefix("depth").removeprefix("orderbook.").partition("@")[0]
    return first, -int(digits) if digits.isdigit() else 0, source


def _row_text(chunk: Chunk, row: int) -> str:
    """What is known of a row whose line is no longer at hand."""
    parts = []
    for name, column in chunk.columns.items():
        if isinstance(column, tuple):
            column = column[0][column[1][row] : column[1][row + 1]]
            parts.append(f"{name}={column.tolist()}")
        else:
            parts.append(f"{name}={int(column[row])}")
    scales = f"price_scale={chunk.scales.price} qty_scale={chunk.scales.qty}"
    return " ".join([*parts, scales])
