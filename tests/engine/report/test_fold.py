"""What the report draws is what the engine had: the same candles, rows and books, exactly."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import Kind
from data.log import Batch
from engine.kernel.candles import FRAMES, RING, SPANS_NS
from engine.report.payload_levels import Chunk, join, widen
from engine.report.payload_market import Tape
from strategies.delta_flip import STRATEGY
from tests.engine.driving import SCALES, every, fold_cut, random_cuts, whole
from tests.engine.kernel.oracle_candles import profile
from tests.engine.tapes import Packed, Plot, fixed, market, pack, tapes, write

S = 1_000_000_000
SAME = ("open_ns", "open", "high", "low", "close", "volume", "buy", "sell", "trades", "delta_min",
        "delta_max")  # fmt: skip


def gather(tape: Packed, cuts: list[int], step_ns: int = 5 * S) -> tuple[Chunk, np.ndarray]:
    """Closed candles and books (one a boundary) of a tape fed in batches."""
    reader = Tape({}, SCALES, step_ns)
    parts: list[Chunk] = []
    for a, b in itertools.pairwise([0, *sorted(cuts), len(tape)]):
        if a < b:
            columns, kinds, stops = tape.batch(a, b)
            reader.take(Batch(columns, kinds, stops, b - a), parts.append)
    books = np.concatenate([np.zeros((3, 0), np.int64), *reader.books], axis=1)
    return join(parts), books


def ring(state: Any, frame: int) -> list[Any]:
    """The closed candles of a frame that the engine still holds, oldest first."""
    s = state[0]["candles"]
    closed = int(s["closed"][frame])
    return [s["ring"][frame * RING + n % RING] for n in range(max(0, closed - RING), closed)]


def check_candles(state: Any, chunk: Chunk) -> int:
    """Every candle of the engine's rings with a trade in it is in ``chunk``; how many."""
    seen = 0
    for frame in range(FRAMES):
        wide = widen(chunk, SPANS_NS[frame])
        found = {int(c["open_ns"]): n for n, c in enumerate(wide.candles)}
        for theirs in ring(state, frame):
            if theirs["trades"] == 0:
                assert int(theirs["open_ns"]) not in found
                continue
            n = found[int(theirs["open_ns"])]
            ours = wide.candles[n]
            assert [int(ours[x]) for x in SAME] == [int(theirs[x]) for x in SAME]
            check_rows(wide, n, theirs)
            seen += 1
    return seen


def check_rows(chunk: Chunk, n: int, theirs: Any) -> None:
    """The rows of candle ``n`` add up, and have the engine's point of control and value area."""
    part = slice(int(chunk.stops[n - 1]) if n else 0, int(chunk.stops[n]))
    sell, unknown, buy = chunk.cells[:, part].sum(axis=1)
    assert (int(buy), int(sell)) == (int(theirs["buy"]), int(theirs["sell"]))
    assert int(sell + unknown + buy) == int(theirs["volume"])
    rows, total = chunk.rows[part].tolist(), chunk.cells[:, part].sum(axis=0).tolist()
    if max(rows) - min(rows) >= 2048:
        return  # the engine's rows have merged: it looks at coarser ones
    poc, low, high, share = profile(dict(zip(rows, total, strict=True)), Fraction(7, 10))
    assert (int(theirs["poc"]), int(theirs["value_low"]), int(theirs["value_high"])) == (
        poc, low, high,
    )  # fmt: skip
    assert int(theirs["value_fp9"]) == round(share * 10**9)


@settings(max_examples=60, deadline=None)
@given(tapes(), st.integers(0, 2**16))
def test_candles_and_rows_are_the_engines(plot: Plot, seed: int) -> None:
    tape = pack(write(plot))
    result = fold_cut(whole(STRATEGY), tape)
    chunk, _ = gather(tape, random_cuts(len(tape), seed))
    check_candles(result.fold.state, chunk)


def test_long_tapes() -> None:
    for events, least in ((fixed(), 3), (market(2, 2400), 160)):
        tape = pack(events)
        result = fold_cut(whole(STRATEGY), tape)
        chunk, _ = gather(tape, every(len(tape), 97))
        assert check_candles(result.fold.state, chunk) > least


@pytest.mark.parametrize("step", [1, 13, 4096])
def test_batches_change_nothing(step: int) -> None:
    tape = pack(market(3, 240))
    whole_chunk, books = gather(tape, [])
    chunk, other = gather(tape, every(len(tape), step))
    for name in ("candles", "stops", "rows", "cells"):
        assert (getattr(chunk, name) == getattr(whole_chunk, name)).all()
    assert (books == other).all()


def test_books_are_those_of_the_decisions() -> None:
    tape = pack(market(5, 600))
    result = fold_cut(whole(STRATEGY), tape, settings={"warmup": "2", "entry_z": "0.2"})
    _, books = gather(tape, [])
    at = {int(t) + 5 * S: int(v) for t, v, n in books.T if n == 1}
    decisions = result.sink.rows("decision")
    asked = decisions[decisions["book_fp9"] != 0]
    assert len(asked) > 3
    for d in asked:
        assert at[int(d["ts_ns"])] == int(d["book_fp9"])


def test_cvd_is_that_of_the_decisions() -> None:
    tape = pack(market(6, 600))
    result = fold_cut(whole(STRATEGY), tape)
    chunk, _ = gather(tape, [])
    ends = {
        int(c["open_ns"]) + SPANS_NS[0]: int(x)
        for c, x in zip(
            chunk.candles, np.cumsum(chunk.candles["buy"] - chunk.candles["sell"]), strict=True
        )
    }
    checked = 0
    for d in result.sink.rows("decision"):
        if int(d["ts_ns"]) in ends:
            assert ends[int(d["ts_ns"])] == int(d["cvd"])
            checked += 1
    assert checked > 20


def test_an_output_that_is_full_is_drained_and_nothing_is_lost() -> None:
    """A book each boundary over days fills the output within one batch."""
    events = []
    for n in range(9000):
        now = 1_723_161_600 * S + n * 5 * S + 1
        events.append({"kind": Kind.TRADE, "ts_ns": now, "id": n, "price": 100_000 + n % 7,
                       "qty": 1 + n % 3, "side": 1 - 2 * (n % 2)})  # fmt: skip
        events.append({"kind": Kind.DEPTH, "ts_ns": now + 1, "id": n, "bid_price": [99_999],
                       "bid_qty": [5], "ask_price": [100_010], "ask_qty": [7]})  # fmt: skip
    tape = pack(events)
    chunk, books = gather(tape, [])
    assert len(chunk.candles) == 2999  # the last one stands open
    assert int(chunk.candles["volume"].sum()) == sum(1 + n % 3 for n in range(8997))
    assert int(books[2].sum()) == 8999
