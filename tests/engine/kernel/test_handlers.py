"""One suite over every handler of the registry.

A new handler is picked up by itself; until it has an oracle and a probe its tests fail.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data.events import RECORDS, Kind
from engine.kernel.registry import HANDLERS, resolve
from engine.runtime.records import packed
from tests.engine.driving import (
    every,
    fold_cut,
    fold_events,
    fold_steps,
    new_fold,
    probe,
    random_cuts,
    result,
    step_all,
)  # fmt: skip
from tests.engine.kernel.oracles import ORACLES, Reference
from tests.engine.probe_groups import units
from tests.engine.probes import PROBES
from tests.engine.tapes import MS, Event, Packed, Plot, fixed, pack, tapes, write

CAMPAIGN = os.environ.get("OFS_CAMPAIGN") == "1"
EXAMPLES = settings(
    max_examples=400 if CAMPAIGN else 16,
    deadline=None,
    derandomize=not CAMPAIGN,
    # shrinking a failure takes minutes, so it is left to a campaign
    phases=tuple(Phase) if CAMPAIGN else (Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
UNITS = units(HANDLERS)
together = pytest.mark.parametrize("unit", list(UNITS))
LATENCY = {"feed.latency_trade": "20ms", "feed.latency_depth": "300ms"}
WITH_LATENCY = {Kind.TRADE: 20 * MS, Kind.DEPTH: 300 * MS}


def test_every_handler_has_an_oracle_and_a_probe() -> None:
    assert set(ORACLES) == set(HANDLERS)
    assert set(PROBES) == set(HANDLERS)


def member(unit: str, n: int) -> str:
    """A handler of the unit, for the tests whose decisions carry one handler's numbers."""
    return UNITS[unit][n % len(UNITS[unit])]


def follow(name: str, events: list[Event], market: Reference, **settings: str) -> None:
    """Fold a tape event by event and compare each oracle with its handler after each."""
    c = probe(name)
    fold, sink = new_fold(c, {k.replace("__", "."): v for k, v in settings.items()})
    tape = pack(events)
    for n, e in enumerate(events):
        fold.feed(*tape.batch(n, n + 1))
        if e["kind"] not in c.kinds:
            continue
        market.event(e)
        if len(events) < 60 or n % 29 == 0 or n + 1 == len(events):
            compare(c, fold, market)
    fold.finish()
    assert sink.rows("decision")["ts_ns"].tolist() == market.boundaries
    assert int(fold.state["core"]["skipped_boundaries"][0]) == market.skipped


def compare(c: Any, fold: Any, market: Reference) -> None:
    for name, oracle in market.oracles.items():
        oracle.check(fold.state[name][0])
    if "footprint" in market.oracles:
        market.oracle("footprint").check_closed(fold.state["candles"]["ring"][0])


def market_of(name: str, **changes: Any) -> Reference:
    return Reference(needed(name), **changes)


def company_of(unit: str) -> Reference:
    """Oracles of every handler that the unit's fold holds."""
    return Reference(tuple(h.name for h in probe(UNITS[unit][0]).handlers))


def needed(name: str) -> tuple[str, ...]:
    """The handler and all that it needs: a test of one need not follow its company."""
    return tuple(h.name for h in resolve((name,)))


@together
@EXAMPLES
@given(tapes(8))
def test_agrees_with_its_oracle(unit: str, plot: Plot) -> None:
    name = UNITS[unit][0]
    follow(name, write(plot), company_of(unit))


@together
@pytest.mark.parametrize("seed", [4, 8])
def test_agrees_with_its_oracle_on_a_long_tape(unit: str, seed: int) -> None:
    name = UNITS[unit][0]
    follow(name, fixed(seed, 40), company_of(unit))


