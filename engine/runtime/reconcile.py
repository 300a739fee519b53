"""What a broker's facts say about our orders and positions, put into rows: pure, no calls, no time.

Owns the rules by which a deal, an order or a position of the broker is known to be ours, and in
which order they are told. What must hold:

* a deal becomes one row for each fold, once: a FILL for the fold whose order or position it is, a
  BALANCE for every other, because the account is one;
* an order is said to work before its first fill, and to have ended only when the fills that history
  speaks of were said;
* a deal that reduces a position is told after the deal that opened it, whichever is seen first;
* nothing is concluded from what is *not* there: that takes time, which :mod:`gateway` has.

Magic is what an order is known by; the deals of a server's own exits are known by their position,
whatever magic they carry. Formulas: the ledger's balance moves by profit less fee of each deal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data.enums import BrokerAct, ExitReason, OrderState
from engine.broker.intent_id import ORDER_MAX, IntentKey, key_of
from engine.broker.protocol import DealFact, OrderFact, PositionFact
from engine.runtime.gateway_state import BrokerRow, Ledger, Track


@dataclass(frozen=True, slots=True)
class Names:
    """Who we are: ``base`` and ``tag`` of our magics, the number of the execution series of each
    fold, and the broker's symbol of each fold."""

    base: int
    tag: int
    series: dict[int, int]
    symbols: dict[int, str]

    def key(self, magic: int) -> IntentKey | None:
        """The order of ours behind a magic."""
        key = key_of(magic, self.base, self.tag)
        return key if key is not None and key.series in self.series else None


@dataclass
class Found:
    """What could not be put into rows: ``stray`` orders at the broker that are live and ours and
    that the ledger has ended or never had, ``others`` live orders in our symbols that are not ours,
    ``early`` deals that wait for another one, ``foreign`` tickets of deals with our magic that no
    intent explains."""

    stray: list[OrderFact] = field(default_factory=list)
    others: list[OrderFact] = field(default_factory=list)
    early: list[DealFact] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)


def tell_orders(
    ledger: Ledger, names: Names, orders: Sequence[OrderFact], now_ns: int, found: Found
) -> None:
    """Say WORKING for orders that are found, and the end of those that are over."""
    for fact in sorted(orders, key=lambda o: o.ticket):
        track = _track_of_order(ledger, names, fact)
        if track is None:
            if fact.done_ns == 0 and names.key(fact.magic) is not None:
                found.stray.append(fact)
            elif fact.done_ns == 0 and fact.symbol in names.symbols.values():
                found.others.append(fact)
            continue
        if track.ended:
            if fact.done_ns == 0:
                found.stray.append(fact)
            continue
        if not track.working:
            say_working(ledger, names, track, fact.ticket, now_ns)
        if not track.ticket:
            track.ticket = fact.ticket
            ledger.by_ticket[fact.ticket] = track
        if fact.done_ns != 0 and fact.qty - fact.left <= track.filled:
            say_end(ledger, names, track, now_ns)


def tell_deals(
    ledger: Ledger,
    names: Names,
    deals: Iterable[DealFact],
    now_ns: int,
    found: Found,
    patient: bool = True,
) -> None:
    """Say every deal that was not said, oldest first. Not ``patient``: also those that come before
    what they close (nothing else was seen for too long)."""
    for deal in sorted(deals, key=lambda d: (d.ts_ns, d.ticket)):
        fold, order = _owner(ledger, names, deal, found)
        if fold >= 0 and (fold, deal.ticket) not in ledger.seen:
            if patient and _too_early(ledger, deal, ledger.tracks.get((fold, order))):
                found.early.append(deal)
                continue
            _say_fill(ledger, names, deal, fold, order, now_ns)
        for other in names.series:
            if other != fold and _moves_balance(ledger, deal, other):
                _say_balance(ledger, names, deal, other, now_ns)


def _moves_balance(ledger: Ledger, deal: DealFact, fold: int) -> bool:
    """A deal that the balance of a fold does not have yet: the balance that it began with has all
    up to then."""
    began_ns = ledger.began.get(fold)
    return began_ns is not None and deal.ts_ns > began_ns and (fold, deal.ticket) not in ledger.seen


def tell_positions(
    ledger: Ledger, names: Names, positions: Sequence[PositionFact], now_ns: int
) -> list[PositionFact]:
    """Say WORKING for orders that only their position shows; the positions that are not ours."""
    unknown = []
    for fact in positions:
        key = names.key(fact.magic)
        track = ledger.tracks.get((key.series, key.order)) if key is not None else None
        if track is None:
            if fact.ident not in ledger.owners and fact.symbol in names.symbols.values():
                unknown.append(fact)
            continue
        ledger.owners.setdefault(fact.ident, track.intent.series)
        if not track.working and not track.ended:
            say_working(ledger, names, track, fact.ident, now_ns)
    return unknown


