"""One websocket of a stand-in venue: opening, requests, pings, limits and its end.

Owns :class:`Socket`: the protocol of RFC 6455 is websockets' own, without its I/O; frames of data
are written past it, many at a time, because they are made once for all sockets. What must hold: a
socket gets no data before it was opened and none after its close began; requests are answered as
the venue answers them (reference page, section 1.1).

It refuses to know the log and the time of what it sends.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from data.enums import Kind
from data.venue.hub import Hub, text_frame
from data.venue.names import BYBIT, CARRIED, SPOT, Address, address_of
from data.venue.requests import Reply, answer, answer_bybit

_BUFFER_HIGH = 1 << 20
_SYNC_S = 0.02
_DEAF_S = 5.0
_DRIP_S = 0.05
_BACKLOG_MOST = 8 << 20
_RATE = {SPOT: (5, 5.0), "futures": (15, 10.0), BYBIT: (1000, 500.0)}
"""Messages a client may send at once, and how many more a second."""

_PING_S = {SPOT: 20.0, "futures": 180.0}
_PONG_S = {SPOT: 60.0, "futures": 600.0}


class Terms:
    """What all sockets of a server share: its hub, its layout, its clock and its rules.

    ``window`` is how many frames may be in flight to a socket that answers pings (0: no limit but
    the socket's buffer); ``now_ns`` tells the venue's clock.
    """

    def __init__(self, hub: Hub, layout: str, window: int, now_ns: Callable[[], int]) -> None:
        self.hub = hub
        self.layout = layout
        self.window = window
        self.now_ns = now_ns
        self.ended = False
        self.eager = False
        """Whether every sending is followed by a ping at once, because it is waited for."""
        self.open: set[Socket] = set()
        self.opened = 0
        self.moved = asyncio.Event()
        """Set when a subscription came, a socket went or caught up."""


class Socket(asyncio.Protocol):
    """One connection of a client."""

    transport: asyncio.Transport

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.hub = terms.hub
        self.ws = ServerProtocol(max_size=1 << 20)
        self.combined = False
        self.kinds: frozenset[Kind] = frozenset()
        self.address = Address("", False, ())
        self.streams: list[str] = []
        self.number = 0
        self.born_ns = 0
        self.in_flight = 0
        self.told_ns = 0
        self.full = False
        self._out: list[bytes] = []
        self._drip, self._drip_until_s, self._backlog = 0, 0.0, bytearray()
        self._unmarked = 0
        self._marks: deque[tuple[bytes, int, int, float]] = deque()
        self._marked_s = 0.0
        self._mark = 0
        self._hears, self._heard = terms.window > 0, False
        burst, _ = _RATE[terms.layout]
        self._tokens, self._tokens_s = float(burst), time.monotonic()
        self._pinged_s = self._ponged_s = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_BUFFER_HIGH)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.hub.remove(self)
        self.terms.open.discard(self)
        self.full = False
        self.terms.moved.set()

    def pause_writing(self) -> None:
        """The client reads more slowly than we send."""
        self.full = True

    def resume_writing(self) -> None:
        """There is room again."""
        self.full = False
        self.terms.moved.set()

    def eof_received(self) -> None:
        """The client sends no more."""
        self.ws.receive_eof()
        self._write_protocol()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self.ws.receive_data(data)
        for event in self.ws.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif not isinstance(event, Frame):
                continue  # a server gets no responses
            elif event.opcode is Opcode.TEXT:
                self._asked(bytes(event.data))
            elif event.opcode is Opcode.PONG:
                self._ponged(bytes(event.data))
            elif event.opcode is Opcode.PING:
                self._within_rate()
        self._write_protocol()

    @property
    def is_open(self) -> bool:
        """Whether data may be sent."""
        return self.ws.state is State.OPEN and not self.transport.is_closing()

    @property
    def behind(self) -> bool:
        """Whether the player has to wait for this socket."""
        if not self.is_open or self._drip:
            return False
        return self.full or (self._listens() and self.in_flight > self.terms.window)

    @property
    def awaited(self) -> bool:
        """Whether a pong is on its way that says that everything so far was read."""
        waits = self.is_open and not self._drip and self.in_flight > 0
        return waits and self._listens()

    @property
    def unread(self) -> bool:
        """Whether the client has yet to read something that was sent."""
        return self.is_open and (self.awaited or bool(self._backlog) or self.full)

    @property
    def seen_ns(self) -> int | None:
        """How far this client has read, venue's clock; None where it has read everything."""
        return self.told_ns if self._hears and self.in_flight and self.is_open else None

    def _listens(self) -> bool:
        """Whether the client answers pings; one that never does must not stop the clock for ever,
        one that does may take its time."""
        if self._hears and not self._heard and self._marks:
            self._hears = time.monotonic() - self._marks[0][3] <= _DEAF_S
        return self._hears

    def put(self, frame: bytes) -> None:
        """Gather a frame of data."""
        self._out.append(frame)

    def flush(self, now_ns: int) -> None:
        """Send what was gathered, and a mark behind it where one is due."""
        out, self._out = self._out, []
        if not self.is_open:
            return
        if self._hears and out and not self._drip:
            self.in_flight += len(out)
            self._unmarked += len(out)
        if self._drip:
            self._backlog += b"".join(out)
            return
        self.transport.write(b"".join([*out, *self._marking(now_ns, self.terms.eager)]))

    def mark(self, now_ns: int, force: bool = False) -> None:
        """A ping behind the last frame: its pong says that the client has read up to there."""
        if ping := self._marking(now_ns, force):
            self.transport.write(b"".join(ping))

    def _marking(self, now_ns: int, force: bool) -> list[bytes]:
        """The bytes of such a ping, where one is due."""
        if not self._hears or not self._unmarked or not self.is_open or self._drip:
            return []
        now_s = time.monotonic()
        busy = self._unmarked * 4 >= self.terms.window
        if not (force or busy or now_s - self._marked_s >= _SYNC_S):
            return []
        self._mark += 1
        name = b"at%d" % self._mark
        self._marks.append((name, self._unmarked, now_ns, now_s))
        self._unmarked, self._marked_s = 0, now_s
        self.ws.send_ping(name)
        return self.ws.data_to_send()

    def tend(self, now_ns: int) -> None:
        """What time brings, called a few times a second: marks, keepalive pings, a client that does
        not answer them, and the end of the connection's 24 hours."""
        if not self.is_open:
            return
        self.mark(now_ns)
        now_s, layout = time.monotonic(), self.terms.layout
        if layout != BYBIT and now_s - self._pinged_s > _PING_S[layout]:
            self._pinged_s = now_s
            self.ws.send_ping(str(now_ns // 1_000_000).encode())
            self._write_protocol()
        if layout != BYBIT and now_s - self._ponged_s > _PING_S[layout] + _PONG_S[layout]:
            self.close(1008, "Pong timeout")
        elif now_ns - self.born_ns >= 86_400_000_000_000:
            self.close(1001, "24 hours")

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        if self.ws.state is State.OPEN:
            self.hub.remove(self)
            self.ws.send_close(code, reason)
            self._write_protocol()
            asyncio.get_running_loop().call_later(5.0, self.transport.abort)

    def cut_in(self, frame: bytes, now_ns: int) -> None:
        """Send what was gathered and half of ``frame``, and end the connection without a word."""
        self.put(frame[: len(frame) // 2])
        self.drop_off(0, now_ns)

    def drop_off(self, code: int, now_ns: int) -> None:
        """Send what was gathered and close with ``code``; 0: without a close frame."""
        self.flush(now_ns)
        if code:
            self.close(code, "")
            return
        self.hub.remove(self)
        self.transport.close()

    def drip(self, bytes_per_s: int, lasts_s: float) -> None:
        """Send ``bytes_per_s`` for ``lasts_s`` wall seconds; the venue does not wait for it."""
        self._drip = bytes_per_s
        self._drip_until_s = time.monotonic() + lasts_s
        asyncio.get_running_loop().call_later(_DRIP_S, self._drop_by_drop)

    def shut_down(self, after_s: float, now_ns: int) -> None:
        """Announce the end of this connection, and close it after ``after_s`` wall seconds."""
        body = f'{{"e":"serverShutdown","E":{now_ns // self.address.unit_ns}}}'
        wrapped = f'{{"stream":"!serverShutdown","data":{body}}}'
        self.put(text_frame(wrapped if self.combined else body))
        self.flush(now_ns)
        asyncio.get_running_loop().call_later(after_s, self.close, 1001, "server shutdown")

    def _drop_by_drop(self) -> None:
        over = time.monotonic() >= self._drip_until_s
        most = len(self._backlog) if over else int(self._drip * _DRIP_S) + 1
        if not self.transport.is_closing():
            self.transport.write(bytes(self._backlog[:most]))
            del self._backlog[:most]
            if len(self._backlog) > _BACKLOG_MOST:
                self.abort()  # a venue drops a client that does not keep up
        if over:
            self._drip = 0
        else:
            asyncio.get_running_loop().call_later(_DRIP_S, self._drop_by_drop)

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self.hub.remove(self)
        self.transport.abort()

    def _open(self, request: Request) -> None:
        address = address_of(self.terms.layout, request.path)
        if address is None:
            self.ws.send_response(self.ws.reject(404, "no such path\n"))
            return
        self.ws.send_response(self.ws.accept(request))
        if self.ws.state is not State.OPEN:
            return
        terms = self.terms
        terms.opened += 1
        terms.open.add(self)
        self.number, self.born_ns = terms.opened, terms.now_ns()
        self.address, self.combined = address, address.combined
        self.kinds = CARRIED[terms.layout][address.route]
        if address.streams:
            self._reply(answer(terms.layout, {"method": "SUBSCRIBE", "params": address.streams},
                               self.streams), silent=True)  # fmt: skip
        if terms.ended:
            self.close(1000, "end of range")

    def _asked(self, data: bytes) -> None:
        if not self._within_rate():
            return
        form = answer_bybit if self.terms.layout == BYBIT else answer
        self._reply(form(self.terms.layout, data, self.streams))

    def _reply(self, reply: Reply, silent: bool = False) -> None:
        self.streams = reply.streams
        if reply.text and not (silent and not reply.close):
            self.ws.send_text(reply.text.encode())
        if reply.removed:
            self.hub.remove(self, reply.removed)
        if reply.added:
            self.hub.add(self, reply.added, self.address.unit_ns)
            self.terms.moved.set()
        if reply.close:
            self._write_protocol()
            self.close(reply.close, reply.why)

    def _within_rate(self) -> bool:
        burst, a_second = _RATE[self.terms.layout]
        now_s = time.monotonic()
        self._tokens = min(burst, self._tokens + (now_s - self._tokens_s) * a_second)
        self._tokens_s = now_s
        self._tokens -= 1
        if self._tokens < 0:
            self.close(1008, "Too many requests")
            return False
        return True

    def _ponged(self, data: bytes) -> None:
        self._ponged_s = time.monotonic()
        if data.startswith(b"at"):
            self._heard = True
            while self._marks:
                name, frames, now_ns, _ = self._marks.popleft()
                self.in_flight -= frames
                self.told_ns = now_ns
                if name == data:
                    break
            self.terms.moved.set()
        else:
            self._within_rate()

    def _write_protocol(self) -> None:
        for data in self.ws.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                try:
                    self.transport.write_eof()
                except (OSError, InvalidState):
                    self.transport.abort()
        if self.ws.state is State.CLOSED:
            self.transport.close()
