"""Many symbols in one process: the bench counts what it says, and sharing changes no digest."""

from __future__ import annotations

import numpy as np
import pytest

from data.events import NS, Kind
from engine.runtime import bench_many
from engine.runtime.bench_many import (
    BOOKS_HZ,
    LEVELS,
    SLICES_MS,
    START_NS,
    TRADES_HZ,
    WARM_S,
    Many,
    Tape,
    in_a_process,
)
from engine.runtime.compose import compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from strategies import get

SECONDS = 3


def test_slices_hold_every_event_once_in_order_of_time():
    tape = Tape(1, SECONDS)
    for ms in (100, 1000):
        seen: list[tuple[int, int, int]] = []
        for one in tape.slices(0, SECONDS, ms):
            at = dict.fromkeys(one.columns, 0)
            for number, stop in zip(one.run_kind, one.run_stop, strict=True):
                kind = Kind(int(number))
                columns = one.columns[kind]
                for row in range(at[kind], int(stop)):
                    seen.append((int(columns["ts_ns"][row]), int(kind), int(columns["id"][row])))
                at[kind] = int(stop)
            assert all(n == len(one.columns[kind]["ts_ns"]) for kind, n in at.items())
        times = [x[0] for x in seen]
        assert times == sorted(times)
        assert times[0] >= START_NS and times[-1] < START_NS + SECONDS * NS
        for kind, hz in ((Kind.TRADE, TRADES_HZ), (Kind.DEPTH, BOOKS_HZ)):
            assert [x[2] for x in seen if x[1] == kind] == list(range(1, hz * SECONDS + 1))


def test_a_slice_of_books_shows_the_levels_of_the_tape():
    tape = Tape(2, SECONDS)
    last = list(tape.slices(0, SECONDS, 100))[-1].columns[Kind.DEPTH]
    a, b = last["bid_offsets"][-2:]
    assert b - a == LEVELS
    assert np.array_equal(last["bid_price"][a:b], tape.depth["bid_price"][-LEVELS:])
    assert last["bid_price"][a] < last["ask_price"][a]


@pytest.fixture
def many() -> Many:
    return Many(get("delta_flip"), 6, 2 * SECONDS)


def test_folds_that_share_buffers_and_parameters_are_what_they_are_alone(many: Many):
    for ms in (100, 1000):
        from_s = 0 if ms == 100 else SECONDS
        many.feed(from_s, from_s + SECONDS, ms)
    assert many.events() == 6 * 2 * SECONDS * (TRADES_HZ + BOOKS_HZ)
    assert len({id(fold.params) for fold in many.folds}) == 1
    composition = compose(get("delta_flip"))
    params = build(composition, settle(composition, {}), bench_many._SCALES)
    for n in (0, 1, len(many.tapes)):
        alone = Fold(composition, params, many.sink)
        assert alone.params is not many.folds[n].params
        for one in many.tapes[n % len(many.tapes)].slices(0, 2 * SECONDS, 500):
            alone.feed(one.columns, one.run_kind, one.run_stop)
        assert alone.state_digest() == many.folds[n].state_digest()
    before = [fold.state_digest() for fold in many.folds]
    assert len(set(before)) == len(many.tapes)
    many.touch()
    assert [fold.state_digest() for fold in many.folds] == before


def test_a_process_of_its_own_says_what_it_measured():
    facts = in_a_process("strategies.delta_flip", 2, 1)
    assert (facts["strategy"], facts["symbols"]) == ("delta_flip", 2)
    assert facts["market_s"] == len(SLICES_MS)
    assert facts["events"] == 2 * len(SLICES_MS) * (TRADES_HZ + BOOKS_HZ)
    assert facts["records"] >= 2 * ((WARM_S + 2) // 5)
    for ms in SLICES_MS:
        assert facts[f"core_share_{ms}ms"] > 0
    assert 0 < facts["resident_mb"] <= facts["peak_rss_mb"]
    assert facts["state_kb"] == round(compose(get("delta_flip")).state.itemsize / 1e3, 1)
