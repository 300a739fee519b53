"""A round trip at the stand-in's trade server: what it answers and what its books say."""

from __future__ import annotations

import pytest

from engine.broker.terminal.server.specs import AccountSpec, spec_of
from engine.broker.terminal.server.words import Margin
from tests.engine.broker.terminal.server.made import (
    NOON_NS,
    NS,
    books_hold,
    deals,
    send,
    server,
    value,
)

RISING = [(s, 1.1 + s / 10_000, 1.1001 + s / 10_000) for s in range(10)]


def test_a_round_trip_on_a_hedging_account() -> None:
    made = server(*RISING)
    bought = send(made, action=1, type=0, magic=77, comment="ofs 1")
    assert (bought["retcode"], bought["price"], bought["volume"]) == (10009, 1.1001, 0.1)
    [position] = value(made, "positions_get")
    assert position["ticket"] == position["identifier"] == bought["order"]
    assert (position["magic"], position["profit"]) == (77, -1.0)
    made.advance(NOON_NS + 3 * NS)
    sold = send(made, action=1, type=1, position=position["ticket"])
    assert sold["price"] == 1.1003
    assert value(made, "positions_get") == []
    opened, closed = deals(made)
    assert (opened["entry"], closed["entry"]) == (0, 1)
    assert opened["position_id"] == closed["position_id"] == bought["order"]
    assert closed["profit"] == 2.0
    assert value(made, "account_info")["balance"] == 10_002.0
    books_hold(made)


def test_times_are_the_servers_wall_clock() -> None:
    made = server(*RISING)
    tick = value(made, "symbol_info_tick", symbol="EURUSD")
    assert tick["time_msc"] == NOON_NS // 1_000_000 + 3 * 3_600_000


def test_an_opposite_order_without_a_position_is_a_hedge() -> None:
    made = server(*RISING)
    send(made, action=1, type=0)
    send(made, action=1, type=1)
    assert [p["type"] for p in value(made, "positions_get")] == [0, 1]


def test_netting_adds_reduces_and_turns_round() -> None:
    made = server(*RISING, account=AccountSpec(margin_mode=Margin.NETTING))
    first = send(made, action=1, type=0)
    made.advance(NOON_NS + 2 * NS)
    send(made, action=1, type=0)
    [held] = value(made, "positions_get")
    assert (held["volume"], held["price_open"]) == (0.2, 1.1002)
    made.advance(NOON_NS + 4 * NS)
    send(made, action=1, type=1, volume=0.1)
    turned = send(made, action=1, type=1, volume=0.3)
    [held] = value(made, "positions_get")
    assert (held["type"], held["volume"]) == (1, 0.2)
    assert (held["identifier"], held["ticket"]) == (first["order"], turned["order"])
    assert [d["entry"] for d in deals(made)] == [0, 0, 1, 2]
    assert [d["profit"] for d in deals(made)] == [0.0, 0.0, 2.0, 2.0]
    books_hold(made)


@pytest.mark.parametrize(
    ("side", "sl", "tp", "reason", "comment"),
    [
        (0, 1.0990, 1.1005, 5, "[tp 1.10050]"),
        (1, 1.1006, 1.0900, 4, "[sl 1.10060]"),
    ],
)
def test_the_server_closes_at_levels_while_nobody_is_there(
    side: int, sl: float, tp: float, reason: int, comment: str
) -> None:
    made = server(*RISING)
    opened = send(made, action=1, type=side, sl=sl, tp=tp, magic=9, comment="mine")
    made.advance(NOON_NS + 9 * NS)
    assert value(made, "positions_get") == []
    closed = deals(made)[-1]
    assert (closed["reason"], closed["comment"]) == (reason, comment)
    assert closed["position_id"] == opened["order"]
    books_hold(made)


def test_money_of_a_coin_and_of_gold() -> None:
    made = server(
        (0, 50_000.0, 50_010.0), (1, 50_110.0, 50_120.0), symbol=spec_of("BTCUSDc"),
        more=[spec_of("XAUUSD.raw")],
    )  # fmt: skip
    held = send(made, action=1, type=0, volume=0.01)
    assert value(made, "account_info")["margin"] == 50.01
    made.advance(NOON_NS + NS)
    send(made, action=1, type=1, volume=0.01, position=held["order"])
    assert deals(made)[-1]["profit"] == 1.0
    gold = value(made, "order_calc_profit", action=0, symbol="XAUUSD.raw", volume=0.02,
                 price_open=2400.5, price_close=2400.0)  # fmt: skip
    assert gold == -1.0
