"""A small log with every kind that a venue sends, for serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.events import Kind, Scales
from data.log import LogStore
from tests.data.make_log import T, depth, trades

SECONDS = 120
"""Length of the log; one trade, one book and one of the others a second."""


def make(
    folder: Path, venue: str = "binance-um", symbols: tuple[str, ...] = ("BTCUSDT",)
) -> LogStore:
    """Trades with ids from 1, books of 5 levels, quotes, marks, liquidations, two bars."""
    store = LogStore(folder, create=True)
    n = np.arange(SECONDS, dtype=np.int64)
    at = T + n * 10**9
    quote = {"ts_ns": at + 10**8, "id": 5000 + n, "bid": 600_000 + n % 3, "bid_qty": 10 + n,
             "ask": 600_001 + n % 3, "ask_qty": 20 + n}  # fmt: skip
    mark = {"ts_ns": at + 2 * 10**8, "mark": 600_010 + n, "index": 600_000 + n,
            "funding_fp9": 1000 + n,
            "next_funding_ns": np.full(SECONDS, T + 28_800 * 10**9)}  # fmt: skip
    forced = {"ts_ns": at + 3 * 10**8, "price": 600_000 + n, "qty": 1 + n,
              "side": np.where(n % 2 == 0, 1, -1).astype(np.int8)}  # fmt: skip
    two = np.arange(2, dtype=np.int64)
    bar = {"ts_ns": T + (two + 1) * 60 * 10**9, "id": 1 + 60 * two, "open_ns": T + two * 60 * 10**9,
           "interval_ns": np.full(2, 60 * 10**9), "open": 600_000 + two, "high": 600_006 + two,
           "low": 599_998 + two, "close": 600_001 + two, "volume": 180 + two,
           "buy_volume": 100 + two, "trades": np.full(2, 60)}  # fmt: skip
    with store.transaction() as change:
        for symbol in symbols:
            for kind, columns in (
                (Kind.TRADE, trades(T, SECONDS)),
                (Kind.DEPTH, depth(T, SECONDS)),
                (Kind.QUOTE, quote),
                (Kind.MARK, mark),
                (Kind.LIQUIDATION, forced),
                (Kind.BAR, bar),
            ):
                change.merge(kind, venue, symbol, columns, Scales(1, 3))
    return store
