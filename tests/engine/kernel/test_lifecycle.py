"""The life cycle of a trade: the whole table against prose, no traps, and a machine that plays."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from data.events import Lifecycle
from engine.kernel import lifecycle as life
from engine.kernel.core import KNOWN
from tests.engine.tapes import S

PROSE = """
SCAN takes IDLE to SCANNING; it leaves SCANNING where it is.
REST takes SCANNING or SIGNAL_DETECTED to IDLE; it leaves IDLE where it is.
SIGNAL takes SCANNING to SIGNAL_DETECTED; it leaves SIGNAL_DETECTED where it is.
NO_SIGNAL takes SIGNAL_DETECTED to SCANNING; it leaves SCANNING where it is.
ENTER takes SIGNAL_DETECTED to POSITION_ENTRY.
OPENED takes IDLE or SCANNING or SIGNAL_DETECTED or POSITION_ENTRY or COOLDOWN or BLOCKED to
    IN_POSITION; it leaves IN_POSITION or PAUSED where it is.
REFUSED takes POSITION_ENTRY to COOLDOWN, POSITION_EXIT to IN_POSITION.
EXPIRED takes SIGNAL_DETECTED to SCANNING, POSITION_ENTRY to COOLDOWN.
EXIT takes IN_POSITION to POSITION_EXIT; it leaves POSITION_EXIT or PAUSED where it is.
CLOSED takes IN_POSITION or POSITION_EXIT to COOLDOWN; it leaves PAUSED where it is.
BLOCK takes IDLE or SCANNING or SIGNAL_DETECTED or POSITION_ENTRY or COOLDOWN to BLOCKED; it leaves
    BLOCKED where it is.
UNBLOCK takes BLOCKED to SCANNING.
PAUSE takes IDLE or SCANNING or SIGNAL_DETECTED or POSITION_ENTRY or IN_POSITION or POSITION_EXIT
    or COOLDOWN or BLOCKED to PAUSED; it leaves PAUSED where it is.
RESUME takes PAUSED to IDLE.
TIMEOUT takes SIGNAL_DETECTED or BLOCKED or COOLDOWN to SCANNING, POSITION_ENTRY to COOLDOWN,
    POSITION_EXIT to IN_POSITION.
