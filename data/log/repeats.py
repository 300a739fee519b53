"""Trade ids that occur more than once, and whether they mean the same trade.

Owns the rule for repeated ids. Which ids repeat is found in one pass with an interval set, so it
is exact and bounded; what the repeated rows say is looked up in a second pass over the few files
that hold them, and only where there are any.

It refuses to know how such rows got into the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from data.log.columns import Rows
from data.log.coverage import Coverage
from data.log.rules import Finding, Subject

KEPT = 10_000
"""How many repeated ids are remembered for the second pass; more than that are only counted."""

_CONTENT = ("ts_ns", "price", "qty", "side")


class Repeats:
    """Ids seen twice. ``again`` streams the trades with given ids (columns of the rule) anew."""

    columns = ("ts_ns", "id")

    def __init__(self, subject: Subject, again: Callable[[np.ndarray], Iterator[Rows]]) -> None:
        self._subject = subject
        self._again = again
        self._coverage = Coverage()
        self._ids: set[int] = set()
        self._count = 0

    def add(self, rows: Rows) -> None:
        """Take the next trades."""
        ids = rows["id"][rows["id"] != 0]
        if not len(ids):
            return
        values, counts = np.unique(ids, return_counts=True)
        seen = self._coverage.contains(values)
        self._count += int((counts - 1).sum() + seen.sum())
        room = KEPT - len(self._ids)
        self._ids.update(values[seen | (counts > 1)][:room].tolist())
        self._coverage.add(rows["id"], rows["ts_ns"])

    def findings(self) -> Iterator[Finding]:
        """``conflicting_id`` an id with several contents, one ``duplicate_id`` for all others."""
        if not self._count:
            return
        found: dict[int, list[tuple[int, ...]]] = {}
        for rows in self._again(np.array(sorted(self._ids), np.int64)):
            columns = [rows[name].tolist() for name in ("id", *_CONTENT)]
            for trade, *content in zip(*columns, strict=True):
                found.setdefault(trade, []).append(tuple(content))
        same = self._count - sum(len(set(v)) - 1 for v in found.values())
        for trade, contents in sorted(found.items()):
            different = len(set(contents))
            if different > 1:
                times = [content[0] for content in contents]
                text = f"trade id {trade} stands for {different} different trades"
                ns = min(times), max(times)
                yield self._subject.finding(
                    "conflicting_id", text, different - 1, ns, (trade, trade)
                )
        if same:
            repeated = [k for k, v in found.items() if len(set(v)) < len(v)]
            times = [c[0] for k in repeated for c in found[k]] or [0]
            ids = (min(repeated, default=0), max(repeated, default=0))
            text = f"{same} trades are in the log twice"
            yield self._subject.finding("duplicate_id", text, same, (min(times), max(times)), ids)
