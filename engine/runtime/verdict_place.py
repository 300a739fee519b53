"""Where a session falls among backtests of the same strategy, with the same settings.

Owns both comparisons. With a reference log: one backtest over it, cut into windows as long as the
session (each begins a quarter of that length after the one before); the session's net result is
placed among theirs. Without one: a backtest of the session's own log *with what was fetched later
filled in*, whose results by stretches of time are resampled to the length of the session; a session
that lost by what it missed falls out of that distribution.

What must hold: both sides count the same thing, the net results of round trips by the time at which
they closed. It refuses to know what place is good enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from data.errors import DataError
from data.events import MONEY_SCALE
from data.log import LogStore
from data.runs import Run
from data.times import parse_utc
from data.units import NS_OF
from engine.plans.load import from_manifest
from engine.report.resample import place_in, sums_of
from engine.report.tables import columns_of
from engine.runtime.paper_sections import Reference
from engine.runtime.replay import Progress, Request, run
from engine.runtime.strategy import Strategy
from engine.runtime.verdict import Place

StrategyOf = Callable[[Run], Strategy]
"""The strategy that a run was made with."""

QUARTER = 4
BLOCKS_MIN = 20
"""Stretches of time into which a session is cut at least."""

MONEY = 10**MONEY_SCALE


@dataclass
class Trips:
    """A sink that keeps the round trips only: when each closed (ns UTC) and its net money."""

    closed_ns: list[np.ndarray] = field(default_factory=list)
    net: list[np.ndarray] = field(default_factory=list)

    def take(self, name: str, rows: np.ndarray) -> None:
        """Keep closed positions."""
        if name == "position":
            done = rows[rows["closed_ns"] != 0]
            self.closed_ns.append(done["closed_ns"].copy())
            self.net.append(done["net_pnl"].copy())

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """(closed_ns int64, net float64 in account currency), in order of time."""
        none = np.zeros(0, np.int64)
        closed_ns = np.concatenate([none, *self.closed_ns])
        order = np.argsort(closed_ns, kind="stable")
        return closed_ns[order], np.concatenate([none, *self.net])[order] / MONEY


def trips_of(runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Round trips that ``runs`` recorded, as :meth:`Trips.joined`."""
    kept = Trips()
    for one in runs:
        table = columns_of(one, "position", ("closed_ns", "net_pnl"))
        done = table["closed_ns"] != 0
        kept.closed_ns.append(table["closed_ns"][done])
        kept.net.append(table["net_pnl"][done])
    return kept.joined()


def place_of(
    runs: Sequence[Run],
    reference: Reference,
    strategy_of: StrategyOf,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Place:
    """The place of a session, which published ``runs`` (at least one), among its backtests."""
    result = float(trips_of(runs)[1].sum())
    length_ns = max(_end(r) for r in runs) - min(_start(r) for r in runs)
    of = f"windows of {reference.log}" if reference.log else "resamples of a backtest of its log"
    try:
        trips, from_ns, to_ns = _backtests(runs, reference, strategy_of, progress, on_cold)
    except DataError as error:
        return Place(of, result, why=f"{error.what} ({error.where})")
    if reference.log:
        values = windows(*trips, from_ns, to_ns, length_ns)
        independent = (to_ns - from_ns) / length_ns if length_ns else 0.0
        if len(values) < reference.windows_min:
            days = (to_ns - from_ns) / NS_OF["d"]
            why = f"{days:.3g} days of {reference.log} hold {len(values)} windows of the session's "
            return Place(of, result, why=f"{why}length; {reference.windows_min} are asked for")
    else:
        stretches = by_time(*trips, from_ns, to_ns)
        values, independent = sums_of(stretches), 1.0
    low, median, high = (float(x) for x in np.quantile(values, (0.05, 0.5, 0.95)))
    share = place_in(result, values)
    return Place(of, result, share, len(values), independent, low, median, high)


def _backtests(
    runs: Sequence[Run],
    reference: Reference,
    strategy_of: StrategyOf,
    progress: Progress | None,
    on_cold: Callable[[], None] | None,
) -> tuple[tuple[np.ndarray, np.ndarray], int, int]:
    """(round trips, from, to) of a backtest for each symbol, over what they have in common."""
    sink = Trips()
    starts, ends = [], []
    for one in runs:
        m = one.manifest
        own = not reference.log
        request = Request(
            strategy_of(one), m["strategy"],
            m["venue"] if own else reference.venue or m["venue"], m["symbol"],
            m["range"]["from_ns"] if own else reference.from_ns or None,
            m["range"]["to_ns"] if own else reference.to_ns or None,
            _of_model(m["params"]), plans=from_manifest(m),
        )  # fmt: skip
        store = LogStore(m["log"]["path"] if own else reference.log)
        outcome = run(store, request, sink, progress, on_cold)
        starts.append(outcome.from_ns)
        ends.append(outcome.to_ns)
    if reference.log:
        return sink.joined(), max(starts), min(ends)
    return sink.joined(), min(_start(r) for r in runs), max(_end(r) for r in runs)


def _of_model(params: dict[str, str]) -> dict[str, str]:
    """The settings of a run without those that only a live fold has: the model knows no basis."""
    return {key: value for key, value in params.items() if not key.startswith("basis.")}


def windows(
    closed_ns: np.ndarray, net: np.ndarray, from_ns: int, to_ns: int, length_ns: int
) -> np.ndarray:
    """Net result of every window of ``length_ns`` between ``from_ns`` and ``to_ns``, float64."""
    if length_ns <= 0 or to_ns - from_ns < length_ns:
        return np.zeros(0)
    step = max(1, length_ns // QUARTER)
    starts = np.arange(from_ns, to_ns - length_ns + 1, step)
    reached = np.concatenate(([0.0], np.cumsum(net)))
    first = np.searchsorted(closed_ns, starts, side="left")
    last = np.searchsorted(closed_ns, starts + length_ns, side="left")
    values: np.ndarray = reached[last] - reached[first]
    return values


def by_time(closed_ns: np.ndarray, net: np.ndarray, from_ns: int, to_ns: int) -> np.ndarray:
    """Net result by stretches of one length, float64: days, or at least BLOCKS_MIN of them."""
    length = max(1, to_ns - from_ns)
    n = max(BLOCKS_MIN, -(-length // NS_OF["d"]))
    at = np.clip((closed_ns - from_ns) // -(-length // n), 0, n - 1)
    values: np.ndarray = np.bincount(at, weights=net, minlength=n)
    return values


def _start(r: Run) -> int:
    return parse_utc(str(r.manifest["from"]))


def _end(r: Run) -> int:
    return parse_utc(str(r.manifest["to"]))
