"""Walls, market state and replenishment, plainly: dicts of levels and rules one by one."""

from __future__ import annotations

import math
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Event, Oracle, Trade
from tests.engine.kernel.oracle_market import near, remembered

SIDES = ((1, "bid"), (-1, "ask"))


class Walls(Oracle):
    """Walls by (side, price); a list of pulls."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.walls: dict[tuple[int, int], dict[str, int]] = {}
        self.last = 0
        self.pulls: list[tuple[int, int]] = []
        self.counts: list[float] = []
        self.eaten = self.score = self.side = self.ready = 0

    def trade(self, t: Trade) -> None:
        _, price, qty, side = t
        wall = self.walls.get((-side, price))
        if side and wall:
            wall["traded"] += qty

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream in (Kind.TRADE, Kind.DEPTH):
            self.walls.clear()

    def depth(self, e: Event) -> None:
        if self.market.oracle("book").last is not e or not e["bid_price"] or not e["ask_price"]:
            return
        if e["ts_ns"] - self.last > self.market.stale:
            self.walls.clear()
        self.last = max(self.last, e["ts_ns"])
        self.judge(e)
        sizes = e["bid_qty"] + e["ask_qty"]
        for side, name in SIDES:
            for m, (price, qty) in enumerate(
                zip(e[name + "_price"], e[name + "_qty"], strict=True)
            ):
                big = qty * len(sizes) >= 3 * sum(sizes) and price * qty >= 500 * 10**4
                full = sum(k[0] == side for k in self.walls) >= 8
                if big and not full and (side, price) not in self.walls:
                    self.walls[side, price] = {
                        "qty": qty, "first": e["ts_ns"], "near": m < 5, "traded": 0
                    }  # fmt: skip

    def judge(self, e: Event) -> None:
        for (side, price), wall in list(self.walls.items()):
            name = "bid" if side > 0 else "ask"
            prices = e[name + "_price"]
            if side * price < side * prices[-1]:
                del self.walls[side, price]
                continue
            shown = 0
            if price in prices:
                m = prices.index(price)
                shown = e[name + "_qty"][m]
                wall["near"] |= m < 5
            wall["qty"] = max(wall["qty"], shown)
            if 2 * shown >= wall["qty"]:
                continue
            del self.walls[side, price]
            if 2 * wall["traded"] >= wall["qty"]:
                self.eaten += 1
            elif wall["near"] and e["ts_ns"] - wall["first"] >= 2 * 10**9:
                self.pulls.append((e["ts_ns"], side))

    def boundary(self, now: int) -> None:
        sides = [side for ts, side in self.pulls[-64:] if now - ts < 60 * 10**9]
        layers = max(sum(k[0] == side for k in self.walls) for side in (1, -1)) >= 3
        many = max(0, len(sides) - int(1.5 * remembered(self.counts, 720)))
        self.counts.append(float(len(sides)))
        one = len(set(sides)) == 1 and many > 0
        self.score = min(300 * many + 100 * layers + 250 * one, 1000)
        self.ready = 1 - self.market.oracle("book").want["stale"]
        self.side = -sides[0] if self.ready and one and self.score >= 720 else 0

    def check(self, s: Any) -> None:
        have = {
            (int(w["side"]), int(w["price"])): [int(w[n]) for n in ("qty", "near", "traded")]
            for w in s["walls"] if w["side"]
        }  # fmt: skip
        want = {k: [w["qty"], int(w["near"]), w["traded"]] for k, w in self.walls.items()}
        assert have == want
        assert [int(x) for x in s["live"]] == [sum(k[0] == d for k in want) for d in (1, -1)]
        assert (int(s["pulled"]), int(s["eaten"])) == (len(self.pulls), self.eaten)
        assert int(s["score_fp9"]) == self.score * 10**6
        g = s["signal"]
        assert (int(g["ready"]), int(g["direction"])) == (self.ready, self.side)


class MarketState(Oracle):
    """The rules in words, gravest first; usual sizes from lists."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.state, self.since, self.before, self.dirty = "NORMAL", 0, 0, 0
        self.price = self.last = self.heard = 0
        self.steps: list[tuple[float, float, float]] = []
        self.depths: list[float] = []
        self.usual_depth = 0.0
        self.pump = 0.0
        self.way = 0

    def trade(self, t: Trade) -> None:
        self.price, self.heard = t[1], t[0]

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream in (Kind.TRADE, Kind.DEPTH):
            self.dirty = 1

    def measure(self, now: int) -> bool:
        whole = not self.dirty and now - self.before == self.market.step and self.last > 0
        self.pump, jumped, self.way = 0.0, False, 0
        if whole:
            move = abs(self.price - self.last)
            self.way = (self.price > self.last) - (self.price < self.last)
            jumped = move >= 0.06 * self.last
            buy, sell, buys, sells, _ = self.market.oracle("windows").sums[1]
            self.score(float(move), float(buy + sell), float(buys + sells))
        self.dirty, self.before, self.last = 0, now, self.price
        return jumped

    def score(self, move: float, volume: float, trades: float) -> None:
        book = self.market.oracle("book")
        fresh = not book.want["stale"]
        depth = float(sum(book.last["bid_qty"][:10] + book.last["ask_qty"][:10])) if fresh else 0.0
        if len(self.steps) >= 60:
            usual = math.sqrt(remembered([m * m for m, _, _ in self.steps], 720))
            self.pump += 0.4 * min(1.0, move / (10 * usual)) if usual else 0.0
            for weight, n, x in ((0.3, 1, volume), (0.1, 2, trades)):
                mean = remembered([step[n] for step in self.steps], 720)
                self.pump += weight * min(1.0, max(0.0, (x / mean - 1) / 9)) if mean else 0.0
            if fresh and self.usual_depth:
                self.pump += 0.2 * min(1.0, max(0.0, 1 - depth / self.usual_depth))
        self.steps.append((move, volume, trades))
        if fresh:
            share = 1 / min(len(self.steps), 720) if self.usual_depth else 1.0
            self.usual_depth += (depth - self.usual_depth) * share

    def boundary(self, now: int) -> None:
        jumped = self.measure(now)
        book = self.market.oracle("book")
        heard = book.last["ts_ns"] if book.last is not None else self.heard
        spoof = self.market.oracle("walls").score
        age = now - self.since
        new = self.state
        if heard == 0 or now - heard > self.market.stale:
            new = "STALE"
        elif spoof >= (650 if self.state == "MANIPULATED" else 720):
            new = "MANIPULATED"
        elif self.state == "MANIPULATED" and age < 10 * 10**9:
            pass
        elif jumped or self.pump >= (0.6 if self.state == "PUMP" else 0.7):
            new = "PUMP"
        elif self.state in ("PUMP", "MANIPULATED", "STALE"):
            new = "PUMP" if self.state == "PUMP" and age < 10 * 10**9 else "COOLDOWN"
        elif self.state == "COOLDOWN" and age >= 12 * 10**9:
            new = "NORMAL"
        if new != self.state:
            self.state, self.since = new, now

    def check(self, s: Any) -> None:
        names = ("NORMAL", "STALE", "PUMP", "MANIPULATED", "COOLDOWN")
        assert names[int(s["state"])] == self.state
        assert int(s["since_ns"]) == self.since
        near(s["pump_fp9"], self.pump)


