"""No check can hang the doctor or end it, and a complaint always says what to do."""

from __future__ import annotations

import threading
import time

import pytest

from data.doctor.lines import Check, Line, Status, examine
from data.errors import DataError


def fine() -> Line:
    return Line("fine", Status.OK, "it is")


def boom() -> Line:
    raise ZeroDivisionError("a fault of ours")


def foreseen() -> Line:
    raise DataError("the file is gone", where="x.parquet", why="somebody moved it", do="bring it")


def test_what_breaks_or_hangs_is_a_line_and_the_others_are_asked() -> None:
    forever = threading.Event()

    def hangs() -> Line:
        forever.wait(30)
        return fine()

    checks = [Check("boom", boom), Check("stuck", hangs, 0.2, "kick it"), Check("f", foreseen),
              Check("fine", fine)]  # fmt: skip
    start_s = time.monotonic()
    broke, stuck, told, last = examine(checks)
    assert time.monotonic() - start_s < 20
    forever.set()
    assert broke.status == Status.FAIL and "ZeroDivisionError: a fault of ours" in broke.fact
    assert broke.numbers == {"broke": True} and broke.mend
    assert (stuck.status, stuck.mend) == (Status.FAIL, "kick it") and "0.2 s" in stuck.fact
    assert told.fact == "the file is gone: somebody moved it (x.parquet)"
    assert told.mend == "bring it"
    assert last.status == Status.OK


def test_together_waits_once() -> None:
    all_are_there = threading.Barrier(5)

    def slow() -> Line:
        all_are_there.wait(30)  # one after the other they would never come through
        return fine()

    lines = list(examine([Check(str(n), slow, 60) for n in range(5)], together=True))
    assert [line.status for line in lines] == [Status.OK] * 5


def test_a_complaint_without_a_mend_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="must say what to do"):
        Line("x", Status.WARN, "something is odd")
