"""``paper.toml``: what a paper session trades, how it records, and the gates that it must pass.

Owns reading the file, all mistakes in it with their lines, and :class:`PaperConfig`. What must
hold: an unknown key is an error that names the nearest one; every mistake is found in one reading;
two configurations with the same ``identity`` fold the same log to the same decisions, so a session
may be resumed under either.

It refuses to know how a session is run; which settings a strategy has, ``settled`` asks it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.live.streams import TERMINAL
from data.live.streams import VENUES as SOCKETS
from data.settings_file import SettingsFile, leaves, parse_settings, read_text, text_of
from engine.broker.mt5_clock import ServerClock
from engine.plans.load import PlanText, text_of_file
from engine.runtime.compose import Composition
from engine.runtime.paper_keys import (
    Key,
    defaults_of,
    keys_of,
    read_value,
    required_of,
    show_value,
)
from engine.runtime.paper_sections import (
    SECTIONS,
    Disk,
    Gates,
    Http,
    Record,
    Reference,
    TerminalAccount,
)
from engine.runtime.parameters import settle

WHAT = "a configuration of a paper session"
"""What messages call the file."""

VENUES = ("binance-um", "binance-spot", "bybit", TERMINAL)
STREAMS = ("trade", "depth", "bar", "quote", "liquidation", "mark")
SYMBOLS_MAX = 300

_TOP: dict[str, Key] = {
    "venue": Key("venue", "text", "venue", choices=VENUES),
    "symbols": Key("symbols", "names", "symbols that are traded and recorded"),
    "streams": Key("streams", "names", "what is recorded of each", choices=STREAMS),
    "strategy": Key("strategy", "text", "NAME, or path.py:NAME beside the file"),
    "plans": Key("plans", "text", "file of plans, for a strategy that takes plans"),
    "model": Key("model", "text", "model of the classifier, as 'ofs calibrate' wrote it"),
    "days": Key("days", "number", "market time after which the session ends by itself", low=0),
}
_NEEDED = ("venue", "symbols", "strategy")
_STREAMS_DEFAULT = ("trade", "depth", "quote", "mark")
SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class PaperConfig:
    """A configuration without mistakes.

    ``settings`` are the strategy's parameters as ``--set`` takes them, ``strategy`` and ``model``
    have absolute paths where they name files, ``days`` is None for a session without an end.
    ``where`` maps a setting to its ``file:line``.
    """

    path: str
    text: str
    venue: str
    symbols: tuple[str, ...]
    streams: tuple[str, ...]
    strategy: str
    settings: dict[str, str]
    plans: PlanText | None = None
    model: Path | None = None
    days: float | None = None
    record: Record = field(default_factory=Record)
    disk: Disk = field(default_factory=Disk)
    http: Http = field(default_factory=Http)
    gates: Gates = field(default_factory=Gates)
    reference: Reference = field(default_factory=Reference)
    account: TerminalAccount = field(default_factory=TerminalAccount)
    where: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def identity(self) -> str:
        """Hash (hex) of all that decisions depend on; sections about keeping and judging do not
        count, so they may change between two runs of one session."""
        return identity_of(self, self.settings)

    def settled(self, composition: Composition) -> dict[str, str]:
        """All settings of the strategy's fold as text; ConfigError at the line of a wrong one."""
        return self.over(composition, self.settings)

    def over(self, composition: Composition, pairs: Mapping[str, str]) -> dict[str, str]:
        """As :meth:`settled`, of ``pairs``: the settings with what a model brought."""
        try:
            return settle(composition, dict(pairs))
        except ConfigError as error:
            raise self.placed(error) from None

    def placed(self, error: ConfigError) -> ConfigError:
        """``error`` about ``--set KEY`` as one about the line of the file that gives KEY."""
        words = error.where.partition("--set ")[2].partition("=")[0]
        where = self.where.get(words, error.where)
        return ConfigError(error.what, where=where, why=error.why, do=error.do)


@dataclass(frozen=True, slots=True)
class PaperFile:
    """What a file holds: ``config`` is None where there are ``mistakes``."""

    path: str
    config: PaperConfig | None
    mistakes: tuple[ConfigError, ...]

    def sound(self) -> PaperConfig:
        """The configuration; the first mistake is raised where there is one."""
        if self.config is None:
            raise self.mistakes[0]
        return self.config


