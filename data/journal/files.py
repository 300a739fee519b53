"""The seam to the disk: the few things a journal does to files.

Owns :class:`Files`. What must hold: what :meth:`Files.fdatasync` returned for is behind a barrier,
a new or removed name is behind :meth:`Files.fsync_dir`, and a failed one is never tried again (the
kernel may have dropped the pages). Tests put a layer with faults, and one that loses power, in its
place.

It refuses to know what the bytes mean.
"""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path
from typing import Any

from data.busy import patiently, replace

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write says when the disk, or what we may use of it, is full: waiting can mend it."""


class Files:
    """A disk. What :meth:`open` returns is passed back to the other methods and is otherwise
    opaque; all of them raise OSError."""

    def make_dir(self, folder: Path) -> None:
        """Make the folder and its parents, where missing."""
        folder.mkdir(parents=True, exist_ok=True)

    def names(self, folder: Path) -> list[str]:
        """Names of what lies in ``folder``; none where it is missing."""
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def size(self, path: Path) -> int:
        """Length of a file in bytes."""
        return path.stat().st_size

    def read(self, path: Path, most: int = -1) -> bytes:
        """The first ``most`` bytes of a file, or all of it."""
        with patiently(lambda: path.open("rb")) as source:
            return source.read(most)

    def open(self, path: Path, new: bool) -> Any:
        """A file to append to; ``new`` demands that there is none yet."""
        return FileIO(path, "x" if new else "a")

    def append(self, handle: Any, data: memoryview) -> int:
        """Write at the end; the number of bytes taken, which may be fewer than given."""
        return int(handle.write(data))

    def fdatasync(self, handle: Any) -> None:
        """Put what was appended behind a barrier, with the length of the file."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(handle.fileno())
        else:
            os.fsync(handle.fileno())

    def forget(self, handle: Any) -> None:
        """Read from the disk next time, not from the cache, where the system can be told so."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def truncate(self, handle: Any, size: int) -> None:
        """Cut the file down to ``size`` bytes; what is appended next goes there."""
        handle.truncate(size)
        handle.seek(size)

    def close(self, handle: Any) -> None:
        """Give the file back."""
        handle.close()

    def rename(self, source: Path, target: Path) -> None:
        """Rename over what is there."""
        replace(source, target)

    def remove(self, path: Path) -> None:
        """Remove one file."""
        patiently(path.unlink)

    def fsync_dir(self, folder: Path) -> None:
        """Put names made, changed and removed in ``folder`` behind a barrier."""
        if os.name == "nt":  # Windows cannot sync a folder
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def append_all(files: Files, handle: Any, data: bytes) -> None:
    """Append ``data`` whole, however few bytes go at a time; OSError where nothing goes."""
    rest = memoryview(data)
    while rest:
        taken = files.append(handle, rest)
        if taken <= 0:
            raise OSError(errno.EIO, "the file takes no more bytes and says no reason")
        rest = rest[taken:]


def publish(files: Files, path: Path, content: bytes) -> None:
    """Put a whole file in the place of ``path``, durably: after a crash the old one or the new."""
    beside = path.with_name(path.name + ".new")
    if beside.name in files.names(path.parent):
        files.remove(beside)
    handle = files.open(beside, new=True)
    try:
        append_all(files, handle, content)
        files.fdatasync(handle)
    finally:
        files.close(handle)
    files.rename(beside, path)
    files.fsync_dir(path.parent)
