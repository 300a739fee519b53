"""The life cycle of an order: the one table that says what may follow what.

Everything that decides the state of an order lives in this file. Nothing else in the project
assigns to ``order.state``; whoever wants an order to become something else names an *event* and
calls :func:`advance`. The table is small enough to be read, and a test walks all of it.

The states
----------

``EMPTY``      no order yet: what a new slot holds. An order leaves it once and never returns; that
               a slot is used again for another order is another order's life.
``PENDING``    sent, and on its way: the matching engine has not seen it. It cannot be filled, and
               it cannot be cancelled, because requests travel in one line and the cancel would
               arrive behind the order itself.
``WORKING``    accepted by the matching engine, nothing filled. A market order passes through this
               state within one instant; a limit order may stay in it.
``PARTIAL``    accepted, something filled, something left.
``FILLED``     nothing left. Terminal.
``CANCELLED``  accepted, then ended with something left: by the strategy, because the visible
               book could not serve more, because the position it was to reduce is gone, because
               the account could not bear it, or by the stop-out. Terminal.
``REJECTED``   never accepted: refused before it was sent, or on arrival. Nothing of it was ever
               filled. Terminal.

The events
----------

``SUBMIT``     the order leaves the engine (broker-side stops and targets are submitted by the
               broker itself, with no latency, at the instant they trigger)
``REFUSE``     it is turned down, here or there; the row's ``reason`` says why
``ACCEPT``     the matching engine takes it
``FILL_PART``  a fill that leaves something open
``FILL_ALL``   a fill that leaves nothing open
``CANCEL``     what is left is withdrawn

Three rules follow from the table and are relied upon elsewhere: a terminal state absorbs every
event; ``REJECTED`` implies that no fill row names the order; ``FILLED`` is reached through a fill
and in no other way. So a row's ``filled_qty`` is 0 when REJECTED, ``qty`` when FILLED, and less
than ``qty`` otherwise.

A pair that the table does not hold is a fault of this program. It changes nothing, and it is
counted; a run with a non-zero count is not to be trusted.
"""

from __future__ import annotations

import numpy as np

from data.events import OrderState
from engine.kernel.compiled import internal

SUBMIT = np.int64(0)
REFUSE = np.int64(1)
ACCEPT = np.int64(2)
FILL_PART = np.int64(3)
FILL_ALL = np.int64(4)
CANCEL = np.int64(5)
EVENT_NAMES = ("SUBMIT", "REFUSE", "ACCEPT", "FILL_PART", "FILL_ALL", "CANCEL")
"""Names of the order events, by number."""

ILLEGAL = -1
"""What the compiled table holds for a pair that is not in TRANSITIONS."""

TRANSITIONS: dict[tuple[OrderState, np.int64], OrderState] = {
    (OrderState.EMPTY, SUBMIT): OrderState.PENDING,
    (OrderState.EMPTY, REFUSE): OrderState.REJECTED,
    (OrderState.PENDING, REFUSE): OrderState.REJECTED,
    (OrderState.PENDING, ACCEPT): OrderState.WORKING,
    (OrderState.WORKING, FILL_PART): OrderState.PARTIAL,
    (OrderState.WORKING, FILL_ALL): OrderState.FILLED,
    (OrderState.WORKING, CANCEL): OrderState.CANCELLED,
    (OrderState.PARTIAL, FILL_PART): OrderState.PARTIAL,
    (OrderState.PARTIAL, FILL_ALL): OrderState.FILLED,
    (OrderState.PARTIAL, CANCEL): OrderState.CANCELLED,
}
"""(state, event) -> state. What is not here is illegal."""

TERMINAL = (OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED)
"""States that absorb every event."""


def _compile_table() -> np.ndarray:
    """int64 matrix [state, event] of next states, ILLEGAL where there is none."""
    table = np.full((len(OrderState), len(EVENT_NAMES)), ILLEGAL, dtype=np.int64)
    for (state, event), after in TRANSITIONS.items():
        table[int(state), event] = int(after)
    return table


_TABLE = _compile_table()
_WORKING = int(OrderState.WORKING)
_PARTIAL = int(OrderState.PARTIAL)


@internal
def is_live(state):
    """True while the matching engine holds the order (WORKING or PARTIAL)."""
    return _WORKING <= state <= _PARTIAL


@internal
def advance(order, event):
    """Move ``order`` (a record with a ``state``) by ``event``; False, unchanged, if illegal."""
    after = _TABLE[order.state, event]
    if after == ILLEGAL:
        return False
    order.state = after
    return True
