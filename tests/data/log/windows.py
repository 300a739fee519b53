"""A file system that refuses what Windows refuses: to replace or remove a file that is open.

Arrow opens files there without leave to delete, so a rename over one that somebody reads fails
with "access denied" (5) or "sharing violation" (32). Everything else is the real file system.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

from pyarrow import fs as pafs

from data.log import LogStore
from data.log.storage import Storage


class BusyError(PermissionError):
    """What the operating system says there; the attribute is what Windows adds to it."""

    def __init__(self, path: str, winerror: int) -> None:
        super().__init__(13, "The process cannot access the file because it is being used", path)
        self.winerror = winerror


class WindowsFileSystem:
    """Stands in for ``Storage.fs``; remembers which files are open for reading or writing."""

    def __init__(self, real: pafs.FileSystem) -> None:
        self._real = real
        self._open: list[tuple[str, weakref.ref[Any]]] = []
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def open_input_file(self, path: str) -> Any:
        return self._noted(path, self._real.open_input_file(path))

    def open_output_stream(self, path: str) -> Any:
        self._refuse(path, 32)
        return self._noted(path, self._real.open_output_stream(path))

    def move(self, source: str, target: str) -> None:
        self._refuse(source, 32)
        self._refuse(target, 5)
        self._real.move(source, target)

    def delete_file(self, path: str) -> None:
        self._refuse(path, 32)
        self._real.delete_file(path)

    def delete_dir(self, path: str) -> None:
        for name in self.open_files():
            if name.startswith(f"{path}/"):
                self._refuse(name, 32)
        self._real.delete_dir(path)

    def open_files(self) -> list[str]:
        """Paths that are open now."""
        alive = [(path, ref) for path, ref in self._open if (f := ref()) and not f.closed]
        self._open = alive
        return [path for path, _ in alive]

    def _noted(self, path: str, file: Any) -> Any:
        self._open.append((path, weakref.ref(file)))
        return file

    def _refuse(self, path: str, winerror: int) -> None:
        if path in self.open_files():
            self.refused += 1
            raise BusyError(path, winerror)


def windows_log(root: Path) -> tuple[LogStore, WindowsFileSystem]:
    """A log on such a file system."""
    storage = Storage(root)
    there = WindowsFileSystem(storage.fs)
    storage.fs = there
    return LogStore.over(storage, create=True), there
