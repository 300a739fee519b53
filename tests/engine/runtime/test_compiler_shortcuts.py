"""numba's own routines and the quick forms of them return the same, on a real compile."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import event, ir
from numba.core.targetconfig import TargetConfig
from numba.core.types import Record

from engine.runtime import compiler_shortcuts as quick
from engine.runtime.lean import lean

INNER = np.dtype([("x", "i8"), ("y", "f8", (3,))], align=True)
OUTER = np.dtype([("inner", INNER), ("many", INNER, (2,))], align=True)


def _work() -> Any:
    """A function with calls, loops, tuples and nested records, new at each call."""

    @numba.njit
    def add(r, k):
        r.x += k
        return max(r.x, k), min(r.y[0], 1.0)

    @numba.njit
    def work(records):
        s = records[0]
        total = 0.0
        for k in range(3):
            a, b = add(s.inner, k)
            c, d = add(s.many[k & 1], a)
            total += b + d + c
        return total

    return work


def _run(function: Any) -> tuple[float, bytes]:
    records = np.zeros(1, OUTER)
    return function(records), records.tobytes()


def test_every_shortcut_returns_what_numba_returns(monkeypatch):
    own_vars, own_values = ir.Inst._rec_list_vars, TargetConfig.values
    own_text, quick_text = Record.__repr__, quick._record_text()
    seen = dict.fromkeys(("vars", "values", "text"), 0)

    def vars_of(self, value):
        seen["vars"] += 1
        found = own_vars(self, value)
        assert [id(v) for v in quick.list_vars(self, value)] == [id(v) for v in found]
        return found

    def values(self):
        seen["values"] += 1
        found = own_values(self)
        assert list(quick.option_values(self).items()) == list(found.items())
        return found

    def text(self):
        seen["text"] += 1
        found = own_text(self)
        assert quick_text(self) == found == quick_text(self)
        return found

    monkeypatch.setattr(ir.Inst, "_rec_list_vars", vars_of)
    monkeypatch.setattr(TargetConfig, "values", values)
    monkeypatch.setattr(Record, "__repr__", text)
    _run(_work())
    assert all(n > 10 for n in seen.values()), seen


def test_options_that_differ_are_not_equal():
    a, b = numba.core.compiler.Flags(), numba.core.compiler.Flags()
    assert quick.options_equal(a, b)
    b.nrt = True
    assert not quick.options_equal(a, b)
    a.nrt = True
    assert quick.options_equal(a, b)
    # set to what it is anyway
    b.fastmath = a.fastmath
    assert quick.options_equal(a, b)
    assert quick.options_equal(a, 1) is NotImplemented


def test_a_function_compiled_with_them_does_the_same_and_numba_is_left_as_it_was():
    before = [getattr(owner, name) for owner, name in quick._NEEDED]
    plain = _run(_work())
    with lean():
        short = _run(_work())
    assert short == plain
    assert [getattr(owner, name) for owner, name in quick._NEEDED] == before


def test_listeners_of_compiles_still_hear_them():
    heard: list[str] = []

    class Ear(event.Listener):
        def on_start(self, one):
            heard.append(one.kind)

        def on_end(self, one):
            heard.append(one.kind)

    with event.install_listener("numba:compile", Ear()), quick.shortcuts():
        _run(_work())
    assert len(heard) >= 4
