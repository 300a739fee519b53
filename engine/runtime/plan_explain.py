"""What the plans said at a moment: the fold of the log up to it, and what the kernel kept.

Owns reading the plans off a fold that was stopped there (:mod:`engine.runtime.moment`), and the
choice of one by id or name. It refuses to know how anything is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from data.errors import UsageError
from data.events import Scales
from data.log import LogStore
from engine.plans.compile import Compiled
from engine.plans.explain import Explained, explain
from engine.runtime.fold import Fold
from engine.runtime.moment import Moment, moment
from engine.runtime.replay import Request


def plans_at(
    store: LogStore,
    request: Request,
    at_ns: int,
    on_cold: Callable[[], None] | None = None,
) -> list[Explained]:
    """Every plan that stands at the last decision at or before ``at_ns`` (ns UTC).

    Those of the request, and those that came by control events in the log. DataError when the log
    has no decision by then; ConfigError for a plan that does not fit, UsageError for a strategy
    that takes none.
    """
    if "plans" not in request.strategy.handlers:
        raise UsageError(
            f"strategy {request.strategy.name} takes no plans",
            where="--strategy",
            do="choose one that does, e.g. plan_watch",
        )
    return plans_of(moment(store, request, at_ns, on_cold))


def plans_of(at: Moment) -> list[Explained]:
    """Every plan in the state of ``at``, a fold that has plans, with its last evaluation."""
    return plans_in(at.fold, at.plans, at.scales)


def plans_in(fold: Fold, plans: Iterable[Compiled], scales: Scales) -> list[Explained]:
    """Every plan in the state of ``fold``, which has plans, as of its last boundary; ``plans``
    name those that did not come by control events."""
    known = {c.plan.id: c for c in plans}
    found = []
    for slot in np.asarray(fold.state["plans"]["slots"][0]):
        number = int(slot["id"])
        c = known.get(number)
        if c is not None and same_plan(slot, c.record[0]):
            found.append(explain(slot, scales, c.plan.name, c.words))
        elif number:
            found.append(explain(slot, scales))
    return found


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
