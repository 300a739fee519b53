"""The clock of a stand-in venue, and the loop that sends what is due.

Owns :class:`Player`. What must hold: the clock stands at the beginning until ``grace_s`` after the
first subscription, then runs at ``speed``; it is never ahead of what was sent, nor of what a client
that answers pings has read; lost time is not made up for. When everything was sent the sockets are
closed with 1000, "end of range".

It refuses to know messages and requests.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from data.venue.sockets import Terms
from data.venue.tape import Due

_BURST = 512
_NAP_S = 0.002
_LONG_NAP_S = 0.05
_TEND_S = 0.25
_LAG_S = 0.1
_LAST_WAIT_S = 30.0


class Tape(Protocol):
    """What is played."""

    from_ns: int
    end_ns: int

    def __iter__(self) -> Iterator[Due]:
        """A fresh pass in the order of arrival."""


class Sender(Protocol):
    """Who turns an event into frames; see :class:`data.venue.strike.Striker`."""

    def send(self, due: Due) -> None:
        """Gather the frames of an event."""

    def tick(self, now_ns: int) -> None:
        """The clock stands at ``now_ns``: send what was held until then."""

    def end(self) -> None:
        """Everything was played: send what is still held."""


class Player:
    """Plays a tape at ``speed`` times real time. ``hold_s`` is how long the clock waits, in wall
    seconds, for somebody to subscribe again where nobody is left. ``skew_ns`` is how far frames on
    different sockets may overtake each other, in the venue's time; 0: not at all."""

    def __init__(
        self,
        tape: Tape,
        sender: Sender,
        terms: Terms,
        speed: float,
        grace_s: float = 1.0,
        hold_s: float = 0.0,
        skew_ns: int = 0,
    ) -> None:
        self.tape = tape
        self.sender = sender
        self.terms = terms
        self.speed = speed
        self.grace_s = grace_s
        self.hold_s = hold_s
        self.skew_ns = skew_ns
        self.sent_ns = self._told_ns = tape.from_ns
        self._lock = threading.Lock()
        self.events = 0
        self.started = self.ended = False
        self._anchor_ns, self._anchor_s = tape.from_ns, 0.0
        self._tended_s = 0.0

    def now_ns(self) -> int:
        """The venue's clock, ns UTC: how far it has sent, and its clients have read. It never goes
        back; any thread may ask."""
        seen = [s.seen_ns for s in list(self.terms.open)]
        behind = [ns for ns in seen if ns is not None]
        with self._lock:
            # a client that read everything so far, and then gets a frame, knows what it knew
            self._told_ns = max(self._told_ns, min([self.sent_ns, *behind]))
            return self._told_ns

    async def run(self) -> None:
        """Play to the end of the tape."""
        rows = iter(self.tape)
        due = next(rows, None)
        await self._subscribed()
        await self._nap(self.grace_s)
        self._anchor()
        self.started = True
        while True:
            target_ns = min(self._target_ns(), self.tape.end_ns)
            due, caught = self._send_due(rows, due, target_ns)
            self.sent_ns = max(self.sent_ns, target_ns if caught else due.at_ns if due else 0)
            self.sender.tick(self.sent_ns)
            self.terms.hub.flush(self.sent_ns)
            self._tend()
            await self._ready()
            if due is None and self.sent_ns >= self.tape.end_ns:
                break
            if self._target_ns() - self.sent_ns > _LAG_S * self.speed * 1e9:
                self._anchor()
            await self._nap(self._pause_s(due, caught))
        await self._finish()

    def _send_due(
        self, rows: Iterator[Due], due: Due | None, target_ns: int
    ) -> tuple[Due | None, bool]:
        """Send up to a burst of what is due; (what comes next, whether nothing is due any more)."""
        send, left, hub = self.sender.send, _BURST, self.terms.hub
        sliced = self.terms.eager = self.terms.window > 0 and len(hub.subscribers) > 1
        stop_ns = due.at_ns + self.skew_ns if sliced and due is not None else target_ns
        alone = hub.sockets(due) if sliced and due is not None and not self.skew_ns else None
        while due is not None and due.at_ns <= target_ns:
            if not left or due.at_ns > stop_ns:
                return due, False
            if alone is not None and hub.sockets(due) - alone:
                if alone:
                    return due, False
                alone = hub.sockets(due)
            send(due)
            self.events += 1
            left -= 1
            due = next(rows, None)
        return due, True

    def _pause_s(self, due: Due | None, caught: bool) -> float:
        if not caught:
            return 0.0
        next_ns = min(due.at_ns if due else self.tape.end_ns, self.tape.end_ns)
        wait_s = (next_ns - self._target_ns()) / 1e9 / self.speed
        return min(max(wait_s, _NAP_S), _LONG_NAP_S)

    def _anchor(self) -> None:
        self._anchor_ns, self._anchor_s = self.sent_ns, time.monotonic()

    def _target_ns(self) -> int:
        return self._anchor_ns + int((time.monotonic() - self._anchor_s) * self.speed * 1e9)

    async def _subscribed(self) -> None:
        while not self.terms.hub.subscribers:
            await self._moved(_TEND_S)

    async def _ready(self) -> None:
        """Wait for readers that are behind, and for somebody to read where that was asked for."""
        waited = False
        while any(s.behind or (self.terms.eager and s.awaited) for s in self.terms.open):
            waited = True
            for socket in self.terms.open:
                socket.mark(self.sent_ns, force=True)
            await self._moved(_LONG_NAP_S)
        if self.hold_s and not self.terms.hub.subscribers:
            waited = True
            until_s = time.monotonic() + self.hold_s
            while not self.terms.hub.subscribers and time.monotonic() < until_s:
                await self._moved(_LONG_NAP_S)
        if waited and self._target_ns() - self.sent_ns > _LAG_S * self.speed * 1e9:
            self._anchor()

    async def _finish(self) -> None:
        self.sender.end()
        self.terms.hub.flush(self.sent_ns)
        for socket in self.terms.open:
            socket.mark(self.sent_ns, force=True)
        until_s = time.monotonic() + _LAST_WAIT_S
        while any(s.unread for s in self.terms.open) and time.monotonic() < until_s:
            await self._moved(_LONG_NAP_S)
        self.ended = self.terms.ended = True
        for socket in list(self.terms.open):
            socket.close(1000, "end of range")

    def _tend(self) -> None:
        now_s = time.monotonic()
        if now_s - self._tended_s < _LONG_NAP_S:
            return
        self._tended_s = now_s
        for socket in list(self.terms.open):
            socket.tend(self.sent_ns)

    async def _moved(self, most_s: float) -> None:
        """Wait until something of a socket changes, ``most_s`` at most."""
        moved = self.terms.moved
        moved.clear()
        alarm = asyncio.get_running_loop().call_later(most_s, moved.set)
        await moved.wait()
        alarm.cancel()
        self._tend()

    async def _nap(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._tend()
