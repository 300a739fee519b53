"""Queue position: the formulas by hand, their bounds on random input, and a walk through fills."""

from __future__ import annotations

from fractions import Fraction
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from data.events import FP9, FillReason, OrderState
from engine.kernel.matching_state import QUEUE_LOG, QUEUE_POWER, QUEUE_RATIO, QUEUE_RISK_AVERSE
from engine.kernel.queue_position import chance_behind, front_after
from tests.engine.kernel import matching_oracle
from tests.engine.kernel.matching_driver import Sim

MODELS = (QUEUE_RISK_AVERSE, QUEUE_POWER, QUEUE_LOG, QUEUE_RATIO)
BUY, SELL = 1, -1


@njit
def chance(model, n, front, back):
    return chance_behind(model, n, front, back)


@njit
def front_next(model, n, front, before, traded, total):
    return front_after(model, n, front, before, traded, total)


def test_power_is_the_back_to_the_n_over_both():
    assert chance(QUEUE_POWER, 1, 30, 10) == FP9 // 4
    assert chance(QUEUE_POWER, 3, 30, 10) == round(FP9 / 28)


def test_log_is_the_share_of_the_logarithms():
    assert chance(QUEUE_LOG, 1, 30, 10) == round(FP9 * log(11) / (log(11) + log(31)))


def test_ratio_is_one_less_the_front_share_to_the_n():
    assert chance(QUEUE_RATIO, 2, 30, 10) == round(FP9 * (1 - Fraction(3, 4) ** 2))


@pytest.mark.parametrize("model", MODELS[1:])
def test_nobody_ahead_means_behind_and_nobody_behind_means_ahead(model):
    assert chance(model, 2, 0, 10) == FP9
    assert chance(model, 2, 10, 0) == 0


def test_risk_averse_moves_only_when_the_level_shrinks_below_the_front():
    assert front_next(QUEUE_RISK_AVERSE, 1, 60, 100, 0, 80) == 60
    assert front_next(QUEUE_RISK_AVERSE, 1, 60, 100, 0, 45) == 45


def test_power_shares_a_cancellation_between_ahead_and_behind():
    # 60 ahead, 40 behind, 20 gone: p = 0.4, so 12 went ahead of us
    assert front_next(QUEUE_POWER, 1, 60, 100, 0, 80) == 48


def test_what_traded_is_not_a_cancellation():
    # 10 traded and the level fell by 10: nobody cancelled
    assert front_next(QUEUE_POWER, 1, 50, 100, 10, 90) == 50


def test_more_than_the_back_must_have_gone_ahead():
    # 4 behind, 50 gone: at most 4 of them can have been behind
    assert front_next(QUEUE_LOG, 1, 96, 100, 0, 50) <= 50


def test_an_increase_joins_behind_us():
    assert front_next(QUEUE_POWER, 2, 50, 100, 0, 150) == 50


quantity = st.integers(0, 10**6) | st.integers(10**15, 10**17)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(MODELS), st.integers(1, 8), quantity, quantity, quantity, quantity,
)  # fmt: skip
def test_front_is_bounded_exact_and_never_grows(model, n, front, before, traded, total):
    got = front_next(model, n, front, before, traded, total)
    assert 0 <= got <= min(front, total)
    exact = model != QUEUE_LOG and max(front, before) < 10**7
    if exact:
        assert got == matching_oracle.front_after(int(model), n, front, before, traded, total)


def resting(qty: int, front: int, **params: int) -> Sim:
    sim = Sim(**params)
    sim.depth(1000, 1, [(100, front), (99, 5)], [(101, 5)])
    sim.order(1000, BUY, qty, 100)
    return sim


