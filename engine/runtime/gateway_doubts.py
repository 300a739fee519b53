"""What may have been executed, until looking has told: nothing here is ever sent again.

Owns :class:`Doubts` of one instrument. What must hold: an order is said not to have been executed
only after at least ``looks`` whole looks over ``settle_ns`` with a connected terminal showed
neither order, deal nor position of it, while the positions are those that the deals add up to.
It also tells the levels of positions that are not as they were said, and sees positions that differ
from their deals.

It refuses to know calls and links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from data.enums import Action
from engine.broker.protocol import PositionFact
from engine.runtime.gateway_settings import Desk, GatewaySeries
from engine.runtime.gateway_state import Intent, Track
from engine.runtime.reconcile import agree, say_end, say_levels, say_working

PHANTOM_SETTLES = 3
"""An order that the broker said it had, and of which nothing is ever seen, is given up after so
many times ``settle_ns``."""


@dataclass(slots=True)
class Unknown:
    """Something that may have been executed, since when, and how often it was looked for in vain
    since ``first_ns`` (0: not yet)."""

    intent: Intent
    since_ns: int
    tries: int = 0
    looks: int = 0
    first_ns: int = 0
    alarmed: bool = False


@dataclass
class Doubts:
    """See the module. ``again`` are cancels that were not obeyed and may be asked for again."""

    series: GatewaySeries
    desk: Desk
    unknown: list[Unknown] = field(default_factory=list)
    again: list[Unknown] = field(default_factory=list)
    differs_ns: int = 0
    _odd: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def add(self, intent: Intent, now_ns: int, tries: int = 0) -> None:
        """The outcome of ``intent`` is not known from now on."""
        self.unknown.append(Unknown(intent, now_ns, tries))

    def looked(
        self, facts: Sequence[PositionFact], moving: set[int], began_ns: int, now_ns: int
    ) -> None:
        """A whole look, begun at ``began_ns``, with a connected terminal; ``moving`` are positions
        whose levels are being changed."""
        same = agree(self.desk.ledger, self.series.number, facts)
        self.unknown = [u for u in self.unknown if not self._resolved(u, same, began_ns, now_ns)]
        if same:
            self.differs_ns = 0
        elif not self.differs_ns:
            self.differs_ns = now_ns
        if same:  # else a deal that changes them is to come
            self._look_at_levels(moving | {u.intent.position for u in self.unknown}, now_ns)

    def unlooked(self) -> None:
        """A look that proves nothing: the terminal is not connected."""
        for unknown in self.unknown:
            unknown.looks = unknown.first_ns = 0

    # -- one unknown ------------------------------------------------------------------------------

    def _resolved(self, u: Unknown, same: bool, began_ns: int, now_ns: int) -> bool:
        if began_ns < u.since_ns:
            return False
        settings = self.desk.settings
        u.looks += 1
        u.first_ns = u.first_ns or began_ns
        long = u.looks >= settings.looks and now_ns - u.first_ns >= settings.settle_ns
        if u.intent.orders:
            return self._order_resolved(u, same, long, now_ns)
        if u.intent.action == Action.CANCEL:
            return self._cancel_resolved(u, long, now_ns)
        return self._move_resolved(u, long, now_ns)

    def _order_resolved(self, u: Unknown, same: bool, long: bool, now_ns: int) -> bool:
        desk, track = self.desk, self._track(u.intent)
        if track.ended or (track.working and u.intent.rests):
            desk.counts.found += 1
            return True
        if not (long and same):
            if long and not u.alarmed:
                u.alarmed = True
                desk.alarm(
                    f"{self.series.symbol}: the broker's positions do not fit the deals that it "
                    f"shows, since order {u.intent.order_id}"
                )
            return False
        if track.working and not self._phantom(u, track, now_ns):
            return False
        desk.counts.unsent += 1
        say_end(desk.ledger, desk.names, track, now_ns)
        return True

    def _phantom(self, u: Unknown, track: Track, now_ns: int) -> bool:
        """The broker said that it had the order, and nothing of it was seen for very long."""
        if not u.alarmed:
            u.alarmed = True
            self.desk.alarm(
                f"{self.series.symbol}: the broker has order {u.intent.order_id}, by what it said, "
                "but shows no deal of it"
            )
        long_ns = PHANTOM_SETTLES * self.desk.settings.settle_ns
        return not track.filled and now_ns - u.first_ns >= long_ns

    def _cancel_resolved(self, u: Unknown, long: bool, now_ns: int) -> bool:
        if self._track(u.intent).ended:
            return True
        if not long:
            return False
        if u.tries < self.desk.settings.retries:
            self.again.append(u)  # a cancel names one order: twice is as good as once
        else:
            self.give_up(u.intent, now_ns)
        return True

    def give_up(self, cancel: Intent, now_ns: int) -> None:
        """An order cannot be cancelled: unless it ended meanwhile, it works on."""
        desk, track = self.desk, self._track(cancel)
        if not track.ended:
            desk.alarm(f"{self.series.symbol}: order {cancel.order_id} could not be cancelled")
            say_working(desk.ledger, desk.names, track, track.ticket, now_ns)

    def _move_resolved(self, u: Unknown, long: bool, now_ns: int) -> bool:
        desk = self.desk
        if u.intent.position not in desk.ledger.held:
            return True
        fact = desk.positions.get(u.intent.position)
        if fact is None:
            return False
        if (fact.stop, fact.target) != (u.intent.stop, u.intent.target) and not long:
            return False
        say_levels(desk.ledger, desk.names, fact, now_ns)
        return True

    def _track(self, intent: Intent) -> Track:
        return self.desk.ledger.tracks[intent.series, intent.order_id]

    # -- levels -----------------------------------------------------------------------------------

    def _look_at_levels(self, moving: set[int], now_ns: int) -> None:
        """Say the levels of positions that are not as they were said, once that stands."""
        desk = self.desk
        for ident, held in list(desk.ledger.held.items()):
            fact = desk.positions.get(ident)
            if fact is None or held.fold != self.series.number or ident in moving:
                continue
            levels = fact.stop, fact.target
            if not held.asked and levels == (held.stop, held.target):
                self._odd.pop(ident, None)
                continue
            seen = self._odd.get(ident)
            if seen is None or seen[:2] != levels:
                seen = self._odd[ident] = (*levels, now_ns)
            if held.asked or now_ns - seen[2] >= desk.settings.lag_ns:
                self._odd.pop(ident, None)
                say_levels(desk.ledger, desk.names, fact, now_ns)
