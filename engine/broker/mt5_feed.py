"""Quotes and closed bars of a terminal as a feed: polled, told apart from those seen, framed.

Owns :class:`Mt5Feed`, a :class:`data.live.items.Feed` over a terminal of its own, so that a poll
never stands before an order. What must hold: a tick that several polls show goes on once; a link
that is lost is a Closed item, so that its time is a gap; a link that lives sends a frame at least
each second, also when the market does not move.

It refuses to know what becomes of quotes, and in which form the log has them.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from data.enums import GapReason, Kind
from data.errors import OfsError
from data.live.decode_mt5 import name_of
from data.live.items import Closed, Ended, FeedFacts, Frame, Item, Opened, Served
from engine.broker.calls import Terminal
from engine.broker.mt5_clock import NS, ServerClock
from engine.broker.protocol import BrokerGoneError

EVERY_S = 0.05
ALIVE_S = 1.0
RETRY_S = 1.0
TICKS_MOST = 4_096
COPY_TICKS_ALL = -1
TIMEFRAME_M1 = 1
LANE = 900
"""Number of the terminal's connection, beyond those of sockets."""
PATIENCE_NS = 250_000_000
"""A quote that is ahead of a served session waits so long (monotonic) for the flow to come up."""


class Mt5Feed:
    """``connect`` links the terminal (initialize, login, symbols); ``clock`` is its server's.

    ``until_ns`` (of a served session whose flow comes from elsewhere) tells how far that session
    is: a quote from beyond waits. ``tells`` says that these quotes are the session's own flow and
    move its clock; ``ended`` whether a served range is over.
    """

    def __init__(
        self,
        terminal: Terminal,
        connect: Callable[[], None],
        clock: ServerClock,
        symbols: Sequence[str],
        *,
        kinds: Sequence[Kind] = (Kind.QUOTE,),
        deadline_s: float = 10.0,
        every_s: float = EVERY_S,
        until_ns: Callable[[], int] | None = None,
        tells: bool = False,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self.facts = FeedFacts()
        self._terminal, self._connect, self._clock = terminal, connect, clock
        self._symbols, self._kinds = tuple(symbols), tuple(kinds)
        self._deadline_s, self._every_s = deadline_s, every_s
        self._until_ns, self._tells, self._over = until_ns, tells, ended
        self._streams = tuple(name_of(s, k) for s in symbols for k in kinds)
        self._last: dict[str, tuple[int, int]] = {}
        self._bar_s: dict[str, int] = {}
        self._heard_s: dict[str, float] = {}
        self._open = False
        self._items: deque[tuple[int, Item]] = deque()
        self._lock = threading.Condition()
        self._end = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mt5-feed", daemon=True)

    # -- for whoever takes ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def take(self, most: int, wait_s: float) -> Sequence[Item]:
        """Up to ``most`` items; waits up to ``wait_s`` for the first one. Raises what ended it."""
        with self._lock:
            if not self._items and wait_s > 0:
                self._lock.wait(wait_s)
            if self._error is not None:
                raise self._error
            found: list[Item] = []
            while self._items and len(found) < most and self._due(*self._items[0]):
                found.append(self._items.popleft()[1])
            self.facts.queued = len(self._items)
        return found

    def renew(self, streams: Sequence[str]) -> None:
        """Nothing of a terminal's begins anew: each quote is whole."""

    def stop(self) -> None:
        """Stop polling; what is queued can still be taken."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(2 * self._deadline_s)
        self._until_ns = None
        self._terminal.close()

    def _due(self, ts_ns: int, item: Item) -> bool:
        if self._until_ns is None or not ts_ns or ts_ns <= self._until_ns():
            return True
        return time.monotonic_ns() - item.mono_ns >= PATIENCE_NS

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                pause_s = self._every_s
                try:
                    self._poll()
                except OfsError as error:
                    pause_s = RETRY_S
                    self._lost(error)
                self._end.wait(pause_s)
        # reason: whatever ends the thread, take() must raise it: a feed that is dead must say so
        except BaseException as error:  # noqa: BLE001
            with self._lock:
                self._error = error
                self._lock.notify()

    def _poll(self) -> None:
        """One look at every stream."""
        if not self._open:
            self._connect()
            self._open = True
            self.facts.connects += 1
            self.facts.connections = 1
            self._put(0, Opened(time.monotonic_ns(), LANE, self._streams))
        over = self._over()
        for symbol in self._symbols:
            for kind in self._kinds:
                (self._bars if kind is Kind.BAR else self._ticks)(symbol)
        if over and not self._end.is_set():
            self._put(0, Ended(time.monotonic_ns()))
            self._end.set()

    def _lost(self, error: OfsError) -> None:
        self.facts.last_error = str(error).splitlines()[0]
        if not self._open:
            return
        self._open = False
        self.facts.disconnects += 1
        self.facts.connections = 0
        why = self.facts.last_error
        item = Closed(time.monotonic_ns(), LANE, self._streams, GapReason.DISCONNECT, why)
        self._put(0, item)

    def _ask(self, name: str, *args: object) -> np.ndarray:
        """Rows of a call; BrokerGoneError where it gave none because it failed."""
        answer = self._terminal.call(name, *args, deadline_s=self._deadline_s)
        if answer.value is None:
            raise BrokerGoneError(f"{name} gave nothing", why=f"{answer.code} {answer.text}",
                                  do="the link is made anew")  # fmt: skip
        return np.asarray(answer.value)

    def _ticks(self, symbol: str) -> None:
        last, seen = self._last.get(symbol, (0, 0))
        if not last:
            answer = self._terminal.call("symbol_info_tick", symbol, deadline_s=self._deadline_s)
            if answer.value is None or not answer.value.time_msc:
                return  # nothing was ever quoted; the next poll asks again
            last = answer.value.time_msc
        rows = self._ask("copy_ticks_from", symbol, last // 1000, TICKS_MOST, COPY_TICKS_ALL)
        times = rows["time_msc"]
        new = rows[times >= last]
        new = new[min(seen, int((new["time_msc"] == last).sum())) :]
        if len(new):
            end = int(new["time_msc"][-1])
            count = int((new["time_msc"] == end).sum())
            self._last[symbol] = end, count + (seen if end == last else 0)
        self._frames(symbol, Kind.QUOTE, new, ("time_msc", "bid", "ask", "last", "volume", "flags"))

    def _bars(self, symbol: str) -> None:
        """Bars that closed since the last look; the one that is still forming is left out."""
        now_s = self._clock.to_server_s(self._terminal.now_ns())
        if now_s // 60 * 60 <= self._bar_s.get(symbol, 0):
            return
        rows = self._ask("copy_rates_from_pos", symbol, TIMEFRAME_M1, 0, 16)
        last = self._bar_s.get(symbol, 0)
        new = rows[:-1][rows[:-1]["time"] > last] if len(rows) else rows
        if len(new):
            self._bar_s[symbol] = int(new["time"][-1])
        names = ("time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume")
        self._frames(symbol, Kind.BAR, new, names)

    def _frames(self, symbol: str, kind: Kind, rows: np.ndarray, names: Sequence[str]) -> None:
        """Rows as frames: one, or where a session's clock is played one a row, in its time."""
        stream = name_of(symbol, kind)
        if not len(rows) and not self._alive(stream):
            return
        self._heard_s[stream] = time.monotonic()
        unit = NS if kind is Kind.BAR else 1_000_000
        parts = [rows[n : n + 1] for n in range(len(rows))] if self._until_ns else [rows]
        for part in parts or [rows]:
            values = [[v.item() for v in (row[n] for n in names)] for row in part]
            at_ns = 0
            offset_ns = self._clock.offset_ns(self._terminal.now_ns())
            if values:
                wall_ns = values[-1][0] * unit
                at_ns = self._clock.to_utc_ns(values[-1][0])
                offset_ns = wall_ns - at_ns
            frame = json.dumps({"stream": stream, "offset_ns": offset_ns, "rows": values},
                               separators=(",", ":")).encode()  # fmt: skip
            mono_ns = time.monotonic_ns()
            self.facts.frames += 1
            self.facts.bytes += len(frame)
            self.facts.routes[stream] = self.facts.routes.get(stream, 0) + 1
            self._put(at_ns, Frame(mono_ns, LANE, frame))
            if self._tells and at_ns:
                self._put(0, Served(mono_ns, at_ns))

    def _alive(self, stream: str) -> bool:
        """Whether it is time to say that the link lives although nothing was quoted."""
        if time.monotonic() - self._heard_s.get(stream, 0.0) < ALIVE_S:
            return False
        answer = self._terminal.call("terminal_info", deadline_s=self._deadline_s)
        return answer.value is not None and bool(answer.value.connected)

    def _put(self, ts_ns: int, item: Item) -> None:
        with self._lock:
            self._items.append((ts_ns, item))
            self._lock.notify()
