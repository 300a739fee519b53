"""Quotes of a log for the trade server: QUOTE rows, else the touch of DEPTH, else trades.

Owns the choice of the kind and the way from a log's integers to points and lots. What must hold: a
quote is known when its row arrived (receive time, else exchange time and a delay), times never
fall; where a price has more decimals than the symbol, the bid is rounded down and the ask up; a
quote that changes nothing is left out.

It refuses to know who plays them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.enums import Kind
from data.errors import DataError
from engine.broker.terminal.server.quotes import Block
from engine.broker.terminal.server.specs import LOT, SymbolSpec

if TYPE_CHECKING:
    from data.log import LogStore
    from data.log.reader import LogReader

_COLUMNS: dict[Kind, tuple[str, ...]] = {
    Kind.QUOTE: ("ts_ns", "recv_ns", "bid", "bid_qty", "ask", "ask_qty"),
    Kind.DEPTH: ("ts_ns", "recv_ns", "bid_price", "bid_qty", "ask_price", "ask_qty"),
    Kind.TRADE: ("ts_ns", "recv_ns", "price"),
}
"""Kinds that tell a price, the best first, and what is read of each."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of the log whose prices a symbol of the terminal has: ``delay_ns`` is added to the
    exchange time of rows without a receive time."""

    store: LogStore
    venue: str
    symbol: str
    from_ns: int | None = None
    to_ns: int | None = None
    delay_ns: int = 0

    def kind(self) -> Kind:
        """The best kind that the log has; DataError where it has none."""
        there = {
            s.kind for s in self.store.series() if (s.venue, s.symbol) == (self.venue, self.symbol)
        }
        for kind in _COLUMNS:
            if kind in there:
                return kind
        raise DataError(
            f"the log has no prices of {self.venue} {self.symbol}",
            where=self.store.storage.where,
            why="a terminal needs quotes, depth or trades",
            do="see what is there with ofs log ls",
        )

    def has_flow(self) -> bool:
        """Whether a venue could serve it: it has trades."""
        return any(
            s.kind == Kind.TRADE and (s.venue, s.symbol) == (self.venue, self.symbol)
            for s in self.store.series()
        )

    def reader(self) -> LogReader:
        """A reader of the best kind; DataError where the range is empty."""
        from data.log import LogReader

        kind = self.kind()
        return LogReader(
            self.store, self.venue, self.symbol, {kind: _COLUMNS[kind]}, self.from_ns, self.to_ns,
            latency_ns={kind: self.delay_ns}, chunk_rows=16_384, ahead=False,
        )  # fmt: skip

    def blocks(self, spec: SymbolSpec) -> Iterator[Block]:
        """The quotes as ``spec`` quotes them, oldest first."""
        kind, reader = self.kind(), self.reader()
        last = _Last()
        for batch in reader:
            columns = batch.columns[kind]
            if not len(columns["ts_ns"]):
                continue
            times = np.where(
                columns["recv_ns"] != 0, columns["recv_ns"], columns["ts_ns"] + self.delay_ns
            )
            touch = _TOUCH[kind](columns, spec, reader.scales.price, reader.scales.qty)
            yield last.take(spec, times, touch)


Touch = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _points(prices: np.ndarray, spec: SymbolSpec, scale: int, *, up: bool) -> np.ndarray:
    if spec.digits >= scale:
        points = prices * 10 ** (spec.digits - scale)
    else:
        coarse = 10 ** (scale - spec.digits)
        points = -(-prices // coarse) if up else prices // coarse
    if spec.tick == 1:
        return points
    return (-(-points // spec.tick) if up else points // spec.tick) * spec.tick


def _sizes(qty: np.ndarray, spec: SymbolSpec, scale: int) -> np.ndarray:
    return np.round(qty * (LOT / 10**scale / spec.contract)).astype(np.int64)


def _of_quotes(c: dict[str, Any], spec: SymbolSpec, price: int, qty: int) -> Touch:
    return (
        _points(c["bid"], spec, price, up=False),
        _points(c["ask"], spec, price, up=True),
        _sizes(c["bid_qty"], spec, qty),
        _sizes(c["ask_qty"], spec, qty),
    )


def _of_depth(c: dict[str, Any], spec: SymbolSpec, price: int, qty: int) -> Touch:
    sides = []
    for side in ("bid", "ask"):
        offsets = c[f"{side}_offsets"]
        there = np.diff(offsets) > 0
        rows = np.minimum(offsets[:-1], max(0, len(c[f"{side}_price"]) - 1))
        if len(c[f"{side}_price"]):
            prices, sizes = c[f"{side}_price"][rows] * there, c[f"{side}_qty"][rows] * there
        else:
            prices = sizes = np.zeros(len(rows), dtype=np.int64)
        sides.append((_points(prices, spec, price, up=side == "ask"), _sizes(sizes, spec, qty)))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def _of_trades(c: dict[str, Any], spec: SymbolSpec, price: int, _qty: int) -> Touch:
    none = np.zeros(len(c["price"]), dtype=np.int64)
    below, above = spec.spread // 2, spec.spread - spec.spread // 2
    bid = _points(c["price"], spec, price, up=False) - below
    ask = _points(c["price"], spec, price, up=True) + above
    return bid, ask, none, none


_TOUCH = {Kind.QUOTE: _of_quotes, Kind.DEPTH: _of_depth, Kind.TRADE: _of_trades}


class _Last:
    """The last row of what was taken, so that one like it is left out."""

    def __init__(self) -> None:
        self._ns = 0
        self._row: np.ndarray | None = None

    def take(self, spec: SymbolSpec, times: np.ndarray, touch: Touch) -> Block:
        """A block of the rows that change something and have both sides."""
        times = np.maximum.accumulate(np.maximum(times, self._ns))
        self._ns = int(times[-1])
        rows = np.stack(touch if spec.obeys_depth else touch[:2])
        right = (rows[0] > 0) & (rows[1] > 0)
        before = np.concatenate([rows[:, :1], rows[:, :-1]], axis=1)
        changed = (rows != before).any(axis=0)
        changed[0] = self._row is None or bool((rows[:, 0] != self._row).any())
        self._row = rows[:, -1].copy()
        keep = changed & right
        return Block(spec.name, times[keep], *(np.ascontiguousarray(t[keep]) for t in touch))
