"""A venue of one purpose: frames of the spot layout at a steady rate, made as cheaply as can be.

Run as a program: ``python -m tests.campaigns.firehose RATE [SYMBOLS [EVERY]]`` prints its two
addresses as JSON and sends RATE messages a second in all, of which every EVERY-th (20) is a book of
20 levels and the others are trades. Ids go on whether or not anybody listens. It tells no clock, so
a session takes it for a real venue. SIGTERM ends it; it then prints what it sent and what a slow
client left unsent.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

FIRST_ID = 1_000_000_000
TICK_S = 0.005
BACKLOG_MOST = 16 << 20
TRADE = (
    '{"stream":"%s@aggTrade","data":{"e":"aggTrade","E":%%d,"s":"%s","a":%%d,"p":"60000.%%d",'
    '"q":"0.0%%d","f":1,"l":1,"T":%%d,"m":true,"M":true}}'
)
BOOK = '{"stream":"%s@depth20@100ms","data":{"lastUpdateId":%%d,"bids":[%s],"asks":[%s]}}'


def names(count: int) -> list[str]:
    """Symbols that it has."""
    return ["BTCUSDT", *(f"S{n:03d}USDT" for n in range(1, count))]


def header(size: int) -> bytes:
    """The head of a text frame."""
    return bytes([0x81, size]) if size < 126 else bytes([0x81, 126]) + size.to_bytes(2, "big")


class Frames:
    """Makes messages, ``framed`` for a socket or bare; of each kind all are of one length, so that
    one head serves. Every ``every``-th of a symbol is a book."""

    def __init__(self, symbols: list[str], every: int, framed: bool = True) -> None:
        self.every, self.framed = every, framed
        self.sent = 0
        self.ids = [FIRST_ID] * len(symbols)
        levels = [
            ",".join(f'["{60000 + side * (n + 1)}.5","1.{n + 10}0"]' for n in range(20))
            for side in (-1, 1)
        ]
        self.trades = [self._framed(TRADE % (s.lower(), s), (10**12, 10**9, 1, 10, 10**12))
                       for s in symbols]  # fmt: skip
        self.books = [self._framed(BOOK % (s.lower(), *levels), (10**9,)) for s in symbols]

    def _framed(self, text: str, example: tuple[int, ...]) -> bytes:
        if not self.framed:
            return text.encode()
        return header(len(text % example)).replace(b"%", b"%%") + text.encode()

    def make(self, count: int, now_ms: int) -> list[bytes]:
        """The next ``count`` messages, sent at ``now_ms``."""
        out, ids, symbols = [], self.ids, len(self.ids)
        for n in range(self.sent, self.sent + count):
            at = n % symbols
            ids[at] = id = ids[at] + 1
            if self.every and n // symbols % self.every == self.every - 1:
                ids[at] = id - 1
                out.append(self.books[at] % (FIRST_ID + n,))
            else:
                out.append(self.trades[at] % (now_ms, id, n % 10, 10 + n % 90, now_ms))
        self.sent += count
        return out


class Hose(asyncio.Protocol):
    """One client."""

    open: ClassVar[set[Hose]] = set()
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.ws, self.unsent = transport, ServerProtocol(), 0
        transport.set_write_buffer_limits(high=BACKLOG_MOST)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self.ws.receive_data(data)
        for event in self.ws.events_received():
            if isinstance(event, Request):
                self.ws.send_response(self.ws.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                asked = json.loads(bytes(event.data))
                self.ws.send_text(json.dumps({"result": None, "id": asked.get("id")}).encode())
        for piece in self.ws.data_to_send():
            if piece:
                self.transport.write(piece)
        if self.ws.handshake_exc is None:
            self.open.add(self)


async def spray(rate: float, frames: Frames, stopped: asyncio.Event) -> int:
    """Send until it is stopped; frames that met a full client."""
    began_s, left_out = time.monotonic(), 0
    while not stopped.is_set():
        due = int((time.monotonic() - began_s) * rate) - frames.sent
        data = b"".join(frames.make(due, time.time_ns() // 1_000_000))
        for hose in list(Hose.open):
            if hose.transport.get_write_buffer_size() > BACKLOG_MOST:
                left_out += due
            else:
                hose.transport.write(data)
        await asyncio.sleep(TICK_S)
    return left_out


def rest(symbols: list[str]) -> ThreadingHTTPServer:
    """Knows the instruments, and nothing else."""
    about = [
        {"symbol": s, "status": "TRADING", "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"}]}
        for s in symbols
    ]  # fmt: skip
    body = json.dumps({"symbols": about}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = "exchangeInfo" in self.path
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body) if found else 0))
            self.end_headers()
            self.wfile.write(body if found else b"")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


async def main(rate: float, count: int, every: int) -> None:
    symbols = names(count)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(Hose, "127.0.0.1", 0)
    port, asked = server.sockets[0].getsockname()[1], rest(symbols)
    line = {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{asked.server_port}"}
    print(json.dumps(line), flush=True)
    frames = Frames(symbols, every)
    left_out = await spray(rate, frames, stopped)
    cpu = time.process_time()
    print(json.dumps({"sent": frames.sent, "left_out": left_out, "cpu_s": round(cpu, 1)}))


if __name__ == "__main__":
    given = [float(x) for x in sys.argv[1:]]
    asyncio.run(main(given[0], *(int(x) for x in (*given[1:], *(1, 20)[len(given) - 1 :]))))
