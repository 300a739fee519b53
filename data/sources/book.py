"""The order book of one symbol, rebuilt from diffs and REST snapshots by the venue's own rules.

Owns the levels (:class:`Book`) and the synchronisation (:class:`BookBuilder`). Rules, from the
venue's documentation and from real recordings (a snapshot with no overlap is valid on spot):

* spot: the first diff applied to a snapshot of id L has ``U <= L + 1 <= u``; then ``U == u' + 1``;
* USD-M: the first has ``U <= L <= u``; then ``pu == u'`` (``U`` is not contiguous there).

Quantities are absolute, zero deletes, deleting an unknown level is normal. Diffs are kept from the
first one on, because the diff that bridges a snapshot often comes before it.

What must hold: a book is shown only while it is synced and not crossed; every diff of a synced book
follows the one before it, else the break is a gap event and the book waits for the next snapshot;
the same diffs give the same events however they are spread over calls.

It refuses to know text, JSON and files; prices and quantities are ints at one fixed scale.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from data.events import GapReason

RECENT_DIFFS = 512
"""Diffs kept for a snapshot that arrives after its bridge: 25 s to a minute of a busy stream."""

Level = tuple[int, int]
"""(price, absolute quantity), both fixed point."""


class Diff(NamedTuple):
    """One depth diff. ``prev_id`` is the venue's ``pu``, -1 where the venue has none (spot)."""

    ts_ns: int
    recv_ns: int
    seq: int
    first_id: int
    last_id: int
    prev_id: int
    bids: list[Level]
    asks: list[Level]


class Snapshot(NamedTuple):
    """A REST depth snapshot."""

    last_id: int
    bids: list[Level]
    asks: list[Level]


class DepthRow(NamedTuple):
    """The best levels, best first, after the diff whose times and ids it carries."""

    ts_ns: int
    recv_ns: int
    seq: int
    id: int
    bid_price: list[int]
    bid_qty: list[int]
    ask_price: list[int]
    ask_qty: list[int]


class GapRow(NamedTuple):
    """A hole in the depth stream, as the log's gap event has it."""

    ts_ns: int
    recv_ns: int
    seq: int
    from_ns: int
    to_ns: int
    from_id: int
    to_id: int
    reason: int


@dataclass(slots=True)
class BookCounts:
    """What happened to one book within one file."""

    diffs: int = 0
    applied: int = 0
    sequence_breaks: int = 0
    restarts: int = 0
    crossed: int = 0
    stale: int = 0
    snapshots: int = 0
    snapshots_used: int = 0