def read_config(path: str | Path) -> PaperConfig:
    """The configuration in ``path``; ConfigError (file:line) where something in it is wrong."""
    return read_paper(path).sound()


def read_paper(path: str | Path) -> PaperFile:
    """What is in ``path`` with all mistakes; ConfigError where it cannot be read or is no TOML."""
    whole = Path(path).expanduser().resolve()
    return parse_paper(read_text(whole, WHAT), str(path), whole.parent)


def parse_paper(text: str, path: str, folder: Path, plans: PlanText | None = None) -> PaperFile:
    """What ``text`` holds, which messages call ``path``; files that it names lie in ``folder``.

    ``plans`` take the place of the file of plans that it names.
    """
    return read_with(Reader(parse_settings(text, path, WHAT), folder, plans), text)


def read_with(reader: Reader, text: str) -> PaperFile:
    """What ``reader`` finds in its file, whose text is ``text``."""
    config = reader.config(text)
    order = sorted(reader.mistakes, key=lambda error: _line(error.where))
    return PaperFile(reader.file.path, None if order else config, tuple(order))


def identity_of(config: PaperConfig, settings: Mapping[str, str], **more: Any) -> str:
    """Hash (hex) of what decisions of ``config`` depend on, with ``settings`` in the place of its
    own, and ``more`` (JSON) that counts."""
    parts = {
        "venue": config.venue,
        "symbols": config.symbols,
        "streams": config.streams,
        "strategy": config.strategy,
        "settings": dict(settings),
        "plans": config.plans.sha256 if config.plans else None,
        "model": _content_hash(config.model) if config.model else None,
        **more,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def as_facts(config: PaperConfig) -> dict[str, Any]:
    """What a session keeps of its configuration, as JSON; the inverse of :func:`from_facts`."""
    return {
        "path": str(Path(config.path).expanduser().resolve()),
        "text": config.text,
        "identity": config.identity,
        **(
            {"plans": {"file": config.plans.name, "text": config.plans.text}}
            if config.plans
            else {}
        ),
    }


def from_facts(facts: Mapping[str, Any]) -> PaperConfig:
    """The configuration that a session kept; neither the file nor its plans are needed any more.

    ConfigError where the facts are none, or this ofs does not know a key of it any more.
    """
    path, text, plans = kept_plans(facts)
    return parse_paper(text, path, Path(path).parent, plans).sound()


def kept_plans(facts: Mapping[str, Any]) -> tuple[str, str, PlanText | None]:
    """(path, text, plans) of the facts that a session keeps of its configuration; ConfigError where
    they are none."""
    path, text = facts.get("path"), facts.get("text")
    if not isinstance(path, str) or not isinstance(text, str):
        raise ConfigError("the session does not say what it was configured with",
                          do="give the file: --gates FILE")  # fmt: skip
    kept = facts.get("plans")
    plans = PlanText(str(kept["file"]), str(kept["text"])) if isinstance(kept, dict) else None
    return path, text, plans


def shown(
    config: PaperConfig, sections: Mapping[str, type] = SECTIONS
) -> list[tuple[str, str, str, str]]:
    """Every key outside [settings] as (section, key, value as written, meaning), in order."""
    top: dict[str, Any] = {
        "venue": config.venue,
        "symbols": config.symbols,
        "streams": config.streams,
        "strategy": config.strategy,
        "plans": config.plans.name if config.plans else None,
        "model": config.model,
        "days": config.days,
    }
    rows = [
        ("", name, "none" if value is None else show_value(_TOP[name], value), _TOP[name].doc)
        for name, value in top.items()
    ]
    for section, made in sections.items():
        if made is TerminalAccount and config.venue != TERMINAL:
            continue
        values = getattr(config, section)
        for name, (attribute, k) in keys_of(made).items():
            value = getattr(values, attribute)
            unset = value in ("", 0) and k.kind in ("text", "time")
            rows.append((section, name, "none" if unset else show_value(k, value), k.doc))
    return rows


def _content_hash(path: Path) -> str:
    """Hash of a file, whatever it is called; its name where it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return str(path)


def _default_streams(venue: str) -> tuple[str, ...]:
    """What is recorded where the file does not say: of the usual streams those that the venue has
    (spot markets have no mark price)."""
    if venue == TERMINAL:
        return ("bar", "quote")
    known = SOCKETS.get(venue)
    has = {kind.name.lower() for kind in known.names} if known else set(STREAMS)
    return tuple(name for name in _STREAMS_DEFAULT if name in has)


def _line(where: str) -> int:
    tail = where.rpartition(":")[2]
    return int(tail) if tail.isdigit() else 0


class Reader:
    """One pass over a file; ``mistakes`` are collected, not raised.

    A file with more than these sections has a reader that extends this one: ``sections`` are those
    whose keys are declared, ``tables`` names of those that have keys of the user's.
    """

    sections: Mapping[str, type] = SECTIONS
    tables: tuple[str, ...] = (SETTINGS,)

    def __init__(self, file: SettingsFile, folder: Path, plans: PlanText | None) -> None:
        self.file = file
        self.folder = folder
        self.plans = plans
        self.mistakes: list[ConfigError] = []
        self.where: dict[str, str] = {}

    def wrong(self, path: tuple[str, ...], what: str, why: str = "", do: str = "") -> None:
        """Note a mistake at the line of ``path``."""
        self.mistakes.append(ConfigError(what, where=self.file.where(*path), why=why, do=do))

    def config(self, text: str) -> PaperConfig | None:
        """The configuration; None where what it needs is missing or wrong."""
        values = self.file.values
        known = [*_TOP, *self.sections, *self.tables]
        for name in values:
            if name not in known:
                self.unknown((name,), known)
        top = self.table((), {n: v for n, v in values.items() if n in _TOP}, _TOP)
        for name in _NEEDED:
            if name not in values:
                fits = {"venue": '"binance-um"', "symbols": '["BTCUSDT"]'}.get(name, '"delta_flip"')
                self.wrong((), f"the file does not say the {name}", do=f"write {name} = {fits}")
        settings = self.settings(values.get(SETTINGS, {}))
        sections = {name: self.section(name, made) for name, made in self.sections.items()}
        self.check_symbols(top.get("symbols", ()))
        streams = top["streams"] if "streams" in top else _default_streams(top.get("venue", ""))
        self.check_streams(streams)
        self.look(top, sections)
        self.check_reference(sections["reference"])
        sections["reference"] = self.placed(sections["reference"])
        plans, model = self.plans_of(top), self.model_of(top)
        if self.mistakes:
            return None
        return self.made(
            self.file.path,
            text,
            top["venue"],
            top["symbols"],
            tuple(name for name in STREAMS if name in streams),
            self.strategy_of(top["strategy"]),
            settings,
            plans,
            model,
            top.get("days") or None,
            **sections,
            where=self.where,
        )

    def look(self, top: dict[str, Any], sections: dict[str, Any]) -> None:
        """Note what else is wrong with the file; a reader that knows more sections has its own."""
        if "account" in self.file.values and top.get("venue") != TERMINAL:
            self.wrong(("account",), "only a terminal has an account", "the venue has sockets",
                       f'leave [account] out, or write venue = "{TERMINAL}"')  # fmt: skip
        elif sections["account"] is not None:
            self.check_account(sections["account"])

    def made(self, *values: Any, **sections: Any) -> PaperConfig:
        """The configuration of a file without mistakes."""
        return PaperConfig(*values, **sections)

    def unknown(self, path: tuple[str, ...], known: list[str]) -> None:
        """A key that does not exist, with the nearest that does."""
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        inside = f" in [{'.'.join(path[:-1])}]" if len(path) > 1 else ""
        do = f"did you mean {near[0]!r}?" if near else f"keys: {', '.join(known)}"
        self.wrong(path, f"there is no key {path[-1]!r}{inside}", do=do)

    def table(
        self, path: tuple[str, ...], given: dict[str, Any], keys: Mapping[str, Key]
    ) -> dict[str, Any]:
        """Values of the keys that fit, by name; what does not fit is noted."""
        found = {}
        for name, value in given.items():
            try:
                found[name] = read_value(keys[name], value)
            except ValueError as error:
                shown = str(value) if isinstance(value, Decimal) else repr(value)
                self.wrong((*path, name), f"{shown} is no value for {name}", str(error),
                           f"{name}: {keys[name].doc}")  # fmt: skip
        return found

    def section(self, name: str, made: type) -> Any:
        """One section, its defaults where the file says nothing."""
        given = self.file.values.get(name, {})
        keys = keys_of(made)
        if not isinstance(given, dict):
            self.wrong((name,), f"{name!r} is a section", do=f"write [{name}] and its keys below")
            given = {}
        for key in given:
            if key not in keys:
                self.unknown((name, key), list(keys))
        plain = {n: k for n, (_, k) in keys.items()}
        values = self.table((name,), {n: v for n, v in given.items() if n in keys}, plain)
        missing = [n for n in required_of(made) if n not in given]
        for n in missing:
            self.wrong((name,), f"the file does not say {n} in [{name}]", plain[n].doc,
                       f"write [{name}] and below it {n} = ...")  # fmt: skip
        if any(n not in values for n in required_of(made)):
            return None
        return made(**(defaults_of(made) | {keys[n][0]: v for n, v in values.items()}))

    def settings(self, given: Any) -> dict[str, str]:
        """The strategy's parameters as text by dotted key."""
        if not isinstance(given, dict):
            self.wrong((SETTINGS,), "'settings' is a section", do="write [settings]")
            return {}
        found = {}
        for path, value in leaves(given):
            name = ".".join(path)
            if not isinstance(value, (str, bool, int, Decimal, date, time)):
                do = "write text, a number, true or false"
                self.wrong(
                    (SETTINGS, *path), f"{name!r} cannot be that", "it is no single value", do
                )
                continue
            found[name] = text_of(value)
            self.where[name] = self.file.where(SETTINGS, *path)
        return found

    def check_symbols(self, symbols: tuple[str, ...]) -> None:
        """Symbols are words that a venue could list; a broker's may have any letters."""
        broker = self.file.values.get("venue") == TERMINAL
        for symbol in () if broker else symbols:
            if not symbol.replace("_", "").isalnum() or symbol != symbol.upper():
                why = "capital letters, digits and _ are asked for"
                self.wrong(("symbols",), f"{symbol!r} is no symbol", why, 'write "BTCUSDT"')
        if "symbols" in self.file.values and not symbols:
            self.wrong(("symbols",), "no symbol is named", do='write symbols = ["BTCUSDT"]')
        if len(symbols) > SYMBOLS_MAX:
            self.wrong(("symbols",), f"{len(symbols)} symbols are too many",
                       f"{SYMBOLS_MAX} are the most of one session", "start several")  # fmt: skip

    def check_streams(self, streams: tuple[str, ...]) -> None:
        """Without trades nothing is decided, and no hole is found; a terminal has quotes alone."""
        if self.file.values.get("venue") == TERMINAL:
            if "quote" not in streams:
                self.wrong(("streams",), "the streams lack quote", "flow is made of quotes here",
                           'write streams = ["quote", "bar"]')  # fmt: skip
        elif "trade" not in streams:
            self.wrong(("streams",), "the streams lack trade",
                       "flow is read from trades, and their ids show what was missed",
                       'write streams = ["trade", ...]')  # fmt: skip

    def check_account(self, account: TerminalAccount) -> None:
        """A clock that there is."""
        try:
            ServerClock(account.clock)
        except ConfigError as error:
            self.wrong(("account", "clock"), error.what, error.why, error.do)

    def check_reference(self, r: Reference) -> None:
        """A range has its start before its end, and belongs to a log."""
        if r.from_ns and r.to_ns and r.from_ns >= r.to_ns:
            self.wrong(("reference", "to"), "the range is empty", "from is not before to",
                       "move one of them")  # fmt: skip
        if not r.log and (r.from_ns or r.to_ns or r.venue):
            why = "without a log the session's own is taken, whole"
            self.wrong(("reference",), "a range without a log", why, "name the log")

    def placed(self, r: Reference) -> Reference:
        """The reference with an absolute path of its log, where it is a path."""
        return r if not r.log or "://" in r.log else replace(r, log=str(self.file_of(r.log)))

    def plans_of(self, top: dict[str, Any]) -> PlanText | None:
        """The text of the file of plans."""
        if "plans" not in top or self.plans is not None:
            return self.plans
        try:
            return text_of_file(self.file_of(top["plans"]))
        except ConfigError as error:
            self.mistakes.append(error)
            return None

    def model_of(self, top: dict[str, Any]) -> Path | None:
        """The file of the model; whether it fits is for whoever has the strategy."""
        return self.file_of(top["model"]) if "model" in top else None

    def strategy_of(self, text: str) -> str:
        """The strategy with an absolute path, where it names a file."""
        name, mark, attribute = text.partition(".py:")
        return f"{self.file_of(name + '.py')}:{attribute}" if mark else text

    def file_of(self, name: str) -> Path:
        """A path of the file, which is relative to it."""
        return self.folder / Path(name).expanduser()
