"""Costs against the formula worked out by hand, and exact to the last unit on any market."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import Liquidity
from engine.report.costs import Costs, costs_of, sum_of
from tests.engine.kernel.matching_digest import chosen
from tests.engine.kernel.matching_driver import Sim
from tests.engine.kernel.matching_tapes import Market, markets, params, play

BUY, SELL = 1, -1
FILL = ("order_id", "side", "price", "qty", "fee", "liquidity", "bid", "ask")
ORDER = ("id", "bid", "ask")


def table(names: tuple[str, ...], rows: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[k] for row in rows], np.int64) for k, name in enumerate(names)}


def one(
    side: int, price: int, order: tuple[int, int], fill: tuple[int, int], maker: bool = False
) -> Costs:
    """Costs of one fill of 10 with a fee of 7; an ``order`` and a ``fill`` are (bid, ask)."""
    fills = table(FILL, [(1, side, price, 10, 7, int(maker), *fill)])
    return costs_of(fills, table(ORDER, [(1, *order)]), 100, 1)


def shown(c: Costs) -> tuple[int, int, int, int]:
    """(spread, slippage, delay, total) of the only fill."""
    return int(c.spread[0]), int(c.slippage[0]), int(c.delay[0]), c.total


# --- by hand: 10 units, money = price * qty * 100 ------------------------------------------------


def test_a_taker_at_the_touch_pays_half_the_spread():
    assert shown(one(BUY, 104, (100, 104), (100, 104))) == (2000, 0, 0, 2007)
    assert shown(one(SELL, 100, (100, 104), (100, 104))) == (2000, 0, 0, 2007)


def test_what_the_market_moved_on_the_way_is_slippage_and_delay():
    assert shown(one(BUY, 107, (100, 104), (103, 107))) == (2000, 3000, 3000, 5007)
    assert shown(one(SELL, 103, (100, 104), (103, 107))) == (2000, -3000, -3000, -993)


def test_walking_the_book_is_slippage_without_delay():
    assert shown(one(BUY, 109, (100, 104), (100, 104))) == (2000, 5000, 0, 7007)


def test_a_wider_spread_at_the_fill_is_slippage():
    assert shown(one(BUY, 106, (100, 104), (98, 106))) == (2000, 2000, 0, 4007)


def test_a_maker_at_the_touch_earns_half_the_spread():
    assert shown(one(BUY, 100, (100, 104), (100, 104), maker=True)) == (-2000, 0, 0, -1993)


def test_a_maker_behind_the_touch_that_the_market_came_to():
    """Bought at 95 where the middle was 102 and is 96: 7 better, 2 of it the spread."""
    assert shown(one(BUY, 95, (100, 104), (94, 98), maker=True)) == (-2000, -5000, -6000, -6993)


def test_without_a_touch_at_the_fill_there_is_no_delay():
    assert shown(one(SELL, 99, (100, 104), (0, 0))) == (2000, 1000, 0, 3007)
    assert shown(one(SELL, 99, (100, 104), (98, 0))) == (2000, 1000, 0, 3007)


def test_without_a_touch_at_the_order_nothing_is_known_but_the_fee():
    for order in ((0, 0), (100, 0), (0, 104)):
        c = one(BUY, 104, order, (100, 104))
        assert shown(c) == (0, 0, 0, 7)
        assert c.unknown == 1 and not c.known[0]


def test_a_fill_whose_order_has_no_row_is_unknown():
    fills = table(FILL, [(5, BUY, 104, 10, 7, 0, 100, 104), (2, BUY, 104, 10, 7, 0, 100, 104)])
    c = costs_of(fills, table(ORDER, [(2, 100, 104), (3, 100, 104)]), 1, 1)
    assert c.known.tolist() == [False, True]
    assert costs_of(fills, table(ORDER, []), 1, 1).unknown == 2


def test_no_fill_costs_nothing():
    c = costs_of(table(FILL, []), table(ORDER, []), 1, 1)
    assert (c.total, c.unknown, len(c.spread)) == (0, 0, 0)


# --- against the slow way -----------------------------------------------------------------------


def half_away(x: Fraction) -> int:
    return floor(x + Fraction(1, 2)) if x >= 0 else -floor(-x + Fraction(1, 2))


def slow(
    fills: list[tuple[int, ...]], orders: list[tuple[int, ...]], mul: int, div: int
) -> list[tuple[int, int, int]]:
    """(spread, slippage, delay) of each fill in exact fractions."""
    touches = {order: (bid, ask) for order, bid, ask in orders}
    found = []
    for order, side, price, qty, _, liquidity, bid1, ask1 in fills:
        bid0, ask0 = touches.get(order, (0, 0))
        if not bid0 or not ask0:
            found.append((0, 0, 0))
            continue
        middle = Fraction(bid0 + ask0, 2)
        later = Fraction(bid1 + ask1, 2) if bid1 and ask1 else middle
        money = Fraction(qty * mul, div)
        pays = -1 if liquidity == Liquidity.MAKER else 1
        spread = half_away(pays * Fraction(ask0 - bid0, 2) * money)
        whole = half_away(side * (price - middle) * money)
        found.append((spread, whole - spread, half_away(side * (later - middle) * money)))
    return found


def prices(top: int) -> st.SearchStrategy[int]:
    return st.integers(0, 3) | st.integers(1, top)


@st.composite
def traded(draw):
    top = draw(st.sampled_from([20, 10**6, 10**13]))
    orders = [(k, draw(prices(top)), draw(prices(top))) for k in range(1, draw(st.integers(0, 4)))]
    fill = st.tuples(
        st.integers(1, 4), st.sampled_from([BUY, SELL]), st.integers(1, top),
        st.integers(1, top // 10), st.integers(-50, 50), st.integers(0, 1), prices(top),
        prices(top),
    )  # fmt: skip
    return draw(st.lists(fill, max_size=5)), orders


@given(traded(), st.sampled_from([1, 10_000]), st.sampled_from([1, 7, 1000]))
def test_costs_are_those_of_exact_fractions_however_large(rows, mul, div):
    fills, orders = rows
    sizes = [v for row in fills for v in (*row[2:4], *row[6:8])]
    largest = max([0, *sizes, *(v for o in orders for v in o)])
    if largest**2 * 2 * mul // div > 1 << 62:
        return
    c = costs_of(table(FILL, fills), table(ORDER, orders), mul, div)
    found = [tuple(int(x[k]) for x in (c.spread, c.slippage, c.delay)) for k in range(len(fills))]
    assert found == slow(fills, orders, mul, div)


@given(traded(), st.integers(2, 9))
def test_a_market_at_k_times_the_prices_costs_k_times_as_much(rows, k):
    fills, orders = rows
    prices = [v for row in fills for v in (row[2], *row[6:])] + [v for o in orders for v in o[1:]]
    if max(prices, default=0) * max([0, *(row[3] for row in fills)]) * k > 1 << 58:
        return
    a = costs_of(table(FILL, fills), table(ORDER, orders), 2, 1)
    dear = [(o, s, p * k, q, f, liq, b * k, x * k) for o, s, p, q, f, liq, b, x in fills]
    b = costs_of(table(FILL, dear), table(ORDER, [(o, x * k, y * k) for o, x, y in orders]), 2, 1)
    assert (b.spread == k * a.spread).all()
    assert (b.slippage == k * a.slippage).all()
    assert (b.delay == k * a.delay).all()


@given(st.lists(st.integers(-(1 << 62), 1 << 62), max_size=9))
def test_a_sum_is_exact_where_int64_ends(values):
    assert sum_of(np.array(values, dtype=np.int64)) == sum(values)


# --- on any market -------------------------------------------------------------------------------


def columns(sim: Sim, name: str) -> dict[str, np.ndarray]:
    rows = sim.output[0][name][: int(sim.output[0][f"n_{name}"])]
    return {field: np.array(rows[field]) for field in rows.dtype.names or ()}


def costs(sim: Sim) -> Costs:
    return costs_of(columns(sim, "fills"), columns(sim, "orders"), int(sim.p.mul), int(sim.p.div))


@settings(max_examples=80, deadline=None)
@given(params, markets)
def test_net_and_costs_are_the_result_at_the_middles_exactly(chosen, tape):
    sim = Sim(**chosen)
    play(tape, sim)
    c, gross = costs(sim), int(columns(sim, "fills")["pnl"].sum())
    net = int(sim.s.balance) - int(sim.p.start_balance)
    assert net == gross - int(c.fees.sum())
    assert net + c.total == gross + int(c.spread.sum()) + int(c.slippage.sum())
    taker = columns(sim, "fills")["liquidity"] == int(Liquidity.TAKER)
    assert (c.spread[taker] >= 0).all()
    assert (c.spread[~taker] <= 0).all()
    for part in (c.spread, c.slippage, c.delay):
        assert (part[~c.known] == 0).all()


def test_flat_at_the_end_the_result_at_the_middles_is_what_was_paid_and_received_there():
    flat = 0
    for seed in range(60):
        sim = Sim(**chosen(seed))
        play(Market(seed).tape(120), sim)
        closed = columns(sim, "positions")["closed_ns"]
        if not len(closed) or (closed == 0).any():
            continue
        flat += 1
        f, o = columns(sim, "fills"), columns(sim, "orders")
        touch = dict(
            zip(
                o["id"].tolist(),
                zip(o["bid"].tolist(), o["ask"].tolist(), strict=True),
                strict=True,
            )
        )
        paper = Fraction(0)
        for side, price, qty, order in zip(
            f["side"], f["price"], f["qty"], f["order_id"], strict=True
        ):
            bid, ask = touch[int(order)]
            paper -= int(side) * int(qty) * (Fraction(bid + ask, 2) if bid and ask else int(price))
        net = int(sim.s.balance) - int(sim.p.start_balance)
        # one unit of money for each rounding; average costs are rounded against us by one product
        slack = len(f["side"]) * (2 + Fraction(int(sim.p.mul), int(sim.p.div)))
        assert abs(net + costs(sim).total - paper * int(sim.p.mul) / int(sim.p.div)) <= slack
    assert flat >= 5
