"""The order book of one symbol from a stream that brings its own snapshots (Bybit, Tardis).

Owns what such a stream means: a snapshot replaces the book, a delta carries absolute quantities,
zero deletes. Whether a message is missing shows in one of two ways:

* update ids: each message carries the last one plus one (v5, ``u``; a snapshot with 1 says that
  the service began anew);
* or, where there are none (v2), in the levels: a delta names the levels that it deletes and
  changes, which must be there, and those that it inserts, which must not.

What must hold: a book is shown only while it is in step and not crossed; a break is a gap event and
the book waits for the next snapshot; messages of an overlapping recording that came before are left
out; the same messages give the same events however they are spread over calls.

It refuses to know text, JSON and files; prices and quantities are ints at one fixed scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from data.events import GapReason
from data.sources.book import Book, BookCounts, DepthRow, GapRow, Level

RESTART = 1
"""Update id of the snapshot after the service began anew."""


class Update(NamedTuple):
    """One message. ``id`` rises over all messages of the symbol, ``update`` by one a message (0
    where the venue has none)."""

    ts_ns: int
    recv_ns: int
    seq: int
    id: int
    update: int
    bids: list[Level]
    asks: list[Level]


class StreamBook:
    """Turns the messages of one stream of one symbol into depth and gap rows.

    ``levels`` a side are shown, at most one depth row per ``cadence_ns`` slot of event time in UTC
    (0: one after every message): the state after the last message of the slot, written when a later
    message shows that the slot is over. Rows gather in ``depth`` and ``gaps`` until they are taken.
    """

    def __init__(self, *, levels: int, cadence_ns: int) -> None:
        self.levels = levels
        self.cadence_ns = cadence_ns
        self.depth: list[DepthRow] = []
        self.gaps: list[GapRow] = []
        self.counts = BookCounts()
        self.synced = False
        self.book = Book()
        self._last: Update | None = None
        self._shown: Update | None = None
        self._unsynced_from: Update | None = None
        self._new_file = False

    def start_file(self) -> BookCounts:
        """Begin counting anew: another file of the same stream follows. Returns the new counts."""
        self.counts = BookCounts()
        self._new_file = True
        return self.counts

    def add_snapshot(self, message: Update) -> None:
        """Take a snapshot: it replaces the book."""
        self.counts.snapshots += 1
        last = self._last
        if self.synced and last is not None:
            if _before(message, last) and message.update != RESTART:
                self.counts.stale += 1
                return
            if message.update in (last.update, last.update + 1) and message.update:
                self._show_if_over(last, message)
            else:
                self._show_pending(last)
                self.counts.restarts += 1
                self._gap(message, last, GapReason.DISCONNECT)
        else:
            self._say_no_snapshot(message)
        self.counts.snapshots_used += 1
        self.book.load(message.bids, message.asks)
        self.synced, self._last, self._new_file = True, message, False
        self._check(message)

    def add_delta(
        self,
        message: Update,
        present: Sequence[tuple[int, int]] = (),
        absent: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Take changes. ``present`` and ``absent`` are (side 1 or -1, price) of levels that must be
        there, and that must not, where the venue tells it."""
        self.counts.diffs += 1
        last = self._last
        if not self.synced:
            self._unsynced_from = self._unsynced_from or message
            self._last = message
            return
        assert last is not None
        if _before(message, last):
            self.counts.stale += 1  # two recordings of the same time overlap
            return
        follows = message.update == last.update + 1 if message.update else True
        if not (follows and self._fits(present, absent)):
            self._break(last, message)
            return
        self._show_if_over(last, message)
        self.book.apply(message.bids, message.asks)
        self.counts.applied += 1
        self._last, self._new_file = message, False
        self._check(message)

    def finish(self) -> None:
        """No more messages will come: says where the stream was left without a book."""
        if self._last is not None and not self.synced:
            self._say_no_snapshot(self._last)

    def _fits(self, present: Sequence[tuple[int, int]], absent: Sequence[tuple[int, int]]) -> bool:
        has = self.book.has
        return all(has(*level) for level in present) and not any(has(*level) for level in absent)

    def _break(self, last: Update, message: Update) -> None:
        """Messages are missing between ``last`` and ``message``."""
        self._show_pending(last)
        if self._new_file:
            self.counts.restarts += 1
            self._gap(message, last, GapReason.DISCONNECT)
        else:
            self.counts.sequence_breaks += 1
            self._gap(message, last, GapReason.SEQUENCE_BREAK)
        self.synced, self._new_file = False, False
        self._unsynced_from = self._last = message

    def _say_no_snapshot(self, at: Update) -> None:
        """A gap over the stretch of deltas without a book, where there is one."""
        since, self._unsynced_from = self._unsynced_from, None
        if since is not None:
            self._gap(at, since, GapReason.NO_SNAPSHOT)

    def _gap(self, at: Update, since: Update, reason: GapReason) -> None:
        """A hole from ``since`` to ``at``; ids only where messages themselves are missing."""
        ids = (since.id, at.id) if reason != GapReason.NO_SNAPSHOT else (0, 0)
        times = (at.ts_ns, at.recv_ns, at.seq, since.ts_ns, at.ts_ns)
        self.gaps.append(GapRow(*times, *ids, int(reason)))

    def _check(self, message: Update) -> None:
        """Count a crossed book; without a cadence, show the state after every message."""
        if self.book.crossed:
            self.counts.crossed += 1
        if not self.cadence_ns:
            self._show(message)

    def _show_if_over(self, last: Update, message: Update) -> None:
        """Show the state after ``last`` if ``message`` lies in a later slot."""
        cadence_ns = self.cadence_ns
        if cadence_ns and message.ts_ns // cadence_ns > last.ts_ns // cadence_ns:
            self._show(last)

    def _show_pending(self, last: Update) -> None:
        if self.cadence_ns:
            self._show(last)

    def _show(self, message: Update) -> None:
        """Emit the state after ``message``, once; neither a crossed book nor an empty one."""
        if message is self._shown or self.book.crossed:
            return
        self._shown = message
        top = self.book.top(self.levels)
        if top[0] or top[2]:
            stamp = message.ts_ns, message.recv_ns, message.seq, message.id
            self.depth.append(DepthRow(*stamp, *top))


def _before(message: Update, last: Update) -> bool:
    """True when ``message`` is no later than ``last``: it was seen before."""
    if message.id != last.id:
        return message.id < last.id
    if message.update != last.update:
        return message.update < last.update
    return message.ts_ns <= last.ts_ns
