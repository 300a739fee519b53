"""Messages of a recording as rows, and rows as columns.

Owns which field of a Binance message fills which column of the log, one maker a channel, and the
turning of gathered rows into chunks. Prices and quantities travel as ints at ``WORK_SCALE``
decimals, which is the most that Binance sends; what has more is rejected as ``precision``.

It refuses to know lines, files and books.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np

from data.events import EVENTS, GapReason, Kind, Scales
from data.sources.binance_frames import (
    AggTrade,
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    ForceOrder,
    Kline,
    MarkPrice,
    Trade,
)
from data.sources.book import DepthRow, GapRow
from data.sources.chunks import Chunk, Column, shrink, take
from data.sources.decimals import Fixed, pack, round_fixed
from data.sources.rejects import RejectedError
from data.sources.row_checks import MS_LIMIT, TIME_MIN_NS, first_reasons, latest_ns, problems

WORK_SCALE = 8
"""Decimals of every price and quantity while it is on its way."""

UNREADABLE_SIDE = 2
"""No side at all: such a row is rejected, where 0 (the venue does not know) is not."""

Rows = list[Any]
"""Tuples in the order of :data:`COLUMNS`, or :class:`DepthRow` for depth."""

Maker = Callable[[str, Fixed], Callable[[Any, int, int], "tuple[int, ...] | None"]]
Reject = Callable[[int, str], None]

COLUMNS: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("ts_ns", "recv_ns", "seq", "id", "price", "qty", "side", "tick"),
    Kind.QUOTE: ("ts_ns", "recv_ns", "seq", "id", "bid", "bid_qty", "ask", "ask_qty"),
    Kind.BAR: (
        *("ts_ns", "recv_ns", "seq", "id", "open_ns", "interval_ns"),
        *("open", "high", "low", "close", "volume", "buy_volume", "trades"),
    ),
    Kind.MARK: ("ts_ns", "recv_ns", "seq", "id", "mark", "index", "funding_fp9", "next_funding_ns"),
    Kind.LIQUIDATION: ("ts_ns", "recv_ns", "seq", "id", "price", "qty", "side"),
}
"""What the makers return, by kind."""


def time_ns(time: int) -> int:
    """ns UTC of a venue time in ms or us; RejectedError before 2009 or after now."""
    ns = time * 1_000_000 if time < MS_LIMIT else time * 1_000
    if not TIME_MIN_NS <= ns < latest_ns():
        raise RejectedError("time")
    return ns


def _trade(symbol: str, fixed: Fixed):  # type: ignore[no-untyped-def]
    def make(d: Trade, recv_ns: int, line: int) -> tuple[int, ...]:
        if d.s != symbol:
            raise RejectedError("symbol")
        if d.X != "MARKET":
            raise RejectedError("not_market")
        side = -1 if d.m else 1
        return time_ns(d.T), recv_ns, line, d.t, fixed[d.p], fixed[d.q], side, 0

    return make


def _agg_trade(symbol: str, fixed: Fixed):  # type: ignore[no-untyped-def]
    def make(d: AggTrade, recv_ns: int, line: int) -> tuple[int, ...]:
        if d.s != symbol:
            raise RejectedError("symbol")
        if d.f < 0:
            raise RejectedError("tombstone")
        side = -1 if d.m else 1
        return time_ns(d.T), recv_ns, line, d.a, fixed[d.p], fixed[d.q], side, 0

    return make


def _quote(symbol: str, fixed: Fixed):  # type: ignore[no-untyped-def]
    def make(d: BookTicker, recv_ns: int, line: int) -> tuple[int, ...]:
        if d.s != symbol:
            raise RejectedError("symbol")
        # Spot sends no time at all: only the recorder's clock dates it.
        time = d.T or d.E
        ts_ns = time_ns(time) if time else recv_ns
        return ts_ns, recv_ns, line, d.u, fixed[d.b], fixed[d.B], fixed[d.a], fixed[d.A]

    return make


def _kline(symbol: str, fixed: Fixed):  # type: ignore[no-untyped-def]
    def make(d: Kline, recv_ns: int, line: int) -> tuple[int, ...] | None:
        if d.s != symbol:
            raise RejectedError("symbol")
        k = d.k
        if not k.x:
            return None
        open_ns, end_ns = time_ns(k.t), time_ns(k.T + 1)
        prices = (fixed[k.o], fixed[k.h], fixed[k.l], fixed[k.c])
        volumes = (fixed[k.v], fixed[k.V])
        first = max(k.f, 0)
        return (end_ns, recv_ns, line, first, open_ns, end_ns - open_ns, *prices, *volumes, k.n)

    return make


def _mark(symbol: str, _fixed: Fixed):  # type: ignore[no-untyped-def]
    def make(d: MarkPrice, recv_ns: int, line: int) -> tuple[int, ...]:
        if d.s != symbol:
            raise RejectedError("symbol")
        mark, index = round_fixed(d.p, WORK_SCALE), round_fixed(d.i or "0", WORK_SCALE)
        funding = round_fixed(d.r or "0", 9)
        next_ns = time_ns(d.T) if d.T else 0
        return time_ns(d.E), recv_ns, line, 0, mark, index, funding, next_ns

    return make


def _liquidation(symbol: str, fixed: Fixed):  # type: ignore[no-untyped-def]
    def make(d: ForceOrder, recv_ns: int, line: int) -> tuple[int, ...]:
        o = d.o
        if o.s != symbol:
            raise RejectedError("symbol")
        if d.st != 1:
            raise RejectedError("coin_m")
        side = {"BUY": 1, "SELL": -1}.get(o.S, UNREADABLE_SIDE)
        price = round_fixed(o.ap, WORK_SCALE)
        return time_ns(o.T), recv_ns, line, 0, price, fixed[o.z], side

    return make


MAKERS: dict[str, tuple[Kind, Maker]] = {
    "trade": (Kind.TRADE, _trade),
    "aggTrade": (Kind.TRADE, _agg_trade),
    "bookTicker": (Kind.QUOTE, _quote),
    "kline": (Kind.BAR, _kline),
    "markPrice": (Kind.MARK, _mark),
    "forceOrder": (Kind.LIQUIDATION, _liquidation),
}
"""Kind and maker by channel. A maker returns None for a bar that is still open."""


def partial_row(
    d: DepthUpdate | DepthSnapshot,
    recv_ns: int,
    line: int,
    prices: Fixed,
    quantities: Fixed,
    levels: int,
) -> DepthRow:
    """The best ``levels`` of a partial book; spot has no time, so it carries the receive time."""
    if isinstance(d, DepthSnapshot):
        bid_texts, ask_texts, last_id = d.bids, d.asks, d.lastUpdateId
    else:
        bid_texts, ask_texts, last_id = d.b, d.a, d.u
    time = d.T or d.E
    bids, asks = [prices[p] for p, _ in bid_texts], [prices[p] for p, _ in ask_texts]
    falling = all(a > b for a, b in pairwise(bids))
    rising = all(a < b for a, b in pairwise(asks))
    if not (falling and rising) or (bids and asks and bids[0] >= asks[0]):
        raise RejectedError("levels")
    bid_qty, ask_qty = [quantities[q] for _, q in bid_texts], [quantities[q] for _, q in ask_texts]
    if 0 in bid_qty or 0 in ask_qty:
        raise RejectedError("qty")
    cut = slice(levels)
    ts_ns = time_ns(time) if time else recv_ns
    row = (ts_ns, recv_ns, line, last_id)
    return DepthRow(*row, bids[cut], bid_qty[cut], asks[cut], ask_qty[cut])


def rows_to_chunks(kind: Kind, rows: Rows, reject: Reject) -> list[Chunk]:
    """Good rows as chunks, each at its smallest scale; ``reject(line, reason)`` for the others."""
    columns = dict(zip(COLUMNS[kind], zip(*rows, strict=True), strict=True))
    try:
        arrays, scales = _arrays(kind, columns, len(rows))
    except OverflowError:
        if len(rows) == 1:
            reject(rows[0][2], "overflow")
            return []
        half = len(rows) // 2
        return rows_to_chunks(kind, rows[:half], reject) + rows_to_chunks(kind, rows[half:], reject)
    good, bad = first_reasons(problems(kind, arrays), len(rows))
    for row, reason in bad:
        reject(int(arrays["seq"][row]), reason)
    chunk = Chunk(kind, dict(arrays), scales, arrays["seq"])
    if bad:
        chunk = shrink(take(chunk, good))
    return [chunk] if len(chunk) else []


def _arrays(
    kind: Kind, columns: Mapping[str, Sequence[int]], rows: int
) -> tuple[dict[str, np.ndarray], Scales]:
    """Every column of ``kind``; OverflowError when no scale holds a column in 64 bits."""
    own: dict[str, np.ndarray] = {}
    scale = {"price": 0, "qty": 0}
    for unit in scale:
        names = [f.name for f in EVENTS[kind].fields if f.unit == unit]
        if names:
            flat, scale[unit] = pack(
                list(chain.from_iterable(columns[n] for n in names)), WORK_SCALE
            )
            own |= dict(zip(names, flat.reshape(len(names), rows), strict=True))
    for field in EVENTS[kind].fields:
        if field.name in own:
            continue
        values = columns.get(field.name)
        plain = np.zeros(rows, np.int64) if values is None else np.array(values, dtype=np.int64)
        own[field.name] = plain.astype(field.dtype, copy=False)
    return {f.name: own[f.name] for f in EVENTS[kind].fields}, Scales(scale["price"], scale["qty"])


def depth_chunks(kind: Kind, rows: Sequence[DepthRow], reject: Reject) -> list[Chunk]:
    """Depth rows as chunks; ``reject(line, "overflow")`` for a row that no scale can hold."""
    if not rows:
        return []
    try:
        return [_depth_chunk(kind, rows)]
    except OverflowError:
        if len(rows) == 1:
            reject(rows[0].seq, "overflow")
            return []
        half = len(rows) // 2
        return depth_chunks(kind, rows[:half], reject) + depth_chunks(kind, rows[half:], reject)


def _depth_chunk(kind: Kind, rows: Sequence[DepthRow]) -> Chunk:
    heads = np.array([row[:4] for row in rows], dtype=np.int64)
    columns: dict[str, Column] = {
        name: np.ascontiguousarray(heads[:, i])
        for i, name in enumerate(("ts_ns", "recv_ns", "seq", "id"))
    }
    price_lists = [r.bid_price for r in rows] + [r.ask_price for r in rows]
    qty_lists = [r.bid_qty for r in rows] + [r.ask_qty for r in rows]
    prices, price_scale = pack(list(chain.from_iterable(price_lists)), WORK_SCALE)
    quantities, qty_scale = pack(list(chain.from_iterable(qty_lists)), WORK_SCALE)
    sizes = list(map(len, price_lists))
    bids = sum(sizes[: len(rows)])
    for side, part in (("bid", slice(0, bids)), ("ask", slice(bids, None))):
        offsets = _offsets(sizes[: len(rows)] if side == "bid" else sizes[len(rows) :])
        columns[f"{side}_price"] = (prices[part], offsets)
        columns[f"{side}_qty"] = (quantities[part], offsets)
    return Chunk(kind, columns, Scales(price_scale, qty_scale), heads[:, 2].copy())


def _offsets(sizes: Iterable[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.fromiter(sizes, dtype=np.int64))]).astype(np.int64)


def gap_chunk(rows: Sequence[GapRow]) -> Chunk:
    """Gap rows of the depth stream as a chunk; gaps have no price, so scales are 0."""
    count = len(rows)
    own = dict(zip(GapRow._fields, zip(*rows, strict=True), strict=True))
    own["stream"] = (int(Kind.DEPTH),) * count
    assert all(GapReason(reason) for reason in own["reason"])
    columns: dict[str, Column] = {}
    for field in EVENTS[Kind.GAP].fields:
        values = own.get(field.name, (0,) * count)
        columns[field.name] = np.array(values, dtype=np.int64).astype(field.dtype)
    return Chunk(Kind.GAP, columns, Scales(0, 0), np.array(own["seq"], dtype=np.int64))