def test_a_trade_at_the_price_serves_the_queue_then_fills_with_the_rest():
    sim = resting(qty=10, front=7)
    sim.trade(2000, 2, 100, 5, SELL)
    assert sim.rows["fills"] == []
    sim.trade(2001, 3, 100, 5, SELL)
    (fill,) = sim.table("fills")
    assert (fill["qty"], fill["price"], fill["queue_ahead"]) == (3, 100, 2)
    assert (fill["reason"], fill["cause_id"]) == (FillReason.QUEUE, 3)
    sim.trade(2002, 4, 100, 100, SELL)
    assert [f["qty"] for f in sim.table("fills")] == [3, 7]
    assert sim.table("orders")[0]["state"] == OrderState.FILLED


@pytest.mark.parametrize("side", [BUY, 0])
def test_a_trade_of_the_own_or_an_unknown_side_serves_nobody(side):
    sim = resting(qty=10, front=0)
    sim.trade(2000, 2, 100, 50, side)
    assert sim.rows["fills"] == []


def test_a_trade_beyond_the_price_fills_all_whatever_stood_ahead():
    sim = resting(qty=10, front=700)
    sim.trade(2000, 2, 99, 1, SELL)
    (fill,) = sim.table("fills")
    assert (fill["qty"], fill["price"], fill["queue_ahead"]) == (10, 100, 700)
    assert fill["reason"] == FillReason.TRADE_THROUGH


def test_two_orders_at_one_price_share_one_trade_older_first():
    sim = Sim()
    sim.depth(1000, 1, [(100, 4)], [(101, 5)])
    sim.order(1000, BUY, 3, 100)
    sim.order(1000, BUY, 3, 100)
    sim.trade(2000, 2, 100, 9, SELL)
    assert [(f["order_id"], f["qty"]) for f in sim.table("fills")] == [(1, 3), (2, 2)]
    sim.trade(2001, 3, 100, 9, SELL)
    assert [(f["order_id"], f["qty"]) for f in sim.table("fills")] == [(1, 3), (2, 2), (2, 1)]


def test_a_trade_that_the_snapshot_contains_is_not_served_twice():
    sim = resting(qty=1, front=10)
    sim.depth(3000, 2, [(100, 4)], [(101, 5)])
    sim.trade(2500, 3, 100, 6, SELL)
    assert int(sim.s.orders[0].front) == 4
    sim.trade(3001, 4, 100, 5, SELL)
    assert len(sim.rows["fills"]) == 1


def test_a_trade_of_the_same_instant_as_the_snapshot_is_contained_in_it():
    sim = resting(qty=1, front=10)
    sim.depth(3000, 2, [(100, 4)], [(101, 5)])
    sim.trade(3000, 3, 100, 9, SELL)
    assert sim.rows["fills"] == []
    sim.trade(3001, 4, 100, 5, SELL)
    assert len(sim.rows["fills"]) == 1


def test_an_invisible_level_has_no_queue_until_it_is_seen():
    sim = Sim()
    sim.depth(1000, 1, [(100, 4), (99, 4)], [(101, 5)])
    sim.order(1000, BUY, 2, 97)
    sim.trade(2000, 2, 97, 1000, SELL)
    assert sim.rows["fills"] == []
    sim.depth(3000, 3, [(98, 4), (97, 6)], [(101, 5)])
    sim.trade(3001, 4, 97, 7, SELL)
    assert [(f["qty"], f["queue_ahead"]) for f in sim.table("fills")] == [(1, 6)]


def test_a_price_inside_the_spread_is_first_in_its_queue():
    sim = Sim()
    sim.depth(1000, 1, [(100, 4)], [(105, 5)])
    sim.order(1000, BUY, 2, 102)
    sim.trade(2000, 2, 102, 1, SELL)
    assert [(f["qty"], f["queue_ahead"]) for f in sim.table("fills")] == [(1, 0)]


def test_a_quote_shows_the_queue_where_there_is_no_book():
    sim = Sim()
    sim.quote(1000, 1, 100, 6, 101, 5)
    sim.order(1000, BUY, 2, 100)
    sim.trade(2000, 2, 100, 7, SELL)
    assert [(f["qty"], f["queue_ahead"]) for f in sim.table("fills")] == [(1, 6)]