class Replenish(Oracle):
    """One level a side with the list of what it showed and of what hit it."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.levels: dict[int, dict[str, Any] | None] = {1: None, -1: None}
        self.speaks: dict[str, Any] | None = None
        self.side = self.until = self.ready = self.fired = 0

    def trade(self, t: Trade) -> None:
        _, price, qty, side = t
        level = self.levels.get(-side)
        if level and level["price"] == price:
            level["hits"].append(qty)

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream in (Kind.TRADE, Kind.DEPTH):
            self.levels = {1: None, -1: None}
            self.side = self.ready = 0

    def depth(self, e: Event) -> None:
        if self.market.oracle("book").last is not e or not e["bid_price"] or not e["ask_price"]:
            return
        for side, name in SIDES:
            level, best = self.levels[side], e[name + "_price"][0]
            if level and best != level["price"]:
                level["away"] = level["away"] or e["ts_ns"]
                worse = side * best < side * level["price"]
                if worse or e["ts_ns"] - level["away"] > 5 * 10**9:
                    level = None
            elif level:
                level["away"] = 0
            level = level or {"price": best, "shown": [], "hits": [], "away": 0, "fired": 0}
            for price, qty in zip(e[name + "_price"], e[name + "_qty"], strict=True):
                if price == level["price"]:
                    level["shown"].append(qty)
            self.levels[side] = level

    def ratio(self, side: int, book: Any) -> float:
        level = self.levels[side]
        name = "bid" if side > 0 else "ask"
        sizes = book["bid_qty"] + book["ask_qty"]
        if not level or level["price"] != book[name + "_price"][0]:
            return 0.0
        hits = sum(level["hits"])
        return hits / max(level["shown"]) if hits * len(sizes) >= sum(sizes) else 0.0

    def boundary(self, now: int) -> None:
        book = self.market.oracle("book")
        self.ready = 1 - book.want["stale"]
        if not self.ready:
            self.side = 0
            return
        ratios = {side: self.ratio(side, book.last) for side in (1, -1)}
        for side in (1, -1):
            level = self.levels[side]
            if level and not level["fired"] and ratios[side] >= 3 and ratios[side] > ratios[-side]:
                level["fired"], self.speaks = 1, level
                self.side, self.until, self.fired = side, now + 30 * 10**9, self.fired + 1
                return
        if now >= self.until or self.levels[self.side or 1] is not self.speaks:
            self.side = 0

    def check(self, s: Any) -> None:
        for side, name in SIDES:
            level = self.levels[side]
            have = [int(s[name][n]) for n in ("price", "shown", "traded", "fired", "away_ns")]
            if level is None:
                assert have == [0] * 5
            else:
                want = [level["price"], max(level["shown"]), sum(level["hits"]), level["fired"]]
                assert have == [*want, level["away"]]
        g = s["signal"]
        have = [int(g[n]) for n in ("ready", "direction", "fired")]
        assert have == [self.ready, self.side, self.fired]


WALLED: dict[str, type[Oracle]] = {
    "walls": Walls, "market_state": MarketState, "replenish": Replenish,
}  # fmt: skip
"""Oracles of this file by handler."""
