"""Processes that die by SIGKILL at a named point of a change to the log.

Run as a program: ``python -m tests.data.log.killing ROOT ACTION`` copies ``ROOT/base`` once a point
and forks a process that does ACTION on the copy and kills itself there. It prints one line a point:
its name and ``killed``, or ``done`` where the process never came to it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.log import LogStore
from data.log.compact import compact, plan_compaction
from data.log.files import FileWriter
from data.log.prune import Limits, plan_pruning, prune
from data.log.seal import seal
from data.log.sealed import SharedWriter
from data.log.storage import Storage
from tests.data.log.sealing import SERIES, groups_of, session

Event = tuple[str, tuple[Any, ...]]

FOLDERS = ("kind=", "sealed/kind=")

POINTS: dict[str, Callable[[str, tuple[Any, ...]], bool]] = {
    "a file is half staged": lambda name, _: name == "write",
    "a file is staged": lambda name, a: name == "sync" and a[0].endswith(".parquet"),
    "the catalogue is staged": lambda name, a: name == "write_bytes" and ".parquet" in a[0],
    "the journal is beside": lambda name, a: name == "write_bytes" and a[0].endswith("/journal"),
    "the journal stands": lambda name, a: name == "move" and a[1] == "_journal.json",
    "a file is moved": lambda name, a: name == "move" and a[1].startswith(FOLDERS),
    "the catalogue is moved": lambda name, a: name == "move" and a[1] == "catalogue.parquet",
    "an old file is removed": lambda name, a: name == "remove" and a[0].startswith(FOLDERS),
    "folders are synced": lambda name, a: name == "sync_dir" and a[0].startswith(FOLDERS),
    "the journal is gone": lambda name, a: name == "remove" and a[0] == "_journal.json",
}
"""Names of the points, and how the step is known after which the process dies."""

COMMITTED = tuple(POINTS)[tuple(POINTS).index("the journal stands") :]
"""Points at which the change counts."""


def compact_all(root: Path) -> None:
    """Compact every partition."""
    store = LogStore(root)
    for done in compact(store, plan_compaction(store.catalogue())):
        assert not done.error


def prune_most(root: Path) -> None:
    """Remove everything but the newest day."""
    store = LogStore(root)
    newest = max((e.max_key_ns for e in store.catalogue().entries), default=0)
    prune(store, plan_pruning(store, Limits(keep_ns=1), now_ns=newest))


def seal_more(root: Path) -> None:
    """Seal the next 30 events of a session."""
    groups = groups_of(session(60))
    seal(LogStore(root), "s1", SERIES, groups, 60)


ACTIONS = {"compact": compact_all, "prune": prune_most, "seal": seal_more}


def arm(reached: Callable[[str, tuple[Any, ...]], bool]) -> None:
    """Let this process die as soon as a step of the file layer that ``reached`` knows is done."""
    assert hasattr(os, "fork"), "only where processes can die by SIGKILL"

    def guard(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(self: Any, *words: Any) -> Any:
            result = original(self, *words)
            if reached(name, words):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, call)

    for name in ("sync", "write_bytes", "move", "remove", "sync_dir"):
        guard(Storage, name)
    guard(FileWriter, "write")
    guard(SharedWriter, "write")


def main(root: Path, action: str) -> None:
    """Die once a point, each time in a process and a log of its own."""
    assert hasattr(os, "fork"), "only where processes can be forked"
    for number, (name, reached) in enumerate(POINTS.items()):
        log = root / str(number)
        shutil.copytree(root / "base", log)
        child = os.fork()
        if child == 0:
            arm(reached)
            ACTIONS[action](log)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(f"{name}\t{'killed' if died else 'done' if status == 0 else 'failed'}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
