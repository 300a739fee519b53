"""What the trade server keeps: orders, positions and deals, and when a terminal sees them.

Owns their layouts (prices in points, volumes at 1e-8 lots, money in cents, times ns UTC) and
:class:`Shown`, the lagging picture that a terminal has of things that come, change and go. What
must hold: for each key the changes are seen in the order in which they happened; without a lag they
are seen at once.

It refuses to know rules and the names of the package's fields.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.broker.terminal.server.words import State

T = TypeVar("T")


@dataclass(slots=True)
class Order:
    """An order: ``volume`` is what is left of ``initial``; ``expires_ns`` 0: never."""

    ticket: int
    symbol: str
    type: int
    filling: int
    until: int
    initial: int
    volume: int
    price: int
    trigger: int
    sl: int
    tp: int
    magic: int
    comment: str
    reason: int
    setup_ns: int
    expires_ns: int = 0
    state: int = State.PLACED
    position: int = 0
    position_by: int = 0
    done_ns: int = 0


@dataclass(slots=True)
class Position:
    """A position. ``cost`` is the sum of price x volume of what it holds, so that its mean price is
    exact; ``swap`` in cents."""

    ticket: int
    ident: int
    symbol: str
    buy: bool
    volume: int
    cost: int
    sl: int
    tp: int
    magic: int
    comment: str
    reason: int
    open_ns: int
    update_ns: int
    swap: int = 0

    @property
    def mean(self) -> float:
        """Mean price in points."""
        return self.cost / self.volume


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal; money in cents."""

    ticket: int
    order: int
    symbol: str
    type: int
    entry: int
    magic: int
    position: int
    reason: int
    volume: int
    price: int
    profit: int
    commission: int
    fee: int
    swap: int
    comment: str
    ts_ns: int
    seen_ns: int


class Shown(Generic[T]):
    """What a terminal sees of things by ticket: each is seen ``lag`` after it changed."""

    def __init__(self) -> None:
        self._seen: dict[int, T] = {}
        self._coming: list[tuple[int, int, int, T | None]] = []
        self._last: dict[int, int] = {}
        self._count = 0

    def put(self, ticket: int, value: T | None, at_ns: int) -> None:
        """From ``at_ns`` on ``value`` is seen under ``ticket``; None: nothing any more."""
        at_ns = self._last[ticket] = max(at_ns, self._last.get(ticket, 0))
        self._count += 1
        heapq.heappush(self._coming, (at_ns, self._count, ticket, value))

    def at(self, now_ns: int) -> dict[int, T]:
        """What is seen now, by ticket; not to be changed."""
        while self._coming and self._coming[0][0] <= now_ns:
            _, _, ticket, value = heapq.heappop(self._coming)
            if value is None:
                self._seen.pop(ticket, None)
            else:
                self._seen[ticket] = value
        return self._seen

    def sorted(self, now_ns: int) -> Iterator[T]:
        """What is seen now, by rising ticket."""
        seen = self.at(now_ns)
        return (seen[t] for t in sorted(seen))