"""


def told() -> dict[tuple[str, str], str]:
    """The table that the prose tells: (state, event) -> state."""
    table = {}
    for sentence in PROSE.strip().split("."):
        words = " ".join(sentence.split())
        if not words:
            continue
        event, takes = words.split(" takes ")
        takes, _, leaves = takes.partition("; it leaves ")
        for part in takes.split(", "):
            froms, to = part.split(" to ")
            table.update({(state, event): to for state in froms.split(" or ")})
        for state in re.findall(r"[A-Z_]+", leaves):
            table[state, event] = state
    return table


TOLD = told()
PAIRS = list(itertools.product(Lifecycle, range(len(life.EVENT_NAMES))))
TIMED = ("SIGNAL_DETECTED", "POSITION_ENTRY", "POSITION_EXIT", "COOLDOWN", "BLOCKED")
LIMITS = {"signal_ns": 30, "entry_ns": 20, "exit_ns": 25, "cooldown_ns": 15, "blocked_ns": 60}


def fresh(state: Lifecycle = Lifecycle.IDLE, since: int = 0) -> np.ndarray:
    s = np.zeros(1, life.LIFECYCLE_STATE)
    s["state"], s["since_ns"] = int(state), since
    return s


def limits(**seconds: int) -> np.ndarray:
    p = np.zeros(1, life.LIFECYCLE_PARAMS)
    for name, value in (LIMITS | seconds).items():
        p[name] = value * S
    return p


def account(qty: int = 0, orders: int = 0, closed: int = 0, position: int = 0) -> np.ndarray:
    k = np.zeros(1, KNOWN)
    k["qty"], k["open_orders"] = qty, orders
    k["closed_positions"], k["position_id"] = closed, position
    return k


@pytest.mark.parametrize(
    ("state", "event"), PAIRS, ids=[f"{a.name}-{life.EVENT_NAMES[b]}" for a, b in PAIRS]
)
def test_every_pair_is_what_the_prose_says(state: Lifecycle, event: int) -> None:
    s = fresh(state, 7)
    want = TOLD.get((state.name, life.EVENT_NAMES[event]))
    assert life.lifecycle_may(s[0], event) == (want is not None)
    assert life.lifecycle_event(s[0], event, 99) == (want is not None)
    after = Lifecycle(int(s["state"][0]))
    assert after.name == (want or state.name)
    moved = after != state
    assert int(s["since_ns"][0]) == (99 if moved else 7)
    assert s["entered"][0].tolist() == [int(moved and x == after) for x in Lifecycle]
    legal = int(want is not None)
    assert (int(s["steps"][0]), int(s["illegal"][0])) == (legal, 1 - legal)
    if not legal:
        assert (int(s["illegal_state"][0]), int(s["illegal_event"][0])) == (state, event)
        assert int(s["event_ns"][0]) == 0


def reachable(start: str, events: set[str]) -> set[str]:
    found, edge = {start}, [start]
    while edge:
        state = edge.pop()
        new = {to for (a, e), to in TOLD.items() if a == state and e in events} - found
        found |= new
        edge += new
    return found


def test_every_state_is_reached_by_events_alone_and_none_is_a_trap() -> None:
    every = {x.name for x in Lifecycle}
    assert {e for _, e in TOLD} == set(life.EVENT_NAMES), "no event is without a use"
    for state in every:
        assert reachable(state, set(life.EVENT_NAMES)) == every, state


SHORT = [x for x in Lifecycle if x not in (Lifecycle.IDLE, Lifecycle.PAUSED)]


@pytest.mark.parametrize("state", SHORT)
def test_time_alone_leads_back_to_scanning(state: Lifecycle) -> None:
    """A flat account and a clock: nobody asks for anything."""
    s, p, k = fresh(state), limits(), account()
    for step in range(1, 40):
        life.lifecycle_follow(s[0], p[0], k[0], 0, step * 5 * S)
    assert Lifecycle(int(s["state"][0])) == Lifecycle.SCANNING
    assert int(s["illegal"][0]) == 0


@pytest.mark.parametrize("state", list(Lifecycle))
def test_without_limits_the_operator_and_the_strategy_lead_back(state: Lifecycle) -> None:
    s, k = fresh(state), account()
    p = limits(**dict.fromkeys(LIMITS, 0))
    for step in range(1, 4):
        now = step * 5 * S
        life.lifecycle_follow(s[0], p[0], k[0], 0, now)
        life.lifecycle_block(s[0], 0, now)
        life.lifecycle_look(s[0], True, now)
        life.lifecycle_signal(s[0], False, now)
    assert Lifecycle(int(s["state"][0])) == Lifecycle.SCANNING
    assert int(s["illegal"][0]) == 0


@pytest.mark.parametrize(
    ("state", "name", "after"),
    [
        (Lifecycle.SIGNAL_DETECTED, "signal_ns", Lifecycle.SCANNING),
        (Lifecycle.POSITION_ENTRY, "entry_ns", Lifecycle.COOLDOWN),
        (Lifecycle.POSITION_EXIT, "exit_ns", Lifecycle.IN_POSITION),
        (Lifecycle.COOLDOWN, "cooldown_ns", Lifecycle.SCANNING),
        (Lifecycle.BLOCKED, "blocked_ns", Lifecycle.SCANNING),
    ],
)
def test_limits_end_a_state_on_the_nanosecond(state: Any, name: str, after: Any) -> None:
    s, p = fresh(state, 1000), limits()
    assert life.lifecycle_limit(p[0], int(state)) == LIMITS[name] * S
    assert not life.lifecycle_time(s[0], p[0], 999 + LIMITS[name] * S)
    assert life.lifecycle_time(s[0], p[0], 1000 + LIMITS[name] * S)
    assert Lifecycle(int(s["state"][0])) == after
    s, p = fresh(state, 1000), limits(**{name: 0})
    at_once = state == Lifecycle.COOLDOWN
    assert life.lifecycle_time(s[0], p[0], 1 << 61) == at_once


@pytest.mark.parametrize("state", ["IDLE", "SCANNING", "IN_POSITION", "PAUSED"])
def test_some_states_know_no_time(state: str) -> None:
    s, p = fresh(Lifecycle[state]), limits()
    assert not life.lifecycle_time(s[0], p[0], 1 << 61)
    assert int(s["illegal"][0]) == 0


def test_a_trade_that_lived_between_two_boundaries_is_told() -> None:
    s, p = fresh(Lifecycle.POSITION_ENTRY), limits(cooldown_ns=15)
    life.lifecycle_follow(s[0], p[0], account(closed=1)[0], 0, 5 * S)
    assert Lifecycle(int(s["state"][0])) == Lifecycle.COOLDOWN
    assert int(s["entered"][0][Lifecycle.IN_POSITION]) == 1
    assert int(s["illegal"][0]) == 0


def test_a_fill_behind_its_own_time_limit_is_a_position() -> None:
    s, p = fresh(Lifecycle.POSITION_ENTRY), limits()
    life.lifecycle_follow(s[0], p[0], account(orders=1)[0], 0, 20 * S)
    assert Lifecycle(int(s["state"][0])) == Lifecycle.COOLDOWN
    assert life.lifecycle_withdraws(s[0], account(orders=1)[0])
    assert not life.lifecycle_withdraws(s[0], account()[0])
    life.lifecycle_follow(s[0], p[0], account(qty=-3, position=1)[0], 0, 25 * S)
    assert Lifecycle(int(s["state"][0])) == Lifecycle.IN_POSITION
    assert not life.lifecycle_withdraws(s[0], account(qty=-3, orders=1)[0])


def test_a_reversal_is_two_trades_and_a_partial_exit_is_none() -> None:
    s, p = fresh(), limits()
    for n, k in enumerate(
        (account(5, 0, 0, 1), account(2, 0, 0, 1), account(-4, 0, 1, 2), account(0, 0, 2)), 1
    ):
        life.lifecycle_follow(s[0], p[0], k[0], 0, n * 5 * S)
    assert int(s["entered"][0][Lifecycle.IN_POSITION]) == 2
    assert int(s["entered"][0][Lifecycle.COOLDOWN]) == 2
    assert Lifecycle(int(s["state"][0])) == Lifecycle.COOLDOWN


def test_a_block_keeps_its_reason_as_long_as_it_lasts() -> None:
    s = fresh(Lifecycle.SCANNING)
    life.lifecycle_block(s[0], 4, 5)
    life.lifecycle_block(s[0], 6, 9)
    assert (int(s["reason"][0]), int(s["since_ns"][0])) == (6, 5)
    life.lifecycle_block(s[0], 0, 11)
    assert (int(s["state"][0]), int(s["reason"][0])) == (Lifecycle.SCANNING, 0)
    for state in (Lifecycle.IN_POSITION, Lifecycle.POSITION_EXIT, Lifecycle.PAUSED):
        s = fresh(state)
        life.lifecycle_block(s[0], 4, 5)
        life.lifecycle_block(s[0], 0, 5)
        assert (int(s["state"][0]), int(s["reason"][0]), int(s["illegal"][0])) == (state, 0, 0)


class Life(RuleBasedStateMachine):
    """Anybody says anything at any time; between boundaries the account does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.s, self.p = fresh(), limits()
        self.now = 0
        self.paused = 0
        self.k = {"qty": 0, "orders": 0, "closed": 0, "position": 0}
        self.at, self.since = "IDLE", 0
        self.entered: Counter[str] = Counter()
        self.illegal = 0
        self.settled = False

    def follow_plainly(self) -> None:
        """After a boundary the oracle only takes note: the invariants below judge it."""
        s = self.s[0]
        self.at, self.since = Lifecycle(int(s["state"])).name, int(s["since_ns"])
        self.entered = Counter({x.name: int(s["entered"][x]) for x in Lifecycle})

    @rule(event=st.integers(0, len(life.EVENT_NAMES) - 1), later=st.integers(0, 9))
    def say(self, event: int, later: int) -> None:
        self.now += later * S
        self.settled = False
        life.lifecycle_event(self.s[0], event, self.now)
        after = TOLD.get((self.at, life.EVENT_NAMES[event]))
        if after is None:
            self.illegal += 1
        elif after != self.at:
            self.at, self.since = after, self.now
            self.entered[after] += 1

    @rule()
    def ask(self) -> None:
        self.k["orders"] = 1
        self.settled = False

    @precondition(lambda self: self.k["orders"])
    @rule(qty=st.sampled_from([0, 0, 3, -3]))
    def answer(self, qty: int) -> None:
        self.k["orders"] = 0
        self.settled = False
        if self.k["qty"] == 0 and qty:
            self.k["qty"] = qty
            self.k["position"] += 1
        elif self.k["qty"] and qty:
            self.k["qty"] = 0
            self.k["closed"] += 1

    @rule(paused=st.booleans())
    def operate(self, paused: bool) -> None:
        self.paused = int(paused)
        self.settled = False

    @rule(later=st.integers(1, 8))
    def boundary(self, later: int) -> None:
        self.now += later * 5 * S
        k = account(self.k["qty"], self.k["orders"], self.k["closed"], self.k["position"])
        life.lifecycle_follow(self.s[0], self.p[0], k[0], self.paused, self.now)
        self.follow_plainly()
        self.settled = True

    @invariant()
    def agrees(self) -> None:
        s = self.s[0]
        assert Lifecycle(int(s["state"])).name == self.at
        assert int(s["since_ns"]) == self.since
        assert {x.name: int(s["entered"][x]) for x in Lifecycle} == {
            x.name: self.entered[x.name] for x in Lifecycle
        }
        assert int(s["illegal"]) == self.illegal, "what follows the account is never illegal"

    @invariant()
    def the_account_is_right(self) -> None:
        if not self.settled:
            return
        assert (self.at == "PAUSED") == bool(self.paused)
        holds = self.at in ("IN_POSITION", "POSITION_EXIT")
        assert self.paused or holds == (self.k["qty"] != 0)
        if self.at in ("POSITION_ENTRY", "POSITION_EXIT"):
            assert self.k["orders"], "the account ends both"
        names = dict(zip(TIMED, LIMITS, strict=True))
        if self.at in names:
            assert self.now - self.since < LIMITS[names[self.at]] * S


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
