"""Which gaps that a recorder wrote down are closed by now, and the mark that says so.

Owns the proof: a gap in trades is closed when the trades from its one edge to the other are there
and their ids go on without a hole; a row that only told its beginning is closed with it. A gap in
bars is closed when bars of one length follow each other from its one edge to the other. What must
hold: nothing else closes a gap; the mark is a merge like any other (the gap's own row with
``filled`` 1, see :mod:`data.log.dedupe`).

It refuses to know where the missing rows came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from data.events import EVENTS, Kind
from data.ids import OPAQUE_ID
from data.log import LogReader
from data.log.coverage import Coverage

if TYPE_CHECKING:
    from data.log import LogStore


_DAY_NS = 86_400_000_000_000


def mark_filled(
    store: LogStore, venue: str, symbol: str, from_ns: int | None, to_ns: int | None
) -> int:
    """Mark the recorded gaps in trades and bars of one symbol that are closed; how many there were.

    The range is of exchange time in ns, as in the reader.
    """
    names = EVENTS[Kind.GAP].names
    try:
        reader = LogReader(store, venue, symbol, {Kind.GAP: names}, from_ns, to_ns)
    except DataError:
        return 0  # no gap was ever recorded here
    parts = [batch.columns[Kind.GAP] for batch in reader]
    gaps = {name: np.concatenate([p[name] for p in parts]) for name in names} if parts else {}
    if not gaps:
        return 0
    open_ = (gaps["filled"] == 0) & (gaps["stream"] == int(Kind.TRADE))
    closed = [i for i in np.flatnonzero(open_).tolist() if _closed(store, venue, symbol, gaps, i)]
    closed += _announced(gaps, open_, closed)
    bars = np.flatnonzero((gaps["filled"] == 0) & (gaps["stream"] == int(Kind.BAR))).tolist()
    closed += [i for i in bars if _whole(store, venue, symbol, gaps, i)]
    if closed:
        rows = {name: values[closed] for name, values in gaps.items()}
        rows["filled"] = np.ones(len(closed), rows["filled"].dtype)
        with store.transaction() as tx:
            tx.merge(Kind.GAP, venue, symbol, rows, reader.scales)
    return len(closed)


def _announced(gaps: dict[str, np.ndarray], open_: np.ndarray, closed: list[int]) -> list[int]:
    """Rows that told a hole when it began, of holes that are closed.

    Such a row ends when it was written, at no trade (``to_id`` 0). The row that told the end of the
    hole begins at the same trade and says what became of both.
    """
    stream, from_id, to_id = gaps["stream"], gaps["from_id"], gaps["to_id"]
    whole = (gaps["filled"] == 1) & (stream == int(Kind.TRADE)) & (to_id != 0)
    whole[closed] = to_id[closed] != 0
    begins = set(zip(from_id[whole].tolist(), gaps["from_ns"][whole].tolist(), strict=True))
    left = np.flatnonzero(open_ & (to_id == 0) & (from_id != 0)).tolist()
    return [
        i for i in left if (int(from_id[i]), int(gaps["from_ns"][i])) in begins and i not in closed
    ]


def _closed(store: LogStore, venue: str, symbol: str, gaps: dict[str, np.ndarray], i: int) -> bool:
    from_ns, to_ns = int(gaps["from_ns"][i]), int(gaps["to_ns"][i])
    from_id, to_id = int(gaps["from_id"][i]), int(gaps["to_id"][i])
    wanted = {Kind.TRADE: ("ts_ns", "id")}
    try:
        reader = LogReader(store, venue, symbol, wanted, from_ns, to_ns + 1)
    except DataError:
        return False  # nothing was traded, or nothing of it is there
    seen = Coverage()
    low_ns, high_ns, usable = 0, 0, True
    for batch in reader:
        ts_ns, ids = batch.columns[Kind.TRADE]["ts_ns"], batch.columns[Kind.TRADE]["id"]
        if not len(ts_ns):
            continue
        usable &= bool(((ids > 0) & (ids < OPAQUE_ID)).all())
        low_ns = min(low_ns or int(ts_ns.min()), int(ts_ns.min()))
        high_ns = max(high_ns, int(ts_ns.max()))
        seen.add(ids, ts_ns)
    if not usable or seen.count or not seen.last_id:
        return False
    if from_id and to_id:
        return seen.first_id <= from_id and to_id <= seen.last_id
    return low_ns <= from_ns and to_ns <= high_ns


def _whole(store: LogStore, venue: str, symbol: str, gaps: dict[str, np.ndarray], i: int) -> bool:
    """Whether bars of one length follow each other over a gap in bars.

    A gap begins at the end of the last bar before it. Its end is that of the first bar behind it,
    or, in a row that only told its beginning, the time within a bar at which it was written.
    """
    from_ns, to_ns = int(gaps["from_ns"][i]), int(gaps["to_ns"][i])
    wanted = {Kind.BAR: ("ts_ns", "interval_ns")}
    try:
        reader = LogReader(store, venue, symbol, wanted, from_ns, to_ns + _DAY_NS)
    except DataError:
        return False  # there are no bars at all
    parts = [batch.columns[Kind.BAR] for batch in reader]
    ends = np.concatenate([part["ts_ns"] for part in parts])
    lengths = np.concatenate([part["interval_ns"] for part in parts])
    if not len(ends) or bool((lengths != lengths[0]).any()):
        return False
    length_ns = int(lengths[0])
    ends = np.unique(ends[ends < to_ns + length_ns])
    if not len(ends) or ends[0] > from_ns + length_ns or ends[-1] < to_ns:
        return False
    return bool((np.diff(ends) == length_ns).all())
