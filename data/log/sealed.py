"""Files that several symbols share: how a session's events are sealed, and how shares leave them.

A session of 300 symbols that wrote a file a symbol, kind and hour would make 43,200 a day. So one
file a kind, venue and UTC date holds all symbols, at
``sealed/kind=trade/venue=binance-um/date=2026-11-21/SESSION-FIRST-LAST.parquet`` (FIRST and LAST
are sequence numbers). Owns its layout, and ``taken.json`` beside it. What must hold:

* a row group holds rows of one symbol; the rows of a symbol stand in the total order; the column
  ``symbol`` is there for whoever reads the file without ofs;
* a symbol's rows are either live in the shared file or taken out of it (merged or compacted into
  the symbol's ``data.parquet``, or removed by retention), never both: ``taken.json`` of the folder
  names those that were taken, it changes in the commit in which they leave, and the file goes with
  its last share. So the truth stands in the files, not in the catalogue.

It refuses to know about commits and where events come from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.events import EVENTS, SCHEMA_VERSION, Kind, Scales, arrow_schema
from data.log.arrow import text_array
from data.log.columns import Rows
from data.log.entry import (
    SEALED,
    Entry,
    EntryBuilder,
    Place,
    hash_share,
    place_of,
    share_path,
    split_path,
)
from data.log.files import SHARES, ZSTD_LEVEL, FileReader, damaged, to_table
from data.log.footers import footer_range
from data.log.storage import Storage, hash_ranges

TAKEN = "taken.json"
SYMBOL = "symbol"

Taken = dict[str, frozenset[str]]
"""Path of a shared file to the symbols whose rows were taken out of it."""


def shared_path(kind: Kind, venue: str, date: str, name: str) -> str:
    """Where the shared file ``name`` (without ending) lies, below the root."""
    return f"{SEALED}/kind={EVENTS[kind].name}/venue={venue}/date={date}/{name}.parquet"


class SharedWriter:
    """Writes one shared file to a pyarrow stream ``sink``, row group by row group.

    Leaving it as a context manager without an error writes the footer.
    """

    def __init__(self, sink: Any, kind: Kind, venue: str, path: str) -> None:
        table = EVENTS[kind]
        self.path = path
        self.builders: dict[str, EntryBuilder] = {}
        self._kind, self._venue = kind, venue
        self._date = split_path(path)[0].rpartition("/date=")[2][:10]
        self._shares: dict[str, tuple[Scales, list[int], list[str]]] = {}
        self._groups = 0
        self._sink = sink
        symbol = pa.field(SYMBOL, pa.string(), nullable=False)
        leaves = [f.name + ".list.element" if f.is_list else f.name for f in table.fields]
        self._writer = pq.ParquetWriter(
            sink,
            arrow_schema(table).append(symbol),
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=[SYMBOL],
            column_encoding=dict.fromkeys(leaves, "DELTA_BINARY_PACKED"),
            write_statistics=True,
            store_schema=False,
        )

    def write(
        self, symbol: str, scales: Scales, rows: Rows, compacted_from: Iterable[str] = ()
    ) -> None:
        """Append ``rows`` (at least one, in total order) of ``symbol`` as one row group;
        ``compacted_from`` says what the share is made of (see :class:`data.log.files.Header`)."""
        place = Place(self._kind, self._venue, symbol, self._date)
        self.builders.setdefault(symbol, EntryBuilder(place)).add(rows)
        share = self._shares.setdefault(symbol, (scales, [], list(compacted_from)))
        share[1].append(self._groups)
        self._groups += 1
        names = pa.repeat(text_array([symbol])[0], rows.n)
        field = pa.field(SYMBOL, pa.string(), nullable=False)
        table = to_table(rows).append_column(field, names)
        self._writer.write_table(table, row_group_size=rows.n)

    def __enter__(self) -> SharedWriter:
        """The writer itself."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write the footer unless there was an error; close the stream either way."""
        if error is None:
            shares = {s: [k.price, k.qty, g, of] for s, (k, g, of) in self._shares.items()}
            facts = {
                "ofs.schema": str(SCHEMA_VERSION),
                "ofs.kind": EVENTS[self._kind].name,
                "ofs.venue": self._venue,
                SHARES: json.dumps(shares, separators=(",", ":")),
            }
            self._writer.add_key_value_metadata(facts)
            self._writer.close()
        self._writer.is_open = False  # else its destructor writes a footer to a closed stream
        self._sink.close()


