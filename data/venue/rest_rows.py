"""Rows of the log that a REST request asks for: trades by id or time, bars by time.

Owns :class:`RestRows`. What must hold: nothing is shown that arrived after the venue's clock; a
page begins at the id that was asked for, where the log has it; of a file only an index of every
256th id is kept, for a bounded number of files.

It refuses to know requests, weights and text.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.enums import Kind
from data.events import EVENTS

if TYPE_CHECKING:
    from data.log import LogStore
    from data.log.entry import Entry

_EVERY = 256
_INDEXES_MOST = 64
_CHUNK = 2048
_LOOK_BACK_NS = 60_000_000_000

Row = dict[str, int]
"""One row by column name, int."""


@dataclass(frozen=True, slots=True)
class _Index:
    """Every 256th row of a file: the largest id up to there, and its exchange time."""

    ids: np.ndarray
    times: np.ndarray


class RestRows:
    """Reads ``store`` for one ``venue``; ``delay_ns`` is when rows without a receive time come."""

    def __init__(self, store: LogStore, venue: str, delay_ns: int = 0) -> None:
        self._store = store
        self._venue = venue
        self._delay_ns = delay_ns
        self._indexes: OrderedDict[str, _Index] = OrderedDict()

    def trades_from(self, symbol: str, from_id: int, limit: int, now_ns: int) -> list[Row]:
        """Up to ``limit`` trades with ids from ``from_id`` on, by id."""
        entries = [e for e in self._entries(symbol, Kind.TRADE) if e.max_id >= from_id]
        if not entries:
            return []
        entry = min(entries, key=lambda e: (e.min_id, e.min_ts_ns))
        found: list[Row] = []
        for row in self._read(symbol, Kind.TRADE, self._time_of(symbol, entry, from_id), None):
            if self._arrived(row) > now_ns:
                break
            if row["id"] >= from_id:
                found.append(row)
                if len(found) == limit:
                    break
        return sorted(found, key=lambda row: row["id"])

    def trades_between(
        self, symbol: str, from_ns: int, to_ns: int | None, limit: int, now_ns: int
    ) -> list[Row]:
        """Up to ``limit`` trades with ``from_ns`` <= ts < ``to_ns``, by time."""
        found: list[Row] = []
        for row in self._read(symbol, Kind.TRADE, from_ns, to_ns):
            if self._arrived(row) > now_ns or len(found) == limit:
                break
            found.append(row)
        return found

    def last_trades(self, symbol: str, limit: int, now_ns: int) -> list[Row]:
        """The last ``limit`` trades."""
        return self._last(symbol, Kind.TRADE, limit, now_ns)

    def bars_between(
        self, symbol: str, interval_ns: int, span: tuple[int, int | None], limit: int, now_ns: int
    ) -> list[Row]:
        """Up to ``limit`` closed bars that open in ``span`` (end exclusive)."""
        from_ns, to_ns = span[0] + 1, None if span[1] is None else span[1] + interval_ns
        found: list[Row] = []
        for row in self._read(symbol, Kind.BAR, from_ns, to_ns):
            if self._arrived(row) > now_ns or len(found) == limit:
                break
            if row["interval_ns"] == interval_ns and row["open_ns"] >= span[0]:
                found.append(row)
        return found

    def last_bars(self, symbol: str, interval_ns: int, limit: int, now_ns: int) -> list[Row]:
        """The last ``limit`` closed bars."""
        from_ns = max(0, now_ns - (limit + 2) * interval_ns)
        return self.bars_between(symbol, interval_ns, (from_ns, None), limit + 4, now_ns)[-limit:]

    def _last(self, symbol: str, kind: Kind, limit: int, now_ns: int) -> list[Row]:
        entries = self._entries(symbol, kind)
        first = min((e.min_ts_ns for e in entries), default=now_ns)
        back = _LOOK_BACK_NS
        while True:
            from_ns = max(first, now_ns - back)
            rows = [
                row
                for row in self._read(symbol, kind, from_ns, now_ns + 1)
                if self._arrived(row) <= now_ns
            ]
            if len(rows) >= limit or from_ns <= first:
                return rows[-limit:]
            back *= 8

    def _arrived(self, row: Row) -> int:
        return row["recv_ns"] or row["ts_ns"] + self._delay_ns

    def _entries(self, symbol: str, kind: Kind) -> list[Entry]:
        return self._store.catalogue().select([kind], self._venue, symbol, None, None)

    def _time_of(self, symbol: str, entry: Entry, from_id: int) -> int:
        """Exchange time from which on ``from_id`` can stand in the file."""
        index = self._index(symbol, entry)
        place = int(np.searchsorted(index.ids, from_id)) - 1
        return int(index.times[: place + 1].max()) if place >= 0 else entry.min_ts_ns

    def _index(self, symbol: str, entry: Entry) -> _Index:
        known = self._indexes.get(entry.sha256)
        if known is None:
            ids, times, skip = [], [], 0
            span = entry.min_ts_ns, entry.max_ts_ns + 1
            for columns in self._columns(symbol, Kind.TRADE, ("ts_ns", "id"), span):
                ids.append(columns["id"][skip::_EVERY])
                times.append(columns["ts_ns"][skip::_EVERY])
                skip = (skip - len(columns["id"])) % _EVERY
            known = _Index(np.maximum.accumulate(np.concatenate(ids)), np.concatenate(times))
            self._indexes[entry.sha256] = known
            if len(self._indexes) > _INDEXES_MOST:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(entry.sha256)
        return known

    def _read(self, symbol: str, kind: Kind, from_ns: int, to_ns: int | None) -> Iterator[Row]:
        """Rows of a range in the log's order, as dicts."""
        names = EVENTS[kind].names
        for columns in self._columns(symbol, kind, names, (from_ns, to_ns)):
            lists = [columns[name].tolist() for name in names]
            for values in zip(*lists, strict=True):
                yield dict(zip(names, values, strict=True))

    def _columns(
        self, symbol: str, kind: Kind, names: Sequence[str], span: tuple[int, int | None]
    ) -> Iterator[dict[str, Any]]:
        from data.errors import CorruptFileError, DataError
        from data.log import LogReader

        wanted = tuple(dict.fromkeys((*names, "recv_ns")))
        try:
            reader = LogReader(
                self._store,
                self._venue,
                symbol,
                {kind: wanted},
                *span,
                latency_ns={kind: self._delay_ns},
                chunk_rows=_CHUNK,
                ahead=False,
            )
        except CorruptFileError:
            raise
        except DataError:
            return  # nothing in the range: an empty answer
        for batch in reader:
            yield batch.columns[kind]


class NoRows:
    """What a raw recording can answer: nothing. Its lines are sent as they are, and not read."""

    def trades_from(self, symbol: str, from_id: int, limit: int, now_ns: int) -> list[Row]:
        """No trades."""
        return []

    def trades_between(
        self, symbol: str, from_ns: int, to_ns: int | None, limit: int, now_ns: int
    ) -> list[Row]:
        """No trades."""
        return []

    def last_trades(self, symbol: str, limit: int, now_ns: int) -> list[Row]:
        """No trades."""
        return []

    def bars_between(
        self, symbol: str, interval_ns: int, span: tuple[int, int | None], limit: int, now_ns: int
    ) -> list[Row]:
        """No bars."""
        return []

    def last_bars(self, symbol: str, interval_ns: int, limit: int, now_ns: int) -> list[Row]:
        """No bars."""
        return []
