"""Four routines of numba's front end in a form that takes less time and returns the same.

Owns replacements that hold inside :func:`shortcuts`: a compile of a whole fold spends a third of
its time in them. What must hold: each returns what numba's own returns (a test compares them on a
real compile). Where a numba release lacks a name that this leans on, numba's own routines stay, and
the compile is merely slower.

It refuses to change what is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from numba.core import event, ir
from numba.core.targetconfig import TargetConfig
from numba.core.types import Record

_NEEDED = (
    (ir.Inst, "_rec_list_vars"),
    (TargetConfig, "values"),
    (TargetConfig, "__eq__"),
    (Record, "__repr__"),
    (event, "broadcast"),
)


@contextmanager
def replaced(owner: Any, name: str, form: Any) -> Iterator[None]:
    """``owner.name`` is ``form`` inside this block (``unittest.mock`` would load 5 MB for that)."""
    original = getattr(owner, name)
    setattr(owner, name, form)
    try:
        yield
    finally:
        setattr(owner, name, original)


_VAR, _INST, _SEQUENCE, _DICT, _OTHER = range(5)
_FORMS: dict[type, int] = {}
"""What a value inside an instruction is, by its type: asking ``isinstance`` of an abstract class
five million times takes seconds."""


def _form_of(kind: type) -> int:
    if issubclass(kind, ir.Var):
        return _VAR
    if issubclass(kind, ir.Inst):
        return _INST
    if issubclass(kind, (list, tuple)):
        return _SEQUENCE
    return _DICT if issubclass(kind, dict) else _OTHER


def _collect(value: Any, found: list[Any]) -> None:
    kind = type(value)
    form = _FORMS.get(kind)
    if form is None:
        form = _FORMS[kind] = _form_of(kind)
    if form == _VAR:
        found.append(value)
    elif form == _INST:
        found.extend(value.list_vars())
    elif form == _SEQUENCE:
        for inner in value:
            _collect(inner, found)
    elif form == _DICT:
        for inner in value.values():
            _collect(inner, found)


def list_vars(_self: Any, value: Any) -> list[Any]:
    """Variables in ``value``, as ``ir.Inst._rec_list_vars`` lists them."""
    found: list[Any] = []
    _collect(value, found)
    return found


def option_values(self: Any) -> dict[str, Any]:
    """All options of a ``TargetConfig`` with their values, without a property call for each."""
    given = self._values
    return {k: given.get(k, option.default) for k, option in self.options.items()}


def options_equal(self: Any, other: Any) -> Any:
    """``TargetConfig.__eq__``; most comparisons are of what was set, and that is the same."""
    if not isinstance(other, TargetConfig):
        return NotImplemented
    if self is other or (type(self) is type(other) and self._values == other._values):
        return True
    return option_values(self) == option_values(other)


def _record_text() -> Any:
    """``Record.__repr__`` that remembers: a nested record is written out at each mention."""
    original = Record.__repr__
    known: dict[int, tuple[Any, str]] = {}

    def text(self: Any) -> str:
        found = known.get(id(self))
        if found is None or found[0] is not self:
            found = known[id(self)] = (self, original(self))
        return found[1]

    return text


def _broadcast_compiles() -> Any:
    """``event.broadcast`` of compiles alone: at every call into LLVM each compile around it would
    be told, so that it can take times that nobody asks for.
    """
    original = event.broadcast

    def broadcast(one: Any) -> None:
        if one.kind == "numba:compile":
            original(one)

    return broadcast


@contextmanager
def shortcuts() -> Iterator[None]:
    """Compiles inside this block take less time."""
    if not all(hasattr(owner, name) for owner, name in _NEEDED):
        yield
        return
    forms = (list_vars, option_values, options_equal, _record_text(), _broadcast_compiles())
    with ExitStack() as stack:
        for (owner, name), form in zip(_NEEDED, forms, strict=True):
            stack.enter_context(replaced(owner, name, form))
        yield
