"""The second generator: a limit order book of agents, with planted truth.

It shares nothing with the first one (:mod:`market`) but the tables that come out: there the price
follows a formula of impact, here it moves because queues run out. How liquidity is taken stands in
:mod:`agents_flow`, who provides it in :mod:`agents_book`, what is planted in :mod:`agents_script`.

    from data.sources.synthetic import agents
    from data.events import Kind

    m = agents.market(agents.AgentSpec(seed=3, duration_s=4 * 3600, patterns=agents.PATTERN_KINDS))
    m.tables[Kind.TRADE]["price"]   # int64, as data.events; also DEPTH, BAR and QUOTE
    m.labels                        # list[Label]; the null twin: replace(spec, null=True)

:func:`generate` gives the same market in chunks of bounded memory, as the log takes them.

A market and its null twin are bit for bit the same until the first pattern begins. From then on
their background orders are still the same (times, sides, wanted sizes), and so are news and the
draws of everybody who quotes; but the price keeps what a pattern did to it, so that prints, prices
and queues differ, as they would. Outside of patterns the twins are two courses of one process.
Bars are those of the trades; quotes are rows on change; the first book is that of the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data.events import NS, Kind
from data.sources.synthetic import agents_book as book
from data.sources.synthetic import agents_script as script
from data.sources.synthetic import tables
from data.sources.synthetic.agents_flow import MEAN_LOTS, Arrivals
from data.sources.synthetic.agents_spec import AgentSpec
from data.sources.synthetic.bars import BarMaker
from data.sources.synthetic.market import Chunk, Column, join, trade_columns
from data.sources.synthetic.spec import PATTERN_KINDS, Label

__all__ = ["PATTERN_KINDS", "AgentSpec", "Label", "Market", "generate", "market"]

BLOCK_S = 600
"""Market time drawn at once, seconds. It divides a day; changing it changes every market."""

NEWS, QUEUES = 31, 32
"""Roles of the random streams; a number keeps its meaning."""

MS = 1_000_000
"""Nanoseconds a millisecond."""


@dataclass(frozen=True, slots=True)
class Market:
    """A whole market: ``tables`` by kind as ``data.events`` has them, and what was planted.

    ``touch`` is best bid and ask (price units, int64[trades]) just before each print.
    """

    spec: AgentSpec
    tables: dict[Kind, dict[str, Column]]
    labels: list[Label]
    touch: tuple[np.ndarray, np.ndarray]


def market(spec: AgentSpec) -> Market:
    """The whole market of ``spec`` in memory; a day of books at 100 ms takes 560 MB."""
    chunks = list(generate(spec))
    return Market(
        spec,
        {kind: join([c.columns[kind] for c in chunks]) for kind in chunks[0].columns},
        [label for c in chunks for label in c.labels],
        (
            np.concatenate([c.touch[0] for c in chunks]),
            np.concatenate([c.touch[1] for c in chunks]),
        ),
    )


def generate(spec: AgentSpec) -> Iterator[Chunk]:
    """The market of ``spec``, chunk by chunk in time order; no chunk reaches over midnight UTC."""
    return iter(_Market(spec))


class _Market:
    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        self.arrivals = Arrivals(spec)
        flow = self.arrivals.flow_sigma()
        self.news = news_sigma(spec, flow) / TAKEN
        self.sigma = minute_sigma(spec, flow)
        self.plan = script.plan(spec)
        self.scripts: dict[int, script.Script] = {}
        self.levels = np.zeros(max(1, len(self.plan)), np.int64)
        self.params = book_params(spec)
        self.state = np.zeros(1, book.STATE).view(np.recarray)
        self.rings = np.zeros((2, book.RING), np.int64)
        self.out = np.zeros((1 << 16, 4), np.int64)
        self.touch = np.zeros((1 << 16, 2), np.int64)
        self.quotes = np.zeros((1 << 16, 5), np.int64)
        self.next_id = spec.first_id
        self.next_quote = 1
        self.bars = BarMaker(spec)

    def __iter__(self) -> Iterator[Chunk]:
        spec = self.spec
        s = self.state[0]
        s.fair = float(spec.ref_ticks)
        s.hi[:], s.lo[:] = -1e18, 1e18
        s.second = -1
        book.fill(self.rings, s, self.params[0])
        first = spec.start_ns // NS
        start_s = index = 0
        while start_s < spec.duration_s:
            # blocks end on multiples of BLOCK_S, so that none reaches over midnight
            seconds = BLOCK_S - (first + start_s) % BLOCK_S
            seconds = min(seconds, spec.duration_s - start_s)
            yield self._block(index, start_s, seconds)
            start_s += seconds
            index += 1

    def _block(self, index: int, start_s: int, seconds: int) -> Chunk:
        spec = self.spec
        steps = seconds * 1000 // spec.step_ms
        us, side = self.arrivals.block(index, start_s, seconds)
        lots = self.arrivals.lots(index, len(us))
        plain = np.full(len(us), book.PLAIN, np.int64)
        orders = [np.stack([us // 1000, side, lots, plain], 1)]
        controls = self._news(index, start_s, seconds, steps)
        for p in self.plan:
            if p.start_s >= start_s + seconds or p.settle_s < start_s:
                continue
            what = self.scripts.setdefault(p.index, script.script(spec, p, self.sigma))
            orders.append(what.within(start_s * 1000, (start_s + seconds) * 1000))
            what.write(controls, start_s * 1000, spec.step_ms)
        table = np.concatenate(orders)
        table = np.ascontiguousarray(table[np.argsort(table[:, 0], kind="stable")])
        u = tables.uniforms(spec.seed, QUEUES, index, steps * 2 * (book.DEEP + 1))
        price, qty = self._fold(
            controls, table, u.reshape(steps, 2, book.DEEP + 1), start_s, seconds
        )
        return self._chunk(start_s, seconds, price, qty)

    def _news(self, index: int, start_s: int, seconds: int, steps: int) -> np.recarray:
        """Controls of every step, with the news in them; it comes in busy times."""
        spec = self.spec
        controls = np.zeros(steps, book.CONTROL).view(np.recarray)
        per_s = steps // seconds
        busy = np.repeat(self.arrivals.busy[start_s : start_s + seconds], per_s)
        z = tables.normals(tables.uniforms(spec.seed, NEWS, index, steps))
        controls.news = tables.quantise(self.news * np.sqrt(busy / (60.0 * per_s)) * z)
        controls.supply = 1.0
        return controls

    def _fold(
        self,
        controls: np.recarray,
        orders: np.ndarray,
        u: np.ndarray,
        start_s: int,
        seconds: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fold one block; prints and quotes stand in ``self``. Returns the books' rows."""
        spec, s = self.spec, self.state[0]
        books = seconds * 1000 // spec.depth_ms
        price = np.zeros((books, 2, spec.depth_levels), np.int64)
        qty = np.zeros_like(price)
        s.order = s.step = s.prints = s.quotes = 0
        while not book.run(
            s, self.params[0], self.rings, controls, orders, u, self.out, self.touch,
            self.quotes, price, qty, self.levels, start_s * 1000,
        ):  # fmt: skip
            self.out, self.touch, self.quotes = (
                np.concatenate([a, np.zeros_like(a)]) for a in (self.out, self.touch, self.quotes)
            )
        return price, qty

    def _chunk(self, start_s: int, seconds: int, price: np.ndarray, qty: np.ndarray) -> Chunk:
        spec = self.spec
        n = int(self.state[0].prints)
        from_ns = spec.start_ns + start_s * NS
        to_ns = from_ns + seconds * NS
        trades = self._trades(n)
        columns: dict[Kind, dict[str, Column]] = {}
        if Kind.TRADE in spec.kinds:
            columns[Kind.TRADE] = trades
        if Kind.DEPTH in spec.kinds:
            columns[Kind.DEPTH] = self._depth(from_ns, price, qty)
        if Kind.BAR in spec.kinds:
            columns[Kind.BAR] = self.bars.add(trades, to_ns)
        if Kind.QUOTE in spec.kinds:
            columns[Kind.QUOTE] = self._quotes(int(self.state[0].quotes))
        touch = self.touch[:n] * spec.tick_units
        labels = [
            p.label(spec, int(self.levels[p.index]) * spec.tick_units)
            for p in self.plan
            if start_s <= p.settle_s - 1 < start_s + seconds
        ]
        return Chunk(from_ns, to_ns, columns, (touch[:, 0].copy(), touch[:, 1].copy()), labels)

    def _trades(self, n: int) -> dict[str, Column]:
        spec, out = self.spec, self.out
        ids = np.arange(self.next_id, self.next_id + n, dtype=np.int64)
        self.next_id += n
        return trade_columns(out[:n], ids, spec.start_ns, spec.tick_units, spec.lot)

    def _depth(self, from_ns: int, price: np.ndarray, qty: np.ndarray) -> dict[str, Column]:
        spec = self.spec
        rows, _, levels = price.shape
        ts = from_ns + np.arange(rows, dtype=np.int64) * (spec.depth_ms * MS)
        offsets = np.arange(rows + 1, dtype=np.int64) * levels
        columns: dict[str, Column] = {
            "ts_ns": ts,
            "recv_ns": np.zeros(rows, np.int64),
            "seq": np.zeros(rows, np.int64),
            "id": ts // (spec.depth_ms * MS),
        }
        for side, name in enumerate(("bid", "ask")):
            columns[f"{name}_price"] = (price[:, side].ravel() * spec.tick_units, offsets)
            columns[f"{name}_qty"] = (qty[:, side].ravel() * spec.lot, offsets)
        return columns

    def _quotes(self, n: int) -> dict[str, Column]:
        spec, q = self.spec, self.quotes
        ids = np.arange(self.next_quote, self.next_quote + n, dtype=np.int64)
        self.next_quote += n
        return {
            "ts_ns": spec.start_ns + q[:n, 0] * MS,
            "recv_ns": np.zeros(n, np.int64),
            "seq": np.zeros(n, np.int64),
            "id": ids,
            "bid": q[:n, 1] * spec.tick_units,
            "bid_qty": q[:n, 2] * spec.lot,
            "ask": q[:n, 3] * spec.tick_units,
            "ask_qty": q[:n, 4] * spec.lot,
        }


