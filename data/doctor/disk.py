"""Checks of folders and the disks below them: writable, space left, and what a sync costs.

Owns the measure of a group commit: small appends, each followed by fdatasync, on the very file
system that is asked about. What must hold: nothing is left behind, a folder that does not exist is
not made (its nearest parent is measured), and the measure takes at most :data:`SYNC_S`. It refuses
to know what is stored.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.doctor.lines import Line, Status
from data.units import format_size

SYNC_S = 2.0
APPENDS = 100
APPEND_BYTES = 4096
_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a disk is worth a word: bytes left, and milliseconds of a sync."""

    free_warn: int = 10 << 30
    free_fail: int = 1 << 30
    p50_ms_warn: float = 20.0
    p99_ms_warn: float = 200.0


def folder(check: str, path: Path, option: str, *, needed: bool, made_by: str) -> Line:
    """Whether files can be made in ``path``, which ``option`` names.

    ``needed``: without it nothing works (fail), else it will do for reading (warn). ``made_by`` is
    said where the folder does not exist yet, which is no fault as long as it can be made.
    """
    there = path.is_dir()
    place = nearest(path)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        status = Status.FAIL if needed else Status.WARN
        why = error.strerror or str(error)
        what = f"cannot write to {place}: {why}"
        if not there and path != place:
            what = f"{path} cannot be made: {why} in {place}"
        mend = f"make {place} a folder that you may write to, or name another one with {option}"
        return Line(check, status, what, mend, {"path": str(path), "writable": False})
    fact = f"{path}" if there else f"{path} does not exist yet; {made_by} makes it"
    return Line(check, Status.OK, fact, numbers={"path": str(path), "writable": True})


def disk(
    check: str, path: Path, limits: Limits | None = None, sync: Callable[[int], None] | None = None
) -> Line:
    """Space left and the cost of a sync on the file system of ``path`` or of its nearest parent.

    ``sync`` takes a file descriptor and returns when its data are on the disk (fdatasync).
    """
    limits = limits or Limits()
    place = nearest(path)
    place = place if place.is_dir() else place.parent
    free = shutil.disk_usage(place).free
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        fact = f"{format_size(free)} free; a sync cannot be measured in {place}: {why}"
        mend = f"nothing, where you only read there; else make {place} a folder that you may write"
        return Line(check, Status.WARN, fact, mend, {"path": str(place), "free_bytes": free})
    took_ms = sorted(appends_ms(place, sync or fdatasync))
    p50, p99 = percentile(took_ms, 50), percentile(took_ms, 99)
    numbers = {
        "path": str(place),
        "free_bytes": free,
        "fdatasync_p50_ms": round(p50, 3),
        "fdatasync_p99_ms": round(p99, 3),
        "appends": len(took_ms),
    }
    fact = f"{format_size(free)} free; fdatasync p50 {p50:.2f} ms, p99 {p99:.2f} ms ({place})"
    if free < limits.free_warn:
        status = Status.FAIL if free < limits.free_fail else Status.WARN
        mend = "free some space, let 'ofs log prune' drop old days, or keep it on a larger disk"
        return Line(check, status, f"little space: {fact}", mend, numbers)
    if p50 > limits.p50_ms_warn or p99 > limits.p99_ms_warn:
        mend = "keep it on a local SSD, not on a network drive or in a synced folder"
        return Line(check, Status.WARN, f"slow to sync: {fact}", mend, numbers)
    return Line(check, Status.OK, fact, numbers=numbers)


def appends_ms(place: Path, sync: Callable[[int], None]) -> list[float]:
    """Milliseconds of each of up to :data:`APPENDS` appends with a sync; at least one is made."""
    took_ms: list[float] = []
    block = b"\xa5" * APPEND_BYTES
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        end_s = time.perf_counter() + SYNC_S
        while len(took_ms) < APPENDS:
            start_s = time.perf_counter()
            file.write(block)
            sync(file.fileno())
            now_s = time.perf_counter()
            took_ms.append((now_s - start_s) * _MS)
            if now_s > end_s:
                break
    return took_ms


def fdatasync(descriptor: int) -> None:
    """Data of an open file are on the disk; where there is no fdatasync (Windows, macOS), fsync."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def nearest(path: Path) -> Path:
    """``path`` where it exists, else the nearest of its parents that does."""
    path = path.expanduser().absolute()
    return next(p for p in (path, *path.parents) if p.exists() or p == p.parent)


def same_disk(one: Path, other: Path) -> bool:
    """Whether both paths lie on one file system."""
    return nearest(one).stat().st_dev == nearest(other).stat().st_dev


def percentile(ordered: list[float], percent: int) -> float:
    """Nearest rank: the smallest value with at least ``percent`` of all at or below it."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
