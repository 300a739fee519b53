"""The books of the trade server: balance, positions, orders and deals.

Owns what a fill does to a position (hedging and netting, MetaQuotes' documentation) and to the
balance, and when a terminal sees it. What must hold: the balance is the sum of all deals' profit,
commission, fee and swap; a volume never falls below 0; tickets are never given twice.

It refuses to know whether a request is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from engine.broker.terminal.server.market import Market
from engine.broker.terminal.server.money import Money, half_away
from engine.broker.terminal.server.specs import AccountSpec
from engine.broker.terminal.server.state import Deal, Order, Position, Shown
from engine.broker.terminal.server.words import DealType, Entry, Reason, State, is_buy

NS = 1_000_000_000
FIRST_TICKET = 1_000_001


class Ledger:
    """The books of ``account`` in ``market``."""

    def __init__(self, account: AccountSpec, market: Market) -> None:
        self.account = account
        self.market = market
        self.money = Money(account, market.specs, market.mid)
        self.balance = self.credit = 0
        self.orders: dict[int, Order] = {}
        self.positions: dict[int, Position] = {}
        self.past: dict[int, Order] = {}
        self.past_seen_ns: dict[int, int] = {}
        self.deals: list[Deal] = []
        self.closed: set[int] = set()
        self.shown_orders: Shown[Order] = Shown()
        self.shown_positions: Shown[Position] = Shown()
        self.lag_ns = int(account.lag_s * NS)
        self.hidden_until_ns = 0
        self.held_deal_ns = 0
        self._tickets = count(FIRST_TICKET)
        self._deals = count(FIRST_TICKET)
        self.move_money(DealType.BALANCE, self.money.minor(account.balance), "initial deposit")
        if account.credit:
            self.move_money(DealType.CREDIT, self.money.minor(account.credit), "credit")

    # --- tickets and what is seen

    def ticket(self) -> int:
        """A new ticket of an order."""
        return next(self._tickets)

    def seen_ns(self) -> int:
        """When a terminal sees what happens now."""
        return max(self.market.now_ns + self.lag_ns, self.hidden_until_ns)

    def show_order(self, order: Order) -> None:
        """Let terminals see a working order as it is now."""
        self.shown_orders.put(order.ticket, replace(order), self.seen_ns())

    def show_position(self, position: Position) -> None:
        """Let terminals see a position as it is now."""
        self.shown_positions.put(position.ticket, replace(position), self.seen_ns())

    # --- orders

    def work(self, order: Order) -> None:
        """Keep an order that is not done."""
        self.orders[order.ticket] = order
        self.show_order(order)

    def finish(self, order: Order, state: State) -> None:
        """An order ends as ``state``."""
        order.state, order.done_ns = state, self.market.now_ns
        self.past[order.ticket] = order
        self.past_seen_ns[order.ticket] = self.seen_ns()
        if self.orders.pop(order.ticket, None) is not None:
            self.shown_orders.put(order.ticket, None, self.seen_ns())

    # --- money

    def move_money(self, kind: DealType, amount: int, comment: str) -> Deal:
        """Book ``amount`` (cents) that no trade brought."""
        deal = self._deal(kind, amount=amount, comment=comment)
        if kind == DealType.CREDIT:
            self.credit += amount
        else:
            self.balance += amount
        return deal

    def _deal(self, kind: int, amount: int = 0, comment: str = "") -> Deal:
        deal = Deal(
            next(self._deals), 0, "", kind, Entry.IN, 0, 0, Reason.CLIENT, 0, 0, amount, 0, 0, 0,
            comment, self.market.now_ns, self.seen_ns(),
        )  # fmt: skip
        self.deals.append(deal)
        return deal

    def floating(self, position: Position) -> int:
        """Cents that a position has gained and not booked, without swap."""
        quotes = self.market.quotes[position.symbol]
        price = quotes.bid if position.buy else quotes.ask
        move = price * position.volume - position.cost
        spec = self.market.specs[position.symbol]
        return self.money.profit_of(spec, move if position.buy else -move) or 0

    def profit(self) -> int:
        """Cents that all positions have gained and not booked, without swap."""
        return sum(self.floating(p) for p in self.positions.values())

    def equity(self) -> int:
        """Cents: balance, credit, floating profit and swap."""
        swap = sum(p.swap for p in self.positions.values())
        return self.balance + self.credit + self.profit() + swap

    def margin(self, extra: tuple[str, bool, int, int] | None = None) -> int:
        """Cents of margin that the positions need; with one more fill (symbol, whether it buys,
        volume, price in points) where one is given."""
        held: dict[str, list[list[int]]] = {}
        every: Iterable[tuple[str, bool, int, int]] = (
            (p.symbol, p.buy, p.volume, p.cost) for p in self.positions.values()
        )
        for symbol, buy, volume, cost in every:
            side = held.setdefault(symbol, [[0, 0], [0, 0]])[0 if buy else 1]
            side[0] += volume
            side[1] += cost
        if extra is not None:
            self._more(held.setdefault(extra[0], [[0, 0], [0, 0]]), extra)
        return sum(self._margin_of(symbol, sides) for symbol, sides in held.items())

    def _more(self, sides: list[list[int]], extra: tuple[str, bool, int, int]) -> None:
        _, buy, volume, price = extra
        own, other = (sides[0], sides[1]) if buy else (sides[1], sides[0])
        if not self.account.hedging and other[0]:
            gone = min(volume, other[0])
            other[1] -= half_away(other[1] * gone, other[0])
            other[0] -= gone
            volume -= gone
        own[0] += volume
        own[1] += volume * price

    def _margin_of(self, symbol: str, sides: list[list[int]]) -> int:
        spec = self.market.specs[symbol]
        more, less = sorted(sides, key=lambda side: -side[0])
        if not more[0]:
            return 0
        price = more[1] / more[0] / spec.scale
        full = self.money.margin(spec, price, spec.lots(more[0] - less[0])) or 0
        both = spec.lots(less[0]) * spec.margin_hedged / spec.contract
        return full + (self.money.margin(spec, price, both) or 0)

    # --- fills

    def of_symbol(self, symbol: str) -> Position | None:
        """The position of a symbol on an account that has one each."""
        return next((p for p in self.positions.values() if p.symbol == symbol), None)

    def fill(self, order: Order, price: int, volume: int, comment: str | None = None) -> Deal:
        """Execute ``volume`` of ``order`` at ``price`` (points)."""
        assert 0 < volume <= order.volume
        order.volume -= volume
        buy = is_buy(order.type)
        if self.account.hedging:
            held = self.positions.get(order.position) if order.position else None
        else:
            held = self.of_symbol(order.symbol)
        if held is None:
            deal = self._open(order, buy, price, volume, comment)
        elif held.buy == buy:
            deal = self._add(order, held, price, volume, comment)
        else:
            deal = self._reduce(order, held, price, volume, comment)
        order.position = deal.position
        return deal

    def _open(self, order: Order, buy: bool, price: int, volume: int, comment: str | None) -> Deal:
        now_ns = self.market.now_ns
        position = Position(
            order.ticket, order.ticket, order.symbol, buy, volume, price * volume, order.sl,
            order.tp, order.magic, order.comment, order.reason, now_ns, now_ns,
        )  # fmt: skip
        self.positions[position.ticket] = position
        self.show_position(position)
        return self._book(order, position.ident, Entry.IN, price, volume, 0, 0, comment)

    def _add(
        self, order: Order, held: Position, price: int, volume: int, comment: str | None
    ) -> Deal:
        held.volume += volume
        held.cost += price * volume
        self._levels(order, held)
        self.show_position(held)
        return self._book(order, held.ident, Entry.IN, price, volume, 0, 0, comment)

    def _levels(self, order: Order, held: Position) -> None:
        held.update_ns = self.market.now_ns
        if order.sl or order.tp:
            held.sl, held.tp = order.sl, order.tp

    def _reduce(
        self, order: Order, held: Position, price: int, volume: int, comment: str | None
    ) -> Deal:
        closed = min(volume, held.volume)
        cost = half_away(held.cost * closed, held.volume)
        swap = half_away(held.swap * closed, held.volume)
        move = price * closed - cost
        spec = self.market.specs[held.symbol]
        profit = self.money.profit_of(spec, move if held.buy else -move) or 0
        held.volume -= closed
        held.cost -= cost
        held.swap -= swap
        held.update_ns = self.market.now_ns
        entry = Entry.OUT
        if volume > closed:
            entry = Entry.INOUT
            self._reverse(order, held, price, volume - closed)
        elif not held.volume:
            self.drop(held)
        else:
            self.show_position(held)
        return self._book(order, held.ident, entry, price, volume, profit, swap, comment)

    def _reverse(self, order: Order, held: Position, price: int, volume: int) -> None:
        """A netting position turns round: its identifier stays, its ticket is the order's."""
        self.drop(held)
        held.ticket, held.buy = order.ticket, not held.buy
        held.volume, held.cost = volume, price * volume
        held.sl, held.tp, held.magic, held.comment = order.sl, order.tp, order.magic, order.comment
        self.positions[held.ticket] = held
        self.show_position(held)

    def reopen(self) -> None:
        """Give every position another ticket; its identifier stays."""
        for held in list(self.positions.values()):
            self.drop(held)
            held.ticket, held.update_ns = self.ticket(), self.market.now_ns
            self.positions[held.ticket] = held
            self.show_position(held)

    def drop(self, held: Position) -> None:
        """A position is gone."""
        del self.positions[held.ticket]
        self.closed.add(held.ticket)
        self.shown_positions.put(held.ticket, None, self.seen_ns())

    def _book(
        self,
        order: Order,
        position: int,
        entry: Entry,
        price: int,
        volume: int,
        profit: int,
        swap: int,
        comment: str | None,
    ) -> Deal:
        spec = self.market.specs[order.symbol]
        commission = self.money.charge(spec.commission, volume)
        fee = self.money.charge(spec.fee, volume)
        deal = Deal(
            next(self._deals), order.ticket, order.symbol,
            DealType.BUY if is_buy(order.type) else DealType.SELL, entry, order.magic, position,
            order.reason, volume, price, profit, commission, fee, swap,
            order.comment if comment is None else comment, self.market.now_ns,
            max(self.seen_ns(), self.held_deal_ns),
        )  # fmt: skip
        self.held_deal_ns = 0
        self.deals.append(deal)
        self.balance += profit + commission + fee + swap
        return deal

    def close_by(self, order: Order, one: Position, other: Position) -> tuple[Deal, Deal]:
        """Close two opposite positions by each other; the first books the result."""
        volume = min(one.volume, other.volume)
        deals = []
        price = half_away(other.cost, other.volume)
        for held, opposite in ((one, other), (other, one)):
            cost = half_away(held.cost * volume, held.volume)
            swap = half_away(held.swap * volume, held.volume)
            profit = 0
            if held is one:
                against = half_away(opposite.cost * volume, opposite.volume)
                move = against - cost if held.buy else cost - against
                profit = self.money.profit_of(self.market.specs[held.symbol], move) or 0
            order.type = 1 if held.buy else 0
            order.volume = volume
            deals.append((held, cost, swap, profit))
        booked = []
        for held, cost, swap, profit in deals:
            held.volume -= volume
            held.cost -= cost
            held.swap -= swap
            held.update_ns = self.market.now_ns
            if held.volume:
                self.show_position(held)
            else:
                self.drop(held)
            order.type = 1 if held.buy else 0
            booked.append(
                self._book(order, held.ident, Entry.OUT_BY, price, volume, profit, swap, None)
            )
        order.type, order.volume = 8, 0
        return booked[0], booked[1]
