"""What a venue's REST interface allows: weight by the minute, then 429, then a ban.

Owns :class:`Weights`. What must hold: a minute is one of the venue's own clock; a refused request
costs weight too; who goes on after 429 is banned (418) for a while. Source: reference page of the
venue, section 2.

It refuses to know what is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_MINUTE_NS = 60_000_000_000
_PATIENCE = 5
_BAN_S = 120


@dataclass(frozen=True, slots=True)
class Charge:
    """After a request: the weight used in this minute, the status (200, 429 or 418) and, unless it
    is 200, after how many seconds of the venue's clock to come back."""

    used: int
    status: int = 200
    retry_s: int = 0


class Weights:
    """A budget of ``most`` a minute. ``now_ns`` is the venue's clock; where it stands still (before
    it runs, after the end) the time goes on with the wall clock from there."""

    def __init__(
        self,
        most: int,
        now_ns: Callable[[], int],
        wall_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.used = 0
        self._now_ns = now_ns
        self._wall_s = wall_s
        self._seen_ns, self._seen_s = now_ns(), wall_s()
        self._minute = -1
        self._refused = 0
        self._banned_until_ns = 0

    def clock_ns(self) -> int:
        """The venue's clock, which does not stand still here."""
        now_ns, wall_s = self._now_ns(), self._wall_s()
        if now_ns != self._seen_ns:
            self._seen_ns, self._seen_s = now_ns, wall_s
        return now_ns + int((wall_s - self._seen_s) * 1e9)

    def charge(self, weight: int) -> Charge:
        """Take ``weight``."""
        now_ns = self.clock_ns()
        minute = now_ns // _MINUTE_NS
        if minute != self._minute:
            self._minute, self.used, self._refused = minute, 0, 0
        self.used += weight
        if now_ns < self._banned_until_ns:
            return Charge(self.used, 418, _seconds(self._banned_until_ns - now_ns))
        if self.used <= self.most:
            return Charge(self.used)
        self._refused += 1
        if self._refused > _PATIENCE:
            self._banned_until_ns = now_ns + _BAN_S * 1_000_000_000
            return Charge(self.used, 418, _BAN_S)
        return Charge(self.used, 429, _seconds((minute + 1) * _MINUTE_NS - now_ns))


def _seconds(ns: int) -> int:
    return max(1, -(-ns // 1_000_000_000))
