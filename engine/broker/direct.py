"""A terminal's module in this process, with a clock that tests move: no worker, no real time.

Owns the acting out of deadlines in virtual time. The stand-in's module says through ``wait`` how
long a call takes (infinity: it hangs); where that passes the deadline, the call raises as if its
process had been killed, and the module is made anew, as a new process would have it.

It refuses to know what a call means and what the stand-in is made of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from engine.broker.calls import Answer, CallRaisedError, CallTimeoutError

NS = 1_000_000_000


class VirtualClock(Protocol):
    """A clock that is told how time passes."""

    def now_ns(self) -> int:
        """Time now, ns UTC."""

    def pass_ns(self, ns: int) -> None:
        """Let ``ns`` nanoseconds pass, and let happen what happens in them."""


class DirectTerminal:
    """A :class:`engine.broker.calls.Terminal` over a module in this process.

    ``make`` gives a module for a new process; its argument is the function that the module's link
    calls with the seconds that a call takes. ``clock`` moves as they pass.
    """

    def __init__(self, make: Callable[[Callable[[float], None]], Any], clock: VirtualClock) -> None:
        self.restarts = 0
        self.round_trip_ns = 0
        self.calls = 0
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._module: Any = None
        self._started = 0
        self._name = ""
        self._until_ns = 0
        self._deadline_s = 0.0

    def now_ns(self) -> int:
        """Virtual time, ns UTC."""
        return self._clock.now_ns()

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._clock.pass_ns(round(seconds * NS))

    def wait(self, seconds: float) -> None:
        """A call takes ``seconds`` longer; CallTimeoutError at its deadline."""
        left = self._until_ns - self._clock.now_ns()
        if seconds * NS <= left:
            self._clock.pass_ns(round(seconds * NS))
            return
        self._clock.pass_ns(max(0, left))
        raise CallTimeoutError(
            f"{self._name} was not answered within {self._deadline_s:g} s",
            why="the terminal hangs or the server is slow; its worker was killed",
            do="what was asked may have been done: read positions, orders and deals",
        )

    def call(self, name: str, *args: Any, deadline_s: float, **kwargs: Any) -> Answer:
        """See :meth:`engine.broker.calls.Terminal.call`."""
        with self._lock:
            if self._module is None:
                self._module = self._make(self.wait)
                self._started += 1
                self.restarts = self._started - 1
            self.calls += 1
            began = self._clock.now_ns()
            self._name, self._deadline_s = name, deadline_s
            self._until_ns = began + round(deadline_s * NS)
            try:
                value = getattr(self._module, name)(*args, **kwargs)
            except CallTimeoutError:
                self._module = None
                raise
            except (TypeError, SystemError, AttributeError) as error:
                kind = type(error).__name__
                raise CallRaisedError(f"{name} raised {kind}", why=str(error)) from None
            code, text = self._module.last_error()
            took = self._clock.now_ns() - began
            self.round_trip_ns = took
            return Answer(value, code, text, began, took)

    def close(self) -> None:
        """Forget the module."""
        with self._lock:
            self._module = None
