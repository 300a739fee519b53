"""A terminal as a feed: what it hands over, what becomes of a link that is lost, and its bounds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from data.enums import GapReason, Kind
from data.errors import ConfigError, NetworkError
from data.events import Scales
from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.endpoint import Clock
from data.live.inlet import Inlet
from data.live.items import Closed, Ended, Frame, Item, Opened, Served
from engine.broker import mt5_feed
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_feed import Mt5Feed
from engine.broker.protocol import BrokerGoneError
from tests.engine.broker.ticking import NS, Ticking

EURUSD = Series("mt5", "EURUSD", Scales(5, 0))


def made(there: Ticking, connect: Callable[[], object] = lambda: None, **more) -> Mt5Feed:
    options = {"kinds": (Kind.QUOTE, Kind.BAR), "deadline_s": 0.5, "every_s": 0.002, **more}
    return Mt5Feed(there, connect, ServerClock("new-york"), ["EURUSD"], **options)


def until(feed: Mt5Feed, enough: Callable[[list[Item]], bool], most_s: float = 20.0) -> list[Item]:
    """Items until there are enough of them."""
    items: list[Item] = []
    end = time.monotonic() + most_s
    while not enough(items):
        assert time.monotonic() < end, (items, feed.facts)
        items += feed.take(100, 0.02)
    return items


def rows_of(items: list[Item], stream: str = "EURUSD@tick") -> list[list[float]]:
    frames = [json.loads(i.data) for i in items if isinstance(i, Frame)]
    return [row for f in frames if f["stream"] == stream for row in f["rows"]]


@pytest.fixture
def there() -> Ticking:
    """A terminal whose time is that of the machine, with a quote of now."""
    found = Ticking(start_ns=time.time_ns())
    found.ticks["EURUSD"] = [(found.now - NS, 1.08000, 1.08002)]
    return found


def quote(there: Ticking, bid: float) -> None:
    """A new quote, now."""
    there.now += 1_000_000
    there.ticks["EURUSD"].append((there.now, bid, bid + 2e-5))


def test_a_lost_link_is_a_gap_and_begins_where_the_market_is(there):
    feed = made(there)
    feed.start()
    try:
        items = until(feed, lambda i: len(rows_of(i)) == 1)
        assert isinstance(items[0], Opened)
        assert items[0].streams == ("EURUSD@tick", "EURUSD@bar")
        there.fail = {"*": there.hang()}
        lost = until(feed, lambda i: any(isinstance(x, Closed) for x in i))[-1]
        assert (lost.reason, lost.streams) == (GapReason.DISCONNECT, items[0].streams)
        assert "not answered" in lost.why and feed.facts.connections == 0
        quote(there, 1.07)
        quote(there, 1.06)
        there.fail = {}
        back = until(feed, lambda i: len(rows_of(i)) == 1)
        assert rows_of(back)[0][1] == 1.06  # what came between is history
        assert any(isinstance(x, Opened) for x in back)
        quote(there, 1.05)
        assert rows_of(until(feed, lambda i: len(rows_of(i)) == 1))[0][1] == 1.05
        assert (feed.facts.connects, feed.facts.disconnects) == (2, 1)
    finally:
        feed.stop()
    assert there.closed


def test_a_terminal_without_its_server_is_a_lost_link(there):
    feed = made(there)
    feed.start()
    try:
        until(feed, lambda i: len(rows_of(i)) == 1)
        there.connected = False
        until(feed, lambda i: any(isinstance(x, Closed) for x in i))
        assert "no link to its server" in feed.facts.last_error
        there.connected = True
        until(feed, lambda i: any(isinstance(x, Opened) for x in i))
    finally:
        feed.stop()


def test_a_quiet_market_is_no_silence(there, monkeypatch):
    monkeypatch.setattr(mt5_feed, "ALIVE_S", 0.05)
    feed = made(there)
    feed.start()
    try:
        items = until(feed, lambda i: sum(isinstance(x, Frame) for x in i) >= 4)
        frames = [json.loads(i.data) for i in items if isinstance(i, Frame)]
        assert [f["rows"] for f in frames[1:]] == [[]] * (len(frames) - 1)
        inlet = Inlet([EURUSD], SessionClock())
        group = inlet.take(items)
        assert group is not None and group.events == 1 and not inlet.open_gaps
    finally:
        feed.stop()


def test_while_nobody_takes_nothing_more_is_asked_for(there, monkeypatch):
    monkeypatch.setattr(mt5_feed, "QUEUE_BYTES", 400)
    feed = made(there)
    feed.start()
    try:
        deadline = time.monotonic() + 20
        for number in range(200):
            quote(there, 1 + number * 1e-5)
            time.sleep(0.003)
            assert time.monotonic() < deadline
        assert feed.facts.queued_bytes < 1_000
        items = until(feed, lambda i: len(rows_of(i)) == 201)
        assert [r[1] for r in rows_of(items)][1:] == [1 + n * 1e-5 for n in range(200)]
    finally:
        feed.stop()


def test_a_served_terminal_tells_its_time_and_its_end(there):
    at = [there.now, False]
    feed = made(there, tells=True, served=lambda: Clock(at[0], ended=at[1]))
    feed.start()
    items = until(feed, lambda i: any(isinstance(x, Served) for x in i))
    assert [x.now_ns for x in items if isinstance(x, Served)] == [there.now]
    frame = next(json.loads(i.data) for i in items if isinstance(i, Frame))
    assert frame["sent_ns"] == frame["rows"][0][0] * 1_000_000 - frame["offset_ns"]
    at[1] = True
    quote(there, 1.1)
    items += until(feed, lambda i: any(isinstance(x, Ended) for x in i))
    assert isinstance(items[-1], Ended) and len(rows_of(items)) == 2
    assert feed.facts.ended
    clock = SessionClock(served=True)
    inlet = Inlet([EURUSD], clock)
    group = inlet.take(items)
    assert inlet.ended and clock.now() == there.now // 1_000_000 * 1_000_000
    assert group is not None and group.parts[Kind.QUOTE].rows.n == 2
    feed.stop()


def test_a_stand_in_that_is_gone_ends_the_feed(there, monkeypatch):
    monkeypatch.setattr(mt5_feed, "SERVED_PATIENCE_S", 0.2)
    feed = made(there, served=lambda: Clock(there.now))
    feed.start()
    until(feed, lambda i: len(rows_of(i)) == 1)
    there.fail = {"*": BrokerGoneError("it is gone")}
    monkeypatch.setattr(feed, "_served", lambda: (_ for _ in ()).throw(NetworkError("gone")))
    with pytest.raises(NetworkError, match="has not answered for"):
        until(feed, lambda _i: False)
    feed.stop()


def test_what_no_retry_mends_ends_the_feed(there):
    def connect() -> None:
        raise ConfigError("there is no rule of that name")

    feed = made(there, connect)
    feed.start()
    with pytest.raises(ConfigError, match="no rule"):
        until(feed, lambda _i: False)
    feed.stop()


def test_quotes_from_beyond_a_played_session_wait_for_it(there):
    at = [there.now - NS]
    feed = made(there, until_ns=lambda: at[0])
    feed.start()
    try:
        until(feed, lambda i: len(rows_of(i)) == 1)
        began = time.monotonic()
        quote(there, 1.2)
        quote(there, 1.3)
        items = until(feed, lambda i: len(rows_of(i)) == 2)
        assert time.monotonic() - began >= 0.2  # nobody came up: they go on by themselves
        frames = [i for i in items if isinstance(i, Frame) and json.loads(i.data)["rows"]]
        assert len(frames) == 2  # one a row
        at[0] = there.now + NS
        quote(there, 1.4)
        until(feed, lambda i: len(rows_of(i)) == 1)
    finally:
        feed.stop()
