"""Diagonal and stacked imbalances by hand, on tapes with loose settings, on nulls and plants."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel import diagonal, zones
from engine.kernel.numbers import ratio_of
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.oracles import Reference
from tests.engine.kernel.rows import Book, flipped, grid_of, minutes
from tests.engine.kernel.test_handlers import EXAMPLES, follow, needed
from tests.engine.tapes import Plot, S, fixed, tapes, write

END = 10**18
MINUTE = 60 * S


def judged(book: Book, units: int = 1, **changes: int) -> np.ndarray:
    """The state after a candle with these rows; ratio 3, no least volume, stacks of 3."""
    s = np.zeros(1, dtype=diagonal.DIAGONAL_STATE)
    p = np.zeros(1, dtype=diagonal.DIAGONAL_PARAMS)
    p["ratio_fp9"], p["stack"], p["life_ns"], p["zone_life_ns"] = 3 * 10**9, 3, MINUTE, 30 * MINUTE
    for name, value in changes.items():
        p[name] = value
    diagonal.diagonal_grid(s[0], p[0], grid_of(book, units)[0], units, END)
    return s


def rows(s: np.ndarray) -> tuple[int, int]:
    return int(s["buy"]["rows"][0]), int(s["sell"]["rows"][0])


def zones_of(s: np.ndarray) -> list[tuple[int, int, int]]:
    z = s["zones"][0]
    items = z["items"][: int(z["n"])]
    return [(int(i["low"]), int(i["high"]), int(i["side"])) for i in items]


@pytest.mark.parametrize(
    ("bought", "want"),
    [(29, 0), (30, 0), (31, 1)],  # 10 sold one row below: 300 % is 3.0, and it must be exceeded
)
def test_three_hundred_percent_is_a_plain_ratio_of_three(bought: int, want: int) -> None:
    book = {100: (10, 0), 101: (bought, bought)}
    # the row above sells so much that its own pair is no sell imbalance
    assert rows(judged(book)) == (want, 0)
    assert rows(judged(flipped(book))) == (0, want)


def test_the_comparison_is_diagonal_and_not_along_the_row() -> None:
    along = {100: (0, 50), 101: (10, 0)}  # 50 : 10 stands across the wrong diagonal
    assert rows(judged(along)) == (0, 0)
    same_row = {100: (10, 100), 101: (0, 20)}
    assert rows(judged(same_row)) == (0, 0)
    assert rows(judged({100: (10, 0), 101: (0, 50)})) == (1, 0)


MISSING = {100: (9, 0), 102: (8, 40), 103: (7, 40)}
"""Nobody traded at 101. By rows that were traded, 102 would be compared with 100."""


@pytest.mark.parametrize(("zeros", "want"), [(diagonal.COUNT, 2), (diagonal.IGNORE, 1)])
def test_a_missing_level_is_a_row_of_nothing(zeros: int, want: int) -> None:
    """102 meets 0 at 101: an imbalance, or none, as the zero rule says; 103 : 102 is 40 : 8."""
    book = {**MISSING, 100: (20, 0)}  # 40 : 20 would be none
    assert rows(judged(book, zeros=zeros, ratio_fp9=3 * 10**9))[0] == want
    assert rows(judged(flipped(book), zeros=zeros))[1] == want


def test_a_missing_level_breaks_a_stack_of_those_that_ignore_it() -> None:
    """101, 102 and 104 outweigh what was sold below them, and 103 traded nothing."""
    book = {100: (1, 0), 101: (1, 9), 102: (1, 9), 104: (1, 9), 105: (0, 9)}
    assert zones_of(judged(book)) == []  # runs of two: 101 and 102, 104 and 105
    assert [int(judged(book)["buy"][f][0]) for f in ("rows", "longest", "stacks")] == [4, 2, 0]
    assert [int(judged(book, zeros=1)["buy"][f][0]) for f in ("rows", "longest")] == [3, 2]
    assert zones_of(judged({**book, 103: (0, 4)})) == [(101, 105, 1)]


def test_a_stack_by_hand() -> None:
    """Four rows in a row: volume of the stack 40 of 54, the zone spans its rows and no more."""
    book = {100: (2, 1), 101: (3, 10), 102: (3, 10), 103: (3, 10), 104: (2, 10)}
    s = judged(book)
    assert [int(s["buy"][f][0]) for f in ("rows", "longest", "stacks", "volume")] == [4, 4, 1, 40]
    assert rows(s) == (4, 0)
    assert zones_of(s) == [(101, 104, 1)]
    g = s["signal"]
    assert int(g["direction"][0]) == 1
    assert int(g["strength_fp9"][0]) == int(g["value_fp9"][0]) == round(40 / 54 * 1e9)
    assert [int(g[f][0]) for f in ("fired", "fired_ns", "until_ns")] == [1, END, END + MINUTE]
    assert int(g["threshold_fp9"][0]) == 3 * 10**9
    m = judged(flipped(book))
    assert zones_of(m) == [(896, 899, -1)]
    assert int(m["signal"]["value_fp9"][0]) == -round(40 / 54 * 1e9)


def test_equal_stacks_of_both_sides_say_nothing() -> None:
    up = {100: (1, 0), 101: (1, 9), 102: (1, 9), 103: (0, 9)}
    both = {**up, **flipped(up, 300)}
    s = judged(both)
    assert int(s["buy"]["volume"][0]) == int(s["sell"]["volume"][0]) == 27
    assert (int(s["signal"]["direction"][0]), int(s["signal"]["ready"][0])) == (0, 1)
    assert len(zones_of(s)) == 2


def test_a_volume_that_is_too_small_does_not_count() -> None:
    book = {100: (2, 1), 101: (3, 10), 102: (3, 10), 103: (3, 10), 104: (2, 10)}
    assert rows(judged(book, volume_lots=9))[0] == 4
    assert rows(judged(book, volume_lots=10))[0] == 0, "like the ratio, it must be exceeded"
    # the mean of a row is 54 / 5 = 10.8: ten is less, and more than nine tenths of it
    assert rows(judged(book, rows_fp9=10**9))[0] == 0
    assert rows(judged(book, rows_fp9=900_000_000))[0] == 4


def test_rows_of_several_price_units() -> None:
    """Prices 1000 to 1049 in rows of ten: neighbours are rows, and a zone is as high as they."""
    book = {1003: (2, 1), 1015: (3, 10), 1021: (3, 10), 1030: (3, 10), 1049: (2, 10)}
    s = judged(book, units=10)
    assert int(s["buy"]["rows"][0]) == 4
    assert zones_of(s) == [(1010, 1049, 1)]


def test_merged_rows_are_neighbours_by_their_index() -> None:
    """A range of 5000 rows merges them by four; prices 0 to 3 are one row, 4 to 7 the next."""
    book = {1000: (2, 1), 1006: (3, 10), 1009: (3, 10), 1015: (2, 10), 6000: (1, 1)}
    s = judged(book)
    assert int(s["coarse"][0]) == 1
    assert zones_of(s) == [(1004, 1015, 1)]


@pytest.mark.parametrize(
    "book", [{100: (5, 5)}, {100: (5, 0)}, {100: (5, 5), 101: (5, 5)}, {100: (0, 7), 900: (7, 0)}]
)
def test_what_has_no_imbalance(book: Book) -> None:
    s = judged(book)
    assert rows(s) == (0, 0)
    assert int(s["signal"]["direction"][0]) == 0


def test_large_numbers() -> None:
    """Prices of 1e9 units, quantities of 1e12 a trade: no product leaves int64."""
    big = 10**12
    at = 10**9
    book = {at: (big, 1), at + 1: (big, 3 * big + 1), at + 2: (big, 3 * big), at + 3: (1, 4 * big)}
    s = judged(book, rows_fp9=100_000_000, ratio_fp9=3 * 10**9)
    assert rows(s) == (2, 0), "101 and 103; 102 meets its threshold and does not pass it"
    assert rows(judged(book, ratio_fp9=50 * 10**9)) == (0, 0)


@given(st.integers(0, 2**62), st.integers(0, 10**13))
def test_a_ratio_of_a_quantity_is_exact_or_full(value: int, ratio_fp9: int) -> None:
    exact = value * ratio_fp9 // 10**9
    got = ratio_of(value, ratio_fp9)
    assert got == exact or (got == 2**63 - 1 and value * (ratio_fp9 // 10**9 + 1) > got)


LOOSE = {"ratio": Fraction(3, 2), "mean": Fraction(0), "stack": 1}
LOOSE_TEXT = {"diagonal__ratio": "1.5", "diagonal__rows": "0", "diagonal__stack": "1"}


@EXAMPLES
@given(tapes(10), st.booleans())
def test_loose_settings_agree_with_the_oracle(plot: Plot, ignore: bool) -> None:
    """So loose that most candles leave zones, which then are touched, expire or give way."""
    market = Reference(needed("diagonal"), diagonal={**LOOSE, "ignore": ignore})
    text = {**LOOSE_TEXT, "diagonal__zeros": "ignore" if ignore else "count"}
    follow("diagonal", write(plot), market, **text)


@pytest.mark.parametrize("seed", [4, 8])
def test_every_fate_of_a_zone_is_met(seed: int) -> None:
    settled = {k.replace("__", "."): v for k, v in LOOSE_TEXT.items()}
    z = fold_events(probe("diagonal"), fixed(seed, 70), settled).fold.state["diagonal"]["zones"][0]
    counts = {k: int(z[k]) for k in ("touched", "expired", "displaced", "cleared")}
    assert all(counts.values()), counts
    assert int(z["added"]) == int(z["n"]) + sum(counts.values())
    market = Reference(needed("diagonal"), diagonal=LOOSE)
    follow("diagonal", fixed(seed, 70), market, **LOOSE_TEXT)


STACK: Book = {1000: (2, 1), 1001: (3, 10), 1002: (3, 10), 1003: (3, 10), 1004: (2, 10)}
AWAY: Book = {1100: (5, 5)}
LAST: Book = {1101: (5, 5)}


def seen(books: list[Book]) -> Any:
    settled = {"diagonal.rows": "0"}
    return fold_events(probe("diagonal"), minutes(books), settled).fold.state["diagonal"][0]


def test_a_zone_is_not_touched_by_its_own_candle_but_by_the_next_that_comes() -> None:
    assert int(seen([AWAY, STACK, AWAY, LAST])["zones"]["n"]) == 1
    touched = seen([AWAY, STACK, AWAY, {1104: (1, 1), 1004: (1, 1)}, AWAY, LAST])["zones"]
    assert (int(touched["n"]), int(touched["touched"])) == (0, 1)


def test_the_first_candle_is_not_judged_because_it_began_in_its_middle() -> None:
    assert int(seen([STACK, AWAY, LAST])["signal"]["fired"]) == 0
    assert int(seen([AWAY, STACK, AWAY, LAST])["signal"]["fired"]) == 1


def random_book(rng: np.random.Generator, rows_: int, planted: bool) -> Book:
    """Every row trades 20 times on a fair coin; planted: five rows where buyers take nearly all."""
    book: Book = {}
    for x in range(rows_):
        size = rng.exponential(100, 20).astype(int) + 1
        chance = 0.95 if planted and 8 <= x < 14 else 0.5
        buys = rng.random(20) < chance
        book[1000 + x] = (int(size[~buys].sum()), int(size[buys].sum()))
    return book


def test_null_rate_and_planted_truth() -> None:
    """No stack in more than one of fifty fair candles; nearly every planted one, rightly signed."""
    rng = np.random.default_rng(3)
    n = 1500
    null = [int(judged(random_book(rng, 25, False))["signal"]["direction"][0]) for _ in range(n)]
    assert np.mean(np.abs(null)) <= 0.02
    found = [int(judged(random_book(rng, 25, True))["signal"]["direction"][0]) for _ in range(300)]
    assert found.count(1) >= 285
    assert found.count(-1) == 0


def table() -> np.ndarray:
    return np.zeros(1, dtype=zones.ZONES_STATE)


def test_zones_by_hand() -> None:
    z = table()
    zones.zones_add(z[0], 10, 12, 1, 0, 100, 5)
    zones.zones_add(z[0], 20, 22, -1, 0, 50, 5)
    zones.zones_add(z[0], 30, 30, 1, 0, 100, 5)
    zones.zones_touch(z[0], 13, 19)
    assert int(z["n"][0]) == 3
    zones.zones_expire(z[0], 50)
    assert [int(i["low"]) for i in z["items"][0][:2]] == [10, 30]
    zones.zones_touch(z[0], 12, 30)
    assert (int(z["n"][0]), int(z["touched"][0]), int(z["expired"][0])) == (0, 2, 1)


@settings(max_examples=50)
@given(st.integers(1, 80))
def test_a_full_table_gives_up_its_oldest(n: int) -> None:
    z = table()
    for k in range(n):
        zones.zones_add(z[0], k, k, 1, 0, 10, 0)
    first = max(0, n - zones.ZONES)
    assert [int(i["low"]) for i in z["items"][0][: int(z["n"][0])]] == list(range(first, n))
    assert int(z["displaced"][0]) == first
    zones.zones_clear(z[0])
    assert (int(z["n"][0]), int(z["cleared"][0])) == (0, n - first)
