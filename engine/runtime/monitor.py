"""The performance monitor of a session: what it costs, how late it is, how much it checks.

Owns reading the machine (psutil) every few seconds on a thread of its own, the last 100 readings
with their summary, and the session's telemetry table. The seeds' monitor counted CPU, memory,
engines, a cache, latency and checks a second; here they are counted where they happen, and the
cache is the one that there is: of compiled folds. What must hold: memory is bounded; whatever goes
wrong here is counted and never stops a session.

It refuses to know what a good figure is: see ``alarms``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pyarrow as pa

from data.telemetry import COLUMNS, add_rows
from engine.runtime.view import Resources, View

KEPT = 100
"""Readings that are kept in memory."""
EVERY_S = 5.0
WRITTEN_EVERY_S = 60.0
SUMMED = (
    "cpu_percent", "memory_mb", "checks_per_s", "events_per_s", "lag_p50_ms", "lag_p99_ms",
    "decision_p99_ms",
)  # fmt: skip
"""Figures of the summary."""


@dataclass(frozen=True, slots=True)
class _Counters:
    """Counters that only grow, and when they were read (monotonic seconds)."""

    at_s: float
    net_in: int | None
    net_out: int | None
    disk_read: int | None
    disk_write: int | None
    checks: int


class Monitor:
    """Reads the process every ``every_s`` seconds.

    ``view`` gives the session's latest picture, ``folder`` is where the table goes (None: nowhere),
    ``cache`` tells (hits, misses) of compiled folds. Call :meth:`start` and :meth:`stop`.
    """

    def __init__(
        self,
        view: Callable[[], View],
        folder: Path | None = None,
        every_s: float = EVERY_S,
        cache: Callable[[], tuple[int, int]] = lambda: (0, 0),
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.latest = Resources()
        self.failures = 0
        self.last_failure = ""
        self._view, self._folder, self._every_s = view, folder, every_s
        self._cache, self._wall_ns = cache, wall_ns
        self._process = psutil.Process()
        self._snapshots: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._unwritten: deque[Mapping[str, Any]] = deque(maxlen=10_000)
        self._before = self._counters(view())
        self._process.cpu_percent()  # the first call only begins to count
        self._end = Event()
        self._thread = Thread(target=self._run, name="monitor", daemon=True)

    def start(self) -> None:
        """Begin to read, on a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Read once more, write what is not written, and end the thread."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        self._guarded(self.read)
        self._guarded(self.write)

    def _run(self) -> None:
        written_s = time.monotonic()
        while not self._end.wait(self._every_s):
            self._guarded(self.read)
            if time.monotonic() - written_s >= WRITTEN_EVERY_S:
                written_s = time.monotonic()
                self._guarded(self.write)

    def _guarded(self, work: Callable[[], None]) -> None:
        """A full disk or a machine that tells nothing is counted; the session goes on."""
        try:
            work()
        except (OSError, psutil.Error, pa.ArrowException) as error:
            self.failures += 1
            self.last_failure = str(error)

    def read(self) -> None:
        """One reading now."""
        view = self._view()
        resources = self._resources(view)
        self.latest = resources
        row = _row(view, resources, self._wall_ns())
        self._snapshots.append(row)
        self._unwritten.append(row)

    def write(self) -> None:
        """Add the readings that are not written yet to the table."""
        rows = list(self._unwritten)
        if self._folder is not None and rows:
            add_rows(self._folder, rows)
        for _ in rows:
            self._unwritten.popleft()

    def _counters(self, view: View) -> _Counters:
        net = _or_none(psutil.net_io_counters)
        disk = (
            _or_none(self._process.io_counters) if hasattr(psutil.Process, "io_counters") else None
        )
        return _Counters(
            time.monotonic(),
            getattr(net, "bytes_recv", None),
            getattr(net, "bytes_sent", None),
            getattr(disk, "read_bytes", None),
            getattr(disk, "write_bytes", None),
            sum(x.counts.get("decision", 0) for x in view.symbols),
        )

    def _resources(self, view: View) -> Resources:
        before, now = self._before, self._counters(view)
        self._before = now
        span_s = max(now.at_s - before.at_s, 1e-3)

        def rate(a: int | None, b: int | None) -> float | None:
            return None if a is None or b is None else max(0, b - a) / span_s

        hits, misses = self._cache()
        with self._process.oneshot():
            return Resources(
                ts_ns=view.now_ns or self._wall_ns(),
                cpu_percent=self._process.cpu_percent(),
                memory_mb=self._process.memory_info().rss / 1e6,
                threads=self._process.num_threads(),
                open_files=_open_files(self._process),
                net_in_per_s=rate(before.net_in, now.net_in),
                net_out_per_s=rate(before.net_out, now.net_out),
                disk_read_per_s=rate(before.disk_read, now.disk_read),
                disk_write_per_s=rate(before.disk_write, now.disk_write),
                engines=len(view.symbols),
                checks_per_s=rate(before.checks, now.checks) or 0.0,
                cache_hits=hits,
                cache_misses=misses,
                cache_hit_percent=100 * hits / (hits + misses) if hits + misses else None,
            )

    def snapshots(self) -> list[Mapping[str, Any]]:
        """The last 100 readings, oldest first, each a row of the telemetry table."""
        return list(self._snapshots)

    def summary(self) -> dict[str, dict[str, float]]:
        """Least, mean, most and last of the main figures over :meth:`snapshots`."""
        rows = self.snapshots()
        found = {}
        for name in SUMMED:
            values = [float(row[name]) for row in rows]
            if values:
                found[name] = {
                    "min": min(values), "mean": sum(values) / len(values),
                    "max": max(values), "last": values[-1],
                }  # fmt: skip
        return found


def _or_none(read: Callable[[], Any]) -> Any:
    """What ``read`` gives; None where the system keeps it to itself."""
    try:
        return read()
    except (psutil.Error, OSError):
        return None


def _open_files(process: psutil.Process) -> int | None:
    """Open descriptors (handles on Windows); None where the system does not tell."""
    count = getattr(process, "num_fds", None) or getattr(process, "num_handles", None)
    return None if count is None else _or_none(count)


def _row(view: View, r: Resources, wall_ns: int) -> dict[str, Any]:
    """A reading as a row of the telemetry table."""
    feed, gaps, disk, states = view.feed, view.gaps, view.disk, view.states
    known: dict[str, Any] = {
        "wall_ns": wall_ns, "disk_free": disk.free_bytes, "disk_level": disk.level,
        "gaps": gaps.total, "gaps_filled": gaps.filled, "gaps_open": gaps.open,
        "events": view.events,
    }  # fmt: skip
    row = {}
    for name, *_ in COLUMNS:
        if name in known:
            row[name] = known[name]
            continue
        owner = next(x for x in (r, feed, disk, states) if hasattr(x, name))
        row[name] = getattr(owner, name)
    return row
