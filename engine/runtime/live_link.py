"""What a live session needs of its terminal: a broker, a feed, and the scales of its instruments.

Owns :class:`Link`, from a configuration and the environment to those, over a
:class:`engine.broker.mt5_way.Way`. What must hold: every part has a worker of its own, so that a
poll for quotes never stands before an order; the password goes from the environment to the one call
that needs it, and nowhere else.

It refuses to know what is traded and when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data.enums import Kind
from data.events import Scales
from engine.broker.mt5 import Mt5Broker, Mt5Settings
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_feed import EVERY_S, Mt5Feed
from engine.broker.mt5_link import select, sign_in, symbol_scales
from engine.broker.mt5_way import Sandbox, Way
from engine.broker.worker import FramedTerminal
from engine.runtime.live_config import LiveConfig
from engine.runtime.secrets import bridge_token, password_of

_NS = 1_000_000_000
HASTE_S = 0.5
"""What is bounded in market time has at least so much wall time in a sandbox that plays fast."""


@dataclass
class Link:
    """The way to the account of ``config``; ``sandbox`` is None where it is a real terminal."""

    config: LiveConfig
    sandbox: Sandbox | None = None

    @property
    def way(self) -> Way:
        """To a terminal; ConfigError where this machine cannot have one."""
        a = self.config.account
        return Way(
            a.terminal, a.bridge, self.sandbox, a.login, a.server, a.clock,
            token=bridge_token().reveal() if a.bridge else "",
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """What the broker calls the session's symbols, in their order."""
        return [self.config.traded(symbol) for symbol in self.config.symbols]

    def now_ns(self) -> int:
        """Time at the terminal, ns UTC."""
        return self.way.now_ns()

    def scales(self) -> dict[str, Scales]:
        """Scales that hold every price and quantity of the symbols, by the broker's name.

        BrokerError where the terminal cannot be reached, or is at another account.
        """
        terminal = self.way.open()
        try:
            return symbol_scales(terminal, self.settings(dict.fromkeys(self.names, Scales(0, 0))))
        finally:
            terminal.close()

    def broker(self, scales: Mapping[str, Scales]) -> Mt5Broker:
        """A broker of its own worker, not connected yet, at the ``scales`` of the session."""
        return Mt5Broker(self.way.open(), self.settings(scales))

    def feed(self, scales: Mapping[str, Scales], kinds: Sequence[Kind],
             until_ns: Callable[[], int] | None, *, tells: bool) -> Mt5Feed:  # fmt: skip
        """Quotes (and bars) of the symbols from a worker of their own; see :class:`Mt5Feed`."""
        terminal, settings = self.way.open(), self.settings(scales)
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
            send_s=deadline_s, history_s=3 * deadline_s,
            stale_s=max(limits.quote_age_ns / _NS, HASTE_S * self.speed),
        )  # fmt: skip

    @property
    def speed(self) -> float:
        """Times real time; 1 where the market is real."""
        return 1.0 if self.sandbox is None else self.sandbox.clock.speed


def _select(terminal: FramedTerminal, settings: Mt5Settings) -> None:
    """Sign in, and have the terminal follow the symbols."""
    sign_in(terminal, settings)
    for name in settings.symbols:
        select(terminal, settings, name)
