"""Patience with a venue: how long to wait before the next attempt, and how many are allowed.

Owns :class:`Backoff` and :class:`Attempts`. What must hold: connections that were lost together do
not come back together (full jitter), and a venue is never asked more often than it allows.

It refuses to know what is attempted; chance and time are passed in.
"""

from __future__ import annotations

from collections import deque
from random import Random

FIRST_S = 0.5
MOST_S = 60.0


class Backoff:
    """Waits that grow: uniform between 0 and twice as much as before, from ``first_s`` on and never
    above ``most_s`` (seconds). Source: "full jitter" of the AWS architecture blog, 2015."""

    def __init__(self, random: Random, first_s: float = FIRST_S, most_s: float = MOST_S) -> None:
        self._random = random
        self._first_s, self._most_s = first_s, most_s
        self.failures = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        self.failures += 1
        grown = self._first_s * 2.0 ** min(self.failures - 1, 30)
        return self._random.uniform(0.0, min(grown, self._most_s))

    def reset(self) -> None:
        """It works again."""
        self.failures = 0


class Attempts:
    """At most ``most`` attempts within ``span_s`` seconds, whoever makes them."""

    def __init__(self, most: int, span_s: float) -> None:
        self._most, self._span_s = most, span_s
        self._made: deque[float] = deque()
        self._held_until_s = 0.0

    def hold(self, until_s: float) -> None:
        """Let nobody try before ``until_s`` (the venue said so)."""
        self._held_until_s = max(self._held_until_s, until_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next attempt is allowed; where it is 0, the attempt counts as made."""
        while self._made and self._made[0] <= now_s - self._span_s:
            self._made.popleft()
        wait_s = self._held_until_s - now_s
        if len(self._made) >= self._most:
            wait_s = max(wait_s, self._made[0] + self._span_s - now_s)
        if wait_s <= 0:
            self._made.append(now_s)
            return 0.0
        return wait_s
