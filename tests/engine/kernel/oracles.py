"""Slow, obvious references for every handler: dicts, lists and Fractions, one event at a time.

Written from the documents, not from the kernel: a window is the list of its trades, a candle is
the list of its trades, a book is two lists of levels. :class:`Reference` repeats the little that
the core decides (boundaries, sessions, gaps) and hands each event to the oracles; ``check``
compares an oracle with the state record of the real handler.
"""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from typing import Any

from data.events import Kind
from tests.engine.kernel import oracle_footprints
from tests.engine.kernel.oracle import Event, Oracle, S, Trade
from tests.engine.kernel.oracle_absorption import Absorption
from tests.engine.kernel.oracle_candles import Candles, Footprint
from tests.engine.kernel.oracle_classifier import CLASSIFIER
from tests.engine.kernel.oracle_divergence import CvdDivergence, Impact, Pivots
from tests.engine.kernel.oracle_levels import Atr, VwapDeviation
from tests.engine.kernel.oracle_market import MARKET
from tests.engine.kernel.oracle_plans import PLANNED
from tests.engine.kernel.oracle_proxy import PROXIED, REAL_ONLY
from tests.engine.kernel.oracle_sweep import Sweep
from tests.engine.kernel.oracle_trading import TRADING
from tests.engine.kernel.oracle_trend import CvdTrend, DeltaDivergence, Recent
from tests.engine.kernel.oracle_walls import WALLED

SPANS = (1, 5, 15, 30, 60, 300)
INVALID = 2


class Sides(Oracle):
    """Flag, else quote rule on a fresh uncrossed quote, else tick rule, else unknown."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.prices: list[int] = []
        self.quoted: tuple[int, int, int] | None = None
        self.by = dict.fromkeys(("flag", "quote", "tick", "unknown", "invalid"), 0)

    def see(self, ts: int, bid: int, ask: int) -> None:
        self.quoted = (ts, bid, ask) if 0 < bid < ask else None

    def depth(self, e: Event) -> None:
        if e["bid_price"] and e["ask_price"]:
            self.see(e["ts_ns"], e["bid_price"][0], e["ask_price"][0])

    def quote(self, e: Event) -> None:
        self.see(e["ts_ns"], e["bid"], e["ask"])

    def tick(self) -> int:
        changes = [b - a for a, b in zip(self.prices, self.prices[1:], strict=False) if a != b]
        return 0 if not changes else (1 if changes[-1] > 0 else -1)

    def by_quote(self, ts: int, price: int) -> int:
        if self.quoted is None or not 0 <= ts - self.quoted[0] <= self.market.quote_age:
            return 0
        middle = Fraction(self.quoted[1] + self.quoted[2], 2)
        return 1 if price > middle else -1 if price < middle else 0

    def resolve(self, e: Event) -> int:
        price, qty, flag = e["price"], e["qty"], e["side"]
        if price <= 0 or qty <= 0 or price * qty >= 2**62 or flag not in (-1, 0, 1):
            self.by["invalid"] += 1
            return INVALID
        self.prices = [*self.prices[-1:], price] if self.prices[-1:] != [price] else self.prices
        tick, quote = self.tick(), self.by_quote(e["ts_ns"], price)
        order = [("flag", flag), ("quote", quote), ("tick", tick)]
        if self.market.seed_sides:
            order.insert(0, order.pop())
        for name, side in order:
            if side:
                self.by[name] += 1
                return side
        self.by["unknown"] += 1
        return 0

    def check(self, s: Any) -> None:
        have = {
            name: int(s[name if name in ("unknown", "invalid") else "by_" + name])
            for name in self.by
        }
        assert have == self.by
        assert int(s["tick_dir"]) == self.tick()
        assert int(s["last_price"]) == (self.prices[-1] if self.prices else 0)


class Flow(Oracle):
    """Sums since the session began."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.trades: list[Trade] = []
        self.sessions = 0
        self.approximate = 0

    def trade(self, t: Trade) -> None:
        self.trades.append(t)

    def session(self) -> None:
        self.trades, self.approximate = [], 0
        self.sessions += 1

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.approximate = 1

    def check(self, s: Any) -> None:
        total = {d: sum(q for _, _, q, side in self.trades if side == d) for d in (-1, 0, 1)}
        assert int(s["cvd"]) == total[1] - total[-1]
        assert (int(s["buy"]), int(s["sell"]), int(s["unknown"])) == (total[1], total[-1], total[0])
        assert int(s["trades"]) == len(self.trades)
        assert (int(s["sessions"]), int(s["approximate"])) == (self.sessions, self.approximate)


