"""Plans while a session runs: a plan as control events, and control events as the plan they carry.

Owns the wire form: BEGIN with the plan's id, a WORD for each int64 word, COMMIT with the checksum
of all words; CANCEL with an id. The kernel takes a plan only whole (``engine.kernel.plans``). What
must hold: :func:`read_plan` gives back what :func:`plan_words` was given. It refuses to know how
the events reach the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from data.events import Control
from engine.kernel.plans import HEAD, HEAD_FIELDS, PENDING, PLAN, plan_checksum

ControlEvent = tuple[int, int]
"""(code, value) of a control event: a number of Control, and its argument."""


def plan_words(plan: np.ndarray) -> list[ControlEvent]:
    """The control events that add ``plan`` (a PLAN record, shape (1,)), or change it by its id."""
    words = words_of(plan)
    events = [(int(Control.PLAN_BEGIN), words[0])]
    events += [(int(Control.PLAN_WORD), w) for w in words]
    return [*events, (int(Control.PLAN_COMMIT), checksum(words))]


def plan_cancel(plan_id: int) -> list[ControlEvent]:
    """The control event that cancels the pending plan ``plan_id``."""
    return [(int(Control.PLAN_CANCEL), plan_id)]


def words_of(plan: np.ndarray) -> list[int]:
    """The int64 words of a PLAN record (shape (1,)): its head and its conditions, in order."""
    r = plan[0]
    words = [int(r[name]) for name in HEAD_FIELDS]
    words[1] = PENDING
    for k in range(int(r["n"])):
        words += [int(x) for x in r["conditions"][k]]
    return words


def checksum(words: list[int]) -> int:
    """The checksum that a COMMIT carries for ``words``."""
    return int(plan_checksum(np.array(words, dtype=np.int64), np.int64(len(words))))


def read_plan(events: Iterable[ControlEvent]) -> Iterator[np.ndarray]:
    """Every plan that ``events`` carry whole, as PLAN records of shape (1,)."""
    words: list[int] = []
    begun = 0
    for code, value in events:
        if code == Control.PLAN_BEGIN:
            begun, words = value, []
        elif code == Control.PLAN_WORD:
            words.append(value)
        elif code == Control.PLAN_COMMIT:
            if _whole(words, begun) and checksum(words) == value:
                yield _record(words)
            begun, words = 0, []


def _whole(words: list[int], begun: int) -> bool:
    return len(words) >= HEAD and words[0] == begun > 0 and len(words) == HEAD + 4 * words[14]


def _record(words: list[int]) -> np.ndarray:
    plan = np.zeros(1, dtype=PLAN)
    for name, value in zip(HEAD_FIELDS, words, strict=False):
        plan[name] = value
    for k in range(words[14]):
        plan["conditions"][0, k] = tuple(words[HEAD + 4 * k : HEAD + 4 * k + 4])
    return plan
