"""Random tapes: mixed events of every kind, with all the disorder that real streams have.

A tape is a list of events in folding order, each a dict of columns; :class:`Packed` holds it as
the columns that a fold takes. Segments (a burst in one millisecond, an hour of silence, a gap, a
late trade ...) are drawn by hypothesis, so a failing tape shrinks to the segments that matter.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from data.events import DEPTH_LEVELS_MAX, Kind
from engine.kernel.events import COLUMNS, column_dtype

MS = 1_000_000
S = 1_000_000_000
MINUTE = 60 * S
HOUR = 3600 * S
DAY = 86_400 * S
START = 1_723_161_600 * S + 13 * HOUR + 17 * MINUTE + 3 * S + 250 * MS
"""2024-08-09T13:17:03.25Z: on no grid."""

Event = dict[str, Any]
LISTS = ("bid_price", "bid_qty", "ask_price", "ask_qty")


@dataclass(frozen=True)
class Packed:
    """A tape as columns by kind, the kind of every event, and rows of that kind before it."""

    columns: dict[Kind, dict[str, np.ndarray]]
    kinds: np.ndarray
    before: dict[Kind, np.ndarray]

    def __len__(self) -> int:
        return len(self.kinds)

    def batch(
        self, a: int, b: int
    ) -> tuple[dict[Kind, dict[str, np.ndarray]], np.ndarray, np.ndarray]:
        """Events [a, b) as ``Fold.feed`` takes them; the arrays hold nothing beyond b."""
        columns: dict[Kind, dict[str, np.ndarray]] = {}
        for kind, have in self.columns.items():
            i, j = int(self.before[kind][a]), int(self.before[kind][b])
            if i < j:
                columns[kind] = {name: _cut(kind, have, name, i, j) for name in have}
        kinds = self.kinds[a:b]
        ends = np.append(np.flatnonzero(np.diff(kinds)), len(kinds) - 1)[: len(kinds)]
        stops = [
            self.before[Kind(kinds[e])][a + e + 1] - self.before[Kind(kinds[e])][a] for e in ends
        ]
        return columns, kinds[ends].astype(np.int8), np.array(stops, dtype=np.int64)


def _cut(kind: Kind, have: dict[str, np.ndarray], name: str, i: int, j: int) -> np.ndarray:
    if kind == Kind.DEPTH and name.endswith("_offsets"):
        return have[name][i : j + 1]
    if kind == Kind.DEPTH and name in LISTS:
        return have[name][: have[name[:4] + "offsets"][j]]
    return have[name][i:j]


def pack(events: list[Event]) -> Packed:
    """The columns of ``events``."""
    columns: dict[Kind, dict[str, np.ndarray]] = {}
    kinds = np.array([e["kind"] for e in events], dtype=np.int8)
    before = {}
    for kind, names in COLUMNS.items():
        rows = [e for e in events if e["kind"] == kind]
        before[kind] = np.concatenate(([0], np.cumsum(kinds == kind))).astype(np.int64)
        if not rows:
            continue
        columns[kind] = {}
        for name in names:
            if kind == Kind.DEPTH and name.endswith("_offsets"):
                sizes = [len(e[name[:4] + "price"]) for e in rows]
                values: Any = np.concatenate(([0], np.cumsum(sizes)))
            elif kind == Kind.DEPTH and name in LISTS:
                values = [x for e in rows for x in e[name]]
            else:
                values = [e[name] for e in rows]
            columns[kind][name] = np.array(values, dtype=column_dtype(name))
    return Packed(columns, kinds, before)


class Author:
    """Writes events one by one; knows the time, the price and the last id."""

    def __init__(self, seed: int = 0) -> None:
        self.r = random.Random(seed)
        self.now = START
        self.price = 100_000
        self.id = 0
        self.events: list[Event] = []

    def add(self, kind: Kind, **values: Any) -> None:
        self.id += 1
        self.events.append({"kind": kind, "ts_ns": self.now, "id": self.id, **values})

    def trade(self, **values: Any) -> None:
        self.price = max(50, self.price + self.r.choice((-7, -1, -1, 0, 0, 0, 1, 1, 7)))
        side = self.r.choice((-1, -1, -1, 1, 1, 1, 0))
        qty = self.r.choice((1, 5, 20, self.r.randint(1, 100_000)))
        self.add(Kind.TRADE, **{"price": self.price, "qty": qty, "side": side, **values})

    def depth(self, bids: int = 25, asks: int = 25, spread: int = 1) -> None:
        def side(top: int, step: int, n: int) -> tuple[list[int], list[int]]:
            prices, at = [], top
            for _ in range(min(n, DEPTH_LEVELS_MAX)):
                if at < 1:
                    break
                prices.append(at)
                at += step * self.r.choice((1, 1, 1, 2, 9))
            return prices, [self.r.randint(1, 5000) for _ in prices]

        bid_price, bid_qty = side(self.price - self.r.choice((0, 0, 0, 1)), -1, bids)
        ask_price, ask_qty = side((bid_price[0] if bid_price else self.price) + spread, 1, asks)
        self.add(
            Kind.DEPTH, bid_price=bid_price, bid_qty=bid_qty, ask_price=ask_price, ask_qty=ask_qty
        )

    def quote(self, spread: int = 1) -> None:
        bid = self.price - self.r.choice((0, 1, 2))
        self.add(
            Kind.QUOTE, bid=bid, ask=bid + spread, bid_qty=self.r.randint(0, 500),
            ask_qty=self.r.randint(0, 500),
        )  # fmt: skip

    def bar(self) -> None:
        high, low = self.price + self.r.randint(0, 50), max(1, self.price - self.r.randint(0, 50))
        self.add(
            Kind.BAR, open_ns=self.now - MINUTE, open=low, high=high, low=low, close=self.price,
            volume=1, trades=self.id % 90,
        )  # fmt: skip

    def gap(self, stream: Kind, length_ns: int, filled: int = 0) -> None:
        start = self.now
        self.now += length_ns
        self.add(Kind.GAP, stream=int(stream), from_ns=start, to_ns=self.now, filled=filled)


def _trades(a: Author) -> None:
    pace = a.r.choice((0, MS, 50 * MS, S, 9 * S))
    for _ in range(a.r.randint(1, 40)):
        a.now += a.r.randint(0, pace)
        a.trade()


def _burst(a: Author) -> None:
    for _ in range(a.r.randint(100, 400)):
        a.trade()


def _silence(a: Author) -> None:
    a.now += a.r.choice((16 * S, MINUTE, 6 * MINUTE, 20 * MINUTE, 3 * HOUR)) + a.r.randint(0, S)


def _boundary(a: Author) -> None:
    """Trades just before, exactly on and just after whole multiples of five seconds."""
    edge = (a.now // (5 * S) + 1) * 5 * S
    for at in (edge - 1, edge, edge, edge + 1):
        a.now = max(a.now, at)
        a.trade()


def _late(a: Author) -> None:
    """Trades behind the time that others have reached, up to beyond the rings."""
    now = a.now
    for _ in range(a.r.randint(2, 12)):
        late = (
            1,
            MS,
            S,
            4 * S,
            20 * S,
            200 * S,
            299 * S,
            301 * S,
            500 * S,
            511 * S,
            512 * S,
            700 * S,
        )
        a.now = now - a.r.choice(late)
        if a.r.random() < 0.5:
            a.trade()
        else:
            a.trade(side=0)
    a.now = now


def _books(a: Author) -> None:
    for _ in range(a.r.randint(1, 12)):
        a.now += a.r.choice((0, 100 * MS, 100 * MS, 2 * S))
        spread = a.r.choice((1, 1, 3, 40, 0, -2))
        bids, asks = a.r.choice(((25, 25), (5, 7), (1, 1), (3, 0), (0, 2), (0, 0), (12, 25)))
        a.depth(bids, asks, spread)
        if a.r.random() < 0.3:
            a.trade()


def _quotes(a: Author) -> None:
    for _ in range(a.r.randint(1, 8)):
        a.now += a.r.choice((0, MS, 900 * MS, 3 * S))
        a.quote(a.r.choice((1, 1, 2, 5, 0, -1)))
        a.trade(side=a.r.choice((0, 0, 1, -1)))


def _gap(a: Author) -> None:
    stream = a.r.choice((Kind.TRADE, Kind.DEPTH, Kind.QUOTE))
    a.gap(stream, a.r.choice((0, 3 * S, 50 * S, 11 * MINUTE)), a.r.choice((0, 0, 1)))


def _session(a: Author) -> None:
    """Up to, onto and past midnight."""
    a.now = (a.now // DAY + 1) * DAY - a.r.choice((1, MS, 7 * S))
    a.trade()
    a.now += a.r.choice((1, MS, 7 * S, 6 * S))
    a.trade()


def _jump(a: Author) -> None:
    a.price = max(50, a.price * a.r.choice((1, 3)) // a.r.choice((1, 2, 4)))
    a.trade()


def _other(a: Author) -> None:
    what = a.r.choice(("bar", "clock", "pause", "resume", "resume"))
    if what == "bar":
        a.bar()
    elif what == "clock":
        a.add(Kind.CLOCK)
    else:
        a.add(Kind.CONTROL, code=1 if what == "pause" else 2, value=0)


def _invalid(a: Author) -> None:
    """Trades whose numbers cannot be folded, alone or between good ones."""
    bad = ({"price": 0}, {"qty": 0}, {"price": -5}, {"qty": -1}, {"qty": 1 << 60}, {"side": 3})
    for _ in range(a.r.randint(1, 4)):
        price = a.price
        a.trade(**a.r.choice(bad))
        a.price = price
        if a.r.random() < 0.5:
            a.trade()


SEGMENTS = {
    f.__name__.strip("_"): f
    for f in (
        _trades, _boundary, _books, _quotes, _late, _silence, _gap, _other, _jump, _session,
        _invalid, _burst,
    )
}  # fmt: skip


Plot = list[tuple[str, int]]
"""What a tape is written from: segments by name, each with its seed."""


def write(segments: Plot) -> list[Event]:
    """The events of named segments, each with its own seed."""
    a = Author()
    for name, seed in segments:
        a.r = random.Random(seed)
        SEGMENTS[name](a)
    return a.events


def tapes(most: int = 12, without: tuple[str, ...] = ()) -> st.SearchStrategy[Plot]:
    """Plots of up to ``most`` segments."""
    names = st.sampled_from([n for n in SEGMENTS if n not in without])
    return st.lists(st.tuples(names, st.integers(0, 2**20)), min_size=1, max_size=most)


def fixed(seed: int = 7, segments: int = 60) -> list[Event]:
    """One long tape, the same in every process, with every segment in it."""
    r = random.Random(seed)
    names = [
        *SEGMENTS,
        *["other"] * 8,
        *r.choices(list(SEGMENTS), k=max(0, segments - len(SEGMENTS))),
    ]
    return write([(name, r.randint(0, 2**20)) for name in names])


def mirrored(events: list[Event], centre: int) -> list[Event]:
    """Every side turned round and every price p made ``centre - p``, books swapped."""
    out = []
    for e in events:
        m = dict(e)
        if e["kind"] == Kind.TRADE:
            m.update(price=centre - e["price"], side=-e["side"])
        elif e["kind"] == Kind.QUOTE:
            m.update(bid=centre - e["ask"], ask=centre - e["bid"], bid_qty=e["ask_qty"],
                     ask_qty=e["bid_qty"])  # fmt: skip
        elif e["kind"] == Kind.DEPTH:
            m.update(
                bid_price=[centre - x for x in e["ask_price"]], bid_qty=e["ask_qty"],
                ask_price=[centre - x for x in e["bid_price"]], ask_qty=e["bid_qty"],
            )  # fmt: skip
        elif e["kind"] == Kind.BAR:
            m.update(open=centre - e["open"], close=centre - e["close"], high=centre - e["low"],
                     low=centre - e["high"])  # fmt: skip
        out.append(m)
    return out


def scaled(events: list[Event], *, price: int = 1, qty: int = 1) -> list[Event]:
    """Every price times ``price`` and every quantity times ``qty``."""
    factor = {
        **dict.fromkeys(("price", "bid", "ask", "open", "high", "low", "close"), price),
        **dict.fromkeys(("bid_price", "ask_price"), price),
        **dict.fromkeys(("qty", "bid_qty", "ask_qty"), qty),
    }

    def times(value: Any, k: int) -> Any:
        return [x * k for x in value] if isinstance(value, list) else value * k

    return [{n: times(v, factor[n]) if n in factor else v for n, v in e.items()} for e in events]


def market(seed: int = 1, seconds: int = 900, trades_a_second: int = 4) -> list[Event]:
    """A calm market with bursts of one-sided flow: trades, a book a second, bars, a gap."""
    a = Author(seed)
    lean = 0.0
    for n in range(seconds):
        if n % 20 == 0:
            lean = a.r.choice((-0.35, 0.0, 0.0, 0.35))
        for _ in range(a.r.randint(0, 2 * trades_a_second)):
            a.now += a.r.randint(0, S // (2 * trades_a_second))
            side = 1 if a.r.random() < 0.5 + lean else -1
            a.price = max(1000, a.price + side * a.r.choice((0, 0, 1, 3)))
            a.add(Kind.TRADE, price=a.price, qty=a.r.randint(1, 3000), side=side)
        a.now = START + (n + 1) * S
        a.depth()
        if n % 60 == 59:
            a.bar()
        if n == seconds // 2:
            a.gap(Kind.TRADE, 0)
    return a.events
