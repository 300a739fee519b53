"""Sweeps, plainly: the list of minutes since the last gap, levels found anew at every minute."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Oracle, S
from tests.engine.kernel.oracle_divergence import Lasting, Minute, pivots_of

LIFE = 300 * S
AGE, BARS, HISTORY, LEAST, MOST, RECLAIM, BURST, PUSH, TURN = 10, 3, 60, 0.05, 0.6, 0.05, 2, 1, 1
PIVOT, SESSION, LAST, ROUND = 1, 2, 3, 4


@dataclass
class Way:
    """A sweep under way; prices times the side."""

    kind: int
    level: int
    first: int
    atr: float


class Sweep(Oracle):
    """Judges every closed minute on both sides from its lists."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.round = getattr(market, "sweep_round", 0)
        self.least = getattr(market, "sweep_flow", (BURST, PUSH, TURN))
        self.minutes: list[dict[str, int]] = []
        self.ways: dict[int, Way | None] = {1: None, -1: None}
        self.said = Lasting()
        self.told: tuple[float, ...] = (0, 0, 0, 0, 0)

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.forget()

    def forget(self) -> None:
        self.minutes, self.ways = [], {1: None, -1: None}
        self.said.silent()

    def boundary(self, now: int) -> None:
        self.said.age(now)

    def candle(self, frames: int) -> None:
        if frames < 2:
            return
        v = self.market.oracle("candles").closed[1][-1].view()
        if v["flags"]:
            self.forget()
            return
        self.minutes.append(v)
        if len(self.minutes) <= HISTORY:
            self.said.silent()
            return
        self.said.ready = 1
        ranges = self.market.oracle("atr").ranges(1)
        found = {side: self.judge(side, sum(ranges) / len(ranges)) for side in (1, -1)}
        best = max(found, key=lambda side: found[side][0])
        if found[1][0] != found[-1][0]:
            strength, *told = found[best]
            self.said.fire(-best, told[-1], strength, v["open_ns"] + 60 * S + LIFE)
            self.told = tuple(told[:-1])

    def top(self, n: int, side: int) -> int:
        return self.minutes[n]["high"] if side > 0 else -self.minutes[n]["low"]

    def day(self, n: int) -> int:
        return self.minutes[n]["open_ns"] // self.market.session_ns

    def levels(self, side: int, now: int) -> list[tuple[int, int]]:
        """(level, -kind) of every level that was not passed before minute ``now``."""
        bars = [Minute(m["open_ns"], m["high"], m["low"], m["close"], 0, 0, True)
                for m in self.minutes[: now + 1]]  # fmt: skip
        marks = [(n, PIVOT) for n in pivots_of(bars, 0 if side > 0 else 1)[-16:] if now - n <= 240]
        for kind, day in ((SESSION, self.day(now - 1)), (LAST, self.day_before(now - 1))):
            inside = [n for n in range(now) if self.day(n) == day]
            if inside:
                marks.append((max(inside, key=lambda n: (self.top(n, side), -n)), kind))
        out = []
        for n, kind in marks:
            level = self.top(n, side)
            if now - n >= AGE and all(self.top(k, side) <= level for k in range(n + 1, now)):
                out.append((level, -kind))
        return out

    def day_before(self, n: int) -> int | None:
        days = sorted({self.day(k) for k in range(n + 1)})
        return days[-2] if len(days) > 1 else None

    def rounds(self, side: int, now: int, ceiling: int) -> list[tuple[int, int]]:
        if not self.round:
            return []
        level = ceiling // self.round * self.round
        free = all(self.top(k, side) <= level for k in range(now - AGE, now))
        return [(level, -ROUND)] if free else []

    def judge(self, side: int, atr: float) -> tuple[float, ...]:
        now = len(self.minutes) - 1
        if self.ways[side] is None and atr > 0:
            self.begin(side, now, atr)
        way = self.ways[side]
        if way is None:
            return (0.0,)
        extreme = max(self.top(n, side) for n in range(way.first, now + 1))
        close = side * self.minutes[now]["close"]
        pen, back = (extreme - way.level) / way.atr, (way.level - close) / way.atr
        if pen > MOST or (back < RECLAIM and now - way.first + 1 >= BARS):
            self.ways[side] = None
        if pen > MOST or back < RECLAIM:
            return (0.0,)
        self.ways[side] = None
        flow = self.flow(side, way.first, now)
        if not flow or any(x < least for x, least in zip(flow, self.least, strict=True)):
            return (0.0,)
        burst = flow[0]
        strength = 1 / (1 + math.exp(0.5 - 0.25 * burst - back + pen))
        return (strength, way.kind, side * way.level, side * extreme, pen, back, burst)

    def begin(self, side: int, now: int, atr: float) -> None:
        ceiling = self.top(now, side) - math.ceil(LEAST * atr - 1e-9)
        known = [x for x in self.levels(side, now) if x[0] <= ceiling]
        known += self.rounds(side, now, ceiling)
        if known:
            level, kind = max(known)
            if side * self.minutes[now - 1]["close"] <= level:
                self.ways[side] = Way(-kind, level, now, atr)

    def flow(self, side: int, first: int, now: int) -> tuple[float, ...]:
        """(z of the greatest volume, highest running delta, greatest fall of it), in usual ones."""
        past = self.minutes[first - HISTORY : first]
        volumes = [m["volume"] for m in past]
        sd = statistics.pstdev(volumes)
        usual = math.sqrt(sum((m["buy"] - m["sell"]) ** 2 for m in past) / HISTORY)
        if not usual:
            return ()
        most = max(m["volume"] for m in self.minutes[first : now + 1])
        burst = (most - statistics.fmean(volumes)) / sd if sd else 0.0
        running = peak = turn = 0
        for m in self.minutes[first : now + 1]:
            peak = max(peak, running + (m["delta_max"] if side > 0 else -m["delta_min"]))
            running += side * (m["buy"] - m["sell"])
            turn = max(turn, peak - running)
        return max(burst, 0.0), peak / usual, turn / usual

    def check(self, s: Any) -> None:
        g, said = s["signal"], self.said
        have = [int(g[n]) for n in ("ready", "direction", "fired", "until_ns")]
        assert have == [said.ready, said.direction, said.fired, said.until]
        for name, want in (("value_fp9", said.value), ("strength_fp9", said.strength)):
            assert math.isclose(int(g[name]), want * 1e9, rel_tol=1e-8, abs_tol=20), name
        names = ("kind", "level", "extreme", "penetration_fp9", "reclaim_fp9")
        for n, (name, want) in enumerate(zip(names, self.told, strict=True)):
            assert math.isclose(int(s[name]), want * (1 if n < 3 else 1e9), abs_tol=2), name
