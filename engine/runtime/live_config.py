"""``live.toml``: a paper configuration with the account that it trades, and the limits of doing so.

Owns the sections ``[account]``, ``[map]`` and ``[limits]``, and :class:`LiveConfig`. What must
hold: what decides whether money may be lost has no default, so a file that does not say it is
refused; ``paper_identity`` is that of the paper session that this trades like, so a verdict on the
one speaks for the other; a session goes on only with the same account, server and instruments.

It refuses to know passwords (:mod:`engine.runtime.secrets`), and what a terminal is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.server_rules import WORDS
from data.settings_file import parse_settings, read_text
from data.units import NS_OF
from engine.broker.intent_id import BASE_MAX
from engine.runtime.paper_config import (
    SETTINGS,
    PaperConfig,
    PaperFile,
    Reader,
    identity_of,
    kept_plans,
    read_with,
    shown,
)
from engine.runtime.paper_keys import key
from engine.runtime.paper_sections import SECTIONS, TerminalAccount

WHAT = "a configuration of a live session"
MAP = "map"
TERMINAL = "mt5"
"""Name of the venue that a terminal is."""
LIVE_ONLY = ("basis.",)
"""Beginnings of the settings that only a live composition has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(TerminalAccount):
    """The account that is traded, and how its terminal is reached."""

    login: int = key(MISSING, "count", "number of the account; --yes-trade-account says it again",
                     low=1)  # fmt: skip
    server: str = key(MISSING, "text", "name of the broker's server, as the terminal shows it")
    terminal: str = key(
        "", "text", "path of terminal64.exe, as a bridge's side writes it; else the one used last"
    )
    bridge: str = key("", "text", "HOST:PORT of a worker under the terminal's own Python")
    base: int = key(7001, "count", "number that marks our orders among those of other programs",
                    low=1, high=BASE_MAX)  # fmt: skip
    clock: str = key("new-york", "text", f"the server's clock: {WORDS}")
    close_unknown: bool = key(
        False, "flag", "close positions in our instruments that this session did not open"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends trading, whatever the strategy says. Times int64 ns, money in account currency."""

    daily_loss: float = key(
        MISSING, "number", "loss since 00:00 UTC, account currency, that flattens and stops", low=0
    )
    lost_feed_ns: int = key(
        MISSING, "duration", "a feed that says nothing for so long flattens and stops",
        name="lost_feed", low=NS_OF["s"], high=NS_OF["h"],
    )  # fmt: skip
    verdict_age_ns: int = key(
        MISSING, "duration", "oldest PASS of ofs paper report that counts",
        name="verdict_age", low=NS_OF["m"], high=3650 * NS_OF["d"],
    )  # fmt: skip
    slippage_bp: float = key(
        5.0, "number", "how far a price may run from the one decided on, bp; then it is not sent",
        low=0, high=1000,
    )  # fmt: skip
    quote_age_ns: int = key(
        30 * NS_OF["s"], "duration", "oldest quote of the terminal on which anything is sent",
        name="quote_age", low=NS_OF["s"], high=NS_OF["h"],
    )  # fmt: skip
    settle_ns: int = key(
        10 * NS_OF["s"], "duration", "how long an unknown outcome is looked for before it is ruled",
        name="settle", low=NS_OF["s"], high=10 * NS_OF["m"],
    )  # fmt: skip
    deadline_ns: int = key(
        10 * NS_OF["s"], "duration", "longest call of the terminal; then its worker is replaced",
        name="deadline", low=NS_OF["ms"] * 100, high=5 * NS_OF["m"],
    )  # fmt: skip


LIVE_SECTIONS: dict[str, type] = {**SECTIONS, "account": Account, "limits": Limits}
"""Sections whose keys are declared, by name; [map] has the user's."""


@dataclass(frozen=True, slots=True)
class LiveConfig(PaperConfig):
    """A configuration without mistakes: a paper one, ``account``, ``limits``, and ``execution``:
    what each symbol is called at the broker."""

    account: Account = field(default_factory=lambda: Account(login=1, server="?"))
    limits: Limits = field(
        default_factory=lambda: Limits(daily_loss=0.0, lost_feed_ns=0, verdict_age_ns=0)
    )
    execution: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Hash (hex) of all that decisions depend on, the account and its instruments included."""
        a = self.account
        account = [a.login, a.server, a.base]
        return identity_of(self, self.settings, account=account, map=dict(self.execution))

    @property
    def paper_identity(self) -> str:
        """The ``identity`` of the paper session that decides alike."""
        kept = {k: v for k, v in self.settings.items() if not k.startswith(LIVE_ONLY)}
        return identity_of(self, kept)

    def traded(self, symbol: str) -> str:
        """What the broker calls ``symbol``."""
        return self.execution.get(symbol, symbol)

    @property
    def one_series(self) -> bool:
        """Whether flow and execution come from the same place."""
        return self.venue == TERMINAL


class LiveReader(Reader):
    """Reads a live configuration."""

    sections = LIVE_SECTIONS
    tables = (SETTINGS, MAP)

    def look(self, top: dict[str, Any], sections: dict[str, Any]) -> None:
        """[map] names our symbols; the account has a clock, and a limit."""
        symbols, given = top.get("symbols", ()), self.file.values.get(MAP, {})
        if not isinstance(given, dict):
            self.wrong((MAP,), "'map' is a section", do="write [map], then BTCUSDT = ...")
            return
        for name, value in given.items():
            if name not in symbols:
                self.wrong(
                    (MAP, name),
                    f"{name!r} is none of the symbols",
                    "[map] is read from symbol to what the broker calls it",
                    "write it as in symbols",
                )
            elif not isinstance(value, str) or not 0 < len(value) <= 29:
                self.wrong(
                    (MAP, name),
                    f"{value!r} is no name of an instrument",
                    "1 to 29 characters are asked for",
                    'write "BTCUSDc"',
                )
        if top.get("venue") != TERMINAL:
            for name in symbols:
                if name not in given:
                    self.wrong(
                        (MAP,),
                        f"the file does not say what the broker calls {name}",
                        do=f'write [map] and below it {name} = "..."',
                    )
        twice = sorted({v for v in given.values() if list(given.values()).count(v) > 1})
        if twice:
            self.wrong(
                (MAP,),
                f"{twice[0]!r} stands for two symbols",
                "whose position it is could not be told",
                "leave one of them out",
            )
        self._account(sections["account"], sections["limits"])

    def _account(self, account: Account | None, limits: Limits | None) -> None:
        """A clock that there is, and a limit that is one."""
        if account is not None:
            self.check_account(account)
        if limits is not None and not limits.daily_loss:
            do = "write the loss of a day that ends trading, in account currency"
            why = "the account would have none"
            self.wrong(("limits", "daily_loss"), "0 is no limit", why, do)

    def made(self, *values: Any, **sections: Any) -> LiveConfig:
        """The configuration; every symbol has a name at the broker."""
        given = {str(k): str(v) for k, v in self.file.values.get(MAP, {}).items()}
        sections["execution"] = {symbol: given.get(symbol, symbol) for symbol in values[3]}
        return LiveConfig(*values, **sections)


def read_live_file(path: str | Path) -> PaperFile:
    """What is in ``path`` with all mistakes; ConfigError where it cannot be read or is no TOML."""
    whole = Path(path).expanduser().resolve()
    return parse_live(read_text(whole, WHAT), str(path), whole.parent)


def read_live(path: str | Path) -> LiveConfig:
    """The configuration in ``path``; ConfigError (file:line) where something in it is wrong."""
    return _live(read_live_file(path))


def parse_live(text: str, path: str, folder: Path, plans: Any = None) -> PaperFile:
    """As :func:`engine.runtime.paper_config.parse_paper`, of a live configuration."""
    return read_with(LiveReader(parse_settings(text, path, WHAT), folder, plans), text)


def live_from_facts(facts: Mapping[str, Any]) -> LiveConfig:
    """The configuration that a live session kept; ConfigError where it kept none."""
    path, text, plans = kept_plans(facts)
    return _live(parse_live(text, path, Path(path).parent, plans))


def shown_live(config: LiveConfig) -> list[tuple[str, str, str, str]]:
    """Every key outside [settings] as (section, key, value as written, meaning), in order."""
    rows = shown(config, LIVE_SECTIONS)
    named = [(MAP, k, f'"{v}"', "what the broker calls it") for k, v in config.execution.items()]
    return [*rows, *named]


def _live(found: PaperFile) -> LiveConfig:
    config = found.sound()
    if not isinstance(config, LiveConfig):
        raise ConfigError("this is a configuration of a paper session", where=found.path,
                          do="add [account], [map] and [limits]")  # fmt: skip
    return config
