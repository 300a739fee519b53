"""Stops and targets: where each mode puts them, when they are refused, and what they cost."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel import placement
from engine.kernel.absorption import ABSORPTION_STATE
from engine.kernel.pivots import HIGH, LOW, PIVOTS_STATE, RING
from engine.kernel.sweep import SWEEP_STATE
from tests.engine.kernel.exits_desk import core_params, records
from tests.engine.kernel.oracle_exits import Terms
from tests.engine.kernel.test_handlers import EXAMPLES

G = 10**9
MANY = settings(EXAMPLES, max_examples=20 * EXAMPLES.max_examples)
ENTRY = 100_000
TERMS = Terms(step=5, taker_ppb=0)


class Market:
    """Pivots (minute, price), absorption zones (low, high, side) and the last sweep."""

    def __init__(
        self, lows: Any = (), highs: Any = (), zones: Any = (), sweep: Any = (0, 0)
    ) -> None:
        self.pivots, self.absorption = records(PIVOTS_STATE), records(ABSORPTION_STATE)
        self.sweep = records(SWEEP_STATE)
        self.pivots["bars"] = 1000
        for kind, found in ((LOW, lows), (HIGH, highs)):
            self.pivots["count"][0, int(kind)] = len(found)
            for n, (bar, price) in enumerate(found):
                slot = self.pivots["ring"][0, int(kind) * RING + n]
                slot["bar"], slot["price"] = bar, price
        self.absorption["zones"]["n"] = len(zones)
        for n, (low, high, side) in enumerate(zones):
            slot = self.absorption["zones"]["items"][0, n]
            slot["low"], slot["high"], slot["side"] = low, high, side
        self.sweep["signal"]["direction"], self.sweep["extreme"] = sweep

    def stop(
        self, mode: int, value: int, direction: int = 1, *, atr: float = 0.0, spread: int = 0,
        terms: Terms = TERMS, entry: int = ENTRY,
    ) -> int:  # fmt: skip
        return int(
            placement.stop_price(
                mode, value, direction, entry, atr, core_params(terms)[0], spread,
                self.pivots[0], self.absorption[0], self.sweep[0],
            )
        )  # fmt: skip

    def mirrored(self) -> Market:
        turned = Market()
        for name in ("pivots", "absorption", "sweep"):
            getattr(turned, name)[:] = getattr(self, name)
        for kind, other in ((LOW, HIGH), (HIGH, LOW)):
            turned.pivots["count"][0, int(kind)] = self.pivots["count"][0, int(other)]
            for n in range(RING):
                a = self.pivots["ring"][0, int(other) * RING + n]
                b = turned.pivots["ring"][0, int(kind) * RING + n]
                b["bar"], b["price"] = a["bar"], 2 * ENTRY - a["price"]
        for n in range(int(self.absorption["zones"]["n"][0])):
            a = self.absorption["zones"]["items"][0, n]
            b = turned.absorption["zones"]["items"][0, n]
            low, high = 2 * ENTRY - int(a["high"]), 2 * ENTRY - int(a["low"])
            b["low"], b["high"], b["side"] = low, high, -int(a["side"])
        turned.sweep["signal"]["direction"] *= -1
        turned.sweep["extreme"] = 2 * ENTRY - self.sweep["extreme"]
        return turned


def target(
    mode: int, value: int, direction: int = 1, *, stop: int = 0, atr: float = 0.0, spread: int = 0,
    terms: Terms = TERMS,
) -> int:  # fmt: skip
    return int(
        placement.target_price(
            mode, value, direction, ENTRY, stop, atr, core_params(terms)[0], spread
        )
    )


@pytest.mark.parametrize(
    ("mode", "value", "atr", "stop"),
    [
        (0, 5, 9.0, 0),
        (1, 99_900, 0.0, 99_900), (1, 99_902, 0.0, 99_900), (1, 100_100, 0.0, 0),
        (1, 99_990, 0.0, 0), (1, 99_985, 0.0, 99_985),
        (2, 100, 0.0, 99_900), (2, 101, 0.0, 99_895), (2, 10, 0.0, 0),
        (3, 1_000_000, 0.0, 99_900), (3, 1_000, 0.0, 99_985), (3, 0, 0.0, 0),
        (4, G * 3 // 2, 40.0, 99_940), (4, G * 3 // 2, 41.0, 99_935), (4, G, 0.0, 0),
        (4, G, 2.0, 99_985), (5, G, 0.0, 0), (5, G, 40.0, 0), (6, G, 40.0, 0),
    ],
)  # fmt: skip
def test_stops_by_hand(mode: int, value: int, atr: float, stop: int) -> None:
    """Steps of 5, least distance 15: what was said in so many words is refused, not moved."""
    assert Market().stop(mode, value, atr=atr) == stop
    turned = 2 * ENTRY - value if mode == 1 else value
    short = Market().stop(mode, turned, -1, atr=atr)
    assert short == (2 * ENTRY - stop if stop else 0)


@pytest.mark.parametrize(
    ("mode", "value", "stop", "atr", "price"),
    [
        (1, 100_104, 0, 0.0, 100_100), (1, 99_000, 0, 0.0, 0), (2, 101, 0, 0.0, 100_100),
        (3, 2_000_000, 0, 0.0, 100_200), (4, 2 * G, 0, 40.0, 100_080), (4, G, 0, 0.0, 0),
        (5, G, 99_000, 40.0, 0), (6, 2 * G, 99_950, 0.0, 100_100), (6, 2 * G, 0, 0.0, 0),
        (6, 2 * G, 100_050, 0.0, 0), (6, G // 10, 99_950, 0.0, 100_015),
    ],
)  # fmt: skip
def test_targets_by_hand(mode: int, value: int, stop: int, atr: float, price: int) -> None:
    assert target(mode, value, stop=stop, atr=atr) == price
    turned = 2 * ENTRY - value if mode == 1 else value
    short = target(mode, turned, -1, stop=2 * ENTRY - stop if stop else 0, atr=atr)
    assert short == (2 * ENTRY - price if price else 0)


def test_the_spread_widens_the_least_distance() -> None:
    assert Market().stop(4, G, atr=20.0, spread=33) == 99_965
    assert Market().stop(2, 30, spread=33) == 0
    assert target(6, G, stop=99_990, spread=33) == 100_035


PIVOTS = ((900, 99_800), (950, 99_900), (970, 99_850), (990, 99_950))


@pytest.mark.parametrize(
    ("lows", "zones", "sweep", "stop"),
    [
        (PIVOTS, (), (0, 0), 99_930),
        ((*PIVOTS[:3], (990, 100_050)), (), (0, 0), 99_830),
        (((700, 99_900),), (), (0, 0), 0),  # more than four hours ago
        ((), ((99_960, 100_020, 1), (99_970, 99_990, -1)), (0, 0), 99_940),
        (PIVOTS, ((99_960, 99_980, 1),), (0, 0), 99_940),
        (PIVOTS, ((99_700, 99_980, 1),), (1, 99_970), 99_950),
        (PIVOTS, (), (-1, 99_970), 99_930),
        (PIVOTS, (), (1, 100_970), 99_930),
    ],
)  # fmt: skip
def test_structure_is_the_nearest_that_protects(
    lows: Any, zones: Any, sweep: Any, stop: int
) -> None:
    """Half an ATR of 40 beyond it. A pivot that a later one passed protects nothing."""
    market = Market(lows, (), zones, sweep)
    assert market.stop(5, G // 2, atr=40.0) == stop
    short = market.mirrored().stop(5, G // 2, -1, atr=40.0)
    assert short == (2 * ENTRY - stop if stop else 0)


@MANY
@given(
    st.integers(2, 5), st.integers(0, 3 * G), st.sampled_from([1, -1]), st.floats(0, 500),
    st.integers(0, 60), st.sampled_from([1, 5, 25]), st.integers(50_000, 150_000),
    st.lists(st.tuples(st.integers(700, 999), st.integers(90_000, 110_000)), max_size=16),
)  # fmt: skip
def test_a_stop_is_right_or_refused(
    mode: int, value: int, direction: int, atr: float, spread: int, step: int, entry: int,
    pivots: Any,
) -> None:  # fmt: skip
    """On the grid, on the losing side, far enough, no nearer than asked, no further than a step."""
    value = value % 10_000 if mode == 2 else value // 100 if mode == 3 else value
    market = Market(sorted(pivots), sorted(pivots))
    stop = market.stop(
        mode, value, direction, atr=atr, spread=spread, terms=Terms(step=step), entry=entry
    )
    least = max(3 * step, spread)
    if stop == 0:
        return
    away = direction * (entry - stop)
    assert stop > 0 and stop % step == 0 and away >= least
    if mode == 5:
        return
    asked = {
        2: Fraction(value),
        3: entry * Fraction(value, G),
        4: Fraction(atr) * Fraction(value, G),
    }[mode]
    assert away >= asked - Fraction(2, 10**6)
    assert away < max(asked, least) + step + Fraction(2, 10**6)


@MANY
@given(
    st.integers(1, 10**6), st.integers(0, 300), st.sampled_from([0, 100_000, 400_000]),
    st.integers(0, 5),
)  # fmt: skip
def test_costs_are_the_fees_both_ways_and_the_spread(
    price: int, spread: int, ppb: int, fee: int
) -> None:
    t = Terms(taker_ppb=ppb, fee=fee)
    have = placement.cost_units(core_params(t)[0], price, spread)
    assert math.isclose(have, 2 * t.side(price) + spread, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("stop", "goal", "cost", "ratio"),
    [
        (99_900, 100_200, 0.0, 2 * G), (99_900, 100_200, 50.0, G), (99_900, 100_200, 300.0, 0),
        (0, 100_200, 0.0, 0), (99_900, 0, 0.0, 0), (100_100, 100_200, 0.0, 0),
    ],
)  # fmt: skip
def test_reward_to_risk_after_costs(stop: int, goal: int, cost: float, ratio: int) -> None:
    have = placement.reward_to_risk(1, ENTRY, stop, goal, cost)
    turned = [2 * ENTRY - x if x else 0 for x in (stop, goal)]
    assert int(have) == int(placement.reward_to_risk(-1, ENTRY, *turned, cost)) == ratio
    assert placement.pays_enough(1, ENTRY, stop, goal, cost, 0)
    assert placement.pays_enough(1, ENTRY, stop, goal, cost, G) == (ratio >= G)


def test_money_of_a_distance_is_rounded_up() -> None:
    core = core_params(Terms())
    core["money_mul"], core["money_div"] = 1, 3
    assert int(placement.money_of(core[0], 10.0, np.int64(-10))) == 34
