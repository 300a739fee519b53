"""What stands beside a running session: its monitor, its HTTP API, and the screen.

Owns starting and stopping them together. What must hold: a port that is taken is told before the
session begins; whatever happens here later on does not stop the session. It refuses to know what is
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.common import App

if TYPE_CHECKING:
    from engine.runtime.monitor import Monitor
    from engine.runtime.view import View


@dataclass(frozen=True)
class Beside:
    """The monitor, and where the API listens (empty: nowhere)."""

    monitor: Monitor
    address: str


@contextmanager
def beside(
    app: App,
    folder: Path,
    view: Callable[[], View],
    http: tuple[str, int] | None,
    cache: Callable[[], tuple[int, int]] = lambda: (0, 0),
) -> Iterator[Beside]:
    """Monitor and, where ``http`` is (host, port), the API; the caller adds the screen.

    ``folder`` is the session's; ConfigError where the API cannot listen.
    """
    from data.telemetry import MONITOR
    from engine.runtime.monitor import Monitor

    with ExitStack() as stack:
        monitor = Monitor(view, folder / MONITOR, cache=cache)
        monitor.start()
        stack.callback(monitor.stop)
        address = ""
        if http is not None:
            from engine.runtime.http_api import HttpApi, token_from_environment

            api = HttpApi(view, *http, token_from_environment(), monitor)
            api.start()
            stack.callback(api.stop)
            address = api.address
            app.say(f"http: {address}")
        yield Beside(monitor, address)


def say_unfilled(app: App, fill_error: str, log: Path) -> None:
    """Tell that the venue did not give all that was missed, when a session has ended."""
    if fill_error:
        why = fill_error.splitlines()[0].removeprefix("error: ")
        app.say(f"note: what was missed is not all fetched: {why}")
        app.say(f"  do: ofs log fill --source auto --log {log}")
