"""What was fetched into a log: address, checksum, and the days that it brought.

Owns the file ``fetched.json`` beside the log. What must hold: it is replaced whole or not at all;
it is written after the rows are in the log, so that it never promises what is not there (a fetch
killed between the two fetches a file once more, and the log does not change); a file whose days are
no longer in the log counts as not fetched.

It refuses to know how files are fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from data.errors import DataError

if TYPE_CHECKING:
    from data.log.storage import Storage

LEDGER = "fetched.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file that is in the log: its sha256, size in bytes, rows, and the UTC dates (ISO) of its
    period that the log held after it. ``mark`` is the server's name of the version, where the
    archive has no checksum to ask for."""

    sha256: str
    bytes: int
    rows: int
    dates: tuple[str, ...]
    mark: str = ""


class Ledger:
    """The files that were fetched into one log, by URL."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._files = _read(storage)

    def get(self, url: str) -> Fetched | None:
        """What was fetched from ``url``; None where nothing was."""
        return self._files.get(url)

    def add(self, files: Mapping[str, Fetched]) -> None:
        """Remember files; durable when this returns."""
        if all(self._files.get(url) == fetched for url, fetched in files.items()):
            return
        self._files |= files
        body = {
            "schema": SCHEMA,
            "files": {url: asdict(self._files[url]) for url in sorted(self._files)},
        }
        beside = f"{LEDGER}.tmp"
        self._storage.write_bytes(beside, (json.dumps(body, indent=1) + "\n").encode("utf-8"))
        self._storage.move(beside, LEDGER)
        self._storage.sync_dir("")


def _read(storage: Storage) -> dict[str, Fetched]:
    if storage.fact(LEDGER) is None:
        return {}
    try:
        body = json.loads(storage.read_bytes(LEDGER))
        if body["schema"] > SCHEMA:
            raise _unreadable(storage, "a newer ofs wrote it")
        return {
            url: Fetched(f["sha256"], f["bytes"], f["rows"], tuple(f["dates"]), f.get("mark", ""))
            for url, f in body["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(storage, f"{type(error).__name__}: {error}") from None


def _unreadable(storage: Storage, why: str) -> DataError:
    return DataError(
        "the list of what was fetched cannot be read",
        where=storage.name(LEDGER),
        why=why,
        do="remove it: everything asked for is then fetched again, which changes no row",
    )
