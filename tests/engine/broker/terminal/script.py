"""A server that answers from a script and keeps what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.broker.terminal.client import Terminal
from engine.broker.terminal.wire import DirectLink, Reply


@dataclass
class Script:
    """Answers by function name: a Reply, or a list of Replies to be used up, else plain True."""

    answers: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        self.asked.append((name, payload))
        answer = self.answers.get(name, Reply(True))
        return answer.pop(0) if isinstance(answer, list) else answer

    @property
    def last(self) -> dict[str, Any]:
        """Payload of the last call."""
        return self.asked[-1][1]

    def says(self, name: str, *replies: Any) -> None:
        """Answer ``name`` with these replies or values, one call each."""
        self.answers[name] = [r if isinstance(r, Reply) else Reply(r) for r in replies]


def connected(script: Script, waited: list[float] | None = None) -> Terminal:
    """A terminal that is connected to the script; what its faults wait goes into ``waited``."""
    waits = [] if waited is None else waited
    terminal = Terminal(lambda _path: DirectLink(script, waits.append))
    assert terminal.initialize()
    return terminal
