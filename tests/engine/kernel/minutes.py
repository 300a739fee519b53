"""Minutes without trades behind them: series of closed candles for the detectors that read them.

Also tapes of a few trades a minute in which price and flow part and meet, for the oracles.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numba import njit

from data.events import Kind
from engine.kernel.candles import CANDLES_STATE, FLAG_GAP
from tests.engine.tapes import MINUTE, START, Author, Event

CANDLES = np.zeros(1, dtype=CANDLES_STATE)
TRADES = 100
"""Trades of a minute, where nothing else is said."""


@njit(cache=True, nogil=True)
def close_minute(candles, high, low, close, delta, flags, trades=TRADES):
    """Close one minute as if it had been traded: int64 prices, delta and number of trades."""
    c = candles.ring[256 + (candles.closed[1] & 255)]
    c.open_ns = candles.closed[1] * 60_000_000_000
    c.high = high
    c.low = low
    c.close = close
    c.buy = max(delta, 0)
    c.sell = max(-delta, 0)
    c.volume = abs(delta)
    c.trades = trades
    c.flags = flags
    candles.closed[1] += 1
    candles.open[0].open_ns = candles.closed[1] * 60_000_000_000


def null_minutes(
    seed: int, n: int, rho: float, price_sd: float, flow_sd: float
) -> tuple[np.ndarray, ...]:
    """(high, low, close, delta) of ``n`` minutes, independent bivariate normal (change, delta)."""
    rng = np.random.default_rng(seed)
    x, y, up, down = rng.normal(size=(4, n))
    delta = np.rint(flow_sd * (rho * x + np.sqrt(1 - rho * rho) * y)).astype(np.int64)
    change = np.rint(price_sd * x).astype(np.int64)
    close = np.cumsum(change) + int(price_sd * 1e4)
    start = close - change
    high = np.maximum(start, close) + np.rint(0.3 * price_sd * np.abs(up)).astype(np.int64)
    low = np.minimum(start, close) - np.rint(0.3 * price_sd * np.abs(down)).astype(np.int64)
    return high, low, close, delta


def parting_tape(seed: int, minutes: int = 240, gap: int = 0) -> list[Event]:
    """A walk of 4 trades a minute whose flow goes with the price in some waves and not in others.

    ``gap`` is the number of a minute in which trades are missed (0: none).
    """
    a = Author(seed)
    r = random.Random(seed)
    with_price = 1
    for n in range(minutes):
        if n % 12 == 0:
            with_price = r.choice((1, 1, -1, 0))
        for k in range(4):
            a.now = START + n * MINUTE + k * 14_000_000_000
            step = r.choice((-9, -4, 0, 4, 9)) + (3 if (n // 9) % 2 else -3)
            a.price += step
            lean = with_price * (1 if step > 0 else -1 if step < 0 else 0)
            side = lean or r.choice((-1, 1))
            a.add(Kind.TRADE, price=a.price, qty=r.randint(1, 5000), side=side)
        if gap and n == gap:
            a.gap(Kind.TRADE, 0)
    return a.events


def record(dtype: np.dtype, **values: Any) -> np.ndarray:
    """One record of ``dtype`` with fields set."""
    r = np.zeros(1, dtype=dtype)
    for name, value in values.items():
        r[name] = value
    return r


GAP = FLAG_GAP
