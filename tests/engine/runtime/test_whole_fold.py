"""delta_flip with simulated matching: one digest however the events are handed over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.events import Kind
from engine.kernel import registry
from engine.kernel.outputs import DECISIONS_MAX, ORDERS_MAX
from engine.runtime.compose import compose
from engine.runtime.fold import Buffers, Fold, event_columns
from engine.runtime.parameters import build, settle
from strategies.delta_flip import STRATEGY
from tests.engine import cheat
from tests.engine.driving import (
    SCALES,
    Collect,
    every,
    fold_cut,
    fold_events,
    fold_steps,
    new_fold,
    random_cuts,
    result,
    step_all,
    whole,
)
from tests.engine.kernel.test_handlers import EXAMPLES, prefix_invariant
from tests.engine.tapes import (
    HOUR,
    START,
    Author,
    Event,
    Plot,
    S,
    fixed,
    market,
    mirrored,
    pack,
    tapes,
    write,
)

EAGER = {
    "window": "5s", "warmup": "2", "entry_z": "0.5", "cooldown": "1s", "book": "off",
    "decision.step": "5s", "max_hold": "40s",
}  # fmt: skip
MARKET = market()


def composition() -> Any:
    return whole(STRATEGY)


def test_the_market_is_worth_folding() -> None:
    """Entries, exits and both sides: a tape without trades would prove nothing."""
    sink = fold_events(composition(), MARKET, EAGER).sink
    ended = sink.rows("position")
    assert len(ended) > 10
    assert set(ended["side"].tolist()) == {-1, 1}
    assert len(sink.rows("fill")) >= 2 * (len(ended) - 1)
    assert (sink.rows("decision")["exit_reason"] == 1).any(), "at least one flip"


@pytest.mark.parametrize("events", [MARKET, fixed(4, 60)], ids=["market", "disorder"])
def test_cuts_steps_and_snapshots_change_nothing(events: list[Event]) -> None:
    c, tape = composition(), pack(events)
    n = len(tape)
    want = fold_cut(c, tape, (), EAGER).digests
    for cuts in (every(n, 1), every(n, 7), every(n, 4096), random_cuts(n, 1), random_cuts(n, 2)):
        assert fold_cut(c, tape, cuts, EAGER).digests == want
    assert fold_steps(c, events, EAGER).digests == want
    for cut in (1, n // 3, n - 1):
        first, sink = new_fold(c, EAGER)
        first.feed(*tape.batch(0, cut))
        first.drain()
        second, _ = new_fold(c, EAGER)
        second.sink = sink
        second.restore(first.snapshot())
        step_all(second, events[cut:])
        assert result(second, sink).digests == want


@settings(EXAMPLES, max_examples=max(6, EXAMPLES.max_examples // 4))
@given(tapes(14), st.integers(0, 2**20), st.floats(0, 1))
def test_random_tapes(plot: Plot, seed: int, share: float) -> None:
    events = write(plot)
    c, tape = composition(), pack(events)
    want = fold_cut(c, tape, (), EAGER).digests
    assert fold_cut(c, tape, random_cuts(len(tape), seed), EAGER).digests == want
    assert fold_steps(c, events, EAGER).digests == want
    prefix_invariant(c, events, int(share * len(events)))


@pytest.mark.parametrize("cut", [100, len(MARKET) // 2, len(MARKET) - 3])
def test_the_future_changes_no_decision(cut: int) -> None:
    prefix_invariant(composition(), MARKET, cut)


def test_a_cheat_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same test must fail for a handler that looks one trade ahead."""
    monkeypatch.setattr(registry, "_ALL", (*registry._ALL, cheat.HANDLER))
    monkeypatch.setitem(registry.HANDLERS, "cheat", cheat.HANDLER)
    c = compose(cheat.STRATEGY, broker="none")
    # a book that is the first to reach a boundary, with no trade after it in the prefix
    grid = [e["ts_ns"] // (5 * S) for e in MARKET]
    cuts = [
        n + 1
        for n, e in enumerate(MARKET)
        if n and e["kind"] == Kind.DEPTH and grid[n] != grid[n - 1]
    ]
    with pytest.raises(AssertionError):
        for cut in cuts:
            prefix_invariant(c, MARKET, cut)


def test_an_interrupted_step_or_batch_counts_nothing_twice() -> None:
    """Buffers that are nearly full before every event: drained and taken up again."""
    # without books every fill is a trade's doing, so trades are interrupted after they are sided
    events = [e for e in market(3, 400) if e["kind"] == Kind.TRADE]
    # an order arrives well after the boundary that sent it, where the buffers are full again
    slow = {**EAGER, "sim.order_latency": "400ms"}
    straight = fold_events(composition(), events, slow)
    assert len(straight.sink.rows("fill")) > 10
    want = straight.state
    stepped, _ = new_fold(composition(), slow)
    fed, _ = new_fold(composition(), slow)
    tape = pack(events)
    for fold in (stepped, fed):
        fold.drain = lambda fold=fold: empty(fold)  # type: ignore[method-assign]
    for n, e in enumerate(events):
        for fold in (stepped, fed):
            fold.out["n_orders"] = ORDERS_MAX - 100
        step_all(stepped, [e])
        fed.feed(*tape.batch(n, n + 1))
    assert stepped.state_digest() == want
    assert fed.state_digest() == want


def empty(fold: Any) -> None:
    for name in fold.out.dtype.names:
        if name.startswith("n_"):
            fold.out[name] = 0


def test_more_records_than_the_buffers_hold() -> None:
    """A decision a second for two hours: drained many times, nothing lost, none twice."""
    a = Author(5)
    for n in range(2 * 3600):
        a.now = START + n * S
        a.trade(side=1 if (n // 7) % 2 else -1)
    busy = {**EAGER, "decision.step": "1s", "decision.slow": "30s", "window": "1s",
            "max_hold": "2s"}  # fmt: skip
    whole_run = fold_events(composition(), a.events, busy)
    decisions = whole_run.sink.rows("decision")
    assert len(decisions) > 1.5 * DECISIONS_MAX
    assert decisions["id"].tolist() == list(range(1, len(decisions) + 1))
    assert (np.diff(decisions["ts_ns"]) == S).all()
    fills = whole_run.sink.rows("fill")
    assert fills["id"].tolist() == list(range(1, len(fills) + 1))
    assert len(whole_run.sink.rows("order")) > 500
    tape = pack(a.events)
    assert fold_cut(composition(), tape, every(len(tape), 501), busy).digests == whole_run.digests


def test_boundaries_lie_on_whole_multiples_and_come_first() -> None:
    rows = fold_events(composition(), MARKET).sink.rows("decision")
    assert (rows["ts_ns"] % (5 * S) == 0).all()
    slow = rows["ts_ns"] % (30 * S) == 0
    assert (rows["grid_s"] == np.where(slow, 30, 5)).all()
    ts = np.array([e["ts_ns"] for e in MARKET])
    for row in rows:
        assert int(row["events"]) == int((ts < row["ts_ns"]).sum()), "folded before the event"
    a = Author()
    a.now = START // (5 * S) * 5 * S + 5 * S
    a.trade(qty=7, side=1)
    a.now += 5 * S
    a.trade(qty=100, side=1)
    (row,) = fold_events(composition(), a.events).sink.rows("decision")
    assert (int(row["ts_ns"]), int(row["cvd"])) == (a.now, 7)


def test_silence_is_skipped_and_counted() -> None:
    a = Author()
    a.trade()
    a.now += 10 * HOUR
    a.trade()
    run = fold_events(composition(), a.events)
    ts = run.sink.rows("decision")["ts_ns"]
    skipped = int(run.fold.state["core"]["skipped_boundaries"][0])
    assert ts[-1] == a.now // (5 * S) * 5 * S, "the last boundary before the event fires"
    assert np.diff(ts).max() > 8 * HOUR
    assert 720 <= len(ts) <= 723, "an hour of them, then one"
    assert skipped + len(ts) == (ts[-1] - ts[0]) // (5 * S) + 1


def test_mirrored_markets_are_decided_in_mirror() -> None:
    """Every direction, action and position turns round; sizes and times stay."""
    fair = {**EAGER, "stop": "0", "target": "0", "notional": "100", "vwap_limit": "0"}
    centre = 2 * 100_000
    events = [e for e in MARKET if e["kind"] != Kind.BAR]
    a = fold_events(composition(), events, fair).sink.rows("decision")
    b = fold_events(composition(), mirrored(events, centre), fair).sink.rows("decision")
    turned = {0: 0, 1: 2, 2: 1, 3: 3}
    assert (a["action"] == 1).any()
    assert [turned[x] for x in a["action"].tolist()] == b["action"].tolist()
    for field in ("direction", "cvd", "delta", "delta_z_fp9", "entry_delta"):
        assert (a[field] == -b[field]).all(), field
    for field in ("ts_ns", "gates", "blocked", "quality", "exit_reason", "score_fp9", "flip_fp9"):
        assert (a[field] == b[field]).all(), field


def test_pause_decides_nothing() -> None:
    events = list(MARKET)
    pause = {"kind": Kind.CONTROL, "ts_ns": MARKET[50]["ts_ns"], "id": 0, "code": 1, "value": 0}
    events.insert(50, pause)
    rows = fold_events(composition(), events, EAGER).sink.rows("decision")
    later = rows[rows["ts_ns"] > pause["ts_ns"]]
    assert len(later) > 100
    assert not later["action"].any()


def test_event_columns_give_back_the_events() -> None:
    events = fixed(4, 40)
    tape = pack(events)
    seen = dict.fromkeys(Kind, 0)
    for e in events:
        kind = Kind(e["kind"])
        row = event_columns(kind, tape.columns[kind], seen[kind])
        seen[kind] += 1
        for name, value in row.items():
            assert np.asarray(value).tolist() == e[name]


def test_folds_that_share_buffers_take_turns() -> None:
    """Records go to the fold that made them, and each decides what it would alone."""
    c, tape = composition(), pack(MARKET)
    want = fold_cut(c, tape, (), EAGER)
    buffers = Buffers()
    params = build(c, settle(c, EAGER), SCALES)
    sinks = [Collect(), Collect()]
    folds = [Fold(c, params, sink, buffers=buffers) for sink in sinks]
    done = [0, 0]
    for n, size in enumerate([1, 40, 300, 7] * 400):
        turn = n % 2
        stop = min(done[turn] + size, len(tape))
        if stop > done[turn]:
            folds[turn].feed(*tape.batch(done[turn], stop))
        done[turn] = stop
    assert done == [len(tape)] * 2
    for fold, sink in zip(folds, sinks, strict=True):
        assert result(fold, sink).digests == want.digests
