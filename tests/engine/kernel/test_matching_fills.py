"""The fill model's prose, sentence by sentence: small scenes that a reader can check by hand."""

from __future__ import annotations

import pytest

from data.events import ExitReason, FillReason, Kind, Liquidity, OrderReason, OrderState, OrderType
from engine.kernel.matching_state import V_CROSSED, V_LEVELS, V_REQUESTS
from tests.engine.kernel.matching_driver import Sim

BUY, SELL = 1, -1
GTC, IOC, POST_ONLY = 0, 1, 2
SECOND = 10**9


def shown(sim: Sim) -> list[tuple[int, int, str]]:
    """(quantity, price, reason) of every fill."""
    return [(f["qty"], f["price"], FillReason(f["reason"]).name) for f in sim.table("fills")]


def ended(sim: Sim, at: int = -1) -> tuple[str, str]:
    """(state, reason) of an order row, the last one by default."""
    o = sim.table("orders")[at]
    return OrderState(o["state"]).name, OrderReason(o["reason"]).name


def long(stop: int = 0, target: int = 0, qty: int = 4, **params: int) -> Sim:
    """A long of ``qty`` at 101 with a stop and a target; the book is 100 / 101."""
    sim = Sim(**params)
    sim.depth(1000, 1, [(100, 50), (99, 50)], [(101, 50)])
    sim.order(1000, BUY, qty, stop=stop, target=target)
    sim.clock(1000)
    return sim


# --- market orders ---------------------------------------------------------------------------


def test_a_market_order_walks_the_book_and_names_the_snapshot():
    sim = Sim(order_latency_ns=500)
    sim.depth(1000, 17, [(99, 5)], [(100, 2), (103, 2)])
    sim.order(1000, BUY, 3)
    sim.depth(1499, 18, [(99, 5)], [(101, 2), (102, 2)])
    sim.depth(1500, 19, [(99, 5)], [(111, 2), (112, 2)])  # it arrives before this is applied
    assert shown(sim) == [(2, 101, "BOOK_WALK"), (1, 102, "BOOK_WALK")]
    f = sim.table("fills")[0]
    assert (f["cause_kind"], f["cause_id"], f["cause_ts_ns"]) == (Kind.DEPTH, 18, 1499)
    assert (f["ts_ns"], f["liquidity"], f["queue_ahead"]) == (1500, Liquidity.TAKER, 0)


def test_an_order_fills_at_its_own_time_not_at_that_of_the_event_that_shows_it():
    sim = Sim(order_latency_ns=500)
    sim.depth(1000, 1, [(99, 5)], [(100, 2)])
    sim.order(1000, BUY, 1)
    sim.trade(9000, 2, 100, 1, BUY)
    assert sim.table("fills")[0]["ts_ns"] == 1500


def test_a_stale_book_is_not_traded_on_and_the_quote_takes_its_place_with_slippage():
    sim = Sim(stale_ns=SECOND, slippage=2)
    sim.depth(1000, 1, [(99, 5)], [(100, 2)])
    sim.quote(3 * SECOND, 2, 104, 1, 105, 1)
    sim.order(3 * SECOND, BUY, 50)
    sim.clock(3 * SECOND)
    assert shown(sim) == [(50, 107, "QUOTE_TOUCH")]


def test_without_book_and_quote_the_last_price_half_the_spread_and_slippage():
    sim = Sim(half_spread=3, slippage=2)
    sim.trade(1000, 9, 500, 1, BUY)
    sim.order(1000, SELL, 5)
    sim.clock(1000)
    assert shown(sim) == [(5, 495, "LAST_PRICE")]
    f = sim.table("fills")[0]
    assert (f["cause_kind"], f["cause_id"]) == (Kind.TRADE, 9)


def test_a_last_price_that_is_too_old_is_no_price():
    sim = Sim(price_stale_ns=SECOND)
    sim.trade(1000, 9, 500, 1, BUY)
    sim.order(5 * SECOND, SELL, 5)
    sim.clock(5 * SECOND)
    assert ended(sim) == ("REJECTED", "NO_PRICE")


