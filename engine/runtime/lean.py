"""Compiles a whole fold once instead of once at every level of its call tree.

numba optimises and emits machine code for every function it meets, together with all that the
function calls; a function n calls deep is optimised n times, and once more for every literal it is
called with. A fold of some 200 functions then takes a minute, of which one optimisation of the
whole is a few seconds. Inside :func:`lean`, functions that are compiled only because the outermost
one calls them are lowered and left alone: no wrappers, no linking, no optimisation, no machine
code, no file of numba's cache; as they are, ``lowered.py`` keeps them for the next fold. The
outermost function links each of them once; it is compiled, optimised and cached by numba as always,
so what runs is the ordinary product; on disk the bitcode is left out of what only Python calls.
Python's garbage collector rests meanwhile: walking what a compiler holds is a good part of a
compile.

What must hold: the outermost result is unchanged (a test compares digests with the JIT off and
with a plain compile); afterwards the half-compiled functions are forgotten, so that a direct call
from Python compiles them in the ordinary way. Where a numba release lacks one of the names that
this leans on, :func:`lean` does nothing and the compile is merely slow.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from llvmlite import binding
from numba.core import base, caching, codegen, event, types
from numba.core import dispatcher as dispatchers
from numba.core.types.functions import Dispatcher as DispatcherType

from engine.runtime.compiler_shortcuts import replaced, shortcuts
from engine.runtime.lowered import NEEDED, Lowered, dispatcher_of, is_covered, symbol_digest

_NEEDED = (
    (codegen.CPUCodeLibrary, "_optimize_final_module"),
    (codegen.JITCPUCodegen, "_add_module"),
    (codegen.JITCPUCodegen, "set_env"),
    (codegen.CPUCodeLibrary, "finalize"),
    (codegen.CPUCodeLibrary, "_optimize_functions"),
    (codegen.CPUCodeLibrary, "serialize_using_object_code"),
    (caching.Cache, "save_overload"),
    (caching.Cache, "load_overload"),
    (dispatchers._FunctionCompiler, "_customize_flags"),
    (DispatcherType, "get_call_type"),
    (base.BaseContext, "mangler"),
    *NEEDED,
)


class _Depth(event.Listener):
    """Counts how deep in nested compiles we are, and remembers the inner dispatchers."""

    def __init__(self) -> None:
        self.depth = 0
        self.inner: list[Any] = []

    @property
    def inside(self) -> bool:
        return self.depth > 1

    def on_start(self, e: Any) -> None:
        self.depth += 1
        if self.inside:
            self.inner.append(e.data["dispatcher"])

    def on_end(self, _event: Any) -> None:
        self.depth -= 1


def _skip(owner: type, name: str, listener: _Depth, below: int) -> Any:
    """A patch that makes method ``name`` do nothing deeper than ``below``."""
    original = getattr(owner, name)

    def method(self: Any, *args: Any) -> Any:
        return None if listener.depth > below else original(self, *args)

    return replaced(owner, name, method)


def _kept(listener: _Depth, store: Lowered) -> Any:
    """Patches by which inner functions come from ``store`` and go there, and not to numba's cache.

    One of numba's would stay without its machine code, and crash whoever calls it from Python.
    """
    original_load, original_save = caching.Cache.load_overload, caching.Cache.save_overload

    def load(self: Any, sig: Any, context: Any) -> Any:
        if listener.depth == 0:
            return original_load(self, sig, context)
        key = store.key(self._py_func, sig)
        listener.depth += 1  # what is loaded is inside, although nothing is compiled
        try:
            found = store.load(key, sig, context) if key else None
        finally:
            listener.depth -= 1
        if found is not None:
            listener.inner.append(dispatcher_of(self._py_func))
        return found

    def save(self: Any, sig: Any, result: Any) -> None:
        if listener.depth == 0:
            original_save(self, sig, result)
        elif key := store.key(self._py_func, sig):
            store.save(key, result)

    stack = ExitStack()
    stack.enter_context(replaced(caching.Cache, "load_overload", load))
    stack.enter_context(replaced(caching.Cache, "save_overload", save))
    return stack


def _same_symbols(listener: _Depth) -> Any:
    """A patch by which functions that are kept have the same symbol in every process."""
    original = base.BaseContext.mangler

    def method(self: Any, name: str, args: Any, *, abi_tags: Any = (), uid: Any = None) -> str:
        bare = name.removeprefix(".NumbaEnv.")
        if listener.inside and is_covered(bare):
            return original(self, name, (), abi_tags=(symbol_digest(bare, args),))
        return original(self, name, args, abi_tags=abi_tags, uid=uid)

    return replaced(base.BaseContext, "mangler", method)


def _plain_flags(listener: _Depth) -> Any:
    """A patch that leaves out the wrappers of inner functions, which Python never calls."""
    owner = dispatchers._FunctionCompiler
    original = owner._customize_flags

    def method(self: Any, flags: Any) -> Any:
        flags = original(self, flags)
        if listener.inside:
            flags.no_cpython_wrapper = True
            flags.no_cfunc_wrapper = True
        return flags

    return replaced(owner, "_customize_flags", method)


def _plain_literals() -> Any:
    """A patch by which a literal argument does not make a specialisation of its own."""
    original = DispatcherType.get_call_type

    def method(self: Any, context: Any, args: Any, kws: Any) -> Any:
        plain = tuple(types.unliteral(a) for a in args)
        return original(self, context, plain, {k: types.unliteral(v) for k, v in kws.items()})

    return replaced(DispatcherType, "get_call_type", method)


def _link_once(listener: _Depth) -> Any:
    """A patch by which inner functions stay unlinked and the outermost links all that it reaches.

    numba links a function with everything below it, again at every level: the copies cost more time
    and memory than the code.
    """
    original = codegen.CPUCodeLibrary.finalize

    def method(self: Any) -> None:
        if listener.depth > 1:
            self._raise_if_finalized()
            self._finalize_dynamic_globals()
            self._finalized = True
            return
        self._linking_libraries = _reached(self._linking_libraries)
        original(self)

    return replaced(codegen.CPUCodeLibrary, "finalize", method)


def _reached(libraries: list[Any]) -> list[Any]:
    """``libraries`` and all that they link, each once, whoever calls before what is called.

    LLVM takes in a function of another module only when something that it holds calls it.
    """
    found: dict[int, Any] = {}
    todo = [(library, False) for library in reversed(libraries)]
    while todo:
        library, done = todo.pop()
        if done:
            found.setdefault(id(library), library)
        elif id(library) not in found:
            todo.append((library, True))
            todo.extend((inner, False) for inner in library._linking_libraries)
    return list(reversed(found.values()))


def _defined_only() -> Any:
    """A patch by which no passes are set up for functions that a module only declares."""

    def method(self: Any, module: Any) -> None:
        module.data_layout = self._codegen._data_layout
        for function in module.functions:
            if not function.is_declaration:
                passes, builder = self._codegen._function_pass_manager()
                passes.run(function, builder)

    return replaced(codegen.CPUCodeLibrary, "_optimize_functions", method)


def _without_bitcode() -> Any:
    """A patch by which the cache keeps machine code, and in place of its bitcode only the names.

    Reading the bitcode of a whole fold back took 50 ms and 18 MB; numba asks it for names alone.
    """

    def method(self: Any) -> Any:
        self._ensure_finalized()
        names = [f.name for f in self._final_module.functions if not f.is_declaration]
        text = "\n".join(f'define void @"{name}"() {{ ret void }}' for name in names)
        named = binding.parse_assembly(f"{self._codegen._create_empty_module(self.name)}\n{text}")
        return (self.name, "object", (self._get_compiled_object(), named.as_bitcode()))

    return replaced(codegen.CPUCodeLibrary, "serialize_using_object_code", method)


@contextmanager
def _collector_rests() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def lean(*, last: bool = False) -> Iterator[None]:
    """Compile the outermost dispatcher called inside this block as one unit.

    ``last``: only Python will ever call it, so that the cache needs no bitcode of it.
    """
    if not all(hasattr(owner, name) for owner, name in _NEEDED):
        yield
        return
    listener = _Depth()
    with ExitStack() as stack:
        for owner, name in _NEEDED[:3]:
            stack.enter_context(_skip(owner, name, listener, 1))
        stack.enter_context(_kept(listener, Lowered()))
        stack.enter_context(_same_symbols(listener))
        stack.enter_context(_plain_flags(listener))
        stack.enter_context(_plain_literals())
        stack.enter_context(_link_once(listener))
        stack.enter_context(_defined_only())
        if last:
            stack.enter_context(_without_bitcode())
        stack.enter_context(_collector_rests())
        stack.enter_context(shortcuts())
        stack.enter_context(event.install_listener("numba:compile", listener))
        try:
            yield
        finally:
            for dispatcher in listener.inner:
                dispatcher._make_finalizer()()
                dispatcher._reset_overloads()


@contextmanager
def without_scipy() -> Iterator[None]:
    """Keep numba from loading ``scipy.linalg``, which it looks for when its target is first used.

    It would serve linear algebra that no fold calls, and cost 15 MB of every process that folds.
    Afterwards it can be imported as ever; one that is loaded already stays.
    """
    if "scipy.linalg" in sys.modules:
        yield
        return
    cast(Any, sys.modules)["scipy.linalg"] = None
    try:
        yield
    finally:
        sys.modules.pop("scipy.linalg", None)
