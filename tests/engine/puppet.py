"""A strategy on strings: the id of the last trade says what it does; and its market.

It needs no handler beyond sides, so its folds compile fast. What it knows of its account it writes
into its decisions, so that equal decisions are equal knowledge.
"""

from __future__ import annotations

import random

import numpy as np
from numba import njit

from data.events import Action, ExitReason, Kind
from engine.kernel.intents import (
    cancel_order,
    enter_limit,
    enter_market,
    exit_market,
    exit_part,
    move_stop,
)
from engine.runtime.strategy import Param, Strategy
from tests.engine.tapes import MS, START, Event, S

STATE = np.dtype([("trade_id", "i8")], align=True)
ORDERS = 16
"""A trade whose id is n over a multiple of this orders it to do n, once."""
NOTHING, LONG, SHORT, REST_LONG, REST_SHORT, EXIT, PART, CANCEL, MOVE = range(9)
_EXIT = int(ExitReason.STRATEGY)
_ACTIONS = np.array(
    [
        Action.NONE, Action.ENTER_LONG, Action.ENTER_SHORT, Action.ENTER_LONG, Action.ENTER_SHORT,
        Action.EXIT, Action.PARTIAL, Action.CANCEL, Action.MOVE_STOP,
    ],
    dtype=np.int64,
)  # fmt: skip


@njit(cache=True, nogil=True)
def enters(s, p, code, price):
    """Enter long or short, at the market or resting, with the stop and target that are set."""
    side = 1 if code in (LONG, REST_LONG) else -1
    stop = price - side * p.strategy.stop if p.strategy.stop > 0 else 0
    target = price + side * p.strategy.target if p.strategy.target > 0 else 0
    if code <= SHORT:
        enter_market(s.intents, side, p.strategy.lots, stop, target)
    else:
        enter_limit(s.intents, side, p.strategy.lots, price - 2 * side, stop, target)


@njit(cache=True, nogil=True)
def obeys(s, p, code):
    """Do what the last trade said; False where there is nothing to do it with."""
    v = s.known
    price = s.core.last_price
    idle = v.qty == 0 and v.open_orders == 0
    if code >= LONG and code <= REST_SHORT and (idle or p.strategy.one == 0):
        enters(s, p, code, price)
    elif code == EXIT and v.qty != 0:
        exit_market(s.intents, v.qty, _EXIT)
    elif code == PART and abs(v.qty) > 1:
        exit_part(s.intents, v.qty, abs(v.qty) // 2, _EXIT)
    elif code == CANCEL and v.last_order_id > 0:
        cancel_order(s.intents, v.last_order_id)
    elif code == MOVE and v.qty != 0:
        move_stop(s.intents, v.position_id, price - (7 if v.qty > 0 else -7))
    else:
        return False
    return True


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """Obey once, and write down what is known of the account (order ids aside)."""
    d = s.core.decision
    v = s.known
    d.score_fp9 = v.entry_price
    d.entry_delta = v.open_ns
    d.delta = v.position_id
    d.delta_z_fp9 = v.open_orders
    d.risk = v.balance
    d.book_fp9 = v.closed_positions
    d.flip_fp9 = v.last_exit_reason
    d.needed_fp9 = v.last_exit_ns
    d.probability_fp9 = 1 if v.last_order_id > 0 else 0
    code = s.core.last_trade_id % ORDERS if s.core.last_trade_id != s.strategy.trade_id else 0
    s.strategy.trade_id = s.core.last_trade_id
    if code > NOTHING and code <= MOVE and obeys(s, p, code):
        d.action = _ACTIONS[code]


STRATEGY = Strategy(
    name="puppet",
    doc="Does what the tape says.",
    handlers=(),
    params=(
        Param("lots", "count", "1000", "quantity of an entry"),
        Param("stop", "count", "40", "distance of the stop in price units, 0: none"),
        Param("target", "count", "60", "distance of the target in price units, 0: none"),
        Param("one", "flag", "false", "enter only when flat and idle"),
    ),
    state=STATE,
    decide=decide,
)
"""The strategy as the engine takes it."""

BUSY = (LONG, SHORT, REST_LONG, REST_SHORT, EXIT, PART, CANCEL, MOVE)


def market(seed: int, seconds: int, orders: tuple[int, ...] = BUSY) -> list[Event]:
    """A second at a time: a snapshot, a few trades, and now and then an order to the puppet."""
    r = random.Random(seed)
    price, events, n = 100_000, [], 0
    for second in range(seconds):
        at = START + second * S
        size = r.choice((300, 1500, 20_000))
        bids = [price - 1 - i for i in range(3)]
        asks = [price + 1 + i for i in range(3)]
        book = {"bid_price": bids, "ask_price": asks, "bid_qty": [size] * 3, "ask_qty": [size] * 3}
        events.append({"kind": Kind.DEPTH, "ts_ns": at, "id": second + 1, **book})
        for k in range(r.randint(0, 4)):
            n += 1
            price += r.choice((-9, -3, -1, 0, 0, 1, 3, 9))
            code = r.choice(orders) if r.random() < 0.3 else 0
            events.append(
                {
                    "kind": Kind.TRADE,
                    "ts_ns": at + (k + 1) * 150 * MS,
                    "id": n * ORDERS + code,
                    "price": price,
                    "qty": r.randint(1, 3000),
                    "side": r.choice((-1, 1)),
                }
            )
    return events
