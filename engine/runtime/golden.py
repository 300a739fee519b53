"""Golden sessions: small logs that ship with what a fold over each must give, to the last digit.

Owns folding one and telling where the result differs. ``ofs verify --golden`` folds them all, the
tests do, and ``python -m tests.e2e.golden`` writes the results anew for a change that is meant to
move them. The state digest is compared only where it was taken: floats in the state may differ in
their last bit on another platform; what is decided may not. It refuses to know where the sessions
lie.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.log import LogStore
from engine.plans.load import PlanText, text_of_file
from engine.runtime.records import RunSink
from engine.runtime.replay import Progress, Request, run
from engine.runtime.strategy import Strategy

TABLES = ("signal", "decision", "order", "fill", "position")


@dataclass(frozen=True)
class Session:
    """One golden session: its log, what is run over it, and what that must give (``golden``).

    ``golden["plans"]`` names a file of plans that lies with the session, where it has one.
    """

    name: str
    title: str
    log: Path
    strategy: str
    settings: dict[str, str]
    golden: dict[str, Any]

    @property
    def plans(self) -> PlanText | None:
        """The plans of the session; ConfigError where their file is wrong."""
        name = self.golden.get("plans")
        return text_of_file(Path(self.log) / name) if name else None


@dataclass(frozen=True)
class Fact:
    """One fact of a session that is not what it must be."""

    name: str
    expected: Any
    computed: Any


@dataclass
class Folded:
    """What folding a session gave: the facts, and those that differ."""

    session: Session
    facts: dict[str, Any]
    differences: list[Fact] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when nothing differs."""
        return not self.differences


def session_of(folder: Path, manifest: dict[str, Any]) -> Session:
    """The session that lies in ``folder`` with its ``replay.json``."""
    golden = manifest["golden"]
    return Session(
        manifest["name"],
        manifest["title"],
        folder,
        golden["strategy"],
        dict(golden.get("settings", {})),
        golden,
    )


def platform_name() -> str:
    """The platform as far as floats go."""
    return f"{sys.platform}-{platform.machine()}"


def fold_session(
    session: Session,
    strategy: Strategy,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Folded:
    """Fold the session with ``strategy`` (that its name stands for) and compare."""
    facts = facts_of(session, strategy, progress, on_cold)
    found = Folded(session, facts)
    for name, expected in session.golden.items():
        if name == "state_digest" and session.golden.get("state_on") != facts["state_on"]:
            continue
        if name != "state_on" and facts.get(name) != expected:
            found.differences.append(Fact(name, expected, facts.get(name)))
    return found


def facts_of(
    session: Session,
    strategy: Strategy,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """What a fold over the session gives; ``options`` go to the request."""
    sink = RunSink(None)
    settings = {**session.settings, **options.pop("settings", {})}
    request = Request(strategy, session.strategy, settings=settings, plans=session.plans, **options)
    outcome = run(LogStore(str(session.log)), request, sink, progress, on_cold)
    rows = sink.digest.rows
    return {
        "strategy": session.strategy,
        **({"settings": dict(session.settings)} if session.settings else {}),
        **({"plans": session.golden["plans"]} if "plans" in session.golden else {}),
        "digest": sink.digest.hexdigest(),
        "state_digest": outcome.fold.state_digest(),
        "state_on": platform_name(),
        "rows": {name: rows[name] for name in TABLES if name in session.golden.get("rows", TABLES)},
        "round_trips": sink.totals.round_trips,
        "net_pnl_1e8": sink.totals.gross - sink.totals.fees,
    }
