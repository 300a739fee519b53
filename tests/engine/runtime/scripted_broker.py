"""A small broker in virtual time that keeps the plain truth, and can be told to misbehave.

No MetaTrader here: orders are filled whole at a price that the test sets, everything is in lists,
and every fault is one entry of ``script``. The truth (``executed``, ``balance``, ``book``) is what
a gateway's rows are compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from data.enums import Action, ExitReason, OrderType, Side
from data.events import Scales
from engine.broker.protocol import (
    Account,
    BrokerError,
    BrokerGoneError,
    DealFact,
    Health,
    Instrument,
    NewOrder,
    OrderFact,
    Outcome,
    PositionFact,
    Tick,
    Treatment,
)
from engine.runtime.gateway import Gateway, GatewaySeries, GatewaySettings
from engine.runtime.gateway_calls import CHANGES, Call, perform
from engine.runtime.gateway_state import BrokerRow, Intent, Ledger

S = 1_000_000_000
START = 1_700_000_000 * S
BASE, TAG = 77, 4242
SCALES = Scales(2, 3)
EURUSD = GatewaySeries(0, 1, "EURUSD", SCALES, slippage=50)
CODES = {
    Treatment.DONE: 10009, Treatment.PLACED: 10008, Treatment.NO_CHANGE: 10025,
    Treatment.FRESH_PRICE: 10004, Treatment.BACK_OFF: 10024, Treatment.REREAD: 10023,
    Treatment.FIX_INPUT: 10014, Treatment.REFUSE: 10006, Treatment.RECONCILE: 10012,
    Treatment.HALT: 10027,
}  # fmt: skip


@dataclass
class ScriptedBroker:
    """See the module. ``script`` maps the number of a changing call (1, 2, 3 ...) to a fault:
    a Treatment (answered and not executed), "lost" (executed, answer RECONCILE), "never" (not
    executed, answer RECONCILE), "gone" (the link dies before), "lost gone" (executed, then the link
    dies), "partial" (half is executed), "error". ``hide_ns``: deals, orders and positions show
    so much later than they happened."""

    hedging: bool = True
    balance: int = 100_000 * 10**8
    script: dict[int, Any] = field(default_factory=dict)
    hide_ns: int = 0
    price: int = 10_000
    name: str = "scripted"
    now_ns: int = START
    linked: bool = False
    connected: bool = True
    allowed: bool = True
    down: bool = False
    fee: int = 123
    changing: int = 0
    ticket: int = 1000
    book: dict[int, PositionFact] = field(default_factory=dict)
    history: list[OrderFact] = field(default_factory=list)
    deal_list: list[DealFact] = field(default_factory=list)
    hidden: list[tuple[int, str, Any]] = field(default_factory=list)
    executed: Counter[int] = field(default_factory=Counter)
    sent: list[tuple[int, Call | NewOrder | str]] = field(default_factory=list)

    # -- the protocol -----------------------------------------------------------------------------

    def connect(self) -> Account:
        if self.down:
            raise BrokerGoneError("down")
        self.linked = True
        return self.account()

    def account(self) -> Account:
        self._alive()
        return Account(1, "s", "USD", self.hedging, False, self.balance, 0, 0, self.allowed)

    def instruments(self) -> Sequence[Instrument]:
        return ()

    def quotes(self, symbol: str, since_ns: int) -> Sequence[Tick]:
        self._alive()
        return (Tick(self.now_ns, self.price - 1, self.price + 1),)

    def submit(self, order: NewOrder) -> Outcome:
        return self._changing(lambda share: self._execute(order, share), order)

    def modify(self, symbol: str, position: int, stop: int, target: int) -> Outcome:
        def change(_share: float) -> Outcome:
            fact = self._position(position)
            if fact is None:
                return _said(Treatment.REREAD)
            self._put(replace(fact, stop=stop, target=target))
            return _said(Treatment.DONE)

        return self._changing(change, f"modify {position} {stop} {target}")

    def close(self, position: PositionFact, qty: int, magic: int, comment: str) -> Outcome:
        def change(share: float) -> Outcome:
            fact = self._position(position.ticket)
            if fact is None:
                return _said(Treatment.REREAD)
            order = NewOrder(
                fact.symbol, magic, comment, OrderType.MARKET, Side(-int(fact.side)),
                min(qty, fact.qty), 0, 0, 0, fact.ticket,
            )  # fmt: skip
            return self._execute(order, share)

        return self._changing(change, f"close {position.ticket} {qty}")

    def cancel(self, symbol: str, order: int) -> Outcome:
        def change(_share: float) -> Outcome:
            for i, fact in enumerate(self.history):
                if fact.ticket == order and not fact.done_ns:
                    self.history[i] = replace(fact, done_ns=self.now_ns)
                    return _said(Treatment.DONE)
            return _said(Treatment.REFUSE)

        return self._changing(change, f"cancel {order}")

    def positions(self) -> Sequence[PositionFact]:
        self._alive()
        return [p for p in self.book.values() if not self._hides(("position", p.ident))]

    def orders(self, since_ns: int) -> Sequence[OrderFact]:
        self._alive()
        return [
            o for o in self.history
            if o.setup_ns >= since_ns and not self._hides(("order", o.ticket))
        ]  # fmt: skip

    def deals(self, since_ns: int) -> Sequence[DealFact]:
        self._alive()
        return [
            d for d in self.deal_list
            if d.ts_ns >= since_ns and not self._hides(("deal", d.ticket))
        ]  # fmt: skip

    def health(self) -> Health:
        return Health(self.linked and self.connected, self.allowed, 0, 0, 0, 0)

    def stop(self) -> None:
        self.linked = False

    # -- what the world does ----------------------------------------------------------------------

    def server_exit(self, ident: int, reason: ExitReason = ExitReason.STOP) -> None:
        """The server closes a position by itself."""
        fact = self.book[ident]
        order = NewOrder(
            fact.symbol, fact.magic, "[sl]", OrderType.MARKET, Side(-int(fact.side)), fact.qty, 0,
            0, 0, fact.ticket,
        )  # fmt: skip
        self._execute(order, 1.0, reason)

    def by_hand(self, side: Side, qty: int, position: int = 0) -> int:
        """A person trades; the position's identifier."""
        order = NewOrder("EURUSD", 0, "", OrderType.MARKET, side, qty, 0, 0, 0, position)
        self._execute(order, 1.0)
        return self.deal_list[-1].position

    def deposit(self, amount: int) -> None:
        self._deal(0, 0, 0, "", Side.UNKNOWN, 0, amount, 0, ExitReason.OPEN, False, False)

    def fill_pending(self, ticket: int) -> None:
        """A resting order is filled whole."""
        for i, fact in enumerate(self.history):
            if fact.ticket == ticket:
                self.history[i] = replace(fact, done_ns=self.now_ns, left=0, filled=True)
                self._trade(
                    fact.ticket, fact.magic, fact.symbol, fact.side, fact.left, 0, 0, 0,
                    ExitReason.OPEN, False,
                )  # fmt: skip

    # -- within -----------------------------------------------------------------------------------

    def _alive(self) -> None:
        if not self.linked or self.down:
            self.linked = False
            raise BrokerGoneError("no link")

    def _changing(self, act: Any, what: Any) -> Outcome:
        self._alive()
        self.changing += 1
        self.sent.append((self.now_ns, what))
        fault = self.script.get(self.changing)
        if fault is None:
            return act(1.0)
        if fault == "partial":
            return act(0.5)
        if fault == "error":
            raise BrokerError("not that")
        if fault in ("gone", "lost gone"):
            if fault == "lost gone":
                act(1.0)
            self.linked = False
            raise BrokerGoneError("the pipe broke")
        if fault in ("lost", "never"):
            if fault == "lost":
                act(1.0)
            return _said(Treatment.RECONCILE)
        assert isinstance(fault, Treatment)
        return _said(fault)

    def _execute(
        self, order: NewOrder, share: float, reason: ExitReason = ExitReason.OPEN
    ) -> Outcome:
        self.ticket += 1
        ticket = self.ticket
        rests = order.type != OrderType.MARKET and not order.ioc
        qty = 0 if rests else max(1, int(order.qty * share))
        if reason == ExitReason.OPEN:
            self.executed[order.magic] += 1
        done_ns = 0 if rests else self.now_ns
        self.history.append(
            OrderFact(
                ticket, order.symbol, order.magic, order.comment, order.type, order.side, order.qty,
                order.qty - qty, order.price, self.now_ns, done_ns, qty == order.qty,
                order.position,
            )
        )  # fmt: skip
        self._hide("order", ticket)
        if rests:
            return replace(_said(Treatment.PLACED), order=ticket)
        by_hand = order.magic == 0
        deal = self._trade(
            ticket, order.magic, order.symbol, order.side, qty, order.position, order.stop,
            order.target, reason, by_hand,
        )  # fmt: skip
        return replace(_said(Treatment.DONE), order=ticket, deal=deal, qty=qty)

    def _trade(
        self, order: int, magic: int, symbol: str, side: Side, qty: int, position: int, stop: int,
        target: int, reason: ExitReason, by_hand: bool,
    ) -> int:  # fmt: skip
        fact = self._position(position) if position else None
        if not self.hedging and fact is None:
            fact = next((p for p in self.book.values() if p.symbol == symbol), None)
        closes = fact is not None and fact.side != side
        profit = 0
        if fact is None:
            self.book[order] = PositionFact(
                order, order, symbol, magic, "", side, qty, self.price, stop, target, self.now_ns
            )
            ident = order
            self._hide("position", ident)
        else:
            ident = fact.ident
            net = int(fact.side) * fact.qty + int(side) * qty
            if closes:
                profit = (self.price - fact.price) * int(fact.side) * qty * 1000
            if net == 0:
                del self.book[ident]
            else:
                flips = net * int(fact.side) < 0
                levels = (fact.stop, fact.target) if closes and not flips else (stop, target)
                self._put(
                    replace(fact, side=Side.BUY if net > 0 else Side.SELL, qty=abs(net),
                            stop=levels[0], target=levels[1],
                            ticket=order if flips else fact.ticket)
                )  # fmt: skip
        return self._deal(
            order, ident, magic, symbol, side, qty, profit, self.fee, reason, closes, by_hand
        )

    def _deal(
        self, order: int, position: int, magic: int, symbol: str, side: Side, qty: int, profit: int,
        fee: int, reason: ExitReason, closes: bool, by_hand: bool,
    ) -> int:  # fmt: skip
        self.ticket += 1
        self.balance += profit - fee
        self.deal_list.append(
            DealFact(
                self.ticket, order, position, symbol, magic, "", side, qty, self.price, profit, fee,
                self.now_ns, reason, closes, by_hand,
            )
        )  # fmt: skip
        self._hide("deal", self.ticket)
        return self.ticket

    def _position(self, ticket: int) -> PositionFact | None:
        return next((p for p in self.book.values() if p.ticket == ticket), None)

    def _put(self, fact: PositionFact) -> None:
        self.book[fact.ident] = fact

    def _hide(self, what: str, ticket: int) -> None:
        if self.hide_ns:
            self.hidden.append((self.now_ns + self.hide_ns, what, ticket))

    def _hides(self, key: tuple[str, int]) -> bool:
        return any(self.now_ns < until and (what, t) == key for until, what, t in self.hidden)


