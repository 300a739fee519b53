"""Between the stand-in module and its server: calls, replies, faults, and the frames on a socket.

Owns the ``Link`` protocol with its two ends. The module (``engine.broker.terminal``) checks the
arguments of a call and sends what is left of them; a server (anything with ``call(name, payload)``)
answers with a :class:`Reply`. ``DirectLink`` joins the two in one process, in virtual time;
``SocketLink`` and ``serve_stream`` join them over a loopback socket.

**Calls.** ``name`` is the function's name, ``payload`` a JSON-able dict of arguments that are
valid by the module's rules. Keys are always all there; None is what was not given. Dates are whole
seconds of the *server's* clock, as ints:

    initialize            path, login, password, server, timeout (ms), portable   -> True
    login                 login, password, server, timeout (ms)                   -> True
    version               (none)                            -> [500, build, "dd Mon yyyy"]
    terminal_info, account_info              (none)         -> struct
    symbols_total, orders_total, positions_total   (none)   -> int
    symbols_get           group (the server filters)        -> list of structs
    symbol_info, symbol_info_tick            symbol         -> struct
    symbol_select         symbol, enable (bool)             -> bool
    market_book_add, market_book_release     symbol         -> bool
    market_book_get       symbol                            -> list of structs
    copy_rates_from       symbol, timeframe, date_from, count                     -> columns
    copy_rates_from_pos   symbol, timeframe, start_pos, count                     -> columns
    copy_rates_range      symbol, timeframe, date_from, date_to                   -> columns
    copy_ticks_from       symbol, date_from, count, flags                         -> columns
    copy_ticks_range      symbol, date_from, date_to, flags                       -> columns
    orders_get, positions_get                symbol, ticket (at most one is set)  -> list of structs
    history_orders_get, history_deals_get    date_from, date_to, ticket, position -> list of structs
    history_orders_total, history_deals_total      date_from, date_to             -> int
    order_check, order_send   request (all 17 fields)       -> struct without its ``request``
    order_calc_margin     action, symbol, volume, price                           -> float
    order_calc_profit     action, symbol, volume, price_open, price_close         -> float

A group of orders, positions or history is filtered by the module, ``shutdown`` and ``last_error``
never reach the server: a link is closed, that is all.

**Values.** A struct is a dict by field name; fields that are left out are zero, unknown ones are an
error. Columns are a dict of one-dimensional numpy arrays by field name of the dtype.

**Errors.** ``Reply.failed(code)`` fails the call with that ``last_error``; what it then returns
(None, False, an empty tuple for a query's -4) is the module's rule; after -10002 it lets the link
go. A rejected order is no error.

**Faults.** A reply may carry a :class:`Fault`: what happens to the answer on its way. Whether the
call was executed before was the server's choice. The socket's server end makes it happen, so that
the client meets the real thing; ``DirectLink`` acts it out.

It must hold that nothing here knows an argument rule, a price or an account, and that a frame of
another version or beyond its bound is refused.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import math
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import numpy as np

ERRORS = {
    1: "Success",
    -1: "Terminal: Call failed",
    -2: "Terminal: Invalid params",
    -3: "Terminal: Out of memory",
    -4: "Terminal: Not found",
    -5: (
        "Terminal: Incompatible versions, please install the latest version of Terminal"
        " and Python module"
    ),
    -6: "Terminal: Authorization failed",
    -7: "Terminal: Unsupported function",
    -8: "Auto-Trading using Python API disabled in Terminal",
    -10000: "IPC call failed",
    -10001: "IPC send failed",
    -10002: "IPC recv failed",
    -10003: "IPC initialize failed, MetaTrader 5 x64 not found",
    -10004: "No IPC connection",
    -10005: "IPC timeout",
}
"""Codes of ``last_error`` and the text that a terminal (or the extension) gives with each."""

SUCCESS = (1, ERRORS[1])
_MAGIC = b"OFT1"
_HEAD = struct.Struct("<4sII")
_FRAME_BYTES_MAX = 1 << 29
_CHUNK = 1 << 20


class FaultKind(Enum):
    """What happens to an answer on its way to the module."""

    DELAY = "delay"
    """It arrives late; the caller waits, the GIL held."""
    HANG = "hang"
    """It never arrives."""
    PIPE_DEATH = "pipe_death"
    """The pipe breaks in its place: the call fails with -10002, later ones with -10004."""
    DUPLICATE = "duplicate"
    """It arrives twice. The channel has no numbers to tell answers apart (inferred: the pipe's
    client reads one answer for each request), so the second one is taken for the answer to the next
    call: handed out where that is the same function, else the read fails with -10002."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a call; ``after_s`` seconds pass before it shows (before the answer of a delay or
    a duplicate, before the pipe breaks; a hang has no after)."""

    kind: FaultKind
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: the value, the ``last_error`` of the call, the fault on its way."""

    value: Any = None
    error: tuple[int, str] = SUCCESS
    fault: Fault | None = None

    @staticmethod
    def failed(code: int, text: str = "", fault: Fault | None = None) -> Reply:
        """A reply that fails the call with ``code`` (a key of ERRORS) and its usual text."""
        return Reply(None, (code, text or ERRORS[code]), fault)


