"""Random tapes for simulated matching: market events and requests in a narrow price range."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from data.events import OrderType

MS = 1_000_000
START = 1_700_000_000_000_000_000 // (60 * 10**9) * (60 * 10**9)
MID = 1000
BOUNDARY = 5 * 10**9

Op = tuple[Any, ...]


def _levels(start: int, step: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Up to four levels from ``start`` outwards with small gaps and sizes."""
    gaps = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 5)), max_size=4)

    def lay(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        price, levels = start - step, []
        for gap, qty in pairs:
            price += step * gap
            levels.append((price, qty))
        return levels

    return gaps.map(lay)


prices = st.integers(MID - 5, MID + 5)
sizes = st.integers(1, 6)
sides = st.sampled_from([-1, 1])
later = st.sampled_from([0, 0, 1, 5, 20, 200, 1500]) | st.sampled_from([-30, -3])


@st.composite
def _depth(draw: Any) -> Op:
    mid = draw(prices)
    crossed = draw(st.integers(0, 20)) == 0
    low = mid + 1 if crossed else mid
    return "depth", draw(_levels(low, -1)), draw(_levels(mid + draw(st.integers(1, 3)), 1))


@st.composite
def _quote(draw: Any) -> Op:
    bid = draw(prices)
    return (
        "quote",
        bid,
        draw(st.integers(0, 4)),
        bid + draw(st.integers(0, 2)),
        draw(st.integers(0, 4)),
    )


@st.composite
def _bar(draw: Any) -> Op:
    a, b, c, d = (draw(prices) for _ in range(4))
    return "bar", draw(st.sampled_from([10, 60])), a, max(a, b, c, d), min(a, b, c, d), d


@st.composite
def _submit(draw: Any) -> Op:
    kind = draw(st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT]))
    side, price = draw(sides), draw(prices)
    away = draw(st.sampled_from([0, 1, 2, 3]))
    aim = draw(st.sampled_from([0, 1, 2, 4]))
    stop = price - side * away if away else 0
    target = price + side * aim if aim else 0
    return (
        "submit", int(kind), side, draw(sizes), price if kind == OrderType.LIMIT else 0, stop,
        target, draw(st.sampled_from([0, 0, 1])), draw(st.sampled_from([0, 0, 1, 2])),
        draw(st.sampled_from([0, 0, 1, 4])),
    )  # fmt: skip


_trades = st.tuples(
    st.just("trades"),
    st.lists(st.tuples(later, prices, sizes, st.sampled_from([-1, 0, 1])), min_size=1, max_size=6),
)
ops = st.one_of(
    _trades, _trades, _trades, _depth(), _depth(), _quote(), _bar(),
    _submit(), _submit(), _submit(),
    st.tuples(st.just("cancel"), st.integers(1, 12)),
    st.tuples(st.just("move"), st.integers(1, 4), prices | st.just(0)),
    st.just(("boundary",)), st.just(("clock",)),
)  # fmt: skip
tapes = st.lists(st.tuples(later, ops), min_size=1, max_size=40)

params = st.fixed_dictionaries(
    {
        "mul": st.sampled_from([1, 10_000]),
        "div": st.sampled_from([1, 1000]),
        "qty_unit": st.sampled_from([1, 1000]),
        "order_latency_ns": st.sampled_from([0, 5 * MS, 50 * MS]),
        "response_latency_ns": st.sampled_from([0, 5 * MS, 300 * MS]),
        "stale_ns": st.sampled_from([20 * MS, 2000 * MS]),
        "price_stale_ns": st.sampled_from([0, 0, 2000 * MS]),
        "half_spread": st.integers(0, 2),
        "slippage": st.integers(0, 1),
        "taker_ppb": st.sampled_from([0, 400_000]),
        "maker_ppb": st.sampled_from([0, 200_000, -100_000]),
        "fee_unit": st.sampled_from([0, 37]),
        "margin_ppb": st.sampled_from([0, 0, 50_000_000]),
        "stop_out_ppb": st.sampled_from([0, 500_000_000, 1_000_000_000, 3_000_000_000]),
        "start_balance": st.sampled_from([1_500, 1_500, 20_000, 3_000_000, 10**12]),
        "hedging": st.sampled_from([0, 1]),
        "queue_model": st.integers(0, 3),
        "queue_power": st.integers(1, 3),
        "qty_step": st.sampled_from([1, 1, 1, 2]),
        "price_step": st.sampled_from([1, 1, 1, 2]),
    }
)


