"""What was fetched into a log: address, checksum, and the days that it brought.

Owns the file ``fetched.json`` beside the log. What must hold: it is replaced whole or not at all,
and what another fetch into the log wrote meanwhile stays; it is written after the rows are in the
log, so that it never promises what is not there (a fetch killed between the two fetches a file once
more, and the log does not change); a file whose days lost rows since counts as not fetched; a name
and a password in an address are not written down.

It refuses to know how files are fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from data.errors import DataError, LockedError
from data.sources.http import shown

if TYPE_CHECKING:
    from data.log.storage import Storage

LEDGER = "fetched.json"
LOCK = ".fetched.lock"
SCHEMA = 1

_LOCK_WAIT_S = 30.0
"""Longest wait for another fetch that writes its own entries, which takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file that is in the log: its sha256, size in bytes, rows, and by UTC date (ISO) of its
    period the rows that the log held of it afterwards (0: nobody counted them). ``mark`` is the
    server's name of the version, where the archive has no checksum to ask for."""

    sha256: str
    bytes: int
    rows: int
    dates: Mapping[str, int]
    mark: str = ""

    def lost(self, held: Mapping[str, int]) -> list[str]:
        """The dates of which the log has fewer rows now; ``held`` is what it has, by date."""
        return [day for day, rows in self.dates.items() if held.get(day, 0) < max(rows, 1)]


class Ledger:
    """The files that were fetched into one log, by URL."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._files = _read(storage)

    def get(self, url: str) -> Fetched | None:
        """What was fetched from ``url``; None where nothing was."""
        return self._files.get(shown(url))

    def add(self, files: Mapping[str, Fetched]) -> None:
        """Remember files; durable when this returns."""
        new = {shown(url): fetched for url, fetched in files.items()}
        if all(self._files.get(url) == fetched for url, fetched in new.items()):
            return
        with self._alone():
            self._files = _read(self._storage) | new
            self._write()

    def _write(self) -> None:
        body = {
            "schema": SCHEMA,
            "files": {url: asdict(self._files[url]) for url in sorted(self._files)},
        }
        beside = f"{LEDGER}.tmp"
        self._storage.write_bytes(beside, (json.dumps(body, indent=1) + "\n").encode("utf-8"))
        self._storage.move(beside, LEDGER)
        self._storage.sync_dir("")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from writing between reading and writing (not on an object store)."""
        if self._storage.local is None:
            yield
            return
        import filelock

        # Not the lock of the log: an import may hold that for minutes.
        held = filelock.FileLock(str(self._storage.local / LOCK), thread_local=False)
        try:
            held.acquire(timeout=_LOCK_WAIT_S, poll_interval=0.02)
        except filelock.Timeout:
            raise LockedError(
                "another ofs writes down what it fetched",
                where=self._storage.name(LEDGER),
                do="run the same command again: the rows are in the log",
            ) from None
        try:
            yield
        finally:
            held.release()


def _read(storage: Storage) -> dict[str, Fetched]:
    if storage.fact(LEDGER) is None:
        return {}
    try:
        body = json.loads(storage.read_bytes(LEDGER))
        if body["schema"] > SCHEMA:
            raise _unreadable(storage, "a newer ofs wrote it")
        return {
            url: Fetched(f["sha256"], f["bytes"], f["rows"], _dates(f["dates"]), f.get("mark", ""))
            for url, f in body["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(storage, f"{type(error).__name__}: {error}") from None


def _dates(value: object) -> dict[str, int]:
    """Rows by date; the first form of the file was a list of dates."""
    if isinstance(value, list):
        return dict.fromkeys(map(str, value), 0)
    if not isinstance(value, dict):
        raise TypeError(f"dates are {value!r}")
    return {str(day): int(rows) for day, rows in value.items()}


def _unreadable(storage: Storage, why: str) -> DataError:
    return DataError(
        "the list of what was fetched cannot be read",
        where=storage.name(LEDGER),
        why=why,
        do="remove it: everything asked for is then fetched again, which changes no row",
    )