class LinkError(Exception):
    """The link failed under a call. ``code`` is what ``last_error`` tells: -10001 (the call did not
    leave whole) or -10002 (no answer: it may have been executed). The link is of no more use."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text or ERRORS[code])
        self.code = code
        self.text = text or ERRORS[code]


class Server(Protocol):
    """Whoever answers calls, in one piece, without waiting."""

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        """The reply to one call."""


class Link(Protocol):
    """The module's way to a server."""

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        """Send a call and wait for its answer, for ever if need be; LinkError where it breaks."""

    def close(self) -> None:
        """Let go of the connection; may be repeated."""


def _no_wait(_seconds: float) -> None:
    """Time does not pass."""


@dataclass
class DirectLink:
    """A server in this process. ``wait(seconds)`` lets virtual time pass (infinity: a hang, which
    must raise what a caller's deadline raises; a plain ``wait`` that returns breaks the pipe)."""

    server: Server
    wait: Callable[[float], None] = _no_wait
    _answers: deque[tuple[str, Reply]] = field(default_factory=deque)
    _open: bool = True

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        """The server's reply, its fault acted out."""
        if not self._open:
            raise LinkError(-10001)
        reply = self.server.call(name, payload)
        fault = reply.fault
        if fault is not None:
            hangs = fault.kind is FaultKind.HANG
            self.wait(math.inf if hangs else fault.after_s)
            if hangs or fault.kind is FaultKind.PIPE_DEATH:
                self.close()
                raise LinkError(-10002)
        copies = 2 if fault is not None and fault.kind is FaultKind.DUPLICATE else 1
        self._answers.extend([(name, reply)] * copies)
        answered, reply = self._answers.popleft()
        if answered != name:
            self.close()
            raise LinkError(-10002)
        return reply

    def close(self) -> None:
        """Forget what was not read."""
        self._answers.clear()
        self._open = False


# --- frames: b"OFT1", bytes of JSON, bytes of columns (u32 little-endian each), JSON, columns


def _frame(head: dict[str, Any], columns: bytes = b"") -> bytes:
    text = json.dumps(head, separators=(",", ":")).encode()
    return _HEAD.pack(_MAGIC, len(text), len(columns)) + text + columns


def encode_call(name: str, payload: dict[str, Any]) -> bytes:
    """A call as a frame."""
    return _frame({"call": name, "payload": payload})


def encode_reply(name: str, reply: Reply) -> bytes:
    """The answer to a call of ``name`` as a frame; its fault stays behind."""
    head: dict[str, Any] = {"call": name, "error": list(reply.error)}
    value = reply.value
    if not _is_columns(value):
        return _frame(head | {"value": value})
    arrays = {key: np.ascontiguousarray(column) for key, column in value.items()}
    head["columns"] = [[key, array.dtype.str, len(array)] for key, array in arrays.items()]
    return _frame(head, b"".join(array.tobytes() for array in arrays.values()))


def _is_columns(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(v, np.ndarray) for v in value.values())


def _decode_columns(spec: list[list[Any]], data: bytes) -> dict[str, np.ndarray]:
    columns, at = {}, 0
    for key, dtype, rows in spec:
        columns[key] = np.frombuffer(data, dtype, rows, at)
        at += columns[key].nbytes
    return columns


def decode_reply(head: dict[str, Any], data: bytes) -> tuple[str, Reply]:
    """(name of the call that it answers, the reply) of a frame's two parts."""
    code, text = head["error"]
    columns = head.get("columns")
    value = head.get("value") if columns is None else _decode_columns(columns, data)
    return head["call"], Reply(value, (int(code), text))


class NotAFrameError(ValueError):
    """Bytes that are no frame of this protocol."""


