"""What a run costs: wall time, CPU time of the process, peak resident memory.

Owns the clocks of the driver, which nothing in the kernel may read, and keeps Python's garbage
collector from walking what a run cannot free.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@cache
def quiet_collector() -> None:
    """Once a process: leave the objects that exist now out of garbage collection for good.

    numba and LLVM leave half a million objects behind that live as long as the process; walking
    them took a tenth of a short run.
    """
    gc.freeze()


def resident_mb() -> float | None:
    """Resident memory of this process now in MB (10**6 bytes); None where only ``/proc`` tells."""
    status = Path("/proc/self/status")
    if sys.platform != "linux" or not status.exists():
        return None
    found = re.search(r"^VmRSS:\s*(\d+) kB", status.read_text(encoding="utf-8"), re.M)
    return int(found[1]) * 1024 / 1e6 if found is not None else None


def peak_rss_mb() -> float:
    """Peak resident memory of this process in MB (10**6 bytes)."""
    if sys.platform == "win32":
        return _peak_rss_windows() / 1e6
    if sys.platform == "linux":
        # getrusage would count the process that started this one: its size at the fork stays in
        # ru_maxrss through exec
        status = Path("/proc/self/status")
        if status.exists():
            found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"), re.M)
            if found is not None:
                return int(found[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _peak_rss_windows() -> int:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            ("PeakWorkingSetSize", ctypes.c_size_t),
            ("rest", ctypes.c_size_t * 8),
        )

    counters = Counters()
    counters.cb = ctypes.sizeof(counters)
    windll = ctypes.windll  # type: ignore[attr-defined]
    # a handle is as wide as a pointer; without its type ctypes would cut it to 32 bits
    windll.kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    ask = windll.psapi.GetProcessMemoryInfo
    ask.argtypes = (wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD)
    if not ask(windll.kernel32.GetCurrentProcess(), ctypes.byref(counters), counters.cb):
        return 0
    return int(counters.PeakWorkingSetSize)


def process_age_s() -> float | None:
    """Seconds since the operating system started this process, to 0.01; None where only Linux's
    ``/proc`` would tell.
    """
    if sys.platform != "linux":
        return None
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        # the second field is the program's name in brackets and may hold blanks; field 22 is
        # the start in clock ticks since boot (man 5 proc)
        start_s = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - start_s, 2)


@dataclass
class Stopwatch:
    """Seconds of wall and CPU time since it was made; all threads of the process count."""

    wall_start: float = field(default_factory=time.perf_counter)
    cpu_start: float = field(default_factory=time.process_time)

    @property
    def wall_s(self) -> float:
        """Wall seconds so far."""
        return time.perf_counter() - self.wall_start

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the whole process so far."""
        return time.process_time() - self.cpu_start
