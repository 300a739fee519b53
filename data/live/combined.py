"""Several feeds as one: a venue's sockets and a terminal's quotes, in the order of reading.

Owns :class:`CombinedFeed`. What must hold: the items of each feed keep their order, and those of
one turn are merged by the time at which they were read; the end of a served range comes last; what
one feed counts is in the counts of all.

It refuses to know what the feeds carry.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from heapq import merge

from data.live.items import Ended, Feed, FeedFacts, Frame, Item

_WORDS = ("last_error", "routes", "ended")


class CombinedFeed:
    """``flow`` is waited for; of the ``others`` is taken what they have by then. ``heard_ns`` holds
    for each feed, ``flow`` first, the monotonic time at which a frame of it was taken last."""

    def __init__(self, flow: Feed, *others: Feed) -> None:
        self._feeds: tuple[Feed, ...] = (flow, *others)
        self.heard_ns = [0] * len(self._feeds)

    def start(self) -> None:
        """Begin; returns at once."""
        self.heard_ns = [time.monotonic_ns()] * len(self._feeds)
        for feed in self._feeds:
            feed.start()

    def take(self, most: int, wait_s: float) -> Sequence[Item]:
        """Up to ``most`` items of each; waits up to ``wait_s`` for the first one of the flow."""
        flow, *others = self._feeds
        taken = [list(feed.take(most, 0.0)) for feed in others]
        wait_s = 0.0 if any(taken) else wait_s
        taken.insert(0, list(flow.take(most, wait_s)))
        now_ns = time.monotonic_ns()
        for n, items in enumerate(taken):
            if any(type(item) is Frame for item in items):
                self.heard_ns[n] = now_ns
        found = [items for items in taken if items]
        if len(found) < 2:
            return found[0] if found else ()
        # whoever takes them looks at the last one alone for the end
        return list(merge(*found, key=lambda i: (type(i) is Ended, i.mono_ns)))

    def renew(self, streams: Sequence[str]) -> None:
        """Each feed begins its own of these streams anew."""
        for feed in self._feeds:
            feed.renew(streams)

    def stop(self) -> None:
        """Close everything; what is queued can still be taken."""
        for feed in self._feeds:
            feed.stop()

    @property
    def facts(self) -> FeedFacts:
        """The counts of all."""
        parts = [feed.facts for feed in self._feeds]
        routes: dict[str, int] = {}
        for part in parts:
            routes.update(part.routes)
        numbers = {
            name: sum(getattr(part, name) for part in parts)
            for name in FeedFacts.__slots__
            if name not in _WORDS
        }
        errors = [part.last_error for part in parts if part.last_error]
        ended = any(part.ended for part in parts)
        return FeedFacts(**numbers, last_error="; ".join(errors), routes=routes, ended=ended)
