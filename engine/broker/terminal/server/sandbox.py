"""A terminal, and the flow venue beside it, played from one log under one clock.

Owns :class:`Sandbox`. What must hold: where the log has flow, its venue is served too and its clock
is the terminal's; where it has none, the clock stands until a terminal's client comes, then runs at
the speed that was asked for, and ``/ofs/clock`` is answered all the same; the account lives as long
as the sandbox.

It refuses to know command lines and what is in a file of terms.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.broker.terminal.server.port import TerminalPort
from engine.broker.terminal.server.sim import SimServer

if TYPE_CHECKING:
    from data.venue.rest_api import Answer
    from data.venue.serve import Venue

_TICK_S = 0.05


class TapeClock:
    """The market's time where no venue tells it: from ``from_ns`` to ``end_ns`` at ``speed``,
    beginning ``grace_s`` (wall) after :meth:`begin`. ``mono_s`` is the machine's clock."""

    def __init__(
        self,
        from_ns: int,
        end_ns: int,
        speed: float = 1.0,
        grace_s: float = 0.0,
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.from_ns = from_ns
        self.end_ns = end_ns
        self.speed = speed
        self._grace_s = grace_s
        self._mono_s = mono_s
        self._begun_s: float | None = None

    def begin(self) -> None:
        """Let it run; the first time only."""
        if self._begun_s is None:
            self._begun_s = self._mono_s() + self._grace_s

    def now_ns(self) -> int:
        """The market's time, ns UTC."""
        if self._begun_s is None:
            return self.from_ns
        passed_s = max(0.0, self._mono_s() - self._begun_s)
        return min(self.end_ns, self.from_ns + int(passed_s * self.speed * 1e9))

    def facts(self) -> dict[str, Any]:
        """The body of ``/ofs/clock``."""
        now_ns = self.now_ns()
        return {
            "schema": 1, "now_ns": now_ns, "speed": self.speed, "from_ns": self.from_ns,
            "end_ns": self.end_ns, "ended": now_ns >= self.end_ns,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sandbox listens: one host; ports of the terminal and of the requests, 0: any."""

    host: str = "127.0.0.1"
    port: int = 0
    rest_port: int = 0


class Sandbox:
    """Serves ``sim``, under the clock of ``venue`` where there is one, else of ``clock``."""

    def __init__(
        self, sim: SimServer, place: Place, clock: TapeClock, venue: Venue | None = None
    ) -> None:
        self.sim = sim
        self.place = place
        self.clock = clock
        self.venue = venue
        self._facts: dict[str, Any] = {}
        self._over_s = 0.0
        self._rest: Any = None
        self._address = ""

    def now_ns(self) -> int:
        """The server's time, ns UTC: the market's, and after the end of the range as it passes on
        the wall. The market is over then, but what is under way at the server comes to its end:
        deals are seen, a terminal that died is there again."""
        if self.venue is not None and not self.venue.player.ended:
            return self.venue.player.now_ns()
        now_ns = self.clock.now_ns() if self.venue is None else self.venue.tape.end_ns
        if now_ns < self.clock.end_ns:
            return now_ns
        self._over_s = self._over_s or time.monotonic()
        return now_ns + int((time.monotonic() - self._over_s) * 1e9)

    async def serve(self, told: Callable[[dict[str, Any]], None], stopped: asyncio.Event) -> None:
        """Listen, tell what :meth:`ready` says, play, and stay until ``stopped``; raises what broke
        it."""
        port = TerminalPort(
            self.sim, self.now_ns, self.clock.speed, self.place.host, self.place.port,
            self.clock.begin,
        )  # fmt: skip
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(x.wait()) for x in (stopped, port.failed)
        ]
        try:
            await self._listen()
            self._address = await port.start()
            told(self.ready())
            tasks.append(asyncio.create_task(self._tick(port)))
            if self.venue is not None:
                tasks.append(asyncio.create_task(self._play(self.venue)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if port.failure is not None:
                raise port.failure
        finally:
            for task in tasks:
                task.cancel()
            await port.stop()
            await self._stop()

    async def _listen(self) -> None:
        from data.venue.rest_server import RestServer

        if self.venue is not None:
            await self.venue.start()
            self._rest = self.venue.rest
            self._rest.get = self._around(self.venue.rest.get)
            return
        self._rest = RestServer(self._around(_nothing), self.place.host, self.place.rest_port)
        self._rest.start()

    def _around(
        self, other: Callable[[str, Mapping[str, str]], Answer]
    ) -> Callable[[str, Mapping[str, str]], Answer]:
        from data.venue.rest_api import Answer

        def get(path: str, query: Mapping[str, str]) -> Answer:
            if path == "/ofs/terminal":
                return Answer(200, self._facts)
            if path == "/ofs/clock" and self.venue is None:
                return Answer(200, self.clock.facts())
            return other(path, query)

        return get

    async def _tick(self, port: TerminalPort) -> None:
        while True:
            port.tick()
            self._facts = {"schema": 1, **self.sim.facts(), "clients": port.clients}
            await asyncio.sleep(_TICK_S)

    async def _play(self, venue: Venue) -> None:
        await venue.play()
        await asyncio.Event().wait()  # the terminal stays when the flow is over

    async def _stop(self) -> None:
        if self.venue is not None:
            with suppress(AttributeError):  # it did not come to listen
                await self.venue.stop()
        elif self._rest is not None:
            await asyncio.to_thread(self._rest.stop)

    def ready(self) -> dict[str, Any]:
        """What the command prints when the sandbox can be used."""
        flow = self.venue.ready() if self.venue is not None else {}
        account = self.sim.ledger.account
        return {
            "schema": 1,
            "terminal": self._address,
            "login": account.login,
            "server": account.server,
            "symbols": list(self.sim.market.specs),
            "clock": self.sim.market.clock.rule,
            "rest": self._rest.url,
            "ws": flow.get("ws", ""),
            "venue": flow.get("venue", ""),
            "layout": flow.get("layout", ""),
            "flow": flow.get("symbols", []),
            "from_ns": flow.get("from_ns", self.clock.from_ns),
            "end_ns": flow.get("end_ns", self.clock.end_ns),
            "speed": self.clock.speed,
        }

    def facts(self) -> dict[str, Any]:
        """What was asked, answered and done, of the terminal and of the venue."""
        flow = {} if self.venue is None else {"flow": self.venue.faults()}
        return {"schema": 1, **self.sim.facts(), **flow}


def _nothing(path: str, _query: Mapping[str, str]) -> Answer:
    from data.venue.rest_api import Answer

    return Answer(404, {"code": -1, "msg": f"there is no {path}"})
