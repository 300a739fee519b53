"""Finds strategies by reading files, without running them.

Owns the answer to "which files of this folder define a strategy": a module-level name that is
assigned ``Strategy(...)``, or ``replace(OTHER, name=..., doc=...)`` of one. Listing a folder must
neither execute what lies there (it may hold any script) nor wait for a compiler, so the name and
the line of doc are taken from the source text. It refuses to know whether a strategy works: loading
it tells.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FILE_BYTES_MAX = 1 << 20
"""A larger file is data or generated; no strategy."""


@dataclass(frozen=True, slots=True)
class Found:
    """A strategy as its source names it: variable, name, line of doc, file."""

    attribute: str
    name: str
    doc: str
    path: Path


def find_in_folder(folder: Path) -> list[Found]:
    """Strategies in the ``.py`` files directly in ``folder``, by file name; tests are left out."""
    files = sorted(folder.glob("*.py")) if folder.is_dir() else []
    return [f for path in files if not path.name.startswith("test_") for f in find_in_file(path)]


def find_in_file(path: Path) -> list[Found]:
    """Strategies that ``path`` defines; none where it cannot be read as Python."""
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            return []
        content = path.read_bytes()
        # most files of a folder are no strategies: do not parse what does not even say the word
        tree = ast.parse(content, filename=str(path)) if b"STRATEGY" in content.upper() else None
    except (OSError, SyntaxError, ValueError, RecursionError):
        # a file that cannot be read or parsed is no strategy; naming it to ofs says why
        return []
    return list(_assigned(tree, path)) if tree is not None else []


def _assigned(tree: ast.Module, path: Path) -> Iterator[Found]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        if not isinstance(value, ast.Call) or not (_is_strategy(value.func) or _is_like(value)):
            continue
        first = 0 if _is_strategy(value.func) else 1
        name, doc = (_text(value, first + n, word) for n, word in enumerate(("name", "doc")))
        for target in targets:
            if isinstance(target, ast.Name):
                yield Found(target.id, name or target.id, doc, path)


def _is_strategy(function: ast.expr) -> bool:
    """``Strategy(...)``, or the same reached through a module."""
    if isinstance(function, ast.Attribute):
        return function.attr == "Strategy"
    return isinstance(function, ast.Name) and function.id == "Strategy"


def _is_like(call: ast.Call) -> bool:
    """``replace(OTHER, name=..., doc=...)``: another strategy with other settings."""
    named = {"name", "doc"} <= {k.arg for k in call.keywords}
    return named and isinstance(call.func, ast.Name) and call.func.id == "replace"


def _text(call: ast.Call, position: int, keyword: str) -> str:
    """A text argument where it stands literally; empty where it is computed."""
    given = {k.arg: k.value for k in call.keywords}
    node = call.args[position] if position < len(call.args) else given.get(keyword)
    found = node.value if isinstance(node, ast.Constant) else ""
    return " ".join(found.split()) if isinstance(found, str) else ""
