"""What is new at a terminal since the last look: ticks and closed minutes, each of them once.

Owns :class:`Poll`, the position in each symbol's ticks and bars. A look asks for the last tick, and
only where that is another one for those since the position, which is a time of the server in ms and
how many ticks of that millisecond were seen. A bar is closed when a later one is there, or its end
is :data:`GRACE_S` behind; the terminal makes none of a minute without a tick.

What must hold: a tick that several looks show is found once, and none between two looks is left
out; where the server's clock was put back (the hour that autumn repeats) its history cannot be read
by time, so until the clock is past where it was only the tick of each look is found; a quote that
the clock's rule puts into the future, or a fresh one that it puts into the past before the rule was
proven, is an error and no quote; after :meth:`begin` it begins where the market is.

It refuses to know sessions, threads and the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.broker.calls import Answer, Terminal
from engine.broker.mt5_clock import NS, ServerClock
from engine.broker.mt5_link import failure, refuted
from engine.broker.retcodes import link_is_gone

TICKS_MOST = 4_096
"""Ticks that are asked for at once."""

COPY_S = 60.0
"""The first call for ticks of a symbol lets the terminal fetch them from the server: up to 45 s."""

FRESH_NS = 60 * NS
"""A quote that stands when a link begins is found if it is not older than this."""

WATCHED_S = 2.0
"""A quote that changed within so many seconds of the look before is a fresh one."""

GRACE_S = 5
"""A minute is over for good so long after its end, by the server's clock."""

BARS_MOST = 16
COPY_TICKS_INFO = 1
TIMEFRAME_M1 = 1
_MINUTE_S = 60
_MS = 1_000_000
_TICK = ("time_msc", "bid", "ask", "last", "volume", "flags")
_BAR = ("time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume")


class Found(NamedTuple):
    """Rows as the terminal has them, all with one offset of its clock to UTC: ticks (ms, bid, ask,
    last, volume, flags) or bars (s, open, high, low, close, ticks, spread, volume). ``last_ns`` is
    UTC of the last tick, or of the end of the last bar; ``lot`` the base quantity of a lot."""

    offset_ns: int
    rows: list[list[Any]]
    last_ns: int
    lot: float = 1.0


@dataclass(slots=True)
class _Place:
    """Up to where a symbol's ticks were found: ``seen`` of the millisecond ``msc``, the largest
    ever. ``last`` is the tick that the last look showed, at ``looked_s`` (monotonic)."""

    msc: int
    seen: int
    last: tuple[Any, ...]
    looked_s: float


