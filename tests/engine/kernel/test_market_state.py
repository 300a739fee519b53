"""The market's state: the table exhaustively, then each state from events."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from data.events import Kind
from engine.kernel.market_state import (
    COOLDOWN,
    MANIPULATED,
    NORMAL,
    PUMP,
    STALE,
    STATES,
    TABLE,
    market_event,
)
from engine.runtime.parameters import build, settle
from tests.engine.driving import SCALES, fold_events, probe
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import MS, START, Author, Event, S

BASE = START // (5 * S) * 5 * S
ALL = range(STATES)


def params() -> Any:
    c = probe("market_state")
    return build(c, settle(c, {}), SCALES)["market_state"][0]


def reachable(edges: dict[int, set[int]], start: int) -> set[int]:
    seen, todo = {start}, [start]
    while todo:
        for nxt in edges[todo.pop()] - seen:
            seen.add(nxt)
            todo.append(nxt)
    return seen


def test_the_table_is_whole_and_every_state_is_reached_from_every_other() -> None:
    assert TABLE.shape == (STATES, 5)
    edges = {s: {int(x) for x in TABLE[s]} for s in ALL}
    assert all(reachable(edges, s) == set(ALL) for s in ALL)


def test_every_state_by_every_input() -> None:
    """All inputs around every threshold: the same closure, and no state is a trap when calm."""
    p = params()
    scores = [0, 599_999_999, 600_000_000, 649_999_999, 650_000_000, 700_000_000, 720_000_000]
    ages = [0, 5 * S, 10 * S, 12 * S, 60 * S]
    edges: dict[int, set[int]] = {s: set() for s in ALL}
    for s, age, stale, spoof, pump, jump in itertools.product(
        ALL, ages, (False, True), scores, scores, (0, 1)
    ):
        nxt = int(TABLE[s, market_event(p, s, age, stale, spoof, pump, jump)])
        edges[s].add(nxt)
        if stale:
            assert nxt == STALE, "nothing is graver"
        elif spoof >= 720_000_000:
            assert nxt == MANIPULATED
    for s in (PUMP, MANIPULATED, COOLDOWN):
        assert edges[s] == set(ALL) - ({NORMAL} if s != COOLDOWN else set())
    for start in ALL:
        s, age = start, 0
        for _ in range(8):  # calm boundaries, five seconds each
            nxt = int(TABLE[s, market_event(p, s, age, False, 0, 0, 0)])
            s, age = nxt, (age + 5 * S if nxt == s else 5 * S)
        assert s == NORMAL, "calm for forty seconds ends every state"


def test_two_thresholds_and_least_times() -> None:
    p = params()

    def after(state: int, age: int, spoof: int = 0, pump: int = 0) -> int:
        return int(TABLE[state, market_event(p, state, age, False, spoof, pump, 0)])

    assert after(NORMAL, S, 0, 650_000_000) == NORMAL
    assert after(PUMP, 60 * S, 0, 650_000_000) == PUMP
    assert after(PUMP, 60 * S, 0, 599_999_999) == COOLDOWN
    assert after(PUMP, 5 * S) == PUMP, "at least ten seconds"
    assert after(NORMAL, S, 700_000_000) == NORMAL
    assert after(MANIPULATED, 60 * S, 700_000_000) == MANIPULATED
    assert after(MANIPULATED, 60 * S, 649_999_999) == COOLDOWN
    assert after(MANIPULATED, 5 * S, 0, 900_000_000) == MANIPULATED, "the graver one stands first"
    assert after(COOLDOWN, 10 * S) == COOLDOWN
    assert after(COOLDOWN, 12 * S) == NORMAL


def tape(seconds: int = 500, pump: int = 0, wall: bool = False, silent: range = range(0),
         seed: int = 1, unit: int = 1) -> list[Event]:  # fmt: skip
    """Calm trades and books; from second 400 on ``pump`` ticks a trade in a burst of ten trades;
    walls that come and go; no event at all in ``silent``."""
    a, r = Author(), random.Random(seed)
    price = 1_000_000
    for n in range(seconds):
        if n in silent:
            continue
        burst = pump and 401 <= n < 405
        for x in range(40 if burst else 2):
            a.now = BASE + n * S + x * 20 * MS + MS
            price += pump if burst else r.choice((-1, 1))
            a.add(Kind.TRADE, price=price, qty=(50 if burst else r.randint(5, 15)) * unit,
                  side=1 if pump >= 0 else -1)  # fmt: skip
        for half in (0, 1):
            a.now = BASE + n * S + 900 * MS + half * 50 * MS
            bids, asks = [1000 * unit] * 10, [1000 * unit] * 10
            if wall and n % 8 < 4:
                bids[2] = 9000 * unit
            a.add(Kind.DEPTH, bid_price=[price - x for x in range(10)], bid_qty=bids,
                  ask_price=[price + 1 + x for x in range(10)], ask_qty=asks)  # fmt: skip
    return a.events


def states(events: list[Event], **settings: str) -> list[int]:
    given = {f"market_state.{k}": v for k, v in settings.items()}
    rows = fold_events(probe("market_state"), events, given).sink.rows("decision")
    return [int(x) for x in rows["delta"]]


def runs(values: list[int]) -> list[int]:
    return [k for k, _ in itertools.groupby(values)]


@pytest.mark.parametrize("way", [9, -9])
def test_a_pump_is_told_with_its_side_and_passes(way: int) -> None:
    events = tape(pump=way)
    assert runs(states(events)) == [NORMAL, PUMP, COOLDOWN, NORMAL]
    rows = fold_events(probe("market_state"), events).sink.rows("decision")
    sides = {int(x) - 3 for x, d in zip(rows["book_fp9"], rows["delta"], strict=True) if d == PUMP}
    assert sides == {1 if way > 0 else -1}
    assert runs(states(tape(pump=way, unit=10**9))) == [NORMAL, PUMP, COOLDOWN, NORMAL]


def test_a_calm_market_stays_normal() -> None:
    for seed in range(4):
        assert set(states(tape(1500, seed=seed))) == {NORMAL}


def test_walls_that_come_and_go_manipulate() -> None:
    out = states(tape(120, wall=True))
    assert MANIPULATED in out
    assert runs(states(tape(400, wall=False))) == [NORMAL]


def test_silence_is_stale_and_cools_down() -> None:
    out = runs(states(tape(300, silent=range(100, 130))))
    assert out == [NORMAL, STALE, COOLDOWN, NORMAL]


def test_a_jump_is_a_pump_by_itself_but_not_in_the_seed() -> None:
    events = tape(60)
    for e in events:
        if e["ts_ns"] >= BASE + 31 * S:
            for name in ("price", "bid_price", "ask_price"):
                if name in e:
                    e[name] = [x + 70_000 for x in e[name]] if name != "price" else e[name] + 70_000
    assert PUMP in states(events)
    assert set(states(events, mode="seed")) == {NORMAL}


@pytest.mark.parametrize("stream", [Kind.TRADE, Kind.DEPTH])
def test_a_step_over_a_gap_moves_no_score(stream: Kind) -> None:
    events = tape(pump=9)
    at = next(n for n, e in enumerate(events) if e["ts_ns"] >= BASE + 404 * S)
    ts = events[at]["ts_ns"]
    gap = {"kind": Kind.GAP, "ts_ns": ts, "id": 0, "stream": int(stream), "from_ns": ts,
           "to_ns": ts, "filled": 0}  # fmt: skip
    assert set(states([*events[:at], gap, *events[at:]])) == {NORMAL}


def test_every_state_by_events() -> None:
    out = {
        *states(tape(pump=9)), *states(tape(120, wall=True)),
        *states(tape(300, silent=range(100, 130))),
    }  # fmt: skip
    assert out == {NORMAL, STALE, PUMP, MANIPULATED, COOLDOWN}


@pytest.mark.parametrize("plot", [{"pump": 9}, {"wall": True}, {"silent": range(350, 380)}])
def test_agrees_with_its_oracle_in_every_state(plot: dict[str, Any]) -> None:
    follow("market_state", tape(seconds=460, **plot), market_of("market_state"))


def test_states_fit_the_table() -> None:
    assert TABLE.dtype == np.int64
    assert TABLE.min() == NORMAL
    assert TABLE.max() == COOLDOWN