def agree(ledger: Ledger, fold: int, positions: Sequence[PositionFact]) -> bool:
    """Whether the broker's positions of a fold are those that the deals told, to the unit."""
    theirs = {p.ident: int(p.side) * p.qty for p in positions if ledger.owners.get(p.ident) == fold}
    ours = {h.ident: h.net for h in ledger.held.values() if h.fold == fold}
    return theirs == ours


def say_levels(ledger: Ledger, names: Names, fact: PositionFact, now_ns: int) -> None:
    """The levels that a position of ours has at the broker."""
    fold = ledger.owners[fact.ident]
    ledger.say(
        BrokerRow(
            fold, names.series[fold], now_ns, fact.ticket, BrokerAct.LEVELS, position=fact.ident,
            price=fact.stop, target=fact.target,
        )
    )  # fmt: skip


def say_working(ledger: Ledger, names: Names, track: Track, ticket: int, now_ns: int) -> None:
    """The broker has the order."""
    _say_order(ledger, names, track, OrderState.WORKING, ticket, 0, now_ns)


def say_end(ledger: Ledger, names: Names, track: Track, now_ns: int, code: int = 0) -> None:
    """The order is over with what it got: CANCELLED where it ever worked, else REJECTED; nothing
    where it was filled whole, because the last fill said so."""
    if track.ended:
        return
    state = OrderState.CANCELLED if track.working else OrderState.REJECTED
    _say_order(ledger, names, track, state, track.ticket, code, now_ns)


def _say_order(
    ledger: Ledger, names: Names, track: Track, state: OrderState, ticket: int, code: int,
    now_ns: int,
) -> None:  # fmt: skip
    fold, order = track.intent.series, track.intent.order_id
    ledger.say(
        BrokerRow(
            fold, names.series[fold], now_ns, ticket, BrokerAct.ORDER, order_id=order, state=state,
            side=track.intent.side, code=code,
        )
    )  # fmt: skip


def _track_of_order(ledger: Ledger, names: Names, fact: OrderFact) -> Track | None:
    """Our order behind an order of the broker: by magic; the server's own exits inherit a magic,
    but stand on the other side."""
    key = names.key(fact.magic)
    track = ledger.tracks.get((key.series, key.order)) if key is not None else None
    if track is None:
        return ledger.by_ticket.get(fact.ticket)
    if track.ticket and track.ticket != fact.ticket:
        return None
    return track if fact.side == track.intent.side else None


def _owner(ledger: Ledger, names: Names, deal: DealFact, found: Found) -> tuple[int, int]:
    """(fold, order id) of a deal: order 0 where nobody here asked for it, fold -1 where neither
    the order nor the position is ours."""
    key = names.key(deal.magic)
    asked = deal.reason == ExitReason.OPEN and not deal.by_hand
    if asked:
        track = ledger.tracks.get((key.series, key.order)) if key is not None else None
        track = track or ledger.by_ticket.get(deal.order)
        if track is not None and track.intent.side == deal.side:
            return track.intent.series, track.intent.order_id
    fold = ledger.owners.get(deal.position, -1)
    if fold < 0 and key is not None:
        if (key.series, key.order) in ledger.tracks:
            return key.series, 0
        if key.order != ORDER_MAX:  # that one closes what is not ours
            found.foreign.append(deal.ticket)
    return fold, 0


def _too_early(ledger: Ledger, deal: DealFact, track: Track | None) -> bool:
    """The deal closes more than the deals before it opened. Only an order that opens may turn a
    netting position round, and so be larger than what it closes."""
    if not deal.closes:
        return False
    held = ledger.held.get(deal.position)
    against = -held.net * int(deal.side) if held is not None else 0
    turns = track is not None and not track.intent.reduces
    return against <= 0 or (against < deal.qty and not turns)


def _say_fill(
    ledger: Ledger, names: Names, deal: DealFact, fold: int, order: int, now_ns: int
) -> None:
    track = ledger.tracks.get((fold, order))
    if track is not None and not track.working and not track.ended:
        say_working(ledger, names, track, deal.order, now_ns)
    by_hand = order == 0 and deal.reason == ExitReason.OPEN
    reason = ExitReason.CONTROL if by_hand else deal.reason
    ledger.say(
        BrokerRow(
            fold, names.series[fold], min(deal.ts_ns, now_ns), deal.ticket, BrokerAct.FILL,
            order_id=order, position=deal.position, side=deal.side, price=deal.price,
            qty=deal.qty, pnl=deal.profit, fee=deal.fee, reason=reason,
        )
    )  # fmt: skip


def _say_balance(ledger: Ledger, names: Names, deal: DealFact, fold: int, now_ns: int) -> None:
    after = ledger.balances.get(fold, 0) + deal.profit - deal.fee
    ledger.say(
        BrokerRow(
            fold, names.series[fold], now_ns, deal.ticket, BrokerAct.BALANCE, balance=after
        )
    )  # fmt: skip
