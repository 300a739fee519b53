"""Pivots, impact and divergences as lists of minutes: the slow, obvious reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Oracle


@dataclass
class Minute:
    """A closed minute as it stood when it closed."""

    start: int
    high: int
    low: int
    close: int
    delta: int
    clean: bool


class Minutes(Oracle):
    """Keeps every closed minute; ``first`` is the first that is after the last gap."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.minutes: list[Minute] = []
        self.first = 0

    def candle(self, frames: int) -> None:
        if frames < 2:
            return
        v = self.market.oracle("candles").closed[1][-1].view()
        clean = not v["flags"]
        self.minutes.append(
            Minute(v["open_ns"], v["high"], v["low"], v["close"], v["buy"] - v["sell"], clean)
        )
        if not clean:
            self.forget()
        self.minute()

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.forget()

    def forget(self) -> None:
        self.first = len(self.minutes)

    def minute(self) -> None: ...


def stands_out(heights: list[int], at: int, bars: int) -> bool:
    """Above all ``bars`` before, and not below any of the ``bars`` after."""
    if at < bars or at + bars >= len(heights):
        return False
    before, after = heights[at - bars : at], heights[at + 1 : at + 1 + bars]
    return heights[at] > max(before) and heights[at] >= max(after)


def pivots_of(minutes: list[Minute], kind: int, bars: int = 3, apart: int = 5) -> list[int]:
    """Numbers of the pivots of ``kind`` (0 high, 1 low) among the minutes."""
    heights = [-m.low if kind else m.high for m in minutes]
    found: list[int] = []
    for at in range(len(heights)):
        if not stands_out(heights, at, bars):
            continue
        if found and at - found[-1] < apart:
            if heights[at] <= heights[found[-1]]:
                continue
            found.pop()
        found.append(at)
    return found


class Pivots(Minutes):
    """Pivots found anew from the whole list of minutes since the last gap."""

    def check(self, s: Any) -> None:
        assert int(s["run"]) == len(self.minutes) - self.first
        if self.minutes:
            assert int(s["bars"]) == len(self.minutes)
        since = self.minutes[self.first :]
        for kind in range(2):
            found = pivots_of(since, kind)
            assert int(s["count"][kind]) == len(found)
            fresh = bool(found) and found[-1] + 4 == len(since)
            assert bool(s["fresh"][kind]) == fresh
            for n in range(max(0, len(found) - 16), len(found)):
                self.same(s["ring"][kind * 16 + n % 16], self.first + found[n], kind)

    def same(self, have: Any, at: int, kind: int) -> None:
        m = self.minutes[at]
        cvd = sum(x.delta for x in self.minutes[: at + 1])
        price = m.low if kind else m.high
        want = {"bar": at, "open_ns": m.start, "price": price, "close": m.close, "cvd": cvd}
        assert {name: int(have[name]) for name in want} == want
