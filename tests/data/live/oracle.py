"""What admission must say of the trades of one symbol, worked out slowly from the whole story.

The story is the list of ids as they arrived, with the time of each arrival. Nothing here waits or
remembers in part: each question is answered by looking at everything.
"""

from __future__ import annotations

from collections.abc import Sequence


def restorable(arrivals: Sequence[tuple[int, float]], hold_ms: float) -> list[int]:
    """Ids that must come out, in order: those that arrive before any larger id has waited too long.

    ``arrivals`` are (id, ms) in order of arrival. An id is lost for good when some larger id
    arrived ``hold_ms`` or more before it.
    """
    first: dict[int, float] = {}
    for id, ms in arrivals:
        first.setdefault(id, ms)
    kept = []
    for id, ms in first.items():
        waited = [ms - other for larger, other in first.items() if larger > id and other <= ms]
        if not waited or max(waited) < hold_ms:
            kept.append(id)
    return sorted(kept)


def missing(kept: Sequence[int], first: int, last: int) -> set[int]:
    """Ids between the first and the last one that did not come out."""
    return set(range(first, last)) - set(kept)


def covered(gaps: Sequence[tuple[str, str, int, int, int]]) -> set[int]:
    """Ids that lie in an unfilled gap of trades (both edges are there)."""
    return {
        id
        for kind, _, from_id, to_id, filled in gaps
        if kind == "TRADE" and to_id and not filled
        for id in range(from_id + 1, to_id)
    }
