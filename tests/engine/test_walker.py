"""From events in a log to the state of the trade: all nine states, a halt, midnight, a snapshot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.events import RECORDS, Action, ExitReason, Kind, Lifecycle, Scales
from data.log import LogStore
from engine.kernel.lifecycle import ENTER, TRANSITIONS, lifecycle_event
from engine.kernel.risk import REFUSALS
from engine.runtime.backtest import backtest
from engine.runtime.records import read_rows
from engine.runtime.replay import Request, violations
from tests.engine import walker
from tests.engine.driving import (
    Result,
    every,
    fold_cut,
    fold_events,
    fold_steps,
    new_fold,
    random_cuts,
    result,
    whole,
)  # fmt: skip
from tests.engine.kernel.test_handlers import CAMPAIGN
from tests.engine.runtime.make_run import SYMBOL, VENUE, columns
from tests.engine.tapes import Event, S, pack

WALKER = whole(walker.STRATEGY)


def bits(*names: str) -> int:
    return sum(1 << REFUSALS.index(n) for n in names)


def log_of(events: list[Event], folder: Path) -> LogStore:
    store = LogStore(folder, create=True)
    with store.transaction() as change:
        for kind in (Kind.TRADE, Kind.DEPTH, Kind.CONTROL):
            rows = [e for e in events if e["kind"] == kind]
            change.merge(kind, VENUE, SYMBOL, columns(kind, rows), Scales(1, 3))
    return store


def test_all_nine_states_are_in_the_decisions_of_a_run_over_a_log(tmp_path: Path) -> None:
    events = walker.all_nine()
    store = log_of(events, tmp_path / "log")
    request = Request(walker.STRATEGY, "walker", settings=walker.NINE)
    run = backtest(store, "log", request, tmp_path / "runs")
    table = RECORDS["decision"]
    path = tmp_path / "runs" / run["run"] / f"{table.view}.parquet"
    rows = np.concatenate(list(read_rows(path, table)))
    seen = [Lifecycle(x) for x in rows["lifecycle"].tolist()]
    assert set(seen) == set(Lifecycle)
    order = [b for a, b in zip([None, *seen], seen, strict=False) if a != b]
    trade = [Lifecycle.SIGNAL_DETECTED, Lifecycle.POSITION_ENTRY, Lifecycle.IN_POSITION,
             Lifecycle.POSITION_EXIT, Lifecycle.COOLDOWN]  # fmt: skip
    assert order[:13] == [Lifecycle.IDLE, Lifecycle.SCANNING, *trade, Lifecycle.SCANNING, *trade]
    assert order[13:] == [
        Lifecycle.BLOCKED, Lifecycle.SCANNING, Lifecycle.SIGNAL_DETECTED, Lifecycle.POSITION_ENTRY,
        Lifecycle.PAUSED, Lifecycle.IN_POSITION, Lifecycle.POSITION_EXIT,
    ], "the operator paused while the entry was under way: it was filled all the same"  # fmt: skip
    assert run["refusals"] == list(REFUSALS)
    assert run["violations"] == {}
    assert run["digest"] == fold_events(WALKER, events, walker.NINE).digest


def test_states_follow_the_orders_and_the_account() -> None:
    done = fold_events(WALKER, walker.all_nine(), walker.NINE)
    life = done.fold.state["lifecycle"][0]
    assert int(life["illegal"]) == 0
    rows = done.sink.rows("decision")
    rows = rows[rows["lifecycle"] != Lifecycle.PAUSED]
    held = np.isin(rows["lifecycle"], [Lifecycle.IN_POSITION, Lifecycle.POSITION_EXIT])
    assert np.array_equal(held, rows["position"] != 0)
    entered = rows[rows["action"] == Action.ENTER_LONG]
    assert (entered["lifecycle"] == Lifecycle.POSITION_ENTRY).all()
    assert (entered["qty"] > 0).all()
    assert (entered["risk"] <= 10**10 * 101 // 100).all(), "a hundredth of 10,000 and of a gain"
    steps = {(int(a), int(b)) for (a, _), b in TRANSITIONS.items()}
    two = steps | {(a, d) for a, b in steps for c, d in steps if b == c}
    pairs = zip(rows["lifecycle"].tolist(), rows["lifecycle"][1:].tolist(), strict=False)
    assert set(pairs) <= two | {(x, x) for x in range(9)}
    blocked = rows[rows["lifecycle"] == Lifecycle.BLOCKED]
    assert set(blocked["refused"].tolist()) == {bits("cooldown")}
    assert (np.diff(blocked["ts_ns"]) == 5 * S).all()


def test_an_illegal_step_is_a_violation_of_the_run() -> None:
    done = fold_events(WALKER, walker.halted()[:9])
    assert violations(done.fold) == {}
    lifecycle_event(done.fold.state["lifecycle"][0], ENTER, 0)
    assert violations(done.fold) == {"illegal step of the life cycle": 1}


def halt(**settings: str) -> Result:
    named = {k.replace("__", "."): v for k, v in settings.items()}
    return fold_events(WALKER, walker.halted(), walker.HALT | named)


def test_a_daily_loss_closes_the_position_and_the_next_day_trades_again() -> None:
    done = halt()
    positions = done.sink.rows("position")
    first, second = positions["exit_reason"].tolist()[:2]
    assert (first, second) == (ExitReason.RISK, ExitReason.TIME)
    rows = done.sink.rows("decision")
    exits = rows[rows["action"] == Action.EXIT]
    assert exits["exit_reason"][0] == ExitReason.RISK
    midnight = 1_729_976_400 * S
    after = rows[(rows["ts_ns"] > exits["ts_ns"][0]) & (rows["ts_ns"] < midnight)]
    assert (after["refused"][after["lifecycle"] != Lifecycle.PAUSED] & bits("daily_loss")).all()
    assert Lifecycle.BLOCKED in after["lifecycle"]
    entries = rows[rows["action"] == Action.ENTER_LONG]["ts_ns"]
    assert len(entries) == 2
    assert entries[0] < midnight < entries[1]


def test_in_another_zone_the_day_is_not_over() -> None:
    done = halt(risk__zone="UTC")
    assert (done.sink.rows("decision")["action"] == Action.ENTER_LONG).sum() == 1
    assert int(done.fold.state["risk"]["daily_halt"][0]) == 1


def test_a_halt_that_holds_leaves_the_position_to_its_exits() -> None:
    done = halt(risk__on_halt="hold")
    assert done.sink.rows("position")["exit_reason"][0] == ExitReason.TIME


def test_a_halt_survives_a_restart_anywhere() -> None:
    events = walker.halted()
    tape = pack(events)
    want = halt(risk__zone="UTC").digests
    for cut in (*range(0, len(events), 61), len(events)):
        first, sink = new_fold(WALKER, walker.HALT | {"risk.zone": "UTC"})
        first.feed(*tape.batch(0, cut))
        first.drain()
        second, _ = new_fold(WALKER, walker.HALT | {"risk.zone": "UTC"})
        second.sink = sink
        second.restore(first.snapshot())
        if cut < len(events):
            second.feed(*tape.batch(cut, len(events)))
        assert result(second, sink).digests == want


@pytest.mark.parametrize("make", [walker.all_nine, walker.halted])
def test_cuts_and_steps_change_nothing(make: object) -> None:
    assert callable(make)
    events, settings = make(), walker.HALT | walker.NINE
    tape = pack(events)
    want = fold_cut(WALKER, tape, (), settings).digests
    n = len(events)
    for cuts in (every(n, 1), every(n, 7), random_cuts(n, 3)):
        assert fold_cut(WALKER, tape, cuts, settings).digests == want
    if CAMPAIGN:  # a compile of its own; the steps of its handlers are held by test_handlers
        assert fold_steps(WALKER, events, settings).digests == want
