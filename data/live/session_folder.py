"""The folder of a session, ``<runs>/_sessions/<session id>``, and the facts that it keeps.

Owns session ids and ``session.json``: what was asked for, how often it was started, how far it
came, how it ended. What must hold: the file is replaced as a whole and synced, so a session that
was killed reads as one that is not ended; facts of an older ofs are kept as they are; nobody but
the user may look into the folder, whose socket takes orders.

It refuses to know what a session does.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.busy import replace
from data.errors import DataError
from data.private import FOLDER, keep_private

SESSIONS = "_sessions"
FACTS = "session.json"
SCHEMA = 1


class SessionFolder:
    """One session; ``facts`` is what its file says."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.facts = facts
        self.behind = False
        """The disk had no place for the latest facts."""
        self.new = False
        """It was made by this process and has not begun."""

    @property
    def id(self) -> str:
        """The session's id, which is the folder's name."""
        return self.path.name

    @property
    def ended(self) -> bool:
        """Whether it drained, sealed and closed; False for one that runs or was killed."""
        return bool(self.facts.get("ended"))

    @property
    def log(self) -> Path:
        """The session's own log (of a paper session)."""
        return self.path / "log"

    @property
    def state(self) -> Path:
        """Snapshots and record tables."""
        return self.path / "state"

    @classmethod
    def create(cls, runs: Path, command: str, name: str, facts: dict[str, Any]) -> SessionFolder:
        """A new session ``YYYYMMDDTHHMMSS-command[-name]`` with ``facts``."""
        now = datetime.now(UTC)
        stem = "-".join(x for x in (f"{now:%Y%m%dT%H%M%S}", command, name) if x)
        (runs / SESSIONS).mkdir(parents=True, exist_ok=True)
        for n in range(1, 1000):
            path = runs / SESSIONS / (f"{stem}-{n}" if n > 1 else stem)
            try:
                path.mkdir(FOLDER)
            except FileExistsError:
                continue
            keep_private(path)
            made = cls(path, {})
            made.new = True
            made.update(
                schema=SCHEMA, session=path.name, command=command, created=now.isoformat(),
                starts=[], ended=None, **facts,
            )  # fmt: skip
            return made
        raise DataError("no free session id", where=str(runs), do="wait a second, start again")

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Within the block it is made ready; a new one that could not begin leaves nothing."""
        try:
            yield
        except BaseException:
            if self.new:
                shutil.rmtree(self.path, ignore_errors=True)
            raise
        self.new = False

    def update(self, **facts: Any) -> None:
        """Change facts; on the disk when this returns."""
        self.facts = {**self.facts, **facts}
        beside = self.path / f".{FACTS}.{os.getpid()}"
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            keep_private(beside)
            file.write(json.dumps(self.facts, indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        replace(beside, self.path / FACTS)
        self.behind = False

    def keep(self, **facts: Any) -> None:
        """:meth:`update` for a session that runs: where the disk is full it goes on, with
        :attr:`behind` set, and the facts come with the next ones."""
        try:
            self.update(**facts)
        except OSError:
            self.behind = True

    def started(self) -> None:
        """Note that a process began, or began again, to run this session."""
        keep_private(self.path)  # one that began under an older ofs, too
        start = {"pid": os.getpid(), "at": datetime.now(UTC).isoformat()}
        self.update(starts=[*self.facts.get("starts", []), start], ended=None)

    def end(self, reason: str, **facts: Any) -> None:
        """Note that all is drained and sealed, and why it ended."""
        self.update(ended={"reason": reason, "at": datetime.now(UTC).isoformat()}, **facts)


def open_session(path: Path) -> SessionFolder:
    """The session in ``path``; DataError where its facts cannot be read."""
    try:
        facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("cannot read a session", where=str(path), why=str(error),
                        do="name another one with --session") from error  # fmt: skip
    if not isinstance(facts, dict):
        raise DataError("cannot read a session", where=str(path / FACTS), why="it is no object")
    return SessionFolder(path, facts)


def sessions(runs: Path) -> list[SessionFolder]:
    """All sessions whose facts can be read, oldest first."""
    found = []
    for path in sorted((runs / SESSIONS).glob(f"*/{FACTS}")):
        try:
            found.append(open_session(path.parent))
        except DataError:
            continue  # the process died before it had said what it is
    return sorted(found, key=lambda s: (str(s.facts.get("created", "")), s.id))


def find_session(runs: Path, name: str) -> SessionFolder:
    """The session whose id is, or alone begins with, ``name``; ``last`` is the newest one.

    DataError where there is none, or several.
    """
    there = sessions(runs)
    if name == "last" and there:
        return there[-1]
    found = [s for s in there if s.id == name] or [s for s in there if s.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(s.id for s in (found or there)[-5:]) or "no session"
    raise DataError(
        f"{len(found)} sessions are called {name!r}" if found else f"there is no session {name!r}",
        where=str(runs / SESSIONS),
        why=f"there is {listed}",
        do="write its whole id",
    )
