"""The settings of one invocation: what each layer says, and which of them counts.

Owns the layers below the flags: environment, ``./ofs.toml`` (or the file that ``--config`` or
OFS_CONFIG names), the user's file; and the check of every file that is read. What must hold: of two
layers the higher counts; a file with a mistake anywhere is refused with file and line, whichever
command is run; nothing is read before a value is asked for, so ``--help`` reads no file.

It refuses to know what a setting does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from cli.keys import Key
from cli.lazy import LazyGroup
from cli.settings_check import faults, misfit, path_in, value_at
from cli.values import MisfitError, from_file, from_variable
from data.errors import ConfigError
from data.settings_file import NAME, SettingsFile, read_settings, user_file

_META = "ofs.settings"


class Given(NamedTuple):
    """A value as the flag would have taken it, and where it came from.

    ``origin`` is ``environment`` or ``file``, ``where`` the variable or ``file:line``.
    """

    value: Any
    origin: str
    where: str


@dataclass(frozen=True)
class Settings:
    """The layers below the flags; ``files`` are in order, the highest first."""

    root: LazyGroup
    files: tuple[SettingsFile, ...]
    environment: Mapping[str, str]

    def find(self, key: Key) -> Given | None:
        """What counts for ``key``; None where no layer sets it. ConfigError for a misfit."""
        if text := self.environment.get(key.variable):
            try:
                return Given(from_variable(key, text), "environment", key.variable)
            except MisfitError as error:
                raise misfit(key, error, key.variable) from None
        for file in self.files:
            path = path_in(file, key)
            if path:
                value = value_at(file, path)
                try:
                    return Given(from_file(key, value, file.folder), "file", file.where(*path))
                except MisfitError as error:
                    raise misfit(key, error, file.where(*path)) from None
        return None

    def tables(self, name: str) -> Iterator[tuple[SettingsFile, Mapping[str, Any]]]:
        """The section ``name`` of every file that has it, the highest first."""
        for file in self.files:
            table = file.values.get(name)
            if isinstance(table, dict):
                yield file, table


def current(ctx: click.Context | None = None) -> Settings:
    """The settings of this invocation, read and checked once; ConfigError for the first mistake."""
    ctx = ctx or click.get_current_context()
    found = ctx.meta.get(_META)
    if not isinstance(found, Settings):
        found = read(root_of(ctx), config_flag(ctx))
        refuse(found)
        ctx.meta[_META] = found
    return found


def root_of(ctx: click.Context) -> LazyGroup:
    """The group of all commands."""
    root = ctx.find_root().command
    if isinstance(root, LazyGroup):
        return root
    from cli.main import ofs

    assert isinstance(ofs, LazyGroup)
    return ofs


def config_flag(ctx: click.Context | None) -> str:
    """What ``--config`` names, after the command or before it; empty where it was not given."""
    while ctx is not None:
        if ctx.get_parameter_source("config") == ParameterSource.COMMANDLINE:
            return str(ctx.params["config"])
        ctx = ctx.parent
    return ""


def read(root: LazyGroup, config: str = "") -> Settings:
    """The layers with the files that are there; unchecked. ``config`` is ``--config``.

    ConfigError for a file that is named and not there, or that is no TOML.
    """
    named = config or os.environ.get("OFS_CONFIG", "")
    if named and not Path(named).is_file():
        raise ConfigError(
            "there is no such file of settings",
            where=named,
            why="--config names it" if config else "OFS_CONFIG names it",
            do=f"name a file, or leave it out to read ./{NAME} where there is one",
        )
    # A folder, or a link to nothing, is there too: read_settings says what is wrong with it.
    files = tuple(read_settings(path) for path in places(named) if os.path.lexists(path))
    return Settings(root, files, os.environ)


def places(named: str = "") -> tuple[Path, ...]:
    """Where files of settings are looked for, the highest first; ``named`` replaces ./ofs.toml."""
    return Path(named or NAME), user_file()


def refuse(settings: Settings) -> None:
    """Raise the first mistake of the files, with the count of the others."""
    found = [fault for file in settings.files for fault in faults(settings.root, file)]
    if not found:
        return
    if len(found) > 1:
        more = f"{len(found) - 1} more mistake{'s' if len(found) > 2 else ''}"
        found[0].do += f" ({more}: see 'ofs config check')"
    raise found[0]
