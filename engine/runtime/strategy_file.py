"""Loading a strategy from a user's file, together with what it imports from the same folder.

Owns freshness: the code that runs is the code that lies on disk. The file and the modules of its
folder that it imports, directly or through each other, are hashed together; that hash names the
loaded module, the folder of numba's cache while they load, and (through
``Strategy.source_sha256``) the compiled fold. Neither Python's nor numba's cache can then hand out
code of an earlier text. Modules of the folder are found while the file is loaded and go on under
a name that holds the hash, so two folders may each have a ``helper.py``. It refuses to know what a
strategy does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from numba.core import config

from data import jitcache
from data.errors import ConfigError, UsageError
from engine.runtime.strategy import SOURCE_HASHES, Strategy, from_module

_TAKEN = frozenset({"data", "engine", "strategies", "cli", "replays", "numpy", "numba"})
"""Top-level names that a strategy's folder cannot take over."""


class _Fresh(SourceFileLoader):
    """Compiles the source each time; a .pyc is only as fresh as a file time of whole seconds.

    ``alias`` is the name by which the module goes on: numba's cache imports it by that name.
    """

    def __init__(self, name: str, file: Path, alias: str) -> None:
        super().__init__(name, str(file))
        self._alias = alias

    def exec_module(self, module: ModuleType) -> None:
        """Run the source with ``__name__`` the alias."""
        module.__name__ = self._alias
        sys.modules[self._alias] = module
        code = self.get_code(self.name)
        assert code is not None
        exec(code, module.__dict__)

    def path_stats(self, path: Any) -> Any:
        """OSError always: Python then neither reads nor writes a .pyc."""
        raise OSError("no bytecode cache for a strategy's files")


class _Folder:
    """A finder on ``sys.meta_path`` for the modules of one folder: dotted name to file."""

    def __init__(self, files: dict[str, Path], prefix: str) -> None:
        self._files = files
        self._prefix = prefix

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """The spec of ``name`` when it is one of the folder's modules."""
        if name not in self._files:
            return None
        return _spec(name, self._files[name], f"{self._prefix}__{name.replace('.', '__')}")


def _spec(name: str, file: Path, alias: str) -> ModuleSpec | None:
    inside = [str(file.parent)] if file.name == "__init__.py" else None
    loader = _Fresh(name, file, alias)
    return importlib.util.spec_from_file_location(
        name, file, loader=loader, submodule_search_locations=inside
    )


def load_file(path: Path, attribute: str) -> Strategy:
    """Load ``attribute`` from the strategy file ``path``.

    UsageError where there is no such file; ConfigError where it cannot be loaded, or where
    ``attribute`` is not a Strategy whose ``decide`` stands in this file.
    """
    if not path.is_file():
        raise UsageError(
            "there is no such strategy file",
            where=str(path),
            do="give NAME of a built-in strategy or path.py:NAME of a file that exists",
        )
    path = path.resolve()
    with _explained(path):
        files = local_modules(path)
        digest = hash_of(path, files)
        name = f"ofs_strategy_{path.stem}_{digest[:16]}"
        module = sys.modules.get(name) or _execute(path, name, digest, files)
    found = from_module(module, attribute, str(path))
    if found.source.resolve() != path:
        raise ConfigError(
            f"decide of {attribute!r} stands in another file",
            where=str(path),
            why=f"it is defined in {found.source}",
            do="define an njit function `decide` in the strategy file and let it call the other",
        )
    return found


def recorded_strategy(manifest: dict[str, Any]) -> str:
    """What to load for the run of ``manifest``: a built-in name, or ``path.py:NAME``.

    A path may have been typed relative to the folder in which the run was made; where the file that
    was loaded still lies in its place, the path is that one, whatever the folder is now.
    """
    text, file = str(manifest["strategy"]), manifest.get("strategy_file")
    if ".py" not in text or not isinstance(file, str) or not Path(file).is_file():
        return text
    return f"{file}:{text.rpartition(':')[2] if '.py:' in text else 'STRATEGY'}"


def local_modules(path: Path) -> dict[str, Path]:
    """Modules beside ``path`` that it imports, directly or through each other, by dotted name.

    A package of the folder counts with all its files. Names of the standard library and of ofs
    itself are not looked for.
    """
    found: dict[str, Path] = {}
    todo = [path]
    while todo:
        for top in _imported(todo.pop()):
            if top in found or top in sys.stdlib_module_names or top in _TAKEN:
                continue
            new = _files_of(path.parent, top)
            found.update(new)
            todo += new.values()
    return found


def _imported(file: Path) -> set[str]:
    """First part of every absolute name that ``file`` imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes(), filename=str(file))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def _files_of(folder: Path, top: str) -> dict[str, Path]:
    package = folder / top
    if (package / "__init__.py").is_file():
        files = sorted(package.rglob("*.py"))
        return {_dotted(f.relative_to(folder)): f for f in files}
    single = folder / f"{top}.py"
    return {top: single} if single.is_file() else {}


def _dotted(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def hash_of(path: Path, files: dict[str, Path]) -> str:
    """sha256 (hex) over ``path`` and the named ``files``; of a lone file, its plain sha256."""
    digest = hashlib.sha256(path.read_bytes())
    for name in sorted(files):
        text = files[name].read_bytes()
        digest.update(f"\0{name}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()


def _execute(path: Path, name: str, digest: str, files: dict[str, Path]) -> ModuleType:
    spec = _spec(name, path, name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    SOURCE_HASHES[name] = digest
    try:
        with _finding(files, name), _cache_folder(digest):
            spec.loader.exec_module(module)
    except BaseException:
        for loaded in [n for n in sys.modules if n == name or n.startswith(f"{name}__")]:
            del sys.modules[loaded]
        raise
    return module


@contextmanager
def _finding(files: dict[str, Path], prefix: str) -> Iterator[None]:
    """The folder's modules can be imported in here; afterwards their names are as they were."""
    finder: Any = _Folder(files, prefix)
    others = {name: sys.modules.pop(name) for name in files if name in sys.modules}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in files:
            sys.modules.pop(name, None)
        sys.modules.update(others)


@contextmanager
def _cache_folder(digest: str) -> Iterator[None]:
    """Functions that are decorated in here keep their compiled code in a folder of their own."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(jitcache.cache_dir() / "user" / digest[:16])
    try:
        yield
    finally:
        config.CACHE_DIR = before


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever the user's file raises becomes a ConfigError that names the file."""
    try:
        yield
    except ConfigError:
        raise
    # reason: whatever a strategy raises while it loads is the user's to see and no bug of ofs
    except (Exception, SystemExit) as error:
        raise ConfigError(
            "the strategy file cannot be loaded",
            where=str(path),
            why=f"{type(error).__name__}: {error}",
            do="run `python " + str(path) + "` to see the line",
        ) from error
