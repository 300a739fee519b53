"""The generator: blocks of market time, drawn in order, folded through the compiled book.

Owns the run of one market: its parameters in ticks, the overlay of its planted patterns, and the
chunks that come out, in the columns of ``data.events``. Memory is bounded by one block
(:data:`BLOCK_S` of market time), whatever the length of the market.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from data.events import Kind
from data.sources.synthetic import book, patterns, tables
from data.sources.synthetic.bars import BarMaker
from data.sources.synthetic.flow import Flow, Orders, poisson_times
from data.sources.synthetic.spec import Label, MarketSpec

BLOCK_S = 600
"""Market time drawn at once, seconds. It divides a day; changing it changes every market."""

MS = 1_000_000
"""Nanoseconds a millisecond."""

Column = np.ndarray | tuple[np.ndarray, np.ndarray]
"""A column: one array, or (values, offsets) of a list column."""


@dataclass(slots=True)
class Chunk:
    """A piece of market time: columns by kind, as ``Transaction.merge`` of the log takes them.

    ``touch`` holds best bid and ask (stored price units, int64[trades]) just before each trade's
    order; ``labels`` the patterns that settled within the chunk.
    """

    from_ns: int
    to_ns: int
    columns: dict[Kind, dict[str, Column]]
    touch: tuple[np.ndarray, np.ndarray]
    labels: list[Label] = field(default_factory=list)


def generate(spec: MarketSpec) -> Iterator[Chunk]:
    """The market of ``spec``, chunk by chunk in time order; no chunk reaches over midnight UTC."""
    return iter(_Market(spec))


def trade_columns(
    out: np.ndarray, ids: np.ndarray, start_ns: int, tick: int, lot: int
) -> dict[str, Column]:
    """Columns of trades from rows (ms since the start, price in ticks, lots, side), int64[n, 4]."""
    n = len(out)
    return {
        "ts_ns": start_ns + out[:, 0] * MS,
        "recv_ns": np.zeros(n, np.int64),
        "seq": np.zeros(n, np.int64),
        "id": ids,
        "price": out[:, 1] * tick,
        "qty": out[:, 2] * lot,
        "side": out[:, 3].astype(np.int8),
        "tick": np.zeros(n, np.int8),
    }


def join(parts: list[dict[str, Column]]) -> dict[str, Column]:
    """Columns of consecutive chunks as one; offsets of list columns go on counting."""
    return {name: _join_column([p[name] for p in parts]) for name in parts[0]}


def _join_column(parts: list[Column]) -> Column:
    if not isinstance(parts[0], tuple):
        return np.concatenate(parts)
    values = np.concatenate([p[0] for p in parts])
    offsets = [np.zeros(1, np.int64)]
    total = 0
    for p in parts:
        offsets.append(p[1][1:] + total)
        total += int(p[1][-1])
    return values, np.concatenate(offsets)


class _Market:
    def __init__(self, spec: MarketSpec) -> None:
        self.spec = spec
        self.flow = Flow(spec)
        self.plan = patterns.plan(spec)
        self.steps_per_s = 1000 / spec.depth_ms
        self.levels = np.zeros(max(1, len(self.plan)), np.int64)
        self.scale: dict[int, float] = {}
        self.next_id = spec.first_id
        self.bars = BarMaker(spec)
        self.sigma_s = spec.daily_vol * spec.ref_ticks / np.sqrt(86_400.0)
        self.params = _params(spec, self.sigma_s, self.flow.order_rate)
        self.state = np.zeros(1, book.STATE).view(np.recarray)
        self.rings = np.zeros((2, book.RING), np.int64)
        self.out = np.zeros((1 << 16, 4), np.int64)
        self.touch = np.zeros((1 << 16, 2), np.int64)
        self.table = tables.level_table()
        self.exps = tables.exp_table()

    def __iter__(self) -> Iterator[Chunk]:
        spec = self.spec
        self._open()
        start_s = 0
        index = 0
        first = spec.start_ns // 1_000_000_000
        while start_s < spec.duration_s:
            # blocks end on multiples of BLOCK_S, so that none reaches over midnight
            seconds = BLOCK_S - (first + start_s) % BLOCK_S
            seconds = min(seconds, spec.duration_s - start_s)
            yield self._block(index, start_s, seconds)
            start_s += seconds
            index += 1

    def _open(self) -> None:
        s = self.state[0]
        s.root = float(self.spec.ref_ticks)
        s.f = s.root
        s.h = 1.0
        s.best[:] = self.spec.ref_ticks
        s.hi[:] = -1e18
        s.lo[:] = 1e18
        s.second = -1
        pool = tables.uniforms(self.spec.seed, tables.BOOK, 0, book.POOL, sub=2)
        book._reset(s, self.params[0], self.rings, pool, self.table, self.exps)

    def _block(self, index: int, start_s: int, seconds: int) -> Chunk:
        spec = self.spec
        intensity, base = self.flow.block(index, start_s, seconds)
        steps = seconds * 1000 // spec.depth_ms
        controls, extra = self._overlay(start_s, seconds, steps, intensity)
        orders = _merge(base, extra)
        table = np.stack([orders.ms, orders.sign, orders.lots, orders.overlay.astype("i8")], 1)
        u = tables.uniforms(spec.seed, tables.BOOK, index, 3 * steps).reshape(-1, 3)
        pool = tables.uniforms(spec.seed, tables.BOOK, index, book.POOL, sub=1)
        price = np.empty((2, steps, spec.depth_levels), np.int64)
        qty = np.empty_like(price)
        n = self._run(controls, table, orders.noise, tables.normals(u), pool, price, qty, start_s)
        return self._chunk(start_s, seconds, n, price, qty)

    def _run(
        self,
        controls: np.recarray,
        orders: np.ndarray,
        noise: np.ndarray,
        z: np.ndarray,
        pool: np.ndarray,
        price: np.ndarray,
        qty: np.ndarray,
        start_s: int,
    ) -> int:
        """Fold one block; the prints stand in ``self.out``. Returns their number."""
        s = self.state[0]
        s.order = s.step = s.phase = s.prints = 0
        while not book.run(
            s, self.params[0], self.rings, controls, orders, noise, z, pool, self.table, self.exps,
            self.out, self.touch, price, qty, self.levels, start_s * 1000,
        ):  # fmt: skip
            self.out = np.concatenate([self.out, np.zeros_like(self.out)])
            self.touch = np.concatenate([self.touch, np.zeros_like(self.touch)])
        return int(s.prints)

    def _overlay(
        self, start_s: int, seconds: int, steps: int, intensity: np.ndarray
    ) -> tuple[np.recarray, Orders]:
        """Controls of every step and the overlay orders of the patterns that touch this block."""
        controls = np.zeros(steps, book.CONTROL).view(np.recarray)
        extra = []
        for p in self.plan:
            if p.start_s >= start_s + seconds or p.settle_s < start_s:
                continue
            if p.index not in self.scale:
                self.scale[p.index] = self._price_scale(p, intensity, start_s)
            what = patterns.script(p, self.spec, self.steps_per_s)
            self._control(p, what, controls, start_s)
            extra.append(self._overlay_orders(p, what, start_s, intensity))
        return controls, _concat(extra)

    def _price_scale(self, p: patterns.Planted, intensity: np.ndarray, start_s: int) -> float:
        """Ticks that stand for 1 in a script: the deviation of the price over a quarter of it.

        The activity at the start decides, because volatility follows activity.
        """
        local = intensity[max(0, p.start_s - start_s - 60) : p.start_s - start_s + 1].mean()
        busy = min(max(float(local) / self.flow.order_rate, 0.1), 6.0)
        span = (p.end_s - p.start_s) / 4
        return float(tables.quantise(self.sigma_s * np.sqrt(busy * span), 10))

    def _control(
        self, p: patterns.Planted, what: patterns.Script, controls: np.recarray, start_s: int
    ) -> None:
        """Write a pattern's script, its fading and its events into the block's steps."""
        scale = self.scale[p.index]
        first = round((p.start_s - start_s) * self.steps_per_s)
        length = len(what.ramp)
        fade = round((p.settle_s - p.end_s) * self.steps_per_s)
        k = np.arange(len(controls)) - first
        inside = (k >= 0) & (k < length)
        at = k[inside]
        controls.ramp[inside] = what.ramp[at] * scale
        controls.pull[inside] = what.pull[at]
        controls.target[inside] = what.target[at] * scale
        controls.gain[inside] = what.gain
        controls.cap[inside] = what.cap
        after = (k >= length) & (k < length + fade)
        x = (k[after] - length) / fade
        controls.keep[after] = (1.0 - x) ** 2
        controls.ramp[after] = what.follow * scale * _bump(x)
        for step, event in ((0, 1), (length, 2), (length + fade, 3)):
            controls.event[k == step] = event
            controls.pattern[k == step] = p.index
        controls.extreme[k == 0] = what.extreme

    def _overlay_orders(
        self, p: patterns.Planted, what: patterns.Script, start_s: int, intensity: np.ndarray
    ) -> Orders:
        """The orders that a pattern adds in this block."""
        seed, sub = self.spec.seed, 10 * start_s
        floor = 0.3 * self.flow.order_rate
        second = start_s + np.arange(len(intensity)) - p.start_s
        inside = (second >= 0) & (second < len(what.buy))
        at = second[inside]
        buy, sell, flip = (np.zeros(len(intensity)) for _ in range(3))
        buy[inside], sell[inside], flip[inside] = what.buy[at], what.sell[at], what.flip[at]
        rate = np.maximum(intensity, floor) * (buy + sell)
        role = tables.OVERLAY
        t = poisson_times(rate, seed, role, p.index, sub=sub)
        u = tables.uniforms(seed, role, p.index, 3 * len(t), sub=sub + 1).reshape(-1, 3)
        s = t.astype(np.int64)
        share = buy[s] / np.maximum(buy[s] + sell[s], 1e-12)
        sign = np.where(u[:, 0] < share, 1, -1) * flip[s].astype(np.int64)
        ms = start_s * 1000 + (t * 1000.0).astype(np.int64)
        lots = tables.sizes(u[:, 1], u[:, 2])
        return Orders(ms, sign, lots, np.zeros(len(t)), np.ones(len(t), np.int8))

    def _chunk(
        self, start_s: int, seconds: int, n: int, price: np.ndarray, qty: np.ndarray
    ) -> Chunk:
        spec = self.spec
        from_ns = spec.start_ns + start_s * 1_000_000_000
        to_ns = from_ns + seconds * 1_000_000_000
        trades = self._trades(n)
        columns: dict[Kind, dict[str, Column]] = {}
        if Kind.TRADE in spec.kinds:
            columns[Kind.TRADE] = trades
        if Kind.DEPTH in spec.kinds:
            columns[Kind.DEPTH] = self._depth(from_ns, price, qty)
        if Kind.BAR in spec.kinds:
            columns[Kind.BAR] = self.bars.add(trades, to_ns)
        touch = self.touch[:n] * spec.tick
        labels = [
            p.label(spec, int(self.levels[p.index]) * spec.tick)
            for p in self.plan
            if start_s <= p.settle_s - 1 < start_s + seconds
        ]
        return Chunk(from_ns, to_ns, columns, (touch[:, 0].copy(), touch[:, 1].copy()), labels)

    def _trades(self, n: int) -> dict[str, Column]:
        spec, out = self.spec, self.out
        ids = np.arange(self.next_id, self.next_id + n, dtype=np.int64)
        self.next_id += n
        return trade_columns(out[:n], ids, spec.start_ns, spec.tick, spec.lot)

    def _depth(self, from_ns: int, price: np.ndarray, qty: np.ndarray) -> dict[str, Column]:
        spec = self.spec
        steps, levels = price.shape[1:]
        ts = from_ns + np.arange(steps, dtype=np.int64) * (spec.depth_ms * MS)
        offsets = np.arange(steps + 1, dtype=np.int64) * levels
        columns: dict[str, Column] = {
            "ts_ns": ts,
            "recv_ns": np.zeros(steps, np.int64),
            "seq": np.zeros(steps, np.int64),
            "id": ts // (spec.depth_ms * MS),
        }
        for side, name in enumerate(("bid", "ask")):
            columns[f"{name}_price"] = (price[side].ravel() * spec.tick, offsets)
            columns[f"{name}_qty"] = (qty[side].ravel() * spec.lot, offsets)
        return columns


def _params(spec: MarketSpec, sigma_s: float, order_rate: float) -> np.recarray:
    """The book's parameters from the specification, in ticks and lots."""
    p = np.zeros(1, book.PARAMS).view(np.recarray)[0]
    per_order = sigma_s / np.sqrt(order_rate)
    news = 1 - spec.flow_share
    p.impact = tables.quantise(per_order * np.sqrt(spec.flow_share) * IMPACT)
    p.permanent = PERMANENT
    p.share_t[:] = SHARES
    p.decay_t[:] = tables.quantise(np.exp(-1.0 / np.array(TAUS)), 40)
    p.noise = tables.quantise(per_order * np.sqrt(news * 0.9))
    p.news = tables.quantise(sigma_s * np.sqrt(news * 0.1 * spec.depth_ms / 1000.0))
    p.sticky = tables.quantise(max(0.6, 0.8 * sigma_s))
    p.touch = tables.TOUCH_LOTS
    p.mean_lots = tables.mean_size()
    p.floor = spec.ref_ticks * 0.2
    p.step_ms = spec.depth_ms
    p.levels = spec.depth_levels
    p.lookback = spec.lookback_s
    p.hold = tables.quantise(max(2.0, 0.3 * sigma_s))
    return np.array([p], dtype=book.PARAMS).view(np.recarray)


