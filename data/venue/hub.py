"""Who has subscribed to what: the way from one event to the sockets that must get it.

Owns :class:`Hub` and :class:`Variant` (one spelling of one stream: its message is made once for all
its sockets). What must hold: an event that nobody has subscribed costs no message; frames are
gathered and go out together; what is in flight to a socket is known, by the pings that follow the
frames, so that the clock can wait for a slow reader.

It refuses to know the log, the clock and the opening of sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from data.enums import Kind
from data.venue.frames import Encode
from data.venue.names import Asked, asked
from data.venue.tape import Due


class Receiver(Protocol):
    """A socket as the hub sees it."""

    combined: bool
    kinds: frozenset[Kind]
    number: int

    def put(self, frame: bytes) -> None:
        """Gather a frame."""

    def flush(self, now_ns: int) -> None:
        """Send what was gathered; the clock stands at ``now_ns``."""


@runtime_checkable
class Renewed(Protocol):
    """An encoder whose messages build on each other."""

    def renew(self) -> None:
        """Somebody subscribed, and knows nothing yet."""


@dataclass(slots=True)
class Variant:
    """One spelling of a stream, with its sockets: those that want frames wrapped, and the others.
    ``last_slot`` is the last thinning slot in which a frame was sent."""

    series: int
    wanted: Asked
    encode: Encode
    head: str
    wrapped: list[Receiver] = field(default_factory=list)
    plain: list[Receiver] = field(default_factory=list)
    last_slot: int = -1

    def due(self, at_ns: int) -> bool:
        """Whether a frame may go out at ``at_ns``: the first of each slot of a thinned stream."""
        thin_ns = self.wanted.thin_ns
        if not thin_ns:
            return True
        slot = at_ns // thin_ns
        fresh, self.last_slot = slot != self.last_slot, slot
        return fresh


Make = Callable[[int, Asked, int], Encode]
"""(number of the series, what is asked for, unit of time in ns) -> encoder."""

Find = Callable[[str], tuple[int, Asked] | None]
"""A stream's name -> number of its series and what it asks for; None where nothing is served."""


def finder(layout: str, symbols: Sequence[str]) -> Find:
    """Knows the streams of ``symbols`` in ``layout``."""
    numbers = {symbol: i for i, symbol in enumerate(symbols)}

    def find(name: str) -> tuple[int, Asked] | None:
        wanted = asked(layout, name)
        if wanted is None or wanted.symbol not in numbers:
            return None
        return numbers[wanted.symbol], wanted

    return find


class Hub:
    """Subscriptions of all sockets; ``find`` knows the streams, ``make`` makes their encoders."""

    def __init__(self, layout: str, find: Find, make: Make) -> None:
        self.layout = layout
        self._make = make
        self._find = find
        self._slots: dict[tuple[int, Kind], list[Variant]] = {}
        self._variants: dict[tuple[str, int], Variant] = {}
        self._dirty: dict[Receiver, None] = {}
        self.frames = 0
        self.mute: Callable[[Receiver, int, Kind], bool] | None = None
        self.subscribers: dict[Receiver, set[str]] = {}

    def add(self, receiver: Receiver, names: Iterable[str], unit_ns: int) -> None:
        """Subscribe; streams that the socket's path does not carry stay silent."""
        mine = self.subscribers.setdefault(receiver, set())
        for name in names:
            if name in mine:
                continue
            mine.add(name)
            variant = self._variant(name, unit_ns)
            if variant is None or variant.wanted.routed not in receiver.kinds:
                continue
            muted = self.mute is not None and self.mute(
                receiver, variant.series, variant.wanted.kind
            )
            if not muted:
                (variant.wrapped if receiver.combined else variant.plain).append(receiver)
                if isinstance(variant.encode, Renewed):
                    variant.encode.renew()

    def remove(self, receiver: Receiver, names: Iterable[str] | None = None) -> None:
        """Unsubscribe from ``names``, or from everything because the socket is gone."""
        mine = self.subscribers.get(receiver, set())
        gone = set(mine) if names is None else mine & set(names)
        mine -= gone
        if not mine:
            self.subscribers.pop(receiver, None)
        for (name, _), variant in self._variants.items():
            if name in gone:
                for sockets in (variant.wrapped, variant.plain):
                    if receiver in sockets:
                        sockets.remove(receiver)
        if names is None:
            self._dirty.pop(receiver, None)

    def wanted(self, series: int, kind: Kind) -> list[Variant]:
        """Spellings of the stream of ``kind`` that somebody has subscribed, or had."""
        return self._slots.get((series, kind), _NONE)

    def sockets(self, due: Due) -> set[Receiver]:
        """Whoever gets the frames of an event."""
        variants = self._slots.get((due.series, due.kind), _NONE)
        return {s for v in variants for s in (*v.wrapped, *v.plain)}

    def send(self, due: Due, mutate: Callable[[str], str] | None = None) -> None:
        """Gather the frames of one event; ``mutate`` spoils its message."""
        for variant in self._slots.get((due.series, due.kind), _NONE):
            if not (variant.wrapped or variant.plain) or not variant.due(due.at_ns):
                continue
            if variant.wanted.interval_ns not in (0, _interval(due)):
                continue
            body = variant.encode(due.sheet, due.row, due.at_ns)
            self.spread(variant, body if mutate is None else mutate(body))

    def spread(self, variant: Variant, body: str) -> None:
        """Gather ``body`` for every socket of a stream."""
        for sockets, wrapped in ((variant.wrapped, True), (variant.plain, False)):
            if sockets:
                frame = self.frame(variant, body, wrapped)
                for socket in sockets:
                    socket.put(frame)
                    self._dirty[socket] = None
                self.frames += len(sockets)

    def frame(self, variant: Variant, body: str, wrapped: bool) -> bytes:
        """The frame of a message, wrapped with the stream's name or not."""
        return text_frame(f"{variant.head}{body}}}" if wrapped and variant.head else body)

    def flush(self, now_ns: int) -> None:
        """Send what was gathered for every socket."""
        dirty, self._dirty = self._dirty, {}
        for socket in dirty:
            socket.flush(now_ns)

    def _variant(self, name: str, unit_ns: int) -> Variant | None:
        key = name, unit_ns
        if key not in self._variants:
            found = self._find(name)
            if found is None:
                return None
            number, wanted = found
            head = "" if self.layout == "bybit" else f'{{"stream":"{name}","data":'
            made = Variant(number, wanted, self._make(number, wanted, unit_ns), head)
            self._variants[key] = made
            self._slots.setdefault((number, wanted.kind), []).append(made)
        return self._variants[key]


_NONE: list[Variant] = []


def _interval(due: Due) -> int:
    return due.sheet["interval_ns"][due.row] if due.kind == Kind.BAR else 0


def text_frame(text: str) -> bytes:
    """A whole text frame as a server sends it: not masked (RFC 6455, section 5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
