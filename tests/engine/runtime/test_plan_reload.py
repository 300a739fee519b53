"""Plans that are read again: only what changed is told to the fold."""

from __future__ import annotations

from engine.kernel.plans import CANCELLED, EXECUTED
from engine.plans.compile import Compiled, compile_all
from engine.plans.read import parse_plans
from engine.runtime.plan_control import plan_cancel, plan_words, read_plan
from engine.runtime.plan_reload import changes
from tests.engine.runtime.test_symbol_view import PLAN, SCALES, blank

UP = "delta_positive = true"


def compiled(*lines: str) -> list[Compiled]:
    """A plan a line, numbered from 1; an empty one leaves its number out."""
    text = ""
    for n, line in enumerate(lines, 1):
        plan = PLAN.replace("id = 7", f"id = {n}").replace("dip", f"dip{n}")
        text += plan.replace(UP, line) if line else ""
    return compile_all(parse_plans(text, "p").sound(), "BTCUSDT", SCALES)


def test_only_what_changed_is_sent_again() -> None:
    slots = blank("plan_watch").state["plans"]["slots"][0]
    before = compiled(UP, UP, UP)
    for k, c in enumerate(before):
        slots[k] = c.record[0]
    assert changes(slots, before) == []
    after = compiled(UP, "price_above = 30000", "", "price_below = 20000")
    found = changes(slots, after)
    assert [int(p["id"][0]) for p in read_plan(found)] == [2, 4]
    assert found[-1:] == plan_cancel(3)


def test_one_that_was_executed_is_not_armed_again() -> None:
    slots = blank("plan_watch").state["plans"]["slots"][0]
    before = compiled(UP, UP)
    for k, c in enumerate(before):
        slots[k] = c.record[0]
    slots[0]["status"] = EXECUTED
    assert changes(slots, before) == []
    changed = compiled("price_above = 30000", UP)
    assert changes(slots, changed) == plan_words(changed[0].record)
    assert changes(slots, before[1:]) == []


def test_one_that_was_cancelled_comes_back_when_the_file_has_it() -> None:
    slots = blank("plan_watch").state["plans"]["slots"][0]
    (before,) = compiled(UP)
    slots[0] = before.record[0]
    slots[0]["status"] = CANCELLED
    assert changes(slots, []) == []
    assert changes(slots, [before]) == plan_words(before.record)
