"""A small log on disk, written by the log itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.events import Kind, Scales
from data.log import LogStore

DAY_NS = 86_400_000_000_000
T = 1_723_161_600_000_000_000  # 2024-08-09T00:00:00Z
VENUE = "binance-um"


def trades(
    start_ns: int, count: int, *, first_id: int = 1, price: int = 600_000, step_ns: int = 10**9
) -> dict[str, np.ndarray]:
    """``count`` trades a second apart: the price climbs and falls, every third one is a sell."""
    n = np.arange(count, dtype=np.int64)
    return {
        "ts_ns": start_ns + n * step_ns,
        "id": first_id + n,
        "price": price + (n % 7) - (n % 3),
        "qty": 1 + n % 5,
        "side": np.where(n % 3 == 0, -1, 1).astype(np.int8),
    }


def depth(start_ns: int, count: int, *, levels: int = 5) -> dict[str, object]:
    """``count`` books of ``levels`` levels a side, a second apart, between the trades."""
    n = np.arange(count, dtype=np.int64)
    rung = np.arange(levels, dtype=np.int64)
    offsets = np.arange(count + 1, dtype=np.int64) * levels
    mid = np.repeat(600_000 + n % 7, levels)
    place = np.tile(rung, count)
    size = 10 + place
    return {
        "ts_ns": start_ns + n * 10**9 + 5 * 10**8,
        "id": 1000 + n,
        "bid_price": (mid - 1 - place, offsets),
        "bid_qty": (size, offsets),
        "ask_price": (mid + 1 + place, offsets),
        "ask_qty": (size + 1, offsets),
    }


def make_log(folder: Path, *, days: int = 3, count: int = 50) -> LogStore:
    """Trades and books of BTCUSDT (price scale 1) and trades of XAUT (price scale 3)."""
    store = LogStore(folder, create=True)
    with store.transaction() as change:
        for day in range(days):
            start, first = T + day * DAY_NS, 1 + day * count
            rows = trades(start, count, first_id=first)
            change.merge(Kind.TRADE, VENUE, "BTCUSDT", rows, Scales(1, 3))
            change.merge(Kind.DEPTH, VENUE, "BTCUSDT", depth(start, count), Scales(1, 3))
            other = trades(start, count, first_id=first, price=2_500_000)
            change.merge(Kind.TRADE, "bybit", "XAUT", other, Scales(3, 0))
    return store
