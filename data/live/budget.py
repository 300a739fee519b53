"""How much may be asked of a venue: weight a minute, and the pauses that it orders.

Owns :class:`Budget`. What must hold: less is asked than the venue allows, by the larger of what was
counted here and what the venue says it counted (the address may have other users); nothing is asked
during a pause.

It refuses to know requests; the venue's time is passed in.
"""

from __future__ import annotations

MINUTE_NS = 60_000_000_000


class Budget:
    """``limit`` weight a UTC minute of the venue's clock, of which ``share`` (0..1) is used."""

    def __init__(self, limit: int, share: float = 0.5) -> None:
        self.limit = max(int(limit * share), 1)
        self.used = 0
        self._minute = 0
        self._held_until_ns = 0

    def hold(self, until_ns: int) -> None:
        """Ask nothing before ``until_ns`` (venue's time)."""
        self._held_until_ns = max(self._held_until_ns, until_ns)

    def held_ns(self, now_ns: int) -> int:
        """Ns that are left of an ordered pause."""
        return max(self._held_until_ns - now_ns, 0)

    def wait_ns(self, weight: int, now_ns: int) -> int:
        """Ns until ``weight`` may be spent; where it is 0, it counts as spent.

        A request that is heavier than the whole budget is let through in a fresh minute.
        """
        if now_ns < self._held_until_ns:
            return self._held_until_ns - now_ns
        if now_ns // MINUTE_NS > self._minute:
            self._minute, self.used = now_ns // MINUTE_NS, 0
        if self.used and self.used + weight > self.limit:
            return (self._minute + 1) * MINUTE_NS - now_ns
        self.used += weight
        return 0

    def told(self, used: int, now_ns: int) -> None:
        """The venue has counted ``used`` in the minute of ``now_ns``."""
        if now_ns // MINUTE_NS == self._minute:
            self.used = max(self.used, used)
