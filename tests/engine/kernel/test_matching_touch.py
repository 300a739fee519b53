"""The touch in the rows of orders and fills, scene by scene."""

from __future__ import annotations

from data.events import FillReason
from tests.engine.kernel.matching_driver import Sim

BUY, SELL = 1, -1
SECOND = 10**9


def touches(sim: Sim, table: str) -> list[tuple[int, int]]:
    """(bid, ask) of every row of ``table``."""
    sim.finish()
    return [(row["bid"], row["ask"]) for row in sim.table(table)]


def why(sim: Sim) -> list[str]:
    return [FillReason(f["reason"]).name for f in sim.table("fills")]


def test_an_order_has_the_touch_when_it_left_and_its_fills_the_touch_when_it_arrived():
    sim = Sim(order_latency_ns=500)
    sim.depth(1000, 1, [(99, 5)], [(101, 1), (102, 5)])
    sim.order(1000, BUY, 3)
    sim.depth(1400, 2, [(104, 5)], [(107, 1), (109, 5)])
    sim.clock(2000)
    assert touches(sim, "orders") == [(99, 101)]
    assert touches(sim, "fills") == [(104, 107), (104, 107)]
    assert [f["price"] for f in sim.table("fills")] == [107, 109]


def test_a_refused_order_has_a_touch_too_and_nothing_known_is_0():
    sim = Sim(qty_step=2)
    sim.order(500, BUY, 2)
    sim.clock(600)
    sim.depth(1000, 1, [(99, 5)], [])
    sim.order(1000, BUY, 3)
    assert touches(sim, "orders") == [(0, 0), (99, 0)]


def test_a_newer_quote_bounds_the_touch_of_the_book_from_the_bad_side():
    sim = Sim()
    sim.depth(1000, 1, [(99, 5)], [(101, 5)])
    sim.quote(1100, 2, 100, 1, 103, 1)
    sim.order(1100, BUY, 1)
    sim.clock(1100)
    assert touches(sim, "fills") == [(99, 103)]


def test_with_the_last_price_alone_the_assumed_spread_is_recorded():
    sim = Sim(half_spread=3, slippage=2)
    sim.trade(1000, 1, 100, 1, BUY)
    sim.order(1000, SELL, 1)
    sim.clock(1000)
    assert touches(sim, "fills") == touches(sim, "orders")[:1] == [(97, 103)]
    assert sim.table("fills")[0]["price"] == 95


def test_a_resting_order_fills_at_its_price_beside_the_touch_of_that_moment():
    sim = Sim()
    sim.depth(1000, 1, [(99, 5)], [(101, 5)])
    sim.order(1000, BUY, 1, price=98)
    sim.depth(2000, 2, [(97, 5)], [(100, 5)])
    sim.trade(2100, 3, 97, 1, SELL)
    assert why(sim) == ["TRADE_THROUGH"]
    assert touches(sim, "orders") == [(99, 101)]
    assert touches(sim, "fills") == [(97, 100)]


def test_a_stop_held_by_the_broker_has_the_touch_of_the_moment_it_fires():
    sim = Sim()
    sim.depth(1000, 1, [(100, 9)], [(101, 9)])
    sim.order(1000, BUY, 2, stop=98)
    sim.clock(1000)
    sim.depth(2000, 2, [(96, 1), (95, 9)], [(99, 9)])
    assert why(sim) == ["BOOK_WALK", "STOP_BOOK", "STOP_BOOK"]
    assert touches(sim, "orders") == [(100, 101), (96, 99)]
    assert touches(sim, "fills") == [(100, 101), (96, 99), (96, 99)]


def bars(**levels: int) -> Sim:
    """A long of 2 at 104 in a market of bars alone; half the spread is 3, the slippage 1."""
    sim = Sim(half_spread=3, slippage=1)
    sim.bar(1000, 1, 900, 100, 100, 100, 100)
    sim.order(1000, BUY, 2, **levels)
    sim.clock(1000)
    return sim


def test_a_stop_in_a_bar_records_the_spread_that_it_assumed():
    sim = bars(stop=90)
    sim.bar(2000, 2, 1500, 95, 95, 80, 85)
    assert why(sim) == ["LAST_PRICE", "STOP_BAR"]
    assert sim.table("fills")[1]["price"] == 90 - 3 - 1
    assert touches(sim, "fills") == [(97, 103), (87, 93)]
    assert touches(sim, "orders") == [(97, 103), (87, 93)]


def test_inside_a_bar_nobody_knows_the_touch_of_a_target():
    sim = bars(target=120)
    sim.bar(2000, 2, 1500, 110, 130, 110, 125)
    assert why(sim) == ["LAST_PRICE", "TARGET_BAR"]
    assert touches(sim, "fills") == [(97, 103), (0, 0)]
