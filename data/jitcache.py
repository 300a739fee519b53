"""Where numba keeps compiled code, and the key that makes stale code impossible.

Owns the folder of numba's on-disk cache. numba notices a change in the file of a cached function,
not in a function that it calls from another file; a stale cache would be a wrong backtest. So the
folder's name is a hash of every source that may be compiled, of the versions of numba, llvmlite,
numpy and Python, and of the CPU's name. What must hold: :func:`activate` runs before the first
``import`` of a module with ``njit(cache=True)``; a file of the cache that is damaged (the machine
lost power) or cannot be written (the disk is full) costs a compile and nothing else; processes that
compile at the same time never get each other's code.

It refuses to know what is compiled.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]

_SOURCES = (
    "engine/kernel",
    "strategies",
    "data/events.py",
    "data/enums.py",
    "data/record_tables.py",
    "data/table.py",
    "data/log/order.py",
    "data/live/book_text.py",
)
"""Files and packages whose functions are compiled, or whose constants are compiled in."""


def source_files(root: Path = _ROOT) -> list[Path]:
    """Every source that can end up in compiled code, below ``root``, in one fixed order."""
    found: list[Path] = []
    for name in _SOURCES:
        path = root / name
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path for path in found if path.is_file()]


def source_hash(root: Path = _ROOT) -> str:
    """sha256 (hex) over names and contents of :func:`source_files`.

    It is computed anew at each call: a source edited under a running process shows.
    """
    digest = hashlib.sha256()
    for path in source_files(root):
        text = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions and the CPU name that compiled code depends on, for the key and for manifests."""
    import llvmlite
    import numba
    import numpy as np
    from llvmlite import binding

    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.cache_tag or platform.python_implementation(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "cpu": binding.get_host_cpu_name(),
    }


def cache_key(root: Path = _ROOT) -> str:
    """Hex key (16 digits) of the sources and the versions together.

    Short, because Windows ends a path at 259 letters and numba hangs some 180 below this one.
    """
    facts = "\0".join(f"{name}={value}" for name, value in sorted(versions().items()))
    return hashlib.sha256(f"{source_hash(root)}\0{facts}".encode()).hexdigest()[:16]


def cache_root() -> Path:
    """Folder of all generations: ``$OFS_CACHE/jit``, else ``jit`` in the user's cache folder."""
    import platformdirs

    base = os.environ.get("OFS_CACHE") or platformdirs.user_cache_dir("ofs", appauthor=False)
    return Path(base) / "jit"


@cache
def cache_dir() -> Path:
    """The keyed folder: ``$OFS_CACHE/jit/KEY``, else ``jit/KEY`` in the user's cache folder.

    It is made if missing. Where it cannot be made (a read-only home), a private temporary folder
    takes its place: nothing is then kept for the next process, and nothing is wrong either.
    """
    wanted = cache_root() / cache_key()
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        if os.access(wanted, os.W_OK):
            return wanted
    except OSError:
        # the fallback below is the answer; the only cost is a cold compile
        pass
    return Path(tempfile.mkdtemp(prefix="ofs-jit-"))


def activate() -> Path:
    """Point numba's cache at :func:`cache_dir` and return it; calling it again changes nothing."""
    from numba.core import config

    folder = str(cache_dir())
    if folder != getattr(config, "CACHE_DIR", None):
        config.CACHE_DIR = folder  # type: ignore[attr-defined]
    _mend_cache_files()
    return cache_dir()


@cache
def _mend_cache_files() -> None:
    """Let numba take a file of its cache that it cannot trust for one that is not there.

    numba passes on whatever unpickling half a file raises: no backtest would start until somebody
    deleted the folder. And it numbers data files by the index that it read, so that two processes
    which compile two signatures of a function at once write the same file; the loser then calls
    machine code that takes other arguments, and crashes. Here a data file is named by what it is
    for and says so inside.
    """
    from numba.core import caching

    class Trusted(caching.IndexDataCacheFile):  # type: ignore[misc]
        """numba's index and data files, where damage is absence and no name is used twice."""

        def _load_index(self) -> Any:
            try:
                return super()._load_index()
            except Exception:  # noqa: BLE001  reason: unpickling damage raises anything; it compiles
                return {}

        def load(self, key: Any) -> Any:
            try:
                name = self._load_index().get(key)
                owner, data = self._load_data(name) if name else ("", None)
            except Exception:  # noqa: BLE001  reason: damage as in the index
                return None
            return data if owner == _identity(key) else None

        def save(self, key: Any, data: Any) -> None:
            with suppress(OSError):  # no room, or no right: it is compiled anew next time
                owner = _identity(key)
                name = self._data_name(int(owner[:12], 16))
                overloads = self._load_index()
                if overloads.get(key) != name:
                    overloads[key] = name
                    self._save_index(overloads)
                self._save_data(name, (owner, data))

    caching.IndexDataCacheFile = Trusted  # type: ignore[misc]


def _identity(key: Any) -> str:
    """Hex digest of numba's key of a compiled function: signature, target, code and closure."""
    return hashlib.sha256(repr(key).encode()).hexdigest()
