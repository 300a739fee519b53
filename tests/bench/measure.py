"""How a run is timed, and on what machine.

Owns the clocks, the pinning to one core and the peak-memory figure. Must hold: the clocks are read
directly around the call that is measured and around nothing else. Refuses to know what is run.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Timed:
    """What one call gave and took: wall seconds, CPU seconds (all threads of the process)."""

    value: Any
    wall_s: float
    cpu_s: float


def pin(core: int | None) -> str:
    """Bind this process to one core, where the system can; say what was done."""
    if core is None:
        return "not pinned"
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned (this system cannot)"
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        return f"not pinned ({error.strerror})"
    return f"core {core}"


def timed(call: Callable[[], Any]) -> Timed:
    """Run `call` once, the collector having run just before, and read both clocks around it."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    value = call()
    return Timed(value, time.perf_counter() - wall, time.process_time() - cpu)


def peak_rss_mb() -> float | None:
    """Largest resident memory of this process so far, MiB; None where the system does not say.

    Linux is asked through /proc: `ru_maxrss` there starts at the size of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def cpu_model() -> str:
    """Name of the processor as the system gives it."""
    info = Path("/proc/cpuinfo")
    if sys.platform == "linux" and info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Processor, cores, load, system and Python: what a table of figures must carry."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_1min": None if load is None else round(load, 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def report(answer: dict[str, Any], run: Timed, **facts: Any) -> dict[str, Any]:
    """The object that a peer prints: its answer, its times and its rate per CPU second."""
    trades = answer["trades"]
    return {
        **answer,
        "seconds": round(run.wall_s, 4),
        "cpu_s": round(run.cpu_s, 4),
        "trades_per_cpu_s": round(trades / run.cpu_s) if run.cpu_s > 0 else None,
        "peak_rss_mb": peak_rss_mb(),
        "python": platform.python_version(),
        **facts,
    }


def emit(result: dict[str, Any]) -> None:
    """Print one JSON object on stdout as the last line."""
    print(json.dumps(result), flush=True)
