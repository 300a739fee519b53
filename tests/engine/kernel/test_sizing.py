"""Sizes and costs in exact integers: against Fractions, at the edge of int64, for either side."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel import sizing
from engine.kernel.book import BOOK_STATE
from engine.kernel.core import CORE_PARAMS
from engine.kernel.numbers import capped_product, capped_sum, product_over, product_over_up
from engine.kernel.risk import RISK_PARAMS

MAX = 2**63 - 1
FP9 = 10**9
MANY = settings(max_examples=300, deadline=None)
long = st.integers(0, 63).flatmap(lambda bits: st.integers(0, (1 << bits) - 1))


@MANY
@given(long, long, long)
def test_products_are_exact_or_capped(a: int, b: int, c: int) -> None:
    c = max(c, 1)
    assert int(product_over(a, b, c)) == min(MAX, a * b // c)
    assert int(product_over_up(a, b, c)) == min(MAX, -(-a * b // c))
    assert int(capped_product(a, b)) == min(MAX, a * b)
    assert int(capped_sum(a, b)) == min(MAX, a + b)


def core(mul: int = 1000, div: int = 1, **more: int) -> np.ndarray:
    c = np.zeros(1, CORE_PARAMS)
    values = {"money_mul": mul, "money_div": div, "qty_step": 1, "qty_min": 1, "qty_unit": 1000}
    for name, value in (values | more).items():
        c[name] = value
    return c


def risk(**values: int) -> np.ndarray:
    p = np.zeros(1, RISK_PARAMS)
    for name, value in values.items():
        p[name] = value
    return p


cores = st.builds(
    core,
    st.sampled_from([1, 10, 1000, 10**6]),
    st.just(1),
    qty_step=st.sampled_from([1, 10, 1000]),
    qty_min=st.sampled_from([1, 10, 500]),
    taker_ppb=st.sampled_from([0, 1, 400_000, 10_000_000]),
    fee_unit=st.sampled_from([0, 0, 1, 250_000_000]),
) | st.builds(core, st.just(1), st.sampled_from([10, 10**4]), taker_ppb=st.just(400_000))
prices = st.integers(1, 10**9)
away = st.integers(1, 10**7) | st.integers(1, 50)
equity = st.integers(-(10**15), 10**18) | st.integers(0, 10**10)


def lost(c: np.ndarray, entry: int, distance: int, qty: int, cost: int) -> Fraction:
    """Money that ``qty`` loses at a stop ``distance`` away, exactly, from the documents."""
    price = Fraction(distance + cost)
    taker = Fraction(int(c["taker_ppb"][0]), FP9)
    price += taker * entry + taker * (entry + distance)
    money = price * qty * Fraction(int(c["money_mul"][0]), int(c["money_div"][0]))
    return money + 2 * Fraction(int(c["fee_unit"][0]) * qty, int(c["qty_unit"][0]))


@MANY
@given(cores, equity, prices, away, st.integers(0, 1000), st.integers(1, FP9), st.integers(0, FP9))
def test_never_risks_more_than_the_budget(
    c: np.ndarray, worth: int, entry: int, distance: int, cost: int, share: int, chance: int
) -> None:
    p = risk(share_fp9=share, kelly_fp9=250_000_000)
    stop, target = entry + distance, max(1, entry - 3 * distance)  # a short: its stop is above
    qty = int(sizing.risk_size(p[0], c[0], worth, entry, stop, target, cost, chance, 0))
    assert qty >= 0
    assert qty % int(c["qty_step"][0]) == 0
    assert qty == 0 or qty >= int(c["qty_min"][0])
    budget = floor(Fraction(max(worth, 0)) * share / FP9)
    exact = lost(c, entry, distance, qty, cost)
    told = int(sizing.risk_money(c[0], entry, stop, qty, cost))
    assert exact <= told <= budget or qty == 0
    if chance == 0 and worth > 0:
        more = max(qty + int(c["qty_step"][0]), int(c["qty_min"][0]))
        assert int(sizing.risk_money(c[0], entry, stop, more, cost)) > budget, "the largest such"


@MANY
@given(cores, equity, prices, away, away, st.integers(0, 500), st.integers(0, 500))
def test_a_farther_stop_and_a_higher_cost_never_give_more(
    c: np.ndarray, worth: int, entry: int, near: int, extra: int, cost: int, more: int
) -> None:
    p = risk(share_fp9=10_000_000)

    def size(distance: int, costs: int, money: int = worth) -> int:
        stop = entry + distance
        return int(sizing.risk_size(p[0], c[0], money, entry, stop, 0, costs, 0, 0))

    assert size(near + extra, cost) <= size(near, cost)
    assert size(near, cost + more) <= size(near, cost)
    assert size(near, cost, worth + extra) >= size(near, cost)


@MANY
@given(cores, equity, prices, away, away, st.integers(0, 500), st.integers(0, FP9))
def test_a_long_and_its_mirrored_short_are_one_size(
    c: np.ndarray, worth: int, entry: int, distance: int, goal: int, cost: int, chance: int
) -> None:
    entry += distance + goal
    p = risk(share_fp9=10_000_000, kelly_fp9=250_000_000, leverage_fp9=10 * FP9)
    sizes = {
        int(sizing.risk_size(p[0], c[0], worth, entry, entry - side * distance,
                             entry + side * goal, cost, chance, 0))
        for side in (1, -1)
    }  # fmt: skip
    assert len(sizes) == 1
    moneys = {int(sizing.risk_money(c[0], entry, entry - s * distance, 77, cost)) for s in (1, -1)}
    assert len(moneys) == 1


@pytest.mark.parametrize("price", [1, 10**9, 2**40])
@pytest.mark.parametrize("qty", [1, 10**12, 2**62])
def test_nothing_wraps_at_the_edge(price: int, qty: int) -> None:
    c = core(10**6, taker_ppb=400_000, fee_unit=10**8)
    exact = ceil(lost(c, price, price, qty, 0))
    told = int(sizing.risk_money(c[0], price, 0, qty, 0))
    assert told == MAX or exact <= told
    assert told < MAX or exact > 2**61
    for bid in (1, price, 2**40):
        have = int(sizing.risk_equity(c[0], 10**12, qty, price, bid, bid))
        want = 10**12 + (bid - price) * qty * 10**6
        assert have == want or abs(have) >= 2**60 - 10**12, "exact, or capped"
        assert (have > 10**12) == (bid > price)
        short = int(sizing.risk_equity(c[0], 10**12, -qty, price, bid, bid))
        assert short - 10**12 == 10**12 - have, "mirrored"
    p = risk(share_fp9=FP9, leverage_fp9=1000 * FP9, notional_max_money=2**62)
    got = int(sizing.risk_size(p[0], c[0], 2**60, price, 2 * price, 0, 0, 0, 0))
    assert lost(c, price, price, got, 0) <= 2**60


def test_equity_is_what_a_close_at_the_touch_would_leave() -> None:
    c = core(1, 10)  # a tenth of 1e-8: gains round down, losses up
    for qty, bid, ask, want in (
        (7, 101, 103, 1000),  # long: 7 * 1 / 10 = .7 is no gain yet
        (15, 101, 103, 1001),
        (7, 99, 103, 999),  # -.7 is a loss of 1
        (-7, 97, 99, 1000),  # short at the ask: +.7
        (-7, 97, 101, 999),
        (0, 1, 2, 1000),
        (7, 0, 0, 1000),  # no price: the balance
    ):
        assert int(sizing.risk_equity(c[0], 1000, qty, 100, bid, ask)) == want


def test_caps() -> None:
    c = core(1000, qty_step=10)

    def size(**values: int) -> int:
        p = risk(share_fp9=FP9, **values)
        return int(sizing.risk_size(p[0], c[0], 10**9, 1000, 990, 1030, 0, 0, 0))

    assert size() == 100_000  # 10**9 / (10 * 1000)
    assert size(notional_max_money=5_055_000) == 0 + 5_055_000 // 10**6 // 10 * 10
    assert size(notional_max_money=55_000_000) == 50
    assert size(leverage_fp9=FP9) == 1000
    assert size(leverage_fp9=FP9 // 2) == 500
    assert size(qty_max_lots=77) == 70
    assert int(sizing.risk_size(risk()[0], c[0], 10**9, 1000, 990, 0, 0, 0, FP9 // 2)) == 50_000
    for bad in ((0, 1000), (-5, 1000), (10**9, 0)):
        assert int(sizing.risk_size(risk(share_fp9=FP9)[0], c[0], *bad, 990, 0, 0, 0, 0)) == 0


@MANY
@given(st.integers(1, FP9), st.integers(1, 500), st.integers(1, 2000), st.integers(0, 60))
def test_kelly(chance: int, distance: int, goal: int, cost: int) -> None:
    c = core()
    have = int(sizing.kelly_share(c[0], 5000, 5000 - distance, 5000 + goal, cost, chance))
    win, lose = goal - cost, distance + cost
    p = Fraction(chance, FP9)
    want = max(Fraction(0), p - (1 - p) * Fraction(lose, win)) if win > 0 else Fraction(0)
    assert 0 <= want * FP9 - have < 1
    quarter = risk(share_fp9=FP9, kelly_fp9=FP9 // 4)
    money = 10**12
    qty = int(sizing.risk_size(quarter[0], c[0], money, 5000, 5000 - distance, 5000 + goal, cost,
                               chance, 0))  # fmt: skip
    assert lost(c, 5000, distance, qty, cost) <= money * want / 4
    none = int(sizing.risk_size(quarter[0], c[0], money, 5000, 5000 - distance, 0, cost, chance, 0))
    assert none == money // ((distance + cost) * 1000), "without a target Kelly says nothing"


levels = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 900)), min_size=1, max_size=25)


@MANY
@given(levels, st.integers(1, 9000), st.booleans())
def test_slippage_walks_the_book(steps: list[tuple[int, int]], qty: int, buys: bool) -> None:
    book = np.zeros(1, BOOK_STATE)
    name, sign = ("ask", 1) if buys else ("bid", -1)
    at, fills = 10**6, []
    for m, (step, size) in enumerate(steps):
        at += sign * step if m else 0
        book[f"{name}_price"][0, m], book[f"{name}_qty"][0, m] = at, size
        fills += [abs(at - 10**6)] * size
    book[f"{name}s"] = len(steps)
    have = int(sizing.risk_slippage(book[0], sign, qty))
    if len(fills) < qty:
        assert have == -1
    else:
        assert have == ceil(Fraction(sum(fills[:qty]), qty))
    assert int(sizing.risk_slippage(book[0], -sign, qty)) == -1
    assert int(sizing.risk_slippage(book[0], sign, 0)) == -1
