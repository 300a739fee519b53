"""What a folder of segments holds, and making it fit to go on after whatever happened.

Owns :class:`Recovered`, the reading of a journal by anybody, and the repair by its writer. What
must hold: everything that was synced comes back; what was written and not synced comes back as a
prefix or not at all; a frame behind the first bad one is never believed. Damage to what had been
synced is no torn tail: it is a CorruptFileError that names file and offset, and nothing is cut.

It refuses to know what the events mean.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from data.errors import CorruptFileError, DataError
from data.events import RECORD_VERSION, SCHEMA_VERSION
from data.journal.files import Files
from data.journal.frames import (
    HEADER_BYTES,
    Events,
    Header,
    Records,
    Type,
    group_of,
    header_at,
    json_of,
    records_of,
    series_from_json,
)
from data.journal.segment import Walk, name_of, numbers_in
from data.live.blocks import Group, Series
from data.log.files import corrupt_file, damaged

CLEAN_STOP = {"stop": "clean"}
"""The note that a session leaves which ended of its own accord."""

_DO = (
    "restore the file from a copy; or move it and the segments after it away, and what they hold "
    "and was not sealed is lost"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that is not written any more: events ``first_seq`` to ``last_seq`` (one less
    where it has none)."""

    number: int
    path: Path
    first_seq: int
    last_seq: int
    bytes: int


@dataclass(slots=True)
class Recovered:
    """What a journal holds. Times are ns of the session clock; ``notes`` are the last values by
    key; ``clean`` says that its last writer closed it; ``torn_bytes`` were (or would be) cut off
    its end for ``torn_reason``."""

    last_seq: int = 0
    last_recv_ns: int = 0
    series: list[Series] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    torn_bytes: int = 0
    torn_reason: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    clean: bool = False
    link: int = 0
    headless: list[Path] = field(default_factory=list)
    """Segments at the end that hold nothing: their writer died while making them."""


def look(folder: str | Path, files: Files | None = None) -> Recovered:
    """What a journal holds, without the lock and without a change to it.

    Checks every frame of the last segment; the others were synced whole before it was begun, and
    are checked as they are read. CorruptFileError where synced bytes are damaged.
    """
    folder, files = Path(folder), files or Files()
    found = Recovered()
    numbers = _numbers(files, folder)
    while numbers:
        path = folder / name_of(numbers[-1])
        data = _read(files, path)
        walk = Walk(data, numbers[-1])
        last_events = _learn(found, walk, path)
        torn = len(data) - walk.end
        if torn and (walk.damaged or found.headless):
            raise _damage(path, walk)
        found.torn_bytes += torn
        found.torn_reason = walk.reason or found.torn_reason
        if walk.end:
            _add_segments(found, files, folder, numbers, walk)
            found.last_recv_ns = max(found.last_recv_ns, _last_recv_ns(last_events))
            break
        found.headless.append(path)
        numbers.pop()
    return found


def recover(folder: Path, files: Files) -> Recovered:
    """:func:`look`, and make what it saw so: the writer's, who has the lock.

    A process that was killed leaves pages that nobody synced, one whose sync failed leaves pages
    that read well and are on no disk. So the last segment is synced, and then read past the cache;
    its torn tail is cut off. OSError where the disk fails.
    """
    numbers = _numbers(files, folder)
    for number in numbers[-1:]:
        _settle(files, folder / name_of(number))
    found = look(folder, files)
    for path in found.headless:
        files.remove(path)
    if found.torn_bytes and found.segments:
        last = found.segments[-1]
        _settle(files, last.path, last.bytes)
    files.fsync_dir(folder)
    return found


def remove(folder: Path, files: Files | None = None) -> None:
    """Remove a journal whose events are all elsewhere, with its folder. Oldest segment first: what
    a crash leaves of it is a journal, too. OSError where the disk fails."""
    files = files or Files()
    for number in numbers_in(files.names(folder)):
        files.remove(folder / name_of(number))
        files.fsync_dir(folder)
    shutil.rmtree(folder)


def read_frames(
    folder: str | Path, after_seq: int = 0, files: Files | None = None
) -> Iterator[Events | Records]:
    """What was appended, in order: groups cut to events with ``seq > after_seq``, and records that
    were written after such an event. Needs no lock; a journal that is being written ends where its
    writer stood, a torn one before the first bad frame.

    The first group begins later than ``after_seq + 1`` where segments were dropped.
    CorruptFileError where synced bytes are damaged.
    """
    folder, files = Path(folder), files or Files()
    numbers = _numbers(files, folder)
    nexts = [_first_seq(files, folder, number) for number in numbers[1:]]
    link: int | None = None
    for number, next_first in zip(numbers, [*nexts, None], strict=False):
        if next_first is not None and next_first <= after_seq + 1:
            continue
        path = folder / name_of(number)
        walk = Walk(_read(files, path), number, link)
        for header, payload in walk:
            if header.type == Type.SERIES:
                _head(payload, path)
            with corrupt_file(str(path), _DO):
                frame = _decoded(header, payload, after_seq)
            if frame is not None:
                yield frame
        link = walk.link
        if walk.reason and (number != numbers[-1] or walk.damaged):
            raise _damage(path, walk)