class Book:
    """Levels of both sides. Asks are kept under negated prices, so that the best is always last."""

    def __init__(self) -> None:
        self._qty: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._keys: tuple[list[int], list[int]] = ([], [])

    def load(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Replace everything."""
        self._qty = ({p: q for p, q in bids if q}, {-p: q for p, q in asks if q})
        self._keys = (sorted(self._qty[0]), sorted(self._qty[1]))

    def apply(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Set the quantities named; zero deletes."""
        qty, keys = self._qty[0], self._keys[0]
        for price, amount in bids:
            if amount:
                if price not in qty:
                    insort(keys, price)
                qty[price] = amount
            elif qty.pop(price, 0):
                del keys[bisect_left(keys, price)]
        qty, keys = self._qty[1], self._keys[1]
        for price, amount in asks:
            price = -price
            if amount:
                if price not in qty:
                    insort(keys, price)
                qty[price] = amount
            elif qty.pop(price, 0):
                del keys[bisect_left(keys, price)]

    def has(self, side: int, price: int) -> bool:
        """True when there is a level at ``price`` (scaled int); ``side`` is 1 bids, -1 asks."""
        return price in self._qty[0] if side > 0 else -price in self._qty[1]

    @property
    def crossed(self) -> bool:
        """True when the best bid is not below the best ask; an empty side crosses nothing."""
        bids, asks = self._keys
        return bool(bids and asks) and bids[-1] >= -asks[-1]

    def top(self, levels: int) -> tuple[list[int], list[int], list[int], list[int]]:
        """Bid prices and quantities, ask prices and quantities of the best ``levels``, best first.

        Fewer where the book has fewer.
        """
        bids = self._keys[0][: -levels - 1 : -1]
        asks = self._keys[1][: -levels - 1 : -1]
        bid_qty = list(map(self._qty[0].__getitem__, bids))
        ask_qty = list(map(self._qty[1].__getitem__, asks))
        return bids, bid_qty, [-p for p in asks], ask_qty


class BookBuilder:
    """Turns the diffs and snapshots of one symbol into depth and gap rows.

    ``chained`` selects the USD-M rule (``pu``), else the spot rule. ``levels`` a side are shown, at
    most one depth row per ``cadence_ns`` slot of event time in UTC (0: one after every diff): the
    state after the last diff of the slot, written when a later diff shows that the slot is over.
    Rows gather in ``depth`` and ``gaps`` until they are taken away.
    """

    def __init__(self, *, chained: bool, levels: int, cadence_ns: int) -> None:
        self.chained = chained
        self.levels = levels
        self.cadence_ns = cadence_ns
        self.depth: list[DepthRow] = []
        self.gaps: list[GapRow] = []
        self.counts = BookCounts()
        self.synced = False
        self.book = Book()
        self._recent: deque[Diff] = deque(maxlen=RECENT_DIFFS)
        self._last: Diff | None = None
        self._shown_id = -1
        self._pending: Snapshot | None = None
        # First diff of the stretch without a book, and whether that stretch is a hole worth saying:
        # the usual handful of diffs before the first snapshot is none.
        self._unsynced_from: Diff | None = None
        self._hole = False
        self._new_file = False

    def start_file(self) -> BookCounts:
        """Begin counting anew: another file of the same stream follows. Returns the new counts."""
        self.counts = BookCounts()
        self._new_file = True
        return self.counts

    def add_diff(self, diff: Diff) -> None:
        """Take the next diff of the stream."""
        self.counts.diffs += 1
        last = self._last
        if last is not None:
            if diff.last_id <= last.last_id:
                self.counts.stale += 1  # two recordings of the same time overlap
                return
            if not self._follows(last, diff):
                self._break(last, diff)
        self._new_file = False
        if self.synced:
            self._advance(diff)
        elif self._unsynced_from is None:
            self._unsynced_from = diff
        if not self.synced and len(self._recent) == RECENT_DIFFS:
            self._hole = True
        self._recent.append(diff)
        self._last = diff
        if self._pending is not None:
            self._try_bridge()

    def add_snapshot(self, snapshot: Snapshot) -> None:
        """Take a REST snapshot; it replaces the book as soon as a diff bridges it."""
        self.counts.snapshots += 1
        self._pending = snapshot
        self._try_bridge()

    def finish(self) -> None:
        """No more diffs will come: says where the stream was left without a book."""
        self._say_no_snapshot()

    def _follows(self, last: Diff, diff: Diff) -> bool:
        if self.chained:
            return diff.prev_id == last.last_id
        return diff.first_id == last.last_id + 1

    def _break(self, last: Diff, diff: Diff) -> None:
        """The ids show that diffs are missing between ``last`` and ``diff``."""
        if self.synced and self.cadence_ns:
            self._show(last)
        if self._new_file:
            # A recorder that was started again; no break within what it recorded.
            self.counts.restarts += 1
            self._say_no_snapshot()
            self._unsynced_from, self._hole = None, False
            self._gap(diff, last, GapReason.DISCONNECT)
        else:
            self.counts.sequence_breaks += 1
            self._gap(diff, last, GapReason.SEQUENCE_BREAK)
            self._hole = True
        self.synced = False
        self._recent.clear()

    def _say_no_snapshot(self) -> None:
        """A gap over the stretch of diffs without a book, where there is one."""
        first, last = self._unsynced_from, self._last
        if first is not None and last is not None:
            self._gap(last, first, GapReason.NO_SNAPSHOT)

    def _gap(self, at: Diff, since: Diff, reason: GapReason) -> None:
        """A hole from ``since`` to ``at``; ids only where the diffs themselves are missing."""
        missing = reason != GapReason.NO_SNAPSHOT
        self.gaps.append(
            GapRow(
                at.ts_ns,
                at.recv_ns,
                at.seq,
                since.ts_ns,
                at.ts_ns,
                since.last_id if missing else 0,
                at.first_id if missing else 0,
                int(reason),
            )
        )

    def _try_bridge(self) -> None:
        """Apply the waiting snapshot if a kept diff bridges it; drop it if none ever can."""
        snapshot = self._pending
        assert snapshot is not None
        # Diffs up to this id are in the snapshot already.
        need = snapshot.last_id if self.chained else snapshot.last_id + 1
        kept = [d for d in self._recent if d.last_id >= need]
        if not kept:
            return
        self._pending = None
        if kept[0].first_id > need:
            self._hole = self._hole or not self.synced
            return  # older than every diff that is left
        self.counts.snapshots_used += 1
        self._load(snapshot, kept)

    def _load(self, snapshot: Snapshot, kept: list[Diff]) -> None:
        """Start from ``snapshot`` and go through the ``kept`` diffs, which follow each other."""
        self.book.load(snapshot.bids, snapshot.asks)
        if self.synced:
            # A fresh snapshot while in step: it makes far levels known; the diffs were shown.
            for diff in kept:
                self.book.apply(diff.bids, diff.asks)
            return
        if self._hole and self._unsynced_from is not None:
            self._gap(kept[0], self._unsynced_from, GapReason.NO_SNAPSHOT)
        self._hole = False
        self._unsynced_from = None
        self.synced = True
        self._last = None
        for diff in kept:
            self._advance(diff)
            self._last = diff

    def _advance(self, diff: Diff) -> None:
        """Apply one diff that follows; shows the state before it if its slot is over."""
        last = self._last
        cadence_ns = self.cadence_ns
        if last is not None and cadence_ns and diff.ts_ns // cadence_ns > last.ts_ns // cadence_ns:
            self._show(last)
        self.book.apply(diff.bids, diff.asks)
        self.counts.applied += 1
        if self.book.crossed:
            self.counts.crossed += 1
        if not self.cadence_ns:
            self._show(diff)

    def _show(self, diff: Diff) -> None:
        """Emit the state after ``diff``, once; a crossed book is never shown."""
        if diff.last_id <= self._shown_id or self.book.crossed:
            return
        self._shown_id = diff.last_id
        top = self.book.top(self.levels)
        self.depth.append(DepthRow(diff.ts_ns, diff.recv_ns, diff.seq, diff.last_id, *top))
