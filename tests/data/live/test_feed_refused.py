"""What a venue refuses or cannot do for a while does not end what else it does."""

from __future__ import annotations

import json
import random

from data.enums import Kind
from data.live.endpoint import Endpoint
from data.live.feed import SocketFeed
from data.live.items import Ended
from data.live.streams import plan
from tests.data.live.scripted import ScriptedVenue, Talk
from tests.data.live.test_feed import STREAM, TRADES, ending, feed_of, frames, of, taken


def test_a_symbol_that_is_gone_does_not_take_the_others_along() -> None:
    """Bybit refuses a whole message for one topic that it does not know (any more)."""
    gone, there = "publicTrade.LUNAUSDT", "publicTrade.BTCUSDT"

    async def script(talk: Talk) -> None:
        while there not in talk.streams:
            request = json.loads(await talk.raw.recv())
            good = gone not in request["args"]
            about = {"success": good, "op": "subscribe", "req_id": request["req_id"]}
            await talk.raw.send(json.dumps(about | {"ret_msg": "" if good else "unknown topic"}))
            talk.streams += request["args"] if good else []
        await talk.raw.send(json.dumps({"topic": there, "data": 1}, separators=(",", ":")))
        await talk.raw.close(1000, "end of range")

    lanes = plan("bybit", ["LUNAUSDT", "BTCUSDT"], [Kind.TRADE])
    with ScriptedVenue([script]).up() as endpoint:
        feed = feed_of(endpoint, lanes)
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    assert feed.facts.routes == {there: 1}
    assert feed.facts.connects == 1
    assert len(frames(items)) == 1


def test_a_venue_at_another_of_its_addresses_is_waited_for(monkeypatch) -> None:
    """It tells no served time, so it is no stand-in that could be gone."""

    async def cut(talk: Talk) -> None:
        await talk.subscribed()
        await talk.send(STREAM, 1)

    class Late(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    monkeypatch.setattr("data.live.feed._PATIENCE_S", 0.3)
    venue = ScriptedVenue([cut, ending], statuses=[(0, {}), (503, {})])
    with venue.up() as endpoint:
        secret = Endpoint(endpoint.ws.replace("//", "//me:secret@"), endpoint.rest)
        feed = SocketFeed(TRADES, secret, chance=Late())
        feed.start()
        items = taken(feed, lambda got: bool(of(Ended, got)))
        feed.stop()
    assert len(frames(items)) == 4
    assert "secret" not in feed.facts.last_error
