"""A value of a file or of the environment as the flag would have taken it.

Owns the conversion of TOML values to words of a command line and their check by the option's own
type, so that a setting is right exactly when the flag is. What must hold: nothing is guessed (a
number is not text, text is no number); a relative path in a file is relative to the file's folder.

It refuses to know where a value came from.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from cli.keys import Key

NUMBERS = (click.types.IntParamType, click.types.FloatParamType)
"""Types of options that take a number."""


class MisfitError(ValueError):
    """A value that the option does not take: why, and what fits."""

    def __init__(self, why: str, fits: str) -> None:
        super().__init__(why)
        self.why = why
        self.fits = fits


def from_file(key: Key, value: Any, folder: Path) -> Any:
    """What the flag of ``key`` would have got for the TOML ``value``; MisfitError otherwise.

    Text, or a list of texts for an option that takes several, or a bool for a switch. ``folder``
    is that of the file, to which relative paths are relative.
    """
    option = key.option
    if option.secondary_opts:
        if not isinstance(value, bool):
            raise MisfitError(f"{show(value)} is not true or false", "true or false")
        return value
    if option.multiple or option.nargs != 1:
        items = value if isinstance(value, list) else [value]
        if option.nargs != 1 and not isinstance(value, list):
            raise MisfitError(f"{show(value)} is no list", fits(option))
        words: Any = [anchored(option, _word(option, item), folder) for item in items]
    else:
        words = anchored(option, _word(option, value), folder)
    check(key, words)
    return words


def from_variable(key: Key, text: str) -> Any:
    """What the flag of ``key`` would have got for a variable's ``text``; MisfitError otherwise."""
    option = key.option
    words: Any = text
    if option.secondary_opts:
        try:
            return bool(click.BOOL.convert(text, None, None))
        except click.BadParameter:
            raise MisfitError(f"{text!r} is not true or false", "true, false, 1 or 0") from None
    if option.multiple or option.nargs != 1:
        words = list(option.type.split_envvar_value(text))
    check(key, words)
    return words


def check(key: Key, words: Any) -> Any:
    """The value that the option's type makes of ``words``; MisfitError where it refuses."""
    ctx = click.Context(click.Command(key.dotted))
    try:
        return key.option.type_cast_value(ctx, words)
    except click.BadParameter as error:
        raise MisfitError(error.message.rstrip("."), fits(key.option)) from None


def _word(option: click.Option, value: Any) -> str:
    """One TOML value as a word of a command line."""
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (bool, dict)):
        raise MisfitError(f"{show(value)} is no value for it", fits(option))
    if isinstance(value, list):
        if getattr(option.type, "commas", False) and all(isinstance(v, str) for v in value):
            return ",".join(value)
        raise MisfitError("one value is asked for, not a list", fits(option))
    number = isinstance(value, (int, Decimal))
    if isinstance(option.type, NUMBERS):
        if not number:
            raise MisfitError(f"{show(value)} is text", f"{fits(option)}, without quotes")
        return str(value)
    if number and not getattr(option.type, "numbers", False):
        raise MisfitError(f"{value} is a number", f"{fits(option)}, in quotes")
    return str(value)


def anchored(option: click.Option, word: str, folder: Path) -> str:
    """``word``, relative to ``folder`` where the option takes a path; ``~`` is the home."""
    anchor = getattr(option.type, "anchor", None)
    if anchor is not None:
        return str(anchor(word, folder))
    if not isinstance(option.type, (click.Path, click.File)) or "://" in word or word == "-":
        return word
    return str(folder / Path(word).expanduser())


def fits(option: click.Option) -> str:
    """What the option takes, in a few words."""
    kind = option.type
    if isinstance(kind, click.Choice):
        return "one of " + ", ".join(str(choice) for choice in kind.choices)
    text = "a time such as 2024-08-08" if kind.name == "TIME" else "text"
    if isinstance(kind, NUMBERS):
        text = "a whole number" if isinstance(kind, click.types.IntParamType) else "a number"
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        low = "" if kind.min is None else f" {'above' if kind.min_open else 'from'} {kind.min:g}"
        high = "" if kind.max is None else f" {'below' if kind.max_open else 'to'} {kind.max:g}"
        text += low + high
    if isinstance(kind, (click.Path, click.File)):
        text = "a path"
    if kind.name in ("DURATION", "SIZE", "RATE", "BYTE_RATE", "KINDS"):
        sample = {"DURATION": "5s", "SIZE": "2GiB", "RATE": "20/s", "BYTE_RATE": "5MiB/s"}
        text = (
            f"a {kind.name.lower().replace('_', ' ')} such as {sample[kind.name]}"
            if (kind.name in sample)
            else "kinds such as trade,depth"
        )
    return f"a list of {option.nargs}, each {text}" if option.nargs != 1 else text


def show(value: Any) -> str:
    """A TOML value as it would be written in a file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        import json

        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(show(v) for v in value) + "]"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)
