"""Files that something other than an import put into a partition: hours of a recorder, copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from data.events import EVENTS, Kind, Scales
from data.log import LogStore
from data.log.columns import concat, from_input
from data.log.entry import Place
from data.log.files import FileReader, FileWriter, group_rows
from data.log.order import sort_index
from data.log.storage import Storage
from tests.data.log.support import SCALES, SYMBOL, VENUE, Row, columns

DATE = "2024-08-09"


def write_part(
    root: Path,
    kind: Kind,
    rows: Sequence[Row],
    name: str,
    date: str = DATE,
    scales: Scales = SCALES,
    as_given: bool = False,
) -> Path:
    """Write ``rows`` as file ``name`` of a partition, in total order unless ``as_given``."""
    return write_columns(root, kind, columns(kind, rows), name, date, scales, as_given)


def write_columns(
    root: Path,
    kind: Kind,
    given: Mapping[str, Any],
    name: str,
    date: str = DATE,
    scales: Scales = SCALES,
    as_given: bool = False,
) -> Path:
    """As :func:`write_part`, from what ``tx.merge`` takes."""
    table = from_input(kind, given)
    index = None if as_given else sort_index(table)
    table = table if index is None else table.take(index)
    path = f"{Place(kind, VENUE, SYMBOL, date).folder}/{name}"
    size = group_rows(kind)
    sink = Storage(root).open_output(path)
    with FileWriter(sink, kind, VENUE, SYMBOL, scales, table.n) as writer:
        for start in range(0, table.n, size):
            writer.write(table.slice(start, min(start + size, table.n)))
    return root / path


def split_store(root: Path, tape: Mapping[Kind, Sequence[Row]], files: Mapping[Kind, Any]) -> Any:
    """A log whose rows lie in the files that ``files`` says, row by row, each day apart."""
    root.mkdir(parents=True, exist_ok=True)
    for kind, rows in tape.items():
        for name in sorted(set(files[kind])):
            chosen = [r for r, f in zip(rows, files[kind], strict=True) if f == name]
            for date in sorted({date_of(r) for r in chosen}):
                write_part(root, kind, [r for r in chosen if date_of(r) == date], name, date)
    return LogStore(root)


def date_of(row: Row) -> str:
    """The UTC date of the partition of ``row``."""
    from data.log.entry import DAY_NS
    from data.log.entry import date_of as named

    return named((row["recv_ns"] or row["ts_ns"]) // DAY_NS)


@st.composite
def splits(draw: st.DrawFn, tape: Mapping[Kind, Sequence[Row]]) -> dict[Kind, list[str]]:
    """A file name for every row."""
    names = st.sampled_from(
        ["data.parquet", "hour-00.parquet", "hour-01.parquet", "part-a.parquet"]
    )
    return {k: draw(st.lists(names, min_size=len(r), max_size=len(r))) for k, r in tape.items()}


def split_files(root: Path, pieces: int = 4) -> None:
    """Let every file of a log be several of consecutive rows, as a recorder leaves them."""
    storage = Storage(root)
    for entry in LogStore(root).catalogue().entries:
        with storage.open_input(entry.path) as source:
            reader = FileReader(source, entry.path)
            names = EVENTS[entry.kind].names
            rows = concat([reader.read(group, names) for group in range(reader.groups)])
        edges = [rows.n * i // pieces for i in range(pieces + 1)]
        for i in range(pieces):
            part = rows.slice(edges[i], edges[i + 1])
            if not part.n:
                continue
            path = entry.path.replace("data.parquet", f"hour-{i:02d}.parquet")
            series = entry.kind, entry.venue, entry.symbol, entry.scales
            with FileWriter(storage.open_output(path), *series, part.n) as writer:
                writer.write(part)
        (root / entry.path).unlink()
    (root / "catalogue.parquet").unlink()
