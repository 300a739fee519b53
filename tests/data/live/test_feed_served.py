"""The feed against the stand-in venue: a session that rotates all the time misses and doubles
nothing, and what the venue breaks is said."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

import data.live.feed as module
from data.errors import NetworkError
from data.events import Kind, Scales
from data.live.endpoint import Endpoint
from data.live.feed import SocketFeed
from data.live.items import Closed, Ended, Frame, Item, Served
from data.live.streams import plan
from data.log import LogStore
from data.venue.serve import Options, running
from data.venue.tape import LogTape
from tests.data.make_log import T, depth, trades

COUNT = 8_000
STEP_NS = 100_000_000
MINUTES_NS = 60_000_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> LogStore:
    """A quarter of an hour of trades and books, ten of each a second."""
    store = LogStore(tmp_path_factory.mktemp("log"), create=True)
    books = depth(T, COUNT)
    books["ts_ns"] = T + 50_000_000 + np.arange(COUNT, dtype=np.int64) * STEP_NS
    with store.transaction() as change:
        rows = trades(T, COUNT, step_ns=STEP_NS)
        change.merge(Kind.TRADE, "binance-um", "BTCUSDT", rows, Scales(1, 3))
        change.merge(Kind.DEPTH, "binance-um", "BTCUSDT", books, Scales(1, 3))
    return store


def heard(told: dict, **how: int) -> tuple[list[Item], SocketFeed]:
    endpoint = Endpoint(told["ws"], told["rest"])
    lanes = plan("binance-um", ["BTCUSDT"], [Kind.TRADE, Kind.DEPTH])
    feed = SocketFeed(lanes, endpoint, chance=random.Random(2), **how)
    feed.start()
    items: list[Item] = []
    end = time.monotonic() + 60
    while not (items and isinstance(items[-1], Ended)):
        assert time.monotonic() < end, feed.facts
        items += feed.take(10_000, 0.1)
    feed.stop()
    return items, feed


def test_rotating_all_the_time_gives_each_frame_once_and_in_order(
    log: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ASK_S", 0.1)
    with running(LogTape(log), Options("futures", speed=300.0, grace_s=0.1)) as (_, told):
        items, feed = heard(told, rotate_after_ns=2 * MINUTES_NS)
    frames = [item.data for item in items if isinstance(item, Frame)]
    ids = [int(f.partition(b'"a":')[2].partition(b",")[0]) for f in frames if b"@aggTrade" in f]
    updates = [int(f.partition(b'"u":')[2].partition(b",")[0]) for f in frames if b"@depth" in f]
    assert ids == list(range(1, COUNT + 1))
    assert updates == list(range(1000, COUNT + 1000))
    assert feed.facts.rotations >= 2
    assert feed.facts.ended and not feed.facts.connections
    assert not any(c.streams for c in items if isinstance(c, Closed))
    told_ns = [item.now_ns for item in items if isinstance(item, Served)]
    assert told_ns == sorted(told_ns) and told_ns[-1] >= T + (COUNT - 1) * STEP_NS


def test_a_served_venue_that_is_gone_is_told_in_the_end(
    log: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.5)
    with running(LogTape(log), Options("futures", speed=1.0, grace_s=0.1)) as (_, told):
        endpoint = Endpoint(told["ws"], told["rest"])
        feed = SocketFeed(plan("binance-um", ["BTCUSDT"], [Kind.TRADE]), endpoint)
        feed.start()
        while not any(isinstance(item, Frame) for item in feed.take(100, 5.0)):
            pass
    with pytest.raises(NetworkError, match="no connection"):
        for _ in range(200):
            feed.take(1000, 0.1)
    feed.stop()
