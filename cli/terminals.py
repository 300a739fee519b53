"""What ``ofs record``, ``ofs fetch`` and ``ofs paper`` share: the way to a terminal.

Owns the options that name one, and the source that they make. A password or a token is never an
option: they come from the environment or the keyring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from data.errors import UsageError
from data.server_rules import WORDS

if TYPE_CHECKING:
    from engine.broker.mt5_source import Mt5Source
    from engine.broker.mt5_way import Sandbox

VENUE = "mt5"
"""Name of the venue that a terminal is."""

_NAMES = ("terminal", "bridge", "login", "server", "clock")


def terminal_options(function: Any) -> Any:
    """Add the options that say where a terminal is, which account it has, and how its server's
    clock runs."""
    for option in (
        click.option("--clock", metavar="RULE",
                     help=f"Clock of the terminal's server: {WORDS}. "
                     "[default: new-york]"),
        click.option("--server", metavar="NAME",
                     help="Server that the terminal must be signed in to. [default: any]"),
        click.option("--login", type=click.IntRange(min=1), metavar="N",
                     help="Account that the terminal must be signed in to. [default: any]"),
        click.option("--bridge", metavar="HOST:PORT",
                     help="Terminal behind a bridge; its token stands in OFS_BRIDGE_TOKEN."),
        click.option("--terminal", metavar="PATH",
                     help="Program of the terminal (mt5), with --bridge on its machine. "
                     "[default: the one used last]"),
    ):  # fmt: skip
        function = option(function)
    return function


def only_for_terminals(venue: str, options: dict[str, Any]) -> None:
    """UsageError where a venue with sockets is given an option of a terminal."""
    named = next((name for name in _NAMES if options.get(name)), None)
    if named is not None and venue != VENUE:
        raise UsageError(f"{venue} is no terminal", where=f"--{named}",
                         do=f"leave --{named} out, or say --venue {VENUE}")  # fmt: skip


def sandbox_of(text: str | None) -> Sandbox | None:
    """The sandbox that ``--endpoint`` names; None where it is not given."""
    if not text:
        return None
    from engine.broker.mt5_way import sandbox_at

    return sandbox_at(text)


def source_of(named: dict[str, Any], box: Sandbox | None) -> Mt5Source:
    """The terminal that options (or the keys of a file) name, or that of a sandbox. Where they do
    not say account and clock, a sandbox does."""
    from engine.broker.mt5_source import Mt5Source
    from engine.broker.mt5_way import Way
    from engine.runtime.secrets import bridge_token, password_of

    login, bridge = int(named.get("login") or 0), named.get("bridge") or ""
    return Mt5Source(Way(
        terminal=named.get("terminal") or "",
        bridge=bridge,
        sandbox=box,
        login=login or (box.login if box else 0),
        server=named.get("server") or (box.server if box else ""),
        rule=named.get("clock") or (box.rule if box else "new-york"),
        password=password_of(login).reveal() if login and box is None else "",
        token=bridge_token().reveal() if bridge else "",
    ))  # fmt: skip