class Market:
    """A seeded market with a book that trades hit: what waits gets served, stopped and closed."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.mid = MID
        self.has = self.r.choice(["all", "all", "all", "all", "trades", "quotes", "bars"])
        self.orders = 0

    def tape(self, steps: int) -> list[tuple[int, Op]]:
        """A tape of ``steps`` operations."""
        return [(self.r.choice([0, 1, 5, 20, 60, 300, -3, -30]), self.op()) for _ in range(steps)]

    def op(self) -> Op:
        r = self.r
        what = r.choices(["event", "submit", "cancel", "move", "look"], [60, 22, 6, 4, 10])[0]
        if what == "submit":
            return self.submit()
        if what == "cancel":
            return "cancel", max(1, self.orders - r.randint(0, 5))
        if what == "move":
            return "move", r.randint(1, 12), self.mid + r.randint(-4, 4)
        if what == "look":
            return (r.choice(["boundary", "boundary", "clock"]),)
        self.mid += r.choice([0, 0, 0, 0, 1, -1, 2, -2])
        kinds = {"all": "ttttddqb", "trades": "t", "quotes": "qqqt", "bars": "b"}[self.has]
        return {"t": self.trades, "d": self.depth, "q": self.quote, "b": self.bar}[
            r.choice(kinds)
        ]()

    def trades(self) -> Op:
        rows = []
        for _ in range(self.r.randint(1, 5)):
            side = self.r.choice([-1, 1])
            beyond = self.r.choice([0, 0, 0, 0, 1, 2])
            price = self.mid + (1 + beyond if side > 0 else -beyond)
            step, side = self.r.choice([0, 0, 1, 10]), self.r.choice([side] * 6 + [0])
            rows.append((step, price, self.r.randint(1, 6), side))
        return "trades", rows

    def depth(self) -> Op:
        sizes = [self.r.randint(0, 8) for _ in range(8)]
        deep = self.r.choice([0, 1, 4, 4, 4])
        bids = [(self.mid - k, sizes[k]) for k in range(deep)]
        return "depth", bids, [(self.mid + 1 + k, sizes[4 + k]) for k in range(deep)]

    def quote(self) -> Op:
        r = self.r
        return (
            "quote",
            self.mid,
            r.randint(0, 8),
            self.mid + r.choice([0, 1, 1, 2]),
            r.randint(0, 8),
        )

    def bar(self) -> Op:
        r = self.r
        open_, self.mid = self.mid, self.mid + r.randint(-3, 3)
        high, low = max(open_, self.mid) + r.randint(0, 2), min(open_, self.mid) - r.randint(0, 2)
        return "bar", r.choice([1, 60]), open_, high, low, self.mid

    def submit(self) -> Op:
        r = self.r
        self.orders += 1
        side, limit = r.choice([-1, 1]), r.random() < 0.7
        price = self.mid + (0 if side > 0 else 1) - side * r.choice([0, 0, 0, 1, 2, -1])
        stop = price - side * r.randint(1, 5) if r.random() < 0.5 else 0
        target = price + side * r.randint(1, 5) if r.random() < 0.5 else 0
        return (
            "submit", int(limit), side, 2 * r.randint(1, 5), price if limit else 0, stop, target,
            int(r.random() < 0.2), r.choice([0, 0, 0, 1, 2]), r.choice([0, 0, 1, 4]),
        )  # fmt: skip


markets = st.builds(
    lambda seed, steps: Market(seed).tape(steps), st.integers(0, 10**9), st.sampled_from([30, 150])
)


def play(tape: list[tuple[int, Op]], *brokers: Any) -> list[list[Any]]:
    """Give ``tape`` to every broker; what each answered and showed, one list a broker.

    An event has a number of its own as its id; a broker with ``trades`` gets runs of trades whole.

    Market times may step back; boundaries, clocks and requests never do, as in a fold.
    """
    said: list[list[Any]] = [[] for _ in brokers]
    ts, now, id_ = START, START, 0
    for step, (what, *args) in tape:
        ts += step * MS
        now = max(now, ts)
        id_ += 1
        if what == "boundary" and id_ % 3 == 0:
            now = -(-now // BOUNDARY) * BOUNDARY
        for broker, answers in zip(brokers, said, strict=True):
            answers.append(_one(broker, what, args, ts, now, id_))
        if what == "trades":
            ts += sum(t[0] for t in args[0]) * MS
            now = max(now, ts)
            id_ += len(args[0])
        if what == "bar":
            ts += args[0] * 1000 * MS
            now = max(now, ts)
    for broker, answers in zip(brokers, said, strict=True):
        broker.clock(now + 10**9)
        answers.append(broker.view())
        broker.finish()
    return said


def _one(broker: Any, what: str, args: list[Any], ts: int, now: int, id_: int) -> Any:
    if what == "trades":
        rows, at = [], ts
        for k, (step, price, qty, side) in enumerate(args[0]):
            at += step * MS
            rows.append((at, id_ + k, price, qty, side))
        if hasattr(broker, "trades"):
            return broker.trades(rows) and None
        for row in rows:
            broker.trade(*row)
        return None
    if what == "bar":
        length, open_, high, low, close = args
        return broker.bar(ts + length * 1000 * MS, id_, ts, open_, high, low, close)
    if what in ("depth", "quote"):
        return getattr(broker, what)(ts, id_, *args)
    if what == "submit":
        return broker.submit(now, id_, *args)
    if what == "cancel":
        return broker.cancel(now, *args)
    if what == "move":
        return broker.move_stop(now, *args)
    getattr(broker, what)(now)
    return broker.view()
