"""Chunks of different scales become one; what no scale can hold goes, and as little as possible."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import EVENTS, PRICE_QTY_PRODUCT_MAX, Kind, Scales
from data.sources.chunks import Chunk, concat, shrink, take
from data.sources.fitting import join


def trades(prices: list[str], qtys: list[str]) -> Chunk:
    """A chunk of trades at its smallest scales; lines are 1, 2, 3 ..."""
    price = np.array([int(Decimal(p).scaleb(8)) for p in prices], dtype=np.int64)
    qty = np.array([int(Decimal(q).scaleb(8)) for q in qtys], dtype=np.int64)
    n = len(prices)
    columns = {f.name: np.zeros(n, f.dtype) for f in EVENTS[Kind.TRADE].fields}
    columns |= {"price": price, "qty": qty, "id": np.arange(1, n + 1)}
    return shrink(Chunk(Kind.TRADE, dict(columns), Scales(8, 8), np.arange(1, n + 1)))


def depth(levels: list[tuple[str, str]]) -> Chunk:
    """One depth row with these bids and no asks."""
    columns: dict = {f.name: np.ones(1, np.int64) for f in EVENTS[Kind.DEPTH].fields[:4]}
    offsets = np.array([0, len(levels)])
    none = (np.empty(0, np.int64), np.zeros(2, np.int64))
    for i, name in enumerate(("bid_price", "bid_qty")):
        column = np.array([int(Decimal(x[i]).scaleb(8)) for x in levels], dtype=np.int64)
        columns[name] = (column, offsets)
    columns |= {"ask_price": none, "ask_qty": none}
    return shrink(Chunk(Kind.DEPTH, columns, Scales(8, 8), np.ones(1, np.int64)))


def values(chunk: Chunk, name: str, scale: int) -> list[Decimal]:
    return [Decimal(int(v)).scaleb(-scale) for v in chunk.array(name)]


def test_scales_are_the_smallest_and_the_join_takes_the_largest() -> None:
    first, second = trades(["100.5"], ["2"]), trades(["99.25", "7"], ["0.001", "3"])
    assert (first.scales, second.scales) == (Scales(1, 0), Scales(2, 3))
    whole, keep = join([first, second])
    assert whole.scales == Scales(2, 3)
    assert all(k.all() for k in keep)
    assert values(whole, "price", 2) == [Decimal("100.5"), Decimal("99.25"), Decimal(7)]
    assert values(whole, "qty", 3) == [Decimal(2), Decimal("0.001"), Decimal(3)]


def test_one_odd_price_does_not_throw_the_others_out() -> None:
    prices = ["60000.1"] * 50 + ["60000.12345678"]
    chunk = trades(prices, ["900.001"] * 51)
    whole, keep = join([chunk])
    assert np.flatnonzero(~keep[0]).tolist() == [50]
    assert whole.scales == Scales(1, 3)
    assert values(whole, "price", 1) == [Decimal("60000.1")] * 50


def test_one_huge_trade_goes_and_the_fine_ones_stay() -> None:
    chunk = trades(["0.00000001"] * 9 + ["90000000000"], ["0.00000001"] * 9 + ["90000000000"])
    whole, keep = join([chunk])
    assert np.flatnonzero(~keep[0]).tolist() == [9]
    assert len(whole) == 9


def test_a_book_with_one_level_too_large_goes_as_a_whole() -> None:
    fine, huge = depth([("10.5", "3"), ("10.4", "1")]), depth([("90000000000", "90000000000")])
    whole, keep = join([fine, huge])
    assert [k.tolist() for k in keep] == [[True], [False]]
    assert whole.array("id").tolist() == [1]


amount = st.decimals(min_value=Decimal("0.00000001"), max_value=10**9, places=8)


@settings(deadline=None)
@given(st.lists(st.tuples(amount, amount), min_size=1, max_size=12), st.integers(1, 11))
def test_what_is_kept_is_exact_and_below_the_bound(rows: list, cut: int) -> None:
    texts = [(f"{p:f}", f"{q:f}") for p, q in rows]
    parts = [trades(*map(list, zip(*t, strict=True))) for t in (texts[:cut], texts[cut:]) if t]
    whole, keep = join(parts)
    kept = [r for r, k in zip(rows, np.concatenate(keep), strict=True) if k]
    assert values(whole, "price", whole.scales.price) == [p for p, _ in kept]
    assert values(whole, "qty", whole.scales.qty) == [q for _, q in kept]
    products = [
        int(p) * int(q) for p, q in zip(whole.array("price"), whole.array("qty"), strict=True)
    ]
    assert all(x < PRICE_QTY_PRODUCT_MAX for x in products)


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(amount, amount), max_size=4), min_size=1, max_size=6), st.data())
def test_taking_rows_of_lists_keeps_each_list_whole(books: list, data: st.DataObject) -> None:
    chunks = [depth([(f"{p:f}", f"{q:f}") for p, q in book] or [("1", "1")]) for book in books]
    whole = concat(chunks)
    keep = np.array([data.draw(st.booleans()) for _ in books])
    column = take(whole, keep).columns["bid_price"]
    assert isinstance(column, tuple)
    got = [column[0][a:b].tolist() for a, b in zip(column[1][:-1], column[1][1:], strict=True)]
    source = whole.columns["bid_price"]
    assert isinstance(source, tuple)
    ends = list(zip(source[1][:-1], source[1][1:], strict=True))
    assert got == [source[0][a:b].tolist() for (a, b), k in zip(ends, keep, strict=True) if k]
