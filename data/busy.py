"""Files that another process has open: on Windows they can be neither replaced nor removed.

Owns the patience with them. On POSIX a rename over an open file just works, and nothing here ever
waits; on Windows it is refused (access denied or sharing violation) for as long as somebody reads
the old file, be it ofs, a spreadsheet, or a virus scanner looking at what was just written. What
must hold: only that refusal is waited for, never one that waiting cannot mend.

It refuses to know which file it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

WAIT_S = 10.0
"""How long a file in use is waited for, in seconds."""

_PAUSE_S = 0.05
_IN_USE = frozenset({5, 32, 33})
"""ERROR_ACCESS_DENIED (a rename over an open file), SHARING_VIOLATION, LOCK_VIOLATION."""


def in_use(error: OSError) -> bool:
    """Whether Windows refused because somebody has the file open."""
    return getattr(error, "winerror", None) in _IN_USE


def patiently(work: Callable[[], T]) -> T:
    """Do ``work``; where a file is in use, again until it is not, at most :data:`WAIT_S`.

    Raises what ``work`` raises: at once, or when the wait was in vain.
    """
    end_s = time.monotonic() + WAIT_S
    while True:
        try:
            return work()
        except OSError as error:
            if not in_use(error) or time.monotonic() > end_s:
                raise
            time.sleep(_PAUSE_S)


def replace(beside: Path, target: Path) -> None:
    """Rename ``beside`` over ``target``, also when a file is there that somebody reads for a while.

    PermissionError where it is still being read after :data:`WAIT_S`.
    """
    patiently(lambda: beside.replace(target))
