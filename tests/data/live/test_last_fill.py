"""At the end of a session: what the venue does not give in time is said."""

from __future__ import annotations

import threading
from pathlib import Path

from data.enums import GapReason
from tests.data.live.test_recorder import ListFeed, begin, finish, market


def test_a_last_fill_that_takes_too_long_is_told(tmp_path: Path) -> None:
    asked = threading.Event()
    feed = ListFeed(market(90), cut=lambda: 5)
    recorder = begin(tmp_path, feed, fill=lambda: asked.wait(20))
    recorder.step(0)
    recorder.last_fill(0.01)
    assert recorder.fill_error == "", "there is no gap, so nothing is asked for"
    recorder.inlet.break_streams(GapReason.DISK)
    while not recorder.tally.gaps and feed.taken < len(feed.items):
        recorder.step(0)
    recorder.last_fill(0.01)
    assert "took longer than 0.01 s" in recorder.fill_error
    asked.set()
    recorder.last_fill(20)
    assert recorder.fill_error == ""
    finish(recorder)
