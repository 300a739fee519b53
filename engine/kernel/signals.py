"""What a detector says: a direction, a strength, the number behind it, and whether it may speak.

Owns the record that every detector keeps as ``s.<detector>.signal``, and how it is set, aged and
written out. What must hold: a detector that is not ready has direction 0; strength lies in [0, 1];
floats are rounded to 1e-9 before they are kept. A lasting signal (an event such as a divergence at
a pivot) speaks until ``until_ns``; a standing one (a level such as a z score) is set anew at every
look. ``fired`` counts events, so that whoever reads can tell a new one from one that still stands.
It refuses to know what any detector measures.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.numbers import fp9
from engine.kernel.outputs import SIGNALS_MAX

SIGNAL_STATE = np.dtype(
    [
        ("ready", "i8"),
        ("direction", "i8"),
        ("strength_fp9", "i8"),
        ("value_fp9", "i8"),
        ("threshold_fp9", "i8"),
        ("fired", "i8"),
        ("fired_ns", "i8"),
        ("until_ns", "i8"),
    ],
    align=True,
)
"""ready 0 or 1; direction -1, 0, +1; strength, value, threshold at 1e-9; fired: how many events;
fired_ns, until_ns: engine time of the last event, and when it ceases to speak (0: at once)."""


@njit(cache=True, nogil=True)
def signal_unready(g):
    """It may not speak: too little history, a gap inside, a source that cannot know."""
    g.ready = 0
    g.direction = 0
    g.strength_fp9 = 0
    g.value_fp9 = 0
    g.until_ns = 0


@njit(cache=True, nogil=True)
def signal_set(g, direction, strength, value, threshold):
    """A standing signal as of now: int direction, floats strength, value, threshold."""
    g.ready = 1
    g.direction = direction
    g.strength_fp9 = fp9(min(max(strength, 0.0), 1.0)) if direction != 0 else np.int64(0)
    g.value_fp9 = fp9(value)
    g.threshold_fp9 = fp9(threshold)


@njit(cache=True, nogil=True)
def signal_fire(g, now_ns, until_ns, direction, strength, value, threshold):
    """An event at ``now_ns`` that speaks until ``until_ns`` (ns)."""
    signal_set(g, direction, strength, value, threshold)
    g.fired += 1
    g.fired_ns = now_ns
    g.until_ns = until_ns


@njit(cache=True, nogil=True)
def signal_stand(g, now_ns, direction, strength, value, threshold):
    """A standing signal whose onset, a direction that it had not, counts as an event."""
    if direction != 0 and direction != g.direction:
        signal_fire(g, now_ns, np.int64(0), direction, strength, value, threshold)
    else:
        signal_set(g, direction, strength, value, threshold)


@njit(cache=True, nogil=True)
def signal_age(g, now_ns):
    """A lasting signal falls silent when its time is over; call at every boundary."""
    if g.direction != 0 and now_ns >= g.until_ns:
        g.direction = 0
        g.strength_fp9 = 0


@njit(cache=True, nogil=True)
def signal_write(o, d, detector, g):
    """Write a signal record of decision ``d`` to the outputs when its direction is not 0."""
    if g.direction == 0 or o.n_signals >= SIGNALS_MAX:
        return
    r = o.signals[o.n_signals]
    r.ts_ns = d.ts_ns
    r.decision_id = d.id
    r.detector = detector
    r.direction = g.direction
    r.strength_fp9 = g.strength_fp9
    r.value_fp9 = g.value_fp9
    r.threshold_fp9 = g.threshold_fp9
    o.n_signals += 1
