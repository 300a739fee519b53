"""Absorption, plainly: lists of minutes, of 15 s candles and of zones."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Event, S, Trade
from tests.engine.kernel.oracle_divergence import Lasting, Minutes, move, pivots_of, surprise

LIFE, ZONE_LIFE = 300 * S, 3600 * S
BARS, FLOW_Z, SHORTFALL, LEAST, MOST = 3, 2.0, 1.6, -0.5, 0.35
SLOTS = 32
MOST_KEPT = 9e9


@dataclass
class Zone:
    """As the kernel's table has it; strength at 1e-9 is compared loosely."""

    low: int
    high: int
    side: int
    born: int
    until: int
    strength: float
    unsure: bool = False


class Zones:
    """A list of live zones, oldest first."""

    def __init__(self) -> None:
        self.live: list[Zone] = []
        self.added = self.touched = self.expired = self.displaced = self.cleared = 0

    def renew(self, new: Zone) -> None:
        for z in self.live:
            if z.side == new.side and new.low <= z.high and z.low <= new.high:
                z.low, z.high, z.until = new.low, new.high, new.until
                z.strength, z.unsure = new.strength, new.unsure
                return
        self.added += 1
        self.live.append(new)
        if len(self.live) > SLOTS:
            self.live.pop(0)
            self.displaced += 1

    def through(self, low: int, high: int) -> None:
        left = [z for z in self.live if (low >= z.low if z.side > 0 else high <= z.high)]
        self.touched += len(self.live) - len(left)
        self.live = left

    def expire(self, now: int) -> None:
        left = [z for z in self.live if now < z.until]
        self.expired += len(self.live) - len(left)
        self.live = left

    def clear(self) -> None:
        self.cleared += len(self.live)
        self.live = []

    def check(self, z: Any) -> None:
        names = ("added", "touched", "expired", "displaced", "cleared")
        assert [int(z[n]) for n in names] == [getattr(self, n) for n in names]
        assert int(z["n"]) == len(self.live)
        for k, want in enumerate(self.live):
            have = z["items"][k]
            fields = ("low", "high", "side", "born_ns", "until_ns")
            assert tuple(int(have[f]) for f in fields) == astuple(want)[:-2]
            near = math.isclose(int(have["strength_fp9"]), want.strength * 1e9, abs_tol=1000)
            assert near or want.unsure


