"""Which session goes on: the one that was named, else the one that was left of the same kind.

Owns the choice between the sessions below the folder of runs and a new one, and the words about one
that cannot go on. What must hold: a session goes on only under a configuration of one ``identity``,
the same sources, and the same command; a rehearsal never becomes a real one, nor the other way.

It refuses to know how a session is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import UsageError
from data.live.session_folder import SessionFolder, find_session, sessions
from engine.runtime.paper_config import PaperConfig, as_facts

_OTHER = {"record": "it is a recording", "paper": "it is on paper", "live": "it is a live one"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a session must be to be gone on with: ``command`` (paper, live), configuration,
    ``source`` (sources of ofs and of the strategy), and whether a stand-in plays the venue."""

    command: str
    config: PaperConfig
    source: str
    served: bool


def choose(runs: Path, wanted: Wanted, strategy: str, name: str = "", *,
           new: bool = False) -> SessionFolder:  # fmt: skip
    """The session called ``name``, else the latest that was not ended and is what is ``wanted``,
    else (or where ``new`` is asked for) one that begins. UsageError where the named one does not
    fit, DataError where there is none."""
    if name:
        found = find_session(runs, name)
        why = unfit(found, wanted)
        if why:
            raise UsageError(
                f"session {found.id} cannot go on", where="--session", why=why,
                do="leave --session out to begin another one",
            )  # fmt: skip
        return found
    for found in reversed(sessions(runs)) if not new else ():
        if found.facts.get("served") == wanted.served and not unfit(found, wanted):
            return found
    config = wanted.config
    facts = {"config": as_facts(config), "source": wanted.source, "served": wanted.served,
             "venue": config.venue, "symbols": list(config.symbols)}  # fmt: skip
    return SessionFolder.create(runs, wanted.command, strategy, facts)


def left_behind(runs: Path, wanted: Wanted, begun: SessionFolder) -> list[tuple[str, str]]:
    """The last session of the same file that ``begun``, a new one, took the place of, and why."""
    file = begun.facts["config"]["path"]
    for found in reversed(sessions(runs)):
        same = found.facts.get("config", {}).get("path") == file
        if same and found.id != begun.id and found.facts.get("served") == wanted.served:
            why = unfit(found, wanted)
            return [] if found.ended else [(found.id, why or "--new was asked for")]
    return []


def unfit(found: SessionFolder, wanted: Wanted) -> str:
    """Why a session cannot go on as what is ``wanted``; "" where it can."""
    facts: Mapping[str, Any] = found.facts
    command = str(facts.get("command"))
    if command != wanted.command:
        return _OTHER.get(command, f"it is of ofs {command}")
    if found.ended:
        return f"it is over: {facts['ended'].get('reason')}"
    if bool(facts.get("served")) != wanted.served:
        return "it is of the market itself" if wanted.served else "it is a rehearsal"
    kept = facts.get("config", {})
    if wanted.config.identity not in (kept.get("identity"), *facts.get("also", [])):
        return "its configuration is another"
    if facts.get("source") != wanted.source:
        return "the sources of ofs or of the strategy changed since it began"
    return ""
