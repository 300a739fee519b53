"""Requests to a terminal, built from orders, and what would surely be refused found before.

Owns the dictionaries that ``order_send`` takes (floats are floats, integers integers: the package
refuses anything else) and the rules on stops, targets and freeze levels that a server applies.

What must hold: a request that is given out fits the symbol; a finding says why, in words, and that
nothing was sent (code 0). It refuses to know how a request travels and what comes back.
"""

from __future__ import annotations

from typing import Any

from data.enums import OrderType, Side
from engine.broker.mt5_symbols import FILLING_RETURN, Symbol
from engine.broker.protocol import NewOrder, Outcome, PositionFact, Tick, Treatment

ACTION_DEAL, ACTION_PENDING, ACTION_SLTP, ACTION_REMOVE = 1, 5, 6, 8
_BUY, _SELL = 0, 1
_PENDING = {
    (OrderType.LIMIT, Side.BUY): 2,
    (OrderType.LIMIT, Side.SELL): 3,
    (OrderType.STOP, Side.BUY): 4,
    (OrderType.STOP, Side.SELL): 5,
}
COMMENT_MAX = 29

Request = dict[str, Any]


def unsent(treatment: Treatment, words: str) -> Outcome:
    """An outcome without a send."""
    return Outcome(treatment, 0, words)


def wrong_order(symbol: Symbol, order: NewOrder, tick: Tick) -> Outcome | None:
    """What a server would surely refuse about an order; None where nothing is found."""
    at = symbol.instrument
    words = ""
    if order.side not in (Side.BUY, Side.SELL) or order.type is OrderType.TARGET:
        words = "an order needs a side and one of the types market, limit, stop"
    elif len(order.comment) > COMMENT_MAX:
        words = f"a comment has at most {COMMENT_MAX} characters"
    elif order.qty % at.qty_step != 0 or not at.qty_min <= order.qty <= (at.qty_max or order.qty):
        words = (
            f"the quantity must be a multiple of {at.qty_step} units"
            f" between {at.qty_min} and {at.qty_max}"
        )
    elif order.type is not OrderType.MARKET and order.price <= 0:
        words = "an order that waits needs a price"
    if words:
        return unsent(Treatment.FIX_INPUT, words)
    if order.type is OrderType.MARKET:
        return _wrong_levels(symbol, order.side, order.stop, order.target, tick)
    if at_once(order):
        return _wrong_limit(symbol, order, tick) or _wrong_levels(
            symbol, order.side, order.stop, order.target, tick
        )
    price = symbol.on_grid(order.price)
    words = _wrong_entry(order.type, order.side, price, at.stops_level, tick)
    if words:
        return unsent(Treatment.FIX_INPUT, words)
    own = Tick(tick.ts_ns, price, price)
    return _wrong_levels(symbol, order.side, order.stop, order.target, own)


def at_once(order: NewOrder) -> bool:
    """Whether it is a limit order that must not wait."""
    return order.type is OrderType.LIMIT and order.ioc


def _wrong_limit(symbol: Symbol, order: NewOrder, tick: Tick) -> Outcome | None:
    """Why a limit order that must not wait cannot be had. Terminals have none; where a request's
    price and deviation bind the server, a market order that may slip up to the limit is one."""
    if not symbol.holds_price():
        return unsent(
            Treatment.FIX_INPUT, f"{symbol.name} has no limit order that ends at once: use gtc"
        )
    if _room(order, tick) < 0:
        return unsent(Treatment.REFUSE, f"the market is not at {order.price}")
    return None


def _room(order: NewOrder, tick: Tick) -> int:
    """Price units between the touch and the price of an order, below 0 where it is not reached."""
    buys = order.side is Side.BUY
    return order.price - tick.ask if buys else tick.bid - order.price


def _wrong_entry(kind: OrderType, side: Side, price: int, level: int, tick: Tick) -> str:
    """Why the price of a waiting order is on the wrong side of the market, or too near."""
    touch = tick.ask if side is Side.BUY else tick.bid
    below = (kind is OrderType.LIMIT) == (side is Side.BUY)
    good = price <= touch - level if below else price >= touch + level
    return "" if good else f"a {kind.name.lower()} order at {price} does not fit the touch {touch}"


