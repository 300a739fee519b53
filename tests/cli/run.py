"""Runs ``ofs`` as a user does: a process of its own, its streams and its exit code."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.forks import can_fork, forks

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """stdout as one JSON value; fails the test where it is not."""
        return json.loads(self.out)


def environment(home: Path, **extra: str) -> dict[str, str]:
    """The caller's environment with a home of its own, so that no user's data is touched."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OFS_", "_OFS_"))}
    paths = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "LOCALAPPDATA": str(home)}
    paths["XDG_CONFIG_HOME"] = str(home / "config")
    # What was compiled once serves every test: the cache is keyed by the sources.
    cache = {"OFS_CACHE": os.environ["OFS_CACHE"]}
    return {**clean, **paths, **cache, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **extra}


def words_of(line: str) -> tuple[list[str], str]:
    """The words of an example and the file behind its ``>``; empty where it has none.

    A value in front (``OFS_X=1 ofs ...``), pipes and the like are not understood.
    """
    words = shlex.split(line, comments=True)
    if ">" not in words:
        return words, ""
    at = words.index(">")
    assert len(words) == at + 2, line
    return words[:at], words[-1]


def command(*words: str) -> list[str]:
    """The command line that starts ``ofs`` with this interpreter."""
    return [sys.executable, "-m", "cli.main", *words]


def ofs(
    *words: str, home: Path, stdin: str | None = None, fresh: bool = False, **env: str
) -> Result:
    """Run ``ofs`` with ``words`` to its end; ``fresh`` where the start itself is what is tested."""
    given = environment(home, **env)
    if not fresh and can_fork(given):
        return Result(*forks().run(list(words), given, home, stdin, 120))
    done = subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=given,
        cwd=home,
        input=stdin,
        timeout=120,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
