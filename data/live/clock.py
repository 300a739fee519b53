"""The time of a session: one clock for receive times, timers and staleness.

Owns :class:`SessionClock`. It runs with the monotonic clock from an anchor in wall time, so a step
of the wall clock moves no receive time; it never goes back. :class:`Anchor` says which readings of
the three clocks belong together, from the start and after each step of the wall clock, and a
session keeps them: from an event's receive time follow its monotonic and its wall time, exactly.

A served venue plays the past faster than real time: its clock is then the session's clock. It
stands at the largest of what the venue told and the times of the frames that came, and is never
extrapolated, because a venue that waits for a slow client does not move on.

It refuses to know what is timed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

STEP_NS = 500_000_000
"""A wall clock that is off by more than this from where it was is said to have stepped."""

ANCHORS_MOST = 1_000
"""Anchors that are kept of one process."""

_WINDOW_NS = 60_000_000_000
_SLOT_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Anchor:
    """Session time, wall time and the monotonic clock at one moment, int64 ns. Until the next one a
    receive time less ``session_ns`` is time that passed by the monotonic clock since
    ``mono_ns``, and by the wall clock since ``wall_ns``; in a served session only the last two."""

    session_ns: int
    wall_ns: int
    mono_ns: int


class SessionClock:
    """Session time, int64 ns UTC, at readings of the monotonic clock (``mono_ns``).

    ``served`` says that a stand-in venue tells the time. ``mono_ns`` and ``wall_ns`` are the
    machine's clocks; tests pass their own. ``floor_ns`` is the last receive time of the session
    before a restart: time goes on from there.
    """

    def __init__(
        self,
        served: bool = False,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
        floor_ns: int = 0,
    ) -> None:
        self.served = served
        self.mono_ns = mono_ns
        self.wall_ns = wall_ns
        self.steps = 0
        self._anchor_mono = mono_ns()
        wall = wall_ns()
        # a wall clock that was set back between two starts must not make timers stand still
        self._anchor = wall if served else max(wall, floor_ns)
        self._last = floor_ns
        self._known_skew = 0
        self._offsets: deque[tuple[int, int]] = deque()
        first = Anchor(self.at(self._anchor_mono), wall, self._anchor_mono)
        self.anchors: deque[Anchor] = deque([first], maxlen=ANCHORS_MOST)

    def at(self, mono_ns: int) -> int:
        """Session time at a monotonic reading; never before one that was given out."""
        if not self.served:
            self._last = max(self._last, self._anchor + mono_ns - self._anchor_mono)
        return self._last

    def now(self) -> int:
        """Session time now."""
        return self.at(self.mono_ns())

    def told(self, now_ns: int) -> None:
        """A served venue has sent everything up to ``now_ns``, or a frame of that time came."""
        if self.served:
            self._last = max(self._last, now_ns)

    def skew_ns(self) -> int:
        """Wall clock less session clock now, ns; 0 where served. Call it about once a second: it
        notices a step of the wall clock, counts it and anchors anew. Session time follows a step
        forward; after one back it goes on with the monotonic clock, because timers must not stand
        still until the wall clock has come this far again."""
        if self.served:
            return 0
        mono, wall = self.mono_ns(), self.wall_ns()
        skew = wall - (self._anchor + mono - self._anchor_mono)
        if abs(skew - self._known_skew) <= STEP_NS:
            return skew
        self.steps += 1
        self._known_skew = skew
        if skew > STEP_NS:
            self._anchor, self._anchor_mono, self._known_skew = wall, mono, 0
            self._offsets.clear()
        self.anchors.append(Anchor(self.at(mono), wall, mono))
        return self._known_skew

    def saw(self, sent_ns: int, recv_ns: int) -> None:
        """A frame sent by the venue at ``sent_ns`` was received at ``recv_ns``: keeps the rolling
        minimum of their difference over a minute, by seconds."""
        offset, slot = recv_ns - sent_ns, recv_ns // _SLOT_NS
        if self._offsets and self._offsets[-1][0] == slot:
            self._offsets[-1] = slot, min(offset, self._offsets[-1][1])
            return
        self._offsets.append((slot, offset))
        while self._offsets[0][0] < slot - _WINDOW_NS // _SLOT_NS:
            self._offsets.popleft()

    @property
    def offset_ns(self) -> int:
        """Smallest receive time less sending time of the last minute: the error of this clock plus
        the shortest way of a message; 0 before the first frame."""
        return min((offset for _, offset in self._offsets), default=0)

    def venue_ns(self, recv_ns: int) -> int:
        """What the venue's clock must have reached at ``recv_ns`` (session time), at least."""
        return recv_ns if self.served else recv_ns - self.offset_ns
