"""The folder of runs: which runs are there, and what each one's manifest says.

Owns the layout ``<runs>/<run id>/manifest.json`` plus one Parquet file a record table, and the flat
columns that a manifest is shown with. What must hold: a folder without a whole manifest is not a
run (it is being written, or its writer died) and is left alone; one unreadable manifest does not
hide the others.

It refuses to know how a run is made and what its records mean.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError, OfsError, UsageError
from data.times import parse_utc

MANIFEST = "manifest.json"
LATEST = "last"
"""Names the newest run wherever a run is asked for; ``last~1`` is the one before it."""

_PLACE = re.compile(rf"{LATEST}(?:~(?P<back>[0-9]{{1,9}}))?")


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run: its id (the folder's name), its folder and its manifest."""

    id: str
    folder: Path
    manifest: dict[str, Any]

    def file(self, table: str) -> Path:
        """Parquet file of a record table, e.g. ``fills``; it may be absent."""
        return self.folder / f"{table}.parquet"


STATISTICS = "statistics"
"""Name of the view, and of the Parquet file in a run's folder, that holds its statistics."""

STATISTIC_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("name", "VARCHAR", "name of the figure"),
    ("value", "DOUBLE", "the figure; NULL where the run is too short for it, see note"),
    ("low", "DOUBLE", "lower end of its 95 % confidence interval, NULL where there is none"),
    ("high", "DOUBLE", "upper end of it"),
    ("unit", "VARCHAR", "share, ratio, count, s, days, 1/day, bp, or a currency"),
    ("note", "VARCHAR", "why there is no value, or what to bear in mind; empty where nothing"),
    ("doc", "VARCHAR", "what the figure is"),
)
"""Columns of a run's statistics: name, DuckDB type, meaning."""


@dataclass(frozen=True, slots=True)
class RunColumn:
    """One flat column of a manifest: its DuckDB type, how to read it, and what it means."""

    name: str
    type: str
    read: Callable[[dict[str, Any]], Any]
    doc: str


def list_runs(folder: Path) -> tuple[list[Run], list[str]]:
    """All runs, oldest first, and one sentence for each manifest that cannot be read.

    A folder that does not exist holds no runs. Names that begin with a dot or an underscore, and
    folders without a manifest, are being written and are passed over.
    """
    runs: list[Run] = []
    broken: list[str] = []
    for path in sorted(folder.glob(f"*/{MANIFEST}")) if folder.is_dir() else []:
        if path.parent.name[0] in "._":
            continue
        try:
            runs.append(Run(path.parent.name, path.parent, _read_manifest(path)))
        except DataError as error:
            broken.append(f"{path}: {error.why}")
    runs.sort(key=lambda run: (str(run.manifest.get("created", "")), run.id))
    return runs, broken


def is_latest(name: str) -> bool:
    """Whether ``name`` is ``last`` or ``last~N``, whatever files there may be of that name."""
    return _PLACE.fullmatch(name) is not None


