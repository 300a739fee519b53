"""Ranges, distances and levels, plainly: lists of candles and of zones."""

from __future__ import annotations

import itertools
from typing import Any

from tests.engine.kernel.oracle import Oracle

RING = 256


def whole_candles(candles: Any, frame: int, n: int) -> list[dict[str, int]]:
    """Views of the last ``n`` closed candles; none when there are fewer or a gap touches them.

    A gap since the last close marks the candle that is open.
    """
    closed = candles.closed[frame]
    if len(closed) < n or candles.open[frame].gap:
        return []
    views = [c.view() for c in closed[-n:]]
    return [] if any(v["flags"] for v in views) else views


class Atr(Oracle):
    """The mean true range, straight from the lists of candles."""

    length = 14

    def ranges(self, frame: int) -> list[int]:
        views = whole_candles(self.market.oracle("candles"), frame, self.length + 1)
        out = []
        for before, c in itertools.pairwise(views):
            above, below = c["high"] - before["close"], before["close"] - c["low"]
            out.append(max(c["high"] - c["low"], above, below))
        return out

    def check(self, s: Any) -> None:
        for f in range(3):
            ranges = self.ranges(f)
            assert int(s["ready"][f]) == bool(ranges), f
            assert int(s["range_sum"][f]) == sum(ranges), f
            assert float(s["value"][f]) == sum(ranges) / self.length
