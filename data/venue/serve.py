"""A venue on this machine: its websockets and its REST interface, played from a log or recording.

Owns :class:`Venue`, which puts the parts together, and :func:`running`, which runs one on a thread.
What must hold: everything that a client can see follows from the log, the options and what it asks;
it listens on loopback unless told otherwise.

It refuses to know command lines.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from data.enums import Kind
from data.venue.frames import Encode, Encoder
from data.venue.frames_bybit import BybitEncoder
from data.venue.hub import Find, Hub, finder
from data.venue.names import BYBIT, Asked, canonical
from data.venue.player import Player
from data.venue.rest_api import Answer, BinanceRest, Facts
from data.venue.rest_bybit import BybitRest
from data.venue.rest_faults import RestFaults
from data.venue.rest_rows import NoRows, RestRows
from data.venue.rest_server import RestServer
from data.venue.sockets import Socket, Terms
from data.venue.strike import Name, Striker
from data.venue.tape import LogTape
from data.venue.tape_recording import RecordingTape, asked, raw_encode
from data.venue.venue_faults import Script

WINDOW = 2_000
"""Frames that may be in flight to one socket, where the clock does not run in real time."""

IN_ORDER_SPEED = 100.0
"""Up to this speed all sockets together are read in the order of the log, where nothing else is
said: waiting for each other costs them no time that matters."""

SKEW_NS = 1_000_000
"""Wall time by which frames of different sockets may overtake each other above that speed: about
what they do between machines."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a venue is played: ``layout``, ``speed`` (times real time), wall seconds of ``grace_s``
    and ``hold_s`` (see :class:`data.venue.player.Player`), where it listens, how many frames may be
    in flight (``window``, 0: as many as the socket takes), what goes wrong (``script``), how far
    sockets may run apart in the venue's time (``skew_ns``; -1: not at all up to
    :data:`IN_ORDER_SPEED`, then by :data:`SKEW_NS` of wall time)."""

    layout: str
    speed: float = 1.0
    grace_s: float = 1.0
    hold_s: float = 0.0
    host: str = "127.0.0.1"
    port: int = 0
    rest_port: int = 0
    window: int = WINDOW
    skew_ns: int = -1
    script: Script = field(default_factory=Script)

    @property
    def most_skew_ns(self) -> int:
        """``skew_ns``, or what it is where nothing was said."""
        if self.skew_ns >= 0:
            return self.skew_ns
        return 0 if self.speed <= IN_ORDER_SPEED else int(self.speed * SKEW_NS)


class Venue:
    """The venue that plays ``tape``. :meth:`start` listens, :meth:`play` plays to the end."""

    def __init__(self, tape: LogTape | RecordingTape, options: Options) -> None:
        self.tape = tape
        self.options = options
        self.hub = Hub(options.layout, self._finder(), self._encode)
        self._encoders: dict[tuple[int, int], Encoder] = {}
        self.striker = Striker(
            self.hub, self._names(), self._encoders_of, options.script, tape.from_ns
        )
        self._rest_faults = RestFaults(options.script)
        self._server: asyncio.Server | None = None
        self.failure: BaseException | None = None

    def _finder(self) -> Find:
        if isinstance(self.tape, RecordingTape):
            return self.tape.find
        return finder(self.options.layout, [x.symbol for x in self.tape.instruments])

    def _names(self) -> list[Name]:
        if isinstance(self.tape, RecordingTape):
            return [partial(_named, name) for name in self.tape.streams]
        layout = self.options.layout
        return [partial(_usual, layout, x.symbol) for x in self.tape.instruments]

    def _encode(self, number: int, wanted: Asked, unit_ns: int) -> Encode:
        if isinstance(self.tape, RecordingTape):
            return raw_encode(wanted)
        key = number, unit_ns
        if key not in self._encoders:
            x = self.tape.instruments[number]
            form = BybitEncoder if self.options.layout == BYBIT else Encoder
            self._encoders[key] = form(self.options.layout, x.symbol, x.scales, unit_ns)
            self.striker.prepare(number, self._encoders[key])
        return self._encoders[key].encode(wanted)

    def _encoders_of(self, number: int) -> Iterator[Encoder]:
        return (e for (n, _), e in self._encoders.items() if n == number)

    async def start(self) -> None:
        """Listen on both ports."""
        options, tape = self.options, self.tape
        window = options.window if options.speed > 1 else 0
        self.terms = Terms(self.hub, options.layout, window, self._now_ns)
        self.player = Player(
            tape,
            self.striker,
            self.terms,
            options.speed,
            options.grace_s,
            options.hold_s,
            options.most_skew_ns,
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Socket(self.terms), options.host, options.port
        )
        rows: RestRows | NoRows = NoRows()
        if isinstance(tape, LogTape):
            rows = RestRows(tape.store, tape.venue, tape.delay_ns)
        facts = Facts(
            options.layout,
            tape.instruments,
            rows,
            self._passed_ns,
            self.striker.books.get,
            lambda: self.striker.skew_ns,
        )
        bybit = options.layout == BYBIT
        self._rest_api: BinanceRest | BybitRest = BybitRest(facts) if bybit else BinanceRest(facts)
        self.rest = RestServer(self._get, options.host, options.rest_port)
        self.rest.start()

    def _get(self, path: str, query: Mapping[str, str]) -> Answer:
        own: dict[str, Callable[[], Mapping[str, Any]]] = {
            "/ofs/clock": self.clock,
            "/ofs/faults": self.faults,
        }
        if path in own:
            return Answer(200, own[path]())
        return self._rest_faults.meet(path) or self._rest_api.get(path, query)

    def _now_ns(self) -> int:
        return self.player.now_ns()

    def _passed_ns(self) -> int:
        """What arrived up to here may be shown: at the beginning nothing has."""
        return self.player.now_ns() - (not self.player.started)

    def clock(self) -> dict[str, Any]:
        """The body of ``/ofs/clock``."""
        return {
            "schema": 1,
            "now_ns": self.tape.end_ns if self.player.ended else self.player.now_ns(),
            "speed": self.options.speed,
            "from_ns": self.tape.from_ns,
            "end_ns": self.tape.end_ns,
            "ended": self.player.ended,
        }

    def faults(self) -> dict[str, Any]:
        """The body of ``/ofs/faults``."""
        return {
            "schema": 1,
            "events": self.player.events,
            "frames": self.hub.frames,
            "connections": self.terms.opened,
            "done": {**self.striker.done.counts, **self._rest_faults.done.counts},
            "list": [*self.striker.done.acts, *self._rest_faults.done.acts],
        }

    def ready(self) -> dict[str, Any]:
        """What the command prints when the venue can be used."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return {
            "schema": 1,
            "ws": f"ws://{host}:{port}",
            "rest": self.rest.url,
            "venue": self.tape.venue,
            "layout": self.options.layout,
            "symbols": [x.symbol for x in self.tape.instruments],
            "from_ns": self.tape.from_ns,
            "end_ns": self.tape.end_ns,
            "speed": self.options.speed,
        }

    async def play(self) -> None:
        """Play to the end of the range."""
        await self.player.run()

    async def stop(self) -> None:
        """Cut what is open and stop listening."""
        for socket in list(self.terms.open):
            socket.abort()
        if self._server is not None:
            self._server.close()
        await asyncio.to_thread(self.rest.stop)

    async def serve(self, told: Callable[[dict[str, Any]], None], stopped: asyncio.Event) -> None:
        """Listen, tell what :meth:`ready` says, play, and stay until ``stopped``."""
        await self.start()
        told(self.ready())
        playing = asyncio.create_task(self.play())
        waiting = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait({playing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()
                await waiting
        finally:
            playing.cancel()
            waiting.cancel()
            await self.stop()


def _usual(layout: str, symbol: str, kind: Kind) -> tuple[str, str]:
    return canonical(layout, symbol, kind), symbol


def _named(name: str, _kind: Kind) -> tuple[str, str]:
    return name, asked(name).symbol


@contextmanager
def running(
    tape: LogTape | RecordingTape, options: Options
) -> Iterator[tuple[Venue, dict[str, Any]]]:
    """A venue on a thread of its own, with what it says when it is ready; stopped at the end."""
    venue, up = Venue(tape, options), threading.Event()
    told: dict[str, Any] = {}
    handle: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stopped = asyncio.Event()
        handle.append((asyncio.get_running_loop(), stopped))

        def ready(facts: dict[str, Any]) -> None:
            told.update(facts)
            up.set()

        await venue.serve(ready, stopped)

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  reason: handed to who waits on this thread
            venue.failure = error
        finally:
            up.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    up.wait()
    try:
        if venue.failure is not None:
            raise venue.failure
        yield venue, told
    finally:
        loop, stopped = handle[0]
        if thread.is_alive():
            loop.call_soon_threadsafe(stopped.set)
        thread.join()
