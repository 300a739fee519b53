"""Ticks and bars of a symbol, as the package's ``copy_*`` calls give them.

Owns how quotes become ticks (which side changed) and bars (of the bid, on the server's wall clock).
What must hold: rows run from old to new; the bar that is still forming is among them; a bar's time
is the wall clock's begin of its interval. A bar's spread is the smallest in it.

It refuses to know who asks and whether a symbol is selected.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.broker.terminal.server.clock import DAY_S, NS, ServerClock
from engine.broker.terminal.server.quotes import Quotes
from engine.broker.terminal.server.specs import SymbolSpec

Columns = dict[str, np.ndarray]

TICKS_INFO, TICKS_TRADE = 1, 2
_BID, _ASK = 2, 4
_WEEK, _MONTH = 0x8000, 0xC000
_QUARTER_NS = 900 * NS
_SUNDAY_S = 3 * DAY_S
"""1970-01-04, where a week began."""

MINUTES = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
HOURS = (1, 2, 3, 4, 6, 8, 12, 24)


def period_s(timeframe: int) -> int:
    """Seconds of a time frame of the package; 0 where it is none."""
    if timeframe in MINUTES:
        return timeframe * 60
    if timeframe & 0xC000 == 0x4000 and timeframe & 0x3FFF in HOURS:
        return (timeframe & 0x3FFF) * 3600
    return {_WEEK | 1: 7 * DAY_S, _MONTH | 1: 31 * DAY_S}.get(timeframe, 0)


class Chart:
    """The history of one symbol as a terminal has it: the first ``rows`` quotes."""

    def __init__(self, spec: SymbolSpec, quotes: Quotes, rows: int, clock: ServerClock) -> None:
        self.spec = spec
        self.clock = clock
        self.rows = rows
        self.ts_ns, self.bid, self.ask = (c[:rows] for c in quotes.columns())

    def _row(self, wall_s: int, side: str) -> int:
        """The first row at or after a wall time (``left``), or after its whole second."""
        at_ns = self.clock.utc_ns(wall_s * NS + (NS - 1 if side == "right" else 0))
        return int(np.searchsorted(self.ts_ns, at_ns, side=side))  # type: ignore[call-overload]

    def _wall_ns(self, start: int, stop: int) -> np.ndarray:
        ts = self.ts_ns[start:stop]
        quarters, inverse = np.unique(ts // _QUARTER_NS, return_inverse=True)
        ahead = [self.clock.offset_s(int(q) * _QUARTER_NS) * NS for q in quarters]
        return ts + np.array(ahead, dtype=np.int64)[inverse.reshape(-1)]

    # --- ticks

    def ticks_from(self, date_from: int, count: int, flags: int) -> Columns:
        """Up to ``count`` ticks onwards from a wall time."""
        start = self._row(date_from, "left")
        return self._ticks(start, min(self.rows, start + max(0, count)), flags)

    def ticks_range(self, date_from: int, date_to: int, flags: int) -> Columns:
        """The ticks from one wall time to the end of another second."""
        return self._ticks(self._row(date_from, "left"), self._row(date_to, "right"), flags)

    def _ticks(self, start: int, stop: int, flags: int) -> Columns:
        if flags == TICKS_TRADE:  # there are no trades at a dealer
            stop = start
        stop = max(start, stop)
        wall_ms = self._wall_ns(start, stop) // 1_000_000
        return {
            "time": wall_ms // 1000,
            "bid": self._prices(self.bid[start:stop]),
            "ask": self._prices(self.ask[start:stop]),
            "time_msc": wall_ms,
            "flags": self._flags(start, stop),
        }

    def _prices(self, points: np.ndarray) -> np.ndarray:
        return np.round(points / self.spec.scale, self.spec.digits)

    def _flags(self, start: int, stop: int) -> np.ndarray:
        flags = np.zeros(stop - start, dtype=np.uint32)
        for column, bit in ((self.bid, _BID), (self.ask, _ASK)):
            before = column[max(0, start - 1) : stop]
            changed = np.diff(before) != 0
            if start == 0 and stop > start:
                changed = np.concatenate([[True], changed])
            flags[changed] |= bit
        return flags

    # --- bars

    def bars_range(self, timeframe: int, date_from: int, date_to: int) -> Columns:
        """The bars that begin from one wall time to another."""
        long_s = period_s(timeframe)
        start = self._row(date_from - long_s, "left")
        bars = self._bars(start, self._row(date_to + long_s, "right"), timeframe)
        return _cut(bars, (bars["time"] >= date_from) & (bars["time"] <= date_to))

    def bars_from(self, timeframe: int, date_from: int, count: int) -> Columns:
        """Up to ``count`` bars back from the last one that begins by a wall time."""
        long_s = period_s(timeframe)
        bars = self._last(timeframe, self._row(date_from + long_s, "right"), count + 2)
        return _tail(_cut(bars, bars["time"] <= date_from), count)

    def bars_from_pos(self, timeframe: int, start_pos: int, count: int) -> Columns:
        """Up to ``count`` bars back from the one at ``start_pos``; 0 is the forming one."""
        bars = self._last(timeframe, self.rows, start_pos + count)
        upto = len(bars["time"]) - start_pos
        return {k: v[max(0, upto - count) : max(0, upto)] for k, v in bars.items()}

    def _last(self, timeframe: int, stop: int, count: int) -> Columns:
        """At least ``count`` bars that end with row ``stop``, where there are so many: whole ones,
        found without looking at all of the history."""
        span_ns, start = max(1, count) * period_s(timeframe) * NS, stop
        while True:
            if stop:
                from_ns = int(self.ts_ns[stop - 1]) - span_ns
                start = int(np.searchsorted(self.ts_ns, from_ns, side="left"))
            bars = self._bars(start, stop, timeframe)
            if start == 0:
                return bars
            if len(bars["time"]) > count:  # the first one may have begun before
                return {k: v[1:] for k, v in bars.items()}
            span_ns *= 4

    def _bars(self, start: int, stop: int, timeframe: int) -> Columns:
        stop = max(start, stop)
        begins = _begins(self._wall_ns(start, stop) // NS, timeframe)
        bid, ask = self.bid[start:stop], self.ask[start:stop]
        firsts = np.flatnonzero(np.diff(begins, prepend=begins[:1] - 1))
        if not len(firsts):
            none = np.zeros(0)
            return dict.fromkeys(("open", "high", "low", "close"), none) | {
                "time": none.astype(np.int64), "tick_volume": none.astype(np.uint64),
                "spread": none.astype(np.int32),
            }  # fmt: skip
        stops = np.append(firsts[1:], len(begins))
        return {
            "time": begins[firsts],
            "open": self._prices(bid[firsts]),
            "high": self._prices(np.maximum.reduceat(bid, firsts)),
            "low": self._prices(np.minimum.reduceat(bid, firsts)),
            "close": self._prices(bid[stops - 1]),
            "tick_volume": (stops - firsts).astype(np.uint64),
            "spread": np.minimum.reduceat(ask - bid, firsts).astype(np.int32),
        }


def _begins(wall_s: np.ndarray, timeframe: int) -> np.ndarray:
    """Begin of the bar of each wall time, int64 seconds."""
    if timeframe == _MONTH | 1:
        months = wall_s.astype("datetime64[s]").astype("datetime64[M]")
        return months.astype("datetime64[s]").astype(np.int64)
    long_s = period_s(timeframe)
    shift = _SUNDAY_S if timeframe == _WEEK | 1 else 0
    return (wall_s - shift) // long_s * long_s + shift


def _cut(columns: Columns, keep: np.ndarray) -> Columns:
    return {k: v[keep] for k, v in columns.items()}


def _tail(columns: Columns, count: int) -> Columns:
    return {k: v[max(0, len(v) - max(0, count)) :] for k, v in columns.items()}


def book_rows(spec: SymbolSpec, quotes: Quotes, row: int) -> list[dict[str, Any]]:
    """Depth of market as far as it is known: the touch of a quote, asks first."""
    ask_size, bid_size = (int(quotes.sizes(row)[k]) for k in (1, 0))
    levels = [(1, int(quotes.columns()[2][row]), ask_size),
              (2, int(quotes.columns()[1][row]), bid_size)]  # fmt: skip
    return [
        {
            "type": side, "price": spec.price(points), "volume": int(spec.lots(size)),
            "volume_dbl": spec.lots(size),
        }
        for side, points, size in levels
        if size
    ]  # fmt: skip
