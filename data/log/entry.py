"""What the catalogue knows of one file, and how that is worked out from its rows.

Owns :class:`Entry`, the hive path of a partition, and :class:`EntryBuilder`. The writer feeds the
builder while it writes; a file that somebody else put into the log is fed from its own columns: so
both ways give the same entry.

Of a file that several symbols share (:mod:`data.log.sealed`) each symbol's share is an entry: its
path is that of the file with ``/symbol=NAME`` behind it, and its sha256 covers the row groups of
the share and the footer of the file.

It refuses to know how entries are stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.errors import DataError
from data.events import EVENTS, KIND_BY_NAME, Kind, Scales
from data.log.columns import Rows
from data.log.coverage import Coverage
from data.log.files import FileReader, Header, damaged
from data.log.footers import footer_range
from data.log.storage import Storage, hash_ranges, hash_stream

DAY_NS = 86_400_000_000_000

_NAME = re.compile(r"[^\x00-\x20\x7f/\\%:*?\"<>|=._][^\x00-\x20\x7f/\\%:*?\"<>|=]*")
_PATH = re.compile(
    r"kind=(?P<kind>[a-z]+)/venue=(?P<venue>[^/]+)/symbol=(?P<symbol>[^/]+)"
    r"/date=(?P<date>\d{4}-\d{2}-\d{2})/[^/._][^/]*\.parquet"
)

SEALED = "sealed"
"""Folder of the files that several symbols share."""

EVERY = "*"
"""In place of a symbol: any of the symbols that share a file."""

_SHARED = re.compile(
    SEALED + r"/kind=(?P<kind>[a-z]+)/venue=(?P<venue>[^/]+)"
    r"/date=(?P<date>\d{4}-\d{2}-\d{2})/[^/._][^/]*\.parquet(?:/symbol=(?P<symbol>[^/]+))?"
)
_SHARE = "/symbol="


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, or one symbol's share of one. Times are int64 ns; ids are 0 where no row has one;
    ``gaps`` counts holes in the ids of a trade file, and the unfilled holes that a gap file
    records. ``file_bytes`` is the size of the whole file of a share, 0 where ``bytes`` is.
    """

    kind: Kind
    venue: str
    symbol: str
    date: str
    path: str
    rows: int
    bytes: int
    min_ts_ns: int
    max_ts_ns: int
    min_key_ns: int
    max_key_ns: int
    min_id: int
    max_id: int
    has_recv: bool
    scales: Scales
    sha256: str
    gaps: int
    schema: int
    file_bytes: int = 0

    @property
    def file(self) -> str:
        """Path of the file that holds the rows."""
        return split_path(self.path)[0]

    @property
    def share(self) -> str:
        """The symbol whose share of the file this is; empty where all of the file is meant."""
        return split_path(self.path)[1]


@dataclass(frozen=True, slots=True)
class Place:
    """A partition: kind, venue, symbol and UTC date (YYYY-MM-DD)."""

    kind: Kind
    venue: str
    symbol: str
    date: str

    @property
    def folder(self) -> str:
        """Hive folder below the log's root."""
        name = EVENTS[self.kind].name
        return f"kind={name}/venue={self.venue}/symbol={self.symbol}/date={self.date}"

    @property
    def path(self) -> str:
        """The one file of a partition that imports write."""
        return f"{self.folder}/data.parquet"


def check_name(what: str, name: str) -> None:
    """DataError unless ``name`` can stand in a path on every system (and in a URI)."""
    if not _NAME.fullmatch(name):
        raise DataError(
            f"{name!r} cannot name a {what}",
            why='it is empty, or holds a space or one of / \\ % : * ? " < > | =',
            do="use the venue's own spelling without separators, such as BTCUSDT",
        )


def split_path(path: str) -> tuple[str, str]:
    """The file of an entry's path, and the symbol whose share of it is meant (or nothing)."""
    if not path.startswith(SEALED + "/"):
        return path, ""
    file, _, symbol = path.partition(".parquet" + _SHARE)
    return (file + ".parquet", symbol) if symbol else (path, "")


def share_path(file: str, symbol: str) -> str:
    """The path of the entry of ``symbol`` in a shared ``file``."""
    return f"{file}{_SHARE}{symbol}"


def place_of(path: str) -> Place | None:
    """The partition that a path below the root belongs to; None where it is no path of a log.

    The symbol is :data:`EVERY` for the path of a shared file.
    """
    found = _PATH.fullmatch(path) or _SHARED.fullmatch(path)
    if found is None or found["kind"] not in KIND_BY_NAME:
        return None
    symbol = found["symbol"] or EVERY
    return Place(KIND_BY_NAME[found["kind"]], found["venue"], symbol, found["date"])


