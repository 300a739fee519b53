"""How fast, how often, and until when: the patience of a fetch.

Owns the common rate limit of all transfers, the pause that a server asks for, and the retries of
one request. What must hold: all threads together stay below the rate; a wait ends at once when the
fetch is stopped; an error that another attempt would meet again is not tried again.

It refuses to know what is transferred.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from data.errors import NetworkError
from data.sources.http import AskingAgainIsUseless, shown

T = TypeVar("T")

BACKOFF_S = 1.0
BACKOFF_MAX_S = 30.0
ASKED_MAX_S = 300.0
"""Longest pause (seconds) that a server may ask for with Retry-After."""

_BUSY = frozenset({408, 425, 429})
_WHY = {
    403: "it refuses to serve this, or this address",
    407: "the proxy wants a name and a password",
    429: "it asks for a pause",
    451: "it does not serve the place that you ask from",
}


class Stopped(Exception):  # noqa: N818  it is no error
    """The fetch was told to stop; raised in its threads and never seen outside."""


class TryAgain(NetworkError):  # noqa: N818  it says what to do
    """A failure that may pass; ``after_s`` is what the server asked for, 0 where it did not."""

    def __init__(self, error: NetworkError, after_s: float = 0.0) -> None:
        super().__init__(error.what, where=error.where, why=error.why, do=error.do)
        self.after_s = after_s


class Pace:
    """One rate and one pause for all threads of a fetch; ``bytes_per_s`` 0 is no limit."""

    def __init__(self, bytes_per_s: float = 0.0) -> None:
        self.bytes_per_s = bytes_per_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._free_at_s = 0.0
        self._held_until_s = 0.0

    def stop(self) -> None:
        """End every wait, now and later, with :class:`Stopped`."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop.is_set()

    def take(self, size: int) -> None:
        """Wait until ``size`` bytes that were received fit the rate."""
        wait_s = 0.0
        if self.bytes_per_s > 0:
            with self._lock:
                now_s = time.monotonic()
                self._free_at_s = max(self._free_at_s, now_s) + size / self.bytes_per_s
                wait_s = self._free_at_s - now_s
        self.sleep(wait_s)

    def block_bytes(self, most: int) -> int:
        """How much to read at once so that a tenth of a second of the rate is not exceeded."""
        return most if self.bytes_per_s <= 0 else max(min(most, int(self.bytes_per_s / 10)), 1)

    def hold(self, seconds: float) -> None:
        """Let nobody ask for anything for so long (a server said that it is busy)."""
        with self._lock:
            self._held_until_s = max(self._held_until_s, time.monotonic() + seconds)

    def gate(self) -> None:
        """Wait for the end of a pause that :meth:`hold` began."""
        self.sleep(self._held_until_s - time.monotonic())

    def sleep(self, seconds: float) -> None:
        """Wait; Stopped as soon as the fetch is stopped."""
        if self._stop.wait(max(seconds, 0.0)) if seconds > 0 else self._stop.is_set():
            raise Stopped


def refuse(url: str, status: int, retry_after: str = "") -> NetworkError:
    """What a status that is neither success nor 404 means: TryAgain where it may pass."""
    passes = status in _BUSY or status >= 500
    error = NetworkError(
        f"the server answered {status}",
        where=shown(url),
        why=_WHY.get(status, "it is in trouble" if passes else ""),
        do="try again later" if passes else "check the address and the proxy",
    )
    if not passes:
        return AskingAgainIsUseless(error.what, where=error.where, why=error.why, do=error.do)
    after_s = float(retry_after) if retry_after.strip().isdecimal() else 0.0
    if after_s > ASKED_MAX_S:
        why = f"it asks for a pause of {after_s:.0f} s"
        return AskingAgainIsUseless(error.what, where=error.where, why=why, do=error.do)
    return TryAgain(error, after_s)


def with_patience(
    once: Callable[[], T], pace: Pace, retries: int, backoff_s: float, fresh: Callable[[], bool]
) -> T:
    """The result of ``once``, tried again up to ``retries`` times, longer apart each time.

    ``fresh`` says whether the last attempt brought enough to start counting anew. The last error is
    raised when patience ends.
    """
    failures = 0
    while True:
        pace.gate()
        try:
            return once()
        except AskingAgainIsUseless:
            raise
        except NetworkError as error:
            if pace.stopped:
                raise Stopped from None
            failures = 1 if fresh() else failures + 1
            if failures > retries:
                raise
            asked_s = error.after_s if isinstance(error, TryAgain) else 0.0
            if asked_s:
                pace.hold(asked_s)
            # Jitter: files that failed together must not come back together.
            wait_s = min(backoff_s * 2 ** (failures - 1), BACKOFF_MAX_S) * random.uniform(0.5, 1.0)
            pace.sleep(max(wait_s, asked_s))
