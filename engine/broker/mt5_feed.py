"""Quotes and closed bars of a terminal as a feed: polled, told apart from those seen, framed.

Owns :class:`Mt5Feed`, a :class:`data.live.items.Feed` over a terminal of its own, so that a poll
never stands before an order; its thread, and what it hands over. What is new in a poll is found in
:mod:`engine.broker.mt5_poll`.

What must hold: a link that is lost (a worker that hung, a terminal without its server, another
account, a clock that its quotes refute) is a Closed item at once, so that the time without it is a
gap; it begins again where the market is then, and what lay between is history, which is fetched; a
link that lives says so each second, also when the market does not move; while whoever takes lags
behind, nothing is asked for: the terminal keeps it.

It refuses to know what becomes of quotes, and in which form the log has them.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from data.enums import GapReason, Kind
from data.errors import ConfigError, NetworkError, OfsError
from data.live.backoff import Backoff
from data.live.decode_mt5 import name_of
from data.live.endpoint import Clock
from data.live.items import Closed, Ended, FeedFacts, Frame, Item, Opened, Served
from engine.broker.calls import Terminal
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_poll import Found, Poll
from engine.broker.protocol import BrokerGoneError

EVERY_S = 0.05
ALIVE_S = 1.0
"""Seconds between two polls, and between two signs of life."""

RETRY_MOST_S = 15.0
"""Longest wait (s) before a lost link is tried again."""

LANE = 900
"""Number of the terminal's connection, beyond those of sockets."""

PATIENCE_NS = 250_000_000
"""A quote that is ahead of a served session waits so long (monotonic) for the flow to come up."""

QUEUE_BYTES = 32 << 20
"""With so many bytes of frames not taken, nothing more is asked for."""

SERVED_PATIENCE_S = 30.0
"""A stand-in that says nothing for so long is gone; a real terminal is waited for."""

_CLOSING_S = 2.0


class _Queued(NamedTuple):
    due_ns: int
    size: int
    item: Item


