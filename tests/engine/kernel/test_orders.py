"""The life cycle of an order, walked in full: every state, every event."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numba import njit

from data.events import OrderState
from engine.kernel.orders import (
    ACCEPT,
    CANCEL,
    EVENT_NAMES,
    FILL_ALL,
    FILL_PART,
    REFUSE,
    SUBMIT,
    TERMINAL,
    TRANSITIONS,
    advance,
    is_live,
)

EVENTS = (SUBMIT, REFUSE, ACCEPT, FILL_PART, FILL_ALL, CANCEL)
ORDER = np.dtype([("state", "i8")])


@njit
def step(order: Any, event: int) -> bool:
    return advance(order, event)


@njit
def live(state: int) -> bool:
    return is_live(state)


def after(state: OrderState, event: int) -> tuple[bool, int]:
    order = np.zeros(1, dtype=ORDER).view(np.recarray)[0]
    order.state = int(state)
    legal = bool(step(order, event))
    return legal, int(order.state)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(OrderState, EVENTS)))
def test_the_compiled_table_is_the_written_one(state, event):
    legal, reached = after(state, event)
    assert legal == ((state, event) in TRANSITIONS)
    assert reached == TRANSITIONS.get((state, event), state)


def test_every_state_is_reached_from_the_empty_one():
    reached = {OrderState.EMPTY}
    while True:
        more = {b for (a, _), b in TRANSITIONS.items() if a in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(OrderState)


def test_terminal_states_absorb_everything_and_no_other_state_does():
    leaves = {a for a, _ in TRANSITIONS}
    assert set(OrderState) - leaves == set(TERMINAL)


def test_filled_is_reached_by_a_fill_only_and_rejected_never_after_acceptance():
    assert {e for (_, e), b in TRANSITIONS.items() if b == OrderState.FILLED} == {FILL_ALL}
    before = {a for (a, _), b in TRANSITIONS.items() if b == OrderState.REJECTED}
    assert before == {OrderState.EMPTY, OrderState.PENDING}


def test_nothing_returns_to_empty_or_pending_once_it_has_left():
    assert all(b != OrderState.EMPTY for b in TRANSITIONS.values())
    assert {a for (a, _), b in TRANSITIONS.items() if b == OrderState.PENDING} == {OrderState.EMPTY}


def test_live_is_working_or_partial():
    assert {s for s in OrderState if live(int(s))} == {OrderState.WORKING, OrderState.PARTIAL}


def test_every_event_has_a_name_and_a_use():
    assert len(EVENT_NAMES) == len(EVENTS) == len({e for _, e in TRANSITIONS})
