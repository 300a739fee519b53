"""What stands in closed footprints, plainly: dicts of rows, lists of zones, Fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any, ClassVar

from data.events import Kind
from tests.engine.kernel.oracle import Oracle, S, Trade
from tests.engine.kernel.oracle_candles import Candle, Rows, least_shift, rows_of

MINUTE = 60 * S


def fp9(x: Fraction | float) -> int:
    return round(float(x) * 1e9)


class Spoken:
    """A signal as whoever reads it sees it: until when, in which direction, how strong."""

    def __init__(self) -> None:
        self.ready = self.direction = self.strength = self.value = self.fired = self.until = 0

    def unready(self) -> None:
        self.ready = self.direction = self.strength = self.value = self.until = 0

    def fire(self, at: int, life: int, value: Fraction | float, strength: float) -> None:
        self.ready, self.fired, self.until = 1, self.fired + 1, at + life
        self.direction = 1 if value > 0 else -1
        self.strength, self.value = fp9(strength), fp9(value)

    def nothing(self) -> None:
        """Judged and found nothing: an earlier event goes on speaking."""
        if not self.direction:
            self.ready, self.value = 1, 0

    def age(self, now: int) -> None:
        if self.direction and now >= self.until:
            self.direction = self.strength = 0

    def check(self, g: Any) -> None:
        have = [int(g[n]) for n in ("ready", "direction", "fired", "until_ns")]
        assert have == [self.ready, self.direction, self.fired, self.until]
        assert abs(int(g["strength_fp9"]) - self.strength) <= 1
        assert abs(int(g["value_fp9"]) - self.value) <= 1


class ClosedRows(Oracle):
    """A detector of closed minutes and what it leaves at prices until touched or over."""

    name = ""
    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.zones: list[tuple[int, int, int, int]] = []
        self.counts = dict.fromkeys(("added", "touched", "expired", "displaced", "cleared"), 0)
        for key, value in {**self.defaults, **getattr(market, self.name, {})}.items():
            setattr(self, key, value)

    def add(self, low: int, high: int, side: int, until: int) -> None:
        if len(self.zones) == 32:
            self.zones.pop(0)
            self.counts["displaced"] += 1
        self.zones.append((low, high, side, until))
        self.counts["added"] += 1

    def lose(self, keep: Any, why: str) -> None:
        left = [z for z in self.zones if keep(z)]
        self.counts[why] += len(self.zones) - len(left)
        self.zones = left

    def candle(self, frames: int) -> None:
        candles = self.market.oracle("candles")
        traded = [t[1] for t in candles.closed[0][-1].trades]
        if traded:
            self.lose(lambda z: z[1] < min(traded) or z[0] > max(traded), "touched")
        if frames >= 2 and len(candles.closed[1]) > 1:
            self.minute(candles.closed[1][-1])

    def minute(self, c: Candle) -> None:
        raise NotImplementedError

    def rows(self, c: Candle) -> tuple[Rows, int, int, int]:
        """(rows, lowest, highest, height of a row in price units) of a candle."""
        units = self.market.row_units
        shift = least_shift(c.trades, units)
        rows = rows_of(c.trades, units, shift)
        return rows, min(rows), max(rows), units << shift

    def boundary(self, now: int) -> None:
        self.lose(lambda z: now < z[3], "expired")

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.lose(lambda z: False, "cleared")

    def check_zones(self, z: Any) -> None:
        have = [
            tuple(int(z["items"][k][n]) for n in ("low", "high", "side", "until_ns"))
            for k in range(int(z["n"]))
        ]
        assert have == self.zones
        assert {k: int(z[k]) for k in self.counts} == self.counts


class Diagonal(ClosedRows):
    """Every pair of neighbouring rows, one after the other."""

    name = "diagonal"
    defaults: ClassVar[dict[str, Any]] = {
        "ratio": Fraction(3), "mean": Fraction(1), "least": 0, "ignore": False, "stack": 3,
    }  # fmt: skip

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.signal = Spoken()
        self.found: dict[str, list[int]] = {"buy": [0] * 4, "sell": [0] * 4}

    def hits(self, c: Candle, side: int) -> list[tuple[int, int]]:
        """(row, volume) of every imbalance of ``side``, from the lowest row up."""
        rows, low, high, _ = self.rows(c)
        level = Fraction(sum(t[2] for t in c.trades), high - low + 1) * self.mean
        none = [0, 0, 0]
        out = []
        for x in range(low, high):
            bought, sold = rows.get(x + 1, none)[2], rows.get(x, none)[0]
            row, mine, theirs = (x + 1, bought, sold) if side > 0 else (x, sold, bought)
            outweighs = mine > self.ratio * theirs and not (self.ignore and theirs == 0)
            if outweighs and mine > level and mine > self.least:
                out.append((row, mine))
        return out

    def side(self, c: Candle, side: int) -> list[int]:
        """[rows, longest, stacks, volume]; a run is rows whose number less their place agrees."""
        hits = self.hits(c, side)
        groups = itertools.groupby(enumerate(hits), key=lambda e: e[1][0] - e[0])
        runs = [[hit for _, hit in group] for _, group in groups]
        stacks = [run for run in runs if len(run) >= self.stack]
        height = self.rows(c)[3]
        for run in stacks:
            until = c.start + MINUTE + 30 * MINUTE
            self.add(run[0][0] * height, (run[-1][0] + 1) * height - 1, side, until)
        longest = max((len(run) for run in runs), default=0)
        return [len(hits), longest, len(stacks), sum(v for run in stacks for _, v in run)]

    def minute(self, c: Candle) -> None:
        if c.gap:
            self.signal.unready()
        elif c.trades:
            self.found = {"buy": self.side(c, 1), "sell": self.side(c, -1)}
            volume = sum(t[2] for t in c.trades)
            surplus = Fraction(self.found["buy"][3] - self.found["sell"][3], volume)
            if surplus:
                self.signal.fire(c.start + MINUTE, MINUTE, surplus, float(abs(surplus)))
            else:
                self.signal.nothing()

    def boundary(self, now: int) -> None:
        super().boundary(now)
        self.signal.age(now)

    def gap(self, stream: int, start: int, end: int) -> None:
        super().gap(stream, start, end)
        if stream == Kind.TRADE:
            self.signal.unready()

    def check(self, s: Any) -> None:
        self.signal.check(s["signal"])
        self.check_zones(s["zones"])
        for side, want in self.found.items():
            have = [int(s[side][n]) for n in ("rows", "longest", "stacks", "volume")]
            assert have == want, side


class Auction(ClosedRows):
    """The rows from the extremes inwards, as lists."""

    name = "auction"
    defaults: ClassVar[dict[str, Any]] = {
        "levels": 5, "mean": Fraction(1), "least": 0, "ignore": False,
        "filter_mean": Fraction(1, 4), "filter": 0,
    }  # fmt: skip

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.signals = {"signal": Spoken(), "unfinished": Spoken()}
        self.ends = {"dry": [Fraction(0)] * 2, "open": [Fraction(0)] * 2}

    def dry(self, inwards: list[int], level: Fraction) -> Fraction:
        """``inwards``: what one side traded in each row, from the extreme to the other end."""
        taken = inwards[: self.levels]
        if len(taken) < self.levels or taken != sorted(set(taken)):
            return Fraction(0)
        if (self.ignore and taken[0] == 0) or taken[-1] <= max(level * self.mean, self.least):
            return Fraction(0)
        return 1 - Fraction(taken[0], taken[-1])

    def open(self, mine: int, other: int, level: Fraction) -> Fraction:
        if other == 0 or mine <= level * self.filter_mean or mine <= self.filter:
            return Fraction(0)
        return Fraction(min(mine, other), max(mine, other))

    def minute(self, c: Candle) -> None:
        if c.gap:
            self.unready()
        elif c.trades:
            self.judge(c)

    def judge(self, c: Candle) -> None:
        rows, low, high, height = self.rows(c)
        every = [rows.get(x, [0, 0, 0]) for x in range(low, high + 1)]
        level = Fraction(sum(sum(r) for r in every), len(every))
        sold, bought = [r[0] for r in every], [r[2] for r in every]
        self.ends["dry"] = [self.dry(sold, level), self.dry(bought[::-1], level)]
        self.ends["open"] = [Fraction(0)] * 2
        if low < high:
            below = self.open(sold[0], bought[0], level)
            above = self.open(bought[-1], sold[-1], level)
            self.ends["open"] = [below, above]
        end = c.start + MINUTE
        for x, side, share in zip((low, high), (-1, 1), self.ends["open"], strict=True):
            if fp9(share):
                self.add(x * height, (x + 1) * height - 1, side, end + 30 * MINUTE)
        down, up = self.ends["open"]
        bottom, top = self.ends["dry"]
        for name, value in (("signal", bottom - top), ("unfinished", up - down)):
            if value:
                self.signals[name].fire(end, MINUTE, value, float(abs(value)))
            else:
                self.signals[name].nothing()

    def unready(self) -> None:
        for g in self.signals.values():
            g.unready()

    def boundary(self, now: int) -> None:
        super().boundary(now)
        for g in self.signals.values():
            g.age(now)

    def gap(self, stream: int, start: int, end: int) -> None:
        super().gap(stream, start, end)
        if stream == Kind.TRADE:
            self.unready()

    def check(self, s: Any) -> None:
        for name, g in self.signals.items():
            g.check(s[name])
        self.check_zones(s["zones"])
        for what, (below, above) in self.ends.items():
            assert abs(int(s[f"{what}_low_fp9"]) - fp9(below)) <= 1
            assert abs(int(s[f"{what}_high_fp9"]) - fp9(above)) <= 1


class DeltaTurn(Oracle):
    """The three rules written out for each side, over lists of candles."""

    defaults: ClassVar[dict[str, Any]] = {
        "z": 1.0, "form": 7, "length": 346, "warm": 30, "settle": 15,
    }  # fmt: skip

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.signal = Spoken()
        self.deltas: list[int] = []
        self.today: list[dict[str, int]] = []
        self.end = self.z9 = self.forms = 0
        for key, value in {**self.defaults, **getattr(market, "delta_turn", {})}.items():
            setattr(self, key, value)

    def sigma(self) -> float:
        mean = 0.0
        for n, delta in enumerate(self.deltas, 1):
            mean += (delta**2 - mean) / min(n, self.length)
        return math.sqrt(mean)

    def held(self, a: dict[str, int], b: dict[str, int], c: dict[str, int]) -> int:
        rises = [x["close"] > x["open"] for x in (a, b, c)]
        falls = [x["close"] < x["open"] for x in (a, b, c)]
        settled = len(self.today) >= self.settle
        if c["buy"] < c["sell"]:
            quantower = c["high"] > b["high"] and c["low"] > b["low"]
            atas = rises[0] and rises[1] and falls[2] and c["high"] >= b["high"]
            market = settled and c["high"] >= max(x["high"] for x in self.today)
        elif c["buy"] > c["sell"]:
            quantower = c["low"] < b["low"] and c["high"] < b["high"]
            atas = falls[0] and falls[1] and rises[2] and c["low"] <= b["low"]
            market = settled and c["low"] <= min(x["low"] for x in self.today)
        else:
            return 0
        return (quantower + 2 * atas + 4 * market) & self.form

    def candle(self, frames: int) -> None:
        closed = self.market.oracle("candles").closed[1]
        if frames < 2:
            return
        self.z9 = self.forms = 0
        c = closed[-1]
        if len(closed) == 1 or c.gap:
            self.unready()
            return
        end = (c.start // self.market.session_ns + 1) * self.market.session_ns
        if end != self.end:
            self.end, self.today = end, []
        view = c.view()
        delta, sigma = view["buy"] - view["sell"], self.sigma()
        if c.trades and sigma:
            self.z9 = fp9(delta / sigma)
        whole = len(closed) > 3 and not any(x.gap for x in closed[-3:])
        if not whole or len(self.deltas) < self.warm:
            self.signal.unready()
        else:
            self.speak(closed[-3:])
        if c.trades:
            self.deltas.append(delta)
            self.today.append(view)

    def speak(self, last: list[Candle]) -> None:
        if not self.signal.direction:
            self.signal.ready, self.signal.value = 1, self.z9
        if all(x.trades for x in last):
            held = self.held(*(x.view() for x in last))
            self.forms = held if self.z9 else 0
            if self.forms and abs(self.z9) >= fp9(self.z):
                z = self.z9 / 1e9
                strength = 1 - math.erfc(abs(z) / math.sqrt(2))
                self.signal.fire(last[-1].start + MINUTE, MINUTE, z, strength)

    def unready(self) -> None:
        self.signal.unready()
        self.today = []

    def boundary(self, now: int) -> None:
        self.signal.age(now)

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.unready()

    def check(self, s: Any) -> None:
        self.signal.check(s["signal"])
        assert abs(int(s["z_fp9"]) - self.z9) <= 1
        have = [int(s[n]) for n in ("forms", "session_end_ns", "session_candles")]
        assert have == [self.forms, self.end, len(self.today)]
        if self.today:
            assert int(s["session_high"]) == max(x["high"] for x in self.today)
            assert int(s["session_low"]) == min(x["low"] for x in self.today)


class Tape(Oracle):
    """Counts and means of the windows; the prints of a step as a list."""

    defaults: ClassVar[dict[str, Any]] = {
        "ratio": Fraction(3, 2), "sigmas": 3, "least": 20, "lean": Fraction(1, 5),
        "multiple": Fraction(10),
    }  # fmt: skip

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.speed, self.prints = Spoken(), Spoken()
        self.first: int | None = None
        self.holes = self.pace = self.before = self.fast = 0
        self.size = Fraction(0)
        self.large: list[int] = []
        for key, value in {**self.defaults, **getattr(market, "tape", {})}.items():
            setattr(self, key, value)

    def trade(self, t: Trade) -> None:
        self.first = t[0] if self.first is None else self.first
        if self.size and t[2] > self.size and t[3]:
            self.large.append(t[2] * t[3])

    def boundary(self, now: int) -> None:
        start = now - 300 * S
        if self.first is None or start < max(self.first, self.holes):
            self.silence()
            return
        sums = self.market.oracle("windows").sums
        bought, sold, buys, sells, _ = sums[5]
        self.read_speed(sums[2], buys + sells, now)
        if self.size:
            self.read_prints(now)
        else:
            self.prints.unready()
        self.large = []
        self.size = Fraction(bought + sold, buys + sells) * self.multiple if buys + sells else 0

    def read_speed(self, short: tuple[int, ...], trades: int, now: int) -> None:
        bought, sold, buys, sells, _ = short
        self.pace = buys + sells
        self.before = trades - self.pace
        mean = Fraction(self.before, 19)
        enough = self.pace >= self.least and self.pace > self.ratio * mean
        self.fast = int(enough and self.pace - mean > self.sigmas * math.sqrt(mean))
        lean = Fraction(bought - sold, bought + sold) if bought + sold else Fraction(0)
        was = self.speed.direction
        self.speed.ready, self.speed.direction, self.speed.strength = 1, 0, 0
        self.speed.value = fp9(self.pace / max(mean, 1))
        if self.fast and abs(lean) >= self.lean and lean:
            self.speed.direction = 1 if lean > 0 else -1
            self.speed.strength = fp9(abs(lean) * (1 - mean / self.pace))
            if self.speed.direction != was:
                self.speed.fired, self.speed.until = self.speed.fired + 1, now

    def read_prints(self, now: int) -> None:
        self.prints.age(now)
        surplus = sum(self.large)
        if surplus:
            sizes = [abs(q) for q in self.large]
            share = abs(Fraction(surplus, sum(sizes))) * (1 - self.size / max(sizes))
            self.prints.fire(now, 15 * S, surplus, float(share))
            self.prints.value = fp9(max(sizes) / self.size)
        else:
            self.prints.nothing()

    def silence(self) -> None:
        self.speed.unready()
        self.prints.unready()
        self.fast, self.size, self.large = 0, Fraction(0), []

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.holes = max(self.holes, end)
            self.silence()

    def check(self, s: Any) -> None:
        self.speed.check(s["signal"])
        self.prints.check(s["prints"])
        have = [int(s[n]) for n in ("pace", "before", "fast", "bought", "sold", "largest")]
        want = [sum(q for q in self.large if q > 0), -sum(q for q in self.large if q < 0)]
        largest = max((abs(q) for q in self.large), default=0)
        assert have == [self.pace, self.before, self.fast, *want, largest]
        assert int(s["large_lots"]) == math.floor(self.size)


ORACLES: dict[str, type[Oracle]] = {
    "diagonal": Diagonal, "auction": Auction, "delta_turn": DeltaTurn, "tape": Tape,
}  # fmt: skip
