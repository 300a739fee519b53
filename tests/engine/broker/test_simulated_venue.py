"""Simulated matching as a broker: what is its own beside the contract: latencies, costs, limits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from data.enums import ExitReason, OrderType, Side
from engine.broker.protocol import Treatment
from engine.broker.simulated_venue import DEPOSIT
from tests.engine.broker.rigs import (
    ASK,
    BID,
    NOON_NS,
    NS,
    SYMBOL,
    VenueRig,
    limit,
    magic,
    market,
)

BUY, SELL = Side.BUY, Side.SELL
LOT = 10
SLOW = {"order_latency_ns": NS // 2, "response_latency_ns": NS // 4}


def test_an_order_under_way_is_placed_and_its_deals_follow():
    rig = VenueRig(**SLOW)
    placed = rig.broker.submit(market(BUY, LOT, stop=5_900_000))
    assert (placed.treatment, placed.code, placed.qty) == (Treatment.PLACED, 10008, 0)
    (order,) = rig.broker.orders(0)
    assert (order.ticket, order.done_ns, order.left) == (placed.order, 0, LOT)
    assert not rig.broker.positions()
    rig.now_ns += NS // 2
    assert rig.broker.positions()[0].stop == 5_900_000
    assert [d.ticket for d in rig.broker.deals(0)] == [DEPOSIT]
    rig.now_ns += NS // 4
    deal = rig.broker.deals(0)[-1]
    assert (deal.order, deal.ts_ns) == (placed.order, NOON_NS + NS // 2)
    assert rig.broker.orders(0)[0].filled


def test_cancels_and_levels_travel_too():
    rig = VenueRig(**SLOW)
    rig.broker.submit(market(BUY, LOT))
    rig.now_ns += NS
    (held,) = rig.broker.positions()
    assert rig.broker.modify(SYMBOL, held.ticket, 5_900_000, 0).treatment is Treatment.PLACED
    assert rig.broker.positions()[0].stop == 0
    rig.now_ns += NS
    assert rig.broker.positions()[0].stop == 5_900_000
    waits = rig.broker.submit(limit(SELL, LOT, 6_100_000, 2))
    rig.now_ns += NS
    assert rig.broker.cancel(SYMBOL, waits.order).treatment is Treatment.PLACED
    rig.now_ns += NS
    (order,) = [o for o in rig.broker.orders(0) if o.ticket == waits.order]
    assert order.done_ns > 0 and order.left == LOT


def test_costs_are_in_the_deals_and_in_the_balance():
    rig = VenueRig(taker_fee=Decimal("0.0004"), fee_per_unit=Decimal("0.5"))
    rig.broker.submit(market(BUY, 100))
    deal = rig.broker.deals(0)[-1]
    assert deal.fee == round((60_002 * 0.0004 + 0.5) * 10**8)
    account = rig.broker.account()
    assert account.balance == 10_000 * 10**8 - deal.fee
    assert account.equity == account.balance - 2 * 10**8


def test_an_old_market_is_not_traded_at():
    rig = VenueRig()
    rig.now_ns += 60 * NS
    outcome = rig.broker.submit(market(BUY, LOT))
    assert (outcome.treatment, outcome.code) == (Treatment.FRESH_PRICE, 10021)
    assert not rig.broker.positions()


def test_there_is_an_end_to_orders():
    rig = VenueRig()
    outcomes = [rig.broker.submit(limit(BUY, 1, 5_000_000, n)) for n in range(1, 35)]
    assert [o.treatment for o in outcomes].count(Treatment.PLACED) == 32
    assert {(o.treatment, o.code) for o in outcomes[32:]} == {(Treatment.REFUSE, 10033)}
    assert len({o.order for o in outcomes}) == 34


def test_it_has_no_stop_orders_that_open():
    rig = VenueRig()
    order = replace(market(BUY, LOT), type=OrderType.STOP, price=ASK + 1_000)
    outcome = rig.broker.submit(order)
    assert (outcome.treatment, outcome.code) == (Treatment.FIX_INPUT, 0)


def test_a_stop_out_is_told_as_one():
    rig = VenueRig(balance=Decimal(4_000), margin=Decimal("0.05"), stop_out=Decimal("0.5"))
    rig.broker.submit(market(BUY, 100))
    for k in range(1, 41):
        rig.quote(BID - 10_000 * k, ASK - 10_000 * k)
    assert not rig.broker.positions()
    last = rig.broker.deals(0)[-1]
    assert last.reason is ExitReason.STOP_OUT and last.closes and last.magic == magic(1)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_close_of_one_leaves_the_others(side):
    rig = VenueRig()
    for number in (1, 2, 3):
        rig.broker.submit(market(side, LOT, number))
    middle = rig.broker.positions()[1]
    assert rig.broker.close(middle, LOT, magic(4), "out").treatment is Treatment.DONE
    assert [p.magic for p in rig.broker.positions()] == [magic(1), magic(3)]
