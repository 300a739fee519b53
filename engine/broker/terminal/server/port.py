"""The socket behind which the stand-in's terminal answers.

Owns :class:`TerminalPort`: clients of :mod:`engine.broker.terminal.wire` on loopback, one account
for all of them. What must hold: before each call the server has the time of the moment; a client's
death changes nothing; when the terminal dies, every client is cut off; lengths of time of faults
are the market's, so they are shorter in front of a market that is played faster.

It refuses to know where the time comes from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.wire import Reply, serve_stream


class TerminalPort:
    """Serves ``sim`` at ``host``:``port`` (0: any free one). ``now_ns`` is the market's time,
    ``speed`` how many times real time it runs; ``met`` is called at every ``initialize``."""

    def __init__(
        self,
        sim: SimServer,
        now_ns: Callable[[], int],
        speed: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
        met: Callable[[], None] = lambda: None,
    ) -> None:
        self.sim = sim
        self.speed = speed
        self.clients = 0
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self._now_ns = now_ns
        self._met = met
        self._place = host, port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        """Listen; the address, ``host:port``."""
        self._server = await asyncio.start_server(self._client, *self._place)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def tick(self) -> None:
        """Let the server have the time of the moment."""
        self.sim.advance(self._now_ns())

    def _answer(self, name: str, payload: dict[str, Any]) -> Reply:
        if name == "initialize":
            self._met()
        before = self.sim.conditions.restarts
        self.tick()
        reply = self.sim.call(name, payload)
        if self.sim.conditions.restarts != before:
            self.cut()
        if reply.fault is None or not reply.fault.after_s:
            return reply
        return replace(reply, fault=replace(reply.fault, after_s=reply.fault.after_s / self.speed))

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients += 1
        self._writers.add(writer)
        try:
            await serve_stream(reader, writer, self._answer)
        except Exception as error:  # noqa: BLE001  reason: a bug here ends the stand-in loudly
            self.failure = error
            self.failed.set()
        finally:
            self._writers.discard(writer)

    def cut(self) -> None:
        """Break every pipe."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def stop(self) -> None:
        """Cut all clients off and stop listening."""
        self.cut()
        if self._server is not None:
            self._server.close()
