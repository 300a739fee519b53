"""The one queue between the sockets' thread and whoever admits events; bounded, and never silent.

Owns :class:`ItemQueue`. What must hold: it never holds more frames or bytes than it may; frames
that find no room are counted, and an :class:`Overrun` stands where they would have stood; items
leave in the order in which they came.

It refuses to know sockets.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from data.live.items import Frame, Item, Overrun

OVERHEAD = 120
"""Bytes that a frame takes beside its data."""


class ItemQueue:
    """Filled by one thread, emptied by another. ``most_frames`` and ``most_bytes`` bound it.

    After an overflow nothing is taken until it is half empty, so that one long hole is declared and
    not a thousand short ones. ``on_room`` is called (by the emptying thread) when it has become
    half empty after :attr:`crowded` was true.
    """

    def __init__(
        self,
        most_frames: int,
        most_bytes: int,
        on_room: Callable[[], None] = lambda: None,
        mono_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.most_frames, self.most_bytes = most_frames, most_bytes
        self.frames = 0
        self.bytes = 0
        self.dropped = 0
        self.put_count = self.put_size = 0
        self._mono_ns, self._on_room = mono_ns, on_room
        self._batches: deque[Sequence[Item]] = deque()
        self._ready = threading.Condition(threading.Lock())
        self._told_crowded = False
        self._lost = 0
        self._lost_streams: set[str] = set()
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Add what happened; always finds room (it is rare and small)."""
        with self._ready:
            self._declare_lost()
            self._batches.append((item,))
            self._ready.notify()

    def put_frames(self, frames: Sequence[Frame], size: int, names: Iterable[str]) -> bool:
        """Add frames of ``size`` bytes together; False where they were dropped. ``names`` are the
        streams that then lack some (read only in that case)."""
        pure, size = size, size + OVERHEAD * len(frames)
        with self._ready:
            self.put_count += len(frames)
            self.put_size += pure
            full = (
                self.frames + len(frames) > self.most_frames or self.bytes + size > self.most_bytes
            )
            if full or (self._lost and not self._roomy):
                self._lost += len(frames)
                self.dropped += len(frames)
                self._lost_streams.update(names)
                return False
            self._declare_lost()
            self._batches.append(frames)
            self.frames += len(frames)
            self.bytes += size
            self._ready.notify()
            return True

    @property
    def crowded(self) -> bool:
        """True when it is more than half full: who can wait should. ``on_room`` will be called."""
        with self._ready:
            self._told_crowded |= not self._roomy
            return not self._roomy

    def fail(self, error: BaseException) -> None:
        """Let ``take`` raise ``error`` once it has given everything out."""
        with self._ready:
            self._error = self._error or error
            self._ready.notify()

    def take(self, most: int, wait_s: float) -> list[Item]:
        """Up to ``most`` items, waiting up to ``wait_s`` seconds for the first one."""
        with self._ready:
            if not self._batches and not self._lost and self._error is None:
                self._ready.wait(wait_s)
            if not self._batches:
                self._declare_lost()
            if not self._batches and self._error is not None:
                raise self._error
            taken = self._taken(most)
            room = self._told_crowded and self._roomy
            if room:
                self._told_crowded = False
        if room:
            self._on_room()
        return taken

    def _taken(self, most: int) -> list[Item]:
        taken: list[Item] = []
        while self._batches and len(taken) < most:
            batch = self._batches.popleft()
            room = most - len(taken)
            if len(batch) > room:
                self._batches.appendleft(batch[room:])
                batch = batch[:room]
            taken += batch
            if isinstance(batch[0], Frame):
                self.frames -= len(batch)
                self.bytes -= sum([len(frame.data) for frame in batch])  # type: ignore[union-attr, misc]
                self.bytes -= OVERHEAD * len(batch)
        return taken

    @property
    def _roomy(self) -> bool:
        return 2 * self.frames <= self.most_frames and 2 * self.bytes <= self.most_bytes

    def _declare_lost(self) -> None:
        if self._lost:
            streams = tuple(sorted(self._lost_streams))
            self._batches.append((Overrun(self._mono_ns(), self._lost, streams),))
            self._lost = 0
            self._lost_streams.clear()
