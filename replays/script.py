"""A market written line by line: arrays instead of a generator's dice.

Owns :class:`Script`, which stands beside a specification of a synthetic market wherever a replay is
made. Equal scripts give equal bytes: whole numbers only, no random ones. It refuses to know what
any script is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data.events import Kind, Scales
from data.log import LogStore
from data.sources.synthetic import VENUE
from data.times import format_utc

Columns = dict[str, Any]
"""Columns of one kind of event as a merge takes them; lists of levels as (values, offsets)."""


BTC = Scales(price=1, qty=3)
"""Tenths of a dollar, thousandths of a coin."""


@dataclass(frozen=True, slots=True)
class Script:
    """A written market: ``module`` says where, ``columns`` makes its events by kind.

    ``start_ns`` and ``end_ns`` are ns UTC, from inclusive, to exclusive.
    """

    module: str
    columns: Callable[[], dict[Kind, Columns]]
    start_ns: int
    end_ns: int
    symbol: str = "BTCUSDT"
    scales: Scales = BTC

    def to_dict(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "script": self.module,
            "symbol": self.symbol,
            "scales": {"price": self.scales.price, "qty": self.scales.qty},
            "from": format_utc(self.start_ns),
            "to": format_utc(self.end_ns),
        }


def write_script(store: LogStore, script: Script) -> None:
    """Merge the events of ``script`` into ``store`` in one transaction."""
    with store.transaction() as tx:
        for kind, columns in script.columns().items():
            tx.merge(kind, VENUE, script.symbol, columns, script.scales)
