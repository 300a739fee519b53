"""Disks for tests: one in memory, one whose n-th call fails, one that remembers what it would lose.

They stand in the place of :class:`data.journal.files.Files`. The folder itself is made on the real
disk all the same, because the lock lies there.
"""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.journal.files import Files

GARBAGE = b"\xa5OFSJ\0"


class MemoryFiles(Files):
    """Files in a dictionary; a handle is a path."""

    def __init__(self, content: dict[Path, bytearray] | None = None) -> None:
        self.content = content or {}

    def names(self, folder: Path) -> list[str]:
        return sorted(p.name for p in self.content if p.parent == folder)

    def size(self, path: Path) -> int:
        return len(self.content[path])

    def read(self, path: Path, most: int = -1) -> bytes:
        if path not in self.content:
            raise FileNotFoundError(path)
        return bytes(self.content[path][: None if most < 0 else most])

    def open(self, path: Path, new: bool) -> Path:
        if new and path in self.content:
            raise FileExistsError(path)
        self.content.setdefault(path, bytearray())
        return path

    def append(self, handle: Any, data: memoryview) -> int:
        self.content[handle] += data
        return len(data)

    def fdatasync(self, handle: Any) -> None:
        assert handle in self.content

    def forget(self, handle: Any) -> None:
        pass

    def truncate(self, handle: Any, size: int) -> None:
        del self.content[handle][size:]

    def close(self, handle: Any) -> None:
        pass

    def rename(self, source: Path, target: Path) -> None:
        self.content[target] = self.content.pop(source)

    def remove(self, path: Path) -> None:
        del self.content[path]

    def fsync_dir(self, folder: Path) -> None:
        pass


class FaultyFiles(MemoryFiles):
    """Fails on the ``fail_at``-th change to the disk, once or from then on.

    ``code`` is the errno. ENOSPC hits only what needs space. A write that fails leaves the first
    ``leave`` of its bytes, as a disk does that fills up.
    """

    def __init__(self, fail_at: int, code: int, always: bool = False, leave: int = 0) -> None:
        super().__init__()
        self.fail_at, self.code, self.always, self.leave = fail_at, code, always, leave
        self.calls = self.failures = 0
        self.short = 1 << 30

    def _count(self, needs_space: bool = False) -> None:
        if self.code == errno.ENOSPC and not needs_space:
            return
        self.calls += 1
        due = self.calls >= self.fail_at if self.always else self.calls == self.fail_at
        if due:
            self.failures += 1
            raise OSError(self.code, "injected")

    def open(self, path: Path, new: bool) -> Path:
        self._count(needs_space=new)
        return super().open(path, new)

    def append(self, handle: Any, data: memoryview) -> int:
        try:
            self._count(needs_space=True)
        except OSError:
            super().append(handle, data[: self.leave])
            raise
        return super().append(handle, data[: self.short])

    def fdatasync(self, handle: Any) -> None:
        self._count()

    def truncate(self, handle: Any, size: int) -> None:
        self._count()
        super().truncate(handle, size)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def fsync_dir(self, folder: Path) -> None:
        self._count()


@dataclass(eq=False)
class Inode:
    """A file: its safe bytes, and the writes (offset, bytes or None: cut there) that are not."""

    safe: bytearray = field(default_factory=bytearray)
    loose: list[tuple[int, bytes | None]] = field(default_factory=list)

    def settle(self) -> None:
        for at, data in self.loose:
            _do(self.safe, at, data)
        self.loose.clear()


class PowerCutFiles(MemoryFiles):
    """Remembers every change, so that :meth:`after_cut` can tell what a power cut leaves.

    What was not synced may be kept, lost, torn or come as rubbish, each write for itself and in
    any order; a name that was made, changed or removed may stay or not until its folder is synced.
    """

    def __init__(self, content: dict[Path, bytearray] | None = None) -> None:
        super().__init__(content)
        self.start = {path: bytes(data) for path, data in self.content.items()}
        self.steps: list[tuple[str, Path, Any]] = []

    def said(self, word: str, value: Any) -> None:
        """Put a mark of the test's among the changes."""
        self.steps.append((word, Path(), value))

    def open(self, path: Path, new: bool) -> Path:
        if path not in self.content:
            self.steps.append(("make", path, None))
        return super().open(path, new)

    def append(self, handle: Any, data: memoryview) -> int:
        self.steps.append(("write", handle, (len(self.content[handle]), bytes(data))))
        return super().append(handle, data)

    def truncate(self, handle: Any, size: int) -> None:
        self.steps.append(("write", handle, (size, None)))
        super().truncate(handle, size)

    def fdatasync(self, handle: Any) -> None:
        self.steps.append(("sync", handle, None))

    def rename(self, source: Path, target: Path) -> None:
        self.steps.append(("rename", source, target))
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self.steps.append(("remove", path, None))
        super().remove(path)

    def fsync_dir(self, folder: Path) -> None:
        self.steps.append(("folder", folder, None))

    def after_cut(self, at: int, chance: random.Random) -> dict[Path, bytearray]:
        """What may be on the disk when the power goes after the first ``at`` changes."""
        safe = {path: Inode(bytearray(data)) for path, data in self.start.items()}
        now = dict(safe)
        loose: list[tuple[str, Path, Any]] = []
        for word, path, value in self.steps[:at]:
            if word == "write":
                now[path].loose.append(value)
            elif word == "sync":
                now[path].settle()
            elif word == "folder":
                safe = dict(now)
                loose.clear()
            elif word in ("make", "rename", "remove"):
                step = (word, path, Inode() if word == "make" else value)
                loose.append(step)
                _rename(now, step)
        for step in loose:
            if chance.random() < 0.5:
                _rename(safe, step)
        return {path: _left(inode, chance) for path, inode in safe.items()}


def _rename(names: dict[Path, Inode], step: tuple[str, Path, Any]) -> None:
    word, path, value = step
    if word == "make":
        names[path] = value
    elif path in names:
        inode = names.pop(path)
        if word == "rename":
            names[value] = inode


def _left(inode: Inode, chance: random.Random) -> bytearray:
    """The safe bytes, and what came of the writes behind them."""
    data = bytearray(inode.safe)
    share = chance.choice((0.0, 0.5, 0.9, 1.0))
    for at, written in inode.loose:
        if chance.random() < share:
            _do(data, at, written)
        elif written is not None and chance.random() < 0.5:
            start, stop = sorted(chance.choices(range(len(written) + 1), k=2))
            part = written[start:stop]
            rubbish = chance.random() < 0.2
            _do(data, at + start, (GARBAGE * len(part))[: len(part)] if rubbish else part)
    return data


def _do(data: bytearray, at: int, written: bytes | None) -> None:
    if written is None:
        del data[at:]
    elif written:
        data.extend(bytes(max(0, at - len(data))))
        data[at : at + len(written)] = written
