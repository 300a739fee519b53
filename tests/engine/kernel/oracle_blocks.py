"""Order blocks, plainly: lists of candles and of blocks, each rule from its sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import S, Trade
from tests.engine.kernel.oracle_divergence import Minutes, pivots_of

REACH, MOVED, LIFE = 5, 1.5, 7200 * S


@dataclass
class Block:
    """A block as the kernel's table has it."""

    low: int
    high: int
    side: int
    frame: int
    born: int
    delta: int
    moved: float


class OrderBlock(Minutes):
    """Judges every closed candle on both sides from the lists of candles."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.least = getattr(market, "block_moved", MOVED)
        self.live: list[Block] = []
        self.counts = dict.fromkeys(("added", "mitigated", "expired", "displaced"), 0)
        self.price = 0
        self.said = {"ready": 0, "direction": 0, "fired": 0}
        self.sides = [0, 0, 0, 0]
        self.moved = 0.0

    def trade(self, t: Trade) -> None:
        self.price = t[1]

    def gap(self, stream: int, start: int, end: int) -> None:
        super().gap(stream, start, end)
        if stream == Kind.TRADE:
            self.live, self.sides = [], [0, 0, 0, 0]
            self.said |= {"ready": 0, "direction": 0}

    def keep(self, left: list[Block], what: str) -> None:
        self.counts[what] += len(self.live) - len(left)
        self.live = left

    def through(self, low: int, high: int) -> None:
        stays = [b for b in self.live if (low >= b.low if b.side > 0 else high <= b.high)]
        self.keep(stays, "mitigated")

    def candle(self, frames: int) -> None:
        super().candle(frames)
        candles = self.market.oracle("candles")
        small = candles.closed[0][-1].view()
        if small["trades"]:
            self.through(small["low"], small["high"])
        for side in (1, -1):
            for frame in range(1, frames):
                self.find(side, frame, small["open_ns"] + 15 * S)

    def find(self, side: int, frame: int, now: int) -> None:
        closed = self.market.oracle("candles").closed[frame][-(REACH + 1) :]
        ranges = self.market.oracle("atr").ranges(frame)
        since = self.minutes[self.first :]
        pivots = pivots_of(since, 0 if side > 0 else 1)
        if len(closed) < 2 or not sum(ranges) or not pivots:
            return
        views = [c.view() for c in closed]
        level = since[pivots[-1]].high if side > 0 else since[pivots[-1]].low
        last = views[-1]
        if not side * last["close"] > side * level >= side * views[-2]["close"]:
            return
        against = [n for n, v in enumerate(views[:-1]) if side * (v["close"] - v["open"]) < 0]
        if not against or any(v["flags"] for v in views[against[-1] :]):
            return
        block, after = views[against[-1]], views[against[-1] + 1 :]
        moved = side * (last["close"] - block["close"]) / (sum(ranges) / len(ranges))
        if round(moved * 1e9) < round(self.least * 1e9):
            return
        delta = sum(v["buy"] - v["sell"] for v in after)
        self.live.append(Block(block["low"], block["high"], side, frame, now, delta, moved))
        self.counts["added"] += 1
        if len(self.live) > 16:
            self.keep(self.live[1:], "displaced")

    def boundary(self, now: int) -> None:
        self.keep([b for b in self.live if now < b.born + LIFE], "expired")
        self.sides = [0, 0, 0, 0]
        candles = self.market.oracle("candles")
        if not candles.open or not self.market.oracle("atr").ranges(1):
            self.said |= {"ready": 0, "direction": 0}
            return
        v = candles.open[0].view()
        if v["trades"]:
            self.through(v["low"], v["high"])
        inside = [b for b in self.live if b.low <= self.price <= b.high]
        trend, zones = self.market.oracle("cvd_trend").signal, self.market.oracle("absorption")
        direction = 0
        if inside:
            direction = self.validate(inside[-1], trend, zones)
            if not trend.ready or not zones.said.ready:
                self.said |= {"ready": 0, "direction": 0}
                return
        self.said["fired"] += direction not in (0, self.said["direction"])
        self.said |= {"ready": 1, "direction": direction}

    def validate(self, b: Block, trend: Any, absorption: Any) -> int:
        against = [
            z for z in absorption.zones.live
            if z.side == -b.side and z.low <= b.high and b.low <= z.high
        ]  # fmt: skip
        holds = [b.side * b.delta > 0, trend.direction == b.side, not against]
        self.sides = [b.side, *(b.side * h for h in holds)]
        self.moved = b.moved
        return b.side if all(holds) else 0

    def check(self, s: Any) -> None:
        assert {k: int(s[k]) for k in self.counts} == self.counts
        fields = ("low", "high", "side", "frame", "born_ns", "delta")
        have = [tuple(int(x[f]) for f in fields) for x in s["blocks"][: int(s["n"])]]
        assert have == [(b.low, b.high, b.side, b.frame, b.born, b.delta) for b in self.live]
        for k, b in enumerate(self.live):
            assert math.isclose(int(s["blocks"][k]["moved_fp9"]), b.moved * 1e9, abs_tol=4)
        g = s["signal"]
        assert {k: int(g[k]) for k in self.said} == self.said
        names = ("side", "delta_side", "cvd_side", "zones_side")
        assert [int(s[n]) for n in names] == self.sides
        if self.said["direction"]:
            want = self.moved / (self.moved + self.least)
            assert math.isclose(int(g["strength_fp9"]), want * 1e9, abs_tol=4)
