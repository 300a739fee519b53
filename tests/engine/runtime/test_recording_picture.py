"""What a recording says of itself that only its pump knows."""

from __future__ import annotations

import time
from pathlib import Path

from data.enums import GapReason
from data.errors import NetworkError
from data.live.items import Closed, Ended
from engine.runtime.recording_picture import RecordingPicture
from engine.runtime.view import View
from tests.data.live.test_recorder import ListFeed, begin, finish, market


def test_a_hole_that_cannot_be_fetched_is_an_alarm_until_it_can(tmp_path: Path) -> None:
    items = market(30)
    items.append(Closed(40_000, 1, ("btcusdt@aggTrade",), GapReason.DISCONNECT, "cut"))
    away = True

    def fill() -> None:
        if away:
            raise NetworkError("the venue answered 418", why="it asks for a pause of 300 s")

    recorder = begin(tmp_path, ListFeed(items), fill=fill)
    picture = RecordingPicture(recorder, View("s", "record", "binance-um"))

    def told() -> tuple[str, ...]:
        """The alarms after one more checkpoint and what it fetches."""
        assert recorder.checkpoint()
        for _ in range(50):
            recorder.step(0.0)
            time.sleep(0.005)
        return picture.own_alarms()

    recorder.step()
    assert told() == (
        "what was missed cannot be fetched: the venue answered 418; "
        "why: it asks for a pause of 300 s",
    )
    away = False
    recorder.inlet.control_event(1, 0)
    recorder.admit(recorder.inlet.collect())
    assert told() == ()
    finish(recorder)


def test_a_range_that_is_over_says_how_to_end_unless_it_ends_by_itself(tmp_path: Path) -> None:
    recorder = begin(tmp_path, ListFeed([*market(30), Ended(10**9)]))
    first = View("s", "record", "binance-um", uptime_s=60.0)
    waits = RecordingPicture(recorder, first, at_end="end it with Ctrl-C", _began_s=-60.0)
    ends = RecordingPicture(recorder, first, _began_s=-60.0)
    recorder.feed.facts.last_error = "end of range"
    assert waits.view("running").alarms == ("no connection: end of range",)
    recorder.step()
    said = "the served range is over (end it with Ctrl-C, or start with --until-end)"
    assert waits.view("running").alarms == (said,)
    assert waits.view("running").healthy
    assert waits.view("stopped").alarms == ()
    assert ends.view("running").alarms == ()
    finish(recorder)
