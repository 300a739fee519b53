"""A segment: a file of frames, how it grows, and how far it can be believed.

Owns the names of segments (``00000001.wal``, numbered without a hole), :class:`Walk` over the
frames of one, and :class:`Tail`, the one being written. What must hold: a frame is believed only if
its own checksums, the link to the one before it and its sequence number fit; a write that fails
leaves whole frames only.

What follows the last good frame is a torn tail, written and not synced when the power went, unless
a frame behind it says that those bytes had been synced: then it is damage (:meth:`Walk.damaged`).

It refuses to know what a folder of segments adds up to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from data.errors import DataError, JournalError, JournalFullError, OfsError
from data.journal.files import NO_SPACE, Files, append_all
from data.journal.frames import (
    HEADER_BYTES,
    MAGIC,
    VERSION,
    Header,
    Payload,
    Type,
    frame_bytes,
    header_at,
)

_NAME = re.compile(r"(\d{8})\.wal")


def name_of(number: int) -> str:
    """File name of a segment."""
    return f"{number:08d}.wal"


def numbers_in(names: list[str]) -> list[int]:
    """Numbers of the segments among file names, rising."""
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


class Walk:
    """Iterates over the whole frames of a segment as (header, payload), once.

    ``data`` are its bytes, ``link`` the header CRC of the last frame before the segment, None where
    that is not known. DataError where a whole frame was written by a newer ofs.
    """

    def __init__(self, data: bytes, number: int, link: int | None = None) -> None:
        self.link = link
        self.end = 0
        """Offset behind the last whole frame."""
        self.reason = "" if data else "the segment is empty"
        """Why there is no frame at ``end``; empty where the file ends there."""
        self._data = memoryview(data)
        self._number = number
        self._next_seq = 0

    def __iter__(self) -> Iterator[tuple[Header, memoryview]]:
        """The frames up to the first bad one, or the end."""
        while self.end < len(self._data):
            header = header_at(self._data, self.end)
            self.reason = self._wrong(header)
            if self.reason or header is None:
                return
            start = self.end + HEADER_BYTES
            self.end = start + header.length
            self.link = header.crc
            self._next_seq = header.seq if header.type == Type.SERIES else self._next_seq
            if header.type == Type.EVENTS:
                self._next_seq = header.seq + header.rows
            yield header, self._data[start : self.end]

    @property
    def damaged(self) -> bool:
        """Whether a frame behind ``end`` says that the bytes at ``end`` had been synced."""
        at = self.end
        data = bytes(self._data[at:])
        found = data.find(MAGIC, 1)
        while found >= 0:
            header = header_at(self._data, at + found)
            if header and header.segment == self._number and header.synced > at:
                return True
            found = data.find(MAGIC, found + 1)
        return False

    def _wrong(self, header: Header | None) -> str:
        """Why the frame at ``end`` is not believed; empty where it is."""
        rest = len(self._data) - self.end - HEADER_BYTES
        if header is None:
            return "the header is cut off" if rest < 0 else "the header is not what was written"
        if header.version > VERSION:
            raise _newer(header)
        if header.segment != self._number:
            return f"the frame belongs to segment {header.segment}"
        if self.link is not None and header.link != self.link:
            return "the frame does not follow the one before it"
        if header.length > rest:
            return "the payload is cut off"
        start = self.end + HEADER_BYTES
        if crc32(self._data[start : start + header.length]) != header.payload_crc:
            return "the payload is not what was written"
        if self.end == 0 and header.type != Type.SERIES:
            return "the segment does not begin with its head"
        if header.type == Type.EVENTS and header.seq != self._next_seq:
            return f"event {header.seq} stands where {self._next_seq} must"
        return ""


class Tail:
    """The segment that is being written: ``link`` is the header CRC of the last frame before it.

    The file must not exist yet. JournalFullError where there is no space for it, JournalError where
    it fails otherwise.
    """

    def __init__(self, files: Files, folder: Path, number: int, first_seq: int, link: int) -> None:
        self.number = number
        self.path = folder / name_of(number)
        self.first_seq = first_seq
        self.link = link
        self.size = 0
        self.head_bytes = 0
        """Length of the head: a longer segment holds something."""
        self.synced = 0
        """Bytes behind a barrier."""
        self.named = False
        """Whether the name of the file is behind a barrier too."""
        self._files = files
        try:
            self._handle = files.open(self.path, new=True)
        except OSError as error:
            raise failure(error, self.path) from error

    def append(self, payload: Payload, wall_ns: int, mono_ns: int) -> int:
        """Write a frame whole, or leave the file as it was; the number of its bytes."""
        frame, crc = frame_bytes(payload, self.number, self.link, self.synced, wall_ns, mono_ns)
        try:
            append_all(self._files, self._handle, frame)
        except OSError as error:
            self._cut_back()
            raise failure(error, self.path) from error
        self.size += len(frame)
        self.link = crc
        return len(frame)

    def sync(self) -> None:
        """fdatasync, and the folder the first time; OSError. ``synced`` is the caller's to set,
        who knows how much stood there when it began."""
        self._files.fdatasync(self._handle)
        if not self.named:
            self._files.fsync_dir(self.path.parent)
            self.named = True

    def close(self) -> None:
        """Close the file as it is."""
        self._files.close(self._handle)

    def remove(self) -> None:
        """Undo a segment that never held anything; JournalError where that fails."""
        self.close()
        try:
            self._files.remove(self.path)
        except OSError as error:
            raise failure(error, self.path) from error

    def _cut_back(self) -> None:
        try:
            self._files.truncate(self._handle, self.size)
        except OSError as error:
            raise JournalError(
                "a frame that was written in part cannot be taken back",
                where=str(self.path),
                why=str(error),
                do="start again: recovery drops it",
            ) from error


def failure(error: OSError, path: Path) -> OfsError:
    """What a failed write means: JournalFullError where space is lacking, else JournalError."""
    kind = JournalFullError if error.errno in NO_SPACE else JournalError
    full = kind is JournalFullError
    return kind(
        "there is no space for the journal" if full else "the journal cannot be written",
        where=str(path),
        why=str(error),
        do="free some space" if full else "see to the disk, then start again",
    )


def _newer(header: Header) -> DataError:
    return DataError(
        "the journal was written by a newer ofs",
        why=f"its layout has version {header.version}, this ofs knows {VERSION}",
        do="stop that session cleanly with the ofs that wrote it, or install a newer ofs",
    )
