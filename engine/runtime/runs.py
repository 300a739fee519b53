"""Making a run: it is written beside and renamed when it is complete.

Owns run ids and the moment at which a run exists; ``data.runs`` reads what is there. A run that was
interrupted leaves nothing behind under a run's name; what a killed process left half written is
known by its lock, which died with it, and swept away by the next run. It refuses to know what a
run is about.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from data.busy import patiently
from data.errors import DataError

_PARTIAL = ".partial-"

FOLDERS_SYNC = os.name != "nt"
"""Whether a folder can be opened and synced here."""


class RunFolder:
    """A run being written; ``path`` is where its tables go until :meth:`publish`."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self.created = datetime.now(UTC)
        runs.mkdir(parents=True, exist_ok=True)
        sweep(runs)
        self.path = runs / f"{_PARTIAL}{os.getpid()}-{self.created:%H%M%S%f}"
        self._lock = FileLock(f"{self.path}.lock")
        self._lock.acquire()
        self.path.mkdir()
        self.run = ""

    def publish(self, name: str, manifest: dict[str, Any]) -> str:
        """Write the manifest, sync, and rename the folder to a new run id, which is returned."""
        stamp = f"{self.created:%Y%m%dT%H%M%S}"
        for n in range(1, 1000):
            run = f"{stamp}-{name}" + (f"-{n}" if n > 1 else "")
            if (self._runs / run).exists():
                continue
            content = {"run": run, "created": self.created.isoformat(), **manifest}
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            (self.path / "manifest.json").write_text(text, encoding="utf-8", newline="\n")
            _sync_tree(self.path)
            try:
                patiently(partial(self.path.rename, self._runs / run))
            except OSError:
                if not (self._runs / run).exists():
                    raise
                continue
            self.run = run
            sync_folder(self._runs)
            self._unlock()
            return run
        raise DataError("no free run id", where=str(self._runs), do="wait a second and run again")

    def replace(self, run: str, manifest: dict[str, Any]) -> None:
        """Publish as ``run`` in place of the run of that name, as one step where the system can.

        A session's run is written anew at every checkpoint. Elsewhere than on Linux there is an
        instant between two renames in which the name is free.
        """
        content = {"run": run, "created": self.created.isoformat(), **manifest}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (self.path / "manifest.json").write_text(text, encoding="utf-8", newline="\n")
        _sync_tree(self.path)
        target = self._runs / run
        if target.exists() and not exchanged(self.path, target):
            shutil.rmtree(aside := target.with_name(f"{_PARTIAL}{run}"), ignore_errors=True)
            patiently(partial(target.rename, aside))
            patiently(partial(self.path.rename, target))
            shutil.rmtree(aside, ignore_errors=True)
        elif not target.exists():
            patiently(partial(self.path.rename, target))
        self.run = run
        sync_folder(self._runs)
        shutil.rmtree(self.path, ignore_errors=True)
        self._unlock()

    def abandon(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._unlock()

    def _unlock(self) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchanged(one: Path, other: Path) -> bool:
    """Swap two folders in one step (``renameat2``, Linux 3.15); False where that cannot be done."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    done = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return bool(done == 0)


def sweep(runs: Path) -> int:
    """Remove what killed processes left half written under ``runs``; returns how often."""
    swept = 0
    for file in runs.glob(f"{_PARTIAL}*.lock"):
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue  # a run is being written
        shutil.rmtree(file.with_suffix(""), ignore_errors=True)
        lock.release()
        file.unlink(missing_ok=True)
        swept += 1
    return swept


def _sync_tree(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("r+b") as file:  # Windows syncs only what is open for writing
            os.fsync(file.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Renames in ``folder`` are on the disk; Windows cannot sync a folder and needs not."""
    if FOLDERS_SYNC:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def new_run(runs: Path) -> Iterator[RunFolder]:
    """A :class:`RunFolder` that is removed unless it was published."""
    folder = RunFolder(runs)
    try:
        yield folder
    finally:
        if not folder.run:
            folder.abandon()
