"""What the plans said at a moment: the fold of the log up to it, and what the kernel kept.

Owns the fold that ends at a decision boundary and the choice of one plan by id or name. The last
boundary is reached by time itself, as a clock event would, so that the moment needs no event. It
refuses to know how anything is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from data.errors import UsageError
from data.events import Kind
from data.log import LogStore
from engine.plans.explain import Explained, explain
from engine.runtime.replay import Outcome, Progress, Request, run


class _Nothing:
    """A sink that keeps nothing."""

    def take(self, name: str, rows: np.ndarray) -> None:
        """Forget ``rows`` of record table ``name``."""


def plans_at(
    store: LogStore,
    request: Request,
    at_ns: int,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> tuple[list[Explained], Outcome]:
    """Every plan that stands in the fold up to ``at_ns`` (ns UTC, inclusive), as it left it.

    Those of the request, and those that came by control events in the log. DataError when the log
    has no event before; ConfigError for a plan that does not fit, UsageError for a strategy that
    takes none.
    """
    if "plans" not in request.strategy.handlers:
        raise UsageError(
            f"strategy {request.strategy.name} takes no plans",
            where="--strategy",
            do="choose one that does, e.g. plan_watch",
        )
    outcome = run(store, replace(request, to_ns=at_ns), _Nothing(), progress, on_cold)
    fold = outcome.fold
    clock: Any = {Kind.CLOCK: {"ts_ns": np.array([at_ns], dtype=np.int64)}}
    fold.feed(clock, np.array([Kind.CLOCK], dtype=np.int8), np.array([1], dtype=np.int64))
    known = {c.plan.id: c for c in outcome.plans}
    found = []
    for slot in np.asarray(fold.state["plans"]["slots"][0]):
        number = int(slot["id"])
        c = known.get(number)
        if c is not None and same_plan(slot, c.record[0]):
            found.append(explain(slot, outcome.scales, c.plan.name, c.words))
        elif number:
            found.append(explain(slot, outcome.scales))
    return found, outcome


def same_plan(slot: Any, record: Any) -> bool:
    """Whether ``slot`` still has the conditions of ``record``: no control event changed them."""
    return bool(slot["n"] == record["n"] and (slot["conditions"] == record["conditions"]).all())


def one_of(found: list[Explained], text: str) -> Explained:
    """The plan whose id or name is ``text``; UsageError with those there are."""
    for x in found:
        if text in (str(x.id), x.name):
            return x
    have = ", ".join(f"{x.id} {x.name}".strip() for x in found)
    raise UsageError(
        f"there is no plan {text!r}",
        where="PLAN",
        why=f"of this symbol there are: {have}" if have else "no plan is for this symbol",
        do="give the id or the name of one",
    )