def date_of(day: int) -> str:
    """YYYY-MM-DD of a number of days since 1970-01-01."""
    return str(np.datetime64(day, "D"))


class EntryBuilder:
    """Collects the facts of a file from its rows, row group by row group."""

    columns_of_gap = ("ts_ns", "recv_ns", "id", "filled")
    columns_of_rest = ("ts_ns", "recv_ns", "id")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rows = 0
        self._ts: list[int] = []
        self._keys: list[int] = []
        self._ids: list[int] = []
        self._has_recv = False
        self._coverage = Coverage()
        self._open_gaps = 0

    @classmethod
    def needs(cls, kind: Kind) -> tuple[str, ...]:
        """Columns that :meth:`add` reads."""
        return cls.columns_of_gap if kind == Kind.GAP else cls.columns_of_rest

    def add(self, rows: Rows) -> None:
        """Take the next rows of the file (at least the columns of :meth:`needs`)."""
        if rows.n == 0:
            return
        ts, recv, ids = rows["ts_ns"], rows["recv_ns"], rows["id"]
        self._rows += rows.n
        self._ts += [int(ts.min()), int(ts.max())]
        keys = np.where(recv != 0, recv, ts)
        self._keys += [int(keys.min()), int(keys.max())]
        self._has_recv = self._has_recv or bool(recv.any())
        known = ids if ids.all() else ids[ids != 0]
        if len(known):
            self._ids += [int(known.min()), int(known.max())]
        if self._place.kind == Kind.TRADE:
            self._coverage.add(ids, ts)
        elif self._place.kind == Kind.GAP:
            self._open_gaps += int((rows["filled"] == 0).sum())

    def entry(
        self, path: str, size: int, sha256: str, scales: Scales, schema: int, file_bytes: int = 0
    ) -> Entry:
        """The entry of the file as written to ``path`` (``size`` in bytes)."""
        place = self._place
        return Entry(
            kind=place.kind,
            venue=place.venue,
            symbol=place.symbol,
            date=place.date,
            path=path,
            rows=self._rows,
            bytes=size,
            min_ts_ns=min(self._ts, default=0),
            max_ts_ns=max(self._ts, default=0),
            min_key_ns=min(self._keys, default=0),
            max_key_ns=max(self._keys, default=0),
            min_id=min(self._ids, default=0),
            max_id=max(self._ids, default=0),
            has_recv=self._has_recv,
            scales=scales,
            sha256=sha256,
            gaps=self._coverage.count + self._open_gaps,
            schema=schema,
            file_bytes=file_bytes,
        )


@contextmanager
def opened(storage: Storage, entry: Entry) -> Iterator[FileReader]:
    """The open rows of an entry; OSError or CorruptFileError where they cannot be read."""
    with storage.open_input(entry.file) as source:
        yield FileReader(source, storage.name(entry.file), entry.share)


def sha256_of(storage: Storage, entry: Entry) -> str:
    """The sha256 of an entry as its bytes are now (see :func:`hash_entry`)."""
    with storage.open_input(entry.file) as source:
        return hash_entry(source, entry)


def hash_entry(source: Any, entry: Entry) -> str:
    """Hex sha256 of the open file of an entry; ``source`` is left anywhere.

    Of a share: of the bytes of its row groups and of the footer, which says what they mean.
    """
    if not entry.share:
        return hash_stream(source)
    return hash_share(source, FileReader(source, entry.file, entry.share))


def hash_share(source: Any, reader: FileReader, footer: str = "") -> str:
    """Hex sha256 over the row groups of ``reader`` and over the sha256 of the footer of its open
    file (``footer``, where somebody knows it)."""
    footer = footer or hash_ranges(source, [footer_range(source)])
    return hash_ranges(source, reader.extents(), bytes.fromhex(footer))


def describe(storage: Storage, path: str, size: int) -> Entry:
    """The entry of a file that is in the log and not in the catalogue, read from the file itself.

    CorruptFileError where it cannot be read or does not belong where it lies.
    """
    place = place_of(path)
    where = storage.name(path)
    if place is None:
        raise damaged(where, "its path is not kind=/venue=/symbol=/date=/name.parquet")
    with storage.open_input(path) as source:
        reader = FileReader(source, where)
        _check_place(reader.header, place, where)
        builder = EntryBuilder(place)
        for group in range(reader.groups):
            builder.add(reader.read(group, EntryBuilder.needs(place.kind)))
    header = reader.header
    return builder.entry(path, size, storage.sha256(path), header.scales, header.schema)


def _check_place(header: Header, place: Place, where: str) -> None:
    found = (header.kind, header.venue, header.symbol)
    if found != (place.kind, place.venue, place.symbol):
        raise damaged(where, f"it holds {found[1]} {found[2]} {EVENTS[found[0]].name}")