def test_a_newer_quote_bounds_the_book_from_the_unfavourable_side_only():
    sim = Sim()
    sim.depth(1000, 1, [(99, 5)], [(100, 2), (104, 9)])
    sim.quote(1001, 2, 101, 1, 102, 1)
    sim.order(1001, BUY, 3)
    sim.clock(1001)
    assert shown(sim) == [(2, 102, "BOOK_WALK"), (1, 104, "BOOK_WALK")]
    sim.order(1001, SELL, 1)
    sim.clock(1001)
    assert shown(sim)[2:] == [(1, 99, "BOOK_WALK")]


def test_a_crossed_book_or_quote_is_counted_and_not_used():
    sim = Sim()
    sim.depth(1000, 1, [(101, 5)], [(101, 5)])
    sim.quote(1000, 1, 102, 5, 101, 5)
    sim.order(1000, BUY, 1)
    sim.clock(1000)
    assert ended(sim) == ("REJECTED", "NO_PRICE")
    assert sim.violations[V_CROSSED] == 2


def test_a_snapshot_deeper_than_the_schema_is_cut_and_counted():
    sim = Sim()
    sim.depth(1000, 1, [(99 - k, 1) for k in range(30)], [(100 + k, 1) for k in range(30)])
    sim.order(1000, BUY, 30)
    sim.clock(1000)
    assert sim.violations[V_LEVELS] == 1
    assert sim.table("orders")[0]["filled_qty"] == 25


# --- limit orders ----------------------------------------------------------------------------


def test_a_marketable_limit_takes_what_is_not_worse_and_rests_with_the_rest():
    sim = Sim()
    sim.depth(1000, 1, [(99, 5)], [(100, 2), (101, 2), (102, 2)])
    sim.order(1000, BUY, 6, 101)
    sim.clock(1000)
    assert shown(sim) == [(2, 100, "BOOK_WALK"), (2, 101, "BOOK_WALK")]
    sim.depth(1100, 2, [(99, 5)], [(100, 1), (102, 2)])
    assert shown(sim)[2:] == [(1, 101, "BOOK_CROSS")]
    sim.trade(1200, 3, 101, 1, SELL)
    assert shown(sim)[3:] == [(1, 101, "QUEUE")]
    assert ended(sim) == ("FILLED", "NONE")


def test_post_only_is_refused_where_it_would_take_and_rests_elsewhere():
    sim = Sim()
    sim.depth(1000, 1, [(99, 5)], [(100, 2)])
    sim.order(1000, BUY, 1, 100, tif=POST_ONLY)
    sim.order(1000, BUY, 1, 99, tif=POST_ONLY)
    sim.clock(1000)
    assert ended(sim) == ("REJECTED", "WOULD_TAKE")
    assert int(sim.s.open_orders) == 1


def test_immediate_or_cancel_takes_and_ends():
    sim = Sim()
    sim.depth(1000, 1, [(99, 5)], [(100, 2)])
    sim.order(1000, BUY, 3, 100, tif=IOC)
    sim.order(1000, BUY, 3, 98, tif=IOC)
    sim.clock(1000)
    assert shown(sim) == [(2, 100, "BOOK_WALK")]
    assert ended(sim, 0) == ended(sim, 1) == ("CANCELLED", "NO_LIQUIDITY")


def test_a_limit_on_a_quote_never_pays_more_than_its_price():
    sim = Sim(slippage=5)
    sim.quote(1000, 1, 99, 1, 100, 1)
    sim.order(1000, BUY, 3, 102)
    sim.clock(1000)
    assert shown(sim) == [(3, 102, "QUOTE_TOUCH")]


def test_an_event_older_than_the_order_does_not_fill_it():
    sim = Sim(order_latency_ns=100)
    sim.depth(1000, 1, [(99, 0)], [(101, 5)])
    sim.order(1000, BUY, 1, 99)
    sim.clock(1200)
    sim.trade(1099, 2, 90, 5, SELL)
    sim.depth(1099, 3, [(80, 0)], [(81, 5)])
    assert shown(sim) == []
    sim.trade(1100, 4, 90, 5, SELL)
    assert shown(sim) == [(1, 99, "TRADE_THROUGH")]
    assert sim.table("fills")[0]["ts_ns"] == 1200  # the clock does not go back


