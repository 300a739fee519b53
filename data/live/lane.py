"""A lane's connections, one after the other and never none for longer than it takes.

Owns :class:`LaneKeeper`: connecting with back-off, finding out that a connection is dead or
silent, and replacing one before the venue cuts it. What must hold: a replacement has shown data of
every stream that still speaks on the old connection before that one is closed; whatever ends a
connection, ``Closed`` names exactly the streams that nobody carries from there on.

It refuses to know frames and threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from data.enums import GapReason
from data.events import EVENTS
from data.live.connect import Refused, open_socket
from data.live.handover import Handover
from data.live.items import Closed, Frame, Opened
from data.live.line import Line, Unusable
from data.live.pace import Pace
from data.live.queue import ItemQueue
from data.live.streams import SILENT_NS, Lane
from data.live.watch import SILENT_LEAST_NS, KindWatch, patience_ns
from data.sources.http import shown

Tap = Callable[[list[Frame]], list[Frame]]

END_OF_RANGE = "end of range"
"""With this a served venue closes when it has sent everything."""

LOOK_S = 0.05
OVERLAP_NS = 200_000_000
OVERLAP_MOST_NS = 30_000_000_000
"""Of monotonic time: an overlap takes at least, at most."""

INEXACT_NS = 2_000_000_000
"""A venue whose connections differ in their bytes is believed by counts after so long."""

JOIN_NS = 500_000_000
"""Longest wait for the new connection to come to where the old one ended."""

WATCH_NS = 1_000_000_000
"""Monotonic time between two looks at which kinds are silent."""


class LaneKeeper:
    """Keeps one lane connected until :meth:`run` is cancelled or a served range is over.

    ``rotate_after_ns`` is of the venue's time. ``finished`` is true when the range is over;
    ``joining`` is true while frames of a replacement are kept that no other connection gave.
    """

    def __init__(
        self, lane: Lane, pace: Pace, queue: ItemQueue, numbers: Iterator[int], rotate_after_ns: int
    ) -> None:
        self.lane, self.finished, self.joining = lane, False, False
        self._watch, self._watch_ns, self._doubted = KindWatch(lane), 0, False
        self.lines: list[Line] = []
        self.counts: dict[str, int] = {}
        self._pace, self._queue, self._numbers = pace, queue, numbers
        self._rotate_after_ns = rotate_after_ns
        self._backoff = pace.backoff()
        self._rotation = pace.backoff()
        self._wait_s = 0.0
        self._rotate_not_before_ns = 0
        self._silences = 0
        self._goodbyes: set[asyncio.Task[None]] = set()

    def doubt(self) -> None:
        """A stream of the lane is of no use: replace its connection as soon as that may be."""
        self._doubted = True

    async def run(self) -> None:
        """Until the end; NetworkError where no waiting helps."""
        line: Line | None = None
        try:
            while not self.finished:
                line = line or await self._connected()
                if line is not None:
                    line = await self._kept(line)
        finally:
            for left in list(self.lines):
                self._retire(left, (), "stopped")
            await asyncio.gather(*self._goodbyes, return_exceptions=True)

    async def _connected(self) -> Line | None:
        while not self.finished:
            await self._patience()
            line = await self._opened()
            if line is not None:
                return line
            self._wait_s = self._backoff.next_s()
        return None

    async def _patience(self) -> None:
        """Wait until an attempt is allowed."""
        await asyncio.sleep(self._wait_s)
        while wait_s := self._pace.attempts.wait_s(time.monotonic()):
            await asyncio.sleep(min(wait_s, 1.0))

    async def _opened(self, tap: Tap | None = None) -> Line | None:
        """A connection that acknowledged all streams; None where it did not come to that."""
        number = next(self._numbers)
        line = Line(self.lane, number, self._queue, self._pace.now, self._pace.served)
        line.tap = tap
        url = self._pace.endpoint.ws + self.lane.path
        try:
            line.socket = await open_socket(
                url, line.number, line.take, keepalive=not self._pace.served
            )
            self.lines.append(line)
            self._queue.put(Opened(time.monotonic_ns(), line.number, self.lane.streams))
            self._pace.facts.connects += 1
            await line.subscribe()
        except Refused as refusal:
            self._pace.refused(refusal)
        except OSError as error:
            self._pace.say(f"{shown(url)}: {error}")
        except Unusable as error:
            self._pace.say(f"{shown(url)}: {error}")
            self._lost(line, str(error))
        else:
            if line.refused:
                self._pace.say(f"{', '.join(line.refused[:5])} refused: {line.refusals[-1]}")
            line.opened_ns = line.last_ns = time.monotonic_ns()
            line.opened_at = line.last_at = self._pace.now()
            return line
        return None

    async def _kept(self, line: Line) -> Line | None:
        """Watch a connection until it is gone (None) or another stands for it."""
        while True:
            await asyncio.wait([line.socket.lost], timeout=LOOK_S)
            if line.socket.lost.done():
                self._wait_s = self._backoff.next_s()
                self._lost(line, line.socket.ending())
                return None
            now_ns = time.monotonic_ns()
            if line.frames and now_ns - line.opened_ns > self._pace.healthy_ns:
                self._backoff.reset()
                self._silences = 0
            if self._silent(line, now_ns):
                self._silences += 1
                self._wait_s = self._backoff.next_s()
                why = f"{self.lane.path} acknowledged its streams and sends nothing"
                self._pace.say(why)
                self._pace.facts.silent_routes += 1
                self._retire(line, self._uncarried(line), why, GapReason.SILENCE)
                return None
            if self._due(line, now_ns):
                successor = await self._replaced(line)
                if successor is not None:
                    return successor

    def _due(self, line: Line, now_ns: int) -> bool:
        self._doubted |= self._doubtful(line, now_ns)
        old = self._pace.ahead() - line.opened_at >= self._rotate_after_ns
        wanted = old or line.shutdown or self._doubted
        return wanted and now_ns >= self._rotate_not_before_ns

    def _doubtful(self, line: Line, now_ns: int) -> bool:
        """Whether a kind went silent while others speak: a new connection may carry it."""
        if line.held or now_ns - self._watch_ns < WATCH_NS:
            return False
        self._watch_ns = now_ns
        kinds = self._watch.silent(line.counts, self._pace.now(), now_ns)
        if not kinds:
            return False
        names = ", ".join(EVENTS[kind].name for kind in kinds)
        self._pace.say(f"{self.lane.path}: nothing of {names}, though other streams speak")
        self._pace.facts.silent_routes += 1
        return True

    def _silent(self, line: Line, now_ns: int) -> bool:
        spans = [SILENT_NS[kind] for kind in self.lane.kinds if kind in SILENT_NS]
        if not spans or line.held or now_ns - line.last_ns < SILENT_LEAST_NS:
            return False
        return self._pace.now() - line.last_at >= patience_ns(min(spans), self._silences)

    async def _replaced(self, old: Line) -> Line | None:
        """A connection that has taken over from ``old``; None where none did (yet)."""
        self._doubted = False
        new = None
        handover = Handover(old.name_of)
        old.tap = handover.old
        if not self._pace.attempts.wait_s(time.monotonic()):
            new = await self._opened(handover.new)
        if new is not None and await self._overlapped(old, new, handover):
            self._rotation.reset()
            self._pace.facts.rotations += 1
            # An old connection that was lost meanwhile leaves a hole where the new one did not
            # begin within what the old one gave: it may have been silent for all of its opening.
            torn = old.socket.lost.done() and END_OF_RANGE not in old.socket.ending()
            streams = self.lane.streams if torn else ()
            hole = tuple(name for name in streams if not handover.met([name.encode()]))
            self._retire(old, hole, "replaced", GapReason.DISCONNECT)
            self.joining = True
            try:
                await self._joined(new, handover)
            finally:
                self.joining = False
            return new
        old.tap = None
        self._rotate_not_before_ns = time.monotonic_ns() + int(self._rotation.next_s() * 1e9)
        return None

    async def _overlapped(self, old: Line, new: Line, handover: Handover) -> bool:
        """Wait until ``new`` carries what ``old`` carries; False where it turns out not to."""
        before = dict(old.counts)
        began_ns = time.monotonic_ns()
        while not (new.socket.lost.done() or old.socket.lost.done()):
            passed_ns = time.monotonic_ns() - began_ns
            speaking = [n for n, count in old.counts.items() if count >= before[n] + 2]
            counted = all(new.counts[name] for name in speaking)
            proven = counted and (handover.met(speaking) or passed_ns >= INEXACT_NS)
            if passed_ns >= OVERLAP_NS and proven and (new.frames or not self._must_speak):
                return True
            if passed_ns >= OVERLAP_MOST_NS:
                if counted:
                    return True  # neither says anything
                self._pace.say(f"{self.lane.path}: a replacement sends nothing")
                self._pace.facts.silent_routes += 1
                self._retire(new, (), "sends nothing", GapReason.SILENCE)
                return False
            await asyncio.wait(
                [new.socket.lost, old.socket.lost],
                timeout=LOOK_S / 2,
                return_when=asyncio.FIRST_COMPLETED,
            )
        if new.socket.lost.done():
            self._lost(new, new.socket.ending())
            return False
        return True

    async def _joined(self, new: Line, handover: Handover) -> None:
        """Wait until ``new`` has come to where the old connection ended, but not for long."""
        new.release(handover.close())
        began_ns = time.monotonic_ns()
        while handover.keeping and not new.socket.lost.done():
            if time.monotonic_ns() - began_ns > JOIN_NS and not new.held:
                break
            await asyncio.wait([new.socket.lost], timeout=LOOK_S / 5)
        new.release(handover.flush())
        new.tap = None

    @property
    def _must_speak(self) -> bool:
        return any(kind in SILENT_NS for kind in self.lane.kinds)

    def _uncarried(self, line: Line) -> tuple[str, ...]:
        """Streams of ``line`` that no other connection of the lane has shown."""
        others = [other for other in self.lines if other is not line]
        return tuple(
            name
            for name in line.lane.streams
            if not any(other.counts[name.encode()] for other in others)
        )

    def _lost(self, line: Line, why: str) -> None:
        """The venue or the network ended a connection."""
        over = END_OF_RANGE in why
        self.finished |= over
        if not over:
            self._pace.facts.disconnects += 1
            self._pace.say(f"{self.lane.path}: {why}")
        self._retire(line, () if over else self._uncarried(line), why)

    def _retire(
        self,
        line: Line,
        hole: tuple[str, ...],
        why: str,
        reason: GapReason = GapReason.DISCONNECT,
    ) -> None:
        """Be done with a connection: nothing of it counts from here on."""
        if line not in self.lines:
            return
        self.lines.remove(line)
        line.muted = True
        line.add_counts(self.counts)
        self._pace.facts.pings += line.socket.pings
        self._queue.put(Closed(time.monotonic_ns(), line.number, hole, reason, why))
        if hole and self.lines:  # another one listens to them: from here on they may be silent
            self._queue.put(Opened(time.monotonic_ns(), self.lines[-1].number, hole))
        goodbye = asyncio.ensure_future(line.socket.close())
        self._goodbyes.add(goodbye)
        goodbye.add_done_callback(self._goodbyes.discard)
