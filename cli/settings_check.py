"""What is wrong with a file of settings: every unknown key, every value that does not fit.

Owns the walk over one file against the commands and sections that there are. What must hold: each
mistake names ``file:line``, the key, why, and what would fit; only the modules of commands whose
sections stand in the file are imported, so that the check is cheap enough for every start.

It refuses to know which file counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cli import keys
from cli.keys import FOLDER_KEY, Key
from cli.lazy import LazyGroup
from cli.sections import load
from cli.values import MisfitError, from_file, show
from data.errors import ConfigError
from data.settings_file import SettingsFile

Path = tuple[str, ...]


def faults(root: LazyGroup, file: SettingsFile) -> Iterator[ConfigError]:
    """Every mistake in ``file``, in the order of its lines."""
    yield from sorted(_Walk(root, file).top(), key=lambda error: _line(error.where))


def _line(where: str) -> int:
    return int(where.rpartition(":")[2]) if where.rpartition(":")[2].isdigit() else 0


class _Walk:
    def __init__(self, root: LazyGroup, file: SettingsFile) -> None:
        self.root = root
        self.file = file
        self.shared = keys.shared_keys(root)

    def top(self) -> Iterator[ConfigError]:
        root = self.root
        for name, value in self.file.values.items():
            if name in self.shared and not (isinstance(value, dict) and name in root.lazy):
                yield from self._value(self.shared[name], value, (name,))
            elif name in keys.SECTIONS:
                if isinstance(value, dict):
                    yield from load(name).faults(self.file)
                else:
                    yield self._no_table((name,), value)
            elif name in root.lazy:
                yield from self._section(root, (name,), value)
            else:
                known = [*self.shared, *root.lazy, *keys.SECTIONS]
                yield self._unknown((name,), value, known, "there are")

    def _section(self, group: LazyGroup, path: Path, value: Any) -> Iterator[ConfigError]:
        """Mistakes in the section of a command, or of a group and the commands below it."""
        if not isinstance(value, dict):
            yield self._no_table(path, value)
            return
        rest = dict(value)
        more: Path = ()
        if path[0] in self.shared and len(path) == 1:
            more = (FOLDER_KEY,)
        if more and FOLDER_KEY in rest:
            yield from self._value(self.shared[path[0]], rest.pop(FOLDER_KEY), (*path, FOLDER_KEY))
        with click.Context(group) as ctx:
            command = group.get_command(ctx, path[-1])
        if isinstance(command, LazyGroup):
            for name, below in rest.items():
                if name in command.lazy:
                    yield from self._section(command, (*path, name), below)
                else:
                    known = [*command.lazy, *more]
                    yield self._unknown((*path, name), below, known, "there are")
        elif command is not None:
            yield from self._options(command, path, rest, more)

    def _options(
        self, command: click.Command, path: Path, values: dict[str, Any], more: Path
    ) -> Iterator[ConfigError]:
        known = keys.command_keys(path, command)
        flags = {keys.key_name(p) for p in command.params if isinstance(p, click.Option)}
        for name, value in values.items():
            if name in known:
                yield from self._value(known[name], value, (*path, name))
            elif name in self.shared:
                yield self._fault(
                    (*path, name),
                    f"{name!r} is no setting of one command",
                    do=f"write {name} = {show(value)} at the top of the file, for every command",
                )
            elif name in keys.SECTIONS:
                yield self._fault(
                    (*path, name),
                    f"{name!r} is a section of its own",
                    do=f"write it as [{name}]",
                )
            elif name in flags:
                yield self._fault(
                    (*path, name),
                    f"{name!r} is no setting",
                    why=f"--{name} is asked for each time; no flag could take it back",
                    do="remove the line and give the flag",
                )
            else:
                yield self._unknown((*path, name), value, [*known, *more], "its keys are")

    def _value(self, key: Key, value: Any, path: Path) -> Iterator[ConfigError]:
        try:
            from_file(key, value, self.file.folder)
        except MisfitError as error:
            yield misfit(key, error, self.file.where(*path))

    def _unknown(self, path: Path, value: Any, known: Any, what: str) -> ConfigError:
        table = isinstance(value, dict)
        name = f"[{'.'.join(path)}]" if table else repr(path[-1])
        inside = f" in [{'.'.join(path[:-1])}]" if len(path) > 1 and not table else ""
        return self._fault(
            path,
            f"there is no {'section' if table else 'setting'} {name}{inside}",
            do=keys.mistake(path[-1], known, what),
        )

    def _no_table(self, path: Path, value: Any) -> ConfigError:
        return self._fault(
            path,
            f"{'.'.join(path)!r} is a section",
            why=f"it is given {show(value)}",
            do=f"write [{'.'.join(path)}] on a line of its own, and its keys below",
        )

    def _fault(self, path: Path, what: str, *, why: str = "", do: str = "") -> ConfigError:
        return ConfigError(what, where=self.file.where(*path), why=why, do=do)


def misfit(key: Key, error: MisfitError, where: str) -> ConfigError:
    """The error for a value that does not fit ``key``; ``where`` is file:line or a variable."""
    help_text = (key.option.help or "").rstrip(".")
    return ConfigError(
        f"{key.dotted} cannot be that",
        where=where,
        why=error.why,
        do=f"write {error.fits}" + (f"; {key.flag}: {help_text}" if help_text else ""),
    )


def path_in(file: SettingsFile, key: Key) -> Path:
    """Where ``key`` stands in ``file``: its path from the top; empty where it does not."""
    path = (*key.section, key.name)
    value = value_at(file, path)
    if not key.section and isinstance(value, dict):
        path = (*path, FOLDER_KEY)
        value = value_at(file, path)
    return () if value is None else path


def value_at(file: SettingsFile, path: Path) -> Any:
    """The value at ``path`` of ``file``; None where there is none (TOML has no null)."""
    value: Any = file.values
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
