"""The check of the folder that holds compiled code.

Owns what there is to say of it: whether it can be written (else every process compiles anew),
which generation is in use, and what older ones weigh. A generation is the code compiled from one
state of the sources; an older one is never read again unless the sources go back.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from data import jitcache
from data.doctor.lines import Line, Status
from data.units import format_size

STALE_WARN_BYTES = 1 << 30


def cache(stale_warn_bytes: int = STALE_WARN_BYTES) -> Line:
    """Writable, keyed by the sources, how large, and what may be deleted."""
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


def _size(folder: Path) -> int:
    """Bytes of all files below ``folder``; another process may remove some while we look."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # it went away between the listing and now
    return total
