"""Every return code of the rules, by its cause; and orders that wait, expire, freeze and end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec, spec_of
from engine.broker.terminal.server.words import Margin
from tests.engine.broker.terminal.server.made import (
    EMPTY,
    NOON_NS,
    NS,
    books_hold,
    deals,
    send,
    server,
    value,
)

FLAT = [(s, 1.1, 1.1001) for s in range(60)]
LIMIT = {"action": 5, "type": 2, "price": 1.09, "type_filling": 2}
WALL_S = NOON_NS // NS + 3 * 3600


def spec(**known: Any) -> SymbolSpec:
    return replace(spec_of("EURUSD"), **known)


def test_a_request_that_breaks_one_rule() -> None:
    cases: list[tuple[int, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        # code, symbol, account, request
        (10013, {}, {}, {"symbol": "NOPE"}),
        (10013, {}, {}, {"action": 3}),
        (10013, {}, {}, {"position": 5}),
        (10014, {}, {}, {"volume": 0.0}),
        (10014, {}, {}, {"volume": 0.015}),
        (10014, {}, {}, {"volume": 1000.0}),
        (10015, {"execution": 1}, {}, {"price": 0.0}),
        (10015, {"execution": 1}, {}, {"price": 1.1000005}),
        (10004, {"execution": 1}, {}, {"price": 1.1003, "deviation": 10}),
        (10016, {}, {}, {"sl": 1.1001}),
        (10016, {}, {}, {"tp": 1.0999}),
        (10016, {"stops_level": 50}, {}, {"sl": 1.0996}),
        (10016, {"stops_level": 50}, {}, {"type": 1, "tp": 1.0998}),
        (10016, {}, {}, {"sl": 1.0000001}),
        (10017, {"trade_mode": 0}, {}, {}),
        (10017, {}, {"trade_allowed": False}, {}),
        (10018, {"hours": "closed"}, {}, {}),
        (10019, {}, {"balance": 100.0}, {}),
        (10022, {}, {}, {**LIMIT, "type_time": 2, "expiration": WALL_S - 1}),
        (10022, {"expiration_mode": 1}, {}, {**LIMIT, "type_time": 1}),
        (10026, {}, {"trade_expert": False}, {}),
        (10030, {}, {}, {"type_filling": 2}),
        (10030, {"filling": 2}, {}, {"type_filling": 0}),
        (10030, {"filling": 1}, {}, {"type_filling": 1}),
        (10030, {"execution": 1}, {}, {"type_filling": 3, "price": 1.1001}),
        (10032, {}, {"only_real": True}, {}),
        (10034, {"volume_limit": 0.05}, {}, {}),
        (10035, {}, {}, {"type": 3}),
        (10035, {}, {}, {**LIMIT, "type": 0}),
        (10035, {"order_mode": 1}, {}, LIMIT),
        (10042, {"trade_mode": 1}, {}, {"type": 1}),
        (10043, {"trade_mode": 2}, {}, {"type": 0}),
        (10044, {"trade_mode": 3}, {}, {}),
        (10015, {}, {}, {**LIMIT, "price": 1.2}),
        (10015, {}, {}, {**LIMIT, "type": 4, "price": 1.05}),
        (10015, {}, {}, {**LIMIT, "type": 6, "price": 1.11, "stoplimit": 1.12}),
        (10016, {}, {}, {**LIMIT, "sl": 1.095}),
    ]
    for code, symbol, account, request in cases:
        made = server(*FLAT, symbol=spec(**symbol), account=AccountSpec(**account))
        asked = {"action": 1, "type": 0, **request}
        result = send(made, **asked)
        assert result["retcode"] == code, (code, symbol, account, request, result)
        assert not made.ledger.positions and not made.ledger.orders
        assert (result["deal"], result["order"]) == (0, 0)
        check = made.call("order_check", {"request": {**_empty(), **asked}}).value
        if code not in (10017, 10026, 10032):  # those are not the request's fault
            assert check["retcode"] == code, (request, check)


def _empty() -> dict[str, Any]:
    return {**EMPTY, "symbol": "EURUSD", "type_filling": 1, "volume": 0.1}


def test_a_check_that_passes_says_what_the_account_would_be() -> None:
    made = server(*FLAT)
    check = made.call("order_check", {"request": {**_empty(), "action": 1}}).value
    assert (check["retcode"], check["comment"]) == (0, "Done")
    assert (check["margin"], check["margin_free"]) == (110.0, 9890.0)
    assert not made.ledger.positions


def test_limits_of_the_account() -> None:
    made = server(*FLAT, account=AccountSpec(limit_positions=1, limit_orders=0))
    assert send(made, action=1)["retcode"] == 10009
    assert send(made, action=1)["retcode"] == 10040
    made = server(*FLAT, account=AccountSpec(limit_orders=1))
    assert send(made, **LIMIT)["retcode"] == 10009
    assert send(made, **LIMIT)["retcode"] == 10033
    made = server(*FLAT, account=AccountSpec(requests=2))
    assert [send(made, action=1)["retcode"] for _ in range(3)] == [10009, 10009, 10024]
    made.advance(NOON_NS + 2 * NS)
    assert send(made, action=1)["retcode"] == 10009


def test_fifo_and_a_ban_on_hedges() -> None:
    made = server(*FLAT, account=AccountSpec(fifo=True, hedging_banned=True))
    first = send(made, action=1)
    made.advance(NOON_NS + NS)
    second = send(made, action=1)
    assert send(made, action=1, type=1)["retcode"] == 10046
    assert send(made, action=1, type=1, position=second["order"])["retcode"] == 10045
    assert send(made, action=1, type=1, position=first["order"])["retcode"] == 10009
    assert send(made, action=1, type=1, position=second["order"])["retcode"] == 10009


def test_closing_by_ticket() -> None:
    made = server(*FLAT)
    held = send(made, action=1)["order"]
    assert send(made, action=1, type=0, position=held)["retcode"] == 10013
    assert send(made, action=1, type=1, position=held, volume=0.2)["retcode"] == 10038
    made.fault("placed", "5s", count=1)
    late = send(made, action=1, type=1, position=held)
    assert late["retcode"] == 10008
    assert send(made, action=1, type=1, position=held)["retcode"] == 10039
    made.advance(NOON_NS + 6 * NS)
    assert value(made, "positions_get") == []
    assert send(made, action=1, type=1, position=held)["retcode"] == 10036
    assert send(made, action=6, position=held, sl=1.0)["retcode"] == 10036
    books_hold(made)


def test_part_of_a_position_is_closed() -> None:
    made = server(*FLAT)
    held = send(made, action=1, volume=0.3)["order"]
    assert send(made, action=1, type=1, position=held, volume=0.1)["retcode"] == 10009
    [position] = value(made, "positions_get")
    assert (position["ticket"], position["volume"]) == (held, 0.2)
    assert [d["entry"] for d in deals(made)] == [0, 1]


def test_levels_are_changed_unless_they_stand_or_are_frozen() -> None:
    made = server(*FLAT, symbol=spec(freeze_level=20))
    held = send(made, action=1, sl=1.09)["order"]
    changed = send(made, action=6, position=held, sl=1.0999, tp=1.12)
    assert changed["retcode"] == 10009
    assert [changed[k] for k in ("deal", "order", "volume", "price", "bid", "ask")] == [0] * 6
    assert send(made, action=6, position=held, sl=1.0999, tp=1.12)["retcode"] == 10025
    # the stop is 10 points away now: nothing moves any more
    assert send(made, action=6, position=held, sl=1.08, tp=1.12)["retcode"] == 10029
    assert send(made, action=1, type=1, position=held)["retcode"] == 10029
    made.market.set_spec(replace(made.market.specs["EURUSD"], freeze_level=0, hours="closed"))
    assert send(made, action=6, position=held, sl=1.08, tp=1.12)["retcode"] == 10018


MOVING = [(0, 1.1, 1.1001), (1, 1.0989, 1.099), (2, 1.1019, 1.102), (3, 1.1, 1.1001)]


@pytest.mark.parametrize(
    ("order", "at_s", "price"),
    [
        ({"type": 2, "price": 1.0995}, 1, 1.099),
        ({"type": 3, "price": 1.101}, 2, 1.1019),
        ({"type": 4, "price": 1.101}, 2, 1.102),
        ({"type": 5, "price": 1.0995}, 1, 1.0989),
        ({"type": 6, "price": 1.101, "stoplimit": 1.1005}, 3, 1.1001),
        ({"type": 7, "price": 1.0995, "stoplimit": 1.1005}, 2, 1.1019),
    ],
)
def test_pending_orders_are_triggered(order: dict[str, Any], at_s: int, price: float) -> None:
    made = server(*MOVING)
    placed = send(made, action=5, type_filling=2, magic=3, **order)
    assert (placed["retcode"], placed["deal"]) == (10009, 0)
    [working] = value(made, "orders_get")
    assert (working["ticket"], working["state"]) == (placed["order"], 1)
    made.advance(NOON_NS + at_s * NS - 1)
    assert len(value(made, "orders_get")) == 1 and not deals(made)
    made.advance(NOON_NS + at_s * NS)
    assert value(made, "orders_get") == []
    [deal] = deals(made)
    assert (deal["price"], deal["magic"], deal["order"]) == (price, 3, placed["order"])
    [position] = value(made, "positions_get")
    assert position["identifier"] == placed["order"]
    [past] = value(made, "history_orders_get", ticket=placed["order"])
    assert (past["state"], past["position_id"]) == (4, placed["order"])


def test_a_pending_order_is_changed_and_withdrawn() -> None:
    made = server(*FLAT, symbol=spec(freeze_level=20))
    ticket = send(made, **LIMIT)["order"]
    change = {"action": 7, "order": ticket, "price": 1.095, "sl": 1.09}
    assert send(made, **change)["retcode"] == 10009
    assert send(made, **change)["retcode"] == 10025
    [working] = value(made, "orders_get")
    assert (working["price_open"], working["sl"]) == (1.095, 1.09)
    assert send(made, **{**change, "price": 1.1})["retcode"] == 10009
    assert send(made, action=8, order=ticket)["retcode"] == 10029
    made.market.set_spec(replace(made.market.specs["EURUSD"], freeze_level=0))
    assert send(made, action=8, order=ticket)["retcode"] == 10009
    assert send(made, action=8, order=ticket)["retcode"] == 10023
    assert send(made, action=8, order=99)["retcode"] == 10013
    assert value(made, "history_orders_get", ticket=ticket)[0]["state"] == 2


@pytest.mark.parametrize(
    ("until", "expiration_s", "ends_s"),
    [(2, WALL_S + 30, 30), (1, 0, 9 * 3600), (3, WALL_S, 9 * 3600)],
)
def test_pending_orders_expire(until: int, expiration_s: int, ends_s: int) -> None:
    made = server(*FLAT)
    ticket = send(made, **LIMIT, type_time=until, expiration=expiration_s)["order"]
    made.advance(NOON_NS + ends_s * NS - 1)
    assert len(value(made, "orders_get")) == 1
    made.advance(NOON_NS + ends_s * NS)
    [past] = value(made, "history_orders_get", ticket=ticket)
    assert (past["state"], past["time_done"]) == (6, WALL_S + ends_s)


def test_a_passive_order_that_would_take_is_refused() -> None:
    made = server(*FLAT, symbol=spec(filling=7))
    boc = {**LIMIT, "type_filling": 3}
    assert send(made, **boc)["retcode"] == 10009
    assert send(made, **{**boc, "price": 1.1001})["retcode"] == 10015
    assert send(made, **{**boc, "type": 4, "price": 1.2})["retcode"] == 10030


def test_instant_execution_is_at_the_price_of_the_moment() -> None:
    made = server(*FLAT, symbol=spec(execution=1))
    result = send(made, action=1, price=1.1002, deviation=10)
    assert (result["retcode"], result["price"]) == (10009, 1.1001)
    refused = send(made, action=1, price=1.1012, deviation=10)
    assert (refused["retcode"], refused["bid"], refused["ask"]) == (10004, 1.1, 1.1001)
    assert refused["request_id"] > 0 and refused["price"] == 0.0


def test_positions_are_closed_by_each_other() -> None:
    made = server(*MOVING)
    one = send(made, action=1, volume=0.3)["order"]
    made.advance(NOON_NS + 2 * NS)
    other = send(made, action=1, type=1, volume=0.1)["order"]
    result = send(made, action=10, position=one, position_by=other)
    assert (result["retcode"], result["volume"]) == (10009, 0.1)
    [left] = value(made, "positions_get")
    assert (left["ticket"], left["volume"]) == (one, 0.2)
    by = deals(made)[-2:]
    assert [(d["entry"], d["position_id"], d["profit"]) for d in by] == [
        (3, one, 18.0),
        (3, other, 0.0),
    ]
    assert value(made, "account_info")["balance"] == 10_018.0
    made = server(*FLAT, account=AccountSpec(margin_mode=Margin.NETTING))
    assert send(made, action=10, position=1, position_by=2)["retcode"] == 10013
    books_hold(made)


def test_a_stop_out_closes_the_worst_first() -> None:
    falling = [(s, 1.1 - s / 500, 1.1001 - s / 500) for s in range(20)]
    account = AccountSpec(balance=1_200.0, stop_out=50.0)
    made = server(*falling, account=account, more=[spec_of("GBPUSD")])
    send(made, action=1, volume=0.5)
    send(made, action=1, volume=0.1)
    made.advance(NOON_NS + 19 * NS)
    out = [d for d in deals(made) if d["entry"] == 1]
    assert (out[0]["volume"], {d["reason"] for d in out}) == (0.5, {6})
    assert out[0]["comment"].startswith("[so ")
    assert value(made, "account_info")["balance"] > 0
    books_hold(made)


def test_nights_are_charged_and_booked_with_the_deal() -> None:
    symbol = spec(swap_long=-6.0, swap_short=2.0, commission=3.5)
    made = server(*FLAT, symbol=symbol)
    held = send(made, action=1, volume=1.0)["order"]
    made.advance(NOON_NS + 10 * 3600 * NS)  # Tuesday's night
    assert value(made, "positions_get")[0]["swap"] == -6.0
    made.advance(NOON_NS + 34 * 3600 * NS)  # Wednesday's counts three times
    assert value(made, "positions_get")[0]["swap"] == -24.0
    send(made, action=1, type=1, position=held, volume=0.5)
    assert (deals(made)[-1]["swap"], deals(made)[-1]["commission"]) == (-12.0, -1.75)
    assert value(made, "positions_get")[0]["swap"] == -12.0
    books_hold(made)


def test_depth_is_obeyed_where_the_symbol_does() -> None:
    made = server(symbol=spec(obeys_depth=True, execution=3, filling=3))
    made.market.quotes["EURUSD"].add(NOON_NS, 110_000, 110_010, 5_000_000, 5_000_000)
    partly = send(made, action=1, type_filling=2)
    assert (partly["retcode"], partly["volume"]) == (10010, 0.05)
    [working] = value(made, "orders_get")
    assert (working["state"], working["volume_current"]) == (3, 0.05)
    assert value(made, "market_book_add", symbol="EURUSD") is True
    asks, bids = value(made, "market_book_get", symbol="EURUSD")
    assert (asks["type"], asks["volume_dbl"], bids["type"]) == (1, 0.05, 2)
    made.feed([(NOON_NS + NS, "EURUSD", 1.1, 1.1002)])
    made.advance(NOON_NS + NS)
    assert value(made, "orders_get") == []
    [held] = value(made, "positions_get")
    assert (held["volume"], held["identifier"]) == (0.1, partly["order"])
    assert send(made, action=8, order=partly["order"])["retcode"] == 10023
    books_hold(made)