@together
@settings(EXAMPLES, max_examples=max(4, EXAMPLES.max_examples // 3))
@given(tapes(8))
def test_agrees_with_its_oracle_when_feeds_are_late(unit: str, plot: Plot) -> None:
    name = UNITS[unit][0]
    events = write(plot)
    late = {k.replace(".", "__"): v for k, v in LATENCY.items()}
    follow(name, events, market_of(name, latency=WITH_LATENCY), **late)


@together
@EXAMPLES
@given(tapes(12), st.integers(0, 2**20))
def test_cuts_change_nothing(unit: str, plot: Plot, seed: int) -> None:
    name = member(unit, seed)
    events = write(plot)
    c, tape = probe(name), pack(events)
    n = len(tape)
    want = fold_cut(c, tape).digests
    assert fold_cut(c, tape).digests == want, "twice the same"
    for cuts in (every(n, 1), every(n, 7), every(n, 4096), random_cuts(n, seed)):
        assert fold_cut(c, tape, cuts).digests == want


@together
@EXAMPLES
@given(tapes(10), st.integers(0, 2**20))
def test_step_is_the_fold(unit: str, plot: Plot, seed: int) -> None:
    name = member(unit, seed)
    events = write(plot)
    assert fold_steps(probe(name), events).digests == fold_events(probe(name), events).digests


@together
@EXAMPLES
@given(tapes(10), st.floats(0, 1))
def test_a_snapshot_goes_on_as_if_nothing_had_been(unit: str, plot: Plot, share: float) -> None:
    name = member(unit, int(1000 * share))
    events = write(plot)
    c, tape = probe(name), pack(events)
    cut = int(share * len(tape))
    first, sink = new_fold(c)
    first.feed(*tape.batch(0, cut))
    first.drain()
    kept = first.snapshot()
    second, _ = new_fold(c)
    second.sink = sink  # the records go on where they stopped
    second.restore(kept)
    step_all(second, events[cut:])
    assert first.snapshot() == kept, "a snapshot shares nothing with the fold that goes on"
    assert result(second, sink).digests == fold_cut(c, tape).digests


@together
@EXAMPLES
@given(tapes(10), st.floats(0, 1))
def test_the_future_changes_no_decision(unit: str, plot: Plot, share: float) -> None:
    name = member(unit, int(1000 * share))
    events = write(plot)
    prefix_invariant(probe(name), events, int(share * len(events)))


def prefix_invariant(c: Any, events: list[Event], cut: int) -> None:
    """Decisions up to the cut are the first decisions of the whole, in one batch."""
    early = fold_events(c, events[:cut]).sink.rows("decision")
    late = fold_events(c, events).sink.rows("decision")[: len(early)]
    table = RECORDS["decision"]
    assert packed(table, early) == packed(table, late)


def snapshot_of(tape: Packed) -> dict[tuple[Kind, str], bytes]:
    return {(k, n): a.tobytes() for k, cols in tape.columns.items() for n, a in cols.items()}


@together
def test_columns_are_only_read_and_memory_is_fixed(unit: str) -> None:
    name = UNITS[unit][0]
    c, tape = probe(name), pack(fixed(11))
    before = snapshot_of(tape)
    fold, _ = new_fold(c)
    size, at = fold.state.nbytes, fold.state.ctypes.data
    fold.feed(*tape.batch(0, len(tape)))
    assert snapshot_of(tape) == before
    assert (fold.state.nbytes, fold.state.ctypes.data) == (size, at)
    assert not c.state.hasobject
    assert len(fold.snapshot()) == c.state.itemsize < 420_000


@together
def test_events_are_counted(unit: str) -> None:
    events = fixed(5)
    c = probe(UNITS[unit][0])
    fold = fold_events(c, events).fold
    bad = int(fold.state["sides"]["invalid"][0])
    assert bad == int(fold.state["core"]["invalid_trades"][0]) > 0
    for kind in c.kinds:
        have = sum(e["kind"] == kind for e in events)
        assert fold.events[kind] == have - (bad if kind == Kind.TRADE else 0)
    assert int(fold.state["core"]["decisions"][0]) == len(
        fold_events(c, events).sink.rows("decision")
    )


def test_the_long_tape_holds_every_disorder() -> None:
    """A suite over a tame tape would prove nothing."""
    events = fixed(4, 40)
    kinds = {Kind(e["kind"]) for e in events}
    assert kinds == {
        Kind.TRADE,
        Kind.DEPTH,
        Kind.QUOTE,
        Kind.BAR,
        Kind.GAP,
        Kind.CLOCK,
        Kind.CONTROL,
    }
    ts = np.array([e["ts_ns"] for e in events])
    assert (np.diff(ts) < 0).any()
    assert np.bincount(np.unique(ts, return_inverse=True)[1]).max() > 100
    fold = fold_events(probe("footprint"), events).fold
    assert int(fold.state["footprint"]["merges"][0]) > 0
    assert int(fold.state["candles"]["late"][0]) > 0
    crossed = fold_events(probe("book"), events).fold
    assert int(crossed.state["book"]["crossed"][0]) > 0
