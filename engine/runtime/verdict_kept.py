"""Verdicts that are kept: what ``ofs paper report`` found stands in the session's folder.

Owns ``verdict.json`` and the search for the verdict of a configuration. What must hold: only a
verdict by the session's own gates is kept (others may ask for less); one that is kept says which
configuration and which sources it is about, and when it was given; the latest counts, also when it
is a FAIL.

It refuses to know how a verdict is reached, and who asks for one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.busy import replace
from data.live.session_folder import SessionFolder, sessions

VERDICT = "verdict.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict: of which session and configuration (its ``identity``, a hash), by which sources,
    whether it ``passed``, when (``at_ns``, wall clock, ns UTC); ``served``: over a stand-in venue,
    which proves the machine and not the market."""

    session: str
    identity: str
    source: str
    passed: bool
    served: bool
    at_ns: int


def keep(folder: SessionFolder, identity: str, told: dict[str, Any],
         now_ns: Callable[[], int] = time.time_ns) -> None:  # fmt: skip
    """Keep what the report ``told`` (its JSON) of the session in ``folder``; synced on return."""
    facts = {
        "schema": SCHEMA, "session": folder.id, "identity": identity,
        "source": folder.facts.get("source", ""), "verdict": told["verdict"],
        "served": told["served"], "at_ns": now_ns(), "report": told,
    }  # fmt: skip
    beside = folder.path / f".{VERDICT}.{os.getpid()}"
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(facts, indent=1, ensure_ascii=False, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())
    replace(beside, folder.path / VERDICT)


def latest(runs: Path, identity: str) -> Kept | None:
    """The last verdict on a paper session of the configuration ``identity``; None without one."""
    found = [kept for folder in sessions(runs) if (kept := read(folder.path)) is not None]
    mine = [kept for kept in found if kept.identity == identity]
    return max(mine, key=lambda kept: kept.at_ns, default=None)


def read(folder: Path) -> Kept | None:
    """The verdict in the folder of a session; None where there is none that can be read."""
    try:
        facts = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
        return Kept(
            str(facts["session"]), str(facts["identity"]), str(facts["source"]),
            facts["verdict"] == "PASS", bool(facts["served"]), int(facts["at_ns"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nobody judged it, or the file was cut: it proves nothing
