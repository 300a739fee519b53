"""Candles and footprints as lists of trades: the slow, obvious reference."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

from data.events import Kind
from tests.engine.kernel.oracle import Oracle, S, Trade

FRAMES = (15 * S, 60 * S, 300 * S)


class Candle:
    """One candle: its trades, and what it would show without any."""

    def __init__(self, start: int, price: int) -> None:
        self.start, self.price = start, price
        self.trades: list[Trade] = []
        self.gap = 0

    def view(self) -> dict[str, int]:
        prices = [t[1] for t in self.trades] or [self.price]
        running, delta = [0], 0
        for _, _, q, side in self.trades:
            delta += q * side
            running.append(delta)
        return {
            "open_ns": self.start, "open": prices[0], "high": max(prices), "low": min(prices),
            "close": prices[-1], "volume": sum(t[2] for t in self.trades),
            "buy": sum(t[2] for t in self.trades if t[3] > 0),
            "sell": sum(t[2] for t in self.trades if t[3] < 0), "trades": len(self.trades),
            "delta_min": min(running), "delta_max": max(running), "flags": self.gap,
        }  # fmt: skip


class Candles(Oracle):
    """A list of candles a frame; a late trade goes into the open one."""

    RING = 256

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.open: list[Candle] = []
        self.closed: list[list[Candle]] = [[], [], []]
        self.last: int = 0
        self.late = 0

    @property
    def end(self) -> int:
        return self.open[0].start + FRAMES[0]

    def close(self) -> None:
        end = self.end
        if self.open[0].trades:
            self.last = self.open[0].trades[-1][1]
        ending = [f for f, length in enumerate(FRAMES) if self.open[f].start + length == end]
        for f in ending:
            self.closed[f].append(self.open[f])
            self.open[f] = Candle(end, self.last)
        for o in self.market.oracles.values():
            o.candle(len(ending))

    def time(self, ts: int) -> None:
        while self.open and ts >= self.end:
            self.close()

    def trade(self, t: Trade) -> None:
        if not self.open:
            self.open = [Candle(t[0] // x * x, t[1]) for x in FRAMES]
        self.late += t[0] < self.open[0].start
        for c in self.open:
            c.trades.append(t)

    def boundary(self, now: int) -> None:
        while self.open and self.end + self.market.grace <= now:
            self.close()

    def gap(self, stream: int, start: int, end: int) -> None:
        """Open candles, and closed ones of the ring that reach beyond the hole's start."""
        if stream != Kind.TRADE:
            return
        for f, c in enumerate(self.open):
            c.gap = 1
            for old in self.closed[f][-self.RING :]:
                if old.start + FRAMES[f] > start:
                    old.gap = 1

    def check(self, s: Any) -> None:
        assert [int(x) for x in s["closed"]] == [len(x) for x in self.closed]
        assert int(s["late"]) == self.late
        for f, c in enumerate(self.open):
            self.same(s["ring"], f, self.closed[f])
            view = c.view()
            if f > 0:  # a longer candle holds what its closed 15 s candles hold
                view = self.without_open(f)
            have = s["open"][f]
            assert {k: int(have[k]) for k in view} == view, f"open candle of frame {f}"

    def without_open(self, f: int) -> dict[str, int]:
        whole, small = self.open[f], self.open[0]
        part = Candle(whole.start, whole.price)
        part.trades = whole.trades[: len(whole.trades) - len(small.trades)]
        part.gap = whole.gap
        return part.view()

    def same(self, ring: Any, f: int, closed: list[Candle]) -> None:
        for back in (*range(1, 24), 100, self.RING):
            if back <= len(closed):
                view = closed[-back].view()
                have = ring[f * self.RING + (len(closed) - back) % self.RING]
                assert {k: int(have[k]) for k in view} == view, f"frame {f}, {back} candles ago"


Rows = dict[int, list[int]]


def rows_of(trades: list[Trade], units: int, shift: int) -> Rows:
    """[sell, unknown, buy] quantity by absolute row; a row is ``units * 2**shift`` high."""
    rows: Rows = defaultdict(lambda: [0, 0, 0])
    for _, price, qty, side in trades:
        rows[price // units >> shift][side + 1] += qty
    return dict(rows)


def least_shift(trades: list[Trade], units: int, rows: int = 2048) -> int:
    """How often rows must merge until the range of the trades fits into ``rows``."""
    low, high = min(t[1] for t in trades) // units, max(t[1] for t in trades) // units
    shift = 0
    while (high >> shift) - (low >> shift) + 1 > rows:
        shift += 1
    return shift


def profile(volumes: dict[int, int], share: Fraction) -> tuple[int, int, int, Fraction]:
    """(poc, low, high, share reached) by the rules of the reference 4.1, exactly."""
    total = sum(volumes.values())
    poc = max(volumes, key=lambda row: (volumes[row], row))
    first, last = min(volumes), max(volumes)
    low = high = poc
    inside = volumes[poc]
    while Fraction(inside, total) < share:
        up = (volumes.get(high + 1, 0), poc - (high + 1), 1) if high < last else None
        down = (volumes.get(low - 1, 0), (low - 1) - poc, 0) if low > first else None
        best = max(x for x in (up, down) if x is not None)
        inside += best[0]
        high, low = (high + 1, low) if best is up else (high, low - 1)
    return poc, low, high, Fraction(inside, total)


class Footprint(Oracle):
    """Rows from the trades of the candles, which the candle oracle keeps."""

    def check(self, s: Any) -> None:
        candles = self.market.oracle("candles")
        if not candles.open:
            return
        counts = [len(c.trades) for c in candles.open]
        parts = [candles.open[0].trades]
        parts += [candles.open[f].trades[: counts[f] - counts[0]] for f in (1, 2)]
        # the five-minute grid is added to a minute at a time
        minute = counts[1]
        parts[2] = candles.open[2].trades[: counts[2] - minute]
        for name, trades in zip(("quarter", "minute", "five"), parts, strict=True):
            self.same_grid(s[name], trades)

    def same_grid(self, g: Any, trades: list[Trade]) -> None:
        assert bool(g["used"]) == bool(trades)
        if not trades:
            assert not g["cells"].any()
            return
        shift = least_shift(trades, self.market.row_units)
        assert int(g["shift"]) == shift
        have: Rows = {}
        for x in range(g["cells"].shape[1]):
            cell = [int(v) for v in g["cells"][:, x]]
            if any(cell):
                have[int(g["base"]) + x] = cell
        assert have == rows_of(trades, self.market.row_units, shift)

    def described(self, candle: Candle) -> dict[str, int]:
        """poc and value area as the candle record shows them: lower edges, share at 1e-9."""
        if not candle.trades:
            return {"poc": 0, "value_low": 0, "value_high": 0, "value_fp9": 0}
        units = self.market.row_units
        shift = least_shift(candle.trades, units)
        volumes = {r: sum(v) for r, v in rows_of(candle.trades, units, shift).items()}
        poc, low, high, share = profile(volumes, Fraction(7, 10))
        edge = [(row << shift) * units for row in (poc, low, high)]
        return {"poc": edge[0], "value_low": edge[1], "value_high": edge[2],
                "value_fp9": round(share * 10**9)}  # fmt: skip

    def check_closed(self, ring: Any, most: int = 12) -> None:
        candles = self.market.oracle("candles")
        for f, closed in enumerate(candles.closed):
            for n in range(max(0, len(closed) - most), len(closed)):
                want = self.described(closed[n])
                have = ring[f * candles.RING + n % candles.RING]
                assert {k: int(have[k]) for k in want} == want, f"frame {f}, candle {n}"
