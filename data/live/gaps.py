"""What is known of each stream of a session, and the gap events that say what is missing from it.

Owns :class:`Stream` (one kind of one symbol) and the making of gap rows. A hole is told twice: at
once, from the last event before it to now, with ``to_id`` 0; and again when the stream speaks, up
to the first event after it. Where trade ids then go on without a hole the second row says
``filled`` 1: nothing was missed.

What must hold: ``from_ns`` and ``from_id`` are those of the last event that was admitted; opaque
ids (see :mod:`data.ids`) stand in no gap, because they tell no order.

It refuses to know frames, connections and clocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from data.enums import GapReason, Kind
from data.ids import OPAQUE_ID
from data.live.decode import Row

RECENT_IDS = 256
"""Update ids of a stream that are remembered, to tell a sample that is late from one seen twice."""

HOLES_KEPT = 64
"""Holes of a stream that are remembered, to tell a trade that is late from one seen twice."""

_NUMBERED = frozenset({Kind.TRADE, Kind.DEPTH, Kind.QUOTE})


class Stream:
    """One kind of one symbol. Times are ns UTC, 0 where nothing came yet.

    ``key`` orders its events: the trade or update id, of bars the start, of marks the time.
    ``heard_ns`` and ``heard_mono`` are session and monotonic time of the last frame, of use or not;
    ``since_ns`` is when its connection was opened. ``stuck`` says that what comes is of no use
    until it begins anew. ``gap`` is the reason of the hole that it stands in, None where it stands
    in none.
    """

    __slots__ = (
        *("gap", "heard_mono", "heard_ns", "holes", "key", "kind", "last_id", "last_ns", "listens"),
        *("name", "old_ids", "recent", "series", "since_ns", "stuck"),
    )

    def __init__(self, series: int, kind: Kind) -> None:
        self.series = series
        self.kind = kind
        self.name = ""
        self.listens = False
        self.since_ns = 0
        self.heard_ns = 0
        self.heard_mono = 0
        self.last_ns = 0
        self.last_id = 0
        self.key = 0
        self.gap: GapReason | None = None
        self.stuck = False
        self.old_ids = 0
        self.recent: deque[int] = deque(maxlen=RECENT_IDS)
        self.holes: deque[tuple[int, int]] = deque(maxlen=HOLES_KEPT)

    @property
    def known_ns(self) -> int:
        """Up to when nothing is missing: its last event, else the opening of its connection."""
        return self.last_ns or self.since_ns

    def open_gap(self, now_ns: int, reason: GapReason) -> Row | None:
        """It is broken from here on: the row that says so, None where nothing ever could come.

        Its time is where the hole begins: a fold takes it before the decision boundaries that lie
        in the hole, which must not be evaluated as if nothing had been missed.
        """
        if not self.known_ns:
            return None
        self.gap = reason
        now_ns = max(now_ns, self.known_ns)
        _, *rest = gap_row(self, now_ns, reason, from_ns=self.known_ns, from_id=self.last_id)
        return self.known_ns, *rest

    def close_gap(self, ts_ns: int, id: int, whole: bool = False) -> Row:
        """The first event after the hole; ``whole`` says that its id shows that nothing is missing.

        Only while ``gap`` is set.
        """
        assert self.gap is not None
        reason, self.gap = self.gap, None
        from_ns = self.known_ns or ts_ns
        return gap_row(self, ts_ns, reason, from_ns, self.last_id, id, whole)


def gap_row(
    stream: Stream,
    ts_ns: int,
    reason: GapReason,
    from_ns: int,
    from_id: int,
    to_id: int = 0,
    whole: bool = False,
) -> Row:
    """A gap event that ends at ``ts_ns`` (ns UTC), the row as a decoder would make it."""
    numbered = stream.kind in _NUMBERED and max(from_id, to_id) < OPAQUE_ID
    ids = (from_id, to_id) if numbered else (0, 0)
    return ts_ns, 0, int(stream.kind), from_ns, ts_ns, *ids, int(reason), int(whole)


class Seen:
    """What came lately, by content, in bounded memory: two generations of at most ``most``."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def add(self, content: Hashable) -> bool:
        """Remember it; False where it was known."""
        if content in self._young or content in self._old:
            return False
        if len(self._young) >= self.most:
            self._old, self._young = self._young, set()
        self._young.add(content)
        return True
