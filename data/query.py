"""DuckDB views over the log and over every run: the one place that questions are asked of.

Owns the views, their columns and the rules of asking: one statement that reads, prices scaled,
``time`` a UTC timestamp in every view, ``venue`` and ``symbol`` wherever they make sense. Column
lists come from :mod:`data.events`; files of different scales are scaled apart and joined by
UNION ALL BY NAME; predicates on venue, symbol, date and run leave whole files unread.

What must hold: a question cannot write anything and cannot read outside the log and the runs; a
view exists, with its columns and types, before there is a single file for it.

It refuses to know how answers are printed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from data.events import (
    EVENTS,
    RECORD_VERSION,
    RECORDS,
    Kind,
    Scales,
    Table,
    duckdb_columns,
)
from data.log.entry import EVERY
from data.query_errors import check_reads_only, explain
from data.query_names import named_columns, named_docs, names_table
from data.query_stream import Stream
from data.runs import (
    RUN_COLUMNS,
    STATISTIC_COLUMNS,
    STATISTICS,
    Run,
    RunColumn,
    flat,
    list_runs,
)
from data.telemetry import COLUMNS, MONITOR, monitor_files

if TYPE_CHECKING:
    from data.log import LogStore

LOG_KINDS = (
    Kind.TRADE,
    Kind.DEPTH,
    Kind.BAR,
    Kind.QUOTE,
    Kind.GAP,
    Kind.LIQUIDATION,
    Kind.MARK,
    Kind.CLOCK,
    Kind.BROKER,
    Kind.CONTROL,
)
"""Kinds that have a view, in the order in which the views are listed."""

_HIVE = {"kind": "VARCHAR", "venue": "VARCHAR", "symbol": "VARCHAR", "date": "DATE"}
_RAW_TYPES = {"i8": "BIGINT", "i4": "INTEGER", "i1": "TINYINT"}
_HIVE_DOCS = {
    "venue": "venue, e.g. binance-um",
    "symbol": "symbol, e.g. BTCUSDT",
    "date": "UTC date of the file; a predicate on it leaves other files unread",
}
Shared = dict[str, set[str]]
"""Files that several symbols share, and some symbols of each."""

_RUN_ID = "split_part(replace(filename, chr(92), '/'), '/', -2) AS run_id"
"""A run's id is its folder's name, so that a predicate on it leaves other files unread."""
_SESSION_ID = "split_part(replace(filename, chr(92), '/'), '/', -3) AS session"
_RUN_DOCS = {
    "run": "id of the run",
    "strategy": "strategy of the run",
    "venue": "venue of the run",
    "symbol": "symbol of the run",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view as DuckDB sees it: name, type and meaning."""

    name: str
    type: str
    doc: str


@dataclass(frozen=True, slots=True)
class View:
    """A view: its name, what one row is, and its columns."""

    name: str
    doc: str
    columns: tuple[Column, ...]


