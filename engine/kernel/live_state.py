"""What a live fold remembers beside the account: the broker's names of things, and what is unknown.

Owns the record LIVE_STATE. Orders, positions, balance and what the engine knows of them stay in
SIM_STATE (``matching_state``), whether a broker or the model fills: so reports, views and guards
read one record. Here stands what only a broker has: tickets, identifiers, whether something is
blocked, how many intents were written, and what of its answers did not fit. It refuses to know
what an answer does: see ``live_events``.
"""

from __future__ import annotations

import numpy as np

from engine.kernel.matching_state import ORDERS, POSITIONS

V_UNKNOWN_ORDER = 0
V_UNKNOWN_POSITION = 1
V_OVERFILL = 2
V_BAD_ANSWER = 3
V_POSITIONS = 4
LIVE_VIOLATIONS = (
    "answer about an order that was never sent, or not on that side",
    "execution or levels of a position that is not held",
    "execution larger than what was left to fill",
    "answer of the broker that makes no sense, not used",
    "execution with no room for its position",
)
"""Meaning of ``violations`` in the state, by index."""

CANCEL_SENT = 1
CANCEL_WAITS = 2
"""``cancelling`` of an order slot: the broker was asked, or will be once nothing is blocked."""


def _ints(names: str) -> list[tuple[str, str]]:
    return [(name, "i8") for name in names.split()]


ANSWER = np.dtype(
    _ints(
        "ts id act order_id position state side price target qty pnl fee balance reason code known"
    ),
    align=True,
)
"""The answer that is being folded: columns of ``data.events.EVENTS[Kind.BROKER]``, and the engine
time at which it became known."""

LIVE_POSITION = np.dtype(_ints("ident basis_sum moved moved_stop moved_decision"), align=True)
"""Of the position in the same slot of SIM_STATE: the broker's identifier; the sum of basis times
quantity of its entries; whether a moved stop waits until nothing is blocked, where to (execution
price units), and which decision asked."""

LIVE_STATE = np.dtype(
    [
        *_ints("blocked blocks intents event_ns known_basis adjusted balances told late"),
        ("violations", "i8", (8,)),
        ("answer", ANSWER),
        ("tickets", "i8", (ORDERS + 1,)),
        ("positions", LIVE_POSITION, (POSITIONS,)),
    ],
    align=True,
)
"""blocked: 1 while an outcome is unknown; blocks: how often that began; intents: rows written so
far; event_ns: time of the latest answer; known_basis: mean basis at the entries of the position
that is known (price units); adjusted: money that BALANCE answers brought over what was booked;
balances: how many of those came; told: ``adjusted`` as the guards last heard it; late: answers
about orders that had ended; tickets: the broker's, by slot of the order."""

LIVE_PARAMS = np.dtype(_ints("apart"), align=True)
"""apart: 1 where orders are executed in another series than the one whose flow is read."""