def _said(treatment: Treatment) -> Outcome:
    return Outcome(treatment, CODES[treatment], treatment.value)


@dataclass
class Desk:
    """A gateway over a broker in virtual time, and what a session would keep of it. ``log`` holds
    the rows and intents that are synced; what is said after ``dies_at`` calls never gets there."""

    broker: ScriptedBroker
    series: Sequence[GatewaySeries] = (EURUSD,)
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    call_ns: int = 2_000_000
    rows: list[BrokerRow] = field(default_factory=list)
    log: list[Intent | BrokerRow] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    ids: int = 0

    def __post_init__(self) -> None:
        self.gateway = self.new(None)

    def new(self, resume: Ledger | None) -> Gateway:
        return Gateway(self.series, BASE, TAG, self.settings, resume)

    @property
    def now_ns(self) -> int:
        return self.broker.now_ns

    def intend(self, order_id: int, action: Action = Action.ENTER_LONG, *, given: bool = True,
               **more: Any) -> Intent:  # fmt: skip
        """An intent that is synced, ``given`` to the gateway."""
        self.ids += 1
        side = {Action.ENTER_LONG: Side.BUY, Action.EXIT: Side.SELL}.get(action, Side.SELL)
        one = Intent(
            0, self.now_ns, self.ids, self.ids, action, OrderType.MARKET, side, 100, 0, 9_900,
            10_200, 0, 0, ExitReason.OPEN, order_id, 0, self.broker.price - 1,
            self.broker.price + 1, 0,
        )  # fmt: skip
        one = replace(one, **more)
        self.log.append(one)
        if given:
            self.gateway.intent(one.series, one)
        return one

    def keep(self, rows: Sequence[BrokerRow]) -> None:
        self.rows.extend(rows)
        self.log.extend(rows)

    def step(self) -> None:
        """One call, or time until the next."""
        call = self.gateway.next_call(self.now_ns)
        self.keep(self.gateway.take())
        if call is None:
            due = self.gateway.due_ns(self.now_ns)
            self.broker.now_ns = max(due, self.now_ns + 1_000_000)
            return
        self.calls.append(call)
        answer = perform(call, self.broker)
        self.broker.now_ns += self.call_ns
        self.keep(self.gateway.answer(call, answer, self.now_ns))
        self.alarms += self.gateway.take_alarms()

    def run(self, seconds: float) -> None:
        until = self.now_ns + int(seconds * S)
        while self.now_ns < until:
            self.step()

    def say(self) -> list[str]:
        """Rows without blocks and balances, in words."""
        out = []
        for row in self.rows:
            words = [row.act.name]
            if row.act.name == "ORDER":
                words += [row.state.name, str(row.order_id), str(row.code)]
            elif row.act.name == "FILL":
                words += [str(row.order_id), row.side.name, str(row.qty), row.reason.name]
            elif row.act.name == "LEVELS":
                words += [str(row.price), str(row.target)]
            else:
                continue
            out.append(" ".join(words))
        return out

    @property
    def changes(self) -> list[Call]:
        return [c for c in self.calls if c.ask in CHANGES]
