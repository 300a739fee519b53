"""The parameters of a fold for ``ofs config``: which there are, their values, their schema.

Owns the way from settings to the engine's own table of parameters. Every function here imports the
engine; the commands that call them say so by being slower to start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from cli.sections import Row
from data.errors import ConfigError, OfsError

if TYPE_CHECKING:
    from cli.section_set import Value
    from cli.settings import Settings
    from engine.runtime.strategy import Param, Strategy

_FINEST = 9
"""Decimals with which a price or a quantity is checked before an instrument is at hand."""


def keys_of(strategy: Strategy) -> dict[str, Param]:
    """Every parameter of the fold of ``strategy``, by key."""
    from engine.runtime.compose import compose
    from engine.runtime.parameters import table

    return table(compose(strategy))


@cache
def known() -> dict[str, Param]:
    """Every parameter of every group and of every strategy of the package, by key."""
    from engine.runtime.parameters import GROUPS
    from strategies import get, names

    out = {f"{group}.{p.name}": p for group, params in GROUPS.items() for p in params}
    for name in names():
        out.update({p.name: p for p in get(name).params})
    return out


def configured(settings: Settings) -> Strategy:
    """The strategy that ``ofs backtest`` would run with no ``--strategy``; OfsError for none."""
    from cli.backtest import command
    from cli.keys import command_keys
    from strategies import get

    key = command_keys(("backtest",), command)["strategy"]
    given = settings.find(key)
    try:
        return get(str(given.value if given else key.option.default))
    except OfsError as error:
        error.where = given.where if given else error.where
        raise


def wrong(settings: Settings, values: Mapping[str, Value]) -> Iterator[ConfigError]:
    """What is wrong with the parameters of the layers, one error each."""
    from data.events import Scales
    from engine.runtime.parameters import parse_value

    try:
        strategy = configured(settings)
    except OfsError as error:
        yield ConfigError(error.what, where=error.where, why=error.why, do=error.do)
        return
    mine = keys_of(strategy)
    whole = True
    for key, value in values.items():
        param = mine.get(key) or known().get(key)
        try:
            if param is None:
                raise unknown(key, value.where, {**known(), **mine})
            parse_value(param, value.text, Scales(_FINEST, _FINEST), key)
        except ConfigError as error:
            whole = False
            error.where = value.where
            yield error
    if whole:
        yield from _together(strategy, {k: v for k, v in values.items() if k in mine})


def _together(strategy: Strategy, values: Mapping[str, Value]) -> Iterator[ConfigError]:
    """The error where values that can be read one by one do not fit the fold or each other."""
    from data.events import Scales
    from engine.runtime.compose import compose
    from engine.runtime.parameters import build, settle

    composition = compose(strategy)
    given = {key: value.text for key, value in values.items()}
    try:
        build(composition, settle(composition, given), Scales(_FINEST, _FINEST))
    except ConfigError as error:
        text = f"{error.what} {error.where} {error.why}"
        named = [v.where for k, v in values.items() if k in text]
        named = named or [v.where for k, v in values.items() if k.rpartition(".")[2] in text]
        error.where = ", ".join(named or [v.where for v in values.values()])
        yield error


def unknown(key: str, where: str, table: Mapping[str, Param]) -> ConfigError:
    """The error for a parameter that does not exist."""
    from cli.keys import mistake

    return ConfigError(
        f"there is no parameter {key!r}", where=where, do=mistake(key, table, "parameters")
    )


def rows(settings: Settings, values: Mapping[str, Value]) -> Iterator[Row]:
    """Every parameter of the configured strategy, then what is set for others."""
    from engine.runtime.compose import compose
    from engine.runtime.parameters import settle

    strategy = configured(settings)
    defaults = settle(compose(strategy), {})
    for key in [*defaults, *(k for k in values if k not in defaults)]:
        if key in values:
            yield Row(f"set.{key}", *values[key])
        else:
            yield Row(f"set.{key}", defaults[key], "default", "")


def schema() -> dict[str, Any]:
    """JSON Schema of the parameters; a group is a table, dotted keys of TOML mean the same."""
    groups: dict[str, dict[str, Any]] = {}
    out: dict[str, Any] = {}
    for key, param in known().items():
        group, dot, name = key.rpartition(".")
        target = groups.setdefault(group, {}) if dot else out
        target[name] = _param_schema(param)
    for group, properties in groups.items():
        table = {"type": "object", "properties": properties, "additionalProperties": False}
        # A strategy may call a parameter as a group is called: then "book.stale" in quotes.
        out[group] = {"anyOf": [out[group], table]} if group in out else table
    # A strategy in a file of the user's own may have parameters that are not known here.
    return {"type": "object", "properties": out}


def _param_schema(param: Param) -> dict[str, Any]:
    facts: dict[str, Any] = {"description": param.doc, "default": param.default}
    if param.kind == "choice":
        return {"enum": list(param.choices), **facts}
    if param.kind == "flag":
        return {"type": ["boolean", "string"], **facts}
    if param.kind in ("ratio", "money", "price", "quantity", "count"):
        bounds = {"minimum": param.low, "maximum": param.high}
        number = {"type": "integer" if param.kind == "count" else "number"}
        return {
            "anyOf": [{**number, **{k: v for k, v in bounds.items() if v is not None}},
                      {"type": "string"}],
            **facts,
        }  # fmt: skip
    return {"anyOf": [{"type": "string"}, {"const": 0}], **facts}
