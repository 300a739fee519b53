"""Between two connections: one is lost before the next one speaks, one says goodbye."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from types import SimpleNamespace

import pytest

from data.enums import GapReason, Kind
from data.live.endpoint import Endpoint
from data.live.feed import SocketFeed
from data.live.items import Closed, Opened
from data.live.line import Unusable
from data.live.streams import plan
from tests.data.live.scripted import ScriptedVenue, Talk
from tests.data.live.test_feed import STREAM, announcing, feed_of, frames, of, taken


def test_what_is_lost_while_a_replacement_is_on_its_way_is_a_hole() -> None:
    talks: list[Talk] = []

    async def old(talk: Talk) -> None:
        talks.append(talk)
        await announcing(talk)

    async def late(talk: Talk) -> None:
        request = json.loads(await talk.raw.recv())
        talks[0].raw.transport.abort()
        await asyncio.sleep(0.3)  # nobody hears the market now
        await talk.send(STREAM, 50)
        await talk.raw.send(json.dumps({"result": None, "id": request["id"]}))
        for at in range(51, 1000):
            await talk.send(STREAM, at)
            await asyncio.sleep(0.01)

    with ScriptedVenue([old, late]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: any(b":50}" in f.data for f in frames(got)))
        feed.stop()
    closed = of(Closed, items)
    assert [(c.lane, c.streams, c.reason) for c in closed] == [(1, (STREAM,), GapReason.DISCONNECT)]
    spoke = next(i for i in frames(items) if b":50}" in i.data)
    told = [i for i in items if isinstance(i, Opened) and STREAM in i.streams]
    # the hole is told before what follows it, and the stream is listened to again
    assert items.index(closed[0]) < items.index(told[-1]) < items.index(spoke)
    assert told[-1].lane == 2


class Parting:
    """A connection whose goodbye is under way: nothing can be sent on it any more."""

    def __init__(self) -> None:
        self.socket = SimpleNamespace(lost=SimpleNamespace(done=lambda: False))
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        raise Unusable("closed with 1001")


def test_a_ping_into_a_closing_connection_does_not_end_the_feed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data.live.feed._VENUE_PING_S", 0.01)
    lines = [Parting(), Parting()]
    feed = SocketFeed(plan("bybit", ["BTCUSDT"], [Kind.TRADE]), Endpoint.real("bybit"))
    feed._keepers = [SimpleNamespace(lines=lines)]

    async def ping() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(feed._ping(), 0.2)

    asyncio.run(ping())
    assert min(line.pings for line in lines) > 1
