"""The detectors of the book and of the market's condition, plainly: lists, ints and Fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Oracle, S, Trade

HISTORY = 256


def near(have: Any, want: float, slack: int = 3) -> None:
    """A number kept at 1e-9 is ``want`` up to the last bits of its floats."""
    assert abs(int(have) - round(want * 1e9)) <= slack + abs(want) * 0.01, (int(have), want)


def remembered(values: list[float], length: int) -> float:
    """Mean of the values, each weighing 1 / min(its number, length) when it came."""
    mean = 0.0
    for n, x in enumerate(values, 1):
        mean += (x - mean) / min(n, length)
    return mean


def mid_rank(past: list[Any], x: Any) -> float:
    """Share of the last 256 values below x, and half of those equal to it."""
    past = past[-HISTORY:]
    if not past:
        return 0.5
    return (sum(v < x for v in past) + sum(v == x for v in past) / 2) / len(past)


class Pressure(Oracle):
    """Flow of a whole step in depths, in its usual sizes; the book on the same side."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.flows: list[float] = []
        self.before = self.dirty = 0
        self.want: tuple[int, int, float, float] = (0, 0, 0.0, 0.0)

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.DEPTH:
            self.dirty = 1

    def boundary(self, now: int) -> None:
        book = self.market.oracle("book")
        stale = book.want["stale"]
        whole = not (self.dirty or stale) and now - self.before == self.market.step
        self.before, self.dirty = now, stale
        self.want = (0, 0, 0.0, 0.0)
        if not whole:
            return
        flow = self.flow(book)
        usual = math.sqrt(remembered([x * x for x in self.flows], 240))
        z = flow / usual if usual else 0.0
        self.flows.append(flow)
        if len(self.flows) > 60:
            log = book.want["imbalance10_fp9"] / 1e9
            side = 1 if z >= 2 and log >= 0.1 else -1 if z <= -2 and log <= -0.1 else 0
            self.want = (1, side, z, flow)
        else:
            self.want = (0, 0, z, flow)

    def flow(self, book: Any) -> float:
        up = down = Fraction(0)
        for m in range(10):
            weight = Fraction(4, 5) ** m
            up += weight * book.want["mlofi"][m]
            for side in ("bid_qty", "ask_qty"):
                down += weight * sum(book.last[side][m : m + 1]) / 2
        return float(up / down)

    def check(self, s: Any) -> None:
        ready, side, z, flow = self.want
        g = s["signal"]
        assert (int(g["ready"]), int(g["direction"])) == (ready, side)
        near(s["z_fp9"], z)
        assert math.isclose(float(s["flow"]), flow, rel_tol=1e-12, abs_tol=1e-12)
        near(g["value_fp9"], z if ready else 0.0)
        near(g["strength_fp9"], 1 - math.erfc(abs(z) / math.sqrt(2)) if side else 0.0)