class Poll:
    """Looks at ``terminal``, whose server's clock is ``clock``. Calls take ``deadline_s``."""

    def __init__(self, terminal: Terminal, clock: ServerClock, deadline_s: float) -> None:
        self.proven = False
        self._terminal, self._clock, self._deadline_s = terminal, clock, deadline_s
        self._places: dict[str, _Place] = {}
        self._bars: dict[str, int] = {}
        self._minute: dict[str, int] = {}
        self._lots: dict[str, float] = {}
        self._answered: set[str] = set()

    def begin(self) -> None:
        """A link begins: what came before it is history. Bars that were found stay so."""
        self._places.clear()
        self._bars.clear()
        self._minute.clear()

    # -- ticks ------------------------------------------------------------------------------------

    def ticks(self, symbol: str) -> Iterator[Found]:
        """Ticks since the last look; BrokerGoneError where the link is lost, BrokerError where a
        quote refutes the clock's rule."""
        answer = self._terminal.call("symbol_info_tick", symbol, deadline_s=self._deadline_s)
        tick = answer.value
        if tick is None:
            if link_is_gone(answer.code):
                raise failure("symbol_info_tick", answer)
            return  # nothing was ever quoted
        msc = int(tick.time_msc or tick.time * 1000)
        row = (msc, tick.bid, tick.ask, tick.last, int(tick.volume), int(tick.flags))
        now_ns, now_s = self._terminal.now_ns(), time.monotonic()
        place = self._places.get(symbol)
        if msc <= 0 or (place is not None and place.last == row):
            if place is not None:
                place.looked_s = now_s
            return
        fresh = place is not None and now_s - place.looked_s < WATCHED_S
        self._hold(symbol, tick, now_ns, fresh)
        if place is None:
            yield from self._first(symbol, row, now_ns, now_s)
        else:
            place.last, place.looked_s = row, now_s
            yield from self._later(symbol, place, row, now_ns)

    def _hold(self, symbol: str, tick: Any, now_ns: int, fresh: bool) -> None:
        """Hold the clock's rule against a quote that is new to us."""
        verdict = self._clock.check(tick, now_ns, fresh and not self.proven)
        if verdict.wrong:
            raise refuted(self._clock.rule, symbol, verdict.words)
        self.proven = self.proven or verdict.proven

    def _first(self, symbol: str, row: tuple[Any, ...], now_ns: int,
               now_s: float) -> Iterator[Found]:  # fmt: skip
        """The position is the tick of this moment; it is found itself if it is not old."""
        msc = row[0]
        rows = self._copied(symbol, msc, TICKS_MOST)
        seen = 1 if rows is None else max(1, int((rows["time_msc"] == msc).sum()))
        self._places[symbol] = _Place(msc, seen, row, now_s)
        if now_ns - self._clock.to_utc_ns(msc, now_ns) <= FRESH_NS:
            yield from self._found([list(row)], now_ns)

    def _later(self, symbol: str, place: _Place, row: tuple[Any, ...],
               now_ns: int) -> Iterator[Found]:  # fmt: skip
        """What came since the position."""
        if row[0] < place.msc:  # the server's clock was put back
            yield from self._found([list(row)], now_ns)
            return
        while True:
            rows = self._copied(symbol, place.msc, TICKS_MOST)
            if rows is None:
                yield from self._without_history(place, row, now_ns)
                return
            times = rows["time_msc"]
            same = np.flatnonzero(times == place.msc)
            new = np.concatenate([same[place.seen :], np.flatnonzero(times > place.msc)])
            if not len(new):
                return  # its history lags behind the quote; the next look finds it
            place.msc = int(times[new[-1]])
            place.seen = int((times == place.msc).sum())
            columns = [rows[name][new].tolist() for name in _TICK]
            yield from self._found([list(cells) for cells in zip(*columns, strict=True)], now_ns)
            if len(rows) < TICKS_MOST:
                return

    def _without_history(self, place: _Place, row: tuple[Any, ...],
                         now_ns: int) -> Iterator[Found]:  # fmt: skip
        """The terminal is still fetching its history: the tick of each look is all there is."""
        place.seen = 1 + (place.seen if place.msc == row[0] else 0)
        place.msc = row[0]
        yield from self._found([list(row)], now_ns)

    def _copied(self, symbol: str, msc: int, count: int) -> np.ndarray | None:
        """Ticks from the second of ``msc`` on, whole milliseconds of them; None where there is no
        history yet. A second with more ticks than were asked for is asked for whole."""
        while True:
            args = (symbol, msc // 1000, count, COPY_TICKS_INFO)
            answer = self._copy("copy_ticks_from", *args)
            if answer.value is None:
                return None
            rows: np.ndarray = np.asarray(answer.value)
            if len(rows) < count or int(rows["time_msc"][-1]) > msc:
                return rows
            count *= 2

    def _copy(self, name: str, symbol: str, *args: int) -> Answer:
        """A call for history; BrokerGoneError where the link is lost."""
        deadline_s = self._deadline_s if f"{name} {symbol}" in self._answered else COPY_S
        answer = self._terminal.call(name, symbol, *args, deadline_s=deadline_s)
        if answer.value is not None:
            self._answered.add(f"{name} {symbol}")
        elif link_is_gone(answer.code):
            raise failure(name, answer)
        return answer

    def _found(self, rows: list[list[Any]], now_ns: int) -> Iterator[Found]:
        """Rows of ticks, apart where the offset of the server's clock changed among them."""
        utc = [self._clock.to_utc_ns(row[0], now_ns) for row in (rows[0], rows[-1])]
        offsets = [row[0] * _MS - at for row, at in zip((rows[0], rows[-1]), utc, strict=True)]
        if offsets[0] == offsets[1]:
            yield Found(offsets[1], rows, utc[1])
            return
        part: list[list[Any]] = []
        offset, at = offsets[0], utc[0]
        for row in rows:
            row_at = self._clock.to_utc_ns(row[0], now_ns)
            row_offset = row[0] * _MS - row_at
            if row_offset != offset:
                yield Found(offset, part, at)
                part, offset = [], row_offset
            part.append(row)
            at = row_at
        yield Found(offset, part, at)

    # -- bars -------------------------------------------------------------------------------------

    def bars(self, symbol: str) -> Iterator[Found]:
        """Minutes that closed since the last look; errors as of :meth:`ticks`."""
        now_ns = self._terminal.now_ns()
        now_s = self._clock.to_server_s(now_ns)
        minute = now_s // _MINUTE_S
        if self._minute.get(symbol) == minute:
            return
        answer = self._copy("copy_rates_from_pos", symbol, TIMEFRAME_M1, 0, BARS_MOST)
        if answer.value is None:
            return
        rows: np.ndarray = np.asarray(answer.value)
        closed = rows["time"] + (_MINUTE_S + GRACE_S) <= now_s
        closed[:-1] = True  # a later bar is there
        rows = rows[closed]
        newest = int(rows["time"][-1]) if len(rows) else 0
        if newest // _MINUTE_S == minute - 1 or now_s % _MINUTE_S >= GRACE_S:
            self._minute[symbol] = minute  # nothing more closes before the next one
        if not newest:
            return
        last = self._bars.setdefault(symbol, newest)
        if newest != last:
            # where the clock was put back the new ones stand behind the last one, not above it
            at = np.flatnonzero(rows["time"] == last)
            new = rows[at[-1] + 1 :] if len(at) else rows[rows["time"] > last]
            self._bars[symbol] = newest
            yield from self._closed(symbol, new, now_ns)

    def _closed(self, symbol: str, rows: np.ndarray, now_ns: int) -> Iterator[Found]:
        """Closed bars as rows, one :class:`Found` for each offset of the clock."""
        lot = self._lot(symbol)
        for bar in rows:
            cells = [bar[name].item() for name in _BAR]
            open_ns = self._clock.to_utc_ns(cells[0], now_ns)
            offset_ns = cells[0] * NS - open_ns
            yield Found(offset_ns, [cells], open_ns + _MINUTE_S * NS, lot)

    def _lot(self, symbol: str) -> float:
        """Base quantity of a lot."""
        if symbol not in self._lots:
            answer = self._terminal.call("symbol_info", symbol, deadline_s=self._deadline_s)
            if answer.value is None:
                raise failure("symbol_info", answer)
            self._lots[symbol] = float(answer.value.trade_contract_size)
        return self._lots[symbol]
