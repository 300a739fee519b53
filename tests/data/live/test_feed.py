"""The feed against venues on loopback that follow a script: connections, holes, replacements."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from data.enums import Kind
from data.live.feed import SocketFeed
from data.live.items import Closed, Ended, Frame, Item, Opened
from data.live.streams import Lane, plan
from tests.data.live.scripted import ScriptedVenue, Talk

TRADES = plan("binance-spot", ["BTCUSDT"], [Kind.TRADE])
STREAM = "btcusdt@aggTrade"


def taken(
    feed: SocketFeed, until: Callable[[list[Item]], bool], most_s: float = 10.0
) -> list[Item]:
    """Items of a started feed until ``until`` holds; fails after ``most_s`` seconds."""
    items: list[Item] = []
    end = time.monotonic() + most_s
    while not until(items):
        assert time.monotonic() < end, f"not within {most_s} s: {items[-5:]} {feed.facts}"
        items += feed.take(1000, 0.05)
    return items


def frames(items: list[Item]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]


def of(kind: type, items: list[Item]) -> list:
    return [item for item in items if isinstance(item, kind)]


def feed_of(endpoint, lanes: list[Lane] = TRADES, **how) -> SocketFeed:
    return SocketFeed(lanes, endpoint, chance=random.Random(1), **how)


async def ending(talk: Talk) -> None:
    await talk.subscribed()
    await talk.send(STREAM, 1, 2, 3)
    await talk.raw.close(1000, "end of range")


def test_frames_come_in_order_between_opened_and_closed_and_the_range_ends() -> None:
    with ScriptedVenue([ending]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    assert [type(i) for i in items] == [Opened, Frame, Frame, Frame, Closed, Ended]
    assert [i.data[-2:-1] for i in frames(items)] == [b"1", b"2", b"3"]
    assert items[0].streams == (STREAM,)
    assert items[4].streams == ()  # the end is no hole
    assert feed.facts.routes == {STREAM: 3}
    assert (feed.facts.frames, feed.facts.connects, feed.facts.disconnects) == (3, 1, 0)