class Database:
    """An in-memory DuckDB whose views read the log and the runs; use it as a context manager.

    ``log`` may be None (no log yet) and ``runs`` may not exist: the views are then empty.
    ``warnings`` names the files of the log and the manifests that cannot be used.
    """

    def __init__(self, log: LogStore | None, runs: Path) -> None:
        self._connection = duckdb.connect(":memory:")
        found, self.warnings = list_runs(runs)
        self.warnings += [
            f"{r.folder}: its manifest names no scales" for r in found if not _scales(r)
        ]
        self._docs: dict[str, tuple[str, dict[str, str]]] = {}
        try:
            self._settings()
            self._log_views(log)
            self._run_table(found)
            self._run_views(found)
            self._statistics_view(found)
            self._monitor_view(runs)
            self._close_doors(log, runs)
        except duckdb.Error as error:
            self.close()
            raise explain(error, list(self._docs)) from error

    def __enter__(self) -> Database:
        """Nothing more to open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; harmless when called twice."""
        self._connection.close()

    def views(self) -> list[View]:
        """All views with their columns, log first."""
        return [self._describe(name) for name in self._docs]

    def ask(self, sql: str, *, batch_rows: int = 16_384) -> Stream:
        """Run one statement that reads and stream its answer in Arrow batches.

        Raises :class:`data.errors.UsageError` for SQL that is wrong or would write, and
        :class:`data.errors.DataError` for a file that cannot be read; KeyboardInterrupt stops the
        statement inside DuckDB.
        """
        names = list(self._docs)
        check_reads_only(sql, names)
        return Stream(self._connection, sql, batch_rows, names)

    def _settings(self) -> None:
        spill = Path(tempfile.gettempdir()) / f"ofs-query-{os.getpid()}"
        for setting in (
            f"temp_directory = {_text(str(spill))}",
            "enable_progress_bar = false",
            "TimeZone = 'UTC'",
        ):
            self._connection.execute(f"SET {setting}")

    def _close_doors(self, log: LogStore | None, runs: Path) -> None:
        """From here on no file outside the log and the runs can be opened, by any SQL."""
        folders = [str(runs.absolute())]
        if log is not None:
            if log.storage.local is None:
                return  # a remote log is read through an extension, which needs the door open
            folders.append(str(log.storage.local))
        self._connection.execute("SET autoinstall_known_extensions = false")
        self._connection.execute(f"SET allowed_directories = {_list(folders)}")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _log_views(self, log: LogStore | None) -> None:
        groups: dict[Kind, dict[Scales, list[str]]] = {kind: {} for kind in LOG_KINDS}
        shared: dict[Kind, dict[Scales, Shared]] = {kind: {} for kind in LOG_KINDS}
        present: Shared = {}
        catalogue = log.catalogue() if log is not None else None
        if log is not None and catalogue is not None:
            damaged = {broken.path for broken in catalogue.broken}
            for entry in catalogue.entries:
                if entry.kind not in groups or entry.file in damaged:
                    continue
                file = log.storage.name(entry.file)
                if entry.share:
                    here = shared[entry.kind].setdefault(entry.scales, {})
                    here.setdefault(file, set()).add(entry.share)
                    present.setdefault(file, set()).add(entry.share)
                else:
                    groups[entry.kind].setdefault(entry.scales, []).append(file)
            for file, symbols in catalogue.taken.items():
                present.setdefault(log.storage.name(file), set()).update(symbols)
            for broken in catalogue.broken:
                name = log.storage.name(broken.path)
                self.warnings.append(f"{name}: {broken.why}")
                if broken.place is not None and broken.place.kind in groups:
                    kind, is_shared = broken.place.kind, broken.place.symbol == EVERY
                    self._trap(groups[kind], shared[kind], name, is_shared)
        for kind, by_scales in groups.items():
            table = EVENTS[kind]
            parts = [log_select(table, scales, files) for scales, files in by_scales.items()]
            parts += [shared_select(table, k, files, present) for k, files in shared[kind].items()]
            self._create(table.view, parts or [log_select(table, Scales(0, 0), [])])
            self._docs[table.view] = (table.doc, _docs(table, _HIVE_DOCS))

    def _trap(
        self,
        by_scales: dict[Scales, list[str]],
        shared: dict[Scales, Shared],
        file: str,
        is_shared: bool,
    ) -> None:
        """Let a question that needs the unreadable ``file`` fail on it, instead of leaving it out.

        A predicate on venue, symbol or date that leaves the file unread answers as ever. A file
        that can be read but is not the one that was written is only warned of.
        """
        if _opens(file):
            return
        if is_shared:
            shared.setdefault(next(iter(shared), Scales(0, 0)), {}).setdefault(file, set())
        else:
            by_scales.setdefault(next(iter(by_scales), Scales(0, 0)), []).append(file)

    def _run_table(self, runs: Sequence[Run]) -> None:
        rows = [flat(run) for run in runs]
        columns = [pa.array([_fit(r[c.name], c) for r in rows], _arrow(c)) for c in RUN_COLUMNS]
        stage = pa.table(columns, names=[c.name for c in RUN_COLUMNS])
        self._connection.register("run_stage", stage)
        self._connection.execute("CREATE TABLE run_table AS SELECT * FROM run_stage")
        self._connection.unregister("run_stage")
        self._connection.register("name_stage", names_table(runs))
        self._connection.execute("CREATE TABLE run_names AS SELECT * FROM name_stage")
        self._connection.unregister("name_stage")
        self._create("runs", ["SELECT * FROM run_table"])
        self._docs["runs"] = ("one row a run", {c.name: c.doc for c in RUN_COLUMNS})

    def _run_views(self, runs: Sequence[Run]) -> None:
        for table in RECORDS.values():
            alike: dict[tuple[Scales, int], list[str]] = {}
            for run in runs:
                file = run.file(table.view)
                if file.is_file() and (scales := _scales(run)) is not None:
                    alike.setdefault((scales, _version(run)), []).append(str(file))
            parts = [run_select(table, s, files, version) for (s, version), files in alike.items()]
            self._create(table.view, parts or [run_select(table, Scales(0, 0), [])])
            docs = {**_docs(table, _RUN_DOCS), **named_docs(table.view)}
            self._docs[table.view] = (table.doc, docs)

    def _statistics_view(self, runs: Sequence[Run]) -> None:
        """One row a figure of a run; runs made before there were statistics have no rows."""
        found = [run.file(STATISTICS) for run in runs]
        files = [str(file) for file in found if file.is_file()]
        self._create(STATISTICS, [statistics_select(files)])
        docs = {name: doc for name, _, doc in STATISTIC_COLUMNS}
        docs = {"time": "when the run was made", **_RUN_DOCS, **docs}
        self._docs[STATISTICS] = ("one figure of a run", docs)

    def _monitor_view(self, runs: Path) -> None:
        """One row a reading of a session's performance monitor."""
        self._create(MONITOR, [monitor_select([str(file) for file in monitor_files(runs)])])
        docs = {shown: doc for shown, _, doc in _monitor_columns()}
        docs["session"] = "id of the session"
        self._docs[MONITOR] = ("what a session cost and how late it was, every few seconds", docs)

    def _create(self, name: str, selects: Sequence[str]) -> None:
        body = " UNION ALL BY NAME ".join(selects)
        self._connection.execute(f"CREATE VIEW {name} AS {body}")

    def _describe(self, name: str) -> View:
        doc, docs = self._docs[name]
        rows = self._connection.execute(f"DESCRIBE {name}").fetchall()
        return View(name, doc, tuple(Column(r[0], r[1], docs.get(r[0], "")) for r in rows))