def find_run(folder: Path, name: str) -> Run:
    """The run called ``name``: its id, a prefix that only one id has, a path, ``last``, or
    ``last~2`` for the second before that.

    Raises :class:`UsageError` for a prefix of several, :class:`DataError` where there is none.
    """
    if len(Path(name).parts) > 1 and (Path(name) / MANIFEST).is_file():
        path = Path(name).resolve()
        return Run(path.name, path, _read_manifest(path / MANIFEST))
    runs, broken = list_runs(folder)
    back = _PLACE.fullmatch(name)
    if back is not None and int(back["back"] or 0) < len(runs):
        return runs[-1 - int(back["back"] or 0)]
    matches = [run for run in runs if run.id == name]
    matches = matches or [run for run in runs if name and run.id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(
            f"{name!r} is the beginning of {len(matches)} runs",
            where=str(folder),
            why=", ".join(run.id for run in matches[:5]),
            do="write more of the id",
        )
    near = difflib.get_close_matches(name, [run.id for run in runs], n=3, cutoff=0.5)
    unreadable = next((text for text in broken if name and name in text), "")
    many = "1 run lies" if len(runs) == 1 else f"{len(runs)} runs lie"
    count = f"{many} there, none of that name" if runs else "no run lies there"
    raise DataError(
        f"there is no run {name!r}",
        where=str(folder),
        why=unreadable or count,
        do=f"did you mean {', '.join(near)}?" if near else "see 'ofs runs' for the ids",
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("cannot read a manifest", where=str(path), why=str(error)) from None
    if not isinstance(manifest, dict):
        raise DataError("cannot read a manifest", where=str(path), why="it is not a JSON object")
    return manifest


def _at(*keys: str) -> Callable[[dict[str, Any]], Any]:
    """Reader of ``manifest[k1][k2]``; None where any step is missing."""

    def read(manifest: dict[str, Any]) -> Any:
        value: Any = manifest
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return read


def _time(key: str) -> Callable[[dict[str, Any]], int | None]:
    """Reader of a time: ISO 8601 text or nanoseconds, as nanoseconds UTC."""

    def read(manifest: dict[str, Any]) -> int | None:
        value = manifest.get(key)
        if isinstance(value, int):
            return value or None
        try:
            return parse_utc(value) if isinstance(value, str) else None
        except OfsError:
            return None

    return read


def _json(key: str) -> Callable[[dict[str, Any]], str]:
    def read(manifest: dict[str, Any]) -> str:
        return json.dumps(manifest.get(key, {}), sort_keys=True)

    return read


def _counts(*names: str) -> tuple[RunColumn, ...]:
    return tuple(RunColumn(n, "BIGINT", _at("counts", n), f"number of {n}") for n in names)


def _statistics(*named: tuple[str, str]) -> tuple[RunColumn, ...]:
    """Columns of the figures that a manifest repeats; None in runs made before there were any."""
    return tuple(RunColumn(n, "DOUBLE", _at("statistics", n), doc) for n, doc in named)


RUN_COLUMNS: tuple[RunColumn, ...] = (
    RunColumn("time", "TIMESTAMP_NS", _time("created"), "when the run was made"),
    RunColumn("run", "VARCHAR", _at("run"), "id of the run"),
    RunColumn("command", "VARCHAR", _at("command"), "command that made it"),
    RunColumn("strategy", "VARCHAR", _at("strategy"), "strategy"),
    RunColumn("venue", "VARCHAR", _at("venue"), "venue"),
    RunColumn("symbol", "VARCHAR", _at("symbol"), "symbol"),
    RunColumn("from_time", "TIMESTAMP_NS", _time("from"), "start of the range, inclusive"),
    RunColumn("to_time", "TIMESTAMP_NS", _time("to"), "end of the range, exclusive"),
    *_counts("events", "trades", "depth", "bars", "decisions", "orders", "fills"),
    RunColumn("round_trips", "BIGINT", _at("result", "round_trips"), "closed positions"),
    RunColumn("net_pnl", "DOUBLE", _at("result", "net_pnl"), "result after fees"),
    RunColumn("gross_pnl", "DOUBLE", _at("result", "gross_pnl"), "result before fees"),
    RunColumn("fees", "DOUBLE", _at("result", "fees"), "commissions"),
    RunColumn("max_drawdown", "DOUBLE", _at("result", "max_drawdown"), "largest fall of equity"),
    *_statistics(
        ("win_rate", "share of round trips that gained"),
        ("profit_factor", "gains over losses of round trips"),
        ("sharpe", "annualised Sharpe ratio; of a short run only its interval means anything"),
        ("sharpe_low", "lower end of its 95 % interval"),
        ("sharpe_high", "upper end of its 95 % interval"),
    ),
    RunColumn("currency", "VARCHAR", _at("currency"), "currency of all money"),
    RunColumn("params", "VARCHAR", _json("params"), "parameters, as JSON"),
    RunColumn("fill_model", "VARCHAR", _at("fill_model"), "fill model and its version"),
    RunColumn("digest", "VARCHAR", _at("digest"), "digest of all decisions"),
    RunColumn("state_digest", "VARCHAR", _at("state_digest"), "digest of the last state"),
    RunColumn("source_hash", "VARCHAR", _at("source_hash"), "hash of the compiled sources"),
    RunColumn("content_hash", "VARCHAR", _at("log", "content_hash"), "hash of the log range"),
    RunColumn("ofs_version", "VARCHAR", _at("versions", "ofs"), "version of ofs"),
    RunColumn("wall_s", "DOUBLE", _at("wall_s"), "wall time of the fold, seconds"),
    RunColumn("cpu_s", "DOUBLE", _at("cpu_s"), "CPU time, seconds"),
    RunColumn("events_per_cpu_s", "DOUBLE", _at("events_per_cpu_s"), "events a CPU second"),
    RunColumn("peak_rss_mb", "DOUBLE", _at("peak_rss_mb"), "peak memory, MB"),
)
"""The flat columns of a manifest, in the order in which they are shown."""


def flat(run: Run) -> dict[str, Any]:
    """The columns of ``run`` by name; times are nanoseconds UTC, what is missing is None."""
    row = {column.name: column.read(run.manifest) for column in RUN_COLUMNS}
    row["run"] = run.id
    return row
