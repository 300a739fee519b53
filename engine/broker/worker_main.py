"""The process that calls a terminal's Python package for another; needs only Python (3.8 on).

Owns one module (``MetaTrader5``, or the stand-in) and answers calls to it, one at a time, over its
stdin and stdout. With ``--listen HOST:PORT`` it is the bridge: it accepts connections of those who
know the token in OFS_BRIDGE_TOKEN and starts, for each, such a process of its own, which it kills
when the connection ends. So a call that hangs is ended by hanging up. The file stands alone, to be
copied to where the terminal is and run under the Python there (Windows, or Wine):

    set OFS_BRIDGE_TOKEN=...
    python worker_main.py --module MetaTrader5 --listen 127.0.0.1:18812

A frame is its length (4 bytes, big-endian) and JSON. First the worker says ``{"hello": {...}}``.
Requests are ``{"id", "call", "args", "kwargs"}``; answers ``{"id", "value", "error": [code, text],
"began_ns", "took_ns"}`` or ``{"id", "raised": [type, text], ...}``. Structs travel with their names
and fields, arrays as their bytes.

What must hold: only the functions of the package can be called; ``last_error`` is read right after
each call; no password is ever written anywhere (they come as arguments of a call, by the pipe).
It refuses to know what a call means.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import importlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import IO, Any

PROTOCOL = 1
FRAME_MAX = 1 << 29
TOKEN_LETTERS_LEAST = 16
CONNECTIONS_MOST = 8
HANDSHAKE_S = 10.0
SECRETS = ("OFS_MT5_PASSWORD", "OFS_BRIDGE_TOKEN")
"""Variables that no worker is given: what it must know of them comes with a call."""

CALLS = frozenset({
    "initialize", "login", "shutdown", "version", "last_error", "terminal_info", "account_info",
    "symbols_total", "symbols_get", "symbol_info", "symbol_info_tick", "symbol_select",
    "market_book_add", "market_book_get", "market_book_release", "copy_rates_from",
    "copy_rates_from_pos", "copy_rates_range", "copy_ticks_from", "copy_ticks_range",
    "orders_total", "orders_get", "order_calc_margin", "order_calc_profit", "order_check",
    "order_send", "positions_total", "positions_get", "history_orders_total",
    "history_orders_get", "history_deals_total", "history_deals_get",
})  # fmt: skip
"""What can be called: the functions of the package."""


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame's bytes, None at the end; ValueError for what is no frame."""
    head = read_exactly(stream, 4)
    if head is None:
        return None
    size = struct.unpack(">I", head)[0]
    if size > FRAME_MAX:
        raise ValueError(f"a frame of {size} bytes is none of this protocol")
    return read_exactly(stream, size)


def read_exactly(stream: IO[bytes], size: int) -> bytes | None:
    """``size`` bytes, None where the stream ends before."""
    parts = []
    while size > 0:
        part = stream.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def frame(value: Any) -> bytes:
    """A JSON value as a frame."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return struct.pack(">I", len(body)) + body


def is_struct(value: Any) -> bool:
    """Whether a value is a structure of the package: a tuple whose places have names."""
    return isinstance(value, tuple) and hasattr(value, "_asdict")


def plain(value: Any) -> Any:
    """A value of the package as JSON can carry it; ``engine.broker.worker`` reads it back."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_struct(value):
        values = [plain(v) for v in value]
        return {"struct": type(value).__name__, "fields": list(value._asdict()), "values": values}
    if isinstance(value, tuple):
        first: Any = value[0] if value else None
        if is_struct(first) and all(type(v) is type(first) for v in value):
            rows = [[plain(x) for x in v] for v in value]
            return {"structs": type(first).__name__, "fields": list(first._asdict()), "rows": rows}
        return {"tuple": [plain(v) for v in value]}
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        descr = [list(d) for d in value.dtype.descr]
        return {"array": descr, "bytes": base64.b64encode(value.tobytes()).decode("ascii")}
    raise TypeError(f"the package gave a {type(value).__name__}")


def answer(module: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Call what a request asks for and say what came of it."""
    name, args = request["call"], request.get("args", [])
    kwargs = request.get("kwargs", {})
    said: dict[str, Any] = {"id": request["id"], "began_ns": time.time_ns()}
    began = time.perf_counter_ns()
    try:
        if name not in CALLS:
            raise AttributeError(f"{name} is not a function of the package")
        value = getattr(module, name)(*args, **kwargs)
        said["took_ns"] = time.perf_counter_ns() - began
        error = value if name == "last_error" else module.last_error()
        said["value"], said["error"] = plain(value), [int(error[0]), str(error[1])]
    except Exception as error:  # noqa: BLE001 reason: whatever it raises is an answer to the caller
        said["took_ns"] = time.perf_counter_ns() - began
        said["raised"] = [type(error).__name__, scrubbed(str(error), name, args, kwargs)]
    return said


def scrubbed(text: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    """``text`` without the password of a call."""
    words = [kwargs.get("password")]
    if name == "login" and len(args) > 1:
        words.append(args[1])
    for word in words:
        if isinstance(word, str) and word:
            text = text.replace(word, "***")
    return text


def load(name: str) -> tuple[Any, dict[str, Any]]:
    """The module called ``name`` (None where it cannot be imported), and the greeting."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (runs alone)
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]  # noqa: PTH100
    hello: dict[str, Any] = {"protocol": PROTOCOL, "pid": os.getpid(), "module": name}
    hello["python"] = sys.version.split()[0]
    try:
        module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 reason: whatever it raises, the caller is told
        hello["failed"] = f"{type(error).__name__}: {error}"
        return None, {"hello": hello}
    hello["version"] = str(getattr(module, "__version__", ""))
    return module, {"hello": hello}


