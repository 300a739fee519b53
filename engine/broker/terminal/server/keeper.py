"""What the trade server does by itself: triggers, stop levels, stop-out, expiry and nights.

Owns :class:`Keeper`, which looks at every quote while an order or a position waits for one. What
must hold: it works whether or not a terminal is connected; nothing is executed while a symbol's
market is closed; a position's level is executed at the price that triggered it, not at the level
itself; the comment of what it makes is its own (``[sl 1.23450]``).

It refuses to know requests.
"""

from __future__ import annotations

from engine.broker.terminal.server.clock import DAY_S
from engine.broker.terminal.server.ledger import NS, Ledger
from engine.broker.terminal.server.state import Deal, Order, Position
from engine.broker.terminal.server.words import Filling, Reason, State, Type, Until, is_buy

_LIMITS = (Type.BUY_LIMIT, Type.SELL_LIMIT)
_STOPS = (Type.BUY_STOP, Type.SELL_STOP)
_STOP_LIMITS = (Type.BUY_STOP_LIMIT, Type.SELL_STOP_LIMIT)


class Keeper:
    """Tends the orders and positions of ``ledger``. ``counts`` says how often it did what."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.market = ledger.market
        self.counts: dict[str, int] = {}
        self.midnight_ns = self.market.clock.next_midnight_ns(self.market.now_ns)

    def waits(self) -> bool:
        """Whether a quote can make a difference."""
        return bool(self.ledger.orders or self.ledger.positions)

    def quote(self, symbol: str) -> None:
        """A new quote of ``symbol`` stands."""
        if not self.market.open(symbol):
            return
        ledger = self.ledger
        for order in [o for o in ledger.orders.values() if o.symbol == symbol]:
            self._order(order)
        for position in [p for p in ledger.positions.values() if p.symbol == symbol]:
            self._position(position)
        if ledger.positions:
            self._stop_out()

    def _did(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # --- orders

    def _order(self, order: Order) -> None:
        quotes = self.market.quotes[order.symbol]
        buy = is_buy(order.type)
        price = quotes.ask if buy else quotes.bid
        if order.state == State.STARTED or price <= 0:
            return
        if order.type in _STOP_LIMITS:
            if price >= order.price if buy else price <= order.price:
                order.type = Type.BUY_LIMIT if buy else Type.SELL_LIMIT
                order.price, order.trigger = order.trigger, 0
                self.ledger.show_order(order)
                self._did("stop limits placed")
        elif self._triggered(order, price):
            self.execute(order, price)

    def _triggered(self, order: Order, price: int) -> bool:
        if order.type not in (*_LIMITS, *_STOPS):
            return True  # what a market order left over
        falls = is_buy(order.type) == (order.type in _LIMITS)
        return price <= order.price if falls else price >= order.price

    def execute(self, order: Order, price: int) -> Deal | None:
        """Fill what can be filled of a working order at ``price``; without margin it ends."""
        ledger = self.ledger
        gone = order.position != order.ticket and order.position not in ledger.positions
        if order.position and gone and ledger.account.hedging:
            ledger.finish(order, State.CANCELED)
            self._did("closing orders without position")
            return None
        opens = not order.position
        if opens and self.short_of_margin(order.symbol, is_buy(order.type), order.volume, price):
            ledger.finish(order, State.REJECTED)
            self._did("orders without margin")
            return None
        volume = min(order.volume, self.available(order))
        if not volume:
            return None
        deal = ledger.fill(order, price, volume)
        if order.volume:
            order.state = State.PARTIAL
            ledger.show_order(order)
        else:
            ledger.finish(order, State.FILLED)
        self._did("orders filled")
        return deal

    def available(self, order: Order) -> int:
        """Volume at the touch for an order; all of it where the symbol does not obey depth."""
        quotes = self.market.quotes[order.symbol]
        size = quotes.ask_size if is_buy(order.type) else quotes.bid_size
        if not self.market.specs[order.symbol].obeys_depth or not size:
            return order.volume
        return min(order.volume, size)

    def short_of_margin(self, symbol: str, buy: bool, volume: int, price: int) -> bool:
        """Whether a fill would need more margin than is free."""
        before = self.ledger.margin()
        after = self.ledger.margin((symbol, buy, volume, price))
        return after > before and after > self.ledger.equity()

    # --- positions

    def _position(self, held: Position) -> None:
        quotes = self.market.quotes[held.symbol]
        price = quotes.bid if held.buy else quotes.ask
        if price <= 0:
            return
        digits = self.market.specs[held.symbol].digits
        if held.sl and (price <= held.sl if held.buy else price >= held.sl):
            text = f"[sl {held.sl / 10**digits:.{digits}f}]"
            self.close(held, price, Reason.SL, text)
            self._did("stop losses")
        elif held.tp and (price >= held.tp if held.buy else price <= held.tp):
            text = f"[tp {held.tp / 10**digits:.{digits}f}]"
            self.close(held, price, Reason.TP, text)
            self._did("take profits")

    def close(self, held: Position, price: int, reason: Reason, comment: str) -> Deal:
        """Close a position on the server's own account, by an order of the server."""
        ledger, now_ns = self.ledger, self.market.now_ns
        order = Order(
            ledger.ticket(), held.symbol, Type.SELL if held.buy else Type.BUY, Filling.FOK,
            Until.GTC, held.volume, held.volume, price, 0, 0, 0,
            held.magic if ledger.account.keeps_magic else 0, comment, reason, now_ns,
            position=held.ticket,
        )  # fmt: skip
        deal = ledger.fill(order, price, held.volume)
        ledger.finish(order, State.FILLED)
        return deal

    def _stop_out(self) -> None:
        ledger, account = self.ledger, self.ledger.account
        while ledger.positions and account.stop_out > 0:
            margin = ledger.margin()
            equity = ledger.equity()
            if not margin or equity * 100 >= margin * account.stop_out:
                return
            able = [p for p in ledger.positions.values() if self.market.open(p.symbol)]
            if not able:
                return
            worst = min(able, key=lambda p: (ledger.floating(p) + p.swap, p.ticket))
            quotes = self.market.quotes[worst.symbol]
            money = ledger.money.amount
            text = f"[so {100 * equity / margin:.2f}%/{money(equity)}/{money(margin)}]"
            self.close(worst, quotes.bid if worst.buy else quotes.ask, Reason.SO, text[:31])
            self._did("stop outs")

    # --- time

    def next_ns(self) -> int:
        """When something is due without a quote."""
        expiring = [o.expires_ns for o in self.ledger.orders.values() if o.expires_ns]
        # nobody pays for a night in which nothing is held
        nights = [self.midnight_ns] if self.waits() else []
        return min([*nights, *expiring], default=1 << 62)

    def due(self) -> None:
        """Do what is due by now."""
        now_ns, ledger = self.market.now_ns, self.ledger
        for order in list(ledger.orders.values()):
            if order.expires_ns and order.expires_ns <= now_ns:
                ledger.finish(order, State.EXPIRED)
                self._did("orders expired")
        if now_ns >= self.midnight_ns:
            self._night()
            self.midnight_ns = self.market.clock.next_midnight_ns(now_ns)

    def _night(self) -> None:
        """Charge swaps for the day that ended: three on the day that the symbol names."""
        ended = self.market.clock.weekday(self.midnight_ns - DAY_S // 2 * NS)
        for held in self.ledger.positions.values():
            spec = self.market.specs[held.symbol]
            points = spec.swap_long if held.buy else spec.swap_short
            weekend = ended in (0, 6) and spec.hours in ("fx", "metals")
            if not points or weekend:
                continue
            nights = 3 if ended == spec.triple_swap_day else 1
            one = self.ledger.money.profit_of(spec, round(points * held.volume)) or 0
            held.swap += nights * one
            self.ledger.show_position(held)
            self._did("swaps charged")
