"""A fold stopped at one decision: the state as it stood when that decision had just been made.

Owns finding the place in the log. Batches are folded whole until the next one would go past the
decision; of that one just the events before it are folded, found by halving, and then the boundary
itself is fired by a clock event of its time. Because a fold is a function of its events, the state
is the one of the run. It refuses to know what is read off it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from data.errors import DataError
from data.events import RECORDS, Kind, Scales, numpy_dtype
from data.log import Batch, LogStore
from data.times import format_utc
from engine.plans.compile import Compiled
from engine.runtime.fold import Fold
from engine.runtime.replay import Request, composition_and_params, planned


class _Last:
    """A sink that keeps the last decision and what came with it."""

    def __init__(self) -> None:
        self.decision = np.zeros(0, dtype=numpy_dtype(RECORDS["decision"]))
        self.signals = np.zeros(0, dtype=numpy_dtype(RECORDS["signal"]))

    def take(self, name: str, rows: np.ndarray) -> None:
        if name == "decision":
            self.decision = rows[-1:]
        elif name == "signal":
            self.signals = rows


@dataclass(frozen=True)
class Moment:
    """The state right after the decision at ``ts_ns``.

    ``fold`` holds it; ``decision`` is its record (structured, shape (1,)), ``signals`` those that
    came with it, ``plans`` the plans of the request as they were compiled, ``execution`` the series
    in which its orders were executed, where that is another one.
    """

    fold: Fold
    scales: Scales
    venue: str
    symbol: str
    ts_ns: int
    decision: np.ndarray
    signals: np.ndarray
    plans: list[Compiled] = field(default_factory=list)
    execution: tuple[str, str] | None = None


def moment(
    store: LogStore,
    request: Request,
    ts_ns: int,
    on_cold: Callable[[], None] | None = None,
) -> Moment:
    """Fold ``request`` up to its last decision boundary at or before ``ts_ns`` (ns UTC).

    DataError where the range holds no decision by then.
    """
    composition, _, reader, params = composition_and_params(store, request, ahead=False)
    venue, symbol = reader.venue, reader.symbol
    last = _Last()
    plans = planned(request, composition, params, symbol, reader.scales)
    fold = Fold(composition, params, last, on_cold)
    step = int(fold.params["core"]["step_ns"][0])
    at = ts_ns // step * step
    for batch in reader:
        kept = fold.snapshot()
        fold.feed(batch.columns, batch.run_kind, batch.run_stop)
        fold.drain()
        if _fired(fold, at):
            _stop_before(fold, batch, kept, at)
            break
    if not 0 < int(fold.state["core"]["next_ns"][0]) <= at:
        raise DataError(
            "no decision was made by then",
            where=f"{venue} {symbol} at {format_utc(ts_ns)}",
            why="the range begins later",
            do="`ofs log ls` shows what there is; name a later time, or an earlier --from",
        )
    last.signals = last.signals[:0]
    _fire(fold, at)
    signals = last.signals[last.signals["ts_ns"] == last.decision["ts_ns"][0]]
    return Moment(
        fold, reader.scales, venue, symbol, at, last.decision, signals, plans, request.execution
    )


def _fire(fold: Fold, at_ns: int) -> None:
    """One clock event at ``at_ns``: the boundary fires before it is folded."""
    clock = {Kind.CLOCK: {"ts_ns": np.array([at_ns], dtype=np.int64)}}
    fold.feed(clock, np.array([int(Kind.CLOCK)], dtype=np.int8), np.ones(1, dtype=np.int64))
    fold.drain()


def _fired(fold: Fold, at_ns: int) -> bool:
    """Whether the boundary at ``at_ns``, or a later one, is behind."""
    return int(fold.state["core"]["next_ns"][0]) > at_ns


def _stop_before(fold: Fold, batch: Batch, before: bytes, at_ns: int) -> None:
    """Fold as many events of ``batch`` as come before the boundary at ``at_ns`` fires."""

    def folded(rows: int) -> bool:
        fold.restore(before)
        fold.feed(batch.columns, *first_rows(batch, rows))
        fold.drain()
        return _fired(fold, at_ns)

    low, high = 0, batch.rows
    while high - low > 1:
        middle = (low + high) // 2
        if folded(middle):
            high = middle
        else:
            low = middle
    folded(low)


def first_rows(batch: Batch, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(run_kind, run_stop) of the first ``rows`` events of ``batch``."""
    kinds: list[int] = []
    stops: list[int] = []
    at: dict[int, int] = {}
    for kind, stop in zip(batch.run_kind.tolist(), batch.run_stop.tolist(), strict=True):
        if rows <= 0:
            break
        start = at.get(kind, 0)
        taken = min(stop - start, rows)
        kinds.append(kind)
        stops.append(start + taken)
        at[kind] = start + taken
        rows -= taken
    return np.array(kinds, dtype=np.int8), np.array(stops, dtype=np.int64)
