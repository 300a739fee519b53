"""The one clock of a sandbox, as everything that talks to its terminal needs it.

Owns :class:`SandboxClock`, which asks ``/ofs/clock`` of the sandbox. What must hold: the time that
it gives never goes back and is never behind what the sandbox said last, so that no quote seems to
come from the future.

It refuses to know what is done in that time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from data.errors import ConfigError
from data.live.endpoint import Clock, Endpoint
from data.sources.http import Http

STALE_NS = 1_000_000_000
"""The sandbox is asked again when its clock may be off by so much of its own time."""

EVERY_S = 0.05
FASTEST_S = 0.005


class SandboxClock:
    """The clock of the sandbox whose requests go to ``endpoint``; between two questions it goes on
    at the speed that the sandbox told. Safe to use from several threads."""

    def __init__(self, endpoint: Endpoint, mono_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.ended = False
        """The range that it plays is over."""
        self.speed = 1.0
        self._endpoint, self._mono_ns = endpoint, mono_ns
        self._http = Http(connect_s=5.0, read_s=5.0, whole_s=10.0)
        self._lock = threading.Lock()
        self._asked = False
        self._at = self._told = self._last = 0

    def look(self) -> Clock:
        """What the sandbox says now; NetworkError where it does not answer, ConfigError where it
        is none."""
        with self._lock:
            return self._look()

    def now_ns(self) -> int:
        """Its time, ns UTC; errors as of :meth:`look`."""
        with self._lock:
            ahead = self._ahead()
            if not self._asked or (ahead > STALE_NS and not self.ended):
                self._look()
                ahead = self._ahead()
            self._last = max(self._last, self._told + (0 if self.ended else ahead))
            return self._last

    @property
    def every_s(self) -> float:
        """How often (wall time) its quotes should be asked for: about once a second of its own."""
        return max(FASTEST_S, min(EVERY_S, 1.0 / self.speed))

    def sleep(self, seconds: float) -> None:
        """Let so much of its time pass."""
        time.sleep(seconds / max(self.speed, 1.0))

    def _ahead(self) -> int:
        return round((self._mono_ns() - self._at) * self.speed)

    def _look(self) -> Clock:
        asked_at = self._mono_ns()  # before: what is answered is at least of that moment
        clock = self._endpoint.clock(self._http)
        if clock is None:
            raise ConfigError(
                "this is no sandbox", where=self._endpoint.rest, why="it tells no time",
                do="name the file with the line of ofs sandbox",
            )  # fmt: skip
        self._asked, self._at, self._told = True, asked_at, clock.now_ns
        self.speed, self.ended = max(clock.speed, 0.01), clock.ended
        return clock