IMPACT = 0.7
PERMANENT = 0.15
SHARES = (0.25, 0.35, 0.25)
TAUS = (20.0, 200.0, 2_500.0)
"""Impact of an order: a share that stays and three that fade (time constants in orders)."""


def _bump(x: np.ndarray) -> np.ndarray:
    """A rise over the first quarter of [0, 1] and a slow way back to 0."""
    return np.where(x < 0.25, x * 4.0, (1.0 - (x - 0.25) / 0.75) ** 2)


def _concat(parts: list[Orders]) -> Orders:
    none = np.empty(0, np.int64)
    if not parts:
        return Orders(none, none, none, np.empty(0), np.empty(0, np.int8))
    return Orders(
        np.concatenate([p.ms for p in parts]),
        np.concatenate([p.sign for p in parts]),
        np.concatenate([p.lots for p in parts]),
        np.concatenate([p.noise for p in parts]),
        np.concatenate([p.overlay for p in parts]),
    )


def _merge(base: Orders, extra: Orders) -> Orders:
    """Both in time order; at equal times base orders come first."""
    if len(extra.ms) == 0:
        return base
    both = _concat([base, extra])
    at = np.argsort(both.ms, kind="stable")
    return Orders(both.ms[at], both.sign[at], both.lots[at], both.noise[at], both.overlay[at])
