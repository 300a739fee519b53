"""What a session has admitted: events by kind and holes by reason, over all its restarts.

Owns :class:`Tally`. It goes on from what a journal's note kept and the groups behind it, so its
figures are those of the log. It refuses to know what any other row means.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from data.enums import GapReason, Kind
from data.live.blocks import Group

LATEST = 20
"""Holes that are kept whole, for whoever looks."""

GapRow = dict[str, int]


class Tally:
    """Counts; ``latest`` are the last holes as rows of the log with the ``series`` number."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.filled = 0
        self.latest: deque[GapRow] = deque(maxlen=LATEST)

    @property
    def events(self) -> int:
        """All events."""
        return sum(self.kinds.values())

    @property
    def gaps(self) -> int:
        """Gap events: two where a hole was told when it began and again when it was over."""
        return self.kinds[Kind.GAP.name.lower()]

    def follow(self, group: Group) -> None:
        """Count what was admitted."""
        for kind, part in group.parts.items():
            self.kinds[kind.name.lower()] += part.rows.n
        gaps = group.parts.get(Kind.GAP)
        if gaps is None:
            return
        names = [n for n in gaps.rows.columns if not n.endswith("_offsets")]
        for i in range(gaps.rows.n):
            row = {name: int(gaps.rows[name][i]) for name in names}
            self.reasons[GapReason(row["reason"]).name.lower()] += 1
            self.filled += row["filled"] != 0
            self.latest.append({"series": int(gaps.series[i]), **row})

    def facts(self) -> dict[str, Any]:
        """One JSON object to go on from."""
        return {"kinds": dict(self.kinds), "reasons": dict(self.reasons), "filled": self.filled}

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Tally:
        """Back from :meth:`facts`."""
        tally = cls()
        tally.kinds.update(facts["kinds"])
        tally.reasons.update(facts["reasons"])
        tally.filled = int(facts["filled"])
        return tally
