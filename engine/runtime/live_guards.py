"""What ends a live session whatever its strategy says: the loss of a day.

Owns :class:`DayLoss`. What must hold: a day (UTC) is counted from the equity that stood at its
beginning, also over restarts and from one session of an account to the next; what is paid in or
out is neither won nor lost, and counts once, whenever a process dies. Between two sessions nobody
looks: what is paid then counts as won or lost.

It refuses to know where equity and rows come from. Money is int64 at 1e-8 of the account currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.enums import BrokerAct
from engine.runtime.gateway_state import BrokerRow

DAY_NS = 86_400_000_000_000


@dataclass
class DayLoss:
    """``number`` of the day that is counted, 0 before the first; the ``equity`` that it began with,
    with what was paid in since by the deals ``paid``. ``balances`` by number of the fold, as its
    rows have them."""

    number: int = 0
    equity: int = 0
    balances: dict[int, int] = field(default_factory=dict)
    paid: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, facts: Mapping[str, Any], balances: Mapping[int, int]) -> DayLoss:
        """Back from :meth:`facts`; empty where there are none."""
        number, equity = int(facts.get("number", 0)), int(facts.get("equity", 0))
        return cls(number, equity, dict(balances), {int(x) for x in facts.get("paid", ())})

    def facts(self) -> dict[str, Any]:
        """What a session keeps."""
        return {"number": self.number, "equity": self.equity, "paid": sorted(self.paid)}

    def loss(self, equity: int, now_ns: int) -> int:
        """What the day of ``now_ns`` lost so far; below 0 where it won. A new day begins here."""
        number = now_ns // DAY_NS
        if number != self.number:
            self.number, self.equity = number, equity
            self.paid.clear()
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
                if row.id and row.id not in fills | told | self.paid:
                    told.add(row.id)
                    moved += row.balance - before
                self.balances[row.fold] = row.balance
        if self.number:
            self.equity += moved
            self.paid |= told
        return moved


def begun_day(own: Mapping[str, Any], others: Iterable[Mapping[str, Any]],
              account: Sequence[Any]) -> Mapping[str, Any]:  # fmt: skip
    """The latest day that was begun for ``account`` (login, server): as this session kept it, else
    as the last of the ``others``, oldest first, did. Whoever begins another session of an account,
    because a guard ended the one before or its file was changed, has no new loss to spend."""
    found = own
    for other in others:
        newer = int(other.get("number", 0)) >= int(found.get("number", 0)) and found is not own
        newer = newer or int(other.get("number", 0)) > int(found.get("number", 0))
        if newer and list(other.get("account", ())) == list(account):
            found = other
    return found
