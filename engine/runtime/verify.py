"""Folds a run's log again and compares every record with what the run wrote.

Owns the proof: content hash of the log range, hashes of the sources, both digests, and a row by
row comparison of decisions, signals, orders, fills and positions whose first difference is named.
It refuses to know how the finding is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data import jitcache
from data.errors import DataError
from data.events import ENUMS, RECORDS, Table, numpy_dtype
from data.log import LogStore
from data.runs import MANIFEST, Run
from data.times import format_utc
from engine.runtime.records import DIGESTED, Digest, read_rows
from engine.runtime.replay import Progress, Request, run
from engine.runtime.strategy import Strategy


@dataclass
class Difference:
    """The first row of a table in which the run and the fold differ."""

    table: str
    row: int
    field: str
    recorded: str
    computed: str
    time: str
    decision: int


@dataclass
class Verdict:
    """What was compared and found; ``ok`` when every record and both digests agree."""

    run: str
    decisions: int = 0
    digest: str = ""
    state_digest: str = ""
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    digest_ok: bool = True
    state_ok: bool = True
    log_ok: bool = True

    @property
    def ok(self) -> bool:
        """True when nothing differs."""
        return self.digest_ok and self.state_ok and self.log_ok and not self.differences


class CompareSink:
    """A sink that compares what a fold computes with the recorded tables, row by row."""

    def __init__(self, recorded: Run) -> None:
        self.digest = Digest()
        self.differences: dict[str, Difference] = {}
        self._row = dict.fromkeys(DIGESTED, 0)
        self._have = {name: _Rows(recorded, RECORDS[name]) for name in DIGESTED}

    def take(self, name: str, rows: np.ndarray) -> None:
        """Compare ``rows`` with the next recorded rows of table ``name``."""
        self.digest.take(name, rows)
        if name not in self._have or name in self.differences:
            return
        recorded = self._have[name].next(len(rows))
        self._compare(name, recorded, rows)
        self._row[name] += len(rows)

    def _compare(self, name: str, recorded: np.ndarray, computed: np.ndarray) -> None:
        n = min(len(recorded), len(computed))
        same = np.ones(n, dtype=bool)
        for f in RECORDS[name].fields:
            same &= recorded[f.name][:n] == computed[f.name][:n]
        if not same.all():
            x = int(np.argmin(same))
            self.differences[name] = _difference(
                name, self._row[name] + x, recorded[x], computed[x]
            )
        elif len(computed) > n:
            self.differences[name] = _lonely(
                name, self._row[name] + n, computed[n], "nothing", "a row"
            )

    def finish(self) -> list[Difference]:
        """The first difference of each table, earliest market time first."""
        for name, rows in self._have.items():
            rest = rows.next(1)
            if name not in self.differences and len(rest):
                self.differences[name] = _lonely(name, self._row[name], rest[0], "a row", "nothing")
        return sorted(self.differences.values(), key=lambda d: (d.time, DIGESTED.index(d.table)))


class _Rows:
    """Recorded rows of one table, taken in any portions."""

    def __init__(self, recorded: Run, table: Table) -> None:
        path = recorded.file(table.view)
        if not path.is_file():
            raise DataError(
                "a table of the run is missing", where=str(path), do="run the backtest again"
            )
        self._batches: Iterator[np.ndarray] = read_rows(path, table)
        self._rest = np.zeros(0, dtype=numpy_dtype(table))
        self._started = False

    def next(self, n: int) -> np.ndarray:
        """The next ``n`` rows, fewer at the end."""
        parts = [self._rest] if self._started else []
        have = len(self._rest)
        while have < n or not self._started:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._started = True
            parts.append(batch)
            have += len(batch)
        if not parts:
            return self._rest
        rows = np.concatenate(parts)
        self._rest = rows[n:]
        self._started = True
        return rows[:n]


def _show(table: Table, name: str, value: Any) -> str:
    unit = table.field(name).unit
    if unit == "ns":
        return format_utc(int(value)) if int(value) else "0"
    if unit.startswith("enum:"):
        enum = ENUMS[unit[5:]]
        return enum(int(value)).name if int(value) in set(enum) else str(int(value))
    return str(int(value))


def _difference(name: str, row: int, recorded: Any, computed: Any) -> Difference:
    table = RECORDS[name]
    where = next(f.name for f in table.fields if recorded[f.name] != computed[f.name])
    return Difference(
        name, row, where,
        _show(table, where, recorded[where]), _show(table, where, computed[where]),
        format_utc(int(min(recorded["ts_ns"], computed["ts_ns"]))), _decision(name, computed),
    )  # fmt: skip


def _lonely(name: str, row: int, record: Any, recorded: str, computed: str) -> Difference:
    time = format_utc(int(record["ts_ns"]))
    return Difference(name, row, "(row)", recorded, computed, time, _decision(name, record))


def _decision(name: str, record: Any) -> int:
    if name == "decision":
        return int(record["id"])
    names = record.dtype.names or ()
    return int(record["decision_id"]) if "decision_id" in names else 0


_NEEDED = (
    "strategy", "venue", "symbol", "range.from_ns", "range.to_ns", "params", "digest",
    "state_digest", "log.path", "log.content_hash", "log.entries", "source_hash", "strategy_hash",
)  # fmt: skip
"""What of a manifest a run is folded and compared by."""


def check_manifest(recorded: Run) -> None:
    """DataError unless the manifest of ``recorded`` says all that :func:`verify` asks of it."""
    missing = []
    for key in _NEEDED:
        value: Any = recorded.manifest
        for part in key.split("."):
            value = value if isinstance(value, dict) else {}
            if part not in value:
                missing.append(key)
                break
            value = value[part]
    if missing:
        raise DataError(
            "the manifest does not say what was run",
            where=str(recorded.folder / MANIFEST),
            why=f"it lacks {', '.join(missing)}",
            do="run the backtest again",
        )


def verify(
    store: LogStore,
    recorded: Run,
    strategy: Strategy,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
    chunk_rows: int = 65_536,
) -> Verdict:
    """Fold the range of ``recorded`` again and compare; DataError when the log lacks it."""
    m = recorded.manifest
    span = m["range"]
    request = Request(
        strategy, m["strategy"], m["venue"], m["symbol"], span["from_ns"], span["to_ns"],
        dict(m["params"]), chunk_rows,
    )  # fmt: skip
    sink = CompareSink(recorded)
    outcome = run(store, request, sink, progress, on_cold)
    verdict = Verdict(recorded.id)
    verdict.differences = sink.finish()
    verdict.decisions = sink.digest.rows["decision"]
    verdict.digest = sink.digest.hexdigest()
    verdict.state_digest = outcome.fold.state_digest()
    verdict.digest_ok = verdict.digest == m["digest"]
    verdict.state_ok = verdict.state_digest == m["state_digest"]
    verdict.log_ok = outcome.content_hash == m["log"]["content_hash"]
    _explain(verdict, m, strategy, outcome.entries)
    return verdict


def _explain(verdict: Verdict, m: dict[str, Any], strategy: Strategy, now: list[Any]) -> None:
    """Notes on what changed since the run, which is where a difference comes from."""
    if not verdict.log_ok:
        before = {e["path"]: e["sha256"] for e in m["log"]["entries"]}
        after = {e["path"]: e["sha256"] for e in now}
        changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
        verdict.notes.append("the log changed since the run: " + ", ".join(changed[:5]))
    if jitcache.source_hash() != m["source_hash"]:
        verdict.notes.append("the engine's sources changed since the run")
    if strategy.source_sha256 != m["strategy_hash"]:
        verdict.notes.append(f"the strategy's source changed since the run: {strategy.source.name}")
