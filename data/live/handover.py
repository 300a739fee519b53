"""From one connection to its replacement: every frame once, in the order of its stream.

Owns :class:`Handover`. While both are open the old connection's frames go on and the new one's are
kept. That the first frame of a stream on the new connection is one that the old one gave too proves
that nothing lies between them. When the old one is closed, what is kept goes on behind its last
frame of each stream. What must hold: a frame that only the new connection had is never lost; what
is kept is bounded (beyond that it goes on as it comes, and whoever admits frames drops repeats).

It refuses to know connections and what is in a frame: two frames are one if their bytes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from data.live.items import Frame

MOST_FRAMES = 100_000
MOST_BYTES = 64 << 20


class Handover:
    """Between two connections; ``name_of`` gives the stream of a frame, empty where it has none."""

    def __init__(self, name_of: Callable[[Frame], bytes]) -> None:
        self.keeping = True
        self._name_of = name_of
        self._closed = False
        self._seen: set[int] = set()
        self._last: dict[bytes, bytes] = {}
        self._first: dict[bytes, bytes] = {}
        self._kept: list[Frame] = []
        self._size = 0
        self._awaited: dict[bytes, bytes] = {}

    def old(self, frames: list[Frame]) -> list[Frame]:
        """Frames of the old connection; all of them go on."""
        if self.keeping:
            for frame in frames:
                self._last[self._name_of(frame)] = frame.data
                self._seen.add(hash(frame.data))
        return frames

    def new(self, frames: list[Frame]) -> list[Frame]:
        """Frames of the new connection; those that go on now."""
        if not self.keeping:
            return frames
        self._kept += frames
        for frame in frames:
            name = self._name_of(frame)
            self._first.setdefault(name, frame.data)
            self._size += len(frame.data)
            if self._awaited.get(name) == frame.data:
                del self._awaited[name]
        full = len(self._kept) > MOST_FRAMES or self._size > MOST_BYTES
        return self.flush() if full or (self._closed and not self._awaited) else []

    def met(self, names: Iterable[bytes]) -> bool:
        """Whether the new connection began, on each of these streams, within what the old gave."""
        return all(hash(self._first.get(name)) in self._seen for name in names)

    def close(self) -> list[Frame]:
        """The old connection is closed; what goes on now. The rest waits until the new connection
        has come to where the old one ended, on every stream that it has begun."""
        self._closed = True
        self._awaited = {n: data for n, data in self._last.items() if n in self._first}
        for frame in self._kept:
            name = self._name_of(frame)
            if self._awaited.get(name) == frame.data:
                del self._awaited[name]
        return [] if self._awaited else self.flush()

    def flush(self) -> list[Frame]:
        """What was kept, without what the old connection gave; nothing is kept from here on."""
        ends = {}
        names = [self._name_of(frame) for frame in self._kept]
        for at, (name, frame) in enumerate(zip(names, self._kept, strict=True)):
            if self._last.get(name) == frame.data:
                ends[name] = at
        fresh = _behind(self._kept, names, ends)
        self.keeping = False
        self._kept, self._seen = [], set()
        return fresh


def _behind(frames: Sequence[Frame], names: Sequence[bytes], ends: dict[bytes, int]) -> list[Frame]:
    """The frames that stand behind the end of their stream, or whose stream has none."""
    return [
        frame
        for at, (name, frame) in enumerate(zip(names, frames, strict=True))
        if at > ends.get(name, -1)
    ]
