"""Threads that fetch while the caller imports, and that end when they are told to.

Owns the queue of work and its results. What must hold: no more than ``jobs`` pieces of work are
under way at once; the caller can be interrupted at any time while it waits; a piece of work that
fails gives its error to the caller and ends no thread; nobody waits for a thread that hangs.

It refuses to know what the work is.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data.sources.fetch_pace import Pace, Stopped

_POLL_S = 0.1
_GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class Done:
    """A piece of work that ended: what it was about, what it gave, or why it failed."""

    about: Any
    result: Any
    error: BaseException | None


class Crew:
    """``jobs`` threads; :meth:`start` gives them work, :meth:`next` takes what is done.

    ``tick`` is called about ten times a second while :meth:`next` waits.
    """

    def __init__(self, jobs: int, pace: Pace, tick: Callable[[], None] = lambda: None) -> None:
        self._pace, self._tick = pace, tick
        self._todo: queue.SimpleQueue[tuple[Any, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self.outstanding = 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()

    def start(self, about: Any, work: Callable[[], Any]) -> None:
        """Have ``work`` done when a thread is free."""
        self.outstanding += 1
        self._todo.put((about, work))

    def next(self) -> Done | None:
        """The next piece of work that ended; None when none is outstanding."""
        while self.outstanding:
            try:
                # A limit on each wait: an endless one cannot be interrupted everywhere.
                done = self._done.get(timeout=_POLL_S)
            except queue.Empty:
                self._tick()
                continue
            self.outstanding -= 1
            self._tick()
            return done
        return None

    def close(self) -> None:
        """Send the threads home; those that hang in a read are left (they are daemons)."""
        for _ in self._threads:
            self._todo.put(None)
        deadline_s = time.monotonic() + _GOODBYE_S
        for thread in self._threads:
            thread.join(max(deadline_s - time.monotonic(), 0.0))

    def _work(self) -> None:
        while (task := self._todo.get()) is not None:
            about, work = task
            if self._pace.stopped:
                self._done.put(Done(about, None, Stopped()))
                continue
            try:
                self._done.put(Done(about, work(), None))
            except BaseException as error:  # noqa: BLE001  reason: the caller raises or counts it
                self._done.put(Done(about, None, error))