class Windows(Oracle):
    """[now - span, now) over all trades but those that came later than the ring remembers."""

    RING = 512

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.trades: list[tuple[int, int, int]] = []
        self.head: int | None = None
        self.late = 0
        self.sums: list[tuple[int, ...]] = [(0, 0, 0, 0, 0)] * len(SPANS)

    def reach(self, second: int) -> None:
        self.head = second if self.head is None else max(self.head, second)

    def trade(self, t: Trade) -> None:
        second = t[0] // S
        self.reach(second)
        assert self.head is not None
        if second <= self.head - self.RING:
            self.late += 1
        else:
            self.trades.append((second, t[2], t[3]))

    def boundary(self, now: int) -> None:
        self.reach(now // S)
        self.trades = [t for t in self.trades if t[0] > now // S - self.RING]
        self.sums = []
        for span in SPANS:
            inside = [t for t in self.trades if now // S - span <= t[0] < now // S]
            buys = [q for _, q, side in inside if side > 0]
            sells = [q for _, q, side in inside if side < 0]
            largest = max((q for _, q, _ in inside), default=0)
            self.sums.append((sum(buys), sum(sells), len(buys), len(sells), largest))

    def check(self, s: Any) -> None:
        names = ("buy", "sell", "buys", "sells", "largest")
        have = [tuple(int(s[name][w]) for name in names) for w in range(len(SPANS))]
        assert have == self.sums
        assert int(s["late"]) == self.late


def weighted(trades: list[Trade]) -> tuple[Fraction, Fraction]:
    """(mean, variance) of price weighted by quantity, exactly."""
    volume = sum(t[2] for t in trades)
    mean = Fraction(sum(t[1] * t[2] for t in trades), volume)
    return mean, sum((t[2] * (t[1] - mean) ** 2 for t in trades), Fraction(0)) / volume


class Vwap(Oracle):
    """The whole list of trades, weighed in Fractions."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.session_trades: list[Trade] = []
        self.anchored: list[Trade] = []

    def trade(self, t: Trade) -> None:
        self.session_trades.append(t)
        if self.anchored or t[0] >= self.market.anchor:
            self.anchored.append(t)

    def session(self) -> None:
        self.session_trades = []

    def check(self, s: Any) -> None:
        for name, trades in (("session", self.session_trades), ("anchored", self.anchored)):
            v = s[name]
            if not trades:
                assert float(v["weight"]) == 0.0
                continue
            mean, variance = weighted(trades)
            assert float(v["weight"]) == sum(t[2] for t in trades)
            assert math.isclose(float(v["origin"]) + float(v["mean"]), mean, rel_tol=1e-13)
            have = float(v["squares"]) / float(v["weight"])
            assert math.isclose(have, variance, rel_tol=1e-9, abs_tol=1e-9 * float(mean))


def cont(new: list[tuple[int, int]], old: list[tuple[int, int]]) -> int:
    """e_n of Cont, Kukanov and Stoikov for ((bid, qty), (ask, qty)), term by term."""
    (pb, qb), (pa, qa) = new
    (pb0, qb0), (pa0, qa0) = old
    return (pb >= pb0) * qb - (pb <= pb0) * qb0 - (pa <= pa0) * qa + (pa >= pa0) * qa0


class Book(Oracle):
    """Two lists of levels; flow of every pair of snapshots that may be compared."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.last: Event | None = None
        self.linked = False
        self.crossed = self.snapshots = 0
        self.flows: list[tuple[int, int]] = []
        self.levels: dict[int, int] = defaultdict(int)
        self.head: int | None = None
        self.want: dict[str, Any] = {"mlofi": [0] * 10, "ofi": [0] * len(SPANS), "stale": 0}

    def depth(self, e: Event) -> None:
        self.snapshots += 1
        if e["bid_price"] and e["ask_price"] and e["bid_price"][0] >= e["ask_price"][0]:
            self.crossed += 1
            return
        if self.linked and self.last is not None:
            self.compare(e, self.last)
        self.last, self.linked = e, True

    def compare(self, e: Event, old: Event) -> None:
        depth = min(10, *(len(x[k]) for x in (e, old) for k in ("bid_price", "ask_price")))
        for m in range(depth):
            pair = [
                [(x[s + "_price"][m], x[s + "_qty"][m]) for s in ("bid", "ask")] for x in (e, old)
            ]
            flow = cont(*pair)
            self.levels[m] += flow
            if m == 0:
                second = e["ts_ns"] // S
                self.head = second if self.head is None else max(self.head, second)
                if second > self.head - Windows.RING:
                    self.flows.append((second, flow))

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.DEPTH:
            self.linked = False

    def boundary(self, now: int) -> None:
        second = now // S
        self.head = second if self.head is None else max(self.head, second)
        self.flows = [f for f in self.flows if f[0] > second - Windows.RING]
        ofi = [sum(x for t, x in self.flows if second - span <= t < second) for span in SPANS]
        self.want = {"ofi": ofi, "mlofi": [self.levels[m] for m in range(10)], **self.measures(now)}
        self.levels.clear()

    def measures(self, now: int) -> dict[str, Any]:
        none = {"stale": 1, "imbalance5_fp9": 0, "imbalance10_fp9": 0, "imbalance25_fp9": 0,
                "bid_share": 0.5, "seed_sign": 0, "queue": 0.0, "micro": 0.0,
                "mid2": 0}  # fmt: skip
        e = self.last
        if e is None or not e["bid_price"] or not e["ask_price"]:
            return none
        if now - e["ts_ns"] > self.market.stale:
            return none
        bids, asks = e["bid_qty"], e["ask_qty"]
        share = Fraction(sum(bids), sum(bids) + sum(asks))
        qb, qa, pb, pa = bids[0], asks[0], e["bid_price"][0], e["ask_price"][0]
        logs = {
            f"imbalance{n}_fp9": round(math.log(sum(bids[:n]) / sum(asks[:n])) * 1e9)
            for n in (5, 10, 25)
        }
        sign = 1 if float(share) > 0.6 else -1 if float(share) < 0.4 else 0
        return {
            "stale": 0, **logs, "bid_share": float(share), "seed_sign": sign,
            "queue": float(Fraction(qb - qa, qb + qa)), "mid2": pb + pa,
            "micro": float(Fraction(qa * pb + qb * pa, qb + qa)),
        }  # fmt: skip

    def check(self, s: Any) -> None:
        assert (int(s["crossed"]), int(s["snapshots"])) == (self.crossed, self.snapshots)
        for name, want in self.want.items():
            if isinstance(want, float):
                assert math.isclose(float(s[name]), want, rel_tol=1e-14, abs_tol=1e-300), name
            elif name.startswith("imbalance"):
                assert abs(int(s[name]) - want) <= 1, name
            else:
                assert s[name].tolist() == want, name


ORACLES: dict[str, type[Oracle]] = {
    "sides": Sides, "flow": Flow, "windows": Windows, "candles": Candles,
    "footprint": Footprint, "vwap": Vwap, "book": Book, "atr": Atr, **MARKET, **TRADING,
    **WALLED, **PROXIED,
    "pivots": Pivots, "impact": Impact, "cvd_divergence": CvdDivergence,
    "recent": Recent, "delta_divergence": DeltaDivergence, "cvd_trend": CvdTrend,
    "vwap_deviation": VwapDeviation,
    "absorption": Absorption,
    "sweep": Sweep,
}  # fmt: skip
"""One oracle for every handler of the registry; the suite fails for a handler without one."""
ORACLES |= oracle_footprints.ORACLES
ORACLES |= PLANNED
ORACLES |= CLASSIFIER


class Reference:
    """What the core decides, repeated plainly: boundaries, sessions, gaps, invalid trades."""

    step, idle, session_ns = 5 * S, 3600 * S, 86_400 * S
    quote_age = grace = S
    stale = 5 * S
    seed_sides = False
    row_units = 1
    anchor = 0
    flag = 0

    def __init__(self, names: tuple[str, ...], latency: dict[Kind, int] | None = None,
                 **settings: int) -> None:  # fmt: skip
        self.latency = latency or {}
        for name, value in settings.items():
            setattr(self, name, value)
        self.oracles = {n: ORACLES[n](self) for n in ORACLES if n in {*names, "sides"}}
        self.next: int | None = None
        self.end = 0
        self.heard = 0
        self.skipped = 0
        self.boundaries: list[int] = []

    def oracle(self, name: str) -> Any:
        return self.oracles[name]

    def new_session(self, ts: int) -> None:
        self.end = (ts // self.session_ns + 1) * self.session_ns
        for o in self.oracles.values():
            o.session()

    def reach(self, at: int) -> None:
        if self.next is None:
            self.next = (at // self.step + 1) * self.step
            self.heard = at
            self.new_session(at)
        while self.next <= at:
            now = self.next
            self.pseudo(now)
            if now > self.end:
                self.new_session(now)
            for o in self.oracles.values():
                o.boundary(now)
            self.boundaries.append(now)
            self.next, last = now + self.step, at // self.step * self.step
            if self.next < last and self.next - self.heard > self.idle:
                self.skipped += (last - self.next) // self.step
                self.next = last
        self.pseudo(at)

    def pseudo(self, at: int) -> None:
        """What quotes come to by engine time ``at``."""
        if "proxy" in self.oracles:
            self.fold_pseudo(self.oracle("proxy").due(at))

    def fold_pseudo(self, trades: list[Trade]) -> None:
        """Trades that never were, told to every oracle but those that hear real ones only."""
        if not trades:
            return
        if trades[0][0] >= self.end:
            self.new_session(trades[0][0])
        if "candles" in self.oracles:
            self.oracle("candles").time(trades[0][0])
        self.flag = 0
        for name, o in self.oracles.items():
            if name not in REAL_ONLY:
                for t in trades:
                    o.trade(t)

    def event(self, e: Event) -> None:
        ts, kind = e["ts_ns"], Kind(e["kind"])
        at = ts + self.latency.get(kind, 0)
        self.reach(at)
        self.flag = e.get("side", 0)
        if kind == Kind.TRADE:
            if not self.trade(e):
                return
        elif kind in (Kind.DEPTH, Kind.QUOTE):
            for o in self.oracles.values():
                (o.depth if kind == Kind.DEPTH else o.quote)(e)
        elif kind == Kind.BAR and "proxy" in self.oracles:
            self.fold_pseudo(self.oracle("proxy").bar(e))
        elif kind == Kind.GAP and not e["filled"]:
            stream = e["stream"]
            if "proxy" in self.oracles and self.oracle("proxy").hears(stream, e["from_ns"]):
                stream = int(Kind.TRADE)
            for o in self.oracles.values():
                o.gap(stream, e["from_ns"], e["to_ns"])
        elif kind == Kind.CONTROL:
            for o in self.oracles.values():
                o.control(e["code"])
        self.heard = max(self.heard, at)

    def trade(self, e: Event) -> bool:
        ts = e["ts_ns"]
        if ts >= self.end:
            self.new_session(ts)
        if "candles" in self.oracles:
            self.oracle("candles").time(ts)
        side = self.oracle("sides").resolve(e)
        if side == INVALID:
            return False
        for o in self.oracles.values():
            o.trade((ts, e["price"], e["qty"], side))
        return True
