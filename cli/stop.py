"""How a session is stopped: the first Ctrl-C or SIGTERM asks it to drain, the second aborts.

Owns the signal handlers of a long-running command and the exit code of having been stopped.
"""

from __future__ import annotations

import signal
from types import FrameType

from data.errors import EXIT_INTERRUPT, EXIT_OK


class Stop:
    """``asked`` is "" until a signal came, then its name; a second one raises KeyboardInterrupt.

    Use it as a context manager: the handlers that stood before stand again afterwards.
    """

    def __init__(self) -> None:
        self.asked = ""
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stop:
        """From here on signals only ask."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_facts: object) -> None:
        """As before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = signal.Signals(number).name

    @property
    def exit_code(self) -> int:
        """130 where a signal ended the session, which drained all the same."""
        return EXIT_INTERRUPT if self.asked else EXIT_OK
