"""The catalogue: what the log holds, without opening every file.

Owns ``catalogue.parquet`` at the root, one row a file (or a symbol's share of one, see
:mod:`data.log.sealed`), and its comparison with the listing of the root. Only files that the
catalogue does not know are opened. What must hold: a file that it knows is never quietly learned
anew; when its size is not the one that was written, it is reported as broken, and when its bytes
are not, whoever reads it finds out by the sha256 kept here. Everything is done on whole columns, so
that hundreds of thousands of files stay a matter of seconds.

It refuses to know how files come to be.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError
from data.events import Kind, Scales
from data.log.arrow import int_array, ints_of, text_array, texts_of
from data.log.entry import (
    DAY_NS,
    EVERY,
    SEALED,
    Entry,
    Place,
    describe,
    place_of,
    split_path,
)
from data.log.files import corrupt_file, damaged
from data.log.sealed import Taken, shares_of, taken_of
from data.log.storage import FileFact, Storage

CATALOGUE = "catalogue.parquet"
_VERSIONS = ("1", "2")
"""2 has the column ``file_bytes``; it is written only where something is shared."""
_SKEW_NS = 3_600_000_000_000

_TEXTS = tuple(f.name for f in fields(Entry) if f.type == "str")
_INTS = tuple(f.name for f in fields(Entry) if f.type in ("int", "bool", "Kind"))
_SCALES = ("price_scale", "qty_scale")
_COLUMNS = (*(f.name for f in fields(Entry) if f.name != "scales"), *_SCALES)
_FILE_BYTES = "file_bytes"


@dataclass(frozen=True, slots=True)
class Broken:
    """A file in the log that cannot be used, why, and the exchange times that it may hold; of a
    file that several symbols share, ``place`` names every symbol."""

    path: str
    place: Place | None
    why: str
    low_ns: int
    high_ns: int

    def touches(self, from_ns: int | None, to_ns: int | None) -> bool:
        """True when rows of the range may be in the file."""
        after = from_ns is None or self.high_ns >= from_ns
        return after and (to_ns is None or self.low_ns < to_ns)

    def concerns(self, kind: Kind, venue: str | None, symbol: str | None) -> bool:
        """True when rows of these may be in the file (None: of any)."""
        place = self.place
        if place is None or place.kind != kind or venue not in (None, place.venue):
            return False
        return symbol is None or place.symbol in (symbol, EVERY)


@dataclass(frozen=True, slots=True)
class Series:
    """All files of one kind, venue and symbol; times are exchange times, int64 ns."""

    kind: Kind
    venue: str
    symbol: str
    min_ts_ns: int
    max_ts_ns: int
    rows: int
    bytes: int
    files: int
    gaps: int


class Catalogue:
    """A view of the log at one moment: one row a file, sorted by path, column by column.

    ``texts`` are lists of str, ``ints`` int64 arrays. ``broken`` are files that cannot be used.
    ``taken`` are, by shared file, the symbols whose rows in it do not count any more.
    """

    def __init__(
        self,
        texts: Mapping[str, list[str]],
        ints: Mapping[str, np.ndarray],
        broken: Sequence[Broken] = (),
    ) -> None:
        self.texts = dict(texts)
        self.ints = dict(ints)
        self.broken = list(broken)
        self.taken: Taken = {}

    def __len__(self) -> int:
        """Number of files."""
        return len(self.texts["path"])

    @cached_property
    def entries(self) -> list[Entry]:
        """Every file, sorted by path."""
        return self._entries(np.arange(len(self)))

    def select(
        self,
        kinds: Iterable[Kind] | None = None,
        venue: str | None = None,
        symbol: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> list[Entry]:
        """Files of these kinds, venue and symbol that hold rows with from_ns <= ts_ns < to_ns."""
        mask = np.ones(len(self), bool)
        if kinds is not None:
            mask &= np.isin(self.ints["kind"], [int(k) for k in kinds])
        if from_ns is not None:
            mask &= self.ints["max_ts_ns"] >= from_ns
        if to_ns is not None:
            mask &= self.ints["min_ts_ns"] < to_ns
        for name, value in (("venue", venue), ("symbol", symbol)):
            if value is not None:
                codes, known = self._codes[name]
                mask &= codes == known.get(value, -1)
        return self._entries(np.flatnonzero(mask))

    def series(self) -> list[Series]:
        """One summary for each kind, venue and symbol, sorted by venue, symbol and kind."""
        if not len(self):
            return []
        (venue, _), (symbol, _) = self._codes["venue"], self._codes["symbol"]
        order = np.lexsort((self.ints["kind"], symbol, venue))
        keys = np.stack((venue, symbol, self.ints["kind"]))[:, order]
        starts = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
        ints = {name: values[order] for name, values in self.ints.items()}
        sums = {n: np.add.reduceat(ints[n], starts) for n in ("rows", "bytes", "gaps")}
        first = np.minimum.reduceat(ints["min_ts_ns"], starts)
        last = np.maximum.reduceat(ints["max_ts_ns"], starts)
        files = np.diff(np.append(starts, len(self)))
        found = [
            Series(
                kind=Kind(int(keys[2, start])),
                venue=self.texts["venue"][order[start]],
                symbol=self.texts["symbol"][order[start]],
                min_ts_ns=int(first[i]),
                max_ts_ns=int(last[i]),
                rows=int(sums["rows"][i]),
                bytes=int(sums["bytes"][i]),
                files=int(files[i]),
                gaps=int(sums["gaps"][i]),
            )
            for i, start in enumerate(starts)
        ]
        return sorted(found, key=lambda s: (s.venue, s.symbol, s.kind))

    @property
    def shared(self) -> range:
        """The rows that are shares of files that several symbols share; they stand together."""
        paths = self.texts["path"]
        return range(bisect_left(paths, f"{SEALED}/"), bisect_left(paths, f"{SEALED}0"))

    def narrowed(self, rows: Sequence[int]) -> Catalogue:
        """The catalogue of these rows alone, in their order."""
        found = self._with(np.array(rows, np.int64), ())
        found.broken, found.taken = self.broken, self.taken
        return found

    def replaced(self, new: Sequence[Entry], gone: Iterable[str] = ()) -> Catalogue:
        """The catalogue with ``new`` in place of what had their paths, and without ``gone``."""
        drop = {e.path for e in new} | set(gone)
        kept = [i for i, path in enumerate(self.texts["path"]) if path not in drop]
        return self._with(np.array(kept, np.int64), new)

    def _with(self, kept: np.ndarray, new: Sequence[Entry]) -> Catalogue:
        """The rows ``kept`` and the entries ``new``, sorted by path."""
        texts = {n: [self.texts[n][i] for i in kept] + [getattr(e, n) for e in new] for n in _TEXTS}
        ints = {n: self.ints[n][kept] for n in (*_INTS, *_SCALES)}
        if new:
            added = _ints(new)
            ints = {n: np.concatenate((ints[n], added[n])) for n in ints}
        paths = texts["path"]
        order = sorted(range(len(paths)), key=paths.__getitem__)
        texts = {n: [values[i] for i in order] for n, values in texts.items()}
        place = np.array(order, np.int64)
        return Catalogue(texts, {n: values[place] for n, values in ints.items()})

    @cached_property
    def _codes(self) -> dict[str, tuple[np.ndarray, dict[str, int]]]:
        """Small numbers for venues and symbols (int64[files]), and what they stand for."""
        out = {}
        for name in ("venue", "symbol"):
            known: dict[str, int] = {}
            codes = [known.setdefault(text, len(known)) for text in self.texts[name]]
            out[name] = (np.array(codes, np.int64), known)
        return out

    def _entries(self, index: np.ndarray) -> list[Entry]:
        columns: dict[str, list[Any]] = {
            n: [self.texts[n][i] for i in index.tolist()] for n in _TEXTS
        }
        columns |= {n: self.ints[n][index].tolist() for n in (*_INTS, *_SCALES)}
        prices, quantities = columns["price_scale"], columns["qty_scale"]
        columns["scales"] = [Scales(p, q) for p, q in zip(prices, quantities, strict=True)]
        columns["kind"] = [Kind(k) for k in columns["kind"]]
        columns["has_recv"] = [bool(flag) for flag in columns["has_recv"]]
        names = [f.name for f in fields(Entry)]
        return [Entry(*values) for values in zip(*(columns[n] for n in names), strict=True)]


def empty() -> Catalogue:
    """The catalogue of a log without files."""
    return Catalogue(
        {n: [] for n in _TEXTS}, {n: np.empty(0, np.int64) for n in (*_INTS, *_SCALES)}
    )


def to_bytes(catalogue: Catalogue) -> bytes:
    """``catalogue.parquet`` as bytes; the footer carries a digest of every column."""
    version = _VERSIONS[bool(catalogue.ints[_FILE_BYTES].any())]
    columns = _columns(version)
    arrays = [
        text_array(catalogue.texts[n]) if n in catalogue.texts else int_array(catalogue.ints[n])
        for n in columns
    ]
    facts = {"ofs.catalogue": version, "ofs.digest": _digest(catalogue, columns)}
    table = pa.Table.from_arrays(arrays, names=list(columns)).replace_schema_metadata(facts)
    out = BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def load(storage: Storage) -> Catalogue | None:
    """The stored catalogue; None where there is none, CorruptFileError where it is damaged."""
    if storage.fact(CATALOGUE) is None:
        return None
    where = storage.name(CATALOGUE)
    content = storage.read_bytes(CATALOGUE)
    with corrupt_file(where, "delete it: it is made again from the files of the log"):
        # not read_table: that imports pyarrow.dataset, 37 MB of it
        table = pq.ParquetFile(BytesIO(content)).read(use_threads=False)
        facts = table.schema.metadata or {}
        version = facts.get(b"ofs.catalogue", b"").decode()
        if version not in _VERSIONS:
            raise ValueError("it was not written by this version of ofs")
        columns = _columns(version)
        texts = {n: texts_of(table[n]) for n in _TEXTS}
        ints = {n: np.zeros(len(texts["path"]), np.int64) for n in (*_INTS, *_SCALES)}
        ints |= {n: ints_of(table[n].cast(pa.int64())) for n in ints if n in columns}
        found = Catalogue(texts, ints)
        if facts[b"ofs.digest"].decode() != _digest(found, columns):
            raise ValueError("its content does not match its digest")
    return found


def refresh(storage: Storage, known: Catalogue | None) -> tuple[Catalogue, bool]:
    """The catalogue brought in line with what is there, and whether that changed it."""
    base = known if known is not None else empty()
    rows_of: dict[str, list[int]] = {}
    for i, path in enumerate(base.texts["path"]):
        rows_of.setdefault(split_path(path)[0], []).append(i)
    taken = taken_of(storage)
    kept: list[int] = []
    new: list[Entry] = []
    broken: list[Broken] = []
    for file in data_files(storage):
        rows = rows_of.get(file.path)
        gone = taken.get(file.path, frozenset())
        if gone and rows:  # an old catalogue may not know of it
            rows = [i for i in rows if base.texts["symbol"][i] not in gone]
        if not rows:
            _learn(storage, file, new, broken, gone)
            continue
        kept += rows
        broken += _resized(base, rows, file)
    changed = bool(new) or len(kept) != len(base)
    found = base._with(np.array(kept, np.int64), new) if changed else base
    found.broken, found.taken = broken, taken
    return found, changed


def _resized(base: Catalogue, rows: Sequence[int], file: FileFact) -> list[Broken]:
    """What is wrong with a known file whose size is not the one that was written; ``rows`` are
    those of its shares."""
    written = int(base.ints[_FILE_BYTES][rows[0]] or base.ints["bytes"][rows[0]])
    if written == file.size:
        return []
    low, high = base.ints["min_ts_ns"][rows].min(), base.ints["max_ts_ns"][rows].max()
    why = f"it has {file.size} bytes, {written} were written"
    return [Broken(file.path, place_of(file.path), why, int(low), int(high))]


def broken_error(storage: Storage, broken: Broken) -> DataError:
    """The error to raise where a broken file is needed."""
    return damaged(storage.name(broken.path), broken.why)


def _learn(
    storage: Storage,
    file: FileFact,
    new: list[Entry],
    broken: list[Broken],
    taken: Iterable[str],
) -> None:
    """Open a file that the catalogue does not know."""
    try:
        if file.path.startswith(SEALED):
            new += shares_of(storage, file.path, file.path, without=taken)
        else:
            new.append(describe(storage, file.path, file.size))
    except DataError as error:
        broken.append(_unreadable(file.path, error.why))
    except FileNotFoundError:
        return  # it went away between the listing and now
    except OSError as error:
        broken.append(_unreadable(file.path, str(error)))


def _unreadable(path: str, why: str) -> Broken:
    """A file of which only the path is known: its date, give or take the skew of a clock."""
    place = place_of(path)
    if place is None:
        return Broken(path, None, why, 0, 0)
    start = int(np.datetime64(place.date, "ns").astype(np.int64))
    return Broken(path, place, why, start - _SKEW_NS, start + DAY_NS + _SKEW_NS)


def data_files(storage: Storage) -> Iterable[FileFact]:
    """Every file of the log that should hold events, as a listing shows it."""
    for folder in storage.list_folders():
        if not folder.startswith("kind=") and folder != SEALED:
            continue
        for file in storage.list_files(folder):
            name = file.path.rpartition("/")[2]
            if name.endswith(".parquet") and name[0] not in "._":
                yield file


def _columns(version: str) -> tuple[str, ...]:
    """The columns of a stored catalogue of this version, in their order."""
    return tuple(n for n in _COLUMNS if n != _FILE_BYTES or version == "2")


def _digest(catalogue: Catalogue, columns: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in columns:
        if name in catalogue.texts:
            digest.update("\0".join(catalogue.texts[name]).encode())
        else:
            digest.update(catalogue.ints[name].tobytes())
    return digest.hexdigest()


def _ints(entries: Sequence[Entry]) -> dict[str, np.ndarray]:
    columns = {n: np.array([int(getattr(e, n)) for e in entries], np.int64) for n in _INTS}
    columns["price_scale"] = np.array([e.scales.price for e in entries], np.int64)
    columns["qty_scale"] = np.array([e.scales.qty for e in entries], np.int64)
    return columns
