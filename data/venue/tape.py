"""What a stand-in venue plays: rows of the log, all symbols, in the order in which they arrived.

Owns :class:`LogTape` (ranges of a log, merged) and what a tape is. What must hold: memory does not
grow with the range; within a symbol the order is the log's total order, between symbols arrival,
then ``seq``; times of arrival never fall.

It refuses to know messages, sockets and how fast it is played.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from data.enums import Kind
from data.errors import DataError, UsageError
from data.events import Scales

if TYPE_CHECKING:
    from data.log import Batch, LogStore
    from data.venue.frames import Sheet

SERVED = (Kind.BAR, Kind.TRADE, Kind.LIQUIDATION, Kind.DEPTH, Kind.QUOTE, Kind.MARK)
"""Kinds that a venue sends; the others are the recorder's own."""

_NUMBERED = frozenset({Kind.TRADE, Kind.DEPTH, Kind.QUOTE})
"""Kinds that a client knows by their ids: rows without one (0) are counted from 1 on."""

_ROWS_MOST = 65_536
_AHEAD_MOST = 4


class Due(NamedTuple):
    """One event: when it is sent (ns), its ``seq`` in the log, whose it is, its kind and place."""

    at_ns: int
    seq: int
    series: int
    kind: Kind
    sheet: Sheet
    row: int


class Instrument(NamedTuple):
    """A symbol of the venue that is stood in for."""

    venue: str
    symbol: str
    scales: Scales


class LogTape:
    """The range of ``symbols`` (all there are, where none is named) of ``venue`` in a log.

    ``from_ns`` and ``to_ns`` bound the exchange time; ``delay_ns`` is added to the exchange time of
    rows without a receive time. DataError where the log has nothing of that.
    """

    def __init__(
        self,
        store: LogStore,
        venue: str = "",
        symbols: Sequence[str] = (),
        from_ns: int | None = None,
        to_ns: int | None = None,
        delay_ns: int = 0,
    ) -> None:
        self.store = store
        self.delay_ns = delay_ns
        there = [s for s in store.series() if s.kind in SERVED]
        self.venue = venue.lower() or _only_venue(sorted({s.venue for s in there}))
        mine = [s for s in there if s.venue == self.venue]
        names = list(dict.fromkeys(s.upper() for s in symbols)) or sorted({s.symbol for s in mine})
        self._range = (from_ns, to_ns)
        self.kinds = {n: [s.kind for s in mine if s.symbol == n] for n in names}
        missing = [n for n in names if not self.kinds[n]]
        if missing or not names:
            raise DataError(
                f"the log has nothing of {self.venue} {', '.join(missing)}".rstrip(),
                where=store.storage.where,
                do="see what is there with ofs log ls",
            )
        self._readers = [self._reader(n, len(names)) for n in names]
        self.instruments = [Instrument(self.venue, r.symbol, r.scales) for r in self._readers]
        entries = [e for r in self._readers for e in r.entries]
        first = min(e.min_key_ns for e in entries)
        last = max(e.max_key_ns for e in entries) + delay_ns + 1
        self.from_ns = first if from_ns is None else max(first, from_ns)
        self.end_ns = last if to_ns is None else min(last, to_ns + delay_ns)

    def _reader(self, symbol: str, of: int) -> Any:
        from data.log import LogReader
        from data.show import all_columns

        kinds = self.kinds[symbol]
        return LogReader(
            self.store,
            self.venue,
            symbol,
            all_columns(kinds),
            *self._range,
            latency_ns=dict.fromkeys(kinds, self.delay_ns),
            chunk_rows=max(256, min(8192, _ROWS_MOST // of)),
            ahead=of <= _AHEAD_MOST,
        )

    def __iter__(self) -> Iterator[Due]:
        """A fresh pass."""
        parts = [self._rows(number) for number in range(len(self._readers))]
        return iter(parts[0]) if len(parts) == 1 else heapq.merge(*parts)

    def _rows(self, number: int) -> Iterator[Due]:
        last, count = 0, dict.fromkeys(_NUMBERED, 0)
        for batch in self._readers[number]:
            sheets = {k: sheet_of(columns) for k, columns in batch.columns.items()}
            for kind in _NUMBERED & sheets.keys():
                count[kind] = _numbered(sheets[kind], count[kind])
            for kind, start, stop in _runs(batch):
                sheet = sheets[kind]
                recv, ts, seq = sheet["recv_ns"], sheet["ts_ns"], sheet["seq"]
                for i in range(start, stop):
                    at = recv[i] or ts[i] + self.delay_ns
                    last = at if at > last else last
                    yield Due(last, seq[i], number, kind, sheet, i)


def sheet_of(columns: dict[str, Any]) -> Sheet:
    """Columns of a batch for reading row by row: lists, except levels, which stay arrays."""
    lists = {"bid_price", "bid_qty", "ask_price", "ask_qty"} if "bid_offsets" in columns else set()
    return {name: v if name in lists else v.tolist() for name, v in columns.items()}


def _numbered(sheet: Sheet, count: int) -> int:
    """Give rows without an id their number, from ``count`` on; returns the last number."""
    ids = sheet["id"]
    if not any(ids):
        sheet["id"] = list(range(count + 1, count + 1 + len(ids)))
    return count + len(ids)


def _runs(batch: Batch) -> Iterator[tuple[Kind, int, int]]:
    at = dict.fromkeys(batch.columns, 0)
    for number, stop in zip(batch.run_kind.tolist(), batch.run_stop.tolist(), strict=True):
        kind = Kind(number)
        yield kind, at[kind], stop
        at[kind] = stop


def _only_venue(venues: list[str]) -> str:
    if len(venues) == 1:
        return venues[0]
    if not venues:
        raise DataError("the log has nothing that a venue could send", do="see ofs log ls")
    raise UsageError(
        f"the log has {len(venues)} venues, and one is served at a time",
        why=f"they are {', '.join(venues)}",
        do="choose one with --venue",
    )
