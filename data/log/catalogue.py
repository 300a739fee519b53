"""The catalogue: what the log holds, without opening every file.

Owns ``catalogue.parquet`` at the root, one row a file, and its comparison with the listing of the
root. Only files that the catalogue does not know are opened. What must hold: a file that it knows
is never quietly learned anew; when its size is not the one that was written, it is reported as
broken, and when its bytes are not, whoever reads it finds out by the sha256 kept here. Everything
is done on whole columns, so that hundreds of thousands of files stay a matter of seconds.

It refuses to know how files come to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.errors import DataError
from data.events import Kind, Scales
from data.log.entry import Entry, Place, describe, place_of
from data.log.files import corrupt_file, damaged
from data.log.storage import FileFact, Storage

CATALOGUE = "catalogue.parquet"
_VERSION = "1"

_TYPES = {"int": pa.int64(), "str": pa.string(), "bool": pa.bool_(), "Kind": pa.int8()}
_SCHEMA = pa.schema(
    [pa.field(f.name, _TYPES[str(f.type)]) for f in fields(Entry) if f.name != "scales"]
    + [pa.field("price_scale", pa.int8()), pa.field("qty_scale", pa.int8())]
)


@dataclass(frozen=True, slots=True)
class Broken:
    """A file in the log that cannot be used, and why."""

    path: str
    place: Place | None
    why: str


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
    """A view of the log at one moment. ``table`` has one row a file, sorted by path."""

    def __init__(self, table: pa.Table, broken: Sequence[Broken] = ()) -> None:
        self.table = table
        self.broken = list(broken)

    def __len__(self) -> int:
        """Number of files."""
        return self.table.num_rows

    @cached_property
    def entries(self) -> list[Entry]:
        """Every file, sorted by path."""
        return _entries(self.table)

    def select(
        self,
        kinds: Iterable[Kind] | None = None,
        venue: str | None = None,
        symbol: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> list[Entry]:
        """Files of these kinds, venue and symbol that hold rows with from_ns <= ts_ns < to_ns."""
        conditions = []
        if kinds is not None:
            wanted = pa.array([int(k) for k in kinds], pa.int8())
            conditions.append(pc.is_in(self.table["kind"], wanted))
        for name, value in (("venue", venue), ("symbol", symbol)):
            if value is not None:
                conditions.append(pc.equal(self.table[name], value))
        if from_ns is not None:
            conditions.append(pc.greater_equal(self.table["max_ts_ns"], from_ns))
        if to_ns is not None:
            conditions.append(pc.less(self.table["min_ts_ns"], to_ns))
        chosen = self.table
        if conditions:
            mask = conditions[0]
            for condition in conditions[1:]:
                mask = pc.and_(mask, condition)
            chosen = chosen.filter(mask)
        return _entries(chosen)

    def series(self) -> list[Series]:
        """One summary for each kind, venue and symbol, sorted by venue, symbol and kind."""
        if not len(self):
            return []
        grouped = self.table.group_by(["venue", "symbol", "kind"]).aggregate(
            [
                ("min_ts_ns", "min"),
                ("max_ts_ns", "max"),
                ("rows", "sum"),
                ("bytes", "sum"),
                ("path", "count"),
                ("gaps", "sum"),
            ]
        )
        rows = grouped.sort_by([(n, "ascending") for n in ("venue", "symbol", "kind")]).to_pylist()
        return [
            Series(
                kind=Kind(row["kind"]),
                venue=row["venue"],
                symbol=row["symbol"],
                min_ts_ns=row["min_ts_ns_min"],
                max_ts_ns=row["max_ts_ns_max"],
                rows=row["rows_sum"],
                bytes=row["bytes_sum"],
                files=row["path_count"],
                gaps=row["gaps_sum"],
            )
            for row in rows
        ]

    def replaced(self, new: Sequence[Entry], gone: Iterable[str] = ()) -> Catalogue:
        """The catalogue with ``new`` in place of what had their paths, and without ``gone``."""
        drop = pa.array([e.path for e in new] + list(gone), pa.string())
        kept = self.table.filter(pc.invert(pc.is_in(self.table["path"], drop)))
        return Catalogue(_sorted(pa.concat_tables([kept, _table(new)])))


def empty() -> Catalogue:
    """The catalogue of a log without files."""
    return Catalogue(_SCHEMA.empty_table())


def to_bytes(catalogue: Catalogue) -> bytes:
    """``catalogue.parquet`` as bytes; the footer carries a digest of every column."""
    table = catalogue.table.combine_chunks()
    facts = {"ofs.catalogue": _VERSION, "ofs.digest": _digest(table)}
    out = BytesIO()
    pq.write_table(table.replace_schema_metadata(facts), out, compression="zstd")
    return out.getvalue()


def load(storage: Storage) -> Catalogue | None:
    """The stored catalogue; None where there is none, CorruptFileError where it is damaged."""
    if storage.fact(CATALOGUE) is None:
        return None
    where = storage.name(CATALOGUE)
    with corrupt_file(where):
        table = pq.read_table(BytesIO(storage.read_bytes(CATALOGUE)), use_threads=False)
        facts = table.schema.metadata or {}
        if facts.get(b"ofs.catalogue", b"").decode() != _VERSION:
            raise ValueError("it was not written by this version of ofs")
        table = table.replace_schema_metadata(None).cast(_SCHEMA)
        if facts[b"ofs.digest"].decode() != _digest(table):
            raise ValueError("its content does not match its digest")
    return Catalogue(table)


def refresh(storage: Storage, known: Catalogue | None) -> tuple[Catalogue, bool]:
    """The catalogue brought in line with what is there, and whether that changed it."""
    base = (known or empty()).table
    found = [f for folder in _kind_folders(storage) for f in storage.list_files(folder)]
    found = [f for f in found if _is_data(f.path)]
    paths = pa.array([f.path for f in found], pa.string())
    row = pc.index_in(paths, base["path"]).to_numpy(zero_copy_only=False)
    unknown = np.isnan(row) if row.dtype.kind == "f" else np.zeros(len(row), bool)
    kept_rows = row[~unknown].astype(np.int64)
    kept = base.take(pa.array(np.sort(kept_rows)))
    broken = _resized(storage, base, [f for f, u in zip(found, unknown, strict=True) if not u])
    new: list[Entry] = []
    for file in (f for f, u in zip(found, unknown, strict=True) if u):
        try:
            new.append(describe(storage, file.path, file.size))
        except DataError as error:
            broken.append(Broken(file.path, place_of(file.path), error.why))
        except FileNotFoundError:
            continue  # it went away between the listing and now
        except OSError as error:
            broken.append(Broken(file.path, place_of(file.path), str(error)))
    table = _sorted(pa.concat_tables([kept, _table(new)])) if new else kept
    return Catalogue(table, broken), bool(new) or len(kept) != len(base)


def broken_error(storage: Storage, broken: Broken) -> DataError:
    """The error to raise where a broken file is needed."""
    return damaged(storage.name(broken.path), broken.why)


def _resized(storage: Storage, base: pa.Table, files: list[FileFact]) -> list[Broken]:
    paths = pa.array([f.path for f in files], pa.string())
    row = pc.index_in(paths, base["path"])
    sizes = base["bytes"].take(row).to_numpy()
    now = np.array([f.size for f in files], np.int64)
    return [
        Broken(
            files[i].path,
            place_of(files[i].path),
            f"it has {now[i]} bytes, {sizes[i]} were written",
        )
        for i in np.flatnonzero(sizes != now)
    ]


def _kind_folders(storage: Storage) -> list[str]:
    return [f for f in storage.list_folders() if f.startswith("kind=")]


def _is_data(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".parquet") and name[0] not in "._"


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for name in _SCHEMA.names:
        column = table[name]
        if pa.types.is_string(column.type):
            digest.update("\0".join(column.to_pylist()).encode())
        else:
            digest.update(column.cast(pa.int64()).to_numpy().tobytes())
    return digest.hexdigest()


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by("path").combine_chunks()


def _table(entries: Sequence[Entry]) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    for entry in entries:
        for name in _SCHEMA.names:
            if name == "price_scale":
                columns[name].append(entry.scales.price)
            elif name == "qty_scale":
                columns[name].append(entry.scales.qty)
            else:
                columns[name].append(getattr(entry, name))
    return pa.table(columns, schema=_SCHEMA)


def _entries(table: pa.Table) -> list[Entry]:
    columns = {name: table[name].to_pylist() for name in _SCHEMA.names}
    prices, quantities = columns.pop("price_scale"), columns.pop("qty_scale")
    columns["scales"] = [Scales(p, q) for p, q in zip(prices, quantities, strict=True)]
    columns["kind"] = [Kind(k) for k in columns["kind"]]
    names = [f.name for f in fields(Entry)]
    return [Entry(*values) for values in zip(*(columns[n] for n in names), strict=True)]
