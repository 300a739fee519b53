"""A live fold on strings: orders are given by hand, answers too, and the account is read off it."""

from __future__ import annotations

from typing import Any

import numpy as np

from data.events import BrokerAct, ExitReason, Kind, OrderState, Scales
from engine.runtime.compose import compose
from tests.engine.brokered import answer, make
from tests.engine.driving import SCALES
from tests.engine.puppet import ORDERS, STRATEGY
from tests.engine.tapes import MS, START, S

MONEY = 10**8
SETTINGS = {"decision.step": "1s", "stop": "0", "target": "0"}


class Strings:
    """A live fold of the puppet. Every order and every answer comes one second later."""

    def __init__(self, apart: bool = False, scales: Scales = SCALES, **settings: str) -> None:
        named = {k.replace("__", "."): v for k, v in settings.items()}
        composition = compose(STRATEGY, broker="live")
        self.live = make(composition, {**SETTINGS, **named}, scales, apart)
        self.now = START // S * S
        self.trades = 0
        self.price = 100_000

    # -- what happens ---------------------------------------------------------------------------

    def trade(self, price: int | None = None, code: int = 0) -> None:
        """A trade of the flow; its id tells the puppet what to do at the next boundary."""
        self.price = self.price if price is None else price
        self.trades += 1
        self.now += 10 * MS
        event = {
            "kind": Kind.TRADE, "ts_ns": self.now, "id": self.trades * ORDERS + code,
            "price": self.price, "qty": 5, "side": 1,
        }  # fmt: skip
        self.live.step(event)

    def quote(self, bid: int, ask: int) -> None:
        """A quote of the execution venue."""
        self.now += 10 * MS
        self.live.step(
            {"kind": Kind.QUOTE, "ts_ns": self.now, "id": 1, "bid": bid, "ask": ask,
             "bid_qty": 0, "ask_qty": 0}
        )  # fmt: skip

    def wait(self, seconds: int = 1) -> None:
        """Time passes, boundaries fire."""
        self.now = (self.now // S + seconds) * S
        self.live.step({"kind": Kind.CLOCK, "ts_ns": self.now})

    def order(self, code: int, price: int | None = None) -> int:
        """Give an order; the id of the order that was sent for it, 0 where none was."""
        before = len(self.live.sent)
        self.trade(price, code)
        self.wait()
        return self.live.sent[-1] if len(self.live.sent) > before else 0

    def told(self, act: BrokerAct, **columns: int) -> None:
        """An answer of the broker."""
        self.now += 10 * MS
        self.live.step(answer(act, self.now, **columns))

    def works(self, order_id: int, ticket: int = 501) -> None:
        """The broker has the order."""
        self.told(BrokerAct.ORDER, order_id=order_id, id=ticket, state=int(OrderState.WORKING))

    def ends(self, order_id: int, state: OrderState, code: int = 0) -> None:
        """The order is over."""
        self.told(BrokerAct.ORDER, order_id=order_id, state=int(state), code=code)

    def fills(
        self, order_id: int, side: int, qty: int, price: int, position: int = 9001, pnl: int = 0,
        fee: int = 0, reason: ExitReason = ExitReason.OPEN,
    ) -> None:  # fmt: skip
        """An execution."""
        self.told(
            BrokerAct.FILL, order_id=order_id, id=7, side=side, qty=qty, price=price,
            position=position, pnl=pnl, fee=fee, reason=int(reason),
        )  # fmt: skip

    def bought(self, qty: int = 1000, price: int = 100_001, **how: int) -> int:
        """A long position of the puppet, filled whole; the id of its order."""
        order_id = self.order(1)
        self.works(order_id)
        self.fills(order_id, 1, qty, price, **how)
        return order_id

    # -- what stands ----------------------------------------------------------------------------

    @property
    def sim(self) -> Any:
        return self.live.fold.state["sim"][0]

    @property
    def own(self) -> Any:
        """The LIVE_STATE record."""
        return self.live.fold.state["live"][0]

    @property
    def known(self) -> Any:
        """What a strategy knows, as of the next boundary."""
        self.wait()
        return self.live.fold.state["known"][0]

    @property
    def violations(self) -> list[int]:
        return [int(x) for x in self.own["violations"]]

    def rows(self, name: str) -> np.ndarray:
        """Records of a table so far."""
        self.live.fold.drain()
        return self.live.sink.rows(name)

    def row(self, name: str) -> dict[str, int]:
        """The last record of a table."""
        last = self.rows(name)[-1]
        return {n: int(last[n]) for n in last.dtype.names}

    def books_agree(self) -> bool:
        """Balance = start + results - fees + what balances brought, by the fill rows."""
        fills = self.rows("fill")
        start = int(self.live.fold.params["sim"]["start_balance"][0])
        booked = int(fills["pnl"].sum()) - int(fills["fee"].sum())
        return int(self.sim["balance"]) == start + booked + int(self.own["adjusted"])
