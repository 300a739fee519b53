"""Which kinds of a connection have gone silent while others speak: a route that died by itself.

Owns :class:`KindWatch`. Venues have retired routes that way: klines and mark prices stayed away,
books went on. What must hold: silence is counted per kind over all symbols (one symbol may well be
quiet); a kind that stays silent is doubted less and less often.

It refuses to know connections.
"""

from __future__ import annotations

from collections.abc import Mapping

from data.enums import Kind
from data.live.streams import SILENT_NS, VENUES, Lane

SILENT_LEAST_NS = 5_000_000_000
"""Monotonic time without data after which something may be silent, however fast time is."""

_MOST_DOUBLINGS = 6


def patience_ns(span_ns: int, tries: int) -> int:
    """How long a silence must last after ``tries`` that changed nothing."""
    return span_ns << min(tries, _MOST_DOUBLINGS)


class _State:
    def __init__(self, names: list[bytes]) -> None:
        self.names = names
        self.total, self.tries = -1, 0
        self.at = self.mono_ns = 0


class KindWatch:
    """Watches the kinds of ``lane`` that must speak."""

    def __init__(self, lane: Lane) -> None:
        venue = VENUES[lane.venue]
        self._kinds = {
            kind: _State([s.encode() for s in lane.streams if venue.kind(s) == kind])
            for kind in lane.kinds
            if kind in SILENT_NS
        }

    def silent(self, counts: Mapping[bytes, int], at: int, mono_ns: int) -> list[Kind]:
        """Kinds of which nothing came for too long, given the frames by stream so far, the venue's
        time and the monotonic one (ns). Each is named once, then waited for anew."""
        found = []
        for kind, state in self._kinds.items():
            total = sum([counts[name] for name in state.names])
            if total != state.total:
                spoke = state.total >= 0 and total > state.total
                state.tries = 0 if spoke else state.tries
                state.total, state.at, state.mono_ns = total, at, mono_ns
                continue
            long = at - state.at >= patience_ns(SILENT_NS[kind], state.tries)
            if long and mono_ns - state.mono_ns >= SILENT_LEAST_NS:
                found.append(kind)
                state.tries += 1
                state.at, state.mono_ns = at, mono_ns
        return found
