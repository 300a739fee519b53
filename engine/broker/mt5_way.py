"""How a terminal is reached: the package on this machine, a bridge, or the terminal of a sandbox.

Owns :class:`Way`, from words of a user to a terminal that can be called, and :func:`sandbox_at`.
What must hold: each part that asks for a terminal gets one of its own, so that a poll for quotes
never stands before anything else; a password or a token is in no text that is made of a way.

It refuses to know what is asked there.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from data.errors import ConfigError, UsageError
from data.live.endpoint import Endpoint
from engine.broker.bridge import BridgeTerminal
from engine.broker.mt5_clock import ServerClock
from engine.broker.sandbox_clock import SandboxClock
from engine.broker.terminal.endpoint import ENVIRONMENT
from engine.broker.worker import FramedTerminal, WorkerTerminal

PACKAGE, STAND_IN = "MetaTrader5", "engine.broker.terminal"
"""What a worker imports: the real package, or the one of a sandbox."""


class _Line(msgspec.Struct):
    terminal: str
    rest: str
    login: int = 0
    server: str = ""
    clock: str = "new-york"
    symbols: list[str] = []
    ws: str = ""
    venue: str = ""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox: ``address`` of its terminal, its clock, and what its line says of the account."""

    address: str
    clock: SandboxClock
    endpoint: Endpoint
    login: int
    server: str
    rule: str


def sandbox_at(file: str | Path, where: str = "--endpoint") -> Sandbox:
    """The sandbox whose line stands in ``file``; UsageError where there is none in it."""
    try:
        line = Path(file).read_bytes().strip().partition(b"\n")[0]
        said = msgspec.json.decode(line, type=_Line)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(
            "this is no sandbox", where=f"{where} {file}", why=str(error),
            do="name the file with the line that 'ofs sandbox' printed",
        ) from None  # fmt: skip
    endpoint = Endpoint(said.ws, said.rest.rstrip("/"), "mt5")
    clock = SandboxClock(endpoint)
    return Sandbox(said.terminal, clock, endpoint, said.login, said.server, said.clock)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a terminal: ``terminal`` is the path of its program (empty: the one that runs),
    ``bridge`` HOST:PORT of a worker elsewhere, where the path is one of its machine; both are left
    out for a ``sandbox``.

    ``login`` and ``server`` say which account it must be signed in to (0, empty: any);
    ``rule`` how the server's clock runs.
    """

    terminal: str = ""
    bridge: str = ""
    sandbox: Sandbox | None = None
    login: int = 0
    server: str = ""
    rule: str = "new-york"
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """One way, and a clock that there is: ConfigError for another."""
        if self.sandbox is not None and (self.terminal or self.bridge):
            raise ConfigError(
                "a terminal is reached in one way",
                why="a sandbox is named, and beside it a path or a bridge",
                do="leave the path and the bridge out, or the sandbox",
            )
        ServerClock(self.rule)

    def now_ns(self) -> int:
        """The time at the terminal, ns UTC."""
        return self.sandbox.clock.now_ns() if self.sandbox is not None else time.time_ns()

    def open(self) -> FramedTerminal:
        """A terminal of one's own; nothing is started before the first call.

        ConfigError where this machine cannot have one.
        """
        if self.sandbox is not None:
            clock = self.sandbox.clock
            env = {ENVIRONMENT: self.sandbox.address}
            return WorkerTerminal(STAND_IN, env, clock=clock.now_ns, sleep=clock.sleep)
        if self.bridge:
            return BridgeTerminal(self.bridge, self.token)
        if sys.platform != "win32":
            raise ConfigError(
                "a terminal runs on Windows",
                why=f"{PACKAGE} has no package for {sys.platform}",
                do="name a bridge (under Wine, or on another host), or the file of a sandbox",
            )
        return WorkerTerminal(PACKAGE)
