"""What all connections of a feed share: time as the venue passes it, attempts, and words.

Owns :class:`Pace` and the meaning of an HTTP status that refuses a connection. What must hold: what
a venue says of too many requests holds back every connection, because it counts by address.

It refuses to know connections.
"""

from __future__ import annotations

import time
from random import Random

from data.errors import NetworkError
from data.live.backoff import Attempts, Backoff
from data.live.connect import Refused
from data.live.endpoint import Clock, Endpoint
from data.live.items import FeedFacts
from data.live.streams import ATTEMPTS_SPAN_S, Venue
from data.sources.http import shown

HOLD_S = {403: 300.0, 418: 300.0, 429: 60.0}
"""How long (s) nobody connects after a status, where the venue names no time."""

HEALTHY_NS = 5_000_000_000

_WHY = {
    403: "its firewall refuses this address (403): connecting more slowly",
    418: "it has banned this address for a while (418): waiting it out",
    429: "it was asked too often (429): waiting as long as it says",
}


class Pace:
    """Time and patience of a feed; used in the loop's thread only, but for :meth:`now`."""

    def __init__(self, venue: Venue, endpoint: Endpoint, random: Random, facts: FeedFacts) -> None:
        self.venue, self.endpoint, self.random, self.facts = venue, endpoint, random, facts
        self.attempts = Attempts(venue.attempts, ATTEMPTS_SPAN_S)
        self.clock: Clock | None = None
        self._told_mono = 0
        self._speed = 0.0

    @property
    def served(self) -> bool:
        """Whether a stand-in tells the time."""
        return self.clock is not None

    @property
    def healthy_ns(self) -> int:
        """Monotonic ns that a connection must have carried data to count as one that works."""
        return 0 if self.served else HEALTHY_NS

    def backoff(self) -> Backoff:
        """A fresh one. A stand-in is not to be spared, and a second of it may be an hour."""
        return Backoff(self.random, 0.02, 1.0) if self.served else Backoff(self.random)

    def told(self, clock: Clock) -> None:
        """A stand-in told its time."""
        mono_ns = time.monotonic_ns()
        if self.clock is not None and mono_ns > self._told_mono:
            passed_ns = clock.now_ns - self.clock.now_ns
            self._speed = max(passed_ns / (mono_ns - self._told_mono), 0.0)
        self.clock, self._told_mono = clock, mono_ns

    def now(self) -> int:
        """Ns of the venue's time as far as it is known to have passed; monotonic for a real one."""
        return time.monotonic_ns() if self.clock is None else self.clock.now_ns

    def ahead(self) -> int:
        """Ns of the venue's time between two looks at a served clock: where it will be if it goes
        on as it did."""
        if self.clock is None:
            return self.now()
        passed_ns = time.monotonic_ns() - self._told_mono
        return self.clock.now_ns + int(passed_ns * self._speed)

    def say(self, text: str) -> None:
        """Note what went wrong last, for people."""
        self.facts.last_error = text

    def refused(self, refusal: Refused) -> None:
        """Wait as long as the status of a refused handshake means; NetworkError where it means
        that no waiting helps."""
        if refusal.status == 451:
            raise NetworkError(
                f"{self.venue.name} does not serve the place that you connect from (451)",
                where=shown(self.endpoint.ws),
                why="a geoblock: it will not pass by itself",
                do="connect from a place that the venue serves, or record another venue",
            )
        if refusal.status in HOLD_S:
            hold_s = refusal.retry_after_s or HOLD_S[refusal.status]
            self.attempts.hold(time.monotonic() + hold_s)
            self.say(f"{_WHY[refusal.status]} ({hold_s:.0f} s)")
            return
        self.say(str(refusal))
