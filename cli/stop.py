"""How a session is stopped: the first Ctrl-C or SIGTERM asks it to drain, the second aborts.

Owns the signal handlers of a long-running command and the exit code of having been stopped.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from data.errors import EXIT_INTERRUPT, EXIT_OK

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from cli.common import App


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


class Server(Protocol):
    """What serves until it is stopped, and tells once where."""

    async def serve(self, told: Callable[[dict[str, Any]], None], stopped: asyncio.Event) -> None:
        """Serve; ``told`` takes the facts of being ready."""


async def serve_until_told(app: App, server: Server, for_s: float) -> None:
    """Serve until a signal comes, or for ``for_s`` seconds (0: no bound); the server's line is
    printed when it is ready."""
    import asyncio
    from contextlib import suppress

    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
            loop.add_signal_handler(number, stopped.set)
    if for_s:
        loop.call_later(for_s, stopped.set)

    def told(facts: dict[str, Any]) -> None:
        app.emit_line(facts)
        sys.stdout.flush()

    await server.serve(told, stopped)
