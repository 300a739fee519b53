"""The life of a trade: nine states, and the one table that says what may follow what.

Everything that decides where a trade stands lies in this file. Whoever wants it to stand somewhere
else names an *event* and calls :func:`lifecycle_event`; a pair that the table does not hold changes
nothing and is counted in ``illegal``.

The states
----------

``IDLE``             nothing is looked at: history is too short, a gap lies in the window, or
                     nobody asked to look yet.
``SCANNING``         flat, and looking for a signal.
``SIGNAL_DETECTED``  a signal stands; the guards are asked. Limit ``signal``: back to SCANNING.
``POSITION_ENTRY``   the entry order is out. The account ends it: OPENED or REFUSED. Limit
                     ``entry``: COOLDOWN, and :func:`lifecycle_withdraws` asks for a cancel.
``IN_POSITION``      the account holds a position. How long is the business of the exits.
``POSITION_EXIT``    the exit order is out. The account ends it: CLOSED, or REFUSED when it ended
                     with a position left. Limit ``exit``: IN_POSITION, so that exits ask again.
``COOLDOWN``         a trade, or an attempt at one, is over. Time alone ends it; a limit
                     ``cooldown`` of 0 ends it at once.
``BLOCKED``          a guard forbids to look; ``reason`` holds its bits. Ended by UNBLOCK, or by
                     limit ``blocked`` (0: only by UNBLOCK).
``PAUSED``           the operator said so: nothing is entered, a position's exits go on. Ended by
                     RESUME, never by time.

The events
----------

``SCAN`` and ``REST``: what is needed to look is there, is gone. ``SIGNAL``, ``NO_SIGNAL``.
``ENTER``, ``EXIT``: an order was sent. ``OPENED``, ``CLOSED``, ``REFUSED``: what the account says
of it (:func:`lifecycle_follow`, at every boundary, paused or not; no strategy calls it).
``EXPIRED``: the idea is no longer wanted. ``BLOCK``, ``UNBLOCK``: a guard. ``PAUSE``, ``RESUME``:
the operator. ``TIMEOUT``: a time limit of 0 is none.

What must hold: the next state is a function of (state, event) alone. An event that says what the
state already knows leads to the same state and leaves ``since_ns`` alone. A fill may come behind a
cancel, so the account may open a position in every state. No state is a trap: from each a path to
SCANNING exists. It refuses to know why there is a signal, and to send an order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import Lifecycle

EVENT_NAMES = (
    "SCAN", "REST", "SIGNAL", "NO_SIGNAL", "ENTER", "OPENED", "REFUSED", "EXPIRED", "EXIT",
    "CLOSED", "BLOCK", "UNBLOCK", "PAUSE", "RESUME", "TIMEOUT",
)  # fmt: skip
"""Names of the events, by number."""
(
    SCAN, REST, SIGNAL, NO_SIGNAL, ENTER, OPENED, REFUSED, EXPIRED, EXIT,
    CLOSED, BLOCK, UNBLOCK, PAUSE, RESUME, TIMEOUT,
) = range(len(EVENT_NAMES))  # fmt: skip
STATES = len(Lifecycle)
ILLEGAL = -1
"""What the compiled table holds for a pair that is not in TRANSITIONS."""

_L = Lifecycle
TRANSITIONS: dict[tuple[Lifecycle, int], Lifecycle] = {
    (_L.IDLE, SCAN): _L.SCANNING,
    (_L.IDLE, REST): _L.IDLE,
    (_L.IDLE, OPENED): _L.IN_POSITION,
    (_L.IDLE, BLOCK): _L.BLOCKED,
    (_L.IDLE, PAUSE): _L.PAUSED,
    (_L.SCANNING, SCAN): _L.SCANNING,
    (_L.SCANNING, REST): _L.IDLE,
    (_L.SCANNING, SIGNAL): _L.SIGNAL_DETECTED,
    (_L.SCANNING, NO_SIGNAL): _L.SCANNING,
    (_L.SCANNING, OPENED): _L.IN_POSITION,
    (_L.SCANNING, BLOCK): _L.BLOCKED,
    (_L.SCANNING, PAUSE): _L.PAUSED,
    (_L.SIGNAL_DETECTED, REST): _L.IDLE,
    (_L.SIGNAL_DETECTED, SIGNAL): _L.SIGNAL_DETECTED,
    (_L.SIGNAL_DETECTED, NO_SIGNAL): _L.SCANNING,
    (_L.SIGNAL_DETECTED, ENTER): _L.POSITION_ENTRY,
    (_L.SIGNAL_DETECTED, OPENED): _L.IN_POSITION,
    (_L.SIGNAL_DETECTED, EXPIRED): _L.SCANNING,
    (_L.SIGNAL_DETECTED, BLOCK): _L.BLOCKED,
    (_L.SIGNAL_DETECTED, PAUSE): _L.PAUSED,
    (_L.SIGNAL_DETECTED, TIMEOUT): _L.SCANNING,
    (_L.POSITION_ENTRY, OPENED): _L.IN_POSITION,
    (_L.POSITION_ENTRY, REFUSED): _L.COOLDOWN,
    (_L.POSITION_ENTRY, EXPIRED): _L.COOLDOWN,
    (_L.POSITION_ENTRY, BLOCK): _L.BLOCKED,
    (_L.POSITION_ENTRY, PAUSE): _L.PAUSED,
    (_L.POSITION_ENTRY, TIMEOUT): _L.COOLDOWN,
    (_L.IN_POSITION, OPENED): _L.IN_POSITION,
    (_L.IN_POSITION, EXIT): _L.POSITION_EXIT,
    (_L.IN_POSITION, CLOSED): _L.COOLDOWN,
    (_L.IN_POSITION, PAUSE): _L.PAUSED,
    (_L.POSITION_EXIT, REFUSED): _L.IN_POSITION,
    (_L.POSITION_EXIT, EXIT): _L.POSITION_EXIT,
    (_L.POSITION_EXIT, CLOSED): _L.COOLDOWN,
    (_L.POSITION_EXIT, PAUSE): _L.PAUSED,
    (_L.POSITION_EXIT, TIMEOUT): _L.IN_POSITION,
    (_L.COOLDOWN, OPENED): _L.IN_POSITION,
    (_L.COOLDOWN, BLOCK): _L.BLOCKED,
    (_L.COOLDOWN, PAUSE): _L.PAUSED,
    (_L.COOLDOWN, TIMEOUT): _L.SCANNING,
    (_L.BLOCKED, OPENED): _L.IN_POSITION,
    (_L.BLOCKED, BLOCK): _L.BLOCKED,
    (_L.BLOCKED, UNBLOCK): _L.SCANNING,
    (_L.BLOCKED, PAUSE): _L.PAUSED,
    (_L.BLOCKED, TIMEOUT): _L.SCANNING,
    (_L.PAUSED, OPENED): _L.PAUSED,
    (_L.PAUSED, EXIT): _L.PAUSED,
    (_L.PAUSED, CLOSED): _L.PAUSED,
    (_L.PAUSED, PAUSE): _L.PAUSED,
    (_L.PAUSED, RESUME): _L.IDLE,
}
"""(state, event) -> state. What is not here is illegal."""


def _compile_table() -> np.ndarray:
    """int64 matrix [state, event] of next states, ILLEGAL where there is none."""
    table = np.full((STATES, len(EVENT_NAMES)), ILLEGAL, dtype=np.int64)
    for (state, event), after in TRANSITIONS.items():
        table[int(state), event] = int(after)
    return table


_TABLE = _compile_table()
IDLE = int(_L.IDLE)
SCANNING = int(_L.SCANNING)
SIGNAL_DETECTED = int(_L.SIGNAL_DETECTED)
POSITION_ENTRY = int(_L.POSITION_ENTRY)
IN_POSITION = int(_L.IN_POSITION)
POSITION_EXIT = int(_L.POSITION_EXIT)
COOLDOWN = int(_L.COOLDOWN)
BLOCKED = int(_L.BLOCKED)
PAUSED = int(_L.PAUSED)

LIFECYCLE_STATE = np.dtype(
    [
        ("state", "i8"),
        ("since_ns", "i8"),
        ("event", "i8"),
        ("event_ns", "i8"),
        ("reason", "i8"),
        ("steps", "i8"),
        ("illegal", "i8"),
        ("illegal_state", "i8"),
        ("illegal_event", "i8"),
        ("position_id", "i8"),
        ("closed", "i8"),
        ("entered", "i8", (STATES,)),
    ],
    align=True,
)
"""since_ns: when the state was entered; event, event_ns: the last legal one; reason: bits of the
guard that blocked, 0 when none; steps and illegal: events taken, and refused (the last of them);
position_id, closed: the account as it was followed; entered: how often each state was entered."""

LIFECYCLE_PARAMS = np.dtype(
    [
        ("signal_ns", "i8"),
        ("entry_ns", "i8"),
        ("exit_ns", "i8"),
        ("cooldown_ns", "i8"),
        ("blocked_ns", "i8"),
    ],
    align=True,
)
"""Time limits, ns, 0: none (COOLDOWN: at once)."""


@njit(cache=True, nogil=True)
def lifecycle_may(s, event):
    """True when the table holds a step for ``event`` in the present state."""
    return _TABLE[s.state, event] != ILLEGAL


@njit(cache=True, nogil=True)
def lifecycle_event(s, event, now_ns):
    """Take the step that ``event`` means at ``now_ns``; False, unchanged but counted, if illegal.

    An event that leads to the same state changes neither ``since_ns`` nor ``entered``.
    """
    after = _TABLE[s.state, event]
    if after == ILLEGAL:
        s.illegal += 1
        s.illegal_state = s.state
        s.illegal_event = event
        return False
    s.steps += 1
    s.event = event
    s.event_ns = now_ns
    if after != s.state:
        s.state = after
        s.since_ns = now_ns
        s.entered[after] += 1
        if after != BLOCKED:
            s.reason = 0
    return True


@njit(cache=True, nogil=True)
def lifecycle_look(s, ready, now_ns):
    """SCAN or REST, whichever ``ready`` means, where the state is about looking; True if it looks.

    Call it at each boundary that is flat: it leaves every state but IDLE, SCANNING and
    SIGNAL_DETECTED alone.
    """
    if ready and s.state == IDLE:
        lifecycle_event(s, SCAN, now_ns)
    elif not ready and (s.state == SCANNING or s.state == SIGNAL_DETECTED):
        lifecycle_event(s, REST, now_ns)
    return s.state == SCANNING or s.state == SIGNAL_DETECTED


@njit(cache=True, nogil=True)
def lifecycle_signal(s, there, now_ns):
    """SIGNAL or NO_SIGNAL in SCANNING and SIGNAL_DETECTED; True when the state is the latter."""
    if s.state == SCANNING or s.state == SIGNAL_DETECTED:
        lifecycle_event(s, SIGNAL if there else NO_SIGNAL, now_ns)
    return s.state == SIGNAL_DETECTED


@njit(cache=True, nogil=True)
def lifecycle_block(s, reason, now_ns):
    """BLOCK for ``reason`` (bits, not 0) where that is possible; with 0, UNBLOCK what is blocked.

    A position is not blocked: its exits go on, and what forbids a new one is asked after them.
    """
    if reason == 0:
        if s.state == BLOCKED:
            lifecycle_event(s, UNBLOCK, now_ns)
    elif lifecycle_may(s, BLOCK):
        lifecycle_event(s, BLOCK, now_ns)
        s.reason = reason


@njit(cache=True, nogil=True)
def lifecycle_limit(p, state):
    """Time limit (ns) of ``state``, 0 where it has none."""
    if state == SIGNAL_DETECTED:
        return p.signal_ns
    if state == POSITION_ENTRY:
        return p.entry_ns
    if state == POSITION_EXIT:
        return p.exit_ns
    if state == COOLDOWN:
        return p.cooldown_ns
    if state == BLOCKED:
        return p.blocked_ns
    return np.int64(0)


@njit(cache=True, nogil=True)
def lifecycle_time(s, p, now_ns):
    """TIMEOUT where the state has stood for its limit at ``now_ns``; True when it did."""
    limit = lifecycle_limit(p, s.state)
    if (limit > 0 or s.state == COOLDOWN) and now_ns - s.since_ns >= limit:
        return lifecycle_event(s, TIMEOUT, now_ns)
    return False


@njit(cache=True, nogil=True)
def _follow_account(s, known, now_ns):
    """OPENED, CLOSED or REFUSED as the account says: at most one trade a boundary is told apart."""
    if known.closed_positions != s.closed:
        s.closed = known.closed_positions
        if known.qty == 0 or known.position_id != s.position_id:
            if s.state != IN_POSITION and s.state != POSITION_EXIT:
                lifecycle_event(s, OPENED, now_ns)
            lifecycle_event(s, CLOSED, now_ns)
    s.position_id = known.position_id if known.qty != 0 else 0
    holds = s.state == IN_POSITION or s.state == POSITION_EXIT
    if known.qty != 0 and not holds and s.state != PAUSED:
        lifecycle_event(s, OPENED, now_ns)
    elif known.qty == 0 and holds:
        lifecycle_event(s, CLOSED, now_ns)
    elif known.open_orders == 0 and (s.state == POSITION_ENTRY or s.state == POSITION_EXIT):
        lifecycle_event(s, REFUSED, now_ns)


@njit(cache=True, nogil=True)
def lifecycle_follow(s, p, known, paused, now_ns):
    """At a boundary, before anything is decided: the operator, the account, then the clock.

    ``known``: the account record as a strategy may know it; ``paused``: 0 or 1.
    """
    if paused == 1:
        if s.state != PAUSED:
            lifecycle_event(s, PAUSE, now_ns)
    elif s.state == PAUSED:
        lifecycle_event(s, RESUME, now_ns)
    _follow_account(s, known, now_ns)
    lifecycle_time(s, p, now_ns)


@njit(cache=True, nogil=True)
def lifecycle_withdraws(s, known):
    """True while an order is out that no state waits for: it should be cancelled."""
    waits = s.state == POSITION_ENTRY or s.state == IN_POSITION or s.state == POSITION_EXIT
    return known.open_orders > 0 and not waits