def shares_of(
    storage: Storage,
    at: str,
    path: str,
    builders: Mapping[str, EntryBuilder] | None = None,
    without: Iterable[str] = (),
) -> list[Entry]:
    """The entries of the shared file that lies ``at`` and belongs at ``path``.

    ``builders`` saw the rows when they were written; else they are read. Symbols of ``without``
    are left out. CorruptFileError where it cannot be read or does not belong at ``path``.
    """
    where, place = storage.name(at), place_of(path)
    with storage.open_input(at) as source:
        size = source.size()
        whole = FileReader(source, where)
        header = whole.header
        if place is None or (header.kind, header.venue) != (place.kind, place.venue):
            raise damaged(where, f"it holds {header.venue} {EVENTS[header.kind].name}")
        rest = size - sum(end - first for first, end in whole.extents())
        spread = rest // max(len(header.shares), 1)
        footer = hash_ranges(source, [footer_range(source)])
        found = []
        for symbol in sorted(header.shares.keys() - set(without)):
            reader = whole.of(symbol)
            builder = builders[symbol] if builders else _read(reader, place, symbol)
            share = sum(end - first for first, end in reader.extents()) + spread
            digest = hash_share(source, reader, footer)
            scales, name = reader.header.scales, share_path(path, symbol)
            found.append(builder.entry(name, share, digest, scales, header.schema, size))
    return found


def taken_of(storage: Storage) -> Taken:
    """What was taken out of the shared files; CorruptFileError where it cannot be told."""
    found: Taken = {}
    for file in storage.list_files(SEALED):
        folder, _, name = file.path.rpartition("/")
        if name != TAKEN:
            continue
        try:
            content = json.loads(storage.read_bytes(file.path))
            found |= {f"{folder}/{n}": frozenset(symbols) for n, symbols in content.items()}
        except (ValueError, AttributeError, TypeError) as error:
            do = "restore it from a copy: without it rows would count twice"
            raise damaged(storage.name(file.path), str(error), do) from error
    return found


def left(
    paths: Iterable[str], taken: Taken, gone: Iterable[str]
) -> tuple[list[str], dict[str, bytes]]:
    """What it takes for the paths ``gone`` (files, shares) to leave, and ``paths`` to stay.

    Returns files to remove, and by path the new content of every ``taken.json`` that changes
    (empty: it goes too). ``paths`` are those of all entries of the log afterwards.
    """
    live = {split_path(path)[0] for path in paths if path.startswith(SEALED)}
    remove: dict[str, None] = {}
    leaving: dict[str, set[str]] = {}
    for path in gone:
        file, symbol = split_path(path)
        if symbol and file in live:
            leaving.setdefault(file, set(taken.get(file, ()))).add(symbol)
        else:
            remove[file] = None
    after = {**taken, **leaving}
    folders = {f.rpartition("/")[0] for f in [*leaving, *(f for f in remove if f in taken)]}
    notes = {}
    for folder in sorted(folders):
        content = {
            file.rpartition("/")[2]: sorted(symbols)
            for file, symbols in sorted(after.items())
            if file.rpartition("/")[0] == folder and file not in remove
        }
        notes[f"{folder}/{TAKEN}"] = json.dumps(content).encode() if content else b""
    return list(remove), notes


def _read(reader: FileReader, place: Place, symbol: str) -> EntryBuilder:
    builder = EntryBuilder(Place(place.kind, place.venue, symbol, place.date))
    for group in range(reader.groups):
        builder.add(reader.read(group, EntryBuilder.needs(place.kind)))
    return builder
