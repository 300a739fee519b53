"""Real recordings through the door: what came over real sockets is read whole and without a hole.

The counts are those of the recordings' own page; recorders' clocks were more than a second off.
"""

from __future__ import annotations

import gzip
from itertools import islice

import pytest

from data.enums import Kind
from data.events import Scales
from data.live.blocks import Series
from data.live.items import Frame
from data.sources.lines import local_time_ns
from tests.data.live.frames import Door
from tests.shared import shared_data

FILES = {
    "binance-um": ("binance-um/btcusdt_20240808.gz", Scales(1, 3), 21_313, 66_089),
    "binance-spot": ("binance-spot/btcusdt_20240808.gz", Scales(2, 5), 9_757, 28_040),
}


@pytest.mark.parametrize("venue", FILES)
def test_a_real_recording_comes_through(venue: str) -> None:
    name, scales, trades, quotes = FILES[venue]
    path = shared_data(name)
    door: Door | None = None
    with gzip.open(path) as lines:
        while part := list(islice(lines, 500)):
            cut = [line.rstrip().split(b" ", 1) for line in part]
            times = [local_time_ns(head) for head, _ in cut]
            door = door or Door([Series(venue, "BTCUSDT", scales)], base_ns=times[0])
            base_ns = door.hands.base_ns
            frames = [
                Frame(1_000 + at - base_ns, 1, data)
                for at, (_, data) in zip(times, cut, strict=True)
            ]
            door.hands.now = max(door.hands.now, times[-1] - base_ns)
            door.keep(door.inlet.take(frames))
    assert door is not None
    facts = door.end().inlet.facts
    assert facts.admitted[Kind.TRADE] == trades
    assert facts.admitted[Kind.QUOTE] + facts.duplicates[Kind.QUOTE] == quotes
    assert facts.duplicates[Kind.QUOTE] < quotes / 1_000
    assert facts.rejects == {"frame": 1}  # the snapshot over REST, which no socket sends
    assert not facts.gaps and not facts.late and not facts.holds
    ids = door.rows("id")
    assert ids == list(range(ids[0], ids[0] + trades))