def _wrong_levels(symbol: Symbol, side: Side, stop: int, target: int, tick: Tick) -> Outcome | None:
    """Stop and target too near or on the wrong side, as the server measures it."""
    level = symbol.instrument.stops_level
    stop, target = symbol.on_grid(stop), symbol.on_grid(target)
    sign, touch = (1, tick.bid) if side is Side.BUY else (-1, tick.ask)
    if stop and (touch - stop) * sign < level:
        return unsent(
            Treatment.FIX_INPUT, f"the stop {stop} is less than {level} units behind {touch}"
        )
    if target and (target - touch) * sign < level:
        return unsent(
            Treatment.FIX_INPUT, f"the target {target} is less than {level} units beyond {touch}"
        )
    return None


def frozen(symbol: Symbol, position: PositionFact, tick: Tick) -> Outcome | None:
    """Whether the server would refuse to touch a position because its stop or target is near."""
    level = symbol.instrument.freeze_level
    touch = tick.bid if position.side is Side.BUY else tick.ask
    near = [at for at in (position.stop, position.target) if at and abs(touch - at) <= level]
    if level == 0 or not near:
        return None
    return unsent(Treatment.REREAD, f"frozen: the level {near[0]} is within {level} of {touch}")


def wrong_close(symbol: Symbol, position: PositionFact, qty: int) -> Outcome | None:
    """A quantity that a position cannot give."""
    at = symbol.instrument
    if qty > position.qty:
        return unsent(Treatment.REREAD, f"{qty} is more than the position's {position.qty}")
    if qty < position.qty and (qty % at.qty_step != 0 or qty < at.qty_min):
        return unsent(Treatment.FIX_INPUT, f"{qty} is no multiple of the step {at.qty_step}")
    return None


def wrong_move(
    symbol: Symbol, position: PositionFact, stop: int, target: int, tick: Tick
) -> Outcome | None:
    """Levels that stand already (NO_CHANGE), are frozen, or that the server would refuse."""
    stop, target = symbol.on_grid(stop), symbol.on_grid(target)
    if (stop, target) == (position.stop, position.target):
        return unsent(Treatment.NO_CHANGE, "it stands as asked")
    moved_stop = stop if stop != position.stop else 0
    moved_target = target if target != position.target else 0
    return frozen(symbol, position, tick) or _wrong_levels(
        symbol, position.side, moved_stop, moved_target, tick
    )


def order_request(symbol: Symbol, order: NewOrder, tick: Tick, filling: int) -> Request:
    """The request of a new order; ``filling`` counts for market orders."""
    buys = order.side is Side.BUY
    request = {
        "action": ACTION_DEAL,
        "magic": order.magic,
        "symbol": symbol.name,
        "volume": symbol.lots(order.qty),
        "price": symbol.price(tick.ask if buys else tick.bid),
        "sl": symbol.price(order.stop),
        "tp": symbol.price(order.target),
        "deviation": symbol.points(order.deviation),
        "type": _BUY if buys else _SELL,
        "type_filling": filling,
        "type_time": 0,
        "comment": order.comment,
    }
    if order.position:
        request["position"] = order.position
    if at_once(order):
        request["deviation"] = symbol.points(_room(order, tick))
    elif order.type is not OrderType.MARKET:
        request |= {
            "action": ACTION_PENDING,
            "type": _PENDING[order.type, order.side],
            "type_filling": FILLING_RETURN,
            "price": symbol.price(order.price),
        }
    return request


def close_request(
    symbol: Symbol, position: PositionFact, qty: int, tick: Tick, filling: int
) -> Request:
    """The request that closes ``qty`` of a position; magic, comment and deviation are added."""
    buys = position.side is Side.SELL
    whole = qty == position.qty
    return {
        "action": ACTION_DEAL,
        "symbol": symbol.name,
        # what is held may be below a step that was changed since: closing all of it is allowed
        "volume": symbol.held_lots(qty) if whole else symbol.lots(qty),
        "price": symbol.price(tick.ask if buys else tick.bid),
        "type": _BUY if buys else _SELL,
        "type_filling": filling,
        "type_time": 0,
        "position": position.ticket,
    }


def levels_request(symbol: Symbol, position: int, stop: int, target: int) -> Request:
    """The request that lets the server hold these levels for a position."""
    return {
        "action": ACTION_SLTP,
        "symbol": symbol.name,
        "position": position,
        "sl": symbol.price(stop),
        "tp": symbol.price(target),
    }


def cancel_request(symbol: Symbol, order: int) -> Request:
    """The request that withdraws a working order."""
    return {"action": ACTION_REMOVE, "symbol": symbol.name, "order": order}
