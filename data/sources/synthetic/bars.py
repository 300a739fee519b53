"""One-minute bars of the trades, exactly: what a venue's klines would say.

A minute without a trade gives a bar of volume 0 at the last price. Values before the first trade of
the market are not invented: bars begin with the minute of the first trade.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from data.sources.synthetic.agents_spec import AgentSpec
    from data.sources.synthetic.spec import MarketSpec

MINUTE_NS = 60_000_000_000


class BarMaker:
    """Bars of consecutive chunks; every chunk ends on a whole minute."""

    def __init__(self, spec: MarketSpec | AgentSpec) -> None:
        self._close: int | None = None
        self._open_ns = spec.start_ns

    def add(self, trades: dict[str, Any], to_ns: int) -> dict[str, Any]:
        """Bars of the minutes up to ``to_ns``: columns of ``Kind.BAR``, one row a minute."""
        first = self._open_ns
        self._open_ns = to_ns
        opens = np.arange(first, to_ns, MINUTE_NS, dtype=np.int64)
        ts, price, qty = trades["ts_ns"], trades["price"], trades["qty"]
        cut = np.searchsorted(ts, np.append(opens, to_ns))
        rows = [
            self._bar(trades["id"], price, qty, trades["side"], int(a), int(b))
            for a, b in pairwise(cut)
        ]
        known = np.array([r is not None for r in rows], bool)
        table = np.array([r for r in rows if r is not None], np.int64).reshape(-1, 8)
        opens = opens[known]
        zero = np.zeros(len(opens), np.int64)
        names = ("id", "open", "high", "low", "close", "volume", "buy_volume", "trades")
        return {
            "ts_ns": opens + MINUTE_NS,
            "recv_ns": zero,
            "seq": zero.copy(),
            "open_ns": opens,
            "interval_ns": np.full(len(opens), MINUTE_NS, np.int64),
            **{n: np.ascontiguousarray(table[:, i]) for i, n in enumerate(names)},
        }

    def _bar(
        self, ids: np.ndarray, price: np.ndarray, qty: np.ndarray, side: np.ndarray, a: int, b: int
    ) -> tuple[int, ...] | None:
        if a == b:
            c = self._close
            return None if c is None else (0, c, c, c, c, 0, 0, 0)
        p, q = price[a:b], qty[a:b]
        self._close = int(p[-1])
        bought = int(q[side[a:b] > 0].sum())
        return (
            int(ids[a]),
            int(p[0]),
            int(p.max()),
            int(p.min()),
            int(p[-1]),
            int(q.sum()),
            bought,
            b - a,
        )
