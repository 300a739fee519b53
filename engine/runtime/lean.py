"""Compiles a whole fold once instead of once at every level of its call tree.

numba optimises and emits machine code for every function it meets, together with all that the
function calls; a function n calls deep is optimised n times, and once more for every literal it is
called with. A fold of some 200 functions then takes a minute, of which one optimisation of the
whole is a few seconds. Inside :func:`lean`, functions that are compiled only because the outermost
one calls them are lowered and left alone: no wrappers, no optimisation, no machine code, no cache
file. The outermost function is compiled, optimised and cached by numba as always, so what runs and
what lies on disk is the ordinary product.

What must hold: the outermost result is unchanged (a test compares digests with the JIT off and
with a plain compile); afterwards the half-compiled functions are forgotten, so that a direct call
from Python compiles them in the ordinary way. Where a numba release lacks one of the names that
this leans on, :func:`lean` does nothing and the compile is merely slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from numba.core import caching, codegen, event, types
from numba.core import dispatcher as dispatchers
from numba.core.types.functions import Dispatcher as DispatcherType

_NEEDED = (
    (codegen.CPUCodeLibrary, "_optimize_final_module"),
    (codegen.JITCPUCodegen, "_add_module"),
    (codegen.JITCPUCodegen, "set_env"),
    (caching.Cache, "save_overload"),
    (caching.Cache, "load_overload"),
    (dispatchers._FunctionCompiler, "_customize_flags"),
    (DispatcherType, "get_call_type"),
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

    return patch.object(owner, name, method)


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

    return patch.object(owner, "_customize_flags", method)


def _plain_literals() -> Any:
    """A patch by which a literal argument does not make a specialisation of its own."""
    original = DispatcherType.get_call_type

    def method(self: Any, context: Any, args: Any, kws: Any) -> Any:
        plain = tuple(types.unliteral(a) for a in args)
        return original(self, context, plain, {k: types.unliteral(v) for k, v in kws.items()})

    return patch.object(DispatcherType, "get_call_type", method)


@contextmanager
def lean() -> Iterator[None]:
    """Compile the outermost dispatcher called inside this block as one unit."""
    if not all(hasattr(owner, name) for owner, name in _NEEDED):
        yield
        return
    listener = _Depth()
    with ExitStack() as stack:
        for owner, name in _NEEDED[:3]:
            stack.enter_context(_skip(owner, name, listener, 1))
        # numba saves a function when its own compile is over, so one level less
        stack.enter_context(_skip(caching.Cache, "save_overload", listener, 0))
        # an inner function that came from the cache would stay without its machine code, unnoticed
        # by the listener, and crash whoever calls it from Python later
        stack.enter_context(_skip(caching.Cache, "load_overload", listener, 0))
        stack.enter_context(_plain_flags(listener))
        stack.enter_context(_plain_literals())
        stack.enter_context(event.install_listener("numba:compile", listener))
        try:
            yield
        finally:
            for dispatcher in listener.inner:
                dispatcher._make_finalizer()()
                dispatcher._reset_overloads()
