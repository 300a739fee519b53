"""Strategies: one file each, with its parameters, its defaults and the compiled hook it adds.

Owns the lookup by name. A module of this package that defines ``STRATEGY`` is a strategy.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from pathlib import Path

from data.errors import UsageError
from engine.runtime.strategy import Strategy, from_module
from engine.runtime.strategy_file import load_file


def names() -> list[str]:
    """Names of the built-in strategies, sorted."""
    return list(files())


def files() -> dict[str, Path]:
    """Source file of every built-in strategy by name, sorted; none is imported for it."""
    found = sorted(m.name for m in pkgutil.iter_modules(__path__))
    return {name: Path(__file__).parent / f"{name}.py" for name in found}


def get(text: str) -> Strategy:
    """The strategy called ``text``: a built-in name, or ``path.py:NAME``; UsageError otherwise."""
    if ".py" in text:
        path, _, attribute = text.rpartition(":") if ".py:" in text else (text, "", "STRATEGY")
        return load_file(Path(path).expanduser().resolve(), attribute)
    if text not in names():
        close = difflib.get_close_matches(text, names(), n=1)
        raise UsageError(
            f"there is no strategy {text!r}",
            where="--strategy",
            why=f"the built-in ones are: {', '.join(names())}",
            do=f"did you mean {close[0]!r}?" if close else "give a name, or path.py:NAME",
        )
    return from_module(importlib.import_module(f"strategies.{text}"), "STRATEGY", text)
