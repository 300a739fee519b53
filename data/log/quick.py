"""A quick look at a whole log: is what the catalogue promises still there and readable.

Owns :func:`quick_check`, which ``ofs doctor`` prints. Every file's presence and size is compared
with the catalogue; footers, and then the sha256 of whole files, are read for as many files as a
time and a size allow, newest first and then spread evenly. What must hold: it says how much it has
looked at, and it never reports a file that another process is replacing. ``ofs log check`` reads
everything; this refuses to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from data.errors import DataError, LockedError
from data.log import catalogue as catalogues
from data.log.entry import Entry, opened, sha256_of, split_path
from data.log.files import corrupt_file
from data.log.journal import pending
from data.log.store import LogStore

BUDGET_S = 4.0
SAMPLE_BYTES = 256 << 20


@dataclass
class Quick:
    """What was looked at and found.

    ``faults`` are (path in the log, what is wrong with it), ``gone`` the paths of files that the
    catalogue knew and that are not there (it forgets them with this look, as with any other).
    """

    files: int = 0
    rows: int = 0
    bytes: int = 0
    footers: int = 0
    hashed: int = 0
    hashed_bytes: int = 0
    committing: bool = False
    faults: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def quick_check(
    store: LogStore, budget_s: float = BUDGET_S, sample_bytes: int = SAMPLE_BYTES
) -> Quick:
    """Compare the log with its catalogue; footers and sha256 of a sample, within ``budget_s``.

    ``committing`` says that another process is in the middle of a commit: nothing is judged then.
    CorruptFileError where the catalogue itself is damaged.
    """
    end_s = time.monotonic() + budget_s
    try:
        gone = _gone(store)
        catalogue = store.catalogue()
    except LockedError:
        return Quick(committing=True)
    found = Quick(len(catalogue), int(catalogue.ints["rows"].sum()))
    found.bytes = int(catalogue.ints["bytes"].sum())
    found.gone = gone
    found.faults = [(broken.path, broken.why) for broken in catalogue.broken]
    broken = {path for path, _ in found.faults}
    sample = [entry for entry in _spread(catalogue.entries) if entry.file not in broken]
    half_s = (end_s + time.monotonic()) / 2  # half of the time for footers, the rest for hashes
    for entry in sample:
        if time.monotonic() > half_s:
            break
        found.footers += 1
        found.faults += [(entry.file, why) for why in _footer(store, entry)]
    broken = {path for path, _ in found.faults}
    for entry in sample:
        if time.monotonic() > end_s or found.hashed_bytes >= sample_bytes:
            break
        if entry.file not in broken:
            found.hashed += 1
            found.hashed_bytes += entry.bytes
            found.faults += [(entry.file, why) for why in _hash(store, entry)]
    return found


def _gone(store: LogStore) -> list[str]:
    """Files of the stored catalogue that are not there; none while a commit is under way."""
    if pending(store.storage):
        return []
    known = catalogues.load(store.storage)
    if known is None:
        return []
    there = {file.path for file in catalogues.data_files(store.storage)}
    gone = [path for path in known.texts["path"] if split_path(path)[0] not in there]
    if not gone:
        return []
    again = catalogues.load(store.storage)  # a commit in between may have removed them rightly
    still = set(again.texts["path"]) if again is not None else set()
    missing = [path for path in gone if store.storage.fact(split_path(path)[0]) is None]
    return [path for path in missing if path in still]


def _spread(entries: list[Entry]) -> list[Entry]:
    """The newest day of every series first, then the others in one fixed random order."""
    newest: dict[tuple[int, str, str], Entry] = {}
    for entry in entries:
        series = (int(entry.kind), entry.venue, entry.symbol)
        if series not in newest or newest[series].date < entry.date:
            newest[series] = entry
    first = {entry.path for entry in newest.values()}
    rest = [entry for entry in entries if entry.path not in first]
    random.Random(len(entries)).shuffle(rest)
    return [*newest.values(), *rest]


def _footer(store: LogStore, entry: Entry) -> Iterator[str]:
    """Why the footer is not what the catalogue says; nothing where it is."""
    try:
        with corrupt_file(store.storage.name(entry.file)), opened(store.storage, entry) as reader:
            header = reader.header
    except DataError as error:
        yield error.why
        return
    if reader.rows != entry.rows:
        yield f"its footer says {reader.rows} rows, the catalogue {entry.rows}"
    if (header.kind, header.venue, header.symbol) != (entry.kind, entry.venue, entry.symbol):
        yield f"it holds {header.kind.name.lower()} of {header.venue} {header.symbol}"


def _hash(store: LogStore, entry: Entry) -> Iterator[str]:
    """Why the bytes are not those that were written; nothing where they are."""
    try:
        with corrupt_file(store.storage.name(entry.file)):
            found = sha256_of(store.storage, entry)
    except DataError as error:
        yield error.why
        return
    if found != entry.sha256:
        yield f"its sha256 is {found}, the catalogue says {entry.sha256}"
