"""Exhaustion and unfinished auctions by hand, on tapes with loose settings, on nulls and plants."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import auction
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.oracles import Reference
from tests.engine.kernel.rows import Book, flipped, grid_of, minutes
from tests.engine.kernel.test_handlers import EXAMPLES, follow, needed
from tests.engine.tapes import MINUTE, Plot, fixed, tapes, write

END = 10**18


def judged(book: Book, units: int = 1, **changes: int) -> np.ndarray:
    """The state after a candle with these rows; five levels, no least volumes."""
    s = np.zeros(1, dtype=auction.AUCTION_STATE)
    p = np.zeros(1, dtype=auction.AUCTION_PARAMS)
    p["levels"], p["life_ns"], p["zone_life_ns"] = 5, MINUTE, 30 * MINUTE
    for name, value in changes.items():
        p[name] = value
    auction.auction_grid(s[0], p[0], grid_of(book, units)[0], units, END)
    return s


def dry(s: np.ndarray) -> tuple[float, float]:
    return int(s["dry_low_fp9"][0]) / 1e9, int(s["dry_high_fp9"][0]) / 1e9


def said(s: np.ndarray, name: str) -> tuple[int, float]:
    g = s[name][0]
    return int(g["direction"]), int(g["strength_fp9"]) / 1e9


def bought(volumes: list[int], high: int = 110) -> Book:
    """These bought volumes from the highest row down; below, a low that is finished."""
    top = {high - n: (0 if n == 0 else 3, v) for n, v in enumerate(volumes)}
    return {**top, high - len(volumes): (30, 30), high - len(volumes) - 1: (30, 0)}


@pytest.mark.parametrize(
    ("volumes", "want"),
    [
        ([1, 2, 5, 9, 10], 0.9),
        ([2, 3, 4, 5, 8, 1], 0.75),  # the sixth row is not asked
        ([1, 2, 5, 9, 9], 0.0),  # strictly
        ([1, 2, 1, 9, 10], 0.0),
        ([9, 8, 7, 6, 5], 0.0),  # volume grows towards the extreme
        ([1, 2, 5, 0, 10], 0.0),  # a row without trades of that side is a row of nothing
    ],
)
def test_five_rows_that_dry_up_towards_the_high(volumes: list[int], want: float) -> None:
    s = judged(bought(volumes))
    assert dry(s) == (0.0, want)
    assert said(s, "signal") == ((-1, want) if want else (0, 0.0))
    m = judged(flipped(bought(volumes)))
    assert dry(m) == (want, 0.0)
    assert said(m, "signal") == ((1, want) if want else (0, 0.0))


def test_a_missing_level_inside_ends_it() -> None:
    """By rows that were traded 1, 2, 5, 9, 10 grow; by price, the third row from the top is 0."""
    book = {110: (0, 1), 109: (0, 2), 107: (0, 5), 106: (0, 9), 105: (0, 10), 104: (9, 0)}
    assert dry(judged(book)) == (0.0, 0.0)
    assert dry(judged({**book, 108: (0, 3)}))[1] == pytest.approx(8 / 9)  # 1, 2, 3, 5, 9


@pytest.mark.parametrize(("zeros", "want"), [(auction.COUNT, 1.0), (auction.IGNORE, 0.0)])
def test_the_zero_rule_at_the_extreme(zeros: int, want: float) -> None:
    """At the high only sellers traded: nothing was bought there."""
    book = {110: (4, 0), 109: (3, 2), 108: (3, 5), 107: (3, 9), 106: (3, 10), 105: (9, 0)}
    assert dry(judged(book, zeros=zeros))[1] == want


def test_the_innermost_row_must_count() -> None:
    book = {110: (0, 1), 109: (0, 2), 108: (0, 5), 107: (0, 9), 106: (0, 10), 105: (53, 0)}
    assert dry(judged(book, volume_lots=9))[1] == 0.9
    assert dry(judged(book, volume_lots=10))[1] == 0.0
    assert dry(judged(book, rows_fp9=700_000_000))[1] == 0.9  # 80 / 6 * .7 = 9.33
    assert dry(judged(book, rows_fp9=760_000_000))[1] == 0.0  # 10.13


def test_fewer_rows_than_levels_are_not_judged() -> None:
    book = {110: (0, 1), 109: (0, 2), 108: (0, 5), 107: (9, 9)}
    assert dry(judged(book)) == (0.0, 0.0)
    assert dry(judged(book, levels=4))[1] == pytest.approx(8 / 9)


def test_both_ends_dry_and_the_drier_wins() -> None:
    high = {110: (0, 1), 109: (0, 2), 108: (0, 3), 107: (0, 4), 106: (0, 10)}
    low = {100: (4, 0), 101: (5, 0), 102: (6, 0), 103: (7, 0), 104: (8, 0)}
    s = judged({**high, **low})
    assert dry(s) == (0.5, 0.9)
    assert said(s, "signal") == (-1, 0.4)


LINES = [
    # sold and bought at the low, what is said, lines (low, high, side)
    ((30, 6), (-1, 0.2), [(100, 100, -1)]),
    ((6, 30), (-1, 0.2), [(100, 100, -1)]),
    ((30, 0), (0, 0.0), []),  # finished: nobody bought at the low
    ((0, 30), (0, 0.0), []),  # nobody sold there, so it is no end of selling
]


@pytest.mark.parametrize(("low", "want", "lines"), LINES)
def test_an_unfinished_low(low: tuple[int, int], want: Any, lines: list[Any]) -> None:
    book = {100: low, 101: (9, 9), 102: (0, 20)}
    for b, turn in ((book, 1), (flipped(book), -1)):
        s = judged(b)
        assert said(s, "unfinished") == (turn * want[0], want[1])
        z = s["zones"][0]
        have = [
            tuple(int(i[f]) for f in ("low", "high", "side")) for i in z["items"][: int(z["n"])]
        ]
        assert have == (lines if turn > 0 else [(900, 900, 1)] * len(lines))


def test_the_filter_of_atas_is_twenty() -> None:
    """At the low more than 20 must have been sold, and anything above 0 bought."""
    for sold, want in ((20, 0), (21, -1)):
        s = judged({100: (sold, 1), 101: (0, 5)}, filter_lots=20)
        assert said(s, "unfinished")[0] == want


def test_the_filter_in_mean_volumes_of_a_row() -> None:
    """Mean of a row 40 / 2 = 20: ten is half of it and no more."""
    book = {100: (10, 5), 101: (0, 25)}
    assert said(judged(book, filter_rows_fp9=490_000_000), "unfinished")[0] == -1
    assert said(judged(book, filter_rows_fp9=500_000_000), "unfinished")[0] == 0


def test_both_ends_unfinished() -> None:
    s = judged({100: (10, 1), 101: (0, 5), 102: (8, 10)})
    assert said(s, "unfinished") == (1, pytest.approx(0.7))
    assert int(s["zones"]["n"][0]) == 2
    even = judged({100: (10, 1), 102: (1, 10)})
    assert said(even, "unfinished") == (0, 0.0)
    assert int(even["zones"]["n"][0]) == 2, "both lines stand, though they say nothing together"


def test_one_price_has_no_extremes() -> None:
    s = judged({100: (50, 50)})
    assert said(s, "unfinished") == said(s, "signal") == (0, 0.0)
    assert int(s["unfinished"]["ready"][0]) == int(s["signal"]["ready"][0]) == 1
    assert int(s["zones"]["n"][0]) == 0


def test_rows_that_merged_and_rows_of_several_units() -> None:
    """Range 5000 makes rows of four prices; the low row is 1000 to 1003."""
    s = judged({1000: (30, 0), 1003: (0, 6), 6000: (0, 5)})
    assert int(s["coarse"][0]) == 1
    assert said(s, "unfinished") == (-1, 0.2)
    assert [int(s["zones"][0]["items"][0][f]) for f in ("low", "high")] == [1000, 1003]
    s = judged({1004: (30, 0), 1009: (0, 6), 1030: (0, 5)}, units=10)
    assert [int(s["zones"][0]["items"][0][f]) for f in ("low", "high")] == [1000, 1009]


def test_large_numbers() -> None:
    big, at = 10**12, 10**9
    book = {at + n: (0, (n + 1) * big) for n in range(5)} | {at - 1: (3 * big, 2 * big)}
    s = judged(flipped(book, 2 * at), rows_fp9=10**9, filter_rows_fp9=5 * 10**8)
    assert said(s, "unfinished")[0] == 1
    assert said(s, "signal") == (0, 0.0)
    assert dry(judged({at + n: ((n + 1) * big, 0) for n in range(5)}))[0] == 0.8


LOOSE = {"levels": 2, "mean": Fraction(0), "filter_mean": Fraction(0)}
LOOSE_TEXT = {"auction__levels": "2", "auction__rows": "0", "auction__filter_rows": "0"}


@EXAMPLES
@given(tapes(10), st.booleans())
def test_loose_settings_agree_with_the_oracle(plot: Plot, ignore: bool) -> None:
    names = needed("auction")
    market = Reference(names, **{"auction": {**LOOSE, "ignore": ignore}})  # type: ignore[arg-type]
    text = {**LOOSE_TEXT, "auction__zeros": "ignore" if ignore else "count"}
    follow("auction", write(plot), market, **text)


GONE = ("touched", "expired", "cleared")


def test_both_signals_and_every_fate_of_a_line_are_met() -> None:
    settled = {k.replace("__", "."): v for k, v in LOOSE_TEXT.items()}
    names = needed("auction")
    gone = dict.fromkeys(GONE, 0)
    fired = {"signal": 0, "unfinished": 0}
    for seed in (4, 5, 8):
        tape = fixed(seed, 70)
        s = fold_events(probe("auction"), tape, settled).fold.state["auction"][0]
        gone = {k: n + int(s["zones"][k]) for k, n in gone.items()}
        fired = {k: n + int(s[k]["fired"]) for k, n in fired.items()}
        market = Reference(names, **{"auction": LOOSE})  # type: ignore[arg-type]
        follow("auction", tape, market, **LOOSE_TEXT)
    assert all(gone.values()), gone
    assert all(fired.values()), fired


def test_a_line_lives_until_it_is_touched() -> None:
    unfinished = {1000: (30, 6), 1001: (9, 9), 1002: (0, 20)}
    away, last = {1100: (5, 5)}, {1100: (1, 0)}

    def lines(*books: Book) -> tuple[int, int]:
        z = fold_events(probe("auction"), minutes(list(books))).fold.state["auction"][0]["zones"]
        return int(z["n"]), int(z["touched"])

    assert lines(away, unfinished, away, last) == (1, 0)
    assert lines(away, unfinished, {1001: (1, 1)}, away, last) == (1, 0)
    assert lines(away, unfinished, {1000: (1, 0)}, away, last) == (0, 1)


def random_candle(rng: np.random.Generator) -> Book:
    """A fair walk of 400 trades of exponential size: the null, with the taper that walks have."""
    steps = rng.choice([-1, 0, 0, 1], 400)
    price = 1000 + np.cumsum(steps)
    size = rng.exponential(100, 400).astype(int) + 1
    buys = rng.random(400) < 0.5
    book: Book = {}
    for at, q, up in zip(price.tolist(), size.tolist(), buys.tolist(), strict=True):
        sold, had = book.get(at, (0, 0))
        book[at] = (sold, had + q) if up else (sold + q, had)
    return book


def test_null_rate_and_planted_truth() -> None:
    """On fair walks both directions come alike; a high that was made to dry up is always seen."""
    rng = np.random.default_rng(5)
    null = [said(judged(random_candle(rng), rows_fp9=10**9), "signal")[0] for _ in range(1500)]
    rate = np.mean(np.abs(null))
    assert rate < 0.2, rate
    assert abs(np.mean(null)) < 4 * np.sqrt(rate / 1500)
    dried = told = 0
    for _ in range(200):
        book = random_candle(rng)
        top = max(book)
        for n, volume in enumerate(np.cumsum(rng.integers(800, 1200, 5)).tolist()):
            book[top + 5 - n] = (0, volume)
        s = judged(book, rows_fp9=10**9)
        dried += dry(s)[1] > 0.5
        told += said(s, "signal")[0] == (-1 if dry(s)[1] > dry(s)[0] else 1)
    assert dried == told == 200
