"""A venue that is not reached over sockets: whoever made it gives instruments, feed and history.

Owns the protocol :class:`Source`. It stands here because a recording needs one and may not know
brokers: it is passed in. What must hold: what a source gives is of one venue, and every part that
it gives is let go of by whoever took it.

It refuses to know terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from data.enums import Kind
from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.items import Feed

if TYPE_CHECKING:
    from data.log import LogStore


class Source(Protocol):
    """A venue behind something other than sockets."""

    def series(self, symbols: Sequence[str], where: str) -> list[Series]:
        """An instrument for each of ``symbols``, with its scales; ``where`` is the option or file
        that named them. An OfsError says what is wrong with one."""

    def feed(self, symbols: Sequence[str], kinds: Sequence[Kind], clock: SessionClock) -> Feed:
        """What comes of these from now on, not started yet; ``clock`` is the session's."""

    def filler(
        self, store: LogStore, symbols: Sequence[str], now_ns: Callable[[], int]
    ) -> Callable[[], None]:
        """What fetches into ``store`` what its recorded gaps lack, before ``now_ns`` (session time,
        ns); each call tries once. It raises an OfsError where nobody can be asked."""
