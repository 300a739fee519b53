"""Folds a run's log again and compares every record with what the run wrote.

Owns the proof: content hash of the log range, hashes of the sources, both digests, a row by row
comparison of every record table (equity too) whose first difference is named, and the facts, the
counts, the result and the statistics that are stated of the run. It refuses to know how the finding
is printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data import jitcache
from data.errors import DataError
from data.events import RECORD_VERSION, RECORDS
from data.log import LogStore
from data.log.compact import explained
from data.runs import MANIFEST, Run
from data.times import format_utc
from engine.report.statistics import headline, summarise
from engine.report.tables import Statistic, read_statistics
from engine.runtime.compare import Comparison, Mismatch, RecordedRows, stored_text
from engine.runtime.compose import BROKERS, SIMULATED
from engine.runtime.records import Digest, Totals
from engine.runtime.replay import Progress, manifest, ofs_version, request_of, run
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
class Figure:
    """A figure of the manifest, such as ``result.net_pnl``, that the fold does not give."""

    name: str
    recorded: Any
    computed: Any


@dataclass
class Verdict:
    """What was compared and found; ``ok`` when every record, figure and both digests agree.

    ``log_ok`` is also true where a compaction alone rewrote the files of the range.
    """

    run: str
    decisions: int = 0
    digest: str = ""
    state_digest: str = ""
    differences: list[Difference] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    digest_ok: bool = True
    state_ok: bool = True
    log_ok: bool = True

    @property
    def ok(self) -> bool:
        """True when nothing differs."""
        found = self.differences or self.figures
        return self.digest_ok and self.state_ok and self.log_ok and not found


class CompareSink:
    """A sink that compares what a fold computes with the recorded tables, row by row."""

    def __init__(self, recorded: Run) -> None:
        self.digest = Digest()
        self.totals = Totals()
        self._have = {name: RecordedRows(recorded, table) for name, table in RECORDS.items()}
        self._compared = {
            name: Comparison(RECORDS[name], rows.columns) for name, rows in self._have.items()
        }

    def take(self, name: str, rows: np.ndarray) -> None:
        """Compare ``rows`` with the next recorded rows of table ``name``."""
        self.digest.take(name, rows)
        self.totals.take(name, rows)
        if self._compared[name].first is None:
            self._compared[name].take(self._have[name].next(len(rows)), rows)

    def finish(self) -> list[Difference]:
        """The first difference of each table, earliest market time first."""
        for name, compared in self._compared.items():
            if compared.first is None:
                rest = self._have[name].next(1)
                compared.take(rest, rest[:0])
        found = [(n, c.first) for n, c in self._compared.items() if c.first is not None]
        differences = [_difference(name, first) for name, first in found]
        return sorted(differences, key=lambda d: (d.time, _ORDER.index(d.table)))


_ORDER = tuple(RECORDS)


def _difference(name: str, first: Mismatch) -> Difference:
    table = first.table
    decision = first.number("id") if name == "decision" else first.number("decision_id")
    time = format_utc(first.time_ns)
    if not first.fields:
        texts = ["nothing" if record is None else "a row" for record in (first.left, first.right)]
        return Difference(name, first.row, "(row)", texts[0], texts[1], time, decision)
    where = first.fields[0]
    texts = [stored_text(table, where, record[where]) for record in (first.left, first.right)]
    return Difference(name, first.row, where, texts[0], texts[1], time, decision)


_TEXT, _TIME = (str,), (int, type(None))
_NEEDED: dict[str, tuple[type, ...]] = {
    "strategy": _TEXT,
    "venue": _TEXT,
    "symbol": _TEXT,
    "range.from_ns": _TIME,
    "range.to_ns": _TIME,
    "params": (dict,),
    "digest": _TEXT,
    "state_digest": _TEXT,
    "log.path": _TEXT,
    "log.content_hash": _TEXT,
    "log.entries": (list,),
    "source_hash": _TEXT,
    "strategy_hash": _TEXT,
}
"""What of a manifest a run is folded and compared by, and of which type it is."""


def check_manifest(recorded: Run) -> None:
    """DataError unless the manifest of ``recorded`` says all that :func:`verify` asks of it."""
    missing = [key for key, types in _NEEDED.items() if not _says(recorded.manifest, key, types)]
    if not missing:
        params, entries = recorded.manifest["params"], recorded.manifest["log"]["entries"]
        if not all(isinstance(value, str) for value in params.values()):
            missing.append("params")
        if not all(_says(e, "path", _TEXT) and _says(e, "sha256", _TEXT) for e in entries):
            missing.append("log.entries")
        broker, place = (
            recorded.manifest.get("broker", SIMULATED),
            recorded.manifest.get("execution"),
        )
        if broker not in BROKERS:
            missing.append("broker")
        if place is not None and not all(_says(place, k, _TEXT) for k in ("venue", "symbol")):
            missing.append("execution")
    if missing:
        raise DataError(
            "the manifest does not say what was run",
            where=str(recorded.folder / MANIFEST),
            why=f"it lacks {', '.join(missing)}",
            do="run the backtest again",
        )


def _says(value: Any, key: str, types: tuple[type, ...]) -> bool:
    """Whether ``value`` has something of ``types`` at the dotted ``key``."""
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return isinstance(value, types)


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
    request = request_of(m, strategy, chunk_rows)
    sink = CompareSink(recorded)
    outcome = run(store, request, sink, progress, on_cold)
    verdict = Verdict(recorded.id)
    verdict.differences = sink.finish()
    verdict.decisions = sink.digest.rows["decision"]
    verdict.digest = sink.digest.hexdigest()
    verdict.state_digest = outcome.fold.state_digest()
    verdict.digest_ok = verdict.digest == m["digest"]
    verdict.state_ok = verdict.state_digest == m["state_digest"]
    fresh = manifest(outcome, request, "", verdict.digest, sink.totals, sink.digest.rows)
    verdict.figures = _facts(m, fresh)
    verdict.figures += _figures(m, "result", fresh["result"])
    verdict.figures += _figures(m, "counts", fresh["counts"])
    if request.upto_seq is not None:  # what was filled since may lie before and behind them
        fresh |= {name: m[name] for name in ("from", "to") if name in m}
    if verdict.digest_ok and not verdict.differences:
        verdict.figures += _statistics(Run(recorded.id, recorded.folder, fresh), m)
    verdict.log_ok = outcome.content_hash == m["log"]["content_hash"]
    if not verdict.log_ok and request.upto_seq is not None:
        verdict.log_ok = True  # each file is checked as it is read, every event it gave was folded
        verdict.notes.append("the session's log was sealed, filled or compacted since this run")
    elif not verdict.log_ok:
        _explain_log(verdict, store, m, outcome.entries)
    _explain(verdict, m, strategy)
    return verdict


_FACTS = (
    "price_scale", "qty_scale", "currency", "from", "to", "gates", "refusals", "detectors",
    "violations",
)  # fmt: skip
"""What a manifest says about the fold beside what it asks for; runs of older versions lack some."""

_OF_OTHERS = frozenset({"trials", "sharpe_luck", "dsr"})
"""Statistics that lean on the other runs of a folder, which a verification does not have."""

_CLOSE = 1e-9
"""Share by which sums of floats may differ from machine to machine."""


def _facts(m: dict[str, Any], fresh: dict[str, Any]) -> list[Figure]:
    """Facts that the manifest states otherwise than the fold."""
    stated = [name for name in _FACTS if name in m]
    if "upto_seq" in m["range"]:  # of a session's range these are the times of its clock
        stated = [name for name in stated if name not in ("from", "to")]
    return [Figure(name, m[name], fresh[name]) for name in stated if m[name] != fresh[name]]


def _statistics(recorded: Run, m: dict[str, Any]) -> list[Figure]:
    """Statistics on file or in the manifest ``m`` that the records do not give."""
    computed = summarise(recorded, runs=recorded.folder, trials=1)
    kept = {s.name: s for s in read_statistics(recorded) or ()}
    found = []
    for s in computed:
        there = kept.get(s.name)
        if there is None or s.name in _OF_OTHERS:
            continue
        for part in ("value", "low", "high"):
            old, new = getattr(there, part), getattr(s, part)
            if not _close(old, new):
                name = s.name if part == "value" else f"{s.name}.{part}"
                found.append(Figure(f"statistics.{name}", old, new))
    return found + _headline(m, computed)


def _headline(m: dict[str, Any], computed: list[Statistic]) -> list[Figure]:
    """The few statistics that the manifest repeats, where they are others."""
    said, right = m.get("statistics"), headline(computed)
    said = said if isinstance(said, dict) else {}
    return [
        Figure(f"statistics.{name} (manifest)", said[name], value)
        for name, value in right.items()
        if name in said and name not in _OF_OTHERS and not _close(said[name], value)
    ]


def _close(a: Any, b: Any) -> bool:
    """Whether two figures are the same but for the rounding of floats; None is only None."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return bool(a == b)


