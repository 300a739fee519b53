"""Every mistake in the settings of this invocation, found without running any command.

Owns the whole look at files, environment and parameters, for ``ofs config check`` and for whoever
else wants to know whether the settings are right. What must hold: nothing is raised for a mistake;
all of them are returned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from cli import keys
from cli.lazy import LazyGroup
from cli.sections import load
from cli.settings import Settings, read
from cli.settings_check import faults, misfit
from cli.values import MisfitError, from_variable
from data.errors import ConfigError
from data.settings_file import read_settings


@dataclass(frozen=True)
class Audit:
    """What was looked at (``files`` as read, the highest first) and what was found there.

    ``mistakes`` stop commands; ``warnings`` are sentences about what has no effect.
    """

    files: tuple[str, ...]
    mistakes: tuple[ConfigError, ...]
    warnings: tuple[str, ...]


def audit(root: LazyGroup, config: str = "", *, only: str = "") -> Audit:
    """Look at all layers, or at the file ``only``; ``config`` is what ``--config`` names.

    The engine is imported where parameters of the fold are set.
    """
    try:
        settings = Settings(root, (read_settings(only),), {}) if only else read(root, config)
    except ConfigError as error:
        return Audit((only or config,), (error,), ())
    found = [fault for file in settings.files for fault in faults(root, file)]
    found.extend(_variable_faults(settings))
    if not found:
        for name in keys.SECTIONS:
            found.extend(load(name).deep_faults(settings))
    files = tuple(file.path for file in settings.files)
    return Audit(files, tuple(found), () if only else tuple(strange_variables(root)))


def _variable_faults(settings: Settings) -> Iterator[ConfigError]:
    for key in keys.all_keys(settings.root):
        if text := settings.environment.get(key.variable):
            try:
                from_variable(key, text)
            except MisfitError as error:
                yield misfit(key, error, key.variable)


def strange_variables(root: LazyGroup) -> Iterator[str]:
    """One sentence for each variable of the environment that looks like ours and means nothing."""
    known = {*keys.OTHER_VARIABLES, *(key.variable for key in keys.all_keys(root))}
    for name in sorted(os.environ):
        if name.startswith("OFS_") and name not in known:
            near = keys.nearest(name, known)
            hint = f"; did you mean {near}?" if near else ""
            yield f"{name} in the environment means nothing to ofs{hint}"
