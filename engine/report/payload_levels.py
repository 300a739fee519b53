"""Candles and price rows of one width, gathered while the log streams by, in bounded memory.

Owns :class:`Level`: candles of ``span_ns`` with their rows, added together exactly from narrower
ones. What must hold: volumes are sums of int64 and lose nothing, whatever the chunks; the rows of a
candle add up to its volume; never more than ``cells_max`` rows are kept, for when there are more,
all rows become higher (neighbours are added together), and :attr:`Level.row_units` says so.

It refuses to know where candles come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.kernel.candles import CANDLE

SIDES = 3
"""Sell, unknown and buy, as in the kernel's footprint."""


@dataclass
class Chunk:
    """Candles in order (structured as the kernel's CANDLE), ``stops`` (int64, end of each one's
    cells), ``rows`` (int64) and ``cells`` (int64[3, n]: sell, unknown, buy).
    """

    candles: np.ndarray
    stops: np.ndarray
    rows: np.ndarray
    cells: np.ndarray

    @staticmethod
    def empty() -> Chunk:
        """No candle at all."""
        none = np.zeros(0, np.int64)
        return Chunk(np.zeros(0, CANDLE), none, none, np.zeros((SIDES, 0), np.int64))

    def owners(self) -> np.ndarray:
        """Index of the candle of each cell."""
        return np.repeat(np.arange(len(self.candles)), np.diff(self.stops, prepend=0))

    def part(self, keep: np.ndarray) -> Chunk:
        """The candles where ``keep`` (bool) is True, with their cells."""
        of = keep[self.owners()]
        counts = np.diff(self.stops, prepend=0)[keep]
        return Chunk(
            self.candles[keep], np.cumsum(counts, dtype=np.int64), self.rows[of], self.cells[:, of]
        )


def join(chunks: list[Chunk]) -> Chunk:
    """One chunk of several that follow each other."""
    if not chunks:
        return Chunk.empty()
    ends = np.cumsum([0, *(len(c.rows) for c in chunks[:-1])])
    return Chunk(
        np.concatenate([c.candles for c in chunks]),
        np.concatenate([c.stops + end for c, end in zip(chunks, ends, strict=True)]),
        np.concatenate([c.rows for c in chunks]),
        np.concatenate([c.cells for c in chunks], axis=1),
    )


def widen(chunk: Chunk, span_ns: int) -> Chunk:
    """Candles of ``span_ns`` (a multiple of what ``chunk`` has), added together exactly."""
    small = chunk.candles
    if not len(small):
        return chunk
    slots = small["open_ns"] // span_ns
    starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
    stops = np.append(starts[1:], len(small))
    big = np.zeros(len(starts), CANDLE)
    big["open_ns"] = slots[starts] * span_ns
    big["open"] = small["open"][starts]
    big["close"] = small["close"][stops - 1]
    big["high"] = np.maximum.reduceat(small["high"], starts)
    big["low"] = np.minimum.reduceat(small["low"], starts)
    for name in ("volume", "buy", "sell", "trades"):
        big[name] = np.add.reduceat(small[name], starts)
    big["flags"] = np.bitwise_or.reduceat(small["flags"], starts)
    _delta_extremes(small, big, starts)
    owner = np.repeat(np.arange(len(starts)), stops - starts)[chunk.owners()]
    return _together(big, owner, chunk.rows, chunk.cells)


def _delta_extremes(small: np.ndarray, big: np.ndarray, starts: np.ndarray) -> None:
    """Extremes of the running delta inside a wider candle: delta so far plus the inner extreme."""
    delta = small["buy"] - small["sell"]
    before = np.cumsum(delta) - delta
    counts = np.diff(np.append(starts, len(small)))
    before -= np.repeat(before[starts], counts)
    big["delta_min"] = np.minimum(0, np.minimum.reduceat(before + small["delta_min"], starts))
    big["delta_max"] = np.maximum(0, np.maximum.reduceat(before + small["delta_max"], starts))


