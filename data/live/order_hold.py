"""Events of one symbol that wait because a trade id jumped: swaps are put right, holes are named.

Owns :class:`OrderHold`. While it waits, every event of the symbol waits with it, so that their
order stays what the venue sent. The places at which trades arrived are kept; released trades go
into those places in the order of their ids, which restores swaps within one stream exactly.

What must hold: what goes in comes out once; trades come out in rising id unless the ids began anew;
a hole is named only when the oldest trade beyond it has waited its time (or everything must go).

An id far from the others is a stranger. Those alone, after which the ids go on as before, were
wrong and are left out; two that belong together, or one that nothing follows in time, say that the
venue counts anew.

It refuses to know clocks, venues and columns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from data.events import Kind
from data.live.decode import Row


class Waiting(NamedTuple):
    """An event in its place; ``row`` is None where a trade stands whose turn is not known yet."""

    kind: Kind
    row: Row | None
    recv_ns: int


@dataclass(slots=True)
class Released:
    """One event that goes on. ``hole`` says that trade ids are missing before it, ``anew`` that the
    ids began anew with it. ``row`` is None for an id that was used up by no event."""

    kind: Kind
    row: Row | None
    recv_ns: int
    id: int = 0
    hole: bool = False
    anew: bool = False


class OrderHold:
    """What waits for the ids after ``last_id``; ids further than ``reach`` away are strangers."""

    def __init__(self, last_id: int, reach: int) -> None:
        self.last_id = last_id
        self.reach = reach
        self.wrong = 0
        self._places: list[Waiting] = []
        self._near: dict[int, tuple[Row | None, int]] = {}
        self._far: dict[int, tuple[Row | None, int]] = {}

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._places)

    @property
    def empty(self) -> bool:
        """Nothing waits for anything any more."""
        return not self._near and not self._far

    @property
    def ready(self) -> bool:
        """Something can go on without waiting longer."""
        return self.last_id + 1 in self._near or self._together or self.empty

    @property
    def oldest_ns(self) -> int:
        """Receive time of the trade that has waited longest, ns; only while not empty."""
        return min(recv for _, recv in (*self._near.values(), *self._far.values()))

    def add(self, kind: Kind, row: Row, recv_ns: int) -> None:
        """An event of another kind takes its place."""
        self._places.append(Waiting(kind, row, recv_ns))

    def knows(self, id: int) -> bool:
        """True when a trade of this id waits."""
        return id in self._near or id in self._far

    def add_trade(self, id: int, row: Row | None, recv_ns: int) -> None:
        """A trade that was not seen takes its place (none where ``row`` is None: a spent id)."""
        near = 0 < id - self.last_id <= self.reach
        if near and self._far and not self._together:
            for wrong in list(self._far):
                self._leave_out(wrong)
        (self._near if near else self._far)[id] = row, recv_ns
        if row is not None:
            self._places.append(Waiting(Kind.TRADE, None, recv_ns))

    def take(self, late_ns: int | None = None) -> list[Released]:
        """What can go on: trades without a hole before them and what stands between them.

        A hole is passed where a trade beyond it arrived at ``late_ns`` (ns) or before; None passes
        none.
        """
        trades = deque(self._ready(late_ns))
        out: list[Released] = []
        places, self._places = self._places, []
        for at, place in enumerate(places):
            if place.row is not None:
                out.append(Released(place.kind, place.row, place.recv_ns))
                continue
            while trades and trades[0].row is None:
                out.append(trades.popleft())
            if not trades:
                self._places = places[at:]
                break
            trade = trades.popleft()
            trade.recv_ns = place.recv_ns
            out.append(trade)
        out += trades
        return out

    def _ready(self, late_ns: int | None) -> Iterator[Released]:
        """Trades that may go, in order, and ids that were used up."""
        for id in sorted(self._near):
            hole = id != self.last_id + 1
            if hole and not self._waited(self._near, late_ns):
                return
            row, recv_ns = self._near.pop(id)
            self.last_id = id
            yield Released(Kind.TRADE, row, recv_ns, id, hole)
        if self._far and (self._together or self._waited(self._far, late_ns)):
            yield from self._anew()

    @property
    def _together(self) -> bool:
        """Strangers that belong to one count."""
        return len(self._far) > 1 and max(self._far) - min(self._far) <= self.reach

    def _anew(self) -> Iterator[Released]:
        far, self._far = self._far, {}
        last = 0
        for id in sorted(far):
            row, recv_ns = far[id]
            anew = not last or id - last > self.reach
            yield Released(Kind.TRADE, row, recv_ns, id, id != last + 1 and not anew, anew)
            last = self.last_id = id

    def _waited(self, trades: dict[int, tuple[Row | None, int]], late_ns: int | None) -> bool:
        return late_ns is not None and min(recv for _, recv in trades.values()) <= late_ns

    def _leave_out(self, id: int) -> None:
        """A lone stranger was a wrong id: the place at which it arrived goes, too."""
        row, recv_ns = self._far.pop(id)
        self.wrong += 1
        if row is not None:
            self._places.remove(Waiting(Kind.TRADE, None, recv_ns))
