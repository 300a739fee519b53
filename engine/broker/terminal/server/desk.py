"""The desk of the trade server: it executes what the rules let pass, and answers.

Owns ``order_send`` and ``order_check`` on the server's side: :class:`Desk`, and what a
:class:`Twist` (the script of faults) changes about one request. What must hold: a result is built
only from what was done; a refused request changes nothing; a request is executed at most once.

It refuses to know connections and whether a terminal may trade at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from engine.broker.terminal.server.keeper import Keeper
from engine.broker.terminal.server.ledger import Ledger
from engine.broker.terminal.server.rules import RefusedError, Request, Rules
from engine.broker.terminal.server.specs import LOT
from engine.broker.terminal.server.state import Order
from engine.broker.terminal.server.words import (
    TEXTS,
    Act,
    Filling,
    Reason,
    Ret,
    State,
    Type,
    is_buy,
)

Later = Callable[[int, Callable[[], None]], None]
"""Have something done at a time, ns UTC."""


@dataclass(frozen=True, slots=True)
class Twist:
    """What goes wrong with a request: ``code`` refuses it (0: not), ``share`` of its volume is all
    that can be had (1: all of it), ``late_ns`` passes between the acceptance and the execution (0:
    none), ``slip`` points are added against the client."""

    code: int = 0
    share: float = 1.0
    late_ns: int = 0
    slip: int = 0


PLAIN = Twist()


class Desk:
    """Executes requests on the books of ``ledger``."""

    def __init__(self, ledger: Ledger, keeper: Keeper, later: Later) -> None:
        self.ledger = ledger
        self.keeper = keeper
        self.market = ledger.market
        self.rules = Rules(ledger, keeper)
        self._later = later
        self._ids = count(1)

    # --- answers

    def result(self, code: int, r: Request, **known: Any) -> dict[str, Any]:
        """A result; a requote tells the prices of the moment."""
        ret = Ret(code) if code in Ret.__members__.values() else None
        answer = {
            "retcode": int(code), "deal": 0, "order": 0, "volume": 0.0, "price": 0.0, "bid": 0.0,
            "ask": 0.0, "comment": TEXTS[ret] if ret is not None else "", "request_id": 0,
            "retcode_external": 0,
        }  # fmt: skip
        if code in (Ret.REQUOTE, Ret.PRICE_CHANGED) and r.symbol in self.market.specs:
            known = {**self._touch(r.symbol), **known}
        if code != Ret.INVALID:
            answer["request_id"] = next(self._ids)
        return answer | known

    def _touch(self, symbol: str) -> dict[str, float]:
        spec, quotes = self.market.specs[symbol], self.market.quotes[symbol]
        return {"bid": spec.price(quotes.bid), "ask": spec.price(quotes.ask)}

    # --- order_check

    def check(self, r: Request) -> dict[str, Any]:
        """The answer to ``order_check``: what the account would be after the request."""
        ledger, money = self.ledger, self.ledger.money
        code, margin = Ret.OK, ledger.margin()
        try:
            self._rule(r)
        except RefusedError as refused:
            code = refused.code
        if r.action == Act.DEAL and r.symbol in self.market.specs and not r.position:
            quotes = self.market.quotes[r.symbol]
            buy = is_buy(r.type)
            price = quotes.ask if buy else quotes.bid
            margin = ledger.margin((r.symbol, buy, round(r.volume * LOT), price))
        equity = ledger.equity()
        return {
            "retcode": int(code), "balance": money.amount(ledger.balance),
            "equity": money.amount(equity), "profit": money.amount(ledger.profit()),
            "margin": money.amount(margin), "margin_free": money.amount(equity - margin),
            "margin_level": round(100 * equity / margin, 2) if margin else 0.0,
            "comment": TEXTS[code],
        }  # fmt: skip

    def _rule(self, r: Request) -> None:
        rules: dict[int, Callable[[Request], Any]] = {
            Act.DEAL: self.rules.deal,
            Act.PENDING: self.rules.pending,
            Act.SLTP: self.rules.sltp,
            Act.MODIFY: self.rules.modify,
            Act.REMOVE: self.rules.working,
            Act.CLOSE_BY: self.rules.close_by,
        }
        if r.action not in rules:
            raise RefusedError(Ret.INVALID)
        rules[r.action](r)

    # --- order_send

    def send(self, r: Request, twist: Twist = PLAIN) -> dict[str, Any]:
        """Execute a request, or refuse it."""
        acts: dict[int, Callable[[Request, Twist], dict[str, Any]]] = {
            Act.DEAL: self._deal,
            Act.PENDING: self._pending,
            Act.SLTP: self._sltp,
            Act.MODIFY: self._modify,
            Act.REMOVE: self._remove,
            Act.CLOSE_BY: self._close_by,
        }
        try:
            if r.action not in acts:
                raise RefusedError(Ret.INVALID)
            if twist.code:
                return self.result(twist.code, r)
            return acts[r.action](r, twist)
        except RefusedError as refused:
            return self.result(refused.code, r)

    def _deal(self, r: Request, twist: Twist) -> dict[str, Any]:
        allowed = self.rules.deal(r)
        ledger, spec = self.ledger, self.market.specs[r.symbol]
        order = Order(
            ledger.ticket(), r.symbol, r.type, r.type_filling, r.type_time, allowed.volume,
            allowed.volume, spec.points(r.price), 0, allowed.sl, allowed.tp, r.magic, r.comment,
            Reason.EXPERT, self.market.now_ns, state=State.STARTED,
            position=allowed.closes.ticket if allowed.closes else 0,
        )  # fmt: skip
        if twist.late_ns:
            ledger.work(order)
            self._later(
                self.market.now_ns + twist.late_ns, lambda: self._execute_late(order, twist)
            )
            return self.result(
                Ret.PLACED, r, order=order.ticket, volume=r.volume, **self._touch(r.symbol)
            )
        return self._executed(r, order, twist)

    def _execute_late(self, order: Order, twist: Twist) -> None:
        """What was accepted is executed now, if it still can be."""
        ledger = self.ledger
        ledger.orders.pop(order.ticket, None)
        ledger.shown_orders.put(order.ticket, None, ledger.seen_ns())
        closes = order.position
        if closes and closes not in ledger.positions:
            ledger.finish(order, State.REJECTED)
            return
        price = self._price(order, twist)
        short = not closes and self.keeper.short_of_margin(
            order.symbol, is_buy(order.type), order.volume, price
        )
        if not self.market.open(order.symbol) or short or price <= 0:
            ledger.finish(order, State.REJECTED)
            return
        self._fill(order, twist)

    def _price(self, order: Order, twist: Twist) -> int:
        quotes = self.market.quotes[order.symbol]
        buy = is_buy(order.type)
        return quotes.ask + twist.slip if buy else quotes.bid - twist.slip

    def _fill(self, order: Order, twist: Twist) -> tuple[int, int, int]:
        """Fill a market order as its filling asks: (deal, volume, price); 0 where nothing was."""
        ledger = self.ledger
        step = round(self.market.specs[order.symbol].volume_step * LOT)
        able = self.keeper.available(order)
        able = min(able, int(order.volume * twist.share)) // step * step
        price = self._price(order, twist)
        if able < order.volume and (order.filling == Filling.FOK or not able):
            ledger.finish(order, State.CANCELED)
            return 0, 0, 0
        closes = order.position in ledger.positions and order.position
        deal = ledger.fill(order, price, able)
        if not order.volume:
            ledger.finish(order, State.FILLED)
        elif order.filling == Filling.RETURN:
            order.state = State.PARTIAL
            # what is left closes the same position: by its ticket, as it was asked for
            order.position = closes or order.position
            ledger.work(order)
        else:
            ledger.finish(order, State.CANCELED)
        return deal.ticket, able, price

    def _executed(self, r: Request, order: Order, twist: Twist) -> dict[str, Any]:
        deal, volume, price = self._fill(order, twist)
        if not deal:
            return self.result(Ret.REJECT, r, order=order.ticket, **self._touch(r.symbol))
        spec = self.market.specs[r.symbol]
        return self.result(
            Ret.DONE_PARTIAL if volume < order.initial else Ret.DONE,
            r,
            deal=deal,
            order=order.ticket,
            volume=spec.lots(volume),
            price=spec.price(price) if spec.tells_price else 0.0,
            **self._touch(r.symbol),
        )

    def _pending(self, r: Request, _twist: Twist) -> dict[str, Any]:
        order = self.rules.pending(r)
        quotes = self.market.quotes[r.symbol]
        takes = {
            Type.BUY_LIMIT: order.price >= quotes.ask,
            Type.SELL_LIMIT: order.price <= quotes.bid,
        }
        if order.filling == Filling.BOC and takes.get(Type(order.type), False):
            raise RefusedError(Ret.INVALID_PRICE)
        order.ticket = self.ledger.ticket()
        self.ledger.work(order)
        return self.result(
            Ret.DONE, r, order=order.ticket, volume=r.volume, **self._touch(r.symbol)
        )

    def _sltp(self, r: Request, _twist: Twist) -> dict[str, Any]:
        held, held_sl, held_tp = self.rules.sltp(r)
        held.sl, held.tp, held.update_ns = held_sl, held_tp, self.market.now_ns
        self.ledger.show_position(held)
        return self.result(Ret.DONE, r)

    def _modify(self, r: Request, _twist: Twist) -> dict[str, Any]:
        order, changed = self.rules.modify(r)
        self.ledger.orders[order.ticket] = changed
        self.ledger.show_order(changed)
        return self.result(Ret.DONE, r, order=order.ticket, **self._touch(order.symbol))

    def _remove(self, r: Request, _twist: Twist) -> dict[str, Any]:
        order = self.rules.working(r)
        self.ledger.finish(order, State.CANCELED)
        return self.result(Ret.DONE, r, order=order.ticket)

    def _close_by(self, r: Request, _twist: Twist) -> dict[str, Any]:
        one, other = self.rules.close_by(r)
        volume = min(one.volume, other.volume)
        order = Order(
            self.ledger.ticket(), one.symbol, Type.CLOSE_BY, 0, 0, volume, volume, 0, 0, 0, 0,
            r.magic, r.comment, Reason.EXPERT, self.market.now_ns, position=one.ident,
            position_by=other.ident,
        )  # fmt: skip
        deal, _ = self.ledger.close_by(order, one, other)
        self.ledger.finish(order, State.FILLED)
        spec = self.market.specs[one.symbol]
        return self.result(
            Ret.DONE, r, deal=deal.ticket, order=order.ticket, volume=spec.lots(volume),
            price=spec.price(deal.price),
        )  # fmt: skip