def _figures(m: dict[str, Any], group: str, computed: dict[str, Any]) -> list[Figure]:
    """Figures that differ. A result that is not stated differs; a count may be newer than a run."""
    stated = m.get(group)
    stated = stated if isinstance(stated, dict) else {}
    return [
        Figure(f"{group}.{name}", stated.get(name), value)
        for name, value in computed.items()
        if stated.get(name) != value and (name in stated or group == "result")
    ]


def _explain_log(verdict: Verdict, store: LogStore, m: dict[str, Any], now: list[Any]) -> None:
    """Whether files were compacted since the run, which changes no event, or else what changed."""
    before = {e["path"]: e["sha256"] for e in m["log"]["entries"]}
    after = {e["path"]: e["sha256"] for e in now}
    if explained(store.storage, before, after):
        verdict.log_ok = True
        verdict.notes.append("the log was compacted since the run: other files, the same events")
        return
    changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    verdict.notes.append("the log changed since the run: " + ", ".join(changed[:5]))


def _explain(verdict: Verdict, m: dict[str, Any], strategy: Strategy) -> None:
    """Notes on what changed since the run, which is where a difference comes from."""
    here = {"ofs": ofs_version(), **jitcache.versions()}
    made = m.get("versions")
    other = [
        f"{name} {value}, here {here.get(name, 'none')}"
        for name, value in (made.items() if isinstance(made, dict) else ())
        if here.get(name) != value
    ]
    if other:
        verdict.notes.append("the run was made with " + "; ".join(other))
    recorded = m.get("schema", 1)
    if recorded != RECORD_VERSION:
        verdict.notes.append(
            f"the run's records have version {recorded}, this ofs writes {RECORD_VERSION}: their "
            "digests cannot agree"
        )
    if jitcache.source_hash() != m["source_hash"]:
        verdict.notes.append("the engine's sources changed since the run")
    if strategy.source_sha256 != m["strategy_hash"]:
        verdict.notes.append(f"the strategy's source changed since the run: {strategy.source.name}")
