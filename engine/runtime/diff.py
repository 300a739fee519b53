"""Two runs side by side: where they first part, and in which facts they differ.

Owns the comparison of two recorded runs. Record tables are streamed row by row up to their first
difference (:mod:`engine.runtime.compare`), so memory does not grow with a run. Two runs are the
same when every record of every table is. Prices and quantities of runs with different scales are
raised to the larger ones before they are compared.

It refuses to know how a difference is printed and whether it was meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import CorruptFileError
from data.events import RECORDS, Scales, Table
from data.log.columns import larger, multiply_checked, scale_power
from data.runs import Run
from engine.runtime.compare import Comparison, Mismatch, RecordedRows
from engine.runtime.shown import Side, shown

PORTION = 16_384
ORDER = ("decision", "signal", "intent", "order", "fill", "position", "equity")
"""Tables in the order in which one explains the next."""

_ACT = ("ts_ns", "action", "exit_reason", "direction")
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Value:
    """One column of both rows, as people read it: numbers scaled, enums and bits by name.

    None where a side has no row. ``differs`` tells whether the stored integers do.
    """

    field: str
    left: Any
    right: Any
    differs: bool


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first row in which a table of the two runs differs.

    ``id`` is the row's own id, ``decision`` the decision that it belongs to; 0 where the table has
    none. ``missing`` names the side ("left", "right") that has no such row, else it is empty.
    ``signals`` are those of that decision, where the row is one, a list of dicts a side.
    """

    table: str
    row: int
    time_ns: int
    id: int
    decision: int
    missing: str
    values: tuple[Value, ...]
    signals: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])


