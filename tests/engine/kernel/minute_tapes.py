"""Tapes of whole minutes: a close and a delta each, drawn or given, for detectors of bars."""

from __future__ import annotations

import random

from data.events import Kind
from tests.engine.tapes import MINUTE, START, Event, S

FROM = START // MINUTE * MINUTE
PRICE = 500_000
Move = tuple[int, int]
"""(close, delta) of a minute."""


def draw(n: int, seed: int, rho: float = 0.6, sigma: float = 50, flow: float = 5000) -> list[Move]:
    """``n`` minutes of a random walk whose changes and deltas correlate by ``rho``."""
    r, out, price = random.Random(seed), [], PRICE
    for _ in range(n):
        x, y = r.gauss(0, 1), r.gauss(0, 1)
        price += round(sigma * (rho * x + (1 - rho * rho) ** 0.5 * y))
        out.append((price, round(flow * x)))
    return out


def minute(n: int, close: int, delta: int, volume: int = 50_000) -> list[Event]:
    """Two trades at ``close``: what buyers and what sellers took in minute ``n``."""
    buy = (volume + delta) // 2
    rows = ((20, max(buy, 1), 1), (40, max(buy - delta, 1), -1))
    return [
        {"kind": Kind.TRADE, "ts_ns": FROM + n * MINUTE + at * S, "id": 2 * n + (side < 0) + 1,
         "price": close, "qty": qty, "side": side} for at, qty, side in rows
    ]  # fmt: skip


def tape(moves: list[Move], volume: int = 50_000) -> list[Event]:
    """All minutes, and the first trade of the one after, so that the last closes."""
    events = [e for n, (close, delta) in enumerate(moves) for e in minute(n, close, delta, volume)]
    return [*events, tick(len(moves), moves[-1][0])]


def tick(n: int, price: int, at: int = 5 * S) -> Event:
    """One small trade in minute ``n``."""
    return {"kind": Kind.TRADE, "ts_ns": FROM + n * MINUTE + at, "id": 10**6 + n, "price": price,
            "qty": 1, "side": 1}  # fmt: skip


def gap(n: int, length_ns: int = 2 * S) -> Event:
    """A hole of the trades that ends in minute ``n``."""
    at = FROM + n * MINUTE + 7 * S
    return {"kind": Kind.GAP, "ts_ns": at, "id": 1, "stream": int(Kind.TRADE),
            "from_ns": at - length_ns, "to_ns": at, "filled": 0}  # fmt: skip
