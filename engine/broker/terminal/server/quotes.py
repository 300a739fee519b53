"""Quotes of the trade server: what was quoted so far, for each symbol, and what comes.

Owns :class:`Quotes`, the history of one symbol (columns that grow, oldest rows dropped beyond a
bound), and :class:`Block`, the form in which a log is played: columns of one symbol, in order. What
must hold: times never fall.

It refuses to know orders.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ROWS_MOST = 2_000_000
"""Quotes that are kept of a symbol: beyond that the older half is dropped."""


class Block(NamedTuple):
    """Quotes of one symbol: ``ts_ns``, ``bid`` and ``ask`` (points), sizes at 1e-8 lots (0: not
    told), int64 columns of one length."""

    symbol: str
    ts_ns: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    bid_size: np.ndarray
    ask_size: np.ndarray


class Quotes:
    """The quotes of one symbol up to now; the last row is the quote of the moment."""

    def __init__(self) -> None:
        self._columns = np.zeros((5, 1024), dtype=np.int64)
        self.rows = 0
        self.dropped = 0
        self.ts_ns = self.bid = self.ask = self.bid_size = self.ask_size = 0

    def add(self, ts_ns: int, bid: int, ask: int, bid_size: int = 0, ask_size: int = 0) -> None:
        """Take a quote."""
        self._room(1)
        self._columns[:, self.rows] = ts_ns, bid, ask, bid_size, ask_size
        self.rows += 1
        self.ts_ns, self.bid, self.ask = ts_ns, bid, ask
        self.bid_size, self.ask_size = bid_size, ask_size

    def extend(self, block: Block, start: int, stop: int) -> None:
        """Take rows ``start`` to ``stop`` of a block at once."""
        count = stop - start
        if count <= 0:
            return
        self._room(count)
        for number, column in enumerate(block[1:]):
            self._columns[number, self.rows : self.rows + count] = column[start:stop]
        self.rows += count
        last = self._columns[:, self.rows - 1].tolist()
        self.ts_ns, self.bid, self.ask, self.bid_size, self.ask_size = last

    def _room(self, count: int) -> None:
        if self.rows > ROWS_MOST:
            half = self.rows // 2
            self._columns[:, : self.rows - half] = self._columns[:, half : self.rows].copy()
            self.rows -= half
            self.dropped += half
        have = self._columns.shape[1]
        if self.rows + count > have:
            wider = np.zeros((5, max(2 * have, self.rows + count)), dtype=np.int64)
            wider[:, : self.rows] = self._columns[:, : self.rows]
            self._columns = wider

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(ts_ns, bid, ask), int64[rows]; views, not to be kept."""
        return tuple(self._columns[k, : self.rows] for k in range(3))  # type: ignore[return-value]

    def sizes(self, row: int) -> tuple[int, int]:
        """(bid, ask) sizes of a row at 1e-8 lots, 0 where they are not told."""
        return int(self._columns[3, row]), int(self._columns[4, row])
