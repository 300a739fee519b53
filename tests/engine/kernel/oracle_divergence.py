"""Pivots, impact and divergences as lists of minutes: the slow, obvious reference."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.events import Kind
from tests.engine.kernel.oracle import Oracle, S


@dataclass
class Minute:
    """A closed minute as it stood when it closed."""

    start: int
    high: int
    low: int
    close: int
    delta: int
    trades: int
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
        delta = v["buy"] - v["sell"]
        self.minutes.append(
            Minute(v["open_ns"], v["high"], v["low"], v["close"], delta, v["trades"], clean)
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


def standing_out(heights: list[int], bars: int) -> list[int]:
    """Places above all ``bars`` before them, and not below any of the ``bars`` after."""
    all_, n = np.array(heights, dtype=np.int64), len(heights) - 2 * bars
    if n <= 0:
        return []
    here = all_[bars : bars + n]
    good = np.ones(n, dtype=bool)
    for k in range(1, bars + 1):
        good &= (here > all_[bars - k :][:n]) & (here >= all_[bars + k :][:n])
    return [int(at) + bars for at in np.flatnonzero(good)]


def pivots_of(minutes: list[Minute], kind: int, bars: int = 3, apart: int = 5) -> list[int]:
    """Numbers of the pivots of ``kind`` (0 high, 1 low) among the minutes."""
    heights = [-m.low if kind else m.high for m in minutes]
    found: list[int] = []
    for at in standing_out(heights, bars):
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


LENGTH, WARM = 12, 6
"""Short memories that the probes ask for, so that tapes of minutes reach readiness."""
HORIZONS = (1, 3, 6, 12)
CLIP = 3.0


class Sums:
    """Mean R^2, F^2 and R F a trade of one horizon: plain for the first LENGTH, then exponential;
    a sum beyond CLIP sigmas counts as one of CLIP sigmas."""

    def __init__(self) -> None:
        self.n = 0
        self.rr = self.ff = self.rf = 0.0

    def add(self, change: int, flow: int, trades: int) -> None:
        r, f = change / math.sqrt(trades), flow / math.sqrt(trades)
        if self.n >= WARM and self.rr > 0 and self.ff > 0:
            r = math.copysign(min(abs(r), CLIP * math.sqrt(self.rr)), r)
            f = math.copysign(min(abs(f), CLIP * math.sqrt(self.ff)), f)
        self.n += 1
        share = 1 / min(self.n, LENGTH)
        self.rr = (1 - share) * self.rr + share * r * r
        self.ff = (1 - share) * self.ff + share * f * f
        self.rf = (1 - share) * self.rf + share * r * f


def move(minutes: list[Minute], first: int, last: int) -> tuple[int, int, int]:
    """(R, F, trades) from the close of minute ``first`` to that of ``last``."""
    inside = minutes[first + 1 : last + 1]
    change = minutes[last].close - minutes[first].close
    return change, sum(m.delta for m in inside), sum(m.trades for m in inside)


class Impact(Minutes):
    """Sums over lists; the moments from all that was ever folded."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.sums = {n: Sums() for n in HORIZONS}

    def minute(self) -> None:
        now = len(self.minutes) - 1
        for n, sums in self.sums.items():
            if now - 2 * n >= self.first:
                change, flow, trades = move(self.minutes, now - 2 * n, now - n)
                if change or flow:
                    sums.add(change, flow, max(trades, 1))

    def ready(self, n: int) -> bool:
        x = self.sums[n]
        return x.n >= WARM and x.rr > 0 and x.ff > 0

    def sigmas(self, minutes: int, trades: int) -> tuple[float, float, float]:
        """(sigma_r, sigma_D, rho) of sums over ``minutes`` minutes and ``trades`` trades."""
        n = max(h for h in HORIZONS if h <= minutes)
        x = self.sums[n]
        rho = x.rf / math.sqrt(x.rr * x.ff)
        amount = max(trades, 1)
        return math.sqrt(x.rr * amount), math.sqrt(x.ff * amount), rho

    def residual(self, minutes: int, change: int, flow: int, trades: int) -> float | None:
        sigma_r, sigma_d, rho = self.sigmas(minutes, trades)
        if 1 - rho * rho < 1e-6:
            return None
        return (flow / sigma_d - rho * change / sigma_r) / math.sqrt(1 - rho * rho)

    def check(self, s: Any) -> None:
        assert int(s["run"]) == len(self.minutes) - self.first
        for h, x in enumerate(self.sums.values()):
            assert int(s["sums"][h]["n"]) == x.n
            for name in ("rr", "ff", "rf"):
                want = getattr(x, name)
                scale = math.sqrt(x.rr * x.ff)
                assert math.isclose(
                    float(s["sums"][h][name]), want, rel_tol=1e-9, abs_tol=1e-9 * scale
                )


