"""Slow references of flow by proxy: lists of quotes, Fractions, and what the documents say."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Event, Oracle, S, Trade

MINUTE = 60 * S
UNIT = 1000
SHORT = (
    ("proxy.warm", "2"),
    ("proxy.quiet", "2s"),
    ("proxy.window", "5m"),
    ("proxy.memory", "10m"),
)
"""Settings of the probes: tapes of a few minutes reach every branch with them."""
WARM, QUIET, SILENCE, WINDOW, MEMORY = 2, 2 * S, 300 * S, 5, 600 * S
CONF = {1: 1.0, 2: 0.93, 3: 0.43, 4: 0.33, 5: 0.19, 6: 0.11, 7: 0.0}
QUALITY = {0: 0, 1: 3, 2: 3, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1}
MAY = {
    0: {"price", "book"},
    4: {"price", "book", "trend", "divergence", "flip", "sweep"},
    **{source: {"price", "book", "trend"} for source in (5, 6, 7)},
}
CLAIMS = ("price", "book", "trend", "divergence", "flip", "sweep", "absorption", "rows", "prints")


class Moments:
    """Volume-weighted mean square of the change over all bars so far (none is forgotten here)."""

    def __init__(self) -> None:
        self.n = 0
        self.volume = self.squares = Fraction(0)

    def sigma(self) -> float:
        if self.n < WARM or not self.volume:
            return 0.0
        return math.sqrt(self.squares / self.volume)

    def fold(self, volume: int, change: Fraction) -> None:
        self.n += 1
        self.volume += volume
        self.squares += volume * change * change


def smaller(volume: int, change: Fraction, sigma: float) -> int:
    """V (1 - Phi(|dP| / sigma)), floored; half where nothing is known."""
    if change == 0 or sigma == 0:
        return volume // 2
    tail = round(0.5 * math.erfc(float(abs(change)) / sigma / math.sqrt(2)) * 10**9)
    return volume * tail // 10**9


class Proxy(Oracle):
    """The quotes of every second in a list, and what they come to when the second is over."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.open: list[tuple[int, int]] = []  # (updates, twice the mid or 0) in order of arrival
        self.second = 0
        self.hole = False
        self.base: tuple[Fraction, int] | None = None
        self.mid = Fraction(0)
        self.quoted = self.bars = self.traded = 0
        self.side = 0
        self.moments = (Moments(), Moments())
        self.tape: list[Trade] = []
        self.n: Counter[str] = Counter()
        self.sources: list[tuple[int, int]] = []  # (boundary, source) for each trade
        self.pending: list[int] = []
        self.seen = (0, 0, 0)
        self.want: dict[str, Any] = {}

    def trade(self, t: Trade) -> None:
        self.traded = max(self.traded, t[0])

    def quote(self, e: Event) -> None:
        bid, ask = e["bid"], e["ask"]
        if not 0 < bid <= ask:
            self.n["crossed"] += 1
            return
        second = e["ts_ns"] // S
        if second < self.second:
            self.n["late"] += 1
            self.open.append((1, 0))
            return
        self.second = second
        self.quoted = max(self.quoted, e["ts_ns"])
        self.mid = Fraction(bid + ask, 2)
        self.open.append((1, bid + ask))

    def quiet(self, at: int) -> bool:
        return self.traded == 0 or at - self.traded >= QUIET

    def classify(self, which: int, volume: int, price: Fraction | None, since: int) -> int:
        """The smaller part; judges by the past and remembers the bar."""
        moments = self.moments[which]
        known = price is not None and self.base is not None and since - self.base[1] <= SILENCE
        change = price - self.base[0] if known else Fraction(0)  # type: ignore[operator, index]
        less = smaller(volume, change, moments.sigma())
        if known:
            moments.fold(volume, change)
            self.side = self.side if change == 0 else 1 if change > 0 else -1
        return less

    def put(self, ts: int, price: int, less: int, more: int, source: int) -> None:
        side = 1 if self.side >= 0 else -1
        for qty, sign in ((less, -side), (more, side)):
            if qty:
                self.tape.append((ts, price, qty, sign))
                self.pending.append(source)

    def due(self, at: int) -> list[Trade]:
        """Pseudo trades of the second that is over at engine time ``at``, if one is."""
        end = (self.second + 1) * S
        if not self.open or end + self.market.latency.get(Kind.QUOTE, 0) > at:
            return []
        volume = UNIT * len(self.open)
        mids = [m for _, m in self.open if m]
        price = Fraction(mids[-1], 2) if mids and not self.hole_after() else None
        less = self.classify(0, volume, price, end)
        if price is not None:
            self.base = (price, end)
        self.second, self.open, self.tape = self.second + 1, [], []
        units = round(self.mid)
        if units <= 0:
            self.n["refused"] += 1
        elif not self.quiet(end):
            self.n["silenced"] += volume
        else:
            self.put(end - 1, units, less, volume - less, 4)
        return self.tape

    def hole_after(self) -> bool:
        """True when no quote came since the last gap inside this second."""
        return self.hole and not any(m for _, m in self.open[self.hole_at :])

    def hears(self, stream: int, start: int) -> bool:
        """A hole in the quotes or bars; True when the flow is made of them."""
        if stream == Kind.QUOTE:
            self.base, self.hole, self.hole_at = None, True, len(self.open)
            return self.quiet(start)
        if stream == Kind.BAR:
            self.base = None
            return self.quiet(start) and (not self.quoted or self.quoted < start - MINUTE)
        return False

    def bar(self, e: Event) -> list[Trade]:
        start, end = e["open_ns"], e["ts_ns"]
        self.tape = []
        finer = max(self.traded, self.quoted)
        if not 0 < end - start <= MINUTE or not 0 < e["low"] <= e["high"]:
            return []
        if (finer and finer >= start) or self.bars > start or not self.quiet(end):
            return []
        volume = UNIT * e["trades"] or e["volume"]
        if not volume:
            self.n["refused"] += 1
            return []
        close = Fraction(e["close"])
        less = self.classify(1, volume, close, start)
        self.base, self.bars = (close, end), end
        done = gone = 0
        for n, name in enumerate(("open", "high", "low", "close"), 1):
            take = volume * n // 4 - done
            minor = min(less * n // 4 - gone, take)
            done, gone = done + take, gone + minor
            self.put(end - 1, e[name], minor, take - minor, 7)
        return self.tape

    def boundary(self, now: int) -> None:
        sides = self.market.oracle("sides").by
        have = tuple(sides[n] for n in ("flag", "quote", "tick"))
        for source, (a, b) in enumerate(zip(have, self.seen, strict=True), 1):
            self.pending += [source] * (a - b)
        self.seen = have
        self.sources += [(now, source) for source in self.pending]
        self.pending = []
        minute = (now - 1) // MINUTE
        recent = [(t, x) for t, x in self.sources if minute - (t - 1) // MINUTE < WINDOW]
        weakest = max((x for t, x in self.sources if now - t < MEMORY), default=0)
        source = max((x for _, x in recent), default=0)
        covered = len({(t - 1) // MINUTE for t, _ in recent})
        quality = QUALITY[source]
        if covered < WINDOW / 2:
            quality = 0
        elif covered < 0.8 * WINDOW:
            quality = min(quality, 1)
        conf = sum(round(CONF[x] * 10**9) for _, x in recent) // len(recent) if recent else 0
        may = MAY.get(weakest, set(CLAIMS))
        self.want = {
            "side_source": source, "data_quality": quality, "side_conf_fp9": conf,
            "allowed": [int(c in may) for c in CLAIMS],
        }  # fmt: skip

    def check(self, s: Any) -> None:
        for name in ("crossed", "late", "refused", "silenced"):
            assert int(s[name]) == self.n[name], name
        assert int(s["updates"]) == len(self.open)
        assert int(s["direction"]) == self.side
        t, n = s["tape"], int(s["n"])
        names = ("ts_ns", "price", "qty", "side")
        have = [tuple(int(t[name][k]) for name in names) for k in range(n)]
        assert have == self.tape
        for name, want in self.want.items():
            assert s[name].tolist() == want, name


def deltas(candles: list[Any], n: int, seed: bool) -> Iterator[int]:
    """Delta of each of the last ``n`` five-minute candles, oldest first."""
    views = [c.view() for c in candles[-n:]]
    if not seed:
        for v in views:
            yield 0 if v["flags"] else v["buy"] - v["sell"]
        return
    for before, v in itertools.pairwise(views):
        move = v["close"] - before["close"]
        yield before["volume"] * (1 if move > 0 else -1 if move < 0 else 0)


class ProxyMetrics(Oracle):
    """The lines of the reference 11.9, in Python, over the list of candles."""

    seed = False
    large = 100_000

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.want: dict[str, int] = {}
        self.ready = 0

    def boundary(self, now: int) -> None:
        candles = self.market.oracle("candles").closed[2]
        proxy = self.market.oracle("proxy").want
        wanted = 6
        n = min(wanted, len(candles))
        last = candles[len(candles) - n :]
        delta = list(deltas(candles, n, self.seed)) if n else []
        cvd = [sum(delta[: k + 1]) for k in range(len(delta))]
        positive = sum(d for d in delta if d > 0)
        negative = -sum(d for d in delta if d < 0)
        late, early = cvd[-3:], cvd[-6:-3]
        slope = Fraction(0)
        if late and early:
            old = Fraction(sum(early), len(early))
            base = abs(old) if self.seed or not delta or positive + negative == 0 else Fraction(
                positive + negative
            )  # fmt: skip
            slope = (Fraction(sum(late), len(late)) - old) / base if base else Fraction(0)
        value = cvd[-1] if cvd else 0
        up = 1 if slope > Fraction(1, 20) else -1 if slope < Fraction(-1, 20) else 0
        real = 1 <= proxy["side_source"] <= 3
        if real:
            positive = sum(c.view()["buy"] for c in last)
            negative = sum(c.view()["sell"] for c in last)
            value = positive - negative
        total = positive + negative
        if negative:
            ratio = Fraction(positive, negative)
        else:
            ratio = Fraction(999 if positive else 1)
        if real and self.seed:
            up = 1 if ratio > Fraction(11, 10) else -1 if ratio < Fraction(9, 10) else 0
        have = sum(1 for c in last if c.trades and (self.seed or not c.gap))
        best = 3 if real else 2
        if not self.seed:
            best = min(best, proxy["data_quality"])
        quality = best if have >= 0.8 * wanted else min(best, 1) if have >= wanted / 2 else 0
        self.ready = int(quality > 0)
        self.want = {
            "cvd_value": value, "cvd_slope": up, "bars": have, "data_quality": quality,
            "data_source": 0 if not proxy["side_source"] else 1 if real else 2,
            "imbalance_score": int(Fraction(100 * abs(positive - negative), total)) if total else 0,
            "imbalance_fp9": round(Fraction(positive - negative, total) * 10**9) if total else 0,
            "aggressor_ratio_fp9": round(min(ratio, Fraction(9_000_000_000)) * 10**9),
        }  # fmt: skip

    def check(self, s: Any) -> None:
        for name, want in self.want.items():
            slack = 1 if name in ("imbalance_fp9",) else max(1, abs(want) >> 50)
            near = name.endswith("fp9")
            assert abs(int(s[name]) - want) <= (slack if near else 0), name
        assert int(s["signal"]["ready"]) == self.ready
        assert int(s["signal"]["direction"]) == (self.want.get("cvd_slope", 0) * self.ready)


PROXIED: dict[str, type[Oracle]] = {"proxy": Proxy, "proxy_metrics": ProxyMetrics}
"""Oracles of the handlers of flow by proxy."""
REAL_ONLY = frozenset(PROXIED)
"""Pseudo trades are not told to these."""
