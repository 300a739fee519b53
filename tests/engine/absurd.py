"""Answers of a broker that has lost its mind, among orders of the puppet."""

from __future__ import annotations

import random

from data.events import BrokerAct, Kind
from tests.engine.brokered import answer
from tests.engine.puppet import BUSY, ORDERS
from tests.engine.tapes import MS, START, Event, S

_HUGE = (1 << 59, -(1 << 59), 1 << 61, -(1 << 62), (1 << 63) - 1, -(1 << 63))


def tape(seed: int, seconds: int = 60) -> list[Event]:
    """A trade with an order each second, then answers: some fit, some are about nothing at all."""
    r = random.Random(seed)
    events: list[Event] = []
    for second in range(seconds):
        at = START + second * S
        price = 100_000 + r.randint(-50, 50)
        code = second * ORDERS + r.choice(BUSY)
        trade = {"id": code, "price": price, "qty": 5, "side": 1}
        events.append({"kind": Kind.TRADE, "ts_ns": at, **trade})
        quote = {"id": 1, "bid": price - 1, "ask": price + 1, "bid_qty": 0, "ask_qty": 0}
        events.append({"kind": Kind.QUOTE, "ts_ns": at + MS, **quote})
        for k in range(r.randint(0, 5)):
            events.append(_answer(r, at + (k - 2) * 100 * MS, second))
    return events


def _answer(r: random.Random, ts_ns: int, second: int) -> Event:
    def odd(*likely: int) -> int:
        return r.choice(_HUGE) if r.random() < 0.03 else r.choice(likely)

    sent = max(1, second // 2)
    return answer(
        BrokerAct(r.choice((1, 1, 2, 2, 2, 2, 3, 4, 5, 6))),
        ts_ns,
        id=odd(0, r.randint(1, 99)),
        order_id=odd(0, 0, r.randint(1, sent), r.randint(1, sent), r.randint(1, 2 * sent)),
        position=odd(0, *range(1, 5), r.randint(1, 99)),
        state=r.choice((0, 2, 2, 5, 5, 6, 6, 4, 9, -1)),
        side=r.choice((-1, -1, 1, 1, 1, 0, 3)),
        price=odd(100_000, r.randint(99_000, 101_000), 0, -5),
        target=odd(0, 100_000, -3),
        qty=odd(1000, 500, r.randint(1, 3000), 0, -1),
        pnl=odd(0, r.randint(-(10**12), 10**12)),
        fee=odd(0, r.randint(-(10**9), 10**10)),
        balance=odd(10**12, r.randint(0, 10**13)),
        reason=r.choice((0, 0, 2, 3, 5, 8, 11, 12, 99, -1)),
        code=odd(0, 10006, 10012),
    )
