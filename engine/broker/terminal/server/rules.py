"""Whether a trade request is allowed, and by which return code it is refused.

Owns the rules of sections 6, 7 and 10 of the reference, in the order in which a server looks:
symbol and type, volume, filling, trade mode, hours, price, levels, position, limits, money. What
must hold: nothing is changed here; the first rule that is broken gives the code.

It refuses to know how a request is executed.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.broker.terminal.server.clock import DAY_S, NS
from engine.broker.terminal.server.keeper import Keeper
from engine.broker.terminal.server.ledger import Ledger
from engine.broker.terminal.server.specs import LOT, SymbolSpec
from engine.broker.terminal.server.state import Order, Position
from engine.broker.terminal.server.words import (
    Execution,
    Filling,
    Fills,
    Orders,
    Ret,
    State,
    TradeMode,
    Type,
    Until,
    is_buy,
)


class RefusedError(Exception):
    """A request is refused with ``code``."""

    def __init__(self, code: Ret) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """A trade request: the fields of the package, all there."""

    action: int = 0
    magic: int = 0
    order: int = 0
    symbol: str = ""
    volume: float = 0.0
    price: float = 0.0
    stoplimit: float = 0.0
    sl: float = 0.0
    tp: float = 0.0
    deviation: int = 0
    type: int = 0
    type_filling: int = 0
    type_time: int = 0
    expiration: int = 0
    comment: str = ""
    position: int = 0
    position_by: int = 0


@dataclass(frozen=True, slots=True)
class Deal:
    """What a request for a deal comes to: ``volume`` at 1e-8 lots, levels in points, ``closes``
    the position that it reduces on a hedging account."""

    volume: int
    sl: int
    tp: int
    closes: Position | None


_MARKET = (Type.BUY, Type.SELL)
_BIT = {
    Type.BUY_LIMIT: Orders.LIMIT,
    Type.SELL_LIMIT: Orders.LIMIT,
    Type.BUY_STOP: Orders.STOP,
    Type.SELL_STOP: Orders.STOP,
    Type.BUY_STOP_LIMIT: Orders.STOP_LIMIT,
    Type.SELL_STOP_LIMIT: Orders.STOP_LIMIT,
}


def _need(right: bool, code: Ret) -> None:
    if not right:
        raise RefusedError(code)


class Rules:
    """The rules over the books of ``ledger``."""

    def __init__(self, ledger: Ledger, keeper: Keeper) -> None:
        self.ledger = ledger
        self.keeper = keeper
        self.market = ledger.market

    # --- deals

    def deal(self, r: Request) -> Deal:
        """Rules of TRADE_ACTION_DEAL."""
        spec = self._spec(r)
        _need(r.type in _MARKET, Ret.INVALID_ORDER)
        _need(bool(spec.order_mode & Orders.MARKET), Ret.INVALID_ORDER)
        volume = self._volume(spec, r.volume)
        self._filling(spec, r)
        closes = self._closes(r, volume)
        self._mode(spec, r, closes, volume)
        _need(self.market.open(r.symbol), Ret.MARKET_CLOSED)
        self._price(spec, r)
        if closes is not None:
            self._frozen(spec, closes)
            return Deal(volume, 0, 0, closes)
        buy = is_buy(r.type)
        quotes = self.market.quotes[r.symbol]
        base = quotes.bid if buy else quotes.ask
        sl, tp = self._levels(spec, buy, base, r)
        self._limits(spec, r, volume)
        price = quotes.ask if buy else quotes.bid
        short = self.keeper.short_of_margin(r.symbol, buy, volume, price)
        _need(not short, Ret.NO_MONEY)
        return Deal(volume, sl, tp, None)

    def _spec(self, r: Request) -> SymbolSpec:
        spec = self.market.specs.get(r.symbol)
        if spec is None:
            raise RefusedError(Ret.INVALID)
        return spec

    def _volume(self, spec: SymbolSpec, lots: float) -> int:
        volume = round(lots * LOT)
        step = round(spec.volume_step * LOT)
        least, most = round(spec.volume_min * LOT), round(spec.volume_max * LOT)
        _need(least <= volume <= most and volume % step == 0, Ret.INVALID_VOLUME)
        _need(abs(lots * LOT - volume) < 1.0, Ret.INVALID_VOLUME)
        return volume

    def _filling(self, spec: SymbolSpec, r: Request) -> None:
        if r.type_filling == Filling.RETURN:
            right = spec.execution != Execution.MARKET
        elif spec.execution in (Execution.REQUEST, Execution.INSTANT):
            right = r.type_filling in (Filling.FOK, Filling.IOC)
        else:
            bit = {Filling.FOK: Fills.FOK, Filling.IOC: Fills.IOC}.get(Filling(r.type_filling), 0)
            right = bool(spec.filling & bit)
        _need(right, Ret.INVALID_FILL)

    def _closes(self, r: Request, volume: int) -> Position | None:
        """The position that a request with a ticket reduces."""
        if not r.position:
            return None
        held = self._held(r)
        buy = is_buy(r.type)
        if held.buy == buy:
            _need(not self.ledger.account.hedging, Ret.INVALID)
            return None
        _need(volume <= held.volume, Ret.INVALID_CLOSE_VOLUME)
        # what is left of the order that opened it stands under the same ticket, on the other side
        under_way = {
            o.position
            for o in self.ledger.orders.values()
            if o.type in _MARKET and is_buy(o.type) == buy
        }
        _need(held.ticket not in under_way, Ret.CLOSE_ORDER_EXIST)
        if self.ledger.account.fifo:
            older = [
                p
                for p in self.ledger.positions.values()
                if p.symbol == held.symbol and p.buy == held.buy and p.open_ns < held.open_ns
            ]
            _need(not older, Ret.FIFO_CLOSE)
        return held

    def _held(self, r: Request) -> Position:
        held = self.ledger.positions.get(r.position)
        if held is None:
            known = r.position in self.ledger.closed
            raise RefusedError(Ret.POSITION_CLOSED if known else Ret.INVALID)
        _need(held.symbol == r.symbol, Ret.INVALID)
        return held

    def _mode(self, spec: SymbolSpec, r: Request, closes: Position | None, volume: int) -> None:
        mode = spec.trade_mode
        _need(mode != TradeMode.DISABLED, Ret.TRADE_DISABLED)
        if closes is not None or mode == TradeMode.FULL:
            return
        buy = is_buy(r.type)
        held = None if self.ledger.account.hedging else self.ledger.of_symbol(r.symbol)
        if held is not None and held.buy != buy and volume <= held.volume:
            return
        _need(mode != TradeMode.CLOSE_ONLY, Ret.CLOSE_ONLY)
        _need(mode != TradeMode.LONG_ONLY or buy, Ret.LONG_ONLY)
        _need(mode != TradeMode.SHORT_ONLY or not buy, Ret.SHORT_ONLY)

    def _price(self, spec: SymbolSpec, r: Request) -> None:
        quotes = self.market.quotes[r.symbol]
        _need(quotes.rows > 0 and quotes.bid > 0 and quotes.ask > 0, Ret.PRICE_OFF)
        _need(self.ledger.money.rate(spec.currency_profit) is not None, Ret.PRICE_OFF)
        if spec.execution not in (Execution.REQUEST, Execution.INSTANT):
            return
        _need(r.price > 0 and spec.is_price(r.price), Ret.INVALID_PRICE)
        now = quotes.ask if is_buy(r.type) else quotes.bid
        _need(abs(spec.points(r.price) - now) <= r.deviation, Ret.REQUOTE)

    def _limits(self, spec: SymbolSpec, r: Request, volume: int) -> None:
        ledger, account = self.ledger, self.ledger.account
        buy = is_buy(r.type)
        opposite = [p for p in ledger.positions.values() if p.symbol == r.symbol and p.buy != buy]
        if account.hedging:
            _need(not (account.hedging_banned and opposite), Ret.HEDGE_PROHIBITED)
        adds = account.hedging or ledger.of_symbol(r.symbol) is None
        if account.limit_positions and adds:
            held = len(ledger.positions) + len(ledger.orders)
            _need(held < account.limit_positions, Ret.LIMIT_POSITIONS)
        if spec.volume_limit:
            same = sum(
                p.volume for p in ledger.positions.values() if p.symbol == r.symbol and p.buy == buy
            ) + sum(
                o.volume
                for o in ledger.orders.values()
                if o.symbol == r.symbol and is_buy(o.type) == buy
            )
            if not account.hedging:
                same -= sum(p.volume for p in opposite)
            _need(same + volume <= round(spec.volume_limit * LOT), Ret.LIMIT_VOLUME)

    # --- levels

    def _levels(self, spec: SymbolSpec, buy: bool, base: int, r: Request) -> tuple[int, int]:
        """(stop, target) in points; 10016 on the wrong side of ``base`` or too near to it."""
        _need(not r.sl or bool(spec.order_mode & Orders.SL), Ret.INVALID_STOPS)
        _need(not r.tp or bool(spec.order_mode & Orders.TP), Ret.INVALID_STOPS)
        for level in (r.sl, r.tp):
            _need(level >= 0 and spec.is_price(level), Ret.INVALID_STOPS)
        sl, tp, apart = spec.points(r.sl), spec.points(r.tp), spec.stops_level
        if buy:
            right = (not sl or sl <= base - apart) and (not tp or tp >= base + apart)
        else:
            right = (not sl or sl >= base + apart) and (not tp or tp <= base - apart)
        _need(right, Ret.INVALID_STOPS)
        return sl, tp

    def _frozen(self, spec: SymbolSpec, held: Position) -> None:
        if not spec.freeze_level:
            return
        quotes = self.market.quotes[held.symbol]
        price = quotes.bid if held.buy else quotes.ask
        near = [abs(level - price) <= spec.freeze_level for level in (held.sl, held.tp) if level]
        _need(not any(near), Ret.FROZEN)

    def sltp(self, r: Request) -> tuple[Position, int, int]:
        """Rules of TRADE_ACTION_SLTP: the position and its new levels."""
        spec = self._spec(r)
        if r.position or self.ledger.account.hedging:
            held = self._held(r)
        else:
            found = self.ledger.of_symbol(r.symbol)
            _need(found is not None, Ret.POSITION_CLOSED)
            assert found is not None
            held = found
        _need(spec.trade_mode != TradeMode.DISABLED, Ret.TRADE_DISABLED)
        _need(self.market.open(r.symbol), Ret.MARKET_CLOSED)
        sl, tp = spec.points(r.sl), spec.points(r.tp)
        _need((sl, tp) != (held.sl, held.tp), Ret.NO_CHANGES)
        self._frozen(spec, held)
        quotes = self.market.quotes[held.symbol]
        base = quotes.bid if held.buy else quotes.ask
        _need(base > 0, Ret.PRICE_OFF)
        return held, *self._levels(spec, held.buy, base, r)

    # --- pending orders

    def pending(self, r: Request) -> Order:
        """Rules of TRADE_ACTION_PENDING: the order as it will stand, without a ticket."""
        spec = self._spec(r)
        _need(r.type in _BIT, Ret.INVALID_ORDER)
        _need(bool(spec.order_mode & _BIT[Type(r.type)]), Ret.INVALID_ORDER)
        volume = self._volume(spec, r.volume)
        self._pending_filling(spec, r)
        self._mode(spec, r, None, volume)
        _need(self.market.open(r.symbol), Ret.MARKET_CLOSED)
        quotes = self.market.quotes[r.symbol]
        _need(quotes.bid > 0 and quotes.ask > 0, Ret.PRICE_OFF)
        price, trigger, sl, tp = self._pending_prices(spec, r)
        expires_ns = self._expires(spec, r)
        limit = self.ledger.account.limit_orders
        _need(not limit or len(self.ledger.orders) < limit, Ret.LIMIT_ORDERS)
        self._limits(spec, r, volume)
        return Order(
            0, r.symbol, r.type, r.type_filling, r.type_time, volume, volume, price, trigger, sl,
            tp, r.magic, r.comment, 3, self.market.now_ns, expires_ns,
        )  # fmt: skip

    def _pending_filling(self, spec: SymbolSpec, r: Request) -> None:
        if r.type_filling == Filling.BOC:
            stops = (Type.BUY_STOP, Type.SELL_STOP)
            right = bool(spec.filling & Fills.BOC) and r.type not in stops
            _need(right, Ret.INVALID_FILL)
        elif r.type_filling != Filling.RETURN:
            self._filling(spec, r)

    def _pending_prices(self, spec: SymbolSpec, r: Request) -> tuple[int, int, int, int]:
        quotes, apart = self.market.quotes[r.symbol], spec.stops_level
        _need(r.price > 0 and spec.is_price(r.price), Ret.INVALID_PRICE)
        price = spec.points(r.price)
        right = {
            Type.BUY_LIMIT: price <= quotes.ask - apart,
            Type.SELL_LIMIT: price >= quotes.bid + apart,
            Type.BUY_STOP: price >= quotes.ask + apart,
            Type.SELL_STOP: price <= quotes.bid - apart,
            Type.BUY_STOP_LIMIT: price >= quotes.ask + apart,
            Type.SELL_STOP_LIMIT: price <= quotes.bid - apart,
        }[Type(r.type)]
        _need(right, Ret.INVALID_PRICE)
        trigger, base, buy = 0, price, is_buy(r.type)
        if r.type in (Type.BUY_STOP_LIMIT, Type.SELL_STOP_LIMIT):
            _need(r.stoplimit > 0 and spec.is_price(r.stoplimit), Ret.INVALID_PRICE)
            trigger = base = spec.points(r.stoplimit)
            near = trigger <= price - apart if buy else trigger >= price + apart
            _need(near, Ret.INVALID_PRICE)
        return price, trigger, *self._levels(spec, buy, base, r)

    def _expires(self, spec: SymbolSpec, r: Request) -> int:
        _need(r.type_time in list(Until), Ret.INVALID_EXPIRATION)
        _need(bool(spec.expiration_mode & 1 << r.type_time), Ret.INVALID_EXPIRATION)
        clock, now_ns = self.market.clock, self.market.now_ns
        if r.type_time == Until.GTC:
            return 0
        if r.type_time == Until.DAY:
            return clock.next_midnight_ns(now_ns)
        wall_s = r.expiration
        if r.type_time == Until.SPECIFIED_DAY:
            wall_s = (wall_s // DAY_S + 1) * DAY_S
        at_ns = clock.utc_ns(wall_s * NS)
        _need(at_ns > now_ns, Ret.INVALID_EXPIRATION)
        return at_ns

    def working(self, r: Request) -> Order:
        """The pending order that a request names, where it may be changed or withdrawn."""
        order = self.ledger.orders.get(r.order)
        if order is None:
            raise RefusedError(Ret.ORDER_CHANGED if r.order in self.ledger.past else Ret.INVALID)
        _need(order.state != State.STARTED, Ret.LOCKED)
        spec, quotes = self.market.specs[order.symbol], self.market.quotes[order.symbol]
        _need(self.market.open(order.symbol), Ret.MARKET_CLOSED)
        price = quotes.ask if is_buy(order.type) else quotes.bid
        near = spec.freeze_level and abs(order.price - price) <= spec.freeze_level
        _need(not near or order.type in _MARKET, Ret.FROZEN)
        return order

    def modify(self, r: Request) -> tuple[Order, Order]:
        """Rules of TRADE_ACTION_MODIFY: the order, and how it will stand."""
        order = self.working(r)
        _need(order.type not in _MARKET, Ret.INVALID_ORDER)
        spec = self.market.specs[order.symbol]
        asked = Request(
            symbol=order.symbol, type=order.type, price=r.price, stoplimit=r.stoplimit, sl=r.sl,
            tp=r.tp, type_time=r.type_time, expiration=r.expiration,
        )  # fmt: skip
        price, trigger, sl, tp = self._pending_prices(spec, asked)
        expires_ns = self._expires(spec, asked)
        new = (price, trigger, sl, tp, r.type_time, expires_ns)
        old = (order.price, order.trigger, order.sl, order.tp, order.until, order.expires_ns)
        _need(new != old, Ret.NO_CHANGES)
        changed = Order(
            order.ticket, order.symbol, order.type, order.filling, r.type_time, order.initial,
            order.volume, price, trigger, sl, tp, order.magic, order.comment, order.reason,
            order.setup_ns, expires_ns, order.state, order.position,
        )  # fmt: skip
        return order, changed

    def close_by(self, r: Request) -> tuple[Position, Position]:
        """Rules of TRADE_ACTION_CLOSE_BY: the two positions."""
        _need(self.ledger.account.hedging, Ret.INVALID)
        one = self._known(r.position)
        other = self._known(r.position_by)
        spec = self.market.specs[one.symbol]
        _need(bool(spec.order_mode & Orders.CLOSE_BY), Ret.INVALID_ORDER)
        _need(one.symbol == other.symbol and one.buy != other.buy, Ret.INVALID)
        _need(spec.trade_mode != TradeMode.DISABLED, Ret.TRADE_DISABLED)
        _need(self.market.open(one.symbol), Ret.MARKET_CLOSED)
        return one, other

    def _known(self, ticket: int) -> Position:
        held = self.ledger.positions.get(ticket)
        if held is None:
            known = ticket in self.ledger.closed
            raise RefusedError(Ret.POSITION_CLOSED if known else Ret.INVALID)
        return held
