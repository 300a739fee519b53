"""Ranges, distances and levels, plainly: lists of candles and of zones."""

from __future__ import annotations

import itertools
import math
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Oracle, S, Trade

MINUTE = 60 * S


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


def efficiency(candles: Any, n: int) -> float | None:
    """Kaufman's ratio of the last ``n`` one-minute changes; None where it is unknown."""
    views = whole_candles(candles, 1, n + 1)
    if not views:
        return None
    closes = [v["close"] for v in views]
    way = sum(abs(b - a) for a, b in itertools.pairwise(closes))
    return abs(closes[-1] - closes[0]) / way if way else 0.0


class VwapDeviation(Oracle):
    """Exact sums of the session; the lean from its definition."""

    warmup, bars, trend, follow = 15 * MINUTE, 30, 0.5, False

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.weight = self.product = self.square = 0
        self.first = self.hole = self.price = 0
        self.want: tuple[int, float, float] | None = None
        self.ratio: float | None = None

    def session(self) -> None:
        self.weight = self.product = self.square = 0

    def trade(self, t: Trade) -> None:
        ts, price, qty, _ = t
        self.first = self.first or ts
        self.price = price
        self.weight += qty
        self.product += qty * price
        self.square += qty * price * price

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.hole = max(self.hole, end)

    def boundary(self, now: int) -> None:
        since = max(self.market.end - self.market.session_ns, self.first)
        self.ratio = efficiency(self.market.oracle("candles"), self.bars)
        self.want = None
        seen = self.first and self.weight and now - since >= self.warmup and self.hole <= since
        if not seen or self.ratio is None:
            return
        away = self.price * self.weight - self.product
        spread = self.square * self.weight - self.product**2
        z = away / math.sqrt(spread) if spread else 0.0
        self.want = (*self.lean(z, self.ratio), z)

    def lean(self, z: float, ratio: float) -> tuple[int, float]:
        size = min(max((abs(z) - 1) / 2, 0.0), 1.0)
        sign = 0 if size == 0 else (-1 if z > 0 else 1)
        if round(ratio * 1e9) > self.trend * 1e9:
            sign = -sign if self.follow else 0
        return sign, size if sign else 0.0

    def check(self, s: Any) -> None:
        g = s["signal"]
        if self.market.boundaries:
            have = int(s["efficiency_fp9"])
            assert abs(have - (-1 if self.ratio is None else round(self.ratio * 1e9))) <= 1
        assert int(g["ready"]) == (self.want is not None)
        if self.want is None:
            assert int(g["direction"]) == int(g["strength_fp9"]) == 0
            return
        direction, strength, z = self.want
        assert math.isclose(int(g["value_fp9"]), z * 1e9, rel_tol=1e-8, abs_tol=2.0)
        assert int(g["direction"]) == direction or abs(abs(z) - 1) < 1e-8
        assert math.isclose(int(g["strength_fp9"]), strength * 1e9, rel_tol=1e-7, abs_tol=20.0)
