"""What a terminal is to those who call it: a protocol, an answer, and what a call can raise.

Owns the :class:`Terminal` protocol. Behind it stands a worker process (``engine.broker.worker``),
a bridge on a socket (``engine.broker.bridge``) or a module in this process (``.direct``).
Calls are those of the terminal's Python package; values come back as named tuples with its field
names, as tuples of them (None is failure, an empty tuple is empty), and as read-only arrays.

What must hold: a call answers, or raises; what it raises says whether anything may have been
executed; one call runs at a time, whoever asks, and ``last_error`` is that of this very call.
No error carries an argument of a call: one of them is a password.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from engine.broker.protocol import BrokerError, BrokerGoneError


class CallLostError(BrokerGoneError):
    """The link died under a call: what was asked may have been done, and the answer is lost."""


class CallTimeoutError(CallLostError):
    """A call was not answered by its deadline; its process was killed. What was asked may have
    been done."""


class CallNotSentError(BrokerGoneError):
    """A call never left: nothing was executed."""


class CallRaisedError(BrokerError):
    """The module raised instead of answering: arguments that no terminal takes."""


class Answer(NamedTuple):
    """An answer. ``value`` as the package gives it; ``code`` and ``text`` its ``last_error``;
    ``began_ns`` wall clock at which the module was called, ``took_ns`` how long that took."""

    value: Any
    code: int
    text: str
    began_ns: int
    took_ns: int


class Terminal(Protocol):
    """Whoever carries a call to a terminal. Safe to use from several threads."""

    restarts: int
    """Workers that were started after the first one."""

    round_trip_ns: int
    """What the last answered call took, there and back."""

    def call(self, name: str, *args: Any, deadline_s: float, **kwargs: Any) -> Answer:
        """Call a function of the package; its answer, within ``deadline_s`` seconds.

        CallNotSentError where it certainly was not called, CallTimeoutError and CallLostError where
        that is not known, CallRaisedError where the package raised.
        """

    def now_ns(self) -> int:
        """The time that goes with this terminal, ns UTC."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def close(self) -> None:
        """Let go of the link; a later call opens it again."""
