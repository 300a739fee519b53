"""The latest records of one symbol, kept for whoever looks at a running session.

Owns :class:`Recent`, a sink of bounded memory: the last decisions, signals, orders, fills and round
trips, and the sums of all. What must hold: its sums survive a restart (:meth:`Recent.facts`), and
it is given only records that are synced.

It refuses to know what a record is shown as.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from data.events import RECORDS
from engine.runtime.records import Totals

KEPT = {
    "signal": 64, "decision": 240, "intent": 50, "order": 50, "fill": 50, "position": 50,
    "equity": 1,
}  # fmt: skip
"""Rows that are kept of each record table."""
_SUMS = ("gross", "fees", "round_trips", "wins", "max_drawdown", "last_equity")


class Recent:
    """A sink that keeps the last rows of each record table, and counts and sums of all."""

    def __init__(self) -> None:
        self.rows: dict[str, deque[np.void]] = {n: deque(maxlen=KEPT[n]) for n in RECORDS}
        self.counts = dict.fromkeys(RECORDS, 0)
        self.totals = Totals()

    def take(self, name: str, rows: np.ndarray) -> None:
        """Take drained records of table ``name`` (structured as RECORDS[name])."""
        self.counts[name] += len(rows)
        self.totals.take(name, rows)
        self.rows[name].extend(rows[-KEPT[name] :])

    def remember(self, name: str, rows: np.ndarray) -> None:
        """Rows of table ``name`` from before, which are counted already."""
        self.rows[name].extend(rows[-KEPT[name] :])

    def facts(self) -> dict[str, Any]:
        """Counts and sums (money at 1e-8), one JSON object: what a snapshot keeps of this."""
        return {"counts": dict(self.counts), **{x: getattr(self.totals, x) for x in _SUMS}}

    def restore(self, facts: dict[str, Any]) -> None:
        """Go on from :meth:`facts`."""
        self.counts.update(facts["counts"])
        for name in _SUMS:
            setattr(self.totals, name, facts[name])