@dataclass(frozen=True, slots=True)
class TableDiff:
    """A record table of both runs: rows of each, and where they part (None: nowhere).

    ``not_compared`` are columns that one of the runs, an older one, does not have.
    """

    name: str
    rows: tuple[int, int]
    first: Divergence | None
    not_compared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact of both manifests (or statistics): group, name, values; None where it is not there."""

    group: str
    name: str
    left: Any
    right: Any

    @property
    def same(self) -> bool:
        """True when both runs say the same."""
        return bool(self.left == self.right)


@dataclass
class RunDiff:
    """All that is to be said about two runs.

    ``act`` is the first decision that decided something else, where the first one that differs only
    came to other numbers; else None.
    """

    left: str
    right: str
    tables: dict[str, TableDiff] = field(default_factory=dict)
    act: Divergence | None = None
    facts: list[Fact] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """True when every record of every table agrees."""
        return all(t.first is None for t in self.tables.values())

    @property
    def first(self) -> Divergence | None:
        """Where the runs part: the decision if one differs, else the table that it explains."""
        return next((t.first for t in self.tables.values() if t.first is not None), None)


def diff_runs(left: Run, right: Run) -> RunDiff:
    """Compare two runs; DataError where one lacks a table or its manifest its scales."""
    sides = Side.of(left), Side.of(right)
    scales = larger(sides[0].scales, sides[1].scales)
    found = RunDiff(left.id, right.id)
    for name in ORDER:
        found.tables[name] = _table(RECORDS[name], sides, scales)
    first = found.tables["decision"].first
    if first is not None:
        act = _table(RECORDS["decision"], sides, scales, _ACT).first
        found.act = act if act is not None and act.row != first.row else None
    found.facts = list(_facts(left, right))
    return found


def _table(
    table: Table, sides: tuple[Side, Side], scales: Scales, only: Sequence[str] | None = None
) -> TableDiff:
    """Compare one table; ``only`` these of its columns, where they are named."""
    left, right = (RecordedRows(side.run, table) for side in sides)
    columns = tuple(c for c in left.columns if c in right.columns)
    compared = Comparison(table, tuple(c for c in columns if only is None or c in only))
    while compared.first is None:
        a = _raised(table, left.next(PORTION), sides[0].scales, scales)
        b = _raised(table, right.next(PORTION), sides[1].scales, scales)
        if not len(a) and not len(b):
            break
        compared.take(a, b)
    first = compared.first
    lacking = tuple(dict.fromkeys((*left.lacking, *right.lacking)))
    shown = _divergence(first, sides, scales, columns) if first is not None else None
    return TableDiff(table.name, (left.rows, right.rows), shown, lacking)


def _raised(table: Table, rows: np.ndarray, old: Scales, new: Scales) -> np.ndarray:
    """``rows`` with prices and quantities at the scales ``new``, which are not smaller."""
    if old == new:
        return rows
    out = rows.copy()
    for f in table.fields:
        power = scale_power(f.unit, old, new)
        out[f.name] = multiply_checked(rows[f.name], power, f"{table.name}.{f.name}")
    return out


def _divergence(
    first: Mismatch, sides: tuple[Side, Side], scales: Scales, columns: Sequence[str]
) -> Divergence:
    table = first.table
    records = (first.left, first.right)
    missing = next((s for s, record in zip(_SIDES, records, strict=True) if record is None), "")
    values = []
    for name in columns:
        left, right = (
            None if record is None else shown(table, table.field(name), record[name], scales, side)
            for record, side in zip(records, sides, strict=True)
        )
        differs = bool(missing) or bool(first.left[name] != first.right[name])
        values.append(Value(name.removesuffix("_fp9"), left, right, differs))
    own = first.number("id")
    decision = own if table.name == "decision" else first.number("decision_id")
    signals: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    if table.name == "decision":
        signals = _signals(sides[0], own), _signals(sides[1], own)
    return Divergence(
        table.name, first.row, first.time_ns, own, decision, missing, tuple(values), signals
    )


def _signals(side: Side, decision: int) -> list[dict[str, Any]]:
    """The signals of one decision of a run, as they stand."""
    table = RECORDS["signal"]
    rows = RecordedRows(side.run, table)
    found: list[dict[str, Any]] = []
    while len(part := rows.next(PORTION)):
        for record in part[part["decision_id"] == decision]:
            found.append(
                {
                    f.name.removesuffix("_fp9"): shown(table, f, record[f.name], side.scales, side)
                    for f in table.fields
                    if f.name not in ("ts_ns", "decision_id")
                }
            )
        if int(part["decision_id"][-1]) > decision:
            break
    return found


_PLAIN = ("strategy", "venue", "symbol", "from", "to", "currency", "fill_model")
_SOURCES = ("source_hash", "strategy_hash")
_DIGESTS = ("digest", "state_digest")
_GROUPS = ("params", "versions", "violations", "counts", "result")


def _facts(left: Run, right: Run) -> Iterator[Fact]:
    """Facts of the manifests, group after group; then the statistics of runs that have them."""
    a, b = left.manifest, right.manifest

    def group(name: str, x: Any, y: Any) -> Iterator[Fact]:
        one = x if isinstance(x, Mapping) else {}
        two = y if isinstance(y, Mapping) else {}
        for key in dict.fromkeys((*one, *two)):
            yield Fact(name, str(key), one.get(key), two.get(key))

    def of(names: Sequence[str], m: Mapping[str, Any]) -> dict[str, Any]:
        return {name: m.get(name) for name in names}

    yield from group("run", of(_PLAIN, a), of(_PLAIN, b))
    yield from group("log", _log(a), _log(b))
    yield from group("sources", of(_SOURCES, a), of(_SOURCES, b))
    for name in _GROUPS:
        yield from group(name, a.get(name), b.get(name))
    yield from group("digests", of(_DIGESTS, a), of(_DIGESTS, b))
    yield from group("statistics", _statistics(left), _statistics(right))


def _log(m: Mapping[str, Any]) -> dict[str, Any]:
    log = m.get("log")
    return {"content_hash": log.get("content_hash") if isinstance(log, dict) else None}


def _statistics(run: Run) -> dict[str, Any]:
    """Name and value of the run's statistics; empty where it has none."""
    path = run.file("statistics")
    if not path.is_file():
        return {}
    try:
        table = pq.ParquetFile(path).read(columns=["name", "value"], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise CorruptFileError(
            "the statistics of a run cannot be read",
            where=str(path),
            why=str(error),
            do="run the backtest again",
        ) from error
    return dict(zip(table["name"].to_pylist(), table["value"].to_pylist(), strict=True))
