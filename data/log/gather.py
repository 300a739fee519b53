"""Gathering: small files that several symbols share become fewer and larger ones.

A session that seals every few minutes would leave thousands of files a day until the day is
compacted. Owns which files are gathered, and the gathering. What must hold:

* only files of one session, kind, venue and day that follow each other become one, so their rows
  stand in the total order as they are, symbol by symbol; nothing is joined or left out, and what
  was taken out of a file before stays out;
* nothing is committed before the new file was read back and found to hold what went in;
* the new file names, by symbol, the shares that it was made from, as a compacted file does
  (:func:`data.log.compact.explained`).

It refuses to know when it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from data.errors import DataError
from data.events import EVENTS, Kind
from data.log.catalogue import Catalogue
from data.log.columns import Rows, larger
from data.log.compact import RowDigest
from data.log.entry import Entry, hash_share
from data.log.files import FileReader, corrupt_file, damaged, group_rows, short_hash
from data.log.partition import regroup
from data.log.sealed import SharedWriter, shared_path, shares_of
from data.log.storage import Storage
from data.log.store import LogStore

FEWEST = 8
"""So many small files are worth being one."""

SMALL_BYTES = 64 << 20
"""A file from this size on is left as it is, so each row is written again a few times at most."""

MOST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Gathering:
    """Shared files, in the order of their rows, that become the file at ``path``."""

    kind: Kind
    venue: str
    path: str
    files: tuple[str, ...]
    bytes: int


def plan_gathering(catalogue: Catalogue, fewest: int = FEWEST) -> list[Gathering]:
    """What is worth gathering: ``fewest`` small files or more that follow each other."""
    broken = {b.path for b in catalogue.broken}
    days: dict[tuple[Kind, str, str, str], dict[tuple[int, int], Entry]] = {}
    for entry in catalogue.narrowed(catalogue.shared).entries:
        name = _parts(entry.file) if entry.file not in broken else None
        if name is not None:
            session, first, last = name
            key = entry.kind, entry.venue, entry.date, session
            days.setdefault(key, {})[first, last] = entry
    plan: list[Gathering] = []
    for (kind, venue, date, session), files in sorted(days.items()):
        for run in _runs(files, fewest):
            name_of_all = f"{session}-{run[0][0]}-{run[-1][1]}"
            path = shared_path(kind, venue, date, name_of_all)
            size = sum(files[ends].file_bytes for ends in run)
            chosen = tuple(files[ends].file for ends in run)
            plan.append(Gathering(kind, venue, path, chosen, size))
    return plan


def gather(store: LogStore, plan: Gathering) -> bool:
    """Make the files of ``plan`` one; False where the log changed since and nothing was done.

    CorruptFileError where one of them is not what was written, LockedError where another process
    is writing.
    """
    with store.transaction() as tx:
        live: dict[str, dict[str, Entry]] = {file: {} for file in plan.files}
        for entry in tx.catalogue.select([plan.kind], plan.venue):
            if entry.file in live:
                live[entry.file][entry.symbol] = entry
        if not all(live.values()):
            return False
        staged = tx.staged("parquet")
        sink = store.storage.open_output(staged)
        with ExitStack() as stack:
            writer = stack.enter_context(SharedWriter(sink, plan.kind, plan.venue, plan.path))
            readers = [_opened(store.storage, file, stack) for file in live]
            digests = _write(writer, list(live.values()), readers)
        _read_back(store.storage, staged, plan.kind, digests)
        store.storage.sync(staged)
        tx.add(staged, plan.path, shares_of(store.storage, staged, plan.path, writer.builders))
        tx.remove(entry.path for shares in live.values() for entry in shares.values())
    return True


def _write(
    writer: SharedWriter, live: Sequence[dict[str, Entry]], readers: Sequence[_Open]
) -> dict[str, RowDigest]:
    """Write every symbol's rows after each other; a digest of them by symbol."""
    digests = {}
    for symbol in sorted({symbol for shares in live for symbol in shares}):
        parts = [(shares[symbol], r) for shares, r in zip(live, readers, strict=True)
                 if symbol in shares]  # fmt: skip
        scales = parts[0][0].scales
        origins: dict[str, None] = {}
        for entry, opened in parts:
            scales = larger(scales, entry.scales)
            origins |= dict.fromkeys((short_hash(entry.sha256), *opened.origins(symbol)))
        written = digests[symbol] = RowDigest()
        rows = (r.rescale(e.scales, scales) for e, opened in parts for r in opened.rows(e))
        for piece in regroup(rows, group_rows(parts[0][0].kind)):
            writer.write(symbol, scales, piece, origins)
            written.add(piece)
    return digests


class _Open:
    """One of the files that are gathered, open."""

    def __init__(self, storage: Storage, file: str, stack: ExitStack) -> None:
        self._where = storage.name(file)
        self._source = stack.enter_context(storage.open_input(file))
        self._reader = FileReader(self._source, self._where)

    def origins(self, symbol: str) -> tuple[str, ...]:
        """What the share of ``symbol`` was made from itself."""
        return self._reader.header.shares[symbol].compacted_from

    def rows(self, entry: Entry) -> Iterator[Rows]:
        """The rows of a share, after its bytes were checked."""
        reader = self._reader.of(entry.symbol)
        with corrupt_file(self._where):
            found = hash_share(self._source, reader)
        if found != entry.sha256:
            why = f"its sha256 is {found}, the catalogue says {entry.sha256}"
            raise damaged(self._where, why)
        for group in range(reader.groups):
            yield reader.read(group, EVENTS[entry.kind].names)


def _opened(storage: Storage, file: str, stack: ExitStack) -> _Open:
    with corrupt_file(storage.name(file)):
        return _Open(storage, file, stack)


def _read_back(storage: Storage, staged: str, kind: Kind, digests: dict[str, RowDigest]) -> None:
    """DataError unless the staged file holds exactly what was written to it."""
    with storage.open_input(staged) as source:
        whole = FileReader(source, storage.name(staged))
        for symbol, written in digests.items():
            reader, found = whole.of(symbol), RowDigest()
            for group in range(reader.groups):
                found.add(reader.read(group, EVENTS[kind].names))
            if found.rows != written.rows or found.hexdigest() != written.hexdigest():
                raise DataError(
                    "gathering files would change events; nothing was done",
                    where=storage.name(staged),
                    why=f"the rows of {symbol} read back differ",
                    do="report this, with the versions that 'ofs doctor' prints",
                )


def _parts(file: str) -> tuple[str, int, int] | None:
    """Session, first and last sequence number that the name of a shared file tells."""
    words = file.rpartition("/")[2].removesuffix(".parquet").rsplit("-", 2)
    if len(words) != 3 or not (words[1].isdecimal() and words[2].isdecimal()):
        return None
    return words[0], int(words[1]), int(words[2])


def _runs(files: dict[tuple[int, int], Entry], fewest: int) -> Iterator[list[tuple[int, int]]]:
    """Small files (by first and last number) that stand next to each other, enough to gather."""
    run: list[tuple[int, int]] = []
    size = 0
    for ends in sorted(files):
        of = files[ends].file_bytes
        if of >= SMALL_BYTES or size + of > MOST_BYTES:
            if len(run) >= fewest:
                yield run
            run, size = [], 0
        if of < SMALL_BYTES:
            run.append(ends)
            size += of
    if len(run) >= fewest:
        yield run