class Lasting:
    """What a signal record should say."""

    def __init__(self) -> None:
        self.ready = self.direction = self.fired = 0
        self.value = self.strength = 0.0
        self.until = 0

    def silent(self) -> None:
        self.ready = self.direction = self.until = 0
        self.value = self.strength = 0.0

    def fire(self, direction: int, value: float, strength: float, until: int) -> None:
        self.ready, self.direction, self.until = 1, direction, until
        self.value, self.strength = value, strength
        self.fired += 1

    def age(self, now: int) -> None:
        if self.direction and now >= self.until:
            self.direction, self.strength = 0, 0.0

    def check(self, g: Any) -> None:
        have = [int(g[n]) for n in ("ready", "direction", "fired", "until_ns")]
        assert have == [self.ready, self.direction, self.fired, self.until]
        for name, want in (("value_fp9", self.value), ("strength_fp9", self.strength)):
            assert math.isclose(
                int(g[name]), min(max(want, -9e9), 9e9) * 1e9, rel_tol=1e-8, abs_tol=2
            ), name


def surprise(z: float) -> float:
    """1 - 2 Phi(-|z|)."""
    return 1 - 2 * (1 - statistics.NormalDist().cdf(abs(z)))


TTL = 300 * S
Z_ALPHA = 1.645


class CvdDivergence(Minutes):
    """Both forms on the lists of minutes; the seed's on plain lists of highs, lows and CVD."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.signal = Lasting()
        self.seed = getattr(market, "seed_divergence", False)

    def forget(self) -> None:
        super().forget()
        if not self.seed:
            self.signal.silent()

    def boundary(self, now: int) -> None:
        self.signal.age(now)

    def minute(self) -> None:
        end = self.minutes[-1].start + 60 * S
        if self.seed:
            self.seed_minute(end)
            return
        impact = self.market.oracle("impact")
        if len(self.minutes) == self.first or not impact.ready(12):
            self.signal.silent()
            return
        self.signal.ready = 1
        seen = [(self.judge(kind, impact), kind) for kind in range(2)]
        best = max(x for x, _ in seen)
        if best > 0 and seen[0][0] != seen[1][0]:
            direction = -1 if seen[0][0] == best else 1
            self.signal.fire(direction, direction * best, surprise(best), end + TTL)

    def judge(self, kind: int, impact: Impact) -> float:
        found = pivots_of(self.minutes[self.first :], kind)
        if len(found) < 2 or found[-1] + 4 != len(self.minutes) - self.first:
            return 0.0
        a, b = self.first + found[-2], self.first + found[-1]
        up = -1 if kind else 1
        field = "low" if kind else "high"
        rose = up * (getattr(self.minutes[b], field) - getattr(self.minutes[a], field))
        moved = move(self.minutes, a, b)
        e = impact.residual(b - a, *moved)
        usual = impact.sigmas(b - a, moved[2])[0]
        if b - a > 60 or e is None or rose / usual < 0.5 or -up * e < Z_ALPHA:
            return 0.0
        return -up * e

    def seed_minute(self, end: int) -> None:
        bars = self.minutes[-50:]
        if len(bars) < 20:
            self.signal.silent()
            return
        cvd = list(itertools.accumulate(m.delta for m in self.minutes))[-len(bars) :]
        kind, strength = seed_divergence(
            [m.high / 10 for m in bars], [m.low / 10 for m in bars], [x / 1000 for x in cvd]
        )
        direction = {"none": 0, "bearish": -1, "bullish": 1}[kind]
        old = self.signal.direction
        self.signal.ready, self.signal.direction = 1, direction
        self.signal.value = self.signal.strength = strength
        self.signal.until = end + TTL
        self.signal.fired += direction not in (0, old)

    def check(self, s: Any) -> None:
        self.signal.check(s["signal"])


def seed_divergence(high: list[float], low: list[float], cvd: list[float]) -> tuple[str, float]:
    """Reference 11.3, line by line."""
    n = len(high)

    def swings(x: list[float], places: Any, sign: int) -> list[float]:
        return [
            x[i] for i in places if sign * x[i] > sign * x[i - 1] and sign * x[i] > sign * x[i + 1]
        ]

    last_high, last_low = high[-20:], low[-20:]
    places = [i for i in range(n - 20, n - 1) if i > 0]
    for kind, x, sign in (("bearish", last_high, 1), ("bullish", last_low, -1)):
        p, c = swings(x, range(1, 19), sign), swings(cvd, places, sign)
        if len(p) < 2 or len(c) < 2:
            continue
        if sign * p[-1] > sign * p[-2] and sign * c[-1] < sign * c[-2]:
            dp, dc = abs(p[-1] - p[-2]), abs(c[-1] - c[-2])
            return kind, 0.0 if dp == 0 else min(1.0, (dp + dc) / (2 * dp))
    return "none", 0.0