def check(folder: str | Path, files: Files | None = None) -> Recovered:
    """Read and decode everything; CorruptFileError naming file and offset of the first damage."""
    for _ in read_frames(folder, files=files):
        pass
    return look(folder, files)


def _settle(files: Files, path: Path, size: int | None = None) -> None:
    """Sync a file (cut to ``size`` bytes), and let it be read from the disk from now on."""
    handle = files.open(path, new=False)
    try:
        if size is not None:
            files.truncate(handle, size)
        files.fdatasync(handle)
        files.forget(handle)
    finally:
        files.close(handle)


def _decoded(header: Header, payload: memoryview, after_seq: int) -> Events | Records | None:
    if header.type == Type.EVENTS:
        group = group_of(header, payload, after_seq)
        return Events(group, header.wall_ns, header.mono_ns) if group else None
    if header.type == Type.RECORDS and header.seq > after_seq:
        return records_of(header, payload)
    return None


def _learn(found: Recovered, walk: Walk, path: Path) -> Group | None:
    """Take up what the frames of the last segment say; its last events."""
    last: tuple[Header, memoryview] | None = None
    for header, payload in walk:
        found.clean = False
        if header.type == Type.SERIES:
            facts = _head(payload, path)
            found.series = series_from_json(facts["series"])
            found.notes = facts["notes"]
            found.last_recv_ns = facts["recv_ns"]
            found.last_seq = header.seq - 1
        elif header.type == Type.EVENTS:
            last = header, payload
            found.last_seq = header.seq + header.rows - 1
        elif header.type == Type.NOTE:
            note = json_of(payload)
            found.clean = note == CLEAN_STOP
            found.notes |= {} if found.clean else note
    found.link = walk.link or 0
    return group_of(*last) if last else None


def _add_segments(
    found: Recovered, files: Files, folder: Path, numbers: list[int], walk: Walk
) -> None:
    following = found.last_seq + 1
    for number in reversed(numbers):
        path = folder / name_of(number)
        first = _first_seq(files, folder, number)
        if first is None:
            raise damaged(str(path), "at byte 0: the segment does not begin with its head", _DO)
        size = walk.end if number == numbers[-1] else files.size(path)
        found.segments.insert(0, Segment(number, path, first, following - 1, size))
        following = first


def _last_recv_ns(group: Group | None) -> int:
    if group is None:
        return 0
    return max(int(part.rows["recv_ns"][-1]) for part in group.parts.values())


def _numbers(files: Files, folder: Path) -> list[int]:
    numbers = numbers_in(files.names(folder))
    for number, following in pairwise(numbers):
        if following != number + 1:
            path = folder / name_of(number + 1)
            raise damaged(str(path), "the segment is missing between two that are there", _DO)
    return numbers


def _first_seq(files: Files, folder: Path, number: int) -> int | None:
    """Sequence number of a segment's first event; None where its head is not what it must be."""
    header = header_at(memoryview(_read(files, folder / name_of(number), HEADER_BYTES)), 0)
    good = header is not None and header.segment == number and header.type == Type.SERIES
    return header.seq if header is not None and good else None


def _head(payload: memoryview, path: Path) -> dict[str, Any]:
    facts = json_of(payload)
    versions = facts["schema"], facts["records"]
    if versions != (SCHEMA_VERSION, RECORD_VERSION):
        raise DataError(
            "the journal was written by another version of ofs",
            where=str(path),
            why=f"its tables have versions {versions}, ours {(SCHEMA_VERSION, RECORD_VERSION)}",
            do="let the ofs that wrote it stop cleanly: that seals what the journal holds",
        )
    return facts


def _read(files: Files, path: Path, most: int = -1) -> bytes:
    try:
        return files.read(path, most)
    except FileNotFoundError as error:
        raise DataError(
            "the journal moved on while it was read",
            where=str(path),
            why="its writer sealed this segment and dropped it",
            do="read it again",
        ) from error
    except OSError as error:
        raise damaged(str(path), str(error), _DO) from error


def _damage(path: Path, walk: Walk) -> CorruptFileError:
    return damaged(str(path), f"at byte {walk.end}: {walk.reason}", _DO)
