"""What the job's strategy is in both generations of NautilusTrader.

Owns the decisions, the counting and the constants of the simulated market. Must hold: the handler
of a trade only adds to `Flow.signed`. Imports nothing of NautilusTrader.
"""

from __future__ import annotations

from typing import Any

from tests.bench.job import decide
from tests.bench.tape import LOT

VENUE, SYMBOL, BASE, QUOTE = "SIM", "BTCUSDT-PERP", "BTC", "USDT"
PRICE_DECIMALS, SIZE_DECIMALS = 1, 3
BALANCE = 1_000_000_000


class Flow:
    """State of the job in one strategy: the running delta and what was decided from it.

    `signed` is the signed size since the last decision in base units, as the engine gives sizes; it
    is rounded to whole lots once a decision.
    """

    def __init__(self, threshold_lots: int) -> None:
        self.threshold = threshold_lots
        self.signed = 0.0
        self.cvd = 0
        self.entry_delta = 0
        self.decisions = 0
        self.orders = 0
        self.checksum = 0
        self.fills = 0
        self.fees = 0.0

    def boundary(self, position: int) -> int:
        """One decision; returns the side of the order to send, or 0. `position` is -1, 0, +1."""
        self.decisions += 1
        delta = self.take()
        side = decide(position, delta, self.entry_delta, self.threshold)
        if side:
            if position == 0:
                self.entry_delta = delta
            self.orders += 1
            self.checksum += side * self.decisions
        return side

    def take(self) -> int:
        """Close the running sum: its whole lots are added to the CVD and returned."""
        delta, self.signed = round(self.signed / LOT), 0.0
        self.cvd += delta
        return delta

    def answer(self, trades: int) -> dict[str, Any]:
        """What is compared with the oracle; closes the sum after the last boundary."""
        self.take()
        return {
            "trades": trades,
            "cvd_total": self.cvd,
            "decisions": self.decisions,
            "orders": self.orders,
            "order_checksum": self.checksum,
            "fills": self.fills,
            "fees": round(self.fees, 6),
        }