class FrameReader:
    """Cuts a stream of bytes into frames, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def wanted(self) -> int:
        """Bytes that are missing at least until the next frame is whole; 0 where it is."""
        have = len(self._bytes)
        if have < _HEAD.size:
            return _HEAD.size - have
        return max(0, _HEAD.size + sum(self._sizes()) - have)

    def _sizes(self) -> tuple[int, int]:
        magic, text, columns = _HEAD.unpack_from(self._bytes)
        if magic != _MAGIC or text + columns > _FRAME_BYTES_MAX:
            raise NotAFrameError(f"not a frame of {_MAGIC.decode()}: {bytes(self._bytes[:12])!r}")
        return text, columns

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._bytes += data

    def frame(self) -> tuple[dict[str, Any], bytes] | None:
        """The next whole frame: its JSON and its columns; None before that. ValueError (where the
        head is wrong: NotAFrameError) for what is none."""
        if self.wanted:
            return None
        text, columns = self._sizes()
        start, end = _HEAD.size, _HEAD.size + text + columns
        head = json.loads(bytes(self._bytes[start : start + text]))
        data = bytes(self._bytes[start + text : end])
        del self._bytes[:end]
        return head, data


class SocketLink:
    """A server behind a loopback socket.

    A call that waits for its answer holds the GIL, as the extension does: no other thread of the
    process moves. POSIX only; elsewhere (the stand-in on Windows) it is let go. ``hold_gil=False``
    is for a server in a thread of the same process, which could otherwise never answer.
    """

    def __init__(self, address: str, hold_gil: bool = True) -> None:
        """Connect to ``host:port``; OSError where nobody listens."""
        host, _, port = address.rpartition(":")
        self._socket: socket.socket | None = socket.create_connection((host, int(port)), timeout=5)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = FrameReader()
        # Sending lets the GIL go for a moment, in which another thread's call must not slip in.
        # Re-entrant, because a signal's handler may call too: out of step is better than stuck.
        self._turn = threading.RLock()
        holds = hold_gil and os.name == "posix"
        self._receive = _receiver_with_gil() if holds else _receive

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        """The next answer of the server; LinkError where the pipe breaks or is out of step."""
        with self._turn:
            return self._call(name, payload)

    def _call(self, name: str, payload: dict[str, Any]) -> Reply:
        if self._socket is None:
            raise LinkError(-10001)
        try:
            self._socket.sendall(encode_call(name, payload))
        except OSError as error:
            self.close()
            raise LinkError(-10001) from error
        try:
            answered, reply = self._answer()
        except (OSError, ValueError, KeyError) as error:
            self.close()
            raise LinkError(-10002) from error
        if answered != name:
            self.close()
            raise LinkError(-10002)
        return reply

    def _answer(self) -> tuple[str, Reply]:
        assert self._socket is not None
        while True:
            frame = self._reader.frame()
            if frame is not None:
                return decode_reply(*frame)
            data = self._receive(self._socket, min(self._reader.wanted, _CHUNK))
            if not data:
                raise ConnectionResetError("the server closed the pipe")
            self._reader.feed(data)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _receive(connection: socket.socket, size: int) -> bytes:
    return connection.recv(size)


def _receiver_with_gil() -> Callable[[socket.socket, int], bytes]:
    """``recv`` called without letting the GIL go. A signal ends the wait; Python's handler of it
    runs, then the wait goes on."""
    function = ctypes.PyDLL(None, use_errno=True).recv
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    function.restype = ctypes.c_ssize_t

    def receive(connection: socket.socket, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        while True:
            got = function(connection.fileno(), buffer, size, 0)
            if got >= 0:
                return buffer.raw[:got]
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))

    return receive


async def serve_stream(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[str, dict[str, Any]], Reply],
) -> None:
    """Serve one client until it leaves or a fault cuts it off; for ``asyncio.start_server``.

    ``answer`` is a server's ``call``, whose exceptions go up; faults are made to happen in real
    seconds. Cut-off is abrupt: what was not read by then is gone. A client that speaks something
    else is let go.
    """
    frames = FrameReader()
    try:
        while data := await reader.read(_CHUNK):
            frames.feed(data)
            while (call := _next_call(frames)) is not None:
                if not await _answer_one(reader, writer, call[0], answer(*call)):
                    return
    except (ConnectionError, NotAFrameError):
        return  # the client died under us, or is none of ours: there is nobody to answer
    finally:
        writer.close()


def _next_call(frames: FrameReader) -> tuple[str, dict[str, Any]] | None:
    try:
        frame = frames.frame()
        return None if frame is None else (frame[0]["call"], frame[0]["payload"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotAFrameError(str(error)) from error


async def _answer_one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, reply: Reply
) -> bool:
    """Send one answer as its fault wants it; False where that ends the connection."""
    fault = reply.fault
    if fault is not None and fault.kind is FaultKind.HANG:
        while await reader.read(_CHUNK):
            pass  # the client waits, and nothing that it sends is taken
        return False
    if fault is not None and fault.after_s > 0:
        await asyncio.sleep(fault.after_s)
    if fault is not None and fault.kind is FaultKind.PIPE_DEATH:
        writer.transport.abort()
        return False
    copies = 2 if fault is not None and fault.kind is FaultKind.DUPLICATE else 1
    writer.write(encode_reply(name, reply) * copies)
    await writer.drain()
    return True
