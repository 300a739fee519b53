"""How a live session reaches its terminal: a worker, a bridge, or the terminal of a sandbox.

Owns :class:`Link`: from a configuration and the environment to terminals, a broker and a feed, and
the time that goes with them. What must hold: every part has a worker of its own, so that a poll for
quotes never stands before an order; the password goes from the environment to the one call that
needs it, and nowhere else.

It refuses to know what is traded and when.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data.enums import Kind
from data.errors import ConfigError
from data.events import Scales
from engine.broker.bridge import BridgeTerminal
from engine.broker.mt5 import Mt5Broker, Mt5Settings
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_feed import EVERY_S, Mt5Feed
from engine.broker.mt5_link import select, sign_in, symbol_scales
from engine.broker.sandbox_clock import SandboxClock
from engine.broker.terminal.endpoint import ENVIRONMENT
from engine.broker.worker import FramedTerminal, WorkerTerminal
from engine.runtime.live_config import LiveConfig
from engine.runtime.secrets import bridge_token, password_of

STAND_IN = "engine.broker.terminal"
PACKAGE = "MetaTrader5"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A stand-in terminal: ``address`` HOST:PORT, and its clock."""

    address: str
    clock: SandboxClock


@dataclass
class Link:
    """The way to the account of ``config``; ``sandbox`` is None where it is a real terminal."""

    config: LiveConfig
    sandbox: Sandbox | None = None

    @property
    def names(self) -> list[str]:
        """What the broker calls the session's symbols, in their order."""
        return [self.config.traded(symbol) for symbol in self.config.symbols]

    def now_ns(self) -> int:
        """Time at the terminal, ns UTC."""
        return self.sandbox.clock.now_ns() if self.sandbox is not None else time.time_ns()

    def scales(self) -> dict[str, Scales]:
        """Scales that hold every price and quantity of the symbols, by the broker's name.

        BrokerError where the terminal cannot be reached, or is at another account.
        """
        terminal = self._terminal()
        try:
            return symbol_scales(terminal, self.settings(dict.fromkeys(self.names, Scales(0, 0))))
        finally:
            terminal.close()

    def broker(self, scales: Mapping[str, Scales]) -> Mt5Broker:
        """A broker of its own worker, not connected yet, at the ``scales`` of the session."""
        return Mt5Broker(self._terminal(), self.settings(scales))

    def feed(self, scales: Mapping[str, Scales], kinds: Sequence[Kind],
             until_ns: Callable[[], int] | None, *, tells: bool) -> Mt5Feed:  # fmt: skip
        """Quotes (and bars) of the symbols from a worker of their own; see :class:`Mt5Feed`."""
        terminal, settings = self._terminal(), self.settings(scales)
        clock = self.sandbox.clock if self.sandbox is not None else None
        return Mt5Feed(
            terminal, lambda: _select(terminal, settings), ServerClock(settings.clock),
            list(scales), kinds=kinds, deadline_s=self.config.limits.deadline_ns / _NS,
            every_s=EVERY_S if clock is None else clock.every_s, until_ns=until_ns, tells=tells,
            served=clock.look if clock is not None and tells else None,
        )  # fmt: skip

    def settings(self, scales: Mapping[str, Scales]) -> Mt5Settings:
        """What a broker is told of the account; the password of the environment is in it."""
        a, limits = self.config.account, self.config.limits
        deadline_s = limits.deadline_ns / _NS
        return Mt5Settings(
            login=a.login, server=a.server, symbols=dict(scales), path=a.terminal,
            password=password_of(a.login).reveal(), clock=a.clock, call_s=deadline_s,
            send_s=deadline_s, history_s=3 * deadline_s, stale_s=limits.quote_age_ns / _NS,
        )  # fmt: skip

    def _terminal(self) -> FramedTerminal:
        if self.sandbox is not None:
            clock = self.sandbox.clock
            env = {ENVIRONMENT: self.sandbox.address}
            return WorkerTerminal(STAND_IN, env, clock=clock.now_ns, sleep=clock.sleep)
        if self.config.account.bridge:
            return BridgeTerminal(self.config.account.bridge, bridge_token().reveal())
        if sys.platform != "win32":
            raise ConfigError(
                "a terminal runs on Windows", where=f"{self.config.path}: [account]",
                why=f"{PACKAGE} has no package for {sys.platform}",
                do="name a bridge under Wine or another host, or rehearse with --sandbox",
            )  # fmt: skip
        return WorkerTerminal(PACKAGE)


def _select(terminal: FramedTerminal, settings: Mt5Settings) -> None:
    """Sign in, and have the terminal follow the symbols."""
    sign_in(terminal, settings)
    for name in settings.symbols:
        select(terminal, settings, name)
