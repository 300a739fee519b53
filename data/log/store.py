"""A log: opening it, listing what it holds, and changing it under a lock.

Owns :class:`LogStore`. What must hold: there is one writer; a reader never sees half of a commit
(it waits for a rename in progress, or finishes one whose writer died); the stored catalogue is a
copy of what the files say, and failing to update it costs time and nothing else.

It refuses to know how rows are read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import fs as pafs

from data.errors import DataError, LockedError
from data.log import catalogue as catalogues
from data.log.catalogue import Catalogue, Series
from data.log.journal import STAGING, discard_garbage, pending, roll_forward
from data.log.storage import FileFact, Storage

if TYPE_CHECKING:
    from data.log.transaction import Transaction

COMMIT_WAIT_S = 30.0
"""How long a reader waits for a writer that is in the middle of its renames."""

WRITE_WAIT_S = 1.0
"""How long a writer waits for the lock: a reader holds it for an instant to store a catalogue."""

_TRIES = 20


class LogStore:
    """The log at a path or a URI (``s3://bucket/folder``, ``file:///folder``).

    With ``create`` the root is made where it is missing, else DataError. ``filesystem`` is a
    pyarrow file system to use instead of the one that ``where`` names.

    On an object store there is no lock: make sure that one process writes.
    """

    def __init__(
        self,
        where: str | Path,
        create: bool = False,
        filesystem: pafs.FileSystem | None = None,
    ) -> None:
        self._attach(Storage(where, filesystem), create)

    @classmethod
    def over(cls, storage: Storage, create: bool = False) -> LogStore:
        """A log over a file layer of one's own (tests put one with faults here)."""
        store = cls.__new__(cls)
        store._attach(storage, create)
        return store

    def _attach(self, storage: Storage, create: bool) -> None:
        self.storage = storage
        self.verified: dict[str, FileFact] = {}
        """Files whose sha256 was checked by this process, as they were then."""
        if storage.root_exists():
            return
        if self.storage.local is not None and self.storage.local.exists():
            raise DataError(
                f"{self.storage.where} is a file and no log",
                where=str(self.storage.where),
                why="a log is a folder",
                do="name a folder with --log",
            )
        if not create:
            raise DataError(
                f"there is no log at {storage.where}",
                where=str(storage.where),
                why="the folder does not exist",
                do="import data first (ofs import PATH...), or name another log with --log",
            )
        storage.make_root()

    def catalogue(self) -> Catalogue:
        """What the log holds now. Files that the stored catalogue does not know are opened."""
        for _ in range(_TRIES):
            self._wait_for_commit()
            before = self.storage.fact(catalogues.CATALOGUE)
            try:
                known = catalogues.load(self.storage)
            except FileNotFoundError:
                continue  # a writer is replacing it
            found, changed = catalogues.refresh(self.storage, known)
            if self._unchanged(before):
                if changed:
                    self._keep(found, before)
                return found
        raise LockedError(
            "the log changes faster than it can be listed",
            where=self.storage.where,
            do="try again when the import is done",
        )

    def series(self) -> list[Series]:
        """One summary for each kind, venue and symbol."""
        return self.catalogue().series()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the log: leaving the block commits, an exception (or Ctrl-C) leaves it as it was.

        LockedError, naming the process, where another one is writing.
        """
        from data.log.transaction import Transaction

        with self.storage.lock(WRITE_WAIT_S):
            roll_forward(self.storage)
            discard_garbage(self.storage)
            known, _ = catalogues.refresh(self.storage, catalogues.load(self.storage))
            change = Transaction(self.storage, known)
            try:
                yield change
                change.commit()
            except BaseException:
                # once the journal stands, the change is committed and is finished by who opens next
                if not pending(self.storage):
                    change.discard()
                raise

    def _wait_for_commit(self) -> None:
        deadline = time.monotonic() + COMMIT_WAIT_S
        while pending(self.storage):
            try:
                with self.storage.lock():
                    roll_forward(self.storage)
            except LockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _unchanged(self, before: FileFact | None) -> bool:
        """True when nobody committed since the catalogue was seen as ``before``."""
        return not pending(self.storage) and self.storage.fact(catalogues.CATALOGUE) == before

    def _keep(self, found: Catalogue, before: FileFact | None) -> None:
        """Store what a listing taught, where nobody writes and the place can be written."""
        try:
            with self.storage.lock():
                if self._unchanged(before):
                    beside = f"{STAGING}/{catalogues.CATALOGUE}"
                    self.storage.write_bytes(beside, catalogues.to_bytes(found))
                    self.storage.move(beside, catalogues.CATALOGUE)
                    discard_garbage(self.storage)
        except (LockedError, OSError):
            # a busy or read-only log: the next reader opens the same few files again
            return
