"""Entries whose price ran away or that came late, and answers that are no truth about an order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.enums import Action, ExitReason, OrderType, Side
from engine.broker.protocol import OrderFact, Treatment
from engine.runtime.gateway import Ask
from tests.engine.runtime.scripted_broker import EURUSD, Desk, S, ScriptedBroker
from tests.engine.runtime.test_gateway import opened, started


@pytest.mark.parametrize("ran, left", [(40, True), (60, False)])
def test_a_bound_in_bp_is_that_of_the_touch_that_the_intent_knew(ran: int, left: bool) -> None:
    apart = replace(EURUSD, slippage=0, slippage_bp=50.0)
    desk = Desk(ScriptedBroker(script={1: Treatment.FRESH_PRICE}), series=(apart,))
    desk.run(1)
    desk.intend(1)
    desk.step()
    desk.broker.price += ran
    desk.run(2)
    assert (len(desk.changes) == 2) is left and bool(desk.broker.book) is left
    (order, *_) = [c.order for c in desk.calls if c.ask is Ask.SUBMIT]
    assert order is not None and order.deviation == 50


@pytest.mark.parametrize("waited, price, said", [
    (4 * S, 10_000, "ORDER REJECTED 1 0"), (2 * S, 10_060, "ORDER REJECTED 1 0"),
    (2 * S, 10_010, "ORDER WORKING 1 0"), (S // 2, 10_060, "ORDER WORKING 1 0"),
])  # fmt: skip
def test_an_entry_that_waited_before_it_got_here_is_late(waited: int, price: int, said: str
                                                         ) -> None:  # fmt: skip
    """Decided, and then the disk was full, or stood: the price by then is another."""
    desk = started()
    known = desk.intend(1, given=False)
    desk.broker.price = price
    desk.gateway.intent(0, known, waited)
    desk.run(2)
    assert desk.say()[0] == said and len(desk.changes) == ("WORKING" in said)


def test_an_exit_that_waited_leaves() -> None:
    desk = started()
    ident = opened(desk)
    known = desk.intend(2, Action.EXIT, position=ident, given=False)
    desk.gateway.intent(0, known, 60 * S)
    desk.run(2)
    assert not desk.broker.book


def test_an_order_that_the_broker_has_is_not_sent_again_whatever_its_answer_said() -> None:
    desk = started(script={1: Treatment.FRESH_PRICE})
    known = desk.intend(1)
    while not desk.changes:
        desk.step()
    magic = desk.changes[0].magic
    now_ns = desk.now_ns
    desk.broker.history.append(
        OrderFact(
            5000, "EURUSD", magic, "", OrderType.MARKET, Side.BUY, known.qty, 0, 0, now_ns, now_ns,
            True, 5000,
        )
    )  # fmt: skip
    desk.run(2)
    assert len(desk.changes) == 1 and desk.gateway.blocked[0] == ("unknown",)
    desk.broker.now_ns = now_ns
    desk.broker._trade(5000, magic, "EURUSD", Side.BUY, 100, 0, 9_900, 10_200, ExitReason.OPEN,
                       False)  # fmt: skip
    desk.broker.now_ns = now_ns + 2 * S
    desk.run(2)
    assert desk.say()[-1].startswith("FILL 1 BUY 100")
    assert len(desk.changes) == 1 and not desk.gateway.blocked
