"""Golden vectors and edge cases of single handlers: what a random tape rarely hits."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel import book, ewma, footprint, sides, vwap
from engine.kernel.numbers import divide_half_away, fp9, product_fits
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.oracle_candles import profile
from tests.engine.kernel.oracles import Reference, cont
from tests.engine.kernel.test_handlers import EXAMPLES, follow
from tests.engine.tapes import Plot, tapes, write

FP9 = 1_000_000_000


def grid(volumes: list[int], base: int = 100) -> np.ndarray:
    """A footprint grid with these buy volumes from row ``base`` upwards."""
    g = np.zeros(1, dtype=footprint.GRID)
    p = np.zeros(1, dtype=footprint.FOOTPRINT_PARAMS)
    p["row_units"], p["value_fp9"] = 1, 700_000_000
    s = np.zeros(1, dtype=footprint.FOOTPRINT_STATE)
    rows = [(base + n, v) for n, v in enumerate(volumes) if v]
    price = np.array([r for r, _ in rows], dtype=np.int64)
    qty = np.array([v for _, v in rows], dtype=np.int64)
    side = np.ones(len(rows), dtype=np.int8)
    footprint.footprint_trades(s[0], p[0], price, qty, side, 0, len(rows))
    g[:] = s["quarter"]
    return g


def area(volumes: list[int], share: int = 700_000_000) -> tuple[int, int, int, int]:
    """(poc, low, high) as rows above the first and the share reached."""
    g = grid(volumes)
    poc, low, high, reached = footprint.value_area(g[0], share)
    first = next(n for n, v in enumerate(volumes) if v)
    start = int(g["low"][0]) - first
    return int(poc) - start, int(low) - start, int(high) - start, int(reached)


def test_value_area_of_the_reference() -> None:
    """[50, 70, 150, 90, 80, 70, ...] of 554: 70 % is 388, reached 390 (reference 9)."""
    volumes = [50, 70, 150, 90, 80, 70, 44]
    assert sum(volumes) == 554
    assert area(volumes) == (2, 1, 4, round(390 / 554 * 1e9))


@pytest.mark.parametrize(
    ("volumes", "want"),
    [
        ([10], (0, 0, 0)),
        ([5, 5], (1, 0, 1)),  # the upper of two equal rows is the point of control
        ([30, 40, 30], (1, 1, 2)),  # both neighbours equal and equally near: the upper one
        ([20, 40, 0, 20, 20], (1, 0, 3)),  # down 20 first; then up over the empty row
        ([7, 1, 1, 1], (0, 0, 0)),  # exactly 70 %
        ([699, 301], (0, 0, 1)),  # just short of it
    ],
)
def test_value_area_ties(volumes: list[int], want: tuple[int, int, int]) -> None:
    assert area(volumes)[:3] == want


def test_a_share_that_floats_overshoot() -> None:
    """7 of 50 is 14 % exactly, though .14 * 50 is 7.000000000000001 in floats."""
    assert area([7, 6, 6, 6, 6, 6, 6, 6, 1], 140_000_000)[:3] == (0, 0, 0)


@settings(EXAMPLES, max_examples=200)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12).filter(any), st.integers(1, 1000))
def test_value_area_against_fractions(volumes: list[int], share: int) -> None:
    """Small numbers make many ties and many exact hits of the share."""
    share_fp9 = share * FP9 // 1000
    rows = {n: v for n, v in enumerate(volumes) if v}
    poc, low, high, reached = profile(rows, Fraction(share, 1000))
    assert area(volumes, share_fp9) == (poc, low, high, round(float(reached) * 1e9))


def test_ofi_in_all_nine_cases() -> None:
    """Bid up, same, down times ask up, same, down (Cont et al. 2014)."""
    old = ((100, 7), (102, 11))
    for up, away in product((-1, 0, 1), repeat=2):
        new = ((100 + up, 5), (102 + away, 3))
        e = book.side_ofi(new[0][0], new[0][1], *old[0], 1)
        e += book.side_ofi(new[1][0], new[1][1], *old[1], -1)
        assert e == cont(list(new), list(old))
    shift = book.side_ofi(101, 5, 100, 7, 1) + book.side_ofi(103, 3, 102, 11, -1)
    assert shift == 5 + 11  # price-only shift upwards: + new bid queue + old ask queue


def boundary_of(bids: list[int], asks: list[int]) -> np.ndarray:
    s, p = np.zeros(1, dtype=book.BOOK_STATE), np.zeros(1, dtype=book.BOOK_PARAMS)
    p["stale_ns"] = 5 * 10**9
    bp = np.array([1000 - n for n in range(len(bids))], dtype=np.int64)
    ap = np.array([1001 + n for n in range(len(asks))], dtype=np.int64)
    bq, aq = np.array(bids, dtype=np.int64), np.array(asks, dtype=np.int64)
    book.book_depth(s[0], 10**18, bp, bq, 0, len(bids), ap, aq, 0, len(asks))
    book.book_boundary(s[0], p[0], 10**18 + 10**9)
    return s


@pytest.mark.parametrize(
    ("bids", "asks", "sign"),
    [([6], [4], 0), ([601], [399], 1), ([4], [6], 0), ([399], [601], -1), ([5], [5], 0)],
)
def test_seed_bid_share_and_its_bounds(bids: list[int], asks: list[int], sign: int) -> None:
    """.6 and .4 themselves are balanced."""
    s = boundary_of(bids, asks)
    assert int(s["seed_sign"][0]) == sign
    assert float(s["bid_share"][0]) == pytest.approx(bids[0] / (bids[0] + asks[0]), rel=1e-15)


def test_book_measures_by_hand() -> None:
    s = boundary_of([8, 1, 1], [2, 2, 1])
    assert float(s["queue"][0]) == pytest.approx(0.6)
    assert float(s["micro"][0]) == pytest.approx((2 * 1000 + 8 * 1001) / 10)
    assert int(s["imbalance5_fp9"][0]) == round(math.log(2) * 1e9)
    assert int(s["mid2"][0]) == 2001


def test_a_crossed_book_is_not_used() -> None:
    s = boundary_of([8], [2])
    one = np.array([1005], dtype=np.int64)
    book.book_depth(s[0], 10**18, one, one, 0, 1, one, one, 0, 1)
    assert int(s["crossed"][0]) == 1
    assert int(s["bid_price"][0][0]) == 1000


def test_west_keeps_what_the_naive_form_loses() -> None:
    """float32 trap of the reference at p = 60 000: true deviation .248, naive form 17 920."""
    rng = np.random.default_rng(4)
    price = (6_000_000 + rng.choice([-25, 25], 5000)).astype(np.int64)
    qty = rng.integers(1, 900, 5000)
    v = np.zeros(1, dtype=vwap.VWAP_SUM)
    vwap.vwap_trades(v[0], price, qty, 0, len(price))
    mean, sigma = vwap.vwap_value(v[0])
    total = Fraction(int(qty.sum()))
    exact = Fraction(sum(int(p) * int(q) for p, q in zip(price, qty, strict=True))) / total
    square = (
        sum(
            (q * (p - exact) ** 2 for p, q in zip(price.tolist(), qty.tolist(), strict=True)),
            Fraction(0),
        )
        / total
    )
    assert mean == pytest.approx(float(exact), rel=1e-15)
    assert sigma == pytest.approx(math.sqrt(square), rel=1e-12)
    p32, q32 = price.astype(np.float32), qty.astype(np.float32)
    naive = (q32 * p32 * p32).sum() / q32.sum() - ((q32 * p32).sum() / q32.sum()) ** 2
    assert abs(naive - float(square)) > 100 * float(square)


@EXAMPLES
@given(tapes(8))
def test_seed_mode_puts_tick_direction_first(plot: Plot) -> None:
    market = Reference(("sides", "flow"), seed_sides=True)
    follow("flow", write(plot), market, sides__mode="seed")


def test_an_unknown_side_is_never_a_sell() -> None:
    s, p = np.zeros(1, dtype=sides.SIDES_STATE), np.zeros(1, dtype=sides.SIDES_PARAMS)
    p["quote_age_ns"] = 10**9
    side = np.full(3, 9, dtype=np.int8)
    ones = np.ones(3, dtype=np.int64)
    sides.sides_trades(s[0], p[0], ones, ones * 50, ones, np.zeros(3, dtype=np.int8), side, 0, 3)
    assert side.tolist() == [0, 0, 0]
    assert int(s["unknown"][0]) == 3


def test_ewma_is_a_mean_first_and_forgets_later() -> None:
    s = np.zeros(1, dtype=ewma.EWMA_STATE)
    values = [3.0, -4.0, 5.0, 0.0, 12.0, 7.0]
    want = 0.0
    for n, x in enumerate(values, 1):
        ewma.ewma_update(s[0], x, 4)
        want = sum(v * v for v in values[:n]) / n if n <= 4 else want + (x * x - want) / 4
        assert ewma.ewma_sigma(s[0]) == pytest.approx(math.sqrt(want), rel=1e-14)


@given(st.integers(-(2**61), 2**61), st.integers(1, 2**40))
def test_division_rounds_half_away_from_zero(a: int, b: int) -> None:
    exact = Fraction(abs(a), b)
    want = math.floor(exact + Fraction(1, 2)) * (1 if a >= 0 else -1)
    assert divide_half_away(a, b) == want
    assert divide_half_away(-a, b) == -want


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_product_that_is_let_through_fits(a: int, b: int) -> None:
    if product_fits(a, b):
        assert abs(a * b) < 2**63
    else:
        assert abs(a * b) >= 2**62 - 2**20


@pytest.mark.parametrize(
    ("x", "want"),
    [(0.5e-9, 0), (1.5e-9, 2), (math.nan, 0), (math.inf, 9 * 10**18), (-1e30, -9 * 10**18)],
)
def test_fixed_point_clamps(x: float, want: int) -> None:
    assert fp9(x) == want


def test_an_invalid_trade_gives_its_price_to_nothing() -> None:
    bad = write([("invalid", 15367)])[:1]
    assert bad[0]["price"] == 0
    fold = fold_events(probe("candles"), bad).fold
    assert int(fold.state["candles"]["started"][0]) == 0
    assert int(fold.state["core"]["first_trade_ns"][0]) == 0
