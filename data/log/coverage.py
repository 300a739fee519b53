"""Which ids of a series are there: an exact account of holes in one pass and bounded memory.

Owns :class:`Coverage`: a sorted set of id intervals with the times of their ends. What must hold:
the answer does not depend on the order in which ids come, and memory grows with the number of
holes, not with the number of ids.

It refuses to know why an id is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.ids import ordinals


@dataclass(frozen=True, slots=True)
class Hole:
    """Ids ``from_id`` and ``to_id`` are there and nothing between; times are those of the two."""

    from_id: int
    to_id: int
    from_ns: int
    to_ns: int

    @property
    def missing(self) -> int:
        """How many ids are missing."""
        return self.to_id - self.from_id - 1


class Coverage:
    """Intervals of ids seen so far. Id 0 is *not known*, an opaque one has no neighbours: neither
    counts."""

    def __init__(self) -> None:
        # columns: first id, last id, time of the first, time of the last; disjoint, rising
        self._runs = np.empty((4, 0), np.int64)

    def add(self, ids: np.ndarray, ts_ns: np.ndarray) -> None:
        """Take ids int64[n] with their exchange times int64[n], in any order."""
        ids = ordinals(ids)
        if not ids.all():
            ids, ts_ns = ids[ids != 0], ts_ns[ids != 0]
        if not len(ids):
            return
        if not (ids[1:] >= ids[:-1]).all():
            order = np.argsort(ids, kind="stable")
            ids, ts_ns = ids[order], ts_ns[order]
        breaks = np.flatnonzero(ids[1:] > ids[:-1] + 1)
        first = np.concatenate(([0], breaks + 1))
        last = np.concatenate((breaks, [len(ids) - 1]))
        runs = np.stack((ids[first], ids[last], ts_ns[first], ts_ns[last]))
        self._runs = _union(self._runs, runs)

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """bool[n]: which of ``ids`` were added before."""
        run = np.searchsorted(self._runs[0], ids, side="right") - 1
        inside = run >= 0
        inside[inside] = ids[inside] <= self._runs[1][run[inside]]
        return inside

    def holes(self) -> list[Hole]:
        """Every hole, by rising id."""
        runs = self._runs
        edges = zip(
            runs[1, :-1].tolist(),
            runs[0, 1:].tolist(),
            runs[3, :-1].tolist(),
            runs[2, 1:].tolist(),
            strict=True,
        )
        return [Hole(*edge) for edge in edges]

    @property
    def count(self) -> int:
        """Number of holes."""
        return max(self._runs.shape[1] - 1, 0)

    @property
    def first_id(self) -> int:
        """Smallest id, 0 where there is none."""
        return int(self._runs[0, 0]) if self._runs.shape[1] else 0

    @property
    def last_id(self) -> int:
        """Largest id, 0 where there is none."""
        return int(self._runs[1, -1]) if self._runs.shape[1] else 0


def _union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    both = np.concatenate((a, b), axis=1)
    if a.shape[1] and b[0, 0] < a[0, -1]:
        both = both[:, np.argsort(both[0], kind="stable")]
    reach = np.maximum.accumulate(both[1])
    starts = np.concatenate(([True], both[0, 1:] > reach[:-1] + 1))
    first = np.flatnonzero(starts)
    last_id = np.maximum.reduceat(both[1], first)
    # the time of an interval's end is that of the run that reaches it
    ends = np.flatnonzero(both[1] == np.repeat(last_id, np.diff(np.append(first, both.shape[1]))))
    group = np.cumsum(starts)[ends] - 1
    last_ts = np.empty(len(first), np.int64)
    last_ts[group[::-1]] = both[3, ends[::-1]]
    return np.stack((both[0, first], last_id, both[2, first], last_ts))
