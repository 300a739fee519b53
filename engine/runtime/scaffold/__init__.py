"""A new strategy for a user: a working file and its test, copied under another name.

Owns the template (``burst.py`` and ``test_burst.py`` beside this file: real code, linted and tested
like the rest) and the rules for a name. What must hold: a file that is there is never overwritten
unless asked to; what is written runs, whatever the name. It refuses to know the built-in
strategies: the caller names what is taken.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import keyword
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from data.errors import UsageError

TEMPLATE = "burst"
NAME_MAX = 24

_HERE = Path(__file__).parent
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))]
)
"""Names that Windows keeps for devices, with any ending."""


def create(name: str, folder: Path, taken: Iterable[str] = (), force: bool = False) -> list[Path]:
    """Write ``NAME.py`` and ``test_NAME.py`` into ``folder`` (made if missing); their paths.

    UsageError where the name cannot be one (``taken``: names of strategies that exist), or where
    one of the files is there and ``force`` is False; nothing is written then.
    """
    check_name(name, taken)
    texts = {f"{name}.py": f"{TEMPLATE}.py", f"test_{name}.py": f"test_{TEMPLATE}.py"}
    there = [folder / new for new in texts if (folder / new).exists()]
    if there and not force:
        raise UsageError(
            f"{there[0].name} is there already",
            where=str(there[0]),
            why="a file is never overwritten unasked",
            do="choose another name or --dir, or overwrite it with --force",
        )
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for new, old in texts.items():
        text = (_HERE / old).read_text(encoding="utf-8")
        mode = "w" if force else "x"
        with (folder / new).open(mode, encoding="utf-8", newline="\n") as file:
            file.write(re.sub(rf"\b((?:test_)?){TEMPLATE}\b", rf"\g<1>{name}", text))
        written.append(folder / new)
    return written


def check_name(name: str, taken: Iterable[str] = ()) -> None:
    """UsageError, saying why, unless ``name`` can name a module, a variable and a strategy."""
    why = _fault(name, taken)
    if why:
        raise UsageError(
            f"{name!r} cannot name a strategy",
            why=why,
            do="choose a short word in lower case, e.g. my_rule",
        )


def _fault(name: str, taken: Iterable[str]) -> str:
    """What is wrong with ``name``; empty when nothing is."""
    low = name.lower()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        return "it must begin with a letter and hold only letters A to Z, digits and underscores"
    if len(name) > NAME_MAX:
        return f"it is longer than {NAME_MAX} letters"
    if keyword.iskeyword(name):
        return "it is a word of the Python language"
    if low in _DEVICES:
        return "Windows keeps this name for a device"
    if low.startswith("test_"):
        return "pytest would take the strategy for a test"
    if low in {word.lower() for word in taken}:
        return "a strategy of this name exists"
    if low in sys.stdlib_module_names or name in dir(builtins):
        return "it would hide what Python itself calls so"
    if name in _used_names():
        return "the file itself uses this name for something else"
    if importlib.util.find_spec(name) is not None and not _is_here(name):
        return "an installed package has this name, and the file would hide it"
    return ""


@cache
def _used_names() -> frozenset[str]:
    """Every name that the template and its test bind or use."""
    found: set[str] = set()
    for file in (f"{TEMPLATE}.py", f"test_{TEMPLATE}.py"):
        for node in ast.walk(ast.parse((_HERE / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.arg)):
                found.add(node.name if isinstance(node, ast.FunctionDef) else node.arg)
            elif isinstance(node, ast.alias):
                found.add(node.asname or node.name)
    return frozenset(found - {TEMPLATE})


def _is_here(name: str) -> bool:
    """Whether ``name`` is found only because a file of the current folder is so called."""
    spec = importlib.util.find_spec(name)
    origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
    return origin is not None and origin.parent == Path.cwd().resolve()
