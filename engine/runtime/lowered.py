"""Functions lowered inside one compile of a fold, kept for the next: on disk, by what they are.

Nine tenths of what a fold compiles is the kernel, and the kernel is the same in every fold. numba's
front end takes 20 s for it; optimising and emitting the whole takes 5 s. So each function that is
lowered on the way is kept in the keyed cache folder: a second strategy, an edited strategy, and the
same strategy for single events (``step``) compile in a fraction of the time.

Owns those files. What must hold: only functions whose text the folder's key or their own module's
name covers are kept (the kernel, the strategies, generated folds, strategy files); the name of a
file and of the symbol inside is a hash of the function and of its argument types, so that what one
process wrote links with what another wrote; what a function calls and is not kept by itself is
part of it, under names of its own. A damaged or missing file costs that function's compile.

It refuses to know when to compile: ``lean.py`` asks it.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from llvmlite import binding
from numba.core import codegen, compiler, funcdesc, types, typing
from numba.core.environment import Environment

from data import jitcache
from data.busy import replace

_COVERED = ("engine.kernel.", "strategies.", "ofs_fold_", "ofs_strategy_")
"""Beginnings of the names of modules whose text is in the folder's key, or hashed in the name."""

_FIELDS = ("modname", "qualname", "unique_name", "args", "kws", "mangled_name", "env_name",
           "inline", "noalias", "abi_tags", "uid")  # fmt: skip
"""What a function's descriptor keeps; its types are those that it is asked for."""


_NUMBERED = re.compile(r"B\d+v\d+")
"""In a symbol: numba's own number of a function, by which another process may call another."""


def is_covered(name: str) -> bool:
    """Whether ``name`` (module and function) belongs to a function that may be kept."""
    return name.startswith(_COVERED) and "<locals>" not in name


def is_data(kind: Any) -> bool:
    """Whether ``kind`` is a type of data whose text tells it from every other, in any process."""
    if isinstance(kind, (types.Array, types.NestedArray)):
        return is_data(kind.dtype)
    if type(kind) in (types.Tuple, types.UniTuple):
        return all(is_data(inner) for inner in kind)
    return type(kind) in (
        types.Integer, types.Float, types.Boolean, types.NoneType, types.Record
    )  # fmt: skip


def symbol_digest(name: str, args: Any) -> str:
    """What tells the symbol of function ``name`` for ``args`` from all others, in any process."""
    text = "\0".join(repr(a) for a in args)
    return hashlib.sha256(f"{name}\0{text}".encode()).hexdigest()[:32]


