"""Traps of the venues' streams, one by one: what the reference page of the venues warns of."""

from __future__ import annotations

import pytest

from data.enums import Kind
from data.live.blocks import Series
from data.live.endpoint import Endpoint
from data.live.wiring import Ask, instruments
from engine.runtime.lags import Lags
from tests.data.live.frames import BTC, MS, T0, T0_NS, Door, framed, kline, liquidation, mark, trade


def raw_trade(id: int, **more: object) -> bytes:
    """A print of the undocumented ``@trade`` of USD-M."""
    data = {
        "e": "trade", "E": T0 + 5, "T": T0, "s": "BTCUSDT", "t": id, "p": "27950.10", "q": "0.120",
        "X": "MARKET", "m": True, "st": 1,
    }  # fmt: skip
    return framed("btcusdt@trade", data | more)


@pytest.mark.parametrize("x", ["NA", "ADL", "INSURANCE_FUND"])
def test_a_print_that_is_no_trade_uses_up_its_id_and_makes_no_price_of_zero(x: str) -> None:
    door = Door().send(1, raw_trade(1), raw_trade(2, X=x, p="0", q="0"), raw_trade(3)).end()
    assert door.rows("id", "price", "side") == [(1, 279501, -1), (3, 279501, -1)]
    assert not door.gaps()


def test_the_time_of_a_mark_is_when_it_was_sent_and_its_other_time_the_next_funding() -> None:
    door = Door().send(1, mark(1000), mark(2000, T=0))
    hour = T0_NS + 3_600_000 * MS
    assert door.rows("ts_ns", "next_funding_ns", kind=Kind.MARK) == [
        (T0_NS + 1000 * MS, hour),
        (T0_NS + 2000 * MS, 0),  # delisted
    ]


def test_only_a_closed_candle_is_a_bar() -> None:
    door = Door().send(1, kline(0, closed=False), kline(0), kline(0))
    assert len(door.rows("ts_ns", kind=Kind.BAR)) == 1


def test_a_liquidation_has_the_side_of_its_order_and_coin_m_is_left_out() -> None:
    other = liquidation(2).replace(b'"e":"forceOrder",', b'"e":"forceOrder","st":2,')
    door = Door().send(1, liquidation(1), liquidation(3, S="BUY"), other)
    assert door.rows("side", kind=Kind.LIQUIDATION) == [-1, 1]
    assert door.inlet.facts.rejects == {"coin_m": 1}


def test_fields_that_are_new_are_tolerated() -> None:
    door = Door().send(1, trade(1, nq="0", brand={"new": [1]}))
    assert door.rows("qty") == [120]


def test_what_was_received_before_it_was_sent_is_kept_as_it_was_and_counted_apart() -> None:
    """Clocks of real recorders were 0.9 to 1.5 s behind the venue's."""
    door = Door().send(1, trade(1, 1300)).send(2, trade(2, 1301))
    assert door.rows("ts_ns", "recv_ns")[0] == (T0_NS + 1300 * MS, T0_NS + 1 * MS)
    lags = list(door.inlet.facts.lags)
    assert max(lags) < -1_000 * MS and door.clock.offset_ns == min(lags)
    found = Lags()
    for lag in lags:
        found.add(lag)
    assert (found.count, found.negative) == (0, 2)


def test_a_session_keeps_its_scales_whatever_the_venue_says_later() -> None:
    nobody = Endpoint("ws://127.0.0.1:9", "http://127.0.0.1:9")
    ask = Ask("binance-um", ("BTCUSDT",), (Kind.TRADE,), nobody)
    known: list[Series] = [BTC]
    assert instruments(ask, known) == known  # nobody was asked: a symbol that is gone still resumes
