"""A fold kept in memory: what a test of a strategy asks about.

Owns :func:`fold`: a strategy over the replay that comes with ofs or over a log of one's own, with
every record as a numpy array. Nothing is written; no run is made. It is the loop of a backtest
(:mod:`engine.runtime.replay`), so what holds here holds there. It refuses to know what is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import replays
from data.events import RECORDS, Scales, numpy_dtype
from data.log import LogStore
from engine.plans.load import PlanText
from engine.runtime.records import Digest
from engine.runtime.replay import Request, run, violations
from engine.runtime.strategy import Strategy


@dataclass(frozen=True)
class Trial:
    """What a fold gave.

    The tables are structured arrays with the fields of ``data.events.RECORDS`` (int64 prices and
    quantities, scaled by ``scales``; times ns UTC). ``digest`` is that of the records, as in a
    run's manifest; ``violations`` counts by name what the engine refused.
    """

    signals: np.ndarray
    decisions: np.ndarray
    orders: np.ndarray
    fills: np.ndarray
    positions: np.ndarray
    equity: np.ndarray
    scales: Scales
    from_ns: int
    to_ns: int
    digest: str
    state_digest: str
    violations: dict[str, int]


class _Kept:
    """A sink that keeps every record and their digest."""

    def __init__(self) -> None:
        self.digest = Digest()
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in RECORDS}

    def take(self, name: str, rows: np.ndarray) -> None:
        self.digest.take(name, rows)
        self._parts[name].append(rows)

    def rows(self, name: str) -> np.ndarray:
        none = np.zeros(0, dtype=numpy_dtype(RECORDS[name]))
        return np.concatenate([none, *self._parts[name]])


def fold(
    strategy: Strategy,
    *,
    log: str | Path | None = None,
    venue: str | None = None,
    symbol: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    settings: dict[str, str] | None = None,
    chunk_rows: int = 32_768,
    plans: str = "",
) -> Trial:
    """Fold a range (ns UTC, from inclusive, to exclusive) of ``log``, else of the replay.

    ``settings`` are the keys of ``ofs backtest --set``, ``plans`` the text of a file of plans.
    Errors are those of a backtest: DataError where the range holds no event, ConfigError for a
    setting that does not exist.
    """
    store = LogStore(replays.path() if log is None else log)
    request = Request(
        strategy, strategy.name, venue, symbol, from_ns, to_ns, dict(settings or {}), chunk_rows,
        plans=PlanText("plans", plans) if plans else None,
    )  # fmt: skip
    sink = _Kept()
    outcome = run(store, request, sink)
    return Trial(
        signals=sink.rows("signal"),
        decisions=sink.rows("decision"),
        orders=sink.rows("order"),
        fills=sink.rows("fill"),
        positions=sink.rows("position"),
        equity=sink.rows("equity"),
        scales=outcome.scales,
        from_ns=outcome.from_ns,
        to_ns=outcome.to_ns,
        digest=sink.digest.hexdigest(),
        state_digest=outcome.fold.state_digest(),
        violations=violations(outcome.fold),
    )
