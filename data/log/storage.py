"""The file layer: everything the log does to a disk or an object store goes through here.

Owns :class:`Storage`: paths relative to the log's root, through ``pyarrow.fs``, so that a path and
a URI (``s3://bucket/log``) take the same way. What must hold on a local disk: bytes that
:meth:`Storage.sync` returned for are behind an fsync, a rename is behind :meth:`Storage.sync_dir`,
and an fsync that fails is never tried again (the kernel may have dropped the pages).

An object store has no lock file and no fsync: there a finished upload is durable, a move is a copy
and a delete, and only one process may write; nothing here can check that.

It refuses to know what the files mean. Tests put a layer with faults in its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs as pafs

from data.busy import in_use, patiently
from data.errors import DataError, LockedError

LOCK = ".lock"
HOLDER = ".lock.holder"
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class FileFact:
    """What a listing says of a file; ``mtime_ns`` is 0 where the file system does not say."""

    path: str
    size: int
    mtime_ns: int


class Storage:
    """The root folder of a log.

    ``where`` is a path or a URI; ``filesystem`` overrides the file system that it names.
    """

    def __init__(self, where: str | Path, filesystem: pafs.FileSystem | None = None) -> None:
        text = str(where)
        if filesystem is not None:
            base, path = filesystem, text
        elif "://" in text:
            base, path = _from_uri(text)
        else:
            base, path = pafs.LocalFileSystem(), Path(text).absolute().as_posix()
        self.where = text
        self.local = Path(path) if isinstance(base, pafs.LocalFileSystem) else None
        self._base, self._root = base, path
        self.fs = pafs.SubTreeFileSystem(path, base)

    def root_exists(self) -> bool:
        """True when the root folder is there (an object store may have no folders: always True)."""
        if isinstance(self._base, pafs.S3FileSystem):
            return True
        return self._base.get_file_info(self._root).type == pafs.FileType.Directory

    def folder_exists(self, path: str) -> bool:
        """True when the folder is there (an object store has none: False; the root: True)."""
        return not path or self.fs.get_file_info(path).type == pafs.FileType.Directory

    def make_root(self) -> None:
        """Make the root folder and its parents."""
        self._base.create_dir(self._root, recursive=True)

    def name(self, path: str) -> str:
        """The path as a person can use it, for messages."""
        return str(self.local / path) if self.local else f"{self.where.rstrip('/')}/{path}"

    def fact(self, path: str) -> FileFact | None:
        """Size and time of one file; None where there is none."""
        info = self.fs.get_file_info(path)
        return _fact(info) if info.type == pafs.FileType.File else None

    def list_files(self, folder: str) -> Iterator[FileFact]:
        """Every file below ``folder``; nothing where the folder is missing."""
        chosen = pafs.FileSelector(folder, recursive=True, allow_not_found=True)
        return (_fact(i) for i in self.fs.get_file_info(chosen) if i.type == pafs.FileType.File)

    def list_folders(self, folder: str = "") -> list[str]:
        """Folders directly in ``folder``."""
        chosen = pafs.FileSelector(folder, allow_not_found=True)
        found = self.fs.get_file_info(chosen)
        return sorted(i.path for i in found if i.type == pafs.FileType.Directory)

    def open_input(self, path: str) -> Any:
        """A random-access pyarrow file for reading; OSError where there is none."""
        return patiently(lambda: self.fs.open_input_file(path))

    def open_output(self, path: str) -> Any:
        """A pyarrow stream that writes a new file; its folder is made if missing."""
        self.make_dir(_parent(path))
        return self.fs.open_output_stream(path)

    def read_bytes(self, path: str) -> bytes:
        """The whole file; OSError where there is none."""
        with self.open_input(path) as source:
            return bytes(source.read())

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write a small file and sync it. It is not atomic: write beside, then move."""
        with self.open_output(path) as sink:
            sink.write(content)
        self.sync(path)

    def make_dir(self, path: str) -> None:
        """Make a folder and its parents."""
        if path:
            self.fs.create_dir(path, recursive=True)

    def move(self, source: str, target: str) -> None:
        """Rename ``source`` over ``target``; atomic on a local disk.

        LockedError where Windows refuses because the target is being read and goes on being read.
        """
        with self._explained(target):
            patiently(lambda: self.fs.move(source, target))

    def remove(self, path: str) -> None:
        """Remove one file; nothing where it is missing. LockedError as :meth:`move`."""
        with suppress(FileNotFoundError), self._explained(path):
            patiently(lambda: self.fs.delete_file(path))

    def remove_tree(self, path: str) -> None:
        """Remove a folder and all in it, if there; LockedError as :meth:`move`."""
        with suppress(FileNotFoundError), self._explained(path):
            patiently(lambda: self.fs.delete_dir(path))

    def remove_empty(self, path: str) -> None:
        """Remove a folder, and then its parents below the root, as far as they are empty.

        On an object store there are no folders, and nothing is done.
        """
        while self.local is not None and path:
            try:
                (self.local / path).rmdir()
            except OSError:
                return  # it holds something, or is gone: either way there is nothing to do
            path = _parent(path)

    def sync(self, path: str) -> None:
        """fsync a file (a local disk; elsewhere a finished upload is durable)."""
        if self.local is not None:
            _fsync(self.local / path, os.O_RDWR)

    def sync_dir(self, path: str) -> None:
        """fsync a folder and its parents up to the root, so that renames in it are durable."""
        if self.local is None or os.name == "nt":  # Windows cannot sync a folder
            return
        while True:
            _fsync(self.local / path, os.O_RDONLY)
            if not path:
                return
            path = _parent(path)

    def sha256(self, path: str) -> str:
        """Hex sha256 of a file, read in blocks of 256 KiB."""
        with self.open_input(path) as source:
            return hash_stream(source)

    @contextmanager
    def lock(self, wait_s: float = 0.0) -> Iterator[None]:
        """Be the one writer; LockedError naming the process that is, after ``wait_s`` seconds.

        On an object store this does nothing.
        """
        if self.local is None:
            yield
            return
        import filelock

        held = filelock.FileLock(str(self.local / LOCK), thread_local=False)
        try:
            held.acquire(timeout=wait_s, poll_interval=0.05)
        except filelock.Timeout:
            raise self._locked() from None
        try:
            self._name_holder()
            yield
        finally:
            held.release()

    def writer(self) -> dict[str, Any] | None:
        """Who holds the lock of the one writer (``pid``, ``host``); None where nobody does.

        Only for a local disk. The lock is tried for an instant.
        """
        assert self.local is not None
        if not (self.local / LOCK).exists():
            return None
        import filelock

        probe = filelock.FileLock(str(self.local / LOCK), thread_local=False)
        try:
            probe.acquire(timeout=0)
        except filelock.Timeout:
            return self._holder()
        probe.release()
        return None

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """A file that stays in use becomes a LockedError that names it."""
        try:
            yield
        except OSError as error:
            if not in_use(error):
                raise
            raise LockedError(
                "a file of the log is being read, and Windows cannot replace it meanwhile",
                where=self.name(path),
                why=error.strerror or str(error),
                do="end what reads the log (a backtest, a query, another program); what was "
                "committed is finished by the next ofs command",
            ) from error

    def _name_holder(self) -> None:
        assert self.local is not None
        facts = {"pid": os.getpid(), "host": socket.gethostname()}
        (self.local / HOLDER).write_text(json.dumps(facts), encoding="utf-8")

    def _holder(self) -> dict[str, Any]:
        """What the holder of the lock wrote of itself."""
        assert self.local is not None
        # the holder may be writing this very file: then its number is not known, it holds anyway
        with suppress(OSError, ValueError, KeyError):
            facts = json.loads((self.local / HOLDER).read_text(encoding="utf-8"))
            return {"pid": facts["pid"], "host": facts["host"]}
        return {"pid": "unknown", "host": "unknown"}

    def _locked(self) -> LockedError:
        holder = self._holder()
        pid, host = holder["pid"], holder["host"]
        return LockedError(
            f"another process is writing to the log (pid {pid})",
            where=str(self.local),
            why=f"process {pid} on {host} holds {LOCK}",
            do="wait until it is done, or stop it",
        )


def hash_stream(source: Any) -> str:
    """Hex sha256 of an open pyarrow file from where it stands to its end."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK))  # one buffer: Arrow's own would be kept by its pool
    while count := source.readinto(block):
        digest.update(block[:count])
    return digest.hexdigest()


def hash_ranges(source: Any, ranges: Sequence[tuple[int, int]], before: bytes = b"") -> str:
    """Hex sha256 of ``before`` and of the bytes [first, end) of each range of an open pyarrow file,
    in their order; OSError where the file is shorter."""
    digest = hashlib.sha256(before)
    for first, end in ranges:
        source.seek(first)
        left = end - first
        while left > 0:
            part = source.read(min(left, _BLOCK))
            if not part:
                raise OSError(f"it ends {left} bytes before byte {end}")
            digest.update(part)
            left -= len(part)
    return digest.hexdigest()


def _from_uri(uri: str) -> tuple[pafs.FileSystem, str]:
    try:
        return pafs.FileSystem.from_uri(uri)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot open the log {uri}", why=str(error), do="give a folder or a URI that exists"
        ) from error


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _fact(info: pafs.FileInfo) -> FileFact:
    return FileFact(info.path, info.size, info.mtime_ns or 0)


def _fsync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
