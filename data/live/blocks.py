"""Admitted events on their way to the journal, the fold and the log.

Owns :class:`Series` (which instrument a row belongs to), :class:`Part` and :class:`Group`. What
must hold: the rows of a group carry ``seq`` from ``first_seq`` to ``last_seq``, each exactly once
over all its parts; within a part ``seq`` rises; ``recv_ns`` never falls with ``seq``, so that the
total order of the log and the order of arrival are one.

It refuses to know where events come from and who takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from data.events import Kind, Scales
from data.log.columns import Rows, concat


@dataclass(frozen=True, slots=True)
class Series:
    """An instrument of a session; its place in the session's list is its number for ever.

    ``scales`` are fixed when the session first sees it: what has more decimals is rejected.
    """

    venue: str
    symbol: str
    scales: Scales


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one kind of all symbols: ``series`` int32[n] says whose each row is."""

    series: np.ndarray
    rows: Rows

    def __post_init__(self) -> None:
        """A number for each row."""
        assert len(self.series) == self.rows.n

    def of(self, number: int) -> Rows:
        """The rows of one series, in order."""
        mine = self.series == number
        return self.rows if mine.all() else self.rows.take(np.flatnonzero(mine))


@dataclass(frozen=True, slots=True)
class Group:
    """Events that were admitted together, one part a kind."""

    first_seq: int
    last_seq: int
    parts: Mapping[Kind, Part]

    def __post_init__(self) -> None:
        """No event twice, none missing."""
        assert self.events == sum(p.rows.n for p in self.parts.values())

    @property
    def events(self) -> int:
        """Number of events."""
        return self.last_seq - self.first_seq + 1


def joined(groups: list[Group]) -> Group:
    """Groups that follow each other, as one; at least one is given."""
    for before, after in pairwise(groups):
        assert after.first_seq == before.last_seq + 1
    kinds = sorted({kind for group in groups for kind in group.parts})
    parts = {}
    for kind in kinds:
        have = [g.parts[kind] for g in groups if kind in g.parts]
        parts[kind] = Part(np.concatenate([p.series for p in have]), concat([p.rows for p in have]))
    return Group(groups[0].first_seq, groups[-1].last_seq, parts)
