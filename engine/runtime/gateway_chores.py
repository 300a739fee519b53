"""Orders that should not be there any more, and positions that this session did not open.

Owns :class:`Chores`. What must hold: a position that is not ours is touched only where the settings
say so; an order is withdrawn only if it carries this session's mark and the log has ended it, and
only after it was there for a while; nothing here is tried more often than once in ``settle_ns``.

It refuses to know links and intents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.broker.intent_id import ORDER_MAX, IntentKey, comment_of, magic_of
from engine.broker.protocol import OrderFact, PositionFact
from engine.runtime.gateway_calls import Ask, Call
from engine.runtime.gateway_settings import Desk

TRIES_MOST = 5
"""How often a stray order is cancelled, or an unknown position closed, in vain."""


@dataclass(slots=True)
class _Chore:
    """A stray order to cancel, or an unknown position to close: when next, how often tried."""

    call: Call
    not_before_ns: int
    tries: int = 0


@dataclass
class Chores:
    """See the module. ``unknown`` are the positions, ``others`` the working orders in our symbols
    that are not ours, as of the last look."""

    desk: Desk
    unknown: list[PositionFact] = field(default_factory=list)
    others: list[OrderFact] = field(default_factory=list)
    _waiting: dict[int, _Chore] = field(default_factory=dict)

    def orders(self, others: list[OrderFact]) -> None:
        """These orders are live in our symbols, and not ours: they are never touched."""
        known = {o.ticket for o in self.others}
        for fact in others:
            if fact.ticket not in known:
                self.desk.alarm(
                    f"order {fact.ticket} in {fact.symbol} is not of this session: it is left"
                )
        self.others = others

    def strays(self, orders: Sequence[OrderFact], now_ns: int) -> None:
        """These orders are live and ours, and the log has ended them."""
        for fact in orders:
            call = Call(0, Ask.CANCEL, fact.symbol, ticket=fact.ticket)
            self._add(fact.ticket, call, now_ns)
        self._forget(Ask.CANCEL, {o.ticket for o in orders})

    def positions(self, unknown: list[PositionFact], now_ns: int) -> None:
        """These positions in our symbols are not ours."""
        known = {p.ident for p in self.unknown}
        close = self.desk.settings.close_unknown
        for fact in unknown:
            if fact.ident not in known:
                self.desk.alarm(
                    f"position {fact.ticket} in {fact.symbol} is not of this session: "
                    + ("it is closed" if close else "it is not touched")
                )
            if close:
                self._add(fact.ticket, self._close(fact), now_ns)
        self.unknown = unknown
        self._forget(Ask.CLOSE, {p.ticket for p in unknown})

    def next_call(self, number: int, now_ns: int) -> Call | None:
        """What is due."""
        for ticket, chore in self._waiting.items():
            if now_ns < chore.not_before_ns or chore.tries >= TRIES_MOST:
                continue
            chore.tries += 1
            chore.not_before_ns = now_ns + self.desk.settings.settle_ns
            self.desk.counts.strays += 1
            what = "order" if chore.call.ask is Ask.CANCEL else "position"
            self.desk.alarm(f"{what} {ticket} is not as the log has it: {chore.call.ask.value}")
            return replace(chore.call, number=number)
        return None

    def _close(self, fact: PositionFact) -> Call:
        names = self.desk.names
        fold = next(n for n, symbol in names.symbols.items() if symbol == fact.symbol)
        key = IntentKey(fold, ORDER_MAX)  # no order of a fold has this id
        return Call(
            0, Ask.CLOSE, fact.symbol, position=fact, qty=fact.qty,
            magic=magic_of(names.base, names.tag, key), comment=comment_of(names.tag, key),
        )  # fmt: skip

    def _add(self, ticket: int, call: Call, now_ns: int) -> None:
        if ticket not in self._waiting:
            self._waiting[ticket] = _Chore(call, now_ns + self.desk.settings.lag_ns)

    def _forget(self, ask: Ask, there: set[int]) -> None:
        gone = [t for t, c in self._waiting.items() if c.call.ask is ask and t not in there]
        for ticket in gone:
            del self._waiting[ticket]
