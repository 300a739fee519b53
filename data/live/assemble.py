"""Admitted rows as groups: the one place that gives out ``seq`` and receive times.

Owns :class:`Assembler`. What must hold: ``seq`` is 1, 2, 3 ... over all kinds and symbols without a
hole; ``recv_ns`` never falls with it. An event that had to wait is therefore received when it was
let go, as far as others went before it.

It refuses to know why a row was admitted.
"""

from __future__ import annotations

import numpy as np

from data.events import DEPTH_LEVELS_MAX, EVENTS, Kind
from data.live.blocks import Group, Part
from data.live.decode import Levels, Row
from data.log.columns import Rows

_SCALAR = {k: tuple(f for f in EVENTS[k].fields if not f.is_list) for k in EVENTS}
# rows arrive as (series, seq, recv_ns, ts_ns, id, ...)
_PLACES = {
    kind: [
        {"recv_ns": 2, "seq": 1, "ts_ns": 3, "id": 4}.get(field.name, 1 + at)
        for at, field in enumerate(fields)
    ]
    for kind, fields in _SCALAR.items()
}
_DEPTH = Kind.DEPTH  # an enumeration's member costs a look-up each time
_PLACE = np.arange(DEPTH_LEVELS_MAX)
_LEVELS = ("bid_price", "bid_qty", "ask_price", "ask_qty")


class Assembler:
    """Gathers rows until :meth:`collect`; ``next_seq`` is the number of the next event."""

    def __init__(self, next_seq: int, recv_ns: int) -> None:
        self.next_seq = next_seq
        self.recv_ns = recv_ns
        self._first = next_seq
        self._rows: dict[Kind, list[Row]] = {kind: [] for kind in EVENTS}
        self._levels: list[Levels] = []

    def push(self, series: int, kind: Kind, row: Row, recv_ns: int) -> None:
        """Admit one row (see :data:`data.live.decode.Row`) of a series."""
        if recv_ns > self.recv_ns:
            self.recv_ns = recv_ns
        seq = self.next_seq
        self.next_seq = seq + 1
        if kind is _DEPTH:
            ts_ns, id, levels = row
            self._levels.append(levels)
            row = (ts_ns, id)
        self._rows[kind].append((series, seq, self.recv_ns, *row))

    def collect(self) -> Group | None:
        """Everything since the last call; None where there is nothing."""
        if self.next_seq == self._first:
            return None
        parts = {}
        for kind, rows in self._rows.items():
            if rows:
                parts[kind] = self._part(kind, rows)
                rows.clear()
        group = Group(self._first, self.next_seq - 1, parts)
        self._first = self.next_seq
        return group

    def _part(self, kind: Kind, rows: list[Row]) -> Part:
        table = np.ascontiguousarray(np.array(rows, dtype=np.int64).T)
        columns: dict[str, np.ndarray] = {}
        for field, place in zip(_SCALAR[kind], _PLACES[kind], strict=True):
            columns[field.name] = table[place].astype(field.dtype, copy=False)
        if kind is _DEPTH:
            columns |= gathered(self._levels)
            self._levels = []
        return Part(table[0].astype(np.int32), Rows(kind, len(rows), columns))


def gathered(levels: list[Levels]) -> dict[str, np.ndarray]:
    """The level columns of some books and their offsets, as the log's rows have them."""
    parts: list[list[np.ndarray]] = [[], [], [], []]
    counts = np.array([(row.bids, row.asks) for row in levels], dtype=np.int64)
    first = 0
    while first < len(levels):
        block, stop = levels[first].block, first + 1
        while stop < len(levels) and levels[stop].block is block:
            stop += 1
        books = block[[row.at for row in levels[first:stop]]]
        for side in range(4):
            have = counts[first:stop, side // 2, None] > _PLACE
            parts[side].append(books[:, side][have])
        first = stop
    columns: dict[str, np.ndarray] = {}
    for side, name in enumerate(_LEVELS):
        if side % 2 == 0:
            ends = np.cumsum(counts[:, side // 2])
            columns[f"{name[:3]}_offsets"] = np.concatenate([[0], ends]).astype(np.int64)
        columns[name] = np.concatenate(parts[side])
    return columns