class Absorption(Minutes):
    """Standard at minutes, seed at boundaries; ``market.absorption`` names the mode."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.mode = getattr(market, "absorption", "standard")
        self.volume = getattr(market, "absorption_volume", 100_000_000)
        self.said, self.zones = Lasting(), Zones()
        self.numbers: tuple[float, ...] = (0.0, 0.0, 0.0)
        self.book: Event | None = None
        self.trades: list[Trade] = []

    def trade(self, t: Trade) -> None:
        self.trades.append(t)

    def depth(self, e: Event) -> None:
        if e["bid_price"] and e["ask_price"] and e["bid_price"][0] >= e["ask_price"][0]:
            return
        self.book = e

    def candle(self, frames: int) -> None:
        last = self.market.oracle("candles").closed[0][-1].view()
        if last["trades"]:
            self.zones.through(last["low"], last["high"])
        super().candle(frames)

    def gap(self, stream: int, start: int, end: int) -> None:
        super().gap(stream, start, end)
        if stream == Kind.TRADE and self.mode == "standard":
            self.said.silent()
            self.zones.clear()
            self.numbers = (0.0, 0.0, 0.0)

    def minute(self) -> None:
        if self.mode != "standard":
            return
        self.numbers = (0.0, 0.0, 0.0)
        impact = self.market.oracle("impact")
        if len(self.minutes) - self.first <= BARS or not impact.ready(BARS):
            self.said.silent()
            return
        self.said.ready = 1
        last = len(self.minutes) - 1
        change, flow, trades = move(self.minutes, last - BARS, last)
        sigma_r, sigma_d, rho = impact.sigmas(BARS, trades)
        rho = min(max(rho, -1.0), 1.0)
        if rho <= 0 or 1 - rho * rho < 1e-6 or flow == 0:
            return
        sign = 1 if flow > 0 else -1
        usual = rho * sigma_r / sigma_d * flow
        shortfall = sign * (usual - change) / (sigma_r * math.sqrt(1 - rho * rho))
        numbers = (shortfall, sign * change / abs(usual), flow / sigma_d)
        self.numbers = tuple(min(max(x, -MOST_KEPT), MOST_KEPT) for x in numbers)
        if self.is_event(*self.numbers):
            self.event(-sign, *self.numbers[:2])

    @staticmethod
    def is_event(shortfall: float, ratio: float, z: float) -> bool:
        return abs(z) >= FLOW_Z and shortfall >= SHORTFALL and LEAST <= ratio <= MOST

    def event(self, side: int, shortfall: float, ratio: float) -> None:
        window = self.minutes[-BARS:]
        low, high = min(m.low for m in window), max(m.high for m in window)
        now = window[-1].start + 60 * S
        strength = surprise(shortfall) * (1 - max(ratio, 0.0))
        self.said.fire(side, shortfall, strength, now + LIFE)
        self.zones.renew(
            Zone(low, high, side, now, now + ZONE_LIFE, strength, shortfall >= MOST_KEPT)
        )

    def boundary(self, now: int) -> None:
        self.zones.expire(now)
        candles = self.market.oracle("candles")
        if not candles.open:
            return
        v = candles.open[0].view()
        if v["trades"]:
            self.zones.through(v["low"], v["high"])
        if self.mode == "standard":
            self.said.age(now)
        else:
            self.look(now)

    def look(self, now: int) -> None:
        """One look of the seed, from the list of trades and the last book."""
        self.said.ready, self.said.direction = 1, 0
        self.said.value = self.said.strength = 0.0
        inside = [t for t in self.trades if (now - 60 * S) // S <= t[0] // S < now // S]
        volume = sum(t[2] for t in inside if t[3])
        net = sum(t[2] * t[3] for t in inside)
        bids, asks = (sum(self.book[k][:5]) if self.book else 0 for k in ("bid_qty", "ask_qty"))
        if not bids or not asks or volume < self.volume:
            return
        ratio = bids / asks
        stall = self.stalled()
        scores = (min(1, volume / (2 * self.volume)), min(1, abs(100 * (ratio - 1)) / 50))
        strength = (sum(scores) + (1 if stall else 0.5)) / 3
        if abs(ratio - 1) < 0.5 or not stall or strength < 0.5:
            return
        side = 1 if net > 0 else -1
        self.said.fire(side, ratio, strength, now)
        assert self.book is not None
        middle = (self.book["bid_price"][0] + self.book["ask_price"][0]) // 2
        low, high = self.span()
        reach = max(middle - low, high - middle)
        zone = Zone(middle - reach, middle + reach, side, now, now + ZONE_LIFE, strength)
        self.zones.renew(zone)

    def span(self) -> tuple[int, int]:
        candles = self.market.oracle("candles")
        views = [c.view() for c in (*candles.closed[0][-4:], candles.open[0])]
        return min(v["low"] for v in views), max(v["high"] for v in views)

    def stalled(self) -> bool:
        low, high = self.span()
        if self.mode == "seed" or low == high:
            return True
        ranges = self.market.oracle("atr").ranges(1)
        return bool(ranges) and 10 * (high - low) * len(ranges) < sum(ranges)

    def location(self, price: int) -> float:
        """Distance to the nearest pivot in ATR; -1 where unknown."""
        since = self.minutes[self.first :]
        prices = [since[k].high for k in pivots_of(since, 0)[-16:]]
        prices += [since[k].low for k in pivots_of(since, 1)[-16:]]
        ranges = self.market.oracle("atr").ranges(1)
        if not prices or not sum(ranges):
            return -1.0
        return min(abs(p - price) for p in prices) * len(ranges) / sum(ranges)

    def check_said(self, g: Any) -> None:
        """Like :meth:`Lasting.check`, loosely: E[RF] cancels, so its last digits are not shared.

        After days without a trade the moments are denormal numbers and S has no digits left.
        """
        said = self.said
        have = [int(g[n]) for n in ("ready", "direction", "fired", "until_ns")]
        assert have == [said.ready, said.direction, said.fired, said.until]
        if said.value < MOST_KEPT:
            for name, want in (("value_fp9", said.value), ("strength_fp9", said.strength)):
                assert math.isclose(int(g[name]), want * 1e9, rel_tol=1e-6, abs_tol=30), name

    def check(self, s: Any) -> None:
        self.check_said(s["signal"])
        self.zones.check(s["zones"])
        if self.mode != "standard" or max(map(abs, self.numbers)) >= MOST_KEPT:
            return
        for name, want in zip(("shortfall", "efficiency", "flow_z"), self.numbers, strict=True):
            assert math.isclose(int(s[name + "_fp9"]), want * 1e9, rel_tol=1e-6, abs_tol=30), name
