"""One connection: opening it, and taking its frames apart as cheaply as can be.

Owns :class:`Socket` and :func:`open_socket`. The library does the handshake, TLS, proxies, pings,
closing and everything that is rare (fragments, frames of unknown kind); whole unmasked data frames,
that is all but a few of millions, are cut out of what was read without it: a message costs about
1 us instead of 20. What must hold: frames keep their order, whichever way they took; every frame is
stamped with the time at which its last byte was read; nothing is decoded.

It refuses to know why a connection is opened and what becomes of its frames.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidProxyStatus, InvalidStatus
from websockets.frames import DATA_OPCODES, Opcode
from websockets.frames import Frame as RawFrame
from websockets.protocol import OPEN

from data.live.items import Frame

MAX_BYTES = 4 << 20
"""Longest message."""

OPEN_S = 10.0
CLOSE_S = 2.0
PING_S = 20.0
"""Seconds for a handshake, for a goodbye, and between our own pings (which find a dead peer)."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SWITCHED = b"HTTP/1.1 101"
_END_OF_HEADERS = b"\r\n\r\n"
_HEADERS_MOST = 1 << 16
_PLAIN = frozenset({0x81, 0x82})
"""First byte of a whole message of text, or of bytes."""


Sink = Callable[[list[Frame], int], None]


class Refused(Exception):  # noqa: N818  it says what happened
    """The venue answered the handshake with ``status``; ``retry_after_s`` is what it asked for."""

    def __init__(self, status: int, retry_after_s: float) -> None:
        super().__init__(f"the venue answered {status}")
        self.status, self.retry_after_s = status, retry_after_s