class Toxicity(Oracle):
    """A list of buckets, each a list of (quantity, flag); a list of 1 m changes."""

    buckets, warm, minutes = 50, 12, 240

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.open: list[tuple[int, int]] = []
        self.size = self.count = 0
        self.whole: list[tuple[int, int, int]] = []
        self.past: list[int] = []
        self.rank = 0.5
        self.toxic = self.ready = 0
        self.fives: list[float] = []
        self.pairs: list[tuple[int, int]] = []

    @property
    def fixed(self) -> int:
        return getattr(self.market, "bucket", 0)

    def begin(self) -> None:
        self.open = []
        self.size = self.fixed
        if not self.size and len(self.fives) >= self.warm:
            self.size = max(1, int(remembered(self.fives, 288) * 288 / 50))

    def trade(self, t: Trade) -> None:
        if not self.size:
            self.begin()
        if not self.size:
            return
        rest = t[2]
        while rest:
            room = self.size - sum(q for q, _ in self.open)
            if not self.open and rest > 1000 * self.size:
                skip = rest // self.size - 1000  # a thousand alike say what a million say
                self.count += skip
                rest -= skip * self.size
            part = min(rest, room)
            self.open.append((part, self.market.flag))
            rest -= part
            if part == room:
                self.close()

    def close(self) -> None:
        buy, sell = (sum(q for q, f in self.open if f == d) for d in (1, -1))
        self.whole = [*self.whole, (abs(buy - sell), self.size, buy + sell)][-self.buckets :]
        self.count += 1
        if len(self.whole) == self.buckets and self.flagged():
            vpin = Fraction(sum(b[0] for b in self.whole), sum(b[1] for b in self.whole))
            self.rank = mid_rank(self.past, round(vpin * 10**9))
            self.past = [*self.past[-HISTORY:], round(vpin * 10**9)]
        self.begin()

    def flagged(self) -> bool:
        total = sum(b[1] for b in self.whole)
        return (total - sum(b[2] for b in self.whole)) * 20 <= total

    def candle(self, frames: int) -> None:
        candles = self.market.oracle("candles")
        if frames >= 2 and len(candles.closed[1]) >= 2:
            a, b = (c.view() for c in candles.closed[1][-2:])
            if not (a["flags"] or b["flags"]) and b["trades"]:
                self.pairs.append((b["buy"] - b["sell"], b["close"] - a["close"]))
        if frames == 3:
            five = candles.closed[2][-1].view()
            if not five["flags"] and five["trades"]:
                self.fives.append(float(five["volume"]))

    def boundary(self, now: int) -> None:
        full = len(self.whole) == self.buckets and self.flagged()
        self.ready = int(full and len(self.past) > self.warm)
        bound = 0.8 if self.toxic else 0.9
        self.toxic = int(self.ready and self.rank >= bound - 1e-12)

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.whole, self.open, self.size = [], [], 0
            self.toxic = self.ready = 0

    def check(self, s: Any) -> None:
        assert int(s["buckets"]) == self.count
        assert int(s["filled"]) == sum(q for q, _ in self.open)
        assert int(s["net"]) == sum(q * f for q, f in self.open)
        assert int(s["size"]) == self.size
        assert int(s["signal"]["direction"]) == 0
        assert (int(s["signal"]["ready"]), int(s["toxic"])) == (self.ready, self.toxic)
        if self.past:
            assert abs(int(s["vpin_fp9"]) - self.past[-1]) <= 1
            near(s["rank_fp9"], self.rank, 1)
        self.check_kyle(s)

    def check_kyle(self, s: Any) -> None:
        xx, xy = (
            remembered([float(p[a] * p[b]) for p in self.pairs], self.minutes)
            for a, b in ((0, 0), (0, 1))
        )
        slope = xy / xx if xx else 0.0
        assert math.isclose(float(s["kyle"]), slope, rel_tol=1e-9, abs_tol=1e-12)
        near(s["impact_fp9"], slope * math.sqrt(xx))
        assert int(s["kyle_ready"]) == (len(self.pairs) >= self.minutes // 4)


class Level:
    """One level: a list of what it was, so that its age is counted and not kept."""

    def __init__(self) -> None:
        self.level, self.age, self.value, self.ready = 0, 0, 0.0, 0

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]

    def step(self, value: float, enter: float, leave: float, centre: float) -> None:
        self.value, self.ready = value, 1
        self.age += 1
        if self.age < 5:
            return
        from_centre = abs(value - centre)
        side = 1 if value > centre else -1
        level = self.level
        if from_centre >= enter - centre - 1e-12:
            level = side
        elif side != self.level or from_centre < leave - centre - 1e-12:
            level = 0
        if level != self.level:
            self.level, self.age = level, 0

    def same(self, s: Any) -> None:
        have = [int(s[n]) for n in ("level", "age", "ready")]
        assert have == [self.level, self.age, self.ready]
        near(s["value_fp9"], self.value, 1)


class Regime(Oracle):
    """Lists of what each minute said, ranked in the list of the minutes before."""

    NAMES = ("volatility", "trend", "volume", "book")

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.levels = {n: Level() for n in self.NAMES}
        self.past: dict[str, list[tuple[int, Any]]] = {n: [] for n in self.NAMES}
        self.samples: list[int | None] = []

    def ranked(self, name: str, at: int, x: Any) -> None:
        past = self.past[name]
        if len(past) >= 60:
            self.levels[name].step(mid_rank([v for _, v in past], x), 0.9, 0.8, 0.5)
        else:
            self.levels[name].reset()
        self.past[name] = [*past[-HISTORY + 1 :], (at, x)]

    def views(self, n: int) -> list[dict[str, int]]:
        closed = self.market.oracle("candles").closed[1]
        views = [c.view() for c in closed[-n:]] if len(closed) >= n else []
        return [] if any(v["flags"] for v in views) else views

    def candle(self, frames: int) -> None:
        if frames < 2:
            return
        at = self.market.oracle("candles").closed[1][-1].start + 60 * S
        views = self.views(16)
        if views:
            moves = [b["close"] - a["close"] for a, b in itertools.pairwise(views)]
            self.ranked("volatility", at, sum(m * m for m in moves))
            path = sum(map(abs, moves))
            self.levels["trend"].step(sum(moves) / path if path else 0.0, 0.5, 0.3, 0.0)
        else:
            self.levels["volatility"].reset()
            self.levels["trend"].reset()
        views = self.views(6)
        if views:
            self.ranked("volume", at, sum(v["volume"] for v in views[1:]))
        else:
            self.levels["volume"].reset()
        fresh = [x for x in self.samples if x is not None]
        if 2 * len(fresh) <= len(self.samples):
            self.levels["book"].step(1.0, 0.9, 0.8, 0.5)
        else:
            self.ranked("book", at, Fraction(sum(fresh), len(fresh)))
        self.samples = []

    def boundary(self, now: int) -> None:
        book = self.market.oracle("book")
        if book.want["stale"]:
            self.samples.append(None)
        else:
            self.samples.append(book.last["ask_price"][0] - book.last["bid_price"][0])

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream != Kind.TRADE:
            return
        for name in ("volatility", "trend", "volume"):
            self.levels[name].reset()
            while self.past[name] and self.past[name][-1][0] > start:
                self.past[name].pop()

    def check(self, s: Any) -> None:
        for name, level in self.levels.items():
            level.same(s[name])
        trend, g = self.levels["trend"], s["signal"]
        assert (int(g["ready"]), int(g["direction"])) == (trend.ready, trend.level)


MARKET: dict[str, type[Oracle]] = {"pressure": Pressure, "toxicity": Toxicity, "regime": Regime}
"""Oracles of this file by handler."""
