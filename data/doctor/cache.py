"""The check of the folder that holds compiled code.

Owns what there is to say of it: whether it can be written (else every process compiles anew),
which generation is in use, and what older ones weigh. A generation is the code compiled from one
state of the sources; an older one is never read again unless the sources go back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from data import jitcache
from data.doctor.lines import Line, Status
from data.units import format_size

STALE_WARN_BYTES = 1 << 30

PATH_MAX = 259
"""Letters of a path on a Windows without long paths."""

BELOW_MAX = 200
"""Letters that numba may add below the folder: its own folder, module, function, version."""


def cache(
    stale_warn_bytes: int = STALE_WARN_BYTES,
    takes_long_paths: Callable[[Path], bool] | None = None,
) -> Line:
    """Writable, keyed by the sources, how large, what may be deleted, and no path too long."""
    name = "cache"
    key = jitcache.cache_key()
    root = jitcache.cache_root()
    folder = root / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fact = (
            f"{folder} cannot be written ({error.strerror or error}): every process compiles anew"
        )
        mend = "name a folder that you may write to with OFS_CACHE"
        return Line(name, Status.WARN, fact, mend, {"path": str(folder), "writable": False})
    if len(str(folder)) + BELOW_MAX > PATH_MAX and not (takes_long_paths or long_paths)(folder):
        fact = f"{folder} is too deep for Windows: compiled code of your own files may not fit"
        mend = "set OFS_CACHE to a short folder such as C:\\ofs, or switch on Windows' long paths"
        return Line(name, Status.WARN, fact, mend, {"path": str(folder), "writable": True})
    mine = _size(folder)
    old = [p for p in root.iterdir() if p.is_dir() and p.name != key]
    stale = sum(_size(p) for p in old)
    numbers = {
        "path": str(folder),
        "writable": True,
        "key": key,
        "source_hash": jitcache.source_hash(),
        "bytes": mine,
        "stale_generations": len(old),
        "stale_bytes": stale,
    }
    fact = f"{folder}, keyed by the sources, {format_size(mine)}"
    if not old:
        return Line(name, Status.OK, fact, numbers=numbers)
    count = "1 older generation" if len(old) == 1 else f"{len(old)} older generations"
    fact += f"; {count}, {format_size(stale)}"
    mend = (
        f"to win the space back delete every folder in {root} but {key}; ofs compiles what it needs"
    )
    status = Status.WARN if stale > stale_warn_bytes else Status.OK
    return Line(name, status, fact, mend, numbers)


def long_paths(folder: Path) -> bool:
    """Whether paths beyond :data:`PATH_MAX` can be made in ``folder``; tried, and removed again."""
    outer = folder / ("x" * 120)
    try:
        (outer / ("y" * 140)).mkdir(parents=True, exist_ok=True)
        (outer / ("y" * 140)).rmdir()
    except OSError:
        return False
    finally:
        with suppress(OSError):
            outer.rmdir()
    return True


def _size(folder: Path) -> int:
    """Bytes of all files below ``folder``; another process may remove some while we look."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # it went away between the listing and now
    return total
