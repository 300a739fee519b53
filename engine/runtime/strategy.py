"""What a strategy is to the engine: parameters, handlers it needs, and one compiled hook.

Owns :class:`Strategy` and :class:`Param`; ``strategy_file`` loads one from a file. The engine never
imports the ``strategies`` package: a caller passes the name's module, or the object itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import ConfigError

SUFFIX = {
    "duration": "_ns",
    "ratio": "_fp9",
    "money": "_money",
    "price": "_units",
    "quantity": "_lots",
    "count": "",
    "flag": "",
    "choice": "",
    "time": "_ns",
    "zone": "",
    "series": "",
}
"""Parameter kinds and the suffix of the int64 field that holds the value for compiled code."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_DEVICE = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9]", re.IGNORECASE)

SOURCE_HASHES: dict[str, str] = {}
"""Hash by module name of every user's file that was loaded (see ``strategy_file``)."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: its name, kind, default as a user would write it, and what it means.

    ``kind``: duration (``5s``, ``250ms``), ratio (a plain number, kept at 1e-9), money (account
    currency), price and quantity (the instrument's), count, flag (``true``/``false``), choice, time
    (ISO 8601, or 0), zone (of a calendar day: a name or an offset), series (``venue:symbol`` or
    none, kept as 1 or 0). The compiled code reads field ``name + SUFFIX[kind]`` as int64.
    """

    name: str
    kind: str
    default: str
    doc: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    column: str = ""

    @property
    def field(self) -> str:
        """Name of the int64 field in the params record."""
        return self.column or self.name + SUFFIX[self.kind]


@dataclass(frozen=True)
class Strategy:
    """A strategy: what it needs compiled in, what can be set, and ``decide``.

    ``decide(s, p, out, now_ns, grid_s)`` is an njit function of the whole state and params
    records; it fills ``s.core.decision`` and adds intents to ``s.intents``. ``state`` is the dtype
    of ``s.strategy``. ``gates``, ``refusals`` and ``detectors`` name the bits and numbers in the
    records.
    ``overrides`` are defaults of other groups that this strategy changes (``{"flip.h": "3"}``).
    """

    name: str
    doc: str
    handlers: tuple[str, ...]
    params: tuple[Param, ...]
    state: np.dtype
    decide: Callable[..., Any]
    gates: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def params_dtype(self) -> np.dtype:
        """Record of int64 fields, one a parameter (one unused field when there is none)."""
        fields = [(p.field, "i8") for p in self.params] or [("unused", "i8")]
        return np.dtype(fields, align=True)

    @property
    def source(self) -> Path:
        """File that defines ``decide``."""
        function = getattr(self.decide, "py_func", self.decide)
        return Path(function.__code__.co_filename)

    @property
    def source_sha256(self) -> str:
        """Hash of that file, part of a run's manifest and of the compiled fold's name.

        Of a user's file: the hash when it was loaded, with what it imports from its folder.
        """
        function = getattr(self.decide, "py_func", self.decide)
        if function.__module__ in SOURCE_HASHES:
            return SOURCE_HASHES[function.__module__]
        return hashlib.sha256(self.source.read_bytes()).hexdigest()


def from_module(module: Any, attribute: str, where: str) -> Strategy:
    """The :class:`Strategy` called ``attribute`` in ``module``; ConfigError where it is not one."""
    found = getattr(module, attribute, None)
    if not isinstance(found, Strategy):
        have = [k for k, v in vars(module).items() if isinstance(v, Strategy)]
        raise ConfigError(
            f"{attribute!r} is not a Strategy",
            where=where,
            why=f"the file defines: {', '.join(have) or 'no Strategy at all'}",
            do="name one of these after the colon",
        )
    if not _NAME.fullmatch(found.name) or _DEVICE.fullmatch(found.name):
        raise ConfigError(
            f"{found.name!r} cannot name a strategy",
            where=where,
            why="the name becomes part of the names of folders and modules",
            do="take up to 64 letters A to Z, digits, dashes and underscores, e.g. my_rule",
        )
    return found
