"""Candles and rows of any width are exact sums, and never more rows than asked for are kept."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.candles import CANDLE
from engine.report.payload_levels import Chunk, Level, join, next_height, round_height, widen

S = 1_000_000_000
FINE = 15 * S

candle = st.tuples(
    st.integers(0, 90),  # slot of 15 s
    st.lists(st.tuples(st.integers(0, 40), *[st.integers(0, 9)] * 3), max_size=6),
)


def chunk_of(plan: list[tuple[int, list[tuple[int, int, int, int]]]]) -> Chunk:
    """Candles whose rows are (row, sell, unknown, buy), one trade a row, sold before bought."""
    by_slot = {slot: rows for slot, rows in sorted(plan) if rows}
    candles = np.zeros(len(by_slot), CANDLE)
    rows, cells, stops = [], [], []
    for n, (slot, own) in enumerate(by_slot.items()):
        merged: dict[int, np.ndarray] = {}
        for row, *sides in own:
            merged[row] = merged.get(row, np.zeros(3, np.int64)) + np.array(sides)
        rows += sorted(merged)
        cells += [merged[r] for r in sorted(merged)]
        stops.append(len(rows))
        sell, unknown, buy = sum(merged.values())
        c = candles[n]
        c["open_ns"], c["open"], c["close"] = slot * FINE, own[0][0], own[-1][0]
        c["high"], c["low"] = max(merged), min(merged)
        c["volume"], c["buy"], c["sell"] = sell + unknown + buy, buy, sell
        c["delta_min"], c["delta_max"] = -sell, max(0, buy - sell)
        c["trades"] = len(own)
    return Chunk(
        candles,
        np.array(stops, np.int64),
        np.array(rows, np.int64),
        np.array(cells, np.int64).reshape(-1, 3).T,
    )


def pieces(chunk: Chunk, cuts: list[int]) -> list[Chunk]:
    index = np.arange(len(chunk.candles))
    edges = [0, *sorted(c % (len(index) + 1) for c in cuts), len(index)]
    return [chunk.part((index >= a) & (index < b)) for a, b in itertools.pairwise(edges)]


def same(a: Chunk, b: Chunk) -> None:
    assert (a.candles == b.candles).all()
    for name in ("stops", "rows", "cells"):
        assert (getattr(a, name) == getattr(b, name)).all(), name


@given(st.lists(candle, max_size=30), st.lists(st.integers(0, 99), max_size=5))
def test_chunks_change_nothing(plan: list, cuts: list[int]) -> None:
    chunk = chunk_of(plan)
    for span in (FINE, 4 * FINE, 20 * FINE):
        level = Level(span, 1, 10**6)
        for part in pieces(chunk, cuts):
            level.take(part)
        same(level.finish(), widen(chunk, span))


@given(st.lists(candle, min_size=1, max_size=30))
def test_a_wider_candle_is_the_sum_of_its_parts(plan: list) -> None:
    chunk = chunk_of(plan)
    wide = widen(chunk, 4 * FINE)
    sums = (
        np.add.reduceat(wide.cells, np.append(0, wide.stops[:-1]), axis=1)
        if len(wide.candles)
        else np.zeros((3, 0))
    )
    assert (sums.sum(axis=0) == wide.candles["volume"]).all()
    for slot in np.unique(chunk.candles["open_ns"] // (4 * FINE)):
        own = chunk.candles[chunk.candles["open_ns"] // (4 * FINE) == slot]
        big = wide.candles[wide.candles["open_ns"] == slot * 4 * FINE][0]
        running, low, high = 0, 0, 0
        for c in own:
            low = min(low, running + int(c["delta_min"]))
            high = max(high, running + int(c["delta_max"]))
            running += int(c["buy"]) - int(c["sell"])
        assert (int(big["delta_min"]), int(big["delta_max"])) == (low, high)
        assert int(big["high"]) == own["high"].max()
        assert int(big["open"]) == own["open"][0]
        assert int(big["trades"]) == own["trades"].sum()


@settings(max_examples=60)
@given(st.lists(candle, min_size=5, max_size=40), st.integers(1, 60))
def test_too_many_rows_become_higher_and_lose_nothing(plan: list, most: int) -> None:
    chunk = chunk_of(plan)
    level = Level(FINE, 1, most)
    for part in pieces(chunk, [3, 9, 17]):
        level.take(part)
    done = level.finish()
    assert len(done.rows) <= max(most, len(done.candles))
    assert (done.candles == chunk.candles).all()
    assert (done.cells.sum(axis=1) == chunk.cells.sum(axis=1)).all()
    by = level.row_units
    for n in range(len(done.candles)):
        want: dict[int, int] = {}
        for x in range(int(chunk.stops[n - 1]) if n else 0, int(chunk.stops[n])):
            row = int(chunk.rows[x]) // by
            want[row] = want.get(row, 0) + int(chunk.cells[:, x].sum())
        have = range(int(done.stops[n - 1]) if n else 0, int(done.stops[n]))
        assert {int(done.rows[x]): int(done.cells[:, x].sum()) for x in have} == want


def test_windows_keep_their_candles_and_nothing_else() -> None:
    chunk = chunk_of([(slot, [(5, 1, 0, 2)]) for slot in range(20)])
    level = Level(FINE, 1, 100, [(4 * FINE, 6 * FINE), (10 * FINE, 11 * FINE)])
    level.take(chunk)
    assert (level.finish().candles["open_ns"] // FINE).tolist() == [4, 5, 10]


def test_nothing_at_all_is_a_level_too() -> None:
    level = Level(FINE, 1, 100)
    level.take(Chunk.empty())
    assert len(level.finish().candles) == 0
    assert len(join([]).rows) == 0


@pytest.mark.parametrize(
    ("price", "height"),
    [(1, 1), (108_000, 1), (600_000, 1), (1_200_000, 2), (6_000_000_000, 10_000)],
)
def test_rows_begin_at_a_round_height(price: int, height: int) -> None:
    assert round_height(price) == height


def test_heights_nest() -> None:
    for first in (1, 2, 5, 10, 50, 200):
        height = first
        for _ in range(8):
            taller = next_height(height)
            assert taller % height == 0
            assert str(taller).rstrip("0") in ("1", "2")
            height = taller
