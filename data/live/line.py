"""One connection of a lane at work: subscribing, counting data, hearing the venue's words.

Owns :class:`Line`. What must hold: only data frames of streams that were asked for count as a
proof that they work, an acknowledgement proves nothing; what is no answer of the venue's is handed
on as it came, however odd it looks.

It refuses to know when a connection is given up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed

from data.live.connect import Socket
from data.live.items import Frame
from data.live.queue import ItemQueue
from data.live.streams import VENUES, Lane

ACK_S = 10.0
"""A subscription that is not answered within so many seconds has failed."""

SHUTDOWN = "serverShutdown"

STANDS = "already subscribed"
"""How Bybit refuses what was asked for before: it is there."""


class Unusable(Exception):  # noqa: N818  it says what it is
    """A connection stands and does not carry what it should; the text says why."""


class _Error(msgspec.Struct):
    msg: str = ""


class _Answer(msgspec.Struct):
    """What a venue says that is no event: answers to requests (Binance: result or error, in older
    words code and msg; Bybit: success and op) and announcements."""

    id: int | str | None = None
    result: Any = msgspec.UNSET
    error: _Error | None = None
    code: int | None = None
    msg: str = ""
    success: bool | None = None
    op: str = ""
    ret_msg: str = ""
    req_id: str = ""
    stream: str = ""
    e: str = ""


class Line:
    """A connection of ``lane``. ``counts`` are its data frames by stream. The last one came at
    ``last_ns`` (monotonic) and ``last_at`` (as :class:`data.live.pace.Pace` tells the time).
    ``refused`` are streams that the venue does not give; the others of the lane work.

    With ``hold_back`` it stops reading while the queue is crowded. ``tap`` may keep frames back.
    """

    def __init__(
        self, lane: Lane, number: int, queue: ItemQueue, now: Callable[[], int], hold_back: bool
    ) -> None:
        self.lane, self.number = lane, number
        self.venue = VENUES[lane.venue]
        self.counts: dict[bytes, int] = {name.encode(): 0 for name in lane.streams}
        self.frames = 0
        self.opened_ns = self.last_ns = time.monotonic_ns()
        self.opened_at = self.last_at = now()
        self.shutdown = False
        self.muted = False
        self.held = False
        self.unasked = 0
        self.refusals: list[str] = []
        self.refused: tuple[str, ...] = ()
        self._asked = 0
        self.tap: Callable[[list[Frame]], list[Frame]] | None = None
        self.socket: Socket
        self._queue, self._now, self._hold_back = queue, now, hold_back
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._answer = msgspec.json.Decoder(_Answer)

    def take(self, frames: list[Frame], size: int) -> None:
        """What the socket read; called in the loop's thread."""
        if self.muted:
            return
        head, counts = self.venue.head, self.counts
        skip = len(head)
        odd: list[Frame] = []
        for frame in frames:
            data = frame[2]
            if data.startswith(head):
                name = data[skip : data.find(b'"', skip)]
                if name in counts:
                    counts[name] += 1
                    continue
            odd.append(frame)
        if len(odd) < len(frames):
            self.frames += len(frames) - len(odd)
            self.last_ns, self.last_at = frames[-1].mono_ns, self._now()
        if odd:
            answers = {id(frame) for frame in odd if self._understood(frame.data)}
            self.unasked += len(odd) - len(answers)
            frames = [frame for frame in frames if id(frame) not in answers]
            size = sum([len(frame.data) for frame in frames])
        if self.tap is not None:
            frames = self.tap(frames)
            size = sum([len(frame.data) for frame in frames])
        self._put(frames, size)

    def release(self, frames: list[Frame]) -> None:
        """Hand on what a handover had kept."""
        self._put(frames, sum([len(frame.data) for frame in frames]))

    def name_of(self, frame: Frame) -> bytes:
        """The stream of a frame; empty where it is none of this connection's."""
        skip = len(self.venue.head)
        name = frame.data[skip : frame.data.find(b'"', skip)]
        return name if name in self.counts else b""

    def hold(self, yes: bool) -> None:
        """Stop reading, or go on: a served venue waits for a slow client."""
        self.held = yes
        self.socket.pause(yes)

    async def subscribe(self) -> None:
        """Ask for the streams in messages as large and as often as the venue takes them.

        Where a venue refuses a message and stays, its streams are asked for one by one: one that it
        does not list any more must not take the others along. Unusable where all are refused, or
        one is not answered.
        """
        streams, batch = self.lane.streams, self.venue.batch
        asked = [streams[at : at + batch] for at in range(0, len(streams), batch)]
        refused = await self._ask(asked)
        if not refused:
            return
        if len(streams) > 1 and not self.socket.lost.done():
            refused = await self._ask([[name] for names in refused for name in names])
            self.refused = tuple(name for names in refused for name in names)
            if len(self.refused) < len(streams):
                return
        raise Unusable(f"the subscription was refused: {self.refusals[0]}")

    async def _ask(self, batches: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Those of ``batches`` that were refused."""
        if not batches:
            return []
        answers = []
        for streams in batches:
            if self._asked:
                await asyncio.sleep(self.venue.message_s)
            self._asked += 1
            number = str(self._asked)
            answer = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            answers.append(answer)
            await self._send(self._request(number, streams))
        everything = asyncio.gather(*answers)
        await asyncio.wait(
            [everything, self.socket.lost], timeout=ACK_S, return_when=asyncio.FIRST_COMPLETED
        )
        answered = everything.done()
        everything.cancel()
        if answered:
            pairs = zip(batches, answers, strict=True)
            return [streams for streams, answer in pairs if answer.result()]
        if self.refusals:
            raise Unusable(f"the subscription was refused: {self.refusals[0]}")
        if self.socket.lost.done():
            raise Unusable(f"{self.socket.ending()} before the subscription was answered")
        raise Unusable(f"the subscription was not answered within {ACK_S:g} s")

    async def ping(self) -> None:
        """Send the venue's own kind of ping."""
        await self._send(self.venue.ping.decode())

    def add_counts(self, totals: dict[str, int]) -> None:
        """Add the data frames of each stream to ``totals``."""
        for name, count in self.counts.items():
            if count:
                key = name.decode()
                totals[key] = totals.get(key, 0) + count

    def _put(self, frames: list[Frame], size: int) -> None:
        if frames:
            self._queue.put_frames(frames, size, self._names(frames))
            if self._hold_back and self._queue.crowded and not self.held:
                self.hold(True)

    async def _send(self, text: str) -> None:
        try:
            await self.socket.send(text)
        except ConnectionClosed:
            raise Unusable(self.socket.ending()) from None

    def _request(self, number: str, streams: Sequence[str]) -> str:
        if self.venue.lower:
            asked = {"method": "SUBSCRIBE", "params": list(streams), "id": int(number)}
        else:
            asked = {"op": "subscribe", "args": list(streams), "req_id": number}
        return msgspec.json.encode(asked).decode()

    def _understood(self, data: bytes) -> bool:
        """True where it was an answer or an announcement, and nothing to hand on."""
        try:
            said = self._answer.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False  # damaged: whoever decodes frames counts it
        if SHUTDOWN in (said.e, said.stream.removeprefix("!")):
            self.shutdown = True
            return True
        refused = said.error is not None or said.code is not None or said.success is False
        about = said.error.msg if said.error is not None else said.msg or said.ret_msg
        why = (about or "without a reason") if refused and STANDS not in about else ""
        if why:
            self.refusals.append(why)
        answer = self._waiting.pop(str(said.id if said.id is not None else said.req_id), None)
        if answer is not None and not answer.done():
            answer.set_result(why)
        return refused or said.result is not msgspec.UNSET or bool(said.op)

    def _names(self, frames: Sequence[Frame]) -> Iterator[str]:
        """The streams of ``frames``; where one shows none, all of the connection."""
        for frame in frames:
            name = self.name_of(frame)
            if not name:
                yield from self.lane.streams
                return
            yield name.decode()