def log_select(table: Table, scales: Scales, files: Sequence[str]) -> str:
    """SELECT of a log view over files of one pair of scales; typed and empty without files."""
    time, *rest = [f'{sql} AS "{name}"' for name, sql in duckdb_columns(table, scales)]
    columns = ", ".join([time, "venue", "symbol", *rest, "date"])
    return f"SELECT {columns} FROM {_source(_raw(table), files, _HIVE)}"


def shared_select(table: Table, scales: Scales, files: Shared, present: Shared) -> str:
    """SELECT of a log view over the rows of some symbols, all of one pair of scales, in files that
    they share with others: ``files`` gives them by file, ``present`` all that have rows there,
    which may have other scales or have been taken out."""
    time, *rest = [f'{sql} AS "{name}"' for name, sql in duckdb_columns(table, scales)]
    columns = ", ".join([time, "venue", "symbol", *rest, "date"])
    hive = {name: kind for name, kind in _HIVE.items() if name != "symbol"}
    source = _source(
        {**_raw(table), "symbol": "VARCHAR"}, list(files), {**hive, "filename": "VARCHAR"}
    )
    symbols = set().union(*files.values())
    where = [f"symbol IN ({_texts(sorted(symbols))})"] if symbols else ["true"]
    but: dict[tuple[str, ...], list[str]] = {}
    for file, here in files.items():
        if others := tuple(sorted((symbols & present.get(file, set())) - here)):
            but.setdefault(others, []).append(file)
    for others, names in but.items():
        where.append(f"NOT (filename IN ({_texts(names)}) AND symbol IN ({_texts(others)}))")
    return f"SELECT {columns} FROM {source} WHERE {' AND '.join(where)}"


def run_select(
    table: Table, scales: Scales, files: Sequence[str], version: int = RECORD_VERSION
) -> str:
    """SELECT of a record view over the files of runs of one pair of scales and one version.

    Columns that are younger than ``version`` are NULL.
    """
    time, *rest = [f'f."{name}"' for name, _ in duckdb_columns(table, scales)]
    inner = ", ".join(f'{sql} AS "{name}"' for name, sql in duckdb_columns(table, scales))
    rest += named_columns(table.view)
    columns = ", ".join([time, "f.run_id AS run", "r.strategy", "r.venue", "r.symbol", *rest])
    source = _source(_raw(table), files, {"filename": "VARCHAR"})
    younger = [f'NULL::BIGINT AS "{f.name}"' for f in table.fields if files and f.since > version]
    if younger:
        source = f"(SELECT *, {', '.join(younger)} FROM {source})"
    return (
        f"SELECT {columns} FROM (SELECT {inner}, {_RUN_ID} FROM {source}) f "
        "LEFT JOIN run_table r ON r.run = f.run_id "
        "LEFT JOIN run_names n ON n.run = f.run_id"
    )


def statistics_select(files: Sequence[str]) -> str:
    """SELECT of the view over the statistics of runs."""
    raw = {name: kind for name, kind, _ in STATISTIC_COLUMNS}
    columns = ", ".join(["r.time", "f.run_id AS run", "r.strategy", "r.venue", "r.symbol",
                         *(f'f."{name}"' for name in raw)])  # fmt: skip
    source = _source(raw, files, {"filename": "VARCHAR"})
    return (
        f"SELECT {columns} FROM (SELECT *, {_RUN_ID} FROM {source}) f "
        "LEFT JOIN run_table r ON r.run = f.run_id"
    )


def monitor_select(files: Sequence[str]) -> str:
    """SELECT of the view over the monitors' tables of all sessions, times as timestamps."""
    raw = {c.name: "BIGINT" if c.whole else "DOUBLE" for c in COLUMNS}
    time, *rest = [f'{sql} AS "{name}"' for name, sql, _ in _monitor_columns()]
    source = _source(raw, files, {"filename": "VARCHAR"})
    return f"SELECT {', '.join([time, _SESSION_ID, *rest])} FROM {source}"