class Lowered:
    """The kept functions, as one compile sees them: what it loaded and what it lowered itself."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or jitcache.cache_dir() / "lowered"
        self._libraries: dict[str, Any] = {}
        self._keys: dict[int, str] = {}

    def key(self, function: Any, args: Any) -> str:
        """Name of the file of Python function ``function`` for argument types ``args``.

        Empty where it may not be kept: made inside another function, not the one that its module
        names, or called with something else than data.
        """
        name = f"{function.__module__}.{function.__qualname__}"
        if not is_covered(name) or dispatcher_of(function) is None:
            return ""
        return symbol_digest(name, args) if all(is_data(a) for a in args) else ""

    def load(self, key: str, args: Any, context: Any) -> Any:
        """The compile result of ``key``, or None where it is not kept."""
        kept = self._read(key)
        library = self._library(key, context, kept)
        if kept is None or library is None:
            return None
        fndesc = funcdesc.PythonFunctionDescriptor.__new__(funcdesc.PythonFunctionDescriptor)
        for name, value in kept["fndesc"].items():
            setattr(fndesc, name, value)
        fndesc.native, fndesc.doc, fndesc.global_dict = True, "", None
        fndesc.typemap = fndesc.calltypes = None
        fndesc.argtypes, fndesc.restype = tuple(args), kept["returns"]
        env = Environment.from_fndesc(fndesc)
        return compiler.compile_result(
            typing_context=context.typing_context,
            target_context=context,
            entry_point=context.get_executable(library, fndesc, env),
            typing_error=None,
            type_annotation="",
            signature=typing.signature(kept["returns"], *args),
            objectmode=False,
            lifted=(),
            fndesc=fndesc,
            library=library,
            call_helper=None,
            environment=env,
            metadata=None,
            reload_init=[],
            referenced_envs=(),
        )

    def save(self, key: str, result: Any) -> None:
        """Keep ``result`` of a compile as ``key``, if it can be kept."""
        library = result.library
        if library._reload_init or library.has_dynamic_globals or result.environment.consts:
            return
        if result.objectmode or result.lifted or result.fndesc.global_dict is not None:
            return
        self._know(key, library)
        module, calls = self._whole(library)
        kept = {
            "fndesc": {name: getattr(result.fndesc, name) for name in _FIELDS},
            "returns": result.signature.return_type,
            "calls": calls,
            "library": library.name,
            "bitcode": module.as_bitcode(),
        }
        with suppress(OSError):  # no room, or no right: it is lowered anew next time
            self._write(key, pickle.dumps(kept))

    def _whole(self, library: Any) -> tuple[Any, list[str]]:
        """The module of ``library`` with what is not kept by itself, and the keys of the rest."""
        inner, calls, seen = [], [], set()
        todo = list(library._linking_libraries)
        while todo:
            one = todo.pop(0)
            if id(one) in seen:
                continue
            seen.add(id(one))
            if id(one) in self._keys:
                calls.append(self._keys[id(one)])
            else:
                inner.append(one)
                todo = [*one._linking_libraries, *todo]
        module = library._get_module_for_linking()
        if inner:
            module = module.clone()
            for one in inner:
                module.link_in(one._get_module_for_linking(), preserve=True)
            for function in module.functions:
                if not function.is_declaration and _NUMBERED.search(function.name):
                    function.linkage = "internal"
        return module, calls

    def _library(self, key: str, context: Any, kept: dict[str, Any] | None = None) -> Any:
        """The library of ``key`` with all that it calls, or None."""
        if key in self._libraries:
            return self._libraries[key]
        kept = kept or self._read(key)
        if kept is None:
            return None
        calls = [self._library(inner, context) for inner in kept["calls"]]
        if None in calls:
            return None
        try:
            module = binding.parse_bitcode(kept["bitcode"])
        except RuntimeError:  # LLVM cannot read it: damaged
            return None
        library = context.codegen().create_library(kept["library"])
        library._final_module = library._shared_module = module
        library._linking_libraries = calls
        library._finalized = True
        self._know(key, library)
        return library

    def _know(self, key: str, library: Any) -> None:
        self._libraries[key] = library
        self._keys[id(library)] = key

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            content = (self.folder / key).read_bytes()
            digest, packed = content[:32], content[32:]
            return pickle.loads(packed) if hashlib.sha256(packed).digest() == digest else None
        except Exception:  # noqa: BLE001  reason: what unpickling raises where numba has changed
            return None

    def _write(self, key: str, packed: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f"{key}.{os.getpid()}.tmp"
        try:
            beside.write_bytes(hashlib.sha256(packed).digest() + packed)
            replace(beside, self.folder / key)
        finally:
            beside.unlink(missing_ok=True)


def dispatcher_of(function: Any) -> Any:
    """The compiled function that stands for ``function`` in its module; None where another does."""
    found = getattr(sys.modules.get(function.__module__), function.__name__, None)
    return found if getattr(found, "py_func", None) is function else None


NEEDED = (
    (codegen.CPUCodeLibrary, "_get_module_for_linking"),
    (codegen.CPUCodeLibrary, "has_dynamic_globals"),
    (compiler, "compile_result"),
    (funcdesc, "PythonFunctionDescriptor"),
    (types, "Record"),
)
