"""The compiled broker against the slow one: the same tape gives the same rows, to the last int."""

from __future__ import annotations

from hypothesis import given, settings

from tests.engine.kernel.matching_driver import BASE, Sim
from tests.engine.kernel.matching_oracle import Oracle
from tests.engine.kernel.matching_tapes import markets, params, play, tapes


def judge(chosen, tape):
    kernel, reference = Sim(**chosen), Oracle(**{**BASE, **chosen})
    got, wanted = play(tape, kernel, reference)
    assert got == wanted
    for name, rows in reference.rows.items():
        assert kernel.rows[name] == rows, name
    assert kernel.violations[0] == 0


@settings(max_examples=200, deadline=None)
@given(params, tapes)
def test_kernel_is_the_reference_on_any_tape(chosen, tape):
    judge(chosen, tape)


@settings(max_examples=200, deadline=None)
@given(params, markets)
def test_kernel_is_the_reference_in_a_market(chosen, tape):
    judge(chosen, tape)