def test_a_cancel_travels_and_what_fills_before_it_arrives_is_filled():
    sim = Sim(order_latency_ns=100)
    sim.depth(1000, 1, [(99, 0)], [(101, 5)])
    order = sim.order(1000, BUY, 5, 99)
    assert sim.cancel(1150, order) == 1
    assert sim.cancel(1160, order) == 0
    sim.trade(1249, 2, 99, 2, SELL)
    sim.trade(1250, 3, 98, 9, SELL)
    assert shown(sim) == [(2, 99, "QUEUE")]
    assert ended(sim) == ("CANCELLED", "BY_STRATEGY")
    assert sim.table("orders")[0]["done_ns"] == 1250
    assert sim.cancel(1300, order) == 1  # that it has ended is not known yet
    assert sim.cancel(1300, 99) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"qty": 0}, "BAD_QTY"), ({"qty": -3}, "BAD_QTY"), ({"qty": 5}, "BAD_QTY"),
        ({"qty": 2}, "BAD_QTY"), ({"qty": 2000}, "BAD_QTY"), ({"price": 101}, "BAD_PRICE"),
        ({"stop": 103}, "BAD_PRICE"), ({"stop": 104}, "BAD_PRICE"), ({"target": 98}, "BAD_PRICE"),
        ({"price": -2}, "BAD_PRICE"), ({"tif": 3}, "BAD_ORDER"), ({"side": 0}, "BAD_ORDER"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_it_leaves(change, reason):
    sim = Sim(qty_step=2, qty_min=4, qty_max=1000, price_step=2)
    asked = {"side": BUY, "qty": 4, "price": 100, **change}
    assert sim.order(1000, asked.pop("side"), asked.pop("qty"), asked.pop("price"), **asked) == 0
    assert ended(sim) == ("REJECTED", reason)
    assert int(sim.s.open_orders) == 0
    assert sim.order(1000, BUY, 4, 100, stop=98, target=102) == 2


def test_a_kind_that_only_the_broker_sends_is_refused():
    sim = Sim()
    assert sim.submit(1000, 1, int(OrderType.STOP), BUY, 1, 100, 0, 0, 0, 0, 0) == 0
    assert ended(sim) == ("REJECTED", "BAD_ORDER")


def test_slots_and_requests_are_bounded_and_refuse_by_name():
    sim = Sim(order_latency_ns=100)
    ids = [sim.order(1000, BUY, 1, 10) for _ in range(33)]
    assert ids[31:] == [32, 0]
    assert ended(sim) == ("REJECTED", "NO_SLOT")
    assert [sim.cancel(1000, k) for k in ids[:32]] == [1] * 32
    assert sim.cancel(1000, 33) == 0
    assert sim.violations[V_REQUESTS] == 1
    sim.clock(1100)
    assert int(sim.s.open_orders) == 0
    assert sim.order(2000, BUY, 1, 10) == 34


# --- stops and targets -----------------------------------------------------------------------


def test_a_stop_fires_on_a_trade_at_its_price_and_fills_no_better_than_that_trade():
    sim = long(stop=98)
    sim.trade(2000, 7, 98, 1, BUY)
    assert shown(sim)[1:] == [(4, 98, "STOP_TRADE")]  # the book still shows 100
    o = sim.table("orders")[-1]
    assert (o["type"], o["price"], o["decision_id"]) == (OrderType.STOP, 98, 0)
    f = sim.table("fills")[-1]
    assert (f["latency_ns"], f["cause_id"], f["liquidity"]) == (0, 7, Liquidity.TAKER)
    assert sim.table("positions")[0]["exit_reason"] == ExitReason.STOP


def test_a_stop_fires_on_the_touch_and_walks_the_book_through_a_gap():
    sim = long(stop=98)
    sim.depth(2000, 2, [(95, 3), (90, 9)], [(99, 5)])
    assert shown(sim)[1:] == [(3, 95, "STOP_BOOK"), (1, 90, "STOP_BOOK")]


def test_a_short_looks_at_the_ask():
    sim = Sim()
    sim.quote(1000, 1, 100, 5, 101, 5)
    sim.order(1000, SELL, 4, stop=103, target=98)
    sim.quote(2000, 2, 98, 5, 102, 5)
    assert len(shown(sim)) == 1
    sim.quote(2001, 3, 98, 5, 103, 5)
    assert shown(sim)[1:] == [(4, 103, "STOP_BOOK")]


def test_what_the_book_cannot_serve_of_a_stop_stays_triggered():
    sim = long(stop=98, qty=10)
    sim.depth(2000, 2, [(97, 3)], [(99, 5)])
    assert shown(sim)[1:] == [(3, 97, "STOP_BOOK")]
    assert ended(sim) == ("CANCELLED", "NO_LIQUIDITY")
    sim.trade(2050, 3, 105, 1, BUY)  # nothing left in the snapshot: no row, still triggered
    sim.depth(2100, 4, [(103, 50)], [(104, 5)])
    assert shown(sim)[2:] == [(7, 103, "STOP_BOOK")]
    assert int(sim.s.net_qty) == 0


def test_a_target_needs_a_trade_beyond_it_and_fills_at_its_price():
    sim = long(target=105)
    sim.trade(2000, 2, 105, 99, BUY)
    assert len(shown(sim)) == 1
    sim.trade(2001, 3, 109, 1, BUY)
    assert shown(sim)[1:] == [(4, 105, "TARGET_TRADE")]
    assert sim.table("fills")[-1]["liquidity"] == Liquidity.MAKER


def test_a_target_is_served_by_the_touch_with_what_it_shows():
    sim = long(target=105)
    sim.depth(2000, 2, [(106, 1), (105, 2), (104, 50)], [(107, 5)])
    assert shown(sim)[1:] == [(3, 105, "TARGET_BOOK")]
    sim.depth(2001, 3, [(105, 50)], [(107, 5)])
    assert shown(sim)[2:] == [(1, 105, "TARGET_BOOK")]
    assert sim.table("positions")[0]["exit_reason"] == ExitReason.TARGET


def test_stop_and_target_shrink_with_their_position_and_go_with_it():
    sim = long(stop=98, target=105)
    sim.order(1000, SELL, 3)
    sim.trade(2000, 2, 97, 1, SELL)
    assert [(q, p) for q, p, _ in shown(sim)] == [(4, 101), (3, 100), (1, 97)]
    sim.trade(2001, 3, 120, 1, SELL)
    assert len(shown(sim)) == 3


def test_a_moved_stop_travels_and_cannot_pass_the_target():
    sim = long(stop=90, target=105, order_latency_ns=100)
    sim.clock(1100)
    assert sim.move_stop(2000, 1, 99) == 1
    sim.trade(2099, 2, 98, 1, SELL)
    assert len(shown(sim)) == 1
    sim.trade(2100, 3, 99, 1, SELL)
    assert shown(sim)[1:] == [(4, 99, "STOP_TRADE")]
    assert sim.move_stop(2200, 7, 99) == 0
    sim = long(stop=90, target=105)
    assert sim.move_stop(2000, 1, 105) == 1  # refused on arrival: beyond the target
    sim.trade(2001, 2, 104, 1, SELL)
    assert len(shown(sim)) == 1


def test_an_entry_and_its_stop_may_fall_to_one_trade():
    sim = Sim()
    sim.depth(1000, 1, [(100, 5)], [(101, 5)])
    sim.order(1000, BUY, 2, 99, stop=97)
    sim.trade(2000, 2, 95, 1, SELL)
    assert shown(sim) == [(2, 99, "TRADE_THROUGH"), (2, 95, "STOP_TRADE")]


# --- bars ------------------------------------------------------------------------------------


def in_bars(stop: int = 0, target: int = 0, **params: int) -> Sim:
    """A long of 4 at 100 (a limit order that a bar filled), known only by bars of one second."""
    sim = Sim(**params)
    sim.bar(SECOND, 1, 0, 101, 102, 100, 101)
    sim.order(SECOND, BUY, 4, 100, stop=stop, target=target)
    sim.clock(SECOND)
    sim.bar(2 * SECOND, 2, SECOND, 101, 102, 99, 101)
    return sim


def test_a_limit_needs_a_bar_beyond_its_price():
    sim = in_bars()
    assert shown(sim) == [(4, 100, "LIMIT_BAR")]
    sim = Sim()
    sim.bar(SECOND, 1, 0, 101, 102, 100, 101)
    sim.order(SECOND, BUY, 4, 100)
    sim.bar(2 * SECOND, 2, SECOND, 101, 102, 100, 101)
    assert shown(sim) == []


def test_when_a_bar_touches_both_the_stop_comes_first():
    sim = in_bars(stop=95, target=110)
    sim.bar(3 * SECOND, 3, 2 * SECOND, 101, 120, 90, 118)
    assert shown(sim)[1:] == [(4, 95, "STOP_BAR")]
    assert sim.table("positions")[0]["exit_reason"] == ExitReason.STOP


def test_a_bar_that_opens_beyond_the_stop_fills_at_the_open_less_costs():
    sim = in_bars(stop=95, half_spread=1, slippage=1)
    sim.bar(3 * SECOND, 3, 2 * SECOND, 92, 96, 90, 95)
    assert shown(sim)[1:] == [(4, 90, "STOP_BAR")]


def test_a_bar_beyond_the_target_fills_at_the_target():
    sim = in_bars(stop=95, target=110)
    sim.bar(3 * SECOND, 3, 2 * SECOND, 101, 110, 100, 101)
    assert len(shown(sim)) == 1
    sim.bar(4 * SECOND, 4, 3 * SECOND, 115, 116, 100, 101)
    assert shown(sim)[1:] == [(4, 110, "TARGET_BAR")]


def test_the_bar_of_the_entry_counts_its_range_for_the_stop_and_its_close_for_the_target():
    sim = Sim()
    sim.bar(SECOND, 1, 0, 101, 102, 100, 101)
    sim.order(SECOND + 1, BUY, 4, stop=90, target=110)
    sim.bar(2 * SECOND, 2, SECOND, 101, 130, 95, 105)
    assert shown(sim) == [(4, 101, "LAST_PRICE")]
    sim.order(2 * SECOND + 1, BUY, 4, stop=96, target=120)
    sim.bar(3 * SECOND, 3, 2 * SECOND, 105, 130, 95, 125)
    assert shown(sim)[2:] == [(8, 96, "STOP_BAR")]


def test_bars_are_silent_where_finer_data_were_seen():
    sim = in_bars(stop=95)
    sim.trade(2 * SECOND + 5, 3, 101, 1, BUY)
    sim.bar(3 * SECOND, 4, 2 * SECOND, 101, 120, 90, 118)
    assert len(shown(sim)) == 1
    assert int(sim.s.last_price) == 101
    sim.bar(4 * SECOND, 5, 3 * SECOND, 101, 120, 90, 118)
    assert len(shown(sim)) == 2


# --- rows at the end -------------------------------------------------------------------------


def test_what_is_open_at_the_end_is_written_as_it_stands():
    sim = long(stop=90)
    sim.order(1000, BUY, 5, 99)
    sim.clock(1000)
    sim.order(1000, BUY, 5, 98)
    before = sim.state.tobytes()
    sim.finish()
    assert sim.state.tobytes() == before
    assert [ended(sim, k)[0] for k in range(3)] == ["FILLED", "WORKING", "PENDING"]
    (w,) = sim.table("positions")
    assert (w["exit_reason"], w["closed_ns"], w["exit_order_id"], w["entry_qty"]) == (0, 0, 0, 4)
