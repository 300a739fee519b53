"""What was asked of a broker and what it is known to have done: the gateway's ledger.

Owns :class:`Intent` (a row of the record table ``intent``), :class:`BrokerRow` (a BROKER event on
its way to the log) and :class:`Ledger`, which follows both. What must hold: the ledger changes only
by intents and by rows that are said, so whoever follows the log's intents and BROKER rows has the
ledger that the gateway had; a deal is said once; an order that ended stays ended.

It refuses to know calls, time and who executes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from data.enums import Action, BrokerAct, ExitReason, Kind, OrderState, OrderType, Side
from data.events import EVENTS

OPENS = frozenset({Action.ENTER_LONG, Action.ENTER_SHORT})
TIF_IOC = 1
"""Time in force of an order that takes what it can at once (``engine.kernel.matching_state``)."""


_INTENT_WORDS: dict[str, type] = {
    "action": Action, "type": OrderType, "side": Side, "exit_reason": ExitReason,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Intent:
    """A row of the record table ``intent`` of fold number ``series``; prices and quantities in
    units of the execution venue's instrument, ``position`` the broker's identifier."""

    series: int
    ts_ns: int
    id: int
    decision_id: int
    action: Action
    type: OrderType
    side: Side
    qty: int
    price: int
    stop: int
    target: int
    tif: int
    reduce_only: int
    exit_reason: ExitReason
    order_id: int
    position: int
    bid: int
    ask: int
    basis: int

    @classmethod
    def of(cls, series: int, row: Mapping[str, Any] | np.void) -> Intent:
        """From a row with the columns of ``RECORDS["intent"]``."""
        one: dict[str, Any] = {f.name: int(row[f.name]) for f in fields(cls)[1:]}
        for name, word in _INTENT_WORDS.items():
            one[name] = word(one[name])
        return cls(series, **one)

    @property
    def orders(self) -> bool:
        """It asks for an order of its own (and does not cancel one, or move a stop)."""
        return self.action not in (Action.CANCEL, Action.MOVE_STOP, Action.NONE)

    @property
    def reduces(self) -> bool:
        """Its order may only make a position smaller."""
        return self.orders and (self.position != 0 or self.reduce_only != 0)

    @property
    def rests(self) -> bool:
        """Its order may wait at the broker for its price."""
        return self.orders and self.type != OrderType.MARKET and self.tif != TIF_IOC


@dataclass(frozen=True, slots=True)
class BrokerRow:
    """A BROKER event that the log has not yet; columns as in ``data.events``.

    ``fold`` is the number of the fold that it is for, ``series`` the number under which it stands
    (that of the execution instrument; the same where flow and execution are one).
    """

    fold: int
    series: int
    ts_ns: int
    id: int
    act: BrokerAct
    order_id: int = 0
    position: int = 0
    state: OrderState = OrderState.EMPTY
    side: Side = Side.UNKNOWN
    price: int = 0
    target: int = 0
    qty: int = 0
    pnl: int = 0
    fee: int = 0
    balance: int = 0
    reason: ExitReason = ExitReason.OPEN
    code: int = 0

    def row(self) -> tuple[int, ...]:
        """(ts_ns, id, act, order_id, ...): what an inlet admits for Kind.BROKER."""
        return tuple(int(getattr(self, name)) for name in _COLUMNS)

    @classmethod
    def of(cls, fold: int, series: int, row: Mapping[str, Any] | np.void) -> BrokerRow:
        """From a logged event with the columns of ``EVENTS[Kind.BROKER]``."""
        one: dict[str, Any] = {name: int(row[name]) for name in _COLUMNS}
        for name, kind in _WORDS.items():
            one[name] = kind(one[name])
        return cls(fold=fold, series=series, **one)


_COLUMNS = tuple(f.name for f in EVENTS[Kind.BROKER].fields if f.name not in ("recv_ns", "seq"))
_WORDS: dict[str, type] = {
    "act": BrokerAct, "state": OrderState, "side": Side, "reason": ExitReason,
}  # fmt: skip


@dataclass(slots=True)
class Track:
    """An order of ours: ``ticket`` 0 while none is known, ``working`` once WORKING was said,
    ``filled`` by the deals that were said, ``sent`` the quantity that was asked of the broker."""

    intent: Intent
    ticket: int = 0
    working: bool = False
    filled: int = 0
    sent: int = 0
    ended: bool = False

    @property
    def left(self) -> int:
        """What was sent and is not filled."""
        return self.sent - self.filled


@dataclass(slots=True)
class Held:
    """A position of ours by the deals that were said: ``net`` is signed, levels as last said.
    ``asked`` is set from an intent that moves its stop until levels are said."""

    ident: int
    fold: int
    net: int = 0
    stop: int = 0
    target: int = 0
    asked: bool = False


@dataclass
class Ledger:
    """Orders, positions, deals and balances as the log has them, by number of the fold.

    ``owners`` names the fold of every position that was ever ours; ``seen`` holds (fold, deal).
    """

    tracks: dict[tuple[int, int], Track] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)
    owners: dict[int, int] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)
    balances: dict[int, int] = field(default_factory=dict)
    began: dict[int, int] = field(default_factory=dict)
    """By fold: time of its first balance; deals up to then are in it."""

    blocked: set[int] = field(default_factory=set)
    cancels: dict[tuple[int, int], Intent] = field(default_factory=dict)
    last_intent: dict[int, int] = field(default_factory=dict)
    open_tracks: dict[tuple[int, int], Track] = field(default_factory=dict)
    by_ticket: dict[int, Track] = field(default_factory=dict)
    _said: list[BrokerRow] = field(default_factory=list)

    def intend(self, intent: Intent) -> bool:
        """Follow an intent; False where it was followed before."""
        if intent.id <= self.last_intent.get(intent.series, 0):
            return False
        self.last_intent[intent.series] = intent.id
        key = (intent.series, intent.order_id)
        if intent.orders:
            self.tracks[key] = self.open_tracks[key] = Track(intent, sent=intent.qty)
        elif intent.action == Action.CANCEL:
            self.cancels[key] = intent
        elif intent.position in self.held:
            self.held[intent.position].asked = True
        return True

    def say(self, row: BrokerRow) -> None:
        """Follow a row and keep it for :meth:`take`."""
        self.follow(row)
        self._said.append(row)

    def take(self) -> list[BrokerRow]:
        """Rows said since the last call, in order."""
        said, self._said = self._said, []
        return said

    def follow(self, row: BrokerRow) -> None:
        """Follow a row of the log."""
        if row.act == BrokerAct.ORDER:
            self._order(row)
        elif row.act == BrokerAct.FILL:
            self._fill(row)
        elif row.act == BrokerAct.LEVELS:
            held = self.held.get(row.position)
            if held is not None:
                held.stop, held.target, held.asked = row.price, row.target, False
        elif row.act == BrokerAct.BALANCE:
            self.balances[row.fold] = row.balance
            self.began.setdefault(row.fold, row.ts_ns)
            if row.id:
                self.seen.add((row.fold, row.id))
        elif row.act == BrokerAct.BLOCK:
            self.blocked.add(row.fold)
        elif row.act == BrokerAct.UNBLOCK:
            self.blocked.discard(row.fold)

    @property
    def began_ns(self) -> int:
        """When the session began, as its first balance has it; 0 before that."""
        return min(self.began.values(), default=0)

    def open_of(self, fold: int) -> list[Track]:
        """Orders of a fold without an end, in the order in which they were asked for."""
        return [t for (number, _), t in self.open_tracks.items() if number == fold]

    def _order(self, row: BrokerRow) -> None:
        track = self.tracks.get((row.fold, row.order_id))
        if track is None:
            return
        if row.id:
            track.ticket = row.id
            self.by_ticket[row.id] = track
        if row.state == OrderState.WORKING:
            if track.working:
                self.cancels.pop((row.fold, row.order_id), None)  # it works on
            track.working = True
        elif row.state in (OrderState.CANCELLED, OrderState.REJECTED):
            self._end(row.fold, row.order_id, track)

    def _end(self, fold: int, order: int, track: Track) -> None:
        track.ended = True
        self.open_tracks.pop((fold, order), None)
        self.cancels.pop((fold, order), None)

    def _fill(self, row: BrokerRow) -> None:
        self.seen.add((row.fold, row.id))
        self.balances[row.fold] = self.balances.get(row.fold, 0) + row.pnl - row.fee
        track = self.tracks.get((row.fold, row.order_id))
        held = self.held.setdefault(row.position, Held(row.position, row.fold))
        before = held.net
        held.net += int(row.side) * row.qty
        if track is not None:
            track.filled += row.qty
            if track.filled >= track.intent.qty:
                self._end(row.fold, row.order_id, track)
            if not track.intent.reduces and abs(held.net) > abs(before) * (before * held.net > 0):
                held.stop, held.target = track.intent.stop, track.intent.target
        self.owners[row.position] = row.fold
        if held.net == 0:
            del self.held[row.position]


def followed(log: Iterable[Intent | BrokerRow]) -> Ledger:
    """The ledger behind a session's log: every intent that was synced and every BROKER row, each
    kind in its order (an intent somewhere before the rows that answer it)."""
    ledger = Ledger()
    for one in log:
        if isinstance(one, Intent):
            ledger.intend(one)
        else:
            ledger.follow(one)
    return ledger
