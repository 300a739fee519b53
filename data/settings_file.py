"""A file of settings in TOML: its values, and on which line each of them stands.

Owns reading and the errors of a file that is not TOML. What must hold: numbers with a point stay
exact (``Decimal``), and every error names ``file:line``.

It refuses to know which settings there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from data.errors import ConfigError

NAME = "ofs.toml"
"""Name of a file of settings, in the working folder and in the user's folder alike."""

_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_SECTION = re.compile(r"\s*\[\s*(?P<name>log|runs)\s*[.\]]")


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One file that was read: ``path`` as messages show it, ``values`` as TOML gives them."""

    path: str
    values: dict[str, Any]
    lines: dict[tuple[str | int, ...], int] = field(repr=False)

    @property
    def folder(self) -> Path:
        """The folder to which relative paths in the file are relative."""
        return Path(self.path).parent

    def where(self, *keys: str | int) -> str:
        """``file:line`` of a key; the file alone where the key has no line."""
        line = self.lines.get(keys)
        return self.path if line is None else f"{self.path}:{line}"


def leaves(
    table: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of every value of ``table`` that is no section, in the order of the file.

    ``path`` is where the table stands; every path begins with it, so it fits
    :meth:`SettingsFile.where`."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def text_of(value: Any) -> str:
    """A value as ``--set`` takes it: ``true`` and ``false``, dates and times in ISO 8601."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def user_file() -> Path:
    """The user's own file, e.g. ``~/.config/ofs/ofs.toml`` on Linux; it may be absent."""
    from platformdirs import user_config_path

    return Path(user_config_path("ofs", appauthor=False)) / NAME


def read_settings(path: str | Path) -> SettingsFile:
    """The settings in ``path``; ConfigError where it cannot be read or is not TOML."""
    return parse_settings(read_text(path), str(path))


def read_text(path: str | Path, what: str = "a file of settings") -> str:
    """The text of a TOML file, without what an editor of Windows leaves; ConfigError if none."""
    try:
        # An editor of Windows may put a byte order mark in front.
        return Path(path).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot read {what}",
            where=str(path),
            why=reason,
            do="check the path and whether you may read it",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"cannot read {what}",
            where=str(path),
            why=f"it is not UTF-8: {error.reason} at byte {error.start}",
            do="save it as UTF-8",
        ) from None


def parse_settings(text: str, path: str, what: str = "a file of settings") -> SettingsFile:
    """What the TOML ``text`` holds, which messages call ``path``; ConfigError if it is not TOML."""
    import tomllib
    from decimal import Decimal

    from data.toml_lines import key_lines

    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise _broken(path, text, str(error), what) from None
    except (ValueError, RecursionError) as error:  # what tomllib lets through of int() and itself
        why = f"it holds a number beyond all use ({error})"
        raise ConfigError(
            f"cannot read {what}",
            where=path,
            why="it is nested too deeply" if isinstance(error, RecursionError) else why,
            do="take that out; no setting needs it",
        ) from None
    return SettingsFile(path, values, key_lines(text))


def _broken(path: str, text: str, message: str, what: str) -> ConfigError:
    """The error for a text that is not TOML."""
    found = _PLACE.search(message)
    line = found["line"] if found else None
    number = int(line) if line else text.rstrip().count("\n") + 1
    why = message[: found.start()] if found else message
    do = "mend the line; https://toml.io shows how TOML is written"
    if re.match(r"Cannot (declare|mutate)", why):  # tomllib names the key as Python would
        why = "this section, or a key of it, is given twice"
        do = "write each section once, with all its keys below it"
    if "overwrite" in why:
        why, do = "it gives a second value to a key that has one", "give each key once"
        if section := _SECTION.match((text.splitlines() or [""])[number - 1]):
            name = section["name"]
            why = f"{name} has a value above, and here it is a section"
            do = f"write {name} = ... above as two lines: [{name}] and dir = ..."
    return ConfigError(
        f"{what} is not TOML",
        where=f"{path}:{number}",
        why=why[:1].lower() + why[1:],
        do=do,
    )
