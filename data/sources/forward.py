"""A file that begins with its newest row, turned round.

Owns the direction of one file, which its first different times show, and the turning of its chunks
one by one. What must hold: rows of one instant come out in one chunk after another and in the order
in which they happened, wherever blocks ended; a file that runs forwards comes out as it went in.

It refuses to know formats. Rows are of kinds without lists.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.sources.chunks import Chunk, Column, take


class Forward:
    """Takes the chunks of a file in file order; ``backwards`` is known once two times differ."""

    def __init__(self) -> None:
        self.backwards = False
        self._known = False
        self._held: list[Chunk] = []

    def take(self, chunks: list[Chunk]) -> list[Chunk]:
        """What can be told of the ``chunks`` so far."""
        if self._known and not self.backwards:
            return chunks
        self._held += [c for c in chunks if len(c)]
        if not self._held:
            return []
        last_ns = int(self._held[-1].array("ts_ns")[-1])
        if not self._known:
            first_ns = int(self._held[0].array("ts_ns")[0])
            if first_ns == last_ns:
                return []
            self._known, self.backwards = True, first_ns > last_ns
            if not self.backwards:
                return self.finish()
        return self._turn(last_ns)

    def finish(self) -> list[Chunk]:
        """What is left at the end of the file."""
        held, self._held = self._held, []
        return [_turned(c) for c in reversed(held)] if self.backwards else held

    def _turn(self, last_ns: int) -> list[Chunk]:
        """Everything but the last instant, which may go on."""
        ready = self._held
        rest: list[Chunk] = []
        while ready and int(ready[-1].array("ts_ns")[-1]) == last_ns:
            chunk = ready.pop()
            again = _tail(chunk.array("ts_ns"), last_ns)
            rest.insert(0, _kept(chunk, again))
            if not again.all():
                ready.append(_kept(chunk, ~again))
                break
        self._held = rest
        return [_turned(c) for c in reversed(ready)]


def _tail(ts_ns: np.ndarray, last_ns: int) -> np.ndarray:
    """bool[n]: the run of rows at ``last_ns`` with which an array ends."""
    others = np.flatnonzero(ts_ns != last_ns)
    tail = np.ones(len(ts_ns), dtype=bool)
    tail[: int(others[-1]) + 1 if len(others) else 0] = False
    return tail


def _kept(chunk: Chunk, rows: np.ndarray) -> Chunk:
    return replace(take(chunk, rows), symbol=chunk.symbol)


def _turned(chunk: Chunk) -> Chunk:
    columns: dict[str, Column] = {n: chunk.array(n)[::-1].copy() for n in chunk.columns}
    return replace(chunk, columns=columns, lines=chunk.lines[::-1].copy())