def _together(candles: np.ndarray, owner: np.ndarray, rows: np.ndarray, cells: np.ndarray) -> Chunk:
    """Add up the cells of equal candle and row (int64 each), rows rising within a candle."""
    if not len(rows):
        return Chunk(candles, np.zeros(len(candles), np.int64), rows, cells)
    order = np.lexsort((rows, owner))
    owner, rows = owner[order], rows[order]
    new = np.append(True, (owner[1:] != owner[:-1]) | (rows[1:] != rows[:-1]))
    starts = np.flatnonzero(new)
    counts = np.bincount(owner[starts], minlength=len(candles))
    return Chunk(
        candles,
        np.cumsum(counts, dtype=np.int64),
        rows[starts],
        np.add.reduceat(cells[:, order], starts, axis=1),
    )


def next_height(units: int) -> int:
    """The next round height of a row that ``units`` divides: 1, 2, 10, 20, 100 or 5, 10, 20 ..."""
    first = int(str(units)[0])
    return units * (5 if first == 2 else 2)


def round_height(price: int) -> int:
    """Height of the finest rows at ``price`` (both in price units): at most 2 millionths of it,
    1, 2 or 5 times a power of ten, at least 1; that is every tick of most markets.
    """
    wanted = max(1, price // 500_000)
    power = 10 ** (len(str(wanted)) - 1)
    return max(step * power for step in (1, 2, 5) if step * power <= wanted)


class Level:
    """Candles of one width with their price rows; rows start ``row_units`` price units high.

    ``windows`` are [from, to) in ns outside of which nothing is kept; None keeps all.
    """

    def __init__(
        self,
        span_ns: int,
        row_units: int,
        cells_max: int,
        windows: list[tuple[int, int]] | None = None,
    ) -> None:
        self.span_ns = span_ns
        self.row_units = row_units
        self.first_units = row_units
        self.cells_max = cells_max
        self.windows = windows
        self._done: list[Chunk] = []
        self._open: list[Chunk] = []
        self._cells = 0

    def take(self, chunk: Chunk) -> None:
        """Add candles that follow those before, with rows ``first_units`` high."""
        if self.windows is not None:
            chunk = chunk.part(self._inside(chunk.candles["open_ns"]))
        if not len(chunk.candles):
            return
        self._open.append(self._raised(chunk, self.row_units // self.first_units))
        whole = join(self._open)
        last = whole.candles["open_ns"][-1] // self.span_ns
        closed = whole.candles["open_ns"] // self.span_ns < last
        self._open = [whole.part(~closed)]  # before the rest is kept: that may raise all rows
        self._keep(whole.part(closed))

    def _inside(self, open_ns: np.ndarray) -> np.ndarray:
        inside = np.zeros(len(open_ns), bool)
        for start, stop in self.windows or ():
            inside |= (open_ns >= start) & (open_ns < stop)
        return inside

    def _keep(self, chunk: Chunk) -> None:
        if not len(chunk.candles):
            return
        self._done.append(widen(chunk, self.span_ns))
        self._cells += len(self._done[-1].rows)
        while self._cells > self.cells_max and self._raise_rows():
            pass

    def _raise_rows(self) -> bool:
        """Make all rows higher; False when that would no longer save anything."""
        before, taller = self._cells, next_height(self.row_units)
        by = taller // self.row_units
        self.row_units = taller
        self._done = [self._raised(join(self._done), by)]
        self._open = [self._raised(c, by) for c in self._open]
        self._cells = len(self._done[0].rows)
        return self._cells < before or self._cells > len(self._done[0].candles)

    @staticmethod
    def _raised(chunk: Chunk, by: int) -> Chunk:
        if by == 1:
            return chunk
        return _together(chunk.candles, chunk.owners(), chunk.rows // by, chunk.cells)

    def finish(self) -> Chunk:
        """All candles of the level; nothing can be added afterwards."""
        whole = join(self._open)
        self._open = []
        self._keep(whole)
        return join(self._done)
