"""``ofs config schema``: the JSON Schema of the file of settings, for editors and checkers."""

from __future__ import annotations

from typing import Any

import click

from cli import common
from cli.common import App
from cli.keys import FOLDER_KEY, SECTIONS, Key, command_keys, shared_keys
from cli.lazy import LazyGroup
from cli.values import NUMBERS


@common.command(
    "schema",
    examples=("ofs config schema", "ofs config schema > ofs.schema.json"),
    exits=(),
    tolerant=True,
)
def command(app: App) -> None:
    """Print the JSON Schema (2020-12) of the file of settings.

    Editors that know TOML (taplo, Even Better TOML) complete and check a file whose first line is
    '#:schema ./ofs.schema.json'.
    """
    from cli.settings import root_of

    app.emit(schema(root_of(click.get_current_context())))


def schema(root: LazyGroup) -> dict[str, Any]:
    """The schema of a file that sets options of the commands below ``root``."""
    from cli.sections import load

    shared = {name: _value(key) for name, key in shared_keys(root).items()}
    properties: dict[str, Any] = dict(shared)
    for name, table in _group(root, ())["properties"].items():
        if name in shared:
            table["properties"][FOLDER_KEY] = shared[name]
            properties[name] = {"anyOf": [shared[name], table]}
        else:
            properties[name] = table
    for name in SECTIONS:
        properties[name] = load(name).schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of ofs",
        "description": "ofs.toml; 'ofs config show --origin' lists what counts.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _group(group: LazyGroup, path: tuple[str, ...]) -> dict[str, Any]:
    properties = {}
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            if isinstance(command, LazyGroup):
                properties[name] = _group(command, (*path, name))
            elif command is not None:
                keys = command_keys((*path, name), command)
                options = {key.name: _value(key) for key in keys.values()}
                properties[name] = _table(options, command.get_short_help_str(120))
    return _table(properties, (group.help or "").splitlines()[0])


def _table(properties: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "description": text,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _value(key: Key) -> dict[str, Any]:
    """The schema of one setting: as many values as the option takes, each of its type."""
    from cli.config_show import default_of

    option = key.option
    one = _type(option)
    if option.nargs != 1:
        one = {"type": "array", "items": one, "minItems": option.nargs, "maxItems": option.nargs}
    if option.multiple:
        one = {"anyOf": [one, {"type": "array", "items": one}]}
    facts = {"description": option.help} if option.help else {}
    default = default_of(key)
    return {**one, **facts, **({} if default is None else {"default": default})}


def _type(option: click.Option) -> dict[str, Any]:
    kind = option.type
    if option.secondary_opts:
        return {"type": "boolean"}
    if isinstance(kind, click.Choice):
        return {"enum": [str(choice) for choice in kind.choices]}
    if isinstance(kind, NUMBERS):
        whole = isinstance(kind, click.types.IntParamType)
        return {"type": "integer" if whole else "number", **_bounds(kind)}
    if getattr(kind, "numbers", False):
        number = {"type": "number"} if getattr(kind, "bare", "") else {"const": 0}
        return {"anyOf": [{"type": "string"}, number]}
    if getattr(kind, "commas", False):
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    return {"type": "string"}


def _bounds(kind: click.ParamType) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        if kind.min is not None:
            out["exclusiveMinimum" if kind.min_open else "minimum"] = kind.min
        if kind.max is not None:
            out["exclusiveMaximum" if kind.max_open else "maximum"] = kind.max
    return out
