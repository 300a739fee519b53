"""What a feed hands to whoever admits events: frames as they came, and what happened to sockets.

Owns the types of both. What must hold: items come in the order in which things happened, so a lost
connection stands behind its last frame and before the first one of its successor.

It refuses to know what is in a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from data.enums import GapReason


class Frame(NamedTuple):
    """One message: the monotonic time at which it was read, its connection's number, its bytes."""

    mono_ns: int
    lane: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """Connection ``lane`` carries ``streams`` (the venue's names) from here on."""

    mono_ns: int
    lane: int
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """Connection ``lane`` is gone. ``streams`` are those that no other open connection carries:
    they have a hole from here on; empty where a rotation overlapped."""

    mono_ns: int
    lane: int
    streams: tuple[str, ...]
    reason: GapReason
    why: str


@dataclass(frozen=True, slots=True)
class Overrun:
    """``frames`` were dropped because the queue was full; any of ``streams`` may lack some.

    ``reason`` is DISK where nothing was taken because there was no space to write it.
    """

    mono_ns: int
    frames: int
    streams: tuple[str, ...]
    reason: GapReason = GapReason.OVERRUN


@dataclass(frozen=True, slots=True)
class Served:
    """A served venue told its clock: ``now_ns`` is how far it has sent, int64 ns UTC."""

    mono_ns: int
    now_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A served range is over: nothing more will come."""

    mono_ns: int


Item = Frame | Opened | Closed | Overrun | Served | Ended


@dataclass(slots=True)
class FeedFacts:
    """Counters of a feed, since it was started."""

    frames: int = 0
    bytes: int = 0
    dropped: int = 0
    queued: int = 0
    queued_bytes: int = 0
    connections: int = 0
    connects: int = 0
    disconnects: int = 0
    rotations: int = 0
    silent_routes: int = 0
    """How often a connection acknowledged its streams and sent nothing, or nothing of a kind."""
    pings: int = 0
    last_error: str = ""
    ended: bool = False
    """A served range is over: that nothing is connected any more is as it should be."""
    routes: dict[str, int] = field(default_factory=dict)
    """Frames by stream name: only counted data prove that a stream works."""


class Feed(Protocol):
    """Whatever gives items: sockets, or a list in a test."""

    @property
    def facts(self) -> FeedFacts:
        """What it counted."""

    def start(self) -> None:
        """Begin; returns at once."""

    def take(self, most: int, wait_s: float) -> Sequence[Item]:
        """Up to ``most`` items; waits up to ``wait_s`` for the first one."""

    def renew(self, streams: Sequence[str]) -> None:
        """Begin these streams anew: what comes of them cannot be used as it is."""

    def stop(self) -> None:
        """Close everything; what is queued can still be taken."""
