"""The feed against venues on loopback that follow a script: connections, holes, replacements."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from data.enums import GapReason, Kind
from data.errors import NetworkError
from data.live.feed import SocketFeed
from data.live.items import Closed, Ended, Frame, Item, Opened, Overrun, Served
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


def sending(talk_no: int, count: int):
    """A script that sends ``count`` frames and hangs up without a goodbye."""

    async def script(talk: Talk) -> None:
        await talk.subscribed()
        await talk.send(STREAM, *range(talk_no, talk_no + count))
        talk.raw.transport.abort()

    return script


def test_a_lost_connection_is_a_hole_before_its_successor_speaks() -> None:
    with ScriptedVenue([sending(0, 3), sending(10, 2), ending]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    closed = of(Closed, items)
    assert [c.streams for c in closed] == [(STREAM,), (STREAM,), ()]
    assert closed[0].reason == GapReason.DISCONNECT
    assert "without a goodbye" in closed[0].why
    assert [o.lane for o in of(Opened, items)] == [1, 2, 3]
    for first, second in zip(closed, of(Opened, items)[1:], strict=False):
        assert items.index(first) < items.index(second)
    assert feed.facts.disconnects == 2
    assert [f.lane for f in frames(items)].count(3) == 3


class Market:
    """One market that all connections hear: each frame goes to everybody who is there."""

    def __init__(self) -> None:
        self.last = 0
        self.over = False
        self.talks: list[Talk] = []
        self.driving: asyncio.Task | None = None

    async def script(self, talk: Talk) -> None:
        await talk.subscribed()
        self.talks.append(talk)
        self.driving = self.driving or asyncio.create_task(self.drive())
        await talk.stay()
        self.talks.remove(talk)

    async def drive(self) -> None:
        while not self.over:
            self.last += 1
            for talk in list(self.talks):
                with suppress(ConnectionClosed):
                    await talk.send(STREAM, self.last)
            await asyncio.sleep(0.003)


async def announcing(talk: Talk) -> None:
    await talk.subscribed()
    await talk.send(STREAM, 1, 2)
    await talk.send("!serverShutdown", {"e": "serverShutdown", "E": 1})
    await talk.stay()


async def talking(talk: Talk) -> None:
    await talk.subscribed()
    for at in range(1000):
        await talk.send(STREAM, at)
        await asyncio.sleep(0.01)


def test_an_announced_shutdown_is_answered_by_a_replacement_at_once() -> None:
    with ScriptedVenue([announcing, talking]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: bool(of(Closed, got)))
        feed.stop()
    assert [(c.lane, c.streams, c.why) for c in of(Closed, items)] == [(1, (), "replaced")]
    assert feed.facts.rotations == 1
    assert not any(b"Shutdown" in f.data for f in frames(items))
    assert any(f.lane == 2 for f in frames(items))


def test_a_replacement_proves_itself_before_the_old_connection_goes() -> None:
    """Each frame arrives once, through several rotations, and nothing is said to be missing."""
    market = Market()
    with ScriptedVenue([market.script]).up() as endpoint:
        feed = feed_of(endpoint, rotate_after_ns=300_000_000)
        feed.start()
        items = taken(feed, lambda got: len(of(Closed, got)) >= 3)
        feed.stop()
        market.over = True
    assert [(c.lane, c.streams) for c in of(Closed, items)][:3] == [(1, ()), (2, ()), (3, ())]
    got = [int(f.data.rpartition(b":")[2].rstrip(b"}")) for f in frames(items)]
    assert got == list(range(1, max(got) + 1))
    assert feed.facts.routes[STREAM] > len(got)  # they did overlap
    assert feed.facts.rotations >= 3


def test_a_stream_that_is_of_no_use_gets_a_new_connection_when_asked() -> None:
    market = Market()
    with ScriptedVenue([market.script]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: len(frames(got)) > 3)
        feed.renew(["ethusdt@aggTrade"])
        feed.renew([STREAM])
        items += taken(feed, lambda got: bool(of(Closed, got)))
        feed.stop()
        market.over = True
    assert [(c.lane, c.streams, c.why) for c in of(Closed, items)][:1] == [(1, (), "replaced")]
    assert feed.facts.rotations == 1


async def silent(talk: Talk) -> None:
    await talk.subscribed()
    await talk.stay()


def test_a_route_that_acknowledges_and_stays_silent_is_left_and_said(monkeypatch) -> None:
    monkeypatch.setattr("data.live.lane.SILENT_LEAST_NS", 100_000_000)
    monkeypatch.setattr("data.live.lane.SILENT_NS", {Kind.TRADE: 300_000_000})
    with ScriptedVenue([silent, ending]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    first = of(Closed, items)[0]
    assert (first.reason, first.streams) == (GapReason.SILENCE, (STREAM,))
    assert "/stream acknowledged its streams and sends nothing" in first.why
    assert feed.facts.silent_routes == 1
    assert len(frames(items)) == 3


def test_a_kind_that_goes_silent_among_others_gets_a_new_connection_and_no_hole(
    monkeypatch,
) -> None:
    monkeypatch.setattr("data.live.lane.WATCH_NS", 0)
    monkeypatch.setattr("data.live.watch.SILENT_LEAST_NS", 100_000_000)
    spans = {Kind.TRADE: 10**12, Kind.BAR: 300_000_000}
    monkeypatch.setattr("data.live.watch.SILENT_NS", spans)
    lanes = plan("binance-spot", ["BTCUSDT"], [Kind.TRADE, Kind.BAR])
    seen: list[int] = []

    async def half(talk: Talk) -> None:
        await talk.subscribed(2)
        seen.append(0)
        while True:
            seen[0] += 1
            await talk.send(STREAM, seen[0])
            if talk.number:
                await talk.send("btcusdt@kline_1m", {})
            await asyncio.sleep(0.005)

    with ScriptedVenue([half]).up() as endpoint:
        feed = feed_of(endpoint, lanes)
        feed.start()
        items = taken(feed, lambda got: len(of(Closed, got)) == 1)
        items += taken(feed, lambda got: any(b"kline" in f.data for f in frames(got)))
        feed.stop()
    assert [(c.lane, c.streams, c.why) for c in of(Closed, items)] == [(1, (), "replaced")]
    assert feed.facts.silent_routes == 1
    assert "nothing of bar, though other streams speak" in feed.facts.last_error


def test_a_replacement_that_stays_silent_does_not_take_over(monkeypatch) -> None:
    monkeypatch.setattr("data.live.lane.OVERLAP_MOST_NS", 300_000_000)
    with ScriptedVenue([talking, silent, talking]).up() as endpoint:
        feed = feed_of(endpoint, rotate_after_ns=200_000_000)
        feed.start()
        items = taken(feed, lambda got: len(of(Closed, got)) == 2)
        feed.stop()
    assert [(c.lane, c.reason, c.streams) for c in of(Closed, items)] == [
        (2, GapReason.SILENCE, ()),
        (1, GapReason.DISCONNECT, ()),
    ]


def test_a_full_queue_drops_and_says_how_many_of_which_stream() -> None:
    async def flood(talk: Talk) -> None:
        await talk.subscribed()
        await talk.send(STREAM, *range(500))
        await talk.raw.recv()
        await talk.send(STREAM, *range(500, 510))
        await talk.raw.close(1000, "end of range")

    venue = ScriptedVenue([flood])
    with venue.up() as endpoint:
        feed = feed_of(endpoint, most_frames=100)
        feed.start()
        end = time.monotonic() + 10
        while feed.facts.routes.get(STREAM, 0) < 500:
            assert time.monotonic() < end
            time.sleep(0.01)
        items = feed.take(1000, 1.0)
        asyncio.run_coroutine_threadsafe(feed._lines()[0].socket.send("go on"), feed._loop).result(
            5
        )
        items += taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    lost = of(Overrun, items)
    assert sum(o.frames for o in lost) == feed.facts.dropped == 510 - len(frames(items)) > 0
    assert lost[0].streams == (STREAM,)
    at = items.index(lost[0])
    before = [f for f in items[:at] if isinstance(f, Frame)]
    assert [int(f.data.rpartition(b":")[2][:-1]) for f in before] == list(range(len(before)))


def clock_page(now: list[int], ended: list[bool]):
    def page(path: str, query: dict[str, str]) -> tuple[int, dict, object]:
        if path != "/ofs/clock":
            return 404, {}, {}
        body = {"schema": 1, "now_ns": now[0], "speed": 1000.0, "from_ns": 1, "end_ns": 9,
                "ended": ended[0]}  # fmt: skip
        return 200, {}, body

    return page


def test_a_served_venue_is_held_back_and_nothing_is_dropped() -> None:
    sent = []

    async def flood(talk: Talk) -> None:
        await talk.subscribed()
        for at in range(1000):
            await talk.send(STREAM, "x" * 50_000)
            sent.append(at)
        await talk.raw.close(1000, "end of range")

    now, ended = [5], [False]
    with ScriptedVenue([flood], pages=clock_page(now, ended)).up() as endpoint:
        feed = feed_of(endpoint, most_bytes=4 << 20)
        feed.start()
        end = time.monotonic() + 10
        while not any(line.held for line in feed._lines()):
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)
        assert 0 < len(sent) < 1000  # it waits for us, but for what the sockets hold
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    assert feed.facts.dropped == 0
    assert len(frames(items)) == 1000
    assert feed.facts.queued_bytes < 4 << 20


def test_a_served_clock_is_told_behind_everything_that_was_sent_by_then(monkeypatch) -> None:
    """Frames of before the answer stand before it, however late they are read."""
    monkeypatch.setattr("data.live.feed._ASK_S", 0.05)
    now, ended = [0], [False]

    async def counting(talk: Talk) -> None:
        await talk.subscribed()
        for at in range(1, 400):
            await talk.send(STREAM, at)
            now[0] = at
            await asyncio.sleep(0.002)
        await talk.raw.close(1000, "end of range")
        ended[0] = True

    with ScriptedVenue([counting], pages=clock_page(now, ended)).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    told = of(Served, items)
    assert len(told) > 5
    last = 0
    for item in items:
        if isinstance(item, Frame):
            last = int(item.data.rpartition(b":")[2][:-1])
        if isinstance(item, Served):
            assert last >= item.now_ns
    assert items[-2:] == [told[-1], items[-1]]
    assert told[-1].now_ns == 399


def test_what_is_no_answer_is_handed_on_as_it_came() -> None:
    odd = [
        '{"stream":"btcusdt@aggTrade","da',
        "",
        "[]",
        "nonsense",
        '{"stream":"other@x","data":1}',
    ]

    async def script(talk: Talk) -> None:
        await talk.subscribed()
        for text in odd:
            await talk.raw.send(text)
        await talk.raw.send('{"id":77,"result":null}')
        await talk.raw.close(1000, "end of range")

    with ScriptedVenue([script]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    assert [f.data.decode() for f in frames(items)] == odd
    assert feed.facts.routes == {STREAM: 1}


def test_a_refused_subscription_is_said_and_tried_again() -> None:
    async def refusing(talk: Talk) -> None:
        await talk.answer({"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 1})
        await talk.raw.close(1008, "policy")

    with ScriptedVenue([refusing, ending]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    assert "invalid stream" in of(Closed, items)[0].why
    assert of(Closed, items)[0].streams == (STREAM,)


@pytest.mark.parametrize("status", [429, 418])
def test_a_venue_that_asks_for_a_pause_gets_it(status: int) -> None:
    venue = ScriptedVenue([ending], statuses=[(status, {"Retry-After": "1"})])
    with venue.up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        began = time.monotonic()
        taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    assert time.monotonic() - began >= 1.0
    assert venue.handshakes == 2
    assert str(status) in feed.facts.last_error


def test_a_geoblock_is_the_end_and_take_says_so() -> None:
    with ScriptedVenue([ending], statuses=[(451, {})] * 9).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        with pytest.raises(NetworkError, match="451"):
            taken(feed, lambda got: False)
        feed.stop()


def test_stop_closes_and_leaves_no_hole() -> None:
    with ScriptedVenue([talking]).up() as endpoint:
        feed = feed_of(endpoint)
        feed.start()
        items = taken(feed, lambda got: len(frames(got)) > 3)
        feed.stop()
        feed.stop()
        items += feed.take(100_000, 0.0)
        assert feed.take(1, 0.0) == []
    assert [c.streams for c in of(Closed, items)] == [()]
    assert not feed._thread.is_alive()
