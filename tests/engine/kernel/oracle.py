"""What every oracle is: it hears events and checks the state record of the real handler."""

from __future__ import annotations

from typing import Any

S = 1_000_000_000
Event = dict[str, Any]
Trade = tuple[int, int, int, int]
"""(ts, price, qty, side) with side in {-1, 0, +1}."""


class Oracle:
    """An oracle hears what it wants to hear and checks a state record.

    ``candle`` comes right after ``frames`` timeframes (1 to 3) closed, in calling order.
    ``market`` is the :class:`tests.engine.kernel.oracles.Reference` that it belongs to.
    """

    def __init__(self, market: Any) -> None:
        self.market = market

    def trade(self, t: Trade) -> None: ...
    def depth(self, e: Event) -> None: ...
    def quote(self, e: Event) -> None: ...
    def gap(self, stream: int, start: int, end: int) -> None: ...
    def control(self, code: int) -> None: ...
    def boundary(self, now: int) -> None: ...
    def candle(self, frames: int) -> None: ...
    def session(self) -> None: ...
    def check(self, s: Any) -> None: ...