class Socket(ClientConnection):
    """A connection whose data frames go to ``sink`` (frames, their bytes) as they are read.

    ``lane`` is the number that its frames carry. ``sink`` is called in the loop's thread, once for
    each piece that was read, and must not raise.
    """

    def __init__(self, lane: int, sink: Sink, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.lane = lane
        self.sink = sink
        self.pings = 0
        self.lost = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._parts: list[bytes] = []
        self._lack = 0
        self._odd: list[Frame] = []
        self._whole: list[bytes] = []
        self._by_library = False
        self._greeting = True
        self._cause: Exception | None = None

    def data_received(self, data: bytes) -> None:
        """Take apart what was read."""
        mono_ns = time.monotonic_ns()
        if self._greeting:
            data = self._greeted(data)
            if not data:
                return
        if self._by_library:
            self._hand_over(data)
            self._give(self._collect(mono_ns, []))
            return
        if self._lack:  # of a long frame, of which most is still to come
            self._parts.append(data)
            self._lack -= len(data)
            if self._lack > 0:
                return
            data = b"".join(self._parts)
            self._parts.clear()
            self._lack = 0
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        self._give(self._cut(mono_ns, data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end; :attr:`lost` is done from here on."""
        self._cause = exc
        super().connection_lost(exc)
        if not self.lost.done():
            self.lost.set_result(time.monotonic_ns())

    def process_event(self, event: Any) -> None:
        """What the library took apart: data go where all go, the rest is the library's."""
        if type(event) is RawFrame:
            if event.opcode in DATA_OPCODES:
                self._whole.append(bytes(event.data))
                if event.fin:
                    self._odd.append(Frame(0, self.lane, b"".join(self._whole)))
                    self._whole.clear()
                return
            self.pings += event.opcode is Opcode.PING
        super().process_event(event)

    def pause(self, yes: bool) -> None:
        """Stop or go on reading: who is not read does not send."""
        if self.transport.is_closing():
            return
        if yes:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def ending(self) -> str:
        """Why it ended, in words."""
        code, reason = self.close_code, self.close_reason
        broken = self.protocol.close_sent if self.protocol.close_rcvd is None else None
        if broken is not None:
            return f"broken off with {broken.code} {broken.reason}".rstrip()
        if code is None or code == 1006:
            return f"lost without a goodbye{f' ({self._cause})' if self._cause else ''}"
        return f"closed with {code}{f' {reason}' if reason else ''}"

    def _greeted(self, data: bytes) -> bytes:
        """Give the library the answer to the handshake, and nothing of what stands behind it:
        what it has begun to take apart it would have to finish. The rest is returned."""
        answer = self._rest + data
        self._rest = b""
        end = answer.find(_END_OF_HEADERS)
        if end < 0 and len(answer) < _HEADERS_MOST:
            self._rest = answer
            return b""
        self._greeting = False
        cut = end + len(_END_OF_HEADERS) if answer.startswith(_SWITCHED) else len(answer)
        self._hand_over(answer[:cut])
        return answer[cut:]

    def _cut(self, mono_ns: int, data: bytes) -> list[Frame]:
        """The whole frames of ``data``; what is left is kept for the next time."""
        frames: list[Frame] = []
        lane, new, at, end = self.lane, tuple.__new__, 0, len(data)
        while end - at >= 2:
            first, size = data[at], data[at + 1]
            start = at + 2
            if size > 125:
                start = at + (4 if size == 126 else 10)
                if size > 127:
                    size = MAX_BYTES + 1  # masked: no server may do that
                elif start > end:
                    break
                else:
                    size = int.from_bytes(data[at + 2 : start], "big")
            stop = start + size
            if size > MAX_BYTES:  # what is wrong here is for the library to say
                self._hand_over(data[at:])
                at = end
            elif stop > end:
                self._lack = stop - end
                break
            elif first in _PLAIN:
                frames.append(new(Frame, (mono_ns, lane, data[start:stop])))
                at = stop
            else:
                self._hand_over(data[at:stop])
                frames = self._collect(mono_ns, frames)
                at = end if self._by_library else stop  # behind a goodbye nothing counts
        if at < end:
            self._keep(data[at:] if at else data)
        return frames

    def _keep(self, rest: bytes) -> None:
        if self._lack:
            self._parts.append(rest)
        else:
            self._rest = rest

    def _collect(self, mono_ns: int, frames: list[Frame]) -> list[Frame]:
        """``frames``, and behind them those that came by way of the library."""
        frames += [frame._replace(mono_ns=mono_ns) for frame in self._odd]
        self._odd.clear()
        return frames

    def _hand_over(self, data: bytes) -> None:
        super().data_received(data)
        self._by_library = self.protocol.state is not OPEN  # said goodbye: it discards what comes

    def _give(self, frames: list[Frame]) -> None:
        if frames:
            self.sink(frames, sum([len(frame.data) for frame in frames]))


async def open_socket(url: str, lane: int, sink: Sink, *, keepalive: bool = True) -> Socket:
    """Connect to ``url``, through the proxy that the environment names (never to loopback).

    With ``keepalive`` a peer that answers no ping for 20 s counts as lost. Refused where the venue
    answered with a status; OSError (TimeoutError too) where there is no connection.
    """
    ping_s = PING_S if keepalive else None
    try:
        socket = await connect(
            url,
            compression=None,
            proxy=None if urlsplit(url).hostname in _LOOPBACK else True,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=ping_s,
            ping_timeout=ping_s,
            max_size=MAX_BYTES,
            max_queue=None,
            create_connection=partial(Socket, lane, sink),  # type: ignore[arg-type]
        )
    except (InvalidStatus, InvalidProxyStatus) as error:
        raise _refused(error) from error
    except InvalidHandshake as error:
        raise OSError(str(error)) from error
    except EOFError as error:
        raise OSError("the venue closed the connection without an answer") from error
    assert isinstance(socket, Socket)
    return socket


def _refused(error: InvalidStatus | InvalidProxyStatus) -> Refused:
    asked = error.response.headers.get("Retry-After", "").strip()
    return Refused(error.response.status_code, float(asked) if asked.isdecimal() else 0.0)