def private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """stdin and stdout for ourselves: whatever the package prints goes to stderr."""
    if os.name == "nt":
        import msvcrt

        for number in (0, 1):
            msvcrt.setmode(number, os.O_BINARY)  # type: ignore[attr-defined]
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb", buffering=0)


def write_all(sink: IO[bytes], data: bytes) -> None:
    """Write all of ``data`` to an unbuffered stream."""
    view = memoryview(data)
    while view:
        view = view[sink.write(view) :]


def serve(name: str) -> int:
    """Answer calls until stdin ends; the exit code.

    An interrupt from the keyboard goes to every process of a terminal: it is the master's to obey,
    and what the master then closes is closed through this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = private_streams()
    module, hello = load(name)
    write_all(sink, frame(hello))
    if module is None:
        return 1
    while True:
        data = read_frame(source)
        if data is None:
            return 0
        write_all(sink, frame(answer(module, json.loads(data))))


# --- the bridge


def proof(token: str, who: str, challenge: str) -> str:
    """What only one who knows the token can say to a challenge."""
    return hmac.new(token.encode(), (who + challenge).encode(), hashlib.sha256).hexdigest()


def greet(stream: IO[bytes], connection: socket.socket, token: str) -> bool:
    """Let each side prove to the other that it knows the token; False where the client does not."""
    challenge = secrets.token_hex(32)
    connection.sendall(frame({"bridge": PROTOCOL, "challenge": challenge}))
    data = read_frame(stream)
    said = json.loads(data) if data is not None else None
    known = proof(token, "client", challenge)
    if not isinstance(said, dict) or not hmac.compare_digest(str(said.get("proof")), known):
        return False
    connection.sendall(frame({"proof": proof(token, "bridge", str(said.get("challenge")))}))
    return True


def pump(child: Any, connection: socket.socket) -> None:
    """Carry what the child says to the connection, until either ends."""
    try:
        while True:
            data = child.stdout.read(1 << 16)
            if not data:
                break
            connection.sendall(data)
    except OSError:
        pass  # the client hung up: the other direction sees it too, and ends the child
    with contextlib.suppress(OSError):  # it may be closed already
        connection.shutdown(socket.SHUT_RDWR)


def attend(connection: socket.socket, module: str, token: str) -> None:
    """Serve one connection with a process of its own, which ends with it."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # a client whose machine is gone says nothing: its process must not stay for ever
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.settimeout(HANDSHAKE_S)
    stream: Any = connection.makefile("rb", buffering=0)
    try:
        if not greet(stream, connection, token):
            return
        connection.settimeout(None)
    except (OSError, ValueError):
        return  # nobody who speaks this protocol
    command = [sys.executable, os.path.abspath(__file__), "--module", module]  # noqa: PTH100
    env = {name: value for name, value in os.environ.items() if name not in SECRETS}
    child = subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    back = threading.Thread(target=pump, args=(child, connection), daemon=True)
    back.start()
    try:
        while True:
            data = connection.recv(1 << 16)
            if not data:
                break
            write_all(child.stdin, data)  # type: ignore[arg-type]
    except OSError:
        pass  # hung up, or the child died: both end here
    child.kill()
    child.wait()
    back.join()


def listen(address: str, module: str, token: str) -> int:
    """Accept connections at ``HOST:PORT`` for ever."""
    host, _, port = address.rpartition(":")
    server = socket.create_server((host, int(port)))
    places = threading.BoundedSemaphore(CONNECTIONS_MOST)
    at = server.getsockname()
    say = {"bridge": f"{at[0]}:{at[1]}", "module": module, "protocol": PROTOCOL}
    sys.stdout.write(json.dumps(say) + "\n")
    sys.stdout.flush()

    def one(connection: socket.socket) -> None:
        with connection:
            attend(connection, module, token)
        places.release()

    while True:
        places.acquire()
        connection, _ = server.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--module", default="MetaTrader5", help="the package to call")
    parser.add_argument("--listen", metavar="HOST:PORT", help="be a bridge at this address")
    options = parser.parse_args()
    if options.listen is None:
        return serve(options.module)
    token = os.environ.get("OFS_BRIDGE_TOKEN", "")
    if len(token) < TOKEN_LETTERS_LEAST:
        sys.stderr.write(
            f"OFS_BRIDGE_TOKEN must hold at least {TOKEN_LETTERS_LEAST} letters:"
            " whoever knows it can trade\n"
        )
        return 3
    return listen(options.listen, options.module, token)


if __name__ == "__main__":
    sys.exit(main())
