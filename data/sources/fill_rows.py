"""What an archive file says of holes: whether it means the same rows, and the rows inside.

Owns reading daily files for :mod:`data.sources.fill`. Aggregates and single trades have ids of
their own numbering, and a log may hold either; so the rows at both edges of a hole must lie in the
archive at the same id and the same millisecond, else nothing of that file may go into the hole.
What must hold: only rows inside a hole come out, as they stand in the file.

It refuses to know how files come and how rows are imported.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.sources.opening import Reader, members_of

_TIME_COLUMN = {"aggTrades": 5, "trades": 4}
_NS_OF_MS = 1_000_000
_MS_LIMIT = 100_000_000_000_000
"""A venue's time below this is in ms, else in us (see the reference of the archive)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A hole: rows with ``low`` < key < ``high`` are missing. The key of a trade is its id, of a
    bar its opening in ms. ``low_ns`` and ``high_ns`` are the times of the rows at the edges."""

    low: int
    high: int
    low_ns: int
    high_ns: int


def edges_found(path: Path, type_: str, spans: Sequence[Span]) -> set[int]:
    """The ids at edges of ``spans`` that the file holds in the same millisecond."""
    wanted = {s.low: s.low_ns for s in spans} | {s.high: s.high_ns for s in spans}
    column = _TIME_COLUMN[type_]
    found = set()
    for key, line in _rows(path):
        if key in wanted:
            cells = line.split(b",", column + 1)
            time = _int(cells[column]) if len(cells) > column else -1
            if _ms(time) == wanted[key] // _NS_OF_MS:
                found.add(key)
    return found


def copy_inside(path: Path, target: Path, spans: Sequence[Span], *, bars: bool) -> int:
    """Write the lines of the file that lie inside ``spans`` (disjoint, sorted) to ``target``, a
    header before them where the file has one; how many there were (with none, no file is made)."""
    lows = [s.low for s in spans]
    count = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        sink.writelines(line + b"\n" for line in _header(path))
        for key, line in _rows(path):
            place = _ms(key) if bars else key
            at = bisect_right(lows, place - 1) - 1
            if at >= 0 and place < spans[at].high:
                sink.write(line + b"\n")
                count += 1
    if not count:
        target.unlink()
    return count


def _rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number in the first column, line) of every row."""
    for line in _lines(path):
        first = line.partition(b",")[0]
        if first.isdigit():
            yield int(first), line


def _header(path: Path) -> Iterator[bytes]:
    for line in _lines(path):
        if not line[:1].isdigit():
            yield line
        return


def _lines(path: Path) -> Iterator[bytes]:
    for member in members_of(path):
        for block in Reader(member).blocks():
            yield from _split(block)


def _split(block: bytes) -> Iterable[bytes]:
    return (line for line in block.splitlines() if line)


def _int(text: bytes) -> int:
    return int(text) if text.isdigit() else -1


def _ms(time: int) -> int:
    return time if time < _MS_LIMIT else time // 1000