def _monitor_columns() -> list[tuple[str, str, str]]:
    """(name as it is shown, SQL, meaning) of each column of the monitors' table."""
    times = {"ts_ns": "time", "wall_ns": "wall_time"}
    return [
        (times[c.name], f"make_timestamp_ns({c.name})", c.doc.replace(", ns UTC", ""))
        if c.name in times
        else (c.name, f'"{c.name}"', c.doc)
        for c in COLUMNS
    ]


def _source(raw: dict[str, str], files: Sequence[str], extra: dict[str, str]) -> str:
    """FROM clause: the files, or an empty relation of the columns ``raw`` (types) and ``extra``."""
    if not files:
        columns = ", ".join(f'NULL::{kind} AS "{n}"' for n, kind in {**raw, **extra}.items())
        return f"(SELECT {columns} WHERE false)"
    if not _opens(_readable_first(files)[0]):
        return _unreadable(raw, files, extra)
    options = ["filename = true"] if "filename" in extra else []
    types = ", ".join(f"{name}: {kind}" for name, kind in extra.items() if name != "filename")
    options += [f"hive_partitioning = {str(bool(types)).lower()}"]
    if types:
        options += ["hive_types_autocast = false", f"hive_types = {{{types}}}"]
    return f"read_parquet({_list(_readable_first(files))}, {', '.join(options)})"


def _raw(table: Table) -> dict[str, str]:
    """Columns of ``table`` as they are stored, with their DuckDB types."""
    return {f.name: _RAW_TYPES[f.dtype] + ("[]" if f.is_list else "") for f in table.fields}


def _unreadable(raw: dict[str, str], files: Sequence[str], extra: dict[str, str]) -> str:
    """FROM clause where none of the files opens: a question that comes to one of them fails on it.

    DuckDB opens a view's first file when the view is made, and then a question over another view
    would fail too. Here every value but the hive columns is an error, so that no predicate can
    make the file look empty; one that leaves it out by venue or symbol is answered.
    """
    rows = []
    for file in files:
        parts = dict(part.split("=", 1) for part in Path(file).parts if "=" in part)
        keys = [file if name == "filename" else parts.get(name, "") for name in extra]
        rows.append(_texts([f"cannot read parquet file '{file}'", *keys]))
    names = ", ".join(["why", *extra])
    fail = "error(why)::BOOLEAN"
    columns = [f'CASE WHEN {fail} THEN NULL END::{kind} AS "{n}"' for n, kind in raw.items()]
    columns += [f'"{name}"::{kind} AS "{name}"' for name, kind in extra.items()]
    values = ", ".join(f"({row})" for row in rows)
    return f"(SELECT {', '.join(columns)} FROM (VALUES {values}) broken({names}) WHERE {fail})"


def _readable_first(files: Sequence[str]) -> list[str]:
    """The files, one that opens first: DuckDB takes a view's columns from the first file, and one
    damaged file must not hide the others."""
    for i, file in enumerate(files):
        if _opens(file):
            return [file, *files[:i], *files[i + 1 :]]
    return list(files)


def _opens(file: str) -> bool:
    """True when the footer can be read; a remote file is taken to be whole."""
    import pyarrow.parquet as pq

    try:
        if "://" not in file:
            pq.read_metadata(file)
    except (OSError, pa.ArrowException):
        return False
    return True


def _docs(table: Table, keys: dict[str, str]) -> dict[str, str]:
    shown = [name for name, _ in duckdb_columns(table, Scales(0, 0))]
    return {**keys, **dict(zip(shown, (f.doc for f in table.fields), strict=True))}


def _scales(run: Run) -> Scales | None:
    """Scales that the manifest names; None where it does not."""
    try:
        return Scales(int(run.manifest["price_scale"]), int(run.manifest["qty_scale"]))
    except (KeyError, TypeError, ValueError):
        return None


def _version(run: Run) -> int:
    """Version of the record tables of ``run``; the oldest where the manifest does not say."""
    version = run.manifest.get("schema")
    return version if isinstance(version, int) else 1


def _arrow(column: RunColumn) -> pa.DataType:
    types = {
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "VARCHAR": pa.string(),
        "TIMESTAMP_NS": pa.timestamp("ns"),
    }
    return types[column.type]


def _fit(value: Any, column: RunColumn) -> Any:
    """``value`` in the type of ``column``; None where a manifest says something else there."""
    if column.type == "VARCHAR":
        return value if value is None or isinstance(value, str) else str(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if column.type == "DOUBLE" else int(value)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _texts(values: Iterable[str]) -> str:
    return ", ".join(_text(value) for value in values)


def _list(values: Iterable[str]) -> str:
    return f"[{_texts(values)}]"
