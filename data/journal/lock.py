"""Who writes to a journal: one process at a time, and everybody can see which.

Owns the lock file and what its holder says of itself. The lock is the operating system's, so it
goes when the process does; the boot id tells a holder of this boot from a note that an older one
left. It refuses to know what is written.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock

from data.errors import LockedError

LOCK = ".lock"
HOLDER = ".lock.holder"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id") if sys.platform == "linux" else None


def boot_id() -> str:
    """What tells this boot of the machine from others; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID else ""
    except OSError:  # a container may hide it
        return ""


class WriterLock:
    """The right to write in ``folder``, which must be there. LockedError where another has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = filelock.FileLock(str(folder / LOCK), thread_local=False)
        try:
            self._held.acquire(timeout=0)
        except filelock.Timeout:
            raise _locked(folder) from None
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "boot_id": boot_id()}
        with suppress(OSError):  # the disk may be full; the lock is held without a name, too
            (folder / HOLDER).write_text(json.dumps(facts), encoding="utf-8")

    def release(self) -> None:
        """Let the next writer in."""
        self._held.release()


def holder(folder: Path) -> dict[str, Any]:
    """What the present or last writer wrote of itself: ``pid``, ``host``, ``boot_id``."""
    facts: dict[str, Any] = {}
    # it may be writing this very file: then it is not known, and holds the lock anyway
    with suppress(OSError, ValueError):
        facts = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
    return {name: facts.get(name, "unknown") for name in ("pid", "host", "boot_id")}


def _locked(folder: Path) -> LockedError:
    facts = holder(folder)
    return LockedError(
        f"another process is writing to the journal (pid {facts['pid']})",
        where=str(folder),
        why=f"process {facts['pid']} on {facts['host']} (boot {facts['boot_id']}) holds {LOCK}",
        do="stop it, or give this session a folder of its own",
    )
