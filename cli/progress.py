"""One line that says how far long work has come: events, events a second, market time, time left.

What must hold: it writes to stderr only, at most ten times a second on a terminal and every few
seconds elsewhere, and never after it was closed. The work does not wait for it.

It refuses to know what the work is; counts are cumulative and come from outside.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from data.times import format_utc
from data.units import format_size

TTY_INTERVAL_S = 0.1
PLAIN_INTERVAL_S = 5.0


class Progress:
    """A progress line; use it as a context manager and call :meth:`update`.

    ``total`` is the number of ``unit`` expected, 0 when not known; the unit ``bytes`` is shown as
    KiB, MiB or GiB. ``from_ns`` and ``to_ns`` bound
    the market time of the work; where both are known the time left is taken from them.
    """

    def __init__(
        self,
        label: str,
        *,
        total: int = 0,
        from_ns: int = 0,
        to_ns: int = 0,
        unit: str = "events",
        enabled: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.label = label
        self.total = total
        self.from_ns = from_ns
        self.to_ns = to_ns
        self.unit = unit
        self.stream = stream if stream is not None else sys.stderr
        self.enabled = enabled
        self._tty = self.stream.isatty()
        # The rate counts from the first report: what came before (compiling, opening) is not work.
        self._first: tuple[float, int, int] | None = None
        # Elsewhere than on a terminal, work that ends within one interval prints nothing at all.
        self._next_s = time.monotonic() + (0.0 if self._tty else PLAIN_INTERVAL_S)
        self._width = 0

    def __enter__(self) -> Progress:
        """Start counting; prints nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away, so that what follows starts on a clean one."""
        self.close()

    def update(self, done: int, market_ns: int = 0) -> None:
        """Tell how much is done in all (``done`` units) and which market time was reached."""
        if not self.enabled:
            return
        now_s = time.monotonic()
        if self._first is None:
            self._first = (now_s, done, market_ns)
        if now_s < self._next_s:
            return
        self._next_s = now_s + (TTY_INTERVAL_S if self._tty else PLAIN_INTERVAL_S)
        self._write(self._line(done, market_ns, now_s))

    def say(self, text: str) -> None:
        """Print a line of talk above the progress line."""
        self._clear()
        self.stream.write(text + "\n")
        self.stream.flush()

    def close(self) -> None:
        """End the line; harmless when called twice."""
        self._clear()
        self.enabled = False

    def _line(self, done: int, market_ns: int, now_s: float) -> str:
        assert self._first is not None
        first_s, first_done, first_ns = self._first
        elapsed_s = now_s - first_s
        parts = [f"{self.label}: {self._count(done)}"]
        if elapsed_s > 0:
            parts.append(self._speed((done - first_done) / elapsed_s))
        if market_ns > 0:
            parts.append(f"at {format_utc(market_ns)[:19]}Z")
        share = self._share(done, market_ns)
        gained = share - self._share(first_done, first_ns)
        if gained > 0 and share <= 1.0:
            parts.append(f"{share:.0%}, {_clock((1.0 - share) * elapsed_s / gained)} left")
        return "  ".join(parts)

    def _count(self, done: int) -> str:
        if self.unit != "bytes":
            return f"{done:,} {self.unit}"
        return format_size(done) + (f" of {format_size(self.total)}" if self.total else "")

    def _speed(self, rate: float) -> str:
        if self.unit != "bytes":
            return f"{_short(rate)} {self.unit}/s"
        return f"{format_size(int(rate))}/s"

    def _share(self, done: int, market_ns: int) -> float:
        if self.total > 0:
            return done / self.total
        if self.to_ns > self.from_ns > 0 and market_ns > 0:
            return (market_ns - self.from_ns) / (self.to_ns - self.from_ns)
        return 0.0

    def _write(self, line: str) -> None:
        if self._tty:
            # Padding with blanks clears the old line on terminals that know no escape codes.
            self.stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def _clear(self) -> None:
        if self._tty and self._width:
            self.stream.write("\r" + " " * self._width + "\r")
            self.stream.flush()
            self._width = 0


def _short(rate: float) -> str:
    for limit, divisor, suffix in ((1e6, 1e6, "M"), (1e3, 1e3, "k")):
        if rate >= limit:
            return f"{rate / divisor:.1f} {suffix}"
    return f"{rate:.0f}"


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
