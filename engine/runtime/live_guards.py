"""What ends a live session whatever its strategy says: the loss of a day.

Owns :class:`DayLoss`. What must hold: a day (UTC) is counted from the equity that stood at its
beginning, also over restarts; what is paid in or out is neither won nor lost.

It refuses to know where equity and rows come from. Money is int64 at 1e-8 of the account currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.enums import BrokerAct
from engine.runtime.gateway_state import BrokerRow

DAY_NS = 86_400_000_000_000


@dataclass
class DayLoss:
    """``number`` of the day that is counted, 0 before the first; the ``equity`` that it began with,
    with what was paid in since. ``balances`` by number of the fold, as its rows have them."""

    number: int = 0
    equity: int = 0
    balances: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Mapping[str, Any], balances: Mapping[int, int]) -> DayLoss:
        """Back from :meth:`facts`; empty where there are none."""
        number, equity = int(facts.get("number", 0)), int(facts.get("equity", 0))
        return cls(number, equity, dict(balances))

    def facts(self) -> dict[str, int]:
        """What a session keeps."""
        return {"number": self.number, "equity": self.equity}

    def loss(self, equity: int, now_ns: int) -> int:
        """What the day of ``now_ns`` lost so far; below 0 where it won. A new day begins here."""
        number = now_ns // DAY_NS
        if number != self.number:
            self.number, self.equity = number, equity
        return self.equity - equity

    def follow(self, rows: Sequence[BrokerRow]) -> int:
        """Rows that were told together; what was paid in (below 0: out) with them."""
        fills = {row.id for row in rows if row.act == BrokerAct.FILL}
        told: set[int] = set()  # a deal of the account is told to every fold
        moved = 0
        for row in rows:
            before = self.balances.get(row.fold, row.balance)
            if row.act == BrokerAct.FILL:
                self.balances[row.fold] = self.balances.get(row.fold, 0) + row.pnl - row.fee
            elif row.act == BrokerAct.BALANCE:
                # one that no deal explains is the balance that the session begins with
                if row.id and row.id not in fills | told:
                    told.add(row.id)
                    moved += row.balance - before
                self.balances[row.fold] = row.balance
        self.equity += moved if self.number else 0
        return moved
