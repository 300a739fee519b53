"""Money and positions by hand: costs, margins, netting and hedging, and what does not fit."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from data.events import ExitReason, OrderReason, OrderState
from engine.kernel.account import money_fits, portion, share_ppb
from engine.kernel.matching_state import V_OVERFLOW
from tests.engine.kernel.matching_driver import Sim, one
from tests.engine.kernel.matching_oracle_account import half_away

BUY, SELL = 1, -1


@njit
def part(total, qty, whole, side):
    return portion(total, qty, whole, side)


@njit
def share(amount, ppb):
    return share_ppb(amount, ppb)


@njit
def fits(p, price, qty):
    return money_fits(p, price, qty)


def test_a_portion_of_a_whole_near_the_edge_is_exact():
    total, qty, whole = 3_697_885_346_976_505, 5_387_385, 4_611_536_945_112_821_698
    assert part(total, qty, whole, BUY) == ceil(Fraction(total * qty, whole)) == 4321
    whole = 2**63 - 1
    assert part(whole - 1, whole - 1, whole, SELL) == floor(Fraction((whole - 1) ** 2, whole))


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**61), st.integers(1, 2**62), st.data(), st.sampled_from([BUY, SELL]))
def test_a_portion_is_exact_whatever_the_size(total, whole, data, side):
    qty = data.draw(st.integers(0, whole))
    exact = Fraction(total * qty, whole)
    assert part(total, qty, whole, side) == (ceil(exact) if side > 0 else floor(exact))


@given(st.integers(0, 2**62), st.integers(-(10**9), 10**9))
@settings(max_examples=500, deadline=None)
def test_a_share_is_exact_and_rounds_half_away(amount, ppb):
    assert share(amount, ppb) == half_away(Fraction(amount * ppb, 10**9))


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**63 - 1), st.sampled_from([1, 10**4, 10**8]))
@settings(max_examples=500, deadline=None)
def test_what_fits_is_far_from_the_edge_and_what_could_wrap_never_fits(price, qty, mul):
    _, p = one(Sim().params.dtype)
    p.mul, p.fee_unit = mul, 1000
    if fits(p, price, qty):
        assert 2 * price * qty * mul < 2**63
        assert qty * 1000 < 2**63
    assert not fits(p, price, qty) or price * qty * mul < 2**62


def market(**params: int) -> Sim:
    """A book with 100 / 101 and plenty behind it."""
    sim = Sim(**params)
    sim.depth(1000, 1, [(100, 1000)], [(101, 1000)])
    return sim


def go(sim: Sim, *orders: tuple[int, int]) -> None:
    """Send market orders (side, qty), one after the other."""
    for side, qty in orders:
        now = max(1000, int(sim.s.now_ns))
        sim.order(now, side, qty)
        sim.clock(now)


def test_the_average_cost_is_kept_exactly_and_closes_to_nothing():
    sim = Sim(mul=1)
    sim.depth(1000, 1, [(99, 50)], [(100, 1), (101, 2)])
    sim.order(1000, BUY, 3)  # cost 302 for 3
    sim.clock(1000)
    assert int(sim.s.known_entry_price) == 101
    for k in range(3):
        sim.depth(1100 + k, 2, [(105, 1)], [(106, 5)])
        sim.order(1100 + k, SELL, 1)
        sim.clock(1100 + k)
    assert [f["pnl"] for f in sim.table("fills")][2:] == [4, 4, 5]
    (w,) = sim.table("positions")
    assert (w["gross_pnl"], w["exit_qty"], w["net_pnl"]) == (3 * 105 - 302, 3, 13)


def test_an_opposite_order_reduces_then_opens_the_other_side_as_a_new_position():
    sim = market(taker_ppb=1_000_000, mul=1000)
    go(sim, (BUY, 10), (SELL, 4), (SELL, 10))
    fills = sim.table("fills")
    assert [(f["position_id"], f["side"], f["qty"]) for f in fills] == [
        (1, BUY, 10), (1, SELL, 4), (1, SELL, 6), (2, SELL, 4),
    ]  # fmt: skip
    (closed,) = sim.table("positions")
    assert (closed["id"], closed["qty"], closed["exit_qty"]) == (1, 10, 10)
    assert closed["exit_reason"] == ExitReason.REVERSE
    assert closed["gross_pnl"] == -10 * 1000
    assert closed["fees"] == 10 * 101 + 10 * 100
    assert (int(sim.s.known_qty), int(sim.s.known_position_id)) == (-4, 2)


def test_an_order_that_only_closes_says_so():
    sim = market()
    go(sim, (BUY, 10), (SELL, 10))
    assert sim.table("positions")[0]["exit_reason"] == ExitReason.STRATEGY
    sim.order(1000, BUY, 5)
    sim.order(1000, SELL, 5, exit_reason=int(ExitReason.FLIP))
    sim.clock(1000)
    assert sim.table("positions")[1]["exit_reason"] == ExitReason.FLIP
    assert int(sim.s.last_exit_reason) == ExitReason.FLIP


def test_in_a_hedging_account_every_entry_is_a_position_and_reducers_close_the_oldest():
    sim = market(hedging=1)
    go(sim, (BUY, 3), (BUY, 4), (SELL, 2))
    assert int(sim.s.net_qty) == 5
    sim.order(1000, SELL, 5, reduce_only=1)
    sim.clock(1000)
    assert [(f["position_id"], f["qty"]) for f in sim.table("fills")][3:] == [(1, 3), (2, 2)]
    assert [w["id"] for w in sim.table("positions")] == [1]
    sim.finish()
    left = [(w["id"], w["side"], w["entry_qty"] - w["exit_qty"]) for w in sim.table("positions")]
    assert left[1:] == [(2, BUY, 2), (3, SELL, 2)]


def test_a_reducer_never_opens_and_ends_when_nothing_is_left_to_reduce():
    sim = market()
    sim.order(1000, SELL, 5, reduce_only=1)
    go(sim, (BUY, 3))
    sim.order(1000, SELL, 5, reduce_only=1)
    sim.clock(1000)
    first, _, last = sim.table("orders")
    assert (first["state"], first["reason"]) == (OrderState.REJECTED, OrderReason.NOTHING_TO_REDUCE)
    assert (last["state"], last["reason"]) == (OrderState.CANCELLED, OrderReason.NOTHING_TO_REDUCE)
    assert last["filled_qty"] == 3
    assert int(sim.s.net_qty) == 0


def test_a_resting_reducer_goes_with_its_position():
    sim = market()
    go(sim, (BUY, 3))
    sim.order(1000, SELL, 3, 105, reduce_only=1)
    go(sim, (SELL, 3))
    last = sim.table("orders")[-1]
    assert (last["state"], last["reason"]) == (OrderState.CANCELLED, OrderReason.POSITION_CLOSED)


def test_commission_is_a_share_of_notional_and_a_fee_per_unit_and_a_rebate_pays():
    sim = market(taker_ppb=400_000, maker_ppb=-100_000, fee_unit=7, qty_unit=10, mul=1000)
    go(sim, (BUY, 25))
    assert sim.table("fills")[0]["fee"] == round(25 * 101 * 1000 * 0.0004) + half_away(
        Fraction(25 * 7, 10)
    )
    sim = market(maker_ppb=-100_000, mul=1000)
    sim.order(1000, BUY, 25, 100)
    sim.trade(2000, 2, 99, 1, SELL)
    assert sim.table("fills")[0]["fee"] == -250
    assert int(sim.s.balance) == 10**12 + 250


def test_margin_is_taken_at_entry_given_back_at_exit_and_refuses_what_it_cannot_bear():
    sim = market(margin_ppb=100_000_000, start_balance=10_000, mul=1)
    go(sim, (BUY, 900))
    assert int(sim.s.margin) == 9090
    go(sim, (BUY, 90))
    last = sim.table("orders")[-1]
    assert (last["state"], last["reason"]) == (OrderState.REJECTED, OrderReason.MARGIN)
    go(sim, (SELL, 900))
    assert int(sim.s.margin) == 0
    assert int(sim.s.net_qty) == 0


def test_margin_is_asked_again_when_a_resting_order_would_fill():
    sim = market(margin_ppb=100_000_000, start_balance=10_000, mul=1)
    sim.order(1000, BUY, 600, 99)
    sim.order(1000, BUY, 600, 98)
    sim.trade(2000, 2, 90, 1, SELL)
    assert [(o["state"], o["reason"]) for o in sim.table("orders")] == [
        (OrderState.FILLED, OrderReason.NONE), (OrderState.CANCELLED, OrderReason.MARGIN),
    ]  # fmt: skip


def test_a_reversing_order_needs_margin_only_for_what_it_opens_beyond():
    sim = Sim(margin_ppb=100_000_000, start_balance=10_000, mul=1)
    sim.depth(1000, 1, [(100, 9000)], [(101, 9000)])
    go(sim, (BUY, 900), (SELL, 1800))
    assert (int(sim.s.net_qty), int(sim.s.margin)) == (-900, 9000)
    go(sim, (BUY, 2000))  # it would open 1100
    assert sim.table("orders")[-1]["reason"] == OrderReason.MARGIN
    assert int(sim.s.net_qty) == -900


def test_a_closing_order_is_never_refused_for_margin():
    sim = market(margin_ppb=100_000_000, start_balance=9_100, mul=1)
    go(sim, (BUY, 900))
    sim.depth(1001, 2, [(91, 1000)], [(92, 1000)])  # equity is far below the margin
    go(sim, (SELL, 900))
    assert int(sim.s.net_qty) == 0


def test_the_stop_out_closes_everything_and_ends_resting_orders():
    sim = market(margin_ppb=100_000_000, stop_out_ppb=500_000_000, start_balance=10_000, mul=1)
    go(sim, (BUY, 800))
    sim.order(1000, BUY, 5, 90)
    sim.depth(1100, 2, [(97, 1000)], [(98, 1000)])
    sim.boundary(1200)
    assert int(sim.s.net_qty) == 800
    sim.depth(1300, 3, [(93, 1000)], [(94, 1000)])  # equity 3600 < 4040
    sim.boundary(1400)
    assert (int(sim.s.net_qty), int(sim.s.known_qty), int(sim.s.open_orders)) == (0, 0, 0)
    (w,) = sim.table("positions")
    assert (w["exit_reason"], w["gross_pnl"]) == (ExitReason.STOP_OUT, -6400)
    _, resting, closing = sim.table("orders")
    assert (resting["state"], closing["state"]) == (OrderState.CANCELLED, OrderState.FILLED)
    assert resting["reason"] == closing["reason"] == OrderReason.STOP_OUT


def test_equity_is_sampled_on_whole_minutes_and_after_each_closed_position():
    minute = 60 * 10**9
    sim = market(stale_ns=10**12)
    sim.boundary(minute)
    sim.order(minute, BUY, 10)
    sim.boundary(minute + 5 * 10**9)
    sim.depth(minute + 6 * 10**9, 2, [(97, 1000)], [(98, 1000)])
    sim.boundary(2 * minute)
    sim.order(2 * minute, SELL, 10)
    sim.boundary(2 * minute + 1)
    rows = sim.table("equity")
    assert [r["ts_ns"] for r in rows] == [minute, 2 * minute, 2 * minute]
    assert [r["equity"] - 10**12 for r in rows] == [0, -40 * 10_000, -40 * 10_000]
    assert [r["position"] for r in rows] == [0, 10, 0]
    assert [r["drawdown"] for r in rows] == [0, 400_000, 400_000]


def test_a_product_that_could_leave_int64_is_refused_by_name():
    sim = market()
    huge = 2**61
    assert sim.order(1000, BUY, huge) == 0
    assert sim.order(1000, BUY, 10**13, 10**9) == 0
    rows = sim.table("orders")
    assert [o["reason"] for o in rows] == [OrderReason.BAD_QTY, OrderReason.OVERFLOW]
    assert [o["state"] for o in rows] == [OrderState.REJECTED] * 2
    sim = market(qty_max=2**62)
    sim.order(1000, BUY, huge)
    assert sim.table("orders")[0]["reason"] == OrderReason.OVERFLOW


def test_a_price_that_runs_away_is_refused_at_the_fill_and_counted():
    sim = Sim()
    sim.depth(1000, 1, [(100, 10**13)], [(101, 10**13)])
    go(sim, (BUY, 10**12))
    sim.order(1000, SELL, 10**12)
    sim.depth(1000, 2, [(10_000, 10**13)], [(10_001, 10**13)])
    assert int(sim.s.net_qty) == 0  # it arrived before the jump
    go(sim, (SELL, 10**10))
    sim.depth(60 * 10**9, 3, [(10**9, 10**13)], [(10**9 + 1, 10**13)])
    sim.boundary(60 * 10**9)
    before = int(sim.s.balance)
    assert sim.order(60 * 10**9, BUY, 10**10) == 0
    assert sim.table("orders")[-1]["reason"] == OrderReason.OVERFLOW
    assert sim.violations[V_OVERFLOW] > 0  # the open result could not be valued
    assert int(sim.s.balance) == before


def test_a_stop_that_cannot_be_counted_stays_and_is_counted():
    sim = Sim()
    sim.depth(1000, 1, [(100, 10**13)], [(101, 10**13)])
    sim.order(1000, SELL, 10**12, stop=200)
    sim.clock(1000)
    sim.trade(2000, 2, 10**9, 5, BUY)
    assert int(sim.s.net_qty) == -(10**12)
    assert sim.violations[V_OVERFLOW] > 0
    assert sim.table("orders")[-1]["reason"] == OrderReason.OVERFLOW
