"""How the layers below the flags reach click, and how an error names the layer that it comes from.

Owns the map of defaults that click asks for every option that has no flag. What must hold: asking
for ``--help`` reads no file; an error about an option whose value came from a variable or a file
names that place, and is then an error of the settings, not of the command line.

It refuses to know which layer counts: see :mod:`cli.settings`.
"""

from __future__ import annotations

import re
from typing import Any

import click
from click.core import ParameterSource

from cli.keys import NAMED, Key, command_keys
from cli.settings import current
from data import errors
from data.errors import ConfigError, OfsError, UsageError

_FLAG = re.compile(r"--set (?P<parameter>[^\s=]+)(?:=\S*)?|(?P<flag>--[a-z][a-z0-9-]*)")


class Layers(dict[str, Any]):
    """The lower layers' values by parameter name, as click's ``default_map``; read when asked."""

    def __init__(self, ctx: click.Context) -> None:
        super().__init__()
        self._ctx = ctx
        keys = command_keys(section_of(ctx), ctx.command)
        self._keys = {str(key.option.name): key for key in keys.values()}
        self._found: dict[str, Any] = {}

    def __contains__(self, name: object) -> bool:
        """Whether a layer sets the parameter; ConfigError where it sets it wrongly."""
        if self._ctx.resilient_parsing or name not in self._keys:
            return False  # help and completion are the same whatever the files say
        if name not in self._found:
            self._found[str(name)] = current(self._ctx).find(self._keys[str(name)])
        return self._found[str(name)] is not None

    def __getitem__(self, name: str) -> Any:
        """The value as the flag would have got it; KeyError where no layer sets it."""
        if name not in self:
            raise KeyError(name)
        return self._found[name].value

    def get(self, name: str, default: Any = None) -> Any:
        """The value as the flag would have got it, or ``default``."""
        try:
            return self[name]
        except KeyError:
            return default

    def place_of(self, name: str) -> str:
        """Where the value of a parameter came from: a variable or file:line."""
        return str(self._found[name].where)

    def key_of(self, name: str) -> Key:
        """The setting of a parameter."""
        return self._keys[name]


def section_of(ctx: click.Context) -> tuple[str, ...]:
    """The words of the command of ``ctx`` without the program's own name."""
    return tuple(ctx.command_path.split()[1:])


def blame(ctx: click.Context, error: click.BadParameter) -> Exception:
    """``error`` itself, or a ConfigError where a variable or a file gave the value."""
    layers, name = ctx.default_map, error.param.name if error.param is not None else None
    source = ctx.get_parameter_source(name) if name else None
    if source != ParameterSource.DEFAULT_MAP or not isinstance(layers, Layers) or name is None:
        return error
    key = layers.key_of(name)
    return ConfigError(
        f"{key.dotted} cannot be that",
        where=layers.place_of(name),
        why=error.message.rstrip("."),
        do=f"{key.flag}: {key.option.help or 'see the help of the command'}",
    )


def place(error: OfsError) -> OfsError:
    """``error`` with the place of each setting that it names by its flag.

    A usage error about a setting that no flag gave becomes a ConfigError.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is None or not error.where:
        return error
    for name, given in ctx.meta.get(NAMED, {}).items():
        if error.where == given.value and not ctx.params.get(name):
            here = given.where if given.origin == "environment" else f"{name} in {given.where}"
            error.where += f" ({here})"
    moved = []

    def shown(found: re.Match[str]) -> str:
        where = _place_of(ctx, found)
        if where:
            moved.append(where)
        return where or found[0]

    error.where = _FLAG.sub(shown, _as_flag(error.where))
    if moved and isinstance(error, UsageError) and error.exit_code == errors.EXIT_USAGE:
        return ConfigError(error.what, where=error.where, why=error.why, do=error.do)
    return error


def _as_flag(where: str) -> str:
    """A bare name of a parameter that was set is said as its flag says it."""
    from cli.section_set import origins

    return f"--set {where}" if where in origins() else where


def _place_of(ctx: click.Context, found: re.Match[str]) -> str:
    """Which layer set the option or the parameter named in a message; empty where a flag did."""
    if found["parameter"]:
        from cli.section_set import origins

        value = origins().get(found["parameter"])
        if value is None or value.origin == "flag":
            return ""
        return f"set.{found['parameter']} ({value.where})"
    for param in ctx.command.params:
        set_by = ctx.get_parameter_source(param.name) if param.name else None
        if found["flag"] in param.opts and set_by == ParameterSource.DEFAULT_MAP:
            assert isinstance(ctx.default_map, Layers)
            name = str(param.name)
            return f"{ctx.default_map.key_of(name).dotted} ({ctx.default_map.place_of(name)})"
    return ""