JOIN, CANCEL, PULL = 1.2, 0.5, 4.0
"""Rates at which a level gains orders, loses some, and is left when it is stale; in units of the
rate of orders."""

DEPTH = (1.0, 2.0)
"""Scale of a joining size at the quote and ten ticks behind it, in mean orders."""

THINK, EXPECT, FORESEE = 0.8, 0.05, 0.6
"""Ticks that market makers move when a queue runs out in full surprise; the weight of one such
event in what they expect; the share of what they expect that is no news to them."""

INVENTORY, SKEW, SKEW_MAX = 60.0, 0.02, 1.0
"""Orders in which inventory is worked off; ticks of skew for a mean order of it, and at most."""


def book_params(spec: AgentSpec) -> np.recarray:
    """The book's parameters, in ticks, lots and steps."""
    out = np.zeros(1, book.PARAMS).view(np.recarray)
    p = out[0]
    orders = spec.rate_per_s * spec.step_ms / 1000.0  # in a step
    p.half = (spec.spread_ticks - 1) / 2.0
    p.think, p.expect, p.foresee = THINK, EXPECT, FORESEE
    p.forget = tables.quantise(np.exp(-orders / INVENTORY))
    p.skew, p.skew_max = SKEW, SKEW_MAX
    p.add = tables.quantise(-np.expm1(-JOIN * orders))
    p.cancel = tables.quantise(-np.expm1(-CANCEL * orders))
    p.pull = tables.quantise(-np.expm1(-PULL * orders))
    k = np.minimum(np.arange(book.DEEP) / 10.0, 1.0)
    p.joins = np.rint((DEPTH[0] + (DEPTH[1] - DEPTH[0]) * k) * MEAN_LOTS)
    p.mean_lots = MEAN_LOTS
    p.shown = book.SHOWN * MEAN_LOTS
    p.step_ms = spec.step_ms
    p.steps_per_book = spec.depth_ms // spec.step_ms
    p.levels = spec.depth_levels
    return out


SLOPE = 0.107
"""Ticks that a minute's signed flow moves the mid, for a mean order of it; measured, over a sweep
of rates, shares of noise and spreads: the queues make it."""

REST = 1.78
"""Deviation of what neither flow nor news says of a minute's move, at one order a second, ticks; it
grows with the root of the rate. Measured likewise."""


TAKEN = 0.88
"""Share of the news that a minute's move keeps: a new quote is thin, and often eaten. Measured."""


def news_sigma(spec: AgentSpec, flow: float) -> float:
    """Deviation of a minute's news in the price, ticks, for the wanted ``rho``; 0 if too high.

    ``flow`` is the deviation of a minute's signed flow in mean orders. The move of a minute is
    SLOPE * flow + rest + news, of which the flow explains rho**2.
    """
    made = (SLOPE * flow) ** 2
    rest = REST**2 * spec.rate_per_s
    return float(np.sqrt(max(made / spec.rho**2 - made - rest, 0.0)))


def minute_sigma(spec: AgentSpec, flow: float) -> float:
    """Deviation of the mid over a minute, ticks."""
    made = (SLOPE * flow) ** 2 + REST**2 * spec.rate_per_s
    return float(np.hypot(np.sqrt(made), news_sigma(spec, flow)))
