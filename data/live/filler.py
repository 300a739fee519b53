"""What a session fetches beside its recording: the holes that it wrote down, while REST has them.

Owns :class:`Filler`. What must hold: only around recorded gaps is the log looked at (a whole log
would be read after each seal); a hole that three tries did not close is left to the archive.

It refuses to know when it is called, and how a hole is filled (:mod:`data.live.rest_fill`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from data.events import Kind
from data.live.rest import Rest
from data.live.rest_fill import KINDS, fill_by_rest
from data.log import LogReader
from data.log.checks import Wanted

if TYPE_CHECKING:
    from data.log import LogStore

REACH_NS = 47 * 3_600_000_000_000
"""USD-M keeps trades for 48 hours; an hour less, since filling takes its time."""

TRIES = 3
MARGIN_NS = 120_000_000_000
"""Around the holes, so that the rows at their edges are seen, and the bars beside them."""


class Filler:
    """Fills the recorded gaps of ``symbols`` of ``venue`` in ``store`` by ``rest``, those of the
    last 47 hours before ``now_ns`` (session time, ns). ``added`` rows came in so far.

    Venues whose REST has no trades by id are left alone.
    """

    def __init__(
        self,
        store: LogStore,
        venue: str,
        symbols: Sequence[str],
        rest: Rest,
        now_ns: Callable[[], int],
    ) -> None:
        self.added = 0
        self._store, self._venue, self._symbols = store, venue, list(symbols)
        self._rest, self._now_ns = rest, now_ns
        self._tries: Counter[tuple[str, int, int, int]] = Counter()

    def fill(self) -> None:
        """Fill what can be; NetworkError where the venue cannot be asked (that is no try)."""
        if self._rest.has_trades:
            for symbol in self._symbols:
                self._fill(symbol)

    def _fill(self, symbol: str) -> None:
        gaps = open_gaps(self._store, self._venue, symbol, self._now_ns() - REACH_NS)
        hopeful = [gap for gap in gaps if self._tries[(symbol, *gap)] < TRIES]
        if not hopeful:
            return
        begin_ns = min(gap[0] for gap in hopeful) - MARGIN_NS
        end_ns = max(gap[1] for gap in hopeful) + MARGIN_NS
        wanted = Wanted(self._venue, symbol, KINDS, begin_ns, end_ns)
        self.added += fill_by_rest(self._store, wanted, lambda _venue: self._rest).added
        for gap in hopeful:
            self._tries[(symbol, *gap)] += 1


def open_gaps(
    store: LogStore, venue: str, symbol: str, since_ns: int
) -> list[tuple[int, int, int]]:
    """(from, to in exchange time, ns; id before it) of the recorded gaps in trades and bars that
    nothing has filled, of those that begin after ``since_ns``."""
    names = ("from_ns", "to_ns", "from_id", "stream", "filled")
    try:
        batches = list(LogReader(store, venue, symbol, {Kind.GAP: names}, since_ns))
    except DataError:
        return []  # none was ever recorded
    found = set()
    for batch in batches:
        rows = batch.columns[Kind.GAP]
        mine = np.isin(rows["stream"], (int(Kind.TRADE), int(Kind.BAR))) & (rows["filled"] == 0)
        mine &= rows["from_ns"] >= since_ns
        found |= {
            (int(rows["from_ns"][i]), int(rows["to_ns"][i]), int(rows["from_id"][i]))
            for i in np.flatnonzero(mine)
        }
    return sorted(found)
