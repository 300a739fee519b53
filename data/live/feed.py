"""The feed of a venue: its sockets in a thread of their own, and one bounded queue out of it.

Owns :class:`SocketFeed`. What must hold: whatever goes wrong in the thread reaches ``take``; a
served venue's time is handed on behind everything that it had sent by then (it is asked, then every
connection is pinged: the answers come behind the frames that were on their way); a real venue is
never held back, what finds no room becomes an ``Overrun``, while a served one waits.

It refuses to know what is in a frame and who takes them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from data.errors import NetworkError
from data.live.endpoint import Clock, Endpoint
from data.live.items import Ended, FeedFacts, Item, Served
from data.live.lane import LaneKeeper
from data.live.line import Line, Unusable
from data.live.pace import Pace
from data.live.queue import ItemQueue
from data.live.streams import Lane, venue_named
from data.sources.http import Http, shown

ROTATE_AFTER_NS = 23 * 3_600_000_000_000
"""Age at which a connection is replaced; venues cut it at 24 h."""

MOST_FRAMES = 200_000
MOST_BYTES = 256 << 20

_ASK_S = 1.0
_PONG_S = 5.0
_LOOK_S = 0.25
_JOIN_LOOK_S = 0.01
_PATIENCE_S = 30.0
"""A stand-in that is not there for so long (s) is gone; a real venue is waited for."""

_LAST_WORDS_S = 3.0
_STOP_S = 10.0
_VENUE_PING_S = 20.0
_SWITCH_S = 0.0005
"""How long (s) a thread keeps the interpreter from the sockets."""


class SocketFeed:
    """Items of ``lanes`` (all of one venue) from ``endpoint``; see :class:`data.live.items.Feed`.

    ``rotate_after_ns`` is of the venue's time (served or real). ``chance`` makes waits uneven.
    ``take`` raises NetworkError once nothing more can come: a geoblock, or a served venue that is
    gone.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        endpoint: Endpoint,
        *,
        rotate_after_ns: int = ROTATE_AFTER_NS,
        most_frames: int = MOST_FRAMES,
        most_bytes: int = MOST_BYTES,
        chance: random.Random | None = None,
    ) -> None:
        assert lanes
        assert len({lane.venue for lane in lanes}) == 1
        self.facts = FeedFacts()
        self._lanes, self._endpoint = list(lanes), endpoint
        self._rotate_after_ns = rotate_after_ns
        venue = venue_named(lanes[0].venue)
        self._pace = Pace(venue, endpoint, chance or random.Random(), self.facts)
        self._real = endpoint.ws == venue.ws
        self._queue = ItemQueue(most_frames, most_bytes, self._on_room)
        self._keepers: list[LaneKeeper] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._up = threading.Event()
        self._http = Http(connect_s=5.0, read_s=10.0, whole_s=20.0)
        self._heard_ns = time.monotonic_ns()
        self._switch_s = sys.getswitchinterval()

    def start(self) -> None:
        """Begin; returns at once."""
        assert self._thread is None, "a feed is started once"
        # Whoever takes the frames works in Python, too. With the usual 5 ms a frame waited up to
        # 200 ms (p99) at 20,000 a second before it was even stamped; with this, 7 ms.
        sys.setswitchinterval(min(_SWITCH_S, self._switch_s))
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def take(self, most: int, wait_s: float) -> list[Item]:
        """Up to ``most`` items; waits up to ``wait_s`` seconds for the first one.

        NetworkError where nothing more can come, after the last item was taken.
        """
        taken = self._queue.take(most, wait_s)
        self.facts.queued, self.facts.queued_bytes = self._queue.frames, self._queue.bytes
        return taken

    def renew(self, streams: Sequence[str]) -> None:
        """See :class:`data.live.items.Feed`; a new connection takes over from the old one."""
        names = frozenset(streams)
        for keeper in self._keepers:
            if names.intersection(keeper.lane.streams):
                self._call(keeper.doubt)

    def stop(self) -> None:
        """Close every connection and wait for the thread; what is queued can still be taken."""
        thread = self._thread
        if thread is None:
            return
        if thread.is_alive():
            self._up.wait(_STOP_S)
            self._call(lambda: self._stopping.set() if self._stopping else None)
            thread.join(_STOP_S)
        sys.setswitchinterval(self._switch_s)

    def _call(self, what: object) -> None:
        """Let the loop do something, if it is still there."""
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(what)  # type: ignore[arg-type]
            except RuntimeError:
                return  # it was closed in between: there is nothing left to do it to

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        # reason: whatever ends the thread, take() must raise it: a feed that is silently dead
        # would look like a quiet market
        except Exception as error:  # noqa: BLE001  reason: see above, take() raises it
            self.facts.last_error = str(error)
            self._queue.fail(error)
        finally:
            self._up.set()
            self._http.close()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._up.set()
        stopping = asyncio.ensure_future(self._stopping.wait())
        work = asyncio.ensure_future(self._work())
        try:
            await asyncio.wait([stopping, work], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, stopping):
                task.cancel()
            await asyncio.gather(work, stopping, return_exceptions=True)
            self._count()

    async def _work(self) -> None:
        """Until a served range is over."""
        if not self._real:
            await self._first_clock()
        numbers = itertools.count(1)
        self._keepers = [
            LaneKeeper(lane, self._pace, self._queue, numbers, self._rotate_after_ns)
            for lane in self._lanes
        ]
        lanes = [asyncio.ensure_future(keeper.run()) for keeper in self._keepers]
        others = [asyncio.ensure_future(self._look())]
        if self._pace.served:
            others.append(asyncio.ensure_future(self._ask()))
        if self._pace.venue.ping:
            others.append(asyncio.ensure_future(self._ping()))
        try:
            await self._until_done(lanes, others)
            self.facts.ended = True
            await self._last_clock()
            self._count()
            self._queue.put(Ended(time.monotonic_ns()))
        finally:
            for task in (*lanes, *others):
                task.cancel()
            await asyncio.gather(*lanes, *others, return_exceptions=True)

    async def _until_done(
        self, lanes: Sequence[asyncio.Future[None]], others: Sequence[asyncio.Future[None]]
    ) -> None:
        """Until every lane is finished, or the clock says that the range is over and the lanes had
        time to hear the goodbye. What ends one of the tasks ends all."""
        ended_ns = 0
        while not all(lane.done() for lane in lanes):
            pending = [task for task in (*lanes, *others) if not task.done()]
            await asyncio.wait(pending, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            for task in (*lanes, *others):
                if task.done():
                    task.result()
            clock = self._pace.clock
            if clock is not None and clock.ended:
                ended_ns = ended_ns or time.monotonic_ns()
                if time.monotonic_ns() - ended_ns > _LAST_WORDS_S * 1e9:
                    return
        for lane in lanes:
            lane.result()

    async def _first_clock(self) -> None:
        """Whether a stand-in tells the time; it may still be on its way up."""
        while True:
            try:
                clock = await asyncio.to_thread(self._endpoint.clock, self._http)
            except NetworkError as error:
                self._pace.say(str(error))
                self._give_up_late(error)
                await asyncio.sleep(_LOOK_S)
                continue
            self._heard_ns = time.monotonic_ns()
            if clock is None:
                self._real = True  # a venue at another of its addresses: it is waited for
            self._hear(clock)
            return

    async def _last_clock(self) -> None:
        if self._pace.served:
            try:
                self._hear(await asyncio.to_thread(self._endpoint.clock, self._http))
            except NetworkError as error:
                self._pace.say(str(error))  # it has gone already; its end was heard

    async def _ask(self) -> None:
        """Hand on the time of a served venue, each second."""
        while True:
            await asyncio.sleep(_ASK_S)
            try:
                clock = await asyncio.to_thread(self._endpoint.clock, self._http)
            except NetworkError as error:
                self._pace.say(str(error))
                if not any(line.frames for line in self._lines()):
                    self._give_up_late(error)
                continue
            self._heard_ns = time.monotonic_ns()
            await self._swept()
            self._hear(clock)

    def _hear(self, clock: Clock | None) -> None:
        if clock is not None:
            self._pace.told(clock)
            self._queue.put(Served(time.monotonic_ns(), clock.now_ns))

    async def _swept(self) -> None:
        """Until everything that was on its way has been read: pongs come behind it."""
        pongs = []
        for line in self._lines():
            try:
                pongs.append(asyncio.ensure_future(await line.socket.ping()))
            except ConnectionClosed:
                continue  # nothing more comes from there
        waited_s = 0.0
        waiting = {pong for pong in pongs if not pong.done()}
        while waiting and (waited_s < _PONG_S or any(line.held for line in self._lines())):
            _, left = await asyncio.wait(waiting, timeout=_LOOK_S)
            waiting = set(left)
            waited_s += _LOOK_S
        while any(keeper.joining for keeper in self._keepers):
            await asyncio.sleep(_JOIN_LOOK_S)
        for pong in waiting:
            pong.cancel()
        # One of a connection that was lost ends with its error, which its keeper knows.
        await asyncio.gather(*pongs, return_exceptions=True)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_VENUE_PING_S)
            for line in self._lines():
                if not line.socket.lost.done():
                    with suppress(Unusable):  # its goodbye is under way: its keeper hears of it
                        await line.ping()

    async def _look(self) -> None:
        """Count, and find out that a stand-in is gone."""
        while True:
            self._count()
            if self.facts.connections or self._real:
                self._heard_ns = time.monotonic_ns()
            elif not all(keeper.finished for keeper in self._keepers):
                self._give_up_late(None)
            await asyncio.sleep(_LOOK_S)

    def _give_up_late(self, error: NetworkError | None) -> None:
        """NetworkError where an endpoint that somebody named has been away for long."""
        if time.monotonic_ns() - self._heard_ns > _PATIENCE_S * 1e9:
            raise error or NetworkError(
                f"no connection to {shown(self._endpoint.ws)} for {_PATIENCE_S:g} s",
                where="--endpoint",
                why=self.facts.last_error,
                do="start it again; the session goes on where it stands",
            )

    def _lines(self) -> list[Line]:
        return [line for keeper in self._keepers for line in keeper.lines]

    def _on_room(self) -> None:
        """The queue is half empty again (called in the taking thread)."""

        def go_on() -> None:
            for line in self._lines():
                if line.held:
                    line.hold(False)

        self._call(go_on)

    def _count(self) -> None:
        facts, lines = self.facts, self._lines()
        facts.connections = len(lines)
        facts.frames, facts.bytes = self._queue.put_count, self._queue.put_size
        facts.dropped = self._queue.dropped
        routes: dict[str, int] = {}
        for keeper in self._keepers:
            for name, count in keeper.counts.items():
                routes[name] = routes.get(name, 0) + count
        for line in lines:
            line.add_counts(routes)
        facts.routes = routes
