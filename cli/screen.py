"""The live screen of a session: drawn on a terminal, a plain line now and then anywhere else.

Owns when it is drawn, on a thread of its own, and leaving the terminal as it was found. What must
hold: the session never waits for it; a terminal that goes away ends the screen and not the session;
it writes to stderr only.

It refuses to know what stands on it: see ``screen_parts``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live

from cli import spark
from cli.screen_parts import draw, plain
from engine.runtime.view import View

EVERY_S = 1.0
PLAIN_EVERY_S = 30.0
FOCUS_S = 10.0
"""How long one of several symbols is shown in full; one with a position is shown twice as long."""


class Screen:
    """Shows what ``view`` gives; use it as a context manager around the session.

    On a terminal the whole screen, every ``every_s`` seconds; elsewhere a line every
    ``plain_every_s``. ``enabled`` False shows nothing.
    """

    def __init__(
        self,
        view: Callable[[], View],
        *,
        color: bool = True,
        enabled: bool = True,
        stream: TextIO | None = None,
        every_s: float = EVERY_S,
        plain_every_s: float = PLAIN_EVERY_S,
    ) -> None:
        self._view = view
        self._stream = stream if stream is not None else sys.stderr
        self._enabled = enabled
        self._every_s, self._plain_every_s = every_s, plain_every_s
        self._console = _Console(file=self._stream, no_color=not color, highlight=False)
        self._letters = spark.BLOCKS if _takes(self._stream, spark.BLOCKS) else spark.ASCII
        self._end = Event()
        self._thread = Thread(target=self._run, name="screen", daemon=True)
        self.lost = ""

    def __enter__(self) -> Screen:
        """Begin to draw."""
        if self._enabled:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        try:
            if self._console.is_terminal:
                self._draw()
            else:
                self._tell()
        except (OSError, ValueError) as error:  # the terminal was closed
            self.lost = str(error) or type(error).__name__

    def _draw(self) -> None:
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            while not self._end.is_set():
                live.update(self.picture(), refresh=True)
                self._end.wait(self._every_s)
        self._stream.write(plain(self._view()) + "\n")
        self._stream.flush()

    def picture(self) -> Group:
        """The screen as it is now."""
        view, (width, height) = self._view(), self._console.size
        place = focus(view, time.monotonic())
        lines = draw(view, width, height, place, self._letters, color=not self._console.no_color)
        return Group(*lines)

    def _tell(self) -> None:
        while not self._end.wait(self._plain_every_s):
            self._stream.write(plain(self._view()) + "\n")
            self._stream.flush()


class _Console(Console):
    """A console that tells of a terminal that went away, instead of ending the program's output."""

    def on_broken_pipe(self) -> None:
        """Pass on what is being handled."""
        raise BrokenPipeError("the terminal was closed")


def focus(view: View, now_s: float) -> int:
    """Place of the symbol whose turn it is at ``now_s`` (monotonic seconds)."""
    turns = [n for n, x in enumerate(view.symbols) for _ in range(2 if x.positions else 1)]
    return turns[int(now_s // FOCUS_S) % len(turns)] if turns else 0


def _takes(stream: TextIO, letters: str) -> bool:
    """Whether what is behind ``stream`` can show ``letters``."""
    try:
        letters.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
