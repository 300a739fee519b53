"""What a fold hands out: bounded buffers of records, drained by whoever drives it.

Owns the dtype of the output record and the capacity of each buffer. A handler asks :func:`room`
before it starts something that may write, and the fold returns to its driver when a buffer is
nearly full, so nothing is ever dropped: ``lost`` counts writes that found no room, and a driver
must treat a non-zero count as a bug. It refuses to know where drained records go.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import RECORDS, numpy_dtype

SIGNALS_MAX = 4096
DECISIONS_MAX = 4096
INTENT_ROWS_MAX = 512
ORDERS_MAX = 2048
FILLS_MAX = 4096
POSITIONS_MAX = 2048
EQUITY_MAX = 2048
HEADROOM = 256
"""Free places in every buffer that a fold guarantees to one event or one boundary."""

SIGNAL = numpy_dtype(RECORDS["signal"])
DECISION = numpy_dtype(RECORDS["decision"])
INTENT_ROW = numpy_dtype(RECORDS["intent"])
ORDER = numpy_dtype(RECORDS["order"])
FILL = numpy_dtype(RECORDS["fill"])
POSITION = numpy_dtype(RECORDS["position"])
EQUITY = numpy_dtype(RECORDS["equity"])

OUT = np.dtype(
    [
        ("n_signals", "i8"),
        ("n_decisions", "i8"),
        ("n_intents", "i8"),
        ("n_orders", "i8"),
        ("n_fills", "i8"),
        ("n_positions", "i8"),
        ("n_equity", "i8"),
        ("lost", "i8"),
        ("signals", SIGNAL, (SIGNALS_MAX,)),
        ("decisions", DECISION, (DECISIONS_MAX,)),
        ("intents", INTENT_ROW, (INTENT_ROWS_MAX,)),
        ("orders", ORDER, (ORDERS_MAX,)),
        ("fills", FILL, (FILLS_MAX,)),
        ("positions", POSITION, (POSITIONS_MAX,)),
        ("equity", EQUITY, (EQUITY_MAX,)),
    ],
    align=True,
)
"""One record with a buffer and a counter for each table that a run writes."""


@njit(cache=True, nogil=True)
def room(out):
    """True when every buffer of ``out`` (an OUT record) has HEADROOM free places."""
    return (
        out.n_signals <= SIGNALS_MAX - HEADROOM
        and out.n_decisions <= DECISIONS_MAX - HEADROOM
        and out.n_intents <= INTENT_ROWS_MAX - HEADROOM
        and out.n_orders <= ORDERS_MAX - HEADROOM
        and out.n_fills <= FILLS_MAX - HEADROOM
        and out.n_positions <= POSITIONS_MAX - HEADROOM
        and out.n_equity <= EQUITY_MAX - HEADROOM
    )


@njit(cache=True, nogil=True)
def room_for_fills(out):
    """True when one more trade may cause fills, order ends and position ends."""
    return (
        out.n_fills <= FILLS_MAX - HEADROOM
        and out.n_orders <= ORDERS_MAX - HEADROOM
        and out.n_positions <= POSITIONS_MAX - HEADROOM
        and out.n_equity <= EQUITY_MAX - HEADROOM
    )