class Mt5Feed:
    """``connect`` links the terminal (initialize, login, symbols); ``clock`` is its server's.

    ``until_ns`` (of a served session whose flow comes from elsewhere) tells how far that session
    is: a quote from beyond waits. ``tells`` says that these quotes are the session's own flow, and
    its clock goes by them; ``served`` then asks the clock of a stand-in (NetworkError where it does
    not answer), and ``ended`` says that a served range is over.
    """

    def __init__(
        self,
        terminal: Terminal,
        connect: Callable[[], object],
        clock: ServerClock,
        symbols: Sequence[str],
        *,
        kinds: Sequence[Kind] = (Kind.QUOTE,),
        deadline_s: float = 10.0,
        every_s: float = EVERY_S,
        until_ns: Callable[[], int] | None = None,
        tells: bool = False,
        served: Callable[[], Clock] | None = None,
        ended: Callable[[], bool] = lambda: False,
        chance: random.Random | None = None,
    ) -> None:
        self.facts = FeedFacts()
        self._terminal, self._connect = terminal, connect
        self._deadline_s, self._every_s = deadline_s, every_s
        self._until_ns, self._tells = until_ns, tells
        self._served, self._over = served, ended
        self._pairs = [(s, k) for s in dict.fromkeys(symbols) for k in dict.fromkeys(kinds)]
        self._streams = tuple(name_of(s, k) for s, k in self._pairs)
        self._poll = Poll(terminal, clock, deadline_s)
        self._backoff = Backoff(chance or random.Random(), 0.5, RETRY_MOST_S)
        self._open = False
        self._heard_s: dict[str, float] = {}
        self._linked_s = 0.0
        self._asked_s = 0.0
        self._answered_s = time.monotonic()
        self._items: deque[_Queued] = deque()
        self._lock = threading.Condition()
        self._end = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mt5-feed", daemon=True)

    # -- for whoever takes ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; returns at once."""
        self._answered_s = time.monotonic()
        self._thread.start()

    def take(self, most: int, wait_s: float) -> Sequence[Item]:
        """Up to ``most`` items; waits up to ``wait_s`` for the first one. Raises what ended the
        feed, once everything was taken."""
        with self._lock:
            if not self._items and self._error is None and wait_s > 0:
                self._lock.wait(wait_s)
            if not self._items and self._error is not None:
                raise self._error
            found: list[Item] = []
            while self._items and len(found) < most and self._due(self._items[0]):
                queued = self._items.popleft()
                self.facts.queued_bytes -= queued.size
                found.append(queued.item)
            self.facts.queued = len(self._items)
        return found

    def renew(self, streams: Sequence[str]) -> None:
        """Nothing of a terminal's begins anew: each quote is whole."""

    def stop(self) -> None:
        """Stop polling; what is queued can still be taken. A call that hangs is waited for until
        its deadline."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(2 * self._deadline_s + _CLOSING_S)
        self._until_ns = None
        self._terminal.close()

    def _due(self, queued: _Queued) -> bool:
        if self._until_ns is None or queued.due_ns <= self._until_ns():
            return True
        return time.monotonic_ns() - queued.item.mono_ns >= PATIENCE_NS

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                self._end.wait(self._turn())
        # reason: whatever ends the thread, take() must raise it: a feed that is silently dead
        # would look like a quiet market
        except BaseException as error:  # noqa: BLE001
            self.facts.last_error = str(error).splitlines()[0]
            with self._lock:
                self._error = error
                self._lock.notify()

    def _turn(self) -> float:
        """Look once; the seconds until the next look."""
        if self.facts.queued_bytes > QUEUE_BYTES:
            return self._every_s
        try:
            self._look()
        except ConfigError:
            raise
        except OfsError as error:
            self._lost(error)
            self._give_up_late(error)
            return self._backoff.next_s()
        return self._every_s

    def _look(self) -> None:
        """One look at every stream, and at the clock of a stand-in before it: what it had sent by
        then is read here."""
        clock = self._ask_clock()
        self._join()
        for symbol, kind in self._pairs:
            found = self._poll.bars(symbol) if kind is Kind.BAR else self._poll.ticks(symbol)
            for part in found:
                self._hand(symbol, kind, part)
            self._live(symbol, kind)
        if clock is not None:
            self._put(Served(time.monotonic_ns(), clock.now_ns))
        if self._over() or (clock is not None and clock.ended):
            self.facts.ended = True
            self._put(Ended(time.monotonic_ns()))
            self._end.set()

    def _ask_clock(self) -> Clock | None:
        """The time of a stand-in, about each second; None in between, and where none plays."""
        now_s = time.monotonic()
        if self._served is None or now_s - self._asked_s < ALIVE_S:
            return None
        self._asked_s = now_s
        try:
            clock = self._served()
        except NetworkError as error:
            self._give_up_late(error)
            return None
        self._answered_s = time.monotonic()
        return clock if self._tells else None

    def _join(self) -> None:
        """A link that stands, to a terminal that has its server."""
        now_s = time.monotonic()
        if self._open and now_s - self._linked_s < ALIVE_S:
            return
        if not self._open:
            self._connect()
        answer = self._terminal.call("terminal_info", deadline_s=self._deadline_s)
        if answer.value is None or not answer.value.connected:
            raise BrokerGoneError(
                "the terminal has no link to its server",
                why=answer.text if answer.value is None else "it says so itself",
                do="look at the terminal's connection",
            )
        self._linked_s = now_s
        if not self._open:
            self._poll.begin()
            self._open = True
            self._backoff.reset()
            self.facts.connects += 1
            self.facts.connections = 1
            self._put(Opened(time.monotonic_ns(), LANE, self._streams))

    def _lost(self, error: OfsError) -> None:
        self.facts.last_error = ": ".join(filter(None, (error.what, error.why)))
        if not self._open:
            return
        self._open = False
        self.facts.disconnects += 1
        self.facts.connections = 0
        why = self.facts.last_error
        self._put(Closed(time.monotonic_ns(), LANE, self._streams, GapReason.DISCONNECT, why))

    def _give_up_late(self, error: OfsError) -> None:
        """NetworkError where a stand-in that somebody named has been away for long."""
        if self._served is None or time.monotonic() - self._answered_s < SERVED_PATIENCE_S:
            return
        raise NetworkError(
            f"the served terminal has not answered for {SERVED_PATIENCE_S:g} s",
            where="--endpoint", why=error.what,
            do="start it again; the session goes on where it stands",
        ) from error  # fmt: skip

    # -- frames -----------------------------------------------------------------------------------

    def _hand(self, symbol: str, kind: Kind, found: Found) -> None:
        """Rows as a frame; where a session's clock is played from elsewhere one a row, each in its
        time."""
        if self._until_ns is None or kind is Kind.BAR:
            self._frame(symbol, kind, found)
            return
        last_ns = found.last_ns
        for row in found.rows:
            at_ns = last_ns - (found.rows[-1][0] - row[0]) * 1_000_000
            self._frame(symbol, kind, found._replace(rows=[row], last_ns=at_ns))

    def _live(self, symbol: str, kind: Kind) -> None:
        """Say each second that the link lives although nothing was quoted."""
        since_s = time.monotonic() - self._heard_s.get(name_of(symbol, kind), 0.0)
        if kind is Kind.QUOTE and since_s >= ALIVE_S:
            self._frame(symbol, kind, Found(0, [], 0))

    def _frame(self, symbol: str, kind: Kind, found: Found) -> None:
        name = name_of(symbol, kind)
        said = {"stream": name, "offset_ns": found.offset_ns, "rows": found.rows}
        if kind is Kind.BAR:
            said["lot"] = found.lot
        elif self._tells and found.rows:
            said["sent_ns"] = found.last_ns
        data = msgspec.json.encode(said)
        self._heard_s[name] = time.monotonic()
        self.facts.frames += 1
        self.facts.bytes += len(data)
        if found.rows:
            self.facts.routes[name] = self.facts.routes.get(name, 0) + 1
        self._put(Frame(time.monotonic_ns(), LANE, data), found.last_ns, len(data))

    def _put(self, item: Item, due_ns: int = 0, size: int = 0) -> None:
        with self._lock:
            self._items.append(_Queued(due_ns, size, item))
            self.facts.queued_bytes += size
            self._lock.notify()
