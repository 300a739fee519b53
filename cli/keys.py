"""Which options are settings, and under which key and variable they stand.

Owns the one rule: an option is a setting when a flag can override it. A switch that no flag can
turn off again (``--yes``, ``--dry-run``, ``--open``) is asked for each time and is none; a pair
such as ``--json/--no-json`` is one. The key is the option's long name, the section the words of its
command: ``ofs log prune --keep`` is ``keep`` in ``[log.prune]`` and ``OFS_LOG_PRUNE_KEEP``. It
also owns which names stand at the top: options of every command, and sections that are no command.

It refuses to know any value and where it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from cli.lazy import LazyGroup

SHARED = ("log", "runs", "json", "progress", "color", "config", "debug")
"""Parameters that every command takes and that may stand before the command too."""

NAMED = "ofs.named"
"""Where the context keeps which layer named a shared option."""

FOLDER_KEY = "dir"
"""``log`` and ``runs`` are commands too: beside ``[log.ls]``, ``log = "x"`` is written so."""

_NO_SETTING = ("config", "debug")


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: the words of its command (none for an option of all), its name, its option."""

    section: tuple[str, ...]
    name: str
    option: click.Option

    @property
    def dotted(self) -> str:
        """The key from the top of a file, e.g. ``log.prune.keep``."""
        return ".".join((*self.section, self.name))

    @property
    def variable(self) -> str:
        """The variable of the environment, e.g. ``OFS_LOG_PRUNE_KEEP``."""
        return "_".join(("ofs", *self.section, self.name)).upper().replace("-", "_")

    @property
    def flag(self) -> str:
        """The flag that says the same, e.g. ``--keep``."""
        return "--" + self.name


def key_name(option: click.Option) -> str:
    """The key of ``option``: its first long name without the dashes; empty where it has none."""
    return next((text[2:] for text in option.opts if text.startswith("--")), "")


def is_setting(option: click.Parameter) -> bool:
    """Whether ``option`` can be set outside the command line; see the rule of this module."""
    if not isinstance(option, click.Option) or option.is_eager or option.hidden:
        return False
    if option.name in _NO_SETTING or option.count or not key_name(option):
        return False
    return bool(option.secondary_opts) or not option.is_flag


def shared_keys(root: click.Command) -> dict[str, Key]:
    """The settings of every command, by name; ``root`` is the group of all commands."""
    options = [p for p in root.params if is_setting(p) and p.name in SHARED]
    return {k.name: k for k in (_key((), option) for option in options)}


def command_keys(section: tuple[str, ...], command: click.Command) -> dict[str, Key]:
    """The settings of one command beside the shared ones, by name.

    Parameters of the fold (``--set``) have a section of their own and are not among them.
    """
    if getattr(command, "tolerant", False):
        return {}
    options = [p for p in command.params if is_setting(p) and p.name not in SHARED]
    keys = [_key(section, option) for option in options]
    return {k.name: k for k in keys if k.name not in SECTIONS}


def _key(section: tuple[str, ...], option: Any) -> Key:
    return Key(section, key_name(option), option)


def commands(root: LazyGroup) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below ``root`` with its words; imports their modules."""
    with click.Context(root) as ctx:
        for name in root.list_commands(ctx):
            command = root.get_command(ctx, name)
            if isinstance(command, LazyGroup):
                yield from (((name, *words), below) for words, below in commands(command))
            elif command is not None:
                yield (name,), command


def all_keys(root: LazyGroup) -> list[Key]:
    """Every setting there is: those of all commands first, then command by command."""
    keys = list(shared_keys(root).values())
    for words, command in commands(root):
        keys.extend(command_keys(words, command).values())
    return keys


SECTIONS: dict[str, str] = {
    "set": "cli.section_set",
}
"""Sections that are no command, and the modules that define them as ``section``; see
:class:`cli.sections.Section`."""

OTHER_VARIABLES: dict[str, str] = {
    "OFS_CONFIG": "file of settings in place of ./ofs.toml",
    "OFS_SET": "parameters of the fold, e.g. 'entry_z=2.5 sim.spread=1'",
    "OFS_CACHE": "folder of compiled code",
    "OFS_DEBUG": "show the traceback of an error",
    "OFS_HTTP_TOKEN": "token of a session's HTTP interface where it is bound beyond loopback",
    "OFS_MT5_PASSWORD": "password of a terminal's account, where the terminal is not signed in",
    "OFS_BRIDGE_TOKEN": "secret that a bridge to a terminal and its clients share",
    "OFS_SANDBOX": "address of ofs sandbox, or the file with its line, for the stand-in terminal",
    "OFS_REAL_TERMINAL": "program of a real terminal, which the contract's tests may read from",
    "OFS_CAMPAIGN": "run the long test campaigns whole",
    "OFS_SHARED_DATA": "folder of real market data for the tests",
}
"""Variables that are no option of a command, with what they mean."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that ``word`` was probably meant to be; empty where none is like it."""
    names = list(known)
    same = {name.replace("-", "_").lower(): name for name in names}
    if found := same.get(word.replace("-", "_").lower()):
        return found
    import difflib

    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=0.6)), "")


def mistake(word: str, known: Iterable[str], what: str) -> str:
    """What to do about ``word``: the nearest of ``known``, or all of them."""
    names = sorted(known)
    near = nearest(word, names)
    if near:
        return f"did you mean {near!r}?"
    return f"{what}: {', '.join(names)}" if names else "remove it"
