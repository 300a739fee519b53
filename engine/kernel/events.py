"""One event as the compiled step takes it: a record with a column of length one for each kind.

Owns the layout of that record and the list of columns that a fold of columns takes, from one
table, so that a live step and a replayed batch call the same compiled handlers. It refuses to
know where events come from.
"""

from __future__ import annotations

import numpy as np

from data.events import DEPTH_LEVELS_MAX, REFERENCE, FoldKind, Kind

COLUMNS: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("ts_ns", "id", "price", "qty", "side"),
    Kind.DEPTH: (
        "ts_ns",
        "id",
        "bid_offsets",
        "bid_price",
        "bid_qty",
        "ask_offsets",
        "ask_price",
        "ask_qty",
    ),
    Kind.QUOTE: ("ts_ns", "id", "bid", "bid_qty", "ask", "ask_qty"),
    Kind.BAR: ("ts_ns", "id", "open_ns", "open", "high", "low", "close", "volume", "trades"),
    Kind.GAP: ("ts_ns", "stream", "from_ns", "to_ns", "filled"),
    Kind.CLOCK: ("ts_ns",),
    Kind.CONTROL: ("ts_ns", "code", "value"),
    Kind.BROKER: (
        "ts_ns",
        "id",
        "act",
        "order_id",
        "position",
        "state",
        "side",
        "price",
        "target",
        "qty",
        "pnl",
        "fee",
        "balance",
        "reason",
        "code",
    ),
    REFERENCE: ("ts_ns", "close"),
}
"""Columns that a fold takes, by kind, in call order; of a REFERENCE the end of its bar (ns) and its
close at 1e-9."""

INT8_COLUMNS = frozenset({"side", "stream", "filled", "act", "state", "reason"})
READ_COLUMNS: dict[Kind, tuple[str, ...]] = {
    kind: tuple(c for c in columns if not c.endswith("_offsets"))
    for kind, columns in COLUMNS.items()
}
"""Columns to ask of a reader, which adds the offsets of list columns by itself."""


def column_dtype(name: str) -> str:
    """numpy dtype string of a column in :data:`COLUMNS`."""
    return "i1" if name in INT8_COLUMNS else "i8"


def _length(kind: Kind, name: str) -> int:
    if name.endswith("_offsets"):
        return 2
    if kind == Kind.DEPTH and name not in ("ts_ns", "id"):
        return DEPTH_LEVELS_MAX
    return 1


EVENT = np.dtype(
    [("kind", "i8")]
    + [
        (
            kind.name.lower(),
            np.dtype(
                [(c, column_dtype(c), (_length(kind, c),)) for c in columns],
                align=True,
            ),
        )
        for kind, columns in COLUMNS.items()
    ],
    align=True,
)
"""kind (a Kind) and one nested record a kind, each field a column of length one (levels: 25)."""

CURSOR = np.dtype(
    [(name, "i8") for name in ("run", "sided", "invalid", "again")]
    + [("at", "i8", (len(Kind) + len(FoldKind),))],
    align=True,
)
"""Where a fold stands in a batch: run, trades whose side is resolved, invalid ones among them,
whether the event of ``step`` is taken up again after a drain, next row by kind."""


def empty_columns(kind: Kind) -> dict[str, np.ndarray]:
    """Columns of no rows, for a kind that a batch does not hold (offsets: one zero)."""
    return {
        c: np.zeros(1 if c.endswith("_offsets") else 0, dtype=column_dtype(c))
        for c in COLUMNS[kind]
    }
