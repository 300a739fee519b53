"""Reading the plans of a running session again: what changed, as control events.

Owns telling a plan that is new or changed from one that stands as it was. What must hold: a plan
that did not change is not sent again, so one that was executed stays executed; a pending one that
is no longer in the file is cancelled. It refuses to know how the events reach the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.kernel.plans import CANCELLED, HEAD_FIELDS, PENDING
from engine.plans.compile import Compiled
from engine.runtime.plan_control import ControlEvent, plan_cancel, plan_words

_SAME = tuple(name for name in HEAD_FIELDS if name != "status")


def changes(slots: np.ndarray, wanted: Iterable[Compiled]) -> list[ControlEvent]:
    """Control events that turn the plans in ``slots`` (PLAN records of a fold's state) into those
    that are ``wanted``; empty where nothing changed."""
    there = {int(slot["id"]): slot for slot in slots if slot["id"]}
    events: list[ControlEvent] = []
    ids = set()
    for c in wanted:
        ids.add(c.plan.id)
        slot = there.get(c.plan.id)
        if slot is None or slot["status"] == CANCELLED or not _same(slot, c.record[0]):
            events += plan_words(c.record)
    for plan_id, slot in sorted(there.items()):
        if plan_id not in ids and slot["status"] == PENDING:
            events += plan_cancel(plan_id)
    return events


def _same(slot: Any, record: Any) -> bool:
    """Whether head and conditions are those of the file."""
    heads = all(slot[name] == record[name] for name in _SAME)
    n = int(record["n"])
    return heads and bool((slot["conditions"][:n] == record["conditions"][:n]).all())
