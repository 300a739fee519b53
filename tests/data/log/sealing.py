"""Sessions in memory: groups of admitted events, as a journal would hand them to the sealing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.events import EVENTS, Kind, Scales
from data.live.blocks import Group, Part, Series
from data.log import LogReader, LogStore
from data.log.columns import from_input
from data.log.seal import Sealed, seal
from tests.data.log.support import MIDNIGHT, VENUE, Row, book, columns, rows_of_batches, trade

SERIES = [
    Series(VENUE, "BTCUSDT", Scales(2, 3)),
    Series(VENUE, "ETHUSDT", Scales(1, 4)),
    Series(VENUE, "XRPUSDT", Scales(5, 0)),
]
EVERYTHING = {kind: EVENTS[kind].names for kind in Kind}
SECOND = 10**9

Event = tuple[Kind, int, Row]
"""Kind, number of the series, and the row with its ``seq``."""


def session(
    count: int = 300, start: int = MIDNIGHT, step: int = SECOND, first: int = 1, seed: int = 1
) -> list[Event]:
    """``count`` events of all kinds and series, in the order of their arrival."""
    rng = np.random.default_rng(seed)
    out: list[Event] = []
    for i in range(count):
        seq, now = first + i, start + i * step
        kind = (Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.TRADE, Kind.GAP)[int(rng.integers(5))]
        stamp = {"recv_ns": now, "seq": seq}
        out.append((kind, int(rng.integers(len(SERIES))), _row(kind, now - 7, stamp, seq)))
    return out


def _row(kind: Kind, ts: int, stamp: dict[str, int], seq: int) -> Row:
    if kind == Kind.TRADE:
        return trade(ts, **stamp, id=seq, price=100 + seq % 7, qty=seq)
    if kind == Kind.DEPTH:
        return book(ts, [(9, seq), (8, 1)], [(11, 2)], **stamp, id=seq)
    if kind == Kind.QUOTE:
        return {"ts_ns": ts, **stamp, "id": seq, "bid": 9, "bid_qty": 1, "ask": 11, "ask_qty": 2}
    gap = {"stream": int(Kind.TRADE), "from_ns": ts - 9, "to_ns": ts, "from_id": seq, "to_id": 0}
    return {"ts_ns": ts, **stamp, "id": 0, **gap, "reason": 1, "filled": 0}


def groups_of(events: Sequence[Event], size: int = 10) -> list[Group]:
    """The events in groups of ``size``."""
    return [_group(events[i : i + size]) for i in range(0, len(events), size)]


def _group(events: Sequence[Event]) -> Group:
    parts = {}
    for kind in sorted({k for k, _, _ in events}):
        mine = [(number, row) for k, number, row in events if k == kind]
        rows = from_input(kind, columns(kind, [row for _, row in mine]))
        parts[kind] = Part(np.array([number for number, _ in mine], np.int32), rows)
    return Group(events[0][2]["seq"], events[-1][2]["seq"], parts)


def sealed(store: LogStore, events: Sequence[Event], name: str = "s1", every: int = 100) -> None:
    """Seal the events of a whole session in steps of ``every``."""
    groups = groups_of(events)
    for upto in [*range(every, len(events), every), len(events)]:
        assert isinstance(seal(store, name, SERIES, groups, upto), Sealed)


def of_symbol(events: Sequence[Event], symbol: str) -> list[tuple[Kind, Row]]:
    """What a reader of ``symbol`` must give: every row as it was admitted, in that order."""
    return [(kind, row) for kind, number, row in events if SERIES[number].symbol == symbol]


def read(store: LogStore, symbol: str) -> list[tuple[Kind, Row]]:
    """Every row of ``symbol`` with every column, in the order of the reader."""
    return rows_of_batches(LogReader(store, VENUE, symbol, EVERYTHING))
