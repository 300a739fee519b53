"""The adapter of a terminal: how orders are filled, what is found before a send, and money."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data.enums import ExitReason, OrderType, Side
from data.events import Scales
from engine.broker.mt5 import Mt5Broker
from engine.broker.protocol import Treatment
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec, spec_of
from engine.broker.terminal.server.words import Execution, Fills
from tests.engine.broker.rigs import (
    ASK,
    BID,
    SYMBOL,
    TerminalRig,
    connected,
    direct,
    executed,
    limit,
    magic,
    market,
    sends,
)

BUY, SELL = Side.BUY, Side.SELL
LOT = 10
COIN = spec_of(SYMBOL)


@pytest.fixture
def rig() -> TerminalRig:
    return connected()


# --- how an order is filled


@pytest.mark.parametrize("execution", list(Execution))
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_kind_of_symbol_takes_the_order(execution: Execution, bits: int) -> None:
    rig = connected(symbol=replace(COIN, execution=execution, filling=bits))
    for number, ioc in enumerate((True, False), 1):
        order = replace(market(BUY, LOT, number), ioc=ioc)
        assert rig.broker.submit(order).treatment is Treatment.DONE
    assert sends(rig) == 2


def test_a_symbol_that_says_the_wrong_bits_is_tried_once_and_remembered(
    rig: TerminalRig,
) -> None:
    inner = rig.server.desk.send
    refused: list[int] = []

    def send(request: Any, *more: Any) -> Any:
        if request.type_filling != 1:
            return inner(request, *more)
        refused.append(request.magic)
        return rig.server.desk.result(10030, request)

    rig.server.desk.send = send  # type: ignore[method-assign]
    assert rig.broker.submit(market(BUY, LOT, 1)).treatment is Treatment.DONE
    assert refused == [magic(1)] and executed(rig) == 1
    assert rig.broker.submit(market(BUY, LOT, 2)).treatment is Treatment.DONE
    assert refused == [magic(1)] and executed(rig) == 2


def test_a_partial_fill_is_done_with_what_was_filled(rig: TerminalRig) -> None:
    rig.server.fault("partial", 0.5, call="order_send", count=1)
    outcome = rig.broker.submit(market(BUY, LOT))
    assert (outcome.treatment, outcome.code, outcome.qty) == (Treatment.DONE, 10010, LOT // 2)
    (order,) = rig.broker.orders(0)
    assert (order.filled, order.left, order.qty) == (False, LOT - LOT // 2, LOT)


def test_what_is_executed_later_is_placed(rig: TerminalRig) -> None:
    rig.server.fault("placed", "2s", call="order_send", count=1)
    outcome = rig.broker.submit(market(BUY, LOT))
    assert outcome.treatment is Treatment.PLACED and outcome.order > 0 and outcome.qty == 0
    rig.wait(3)
    assert rig.broker.positions()[0].qty == LOT


def test_a_result_without_a_price_leaves_it_to_the_deals(rig: TerminalRig) -> None:
    rig.server.fault("no_price", call="order_send", count=1)
    outcome = rig.broker.submit(market(BUY, LOT))
    assert (outcome.treatment, outcome.price, outcome.qty) == (Treatment.DONE, 0, LOT)
    assert rig.broker.deals(0)[-1].price == ASK


def test_a_deal_that_is_listed_twice_is_one(rig: TerminalRig) -> None:
    rig.broker.submit(market(BUY, LOT))
    rig.server.fault("duplicate_deals", share=1.0)
    assert [d.ticket for d in rig.broker.deals(0)] == [1_000_001, 1_000_002]


def test_instant_execution_slips_no_further_than_asked() -> None:
    rig = connected(symbol=replace(COIN, execution=Execution.INSTANT))
    seen: list[dict[str, Any]] = []
    inner = rig.server.desk.send
    rig.server.desk.send = lambda r, *a: (seen.append(vars_of(r)), inner(r, *a))[1]  # type: ignore
    rig.broker.submit(market(BUY, LOT, deviation=150))
    assert (seen[0]["deviation"], seen[0]["price"]) == (150, 60_002.0)


def test_a_limit_order_that_must_not_wait_slips_to_its_limit_only() -> None:
    rig = connected(symbol=replace(COIN, execution=Execution.INSTANT))
    seen: list[dict[str, Any]] = []
    inner = rig.server.desk.send
    rig.server.desk.send = lambda r, *a: (seen.append(vars_of(r)), inner(r, *a))[1]  # type: ignore
    rig.broker.submit(limit(BUY, LOT, ASK + 70, ioc=True))
    assert (seen[0]["deviation"], seen[0]["price"]) == (70, ASK / 100)


@pytest.mark.parametrize("execution", [Execution.MARKET, Execution.EXCHANGE])
def test_where_no_price_binds_there_is_no_such_order(execution: Execution) -> None:
    rig = connected(symbol=replace(COIN, execution=execution))
    outcome = rig.broker.submit(limit(BUY, LOT, ASK + 70, ioc=True))
    assert (outcome.treatment, outcome.code) == (Treatment.FIX_INPUT, 0)
    assert "ends at once" in outcome.text and sends(rig) == 0


def test_an_order_that_waits_is_sent_once_whatever_comes_back(rig: TerminalRig) -> None:
    rig.server.fault("retcode", 10030, call="order_send", share=1.0)
    assert rig.broker.submit(limit(BUY, LOT, 5_900_000)).code == 10030
    assert sends(rig) == 1


def vars_of(request: Any) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ("deviation", "price", "volume", "sl")}


# --- what is found before anything is sent


def test_stops_and_freeze_levels_are_kept_without_a_send() -> None:
    rig = connected(symbol=replace(COIN, stops_level=500, freeze_level=300))
    for order in (
        market(BUY, LOT, stop=BID - 499),
        market(BUY, LOT, target=BID + 499),
        market(SELL, LOT, stop=ASK + 499),
        limit(BUY, LOT, ASK - 499),
        limit(SELL, LOT, BID + 499),
        replace(market(BUY, LOT), type=OrderType.STOP, price=ASK + 499),
        replace(market(SELL, LOT), type=OrderType.STOP, price=BID - 499),
        limit(BUY, LOT, 5_990_000, stop=5_989_501),
    ):
        outcome = rig.broker.submit(order)
        assert (outcome.treatment, outcome.code) == (Treatment.FIX_INPUT, 0), order
    assert sends(rig) == 0
    assert rig.broker.submit(market(BUY, LOT, stop=BID - 500)).treatment is Treatment.DONE
    (held,) = rig.broker.positions()
    near = rig.broker.modify(SYMBOL, held.ticket, BID - 499, 0)
    assert (near.treatment, near.code) == (Treatment.FIX_INPUT, 0)
    rig.quote(BID - 200, ASK - 200)
    for frozen in (
        rig.broker.modify(SYMBOL, held.ticket, BID - 2_000, 0),
        rig.broker.close(held, LOT, magic(2), "x"),
    ):
        assert (frozen.treatment, frozen.code) == (Treatment.REREAD, 0)
        assert "frozen" in frozen.text
    assert sends(rig) == 1


def test_a_level_that_stays_where_it_is_is_left_to_the_server() -> None:
    rig = connected(symbol=replace(COIN, stops_level=500))
    rig.broker.submit(market(BUY, LOT, stop=BID - 600))
    (held,) = rig.broker.positions()
    rig.quote(BID - 200, ASK - 200)
    assert rig.broker.modify(SYMBOL, held.ticket, BID - 600, 6_100_000).code == 10016
    assert sends(rig) == 2


@pytest.mark.parametrize(
    ("kind", "side", "price", "fills_at"),
    [
        (OrderType.STOP, BUY, ASK + 1_000, (BID + 1_000, ASK + 1_000)),
        (OrderType.STOP, SELL, BID - 1_000, (BID - 1_000, ASK - 1_000)),
    ],
)
def test_a_stop_order_opens_when_the_market_is_there(
    rig: TerminalRig, kind: OrderType, side: Side, price: int, fills_at: tuple[int, int]
) -> None:
    order = replace(market(side, LOT), type=kind, price=price)
    assert rig.broker.submit(order).treatment is Treatment.PLACED
    assert rig.broker.orders(0)[0].type is kind
    rig.quote(*fills_at)
    assert rig.broker.positions()[0].side is side


def test_prices_lie_on_the_tick_and_volumes_on_the_step() -> None:
    spec = SymbolSpec(
        "XAUUSD", digits=2, tick=5, contract=100.0, currency_base="XAU", volume_step=0.03,
        volume_min=0.03,
    )  # fmt: skip
    rig = TerminalRig(symbol=spec, symbols={"XAUUSD": Scales(3, 1)})
    rig.touch = (200_000, 200_050)
    rig.wait(1)
    rig.broker.connect()
    (at,) = rig.broker.instruments()
    assert (at.price_step, at.qty_step, at.qty_min, at.contract) == (50, 30, 30, 1_000)
    order = replace(market(BUY, 0, stop=1_990_024, target=2_010_026), symbol="XAUUSD")
    # 0.1 + 0.2 in lots: 0.30000000000000004 as a float
    assert rig.broker.submit(replace(order, qty=300)).treatment is Treatment.DONE
    (held,) = rig.broker.positions()
    assert (held.qty, held.stop, held.target) == (300, 1_990_000, 2_010_050)
    off = rig.broker.submit(replace(order, qty=310))
    assert (off.treatment, off.code) == (Treatment.FIX_INPUT, 0)
    assert sends(rig) == 1


def test_a_request_holds_floats_and_ints_and_nothing_else(rig: TerminalRig) -> None:
    seen: list[dict[str, Any]] = []
    inner = rig.terminal.call

    def call(name: str, *args: Any, **more: Any) -> Any:
        if name == "order_send":
            seen.append(args[0])
        return inner(name, *args, **more)

    rig.terminal.call = call  # type: ignore[method-assign]
    rig.broker.submit(market(BUY, LOT, stop=5_900_000))
    (held,) = rig.broker.positions()
    rig.broker.modify(SYMBOL, held.ticket, 5_800_000, 0)
    rig.broker.close(held, LOT, magic(2), "x")
    placed = rig.broker.submit(limit(BUY, LOT, 5_000_000, 3))
    rig.broker.cancel(SYMBOL, placed.order)
    assert [r["action"] for r in seen] == [1, 6, 1, 5, 8]
    for request in seen:
        for key, value in request.items():
            wanted = {"symbol": str, "comment": str}.get(key, int)
            wanted = float if key in ("volume", "price", "sl", "tp") else wanted
            assert type(value) is wanted, (key, value)


# --- money


def test_commission_swap_and_fee_are_one_fee_and_other_symbols_count() -> None:
    rig = connected(symbol=replace(COIN, commission=7.0, fee=1.0, swap_long=-50.0))
    rig.broker.submit(market(BUY, 100))
    rig.wait(86_400)
    (held,) = rig.broker.positions()
    rig.broker.close(held, 100, magic(2), "x")
    rig.server.move_money(123.45)
    deals = rig.broker.deals(0)
    assert sum(d.profit - d.fee for d in deals) == rig.broker.account().balance
    closed = next(d for d in deals if d.closes)
    assert closed.fee > 8 * 10**8 and deals[1].fee == 8 * 10**8
    assert (deals[-1].side, deals[-1].profit) == (Side.UNKNOWN, 12_345_000_000)
    assert deals[-1].symbol == "" and deals[-1].qty == 0


def test_a_credit_is_no_balance() -> None:
    rig = connected(account=AccountSpec(credit=500.0))
    deals = rig.broker.deals(0)
    assert len(deals) == 2
    assert sum(d.profit - d.fee for d in deals) == rig.broker.account().balance == 10**12


def test_deals_and_positions_of_other_symbols() -> None:
    rig = TerminalRig()
    rig.server.market.specs
    other = Mt5Broker(rig.terminal, replace(rig.settings, symbols={}))
    other.connect()
    rig.broker.connect()
    rig.broker.submit(market(BUY, LOT))
    rig.quote(BID + 500, ASK + 500)
    rig.broker.close(rig.broker.positions()[0], 5, magic(2), "x")
    assert other.positions() == [] and other.orders(0) == []
    deals = other.deals(0)
    assert {d.side for d in deals} == {Side.UNKNOWN} and {d.qty for d in deals} == {0}
    assert sum(d.profit - d.fee for d in deals) == other.account().balance


def test_what_a_person_did_is_told_apart(rig: TerminalRig) -> None:
    rig.broker.submit(market(BUY, LOT))
    hand = direct(rig.server)
    hand.call("initialize", deadline_s=5)
    request = {
        "action": 1, "symbol": SYMBOL, "volume": 0.1, "type": 1, "type_filling": 1,
        "position": rig.broker.positions()[0].ticket,
    }  # fmt: skip
    hand.call("order_send", request, deadline_s=5)
    closed = rig.broker.deals(0)[-1]
    assert closed.closes and closed.magic == 0 and closed.reason is ExitReason.OPEN
    assert closed.position == rig.broker.deals(0)[1].position


def test_the_fill_modes_are_not_the_bits() -> None:
    assert (int(Fills.FOK), int(Fills.IOC)) == (1, 2)
    rig = connected(symbol=replace(COIN, filling=Fills.FOK))
    assert rig.broker.submit(market(BUY, LOT)).treatment is Treatment.DONE
    assert sends(rig) == 1
