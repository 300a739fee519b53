"""The section ``[set]``: parameters of the fold, as ``--set KEY=VALUE`` sets them.

Owns how the layers of parameters are merged, key by key: ``--set`` over OFS_SET over the files.
What must hold: a key is dotted or nested alike (``sim.spread = 1`` and ``[set.sim] spread = 1``);
an error about a parameter names the place that set it.

It refuses to know which parameters there are until a strategy is at hand: that needs the engine,
which is too dear for the start of every command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli.sections import Row, Section
from cli.values import show
from data.errors import ConfigError, UsageError
from data.settings_file import SettingsFile, leaves, text_of

if TYPE_CHECKING:
    from cli.common import App
    from cli.settings import Settings
    from engine.runtime.strategy import Strategy

VARIABLE = "OFS_SET"
META = "ofs.set"
"""Where the context keeps the origins of the parameters, by key."""


class Value(NamedTuple):
    """A parameter's value as text, and where it came from; see :class:`cli.sections.Row`."""

    text: str
    origin: str
    where: str


class SetSection(Section):
    """``[set]``."""

    name = "set"
    doc = "Parameters of the fold; 'ofs backtest --settings' lists them."

    def faults(self, file: SettingsFile) -> Iterator[ConfigError]:
        """Values that are neither text, number, switch nor time."""
        for path, value in leaves(file.values[self.name], (self.name,)):
            if not isinstance(value, (str, bool, int, Decimal, date, time)):
                yield ConfigError(
                    f"{'.'.join(path[1:])!r} cannot be that",
                    where=file.where(*path),
                    why=f"{show(value)} is no single value",
                    do="write text, a number, true or false",
                )

    def deep_faults(self, settings: Settings) -> Iterator[ConfigError]:
        """Keys and values that no strategy, or not the one that is set, would take."""
        from cli.fold_parameters import wrong

        return wrong(settings, layered(settings))

    def schema(self) -> dict[str, Any]:
        """One property a parameter, groups as tables."""
        from cli.fold_parameters import schema

        return {"description": self.doc, **schema()}

    def rows(self, settings: Settings) -> Iterator[Row]:
        """Every parameter of the strategy that is set; defaults too."""
        from cli.fold_parameters import rows

        return rows(settings, layered(settings))


section = SetSection()


def layered(settings: Settings) -> dict[str, Value]:
    """The parameters that the environment and the files set, by key."""
    out: dict[str, Value] = {}
    for file, table in reversed(list(settings.tables("set"))):
        for path, value in leaves(table, ("set",)):
            key = ".".join(path[1:])
            out[key] = Value(text_of(value), "file", file.where(*path))
    words = settings.environment.get(VARIABLE, "").split()
    for key, text in pairs(words, VARIABLE, "write, for example, OFS_SET='entry_z=2.5'").items():
        out[key] = Value(text, "environment", VARIABLE)
    return out


def pairs(words: list[str] | tuple[str, ...], where: str, do: str) -> dict[str, str]:
    """``KEY=VALUE`` words by key, the last of a key counts; an error for any other word."""
    out: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            kind = UsageError if where.startswith("--") else ConfigError
            raise kind(f"{word!r} is not KEY=VALUE", where=where, do=do)
        out[key.strip()] = value
    return out


def merged(ctx: click.Context, flags: tuple[str, ...]) -> dict[str, str]:
    """Parameters of all layers by key, ``flags`` (the words of ``--set``) on top.

    The origins are kept in the context for messages; see :func:`origins`.
    """
    from cli.settings import current

    values = {} if ctx.resilient_parsing else layered(current(ctx))
    own = pairs(flags, "--set", "write, for example, --set entry_z=2.5")
    values.update({key: Value(text, "flag", "--set") for key, text in own.items()})
    ctx.meta[META] = values
    return {key: value.text for key, value in values.items()}


def origins() -> Mapping[str, Value]:
    """The parameters of this invocation with their origins, by key."""
    ctx = click.get_current_context(silent=True)
    return ctx.meta.get(META, {}) if ctx is not None else {}


def fitting(app: App, strategy: Strategy, given: Mapping[str, str]) -> dict[str, str]:
    """``given`` without what a file or the environment sets for other strategies; says so.

    A key that no strategy knows stays, for the fold to refuse; so does all that ``--set`` gives.
    """
    from cli.fold_parameters import keys_of, known

    mine = keys_of(strategy)
    from_flag = {key for key, value in origins().items() if value.origin == "flag"}
    out = {}
    for key, text in given.items():
        if key not in mine and key not in from_flag and key in known():
            where = origins()[key].where if key in origins() else "the settings"
            app.say(f"note: {key} ({where}) is no parameter of {strategy.name}; it is passed over")
        else:
            out[key] = text
    return out
