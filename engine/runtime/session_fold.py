"""One instrument of a live session: its fold, fed by groups, and the records that come out.

Owns turning a group of admitted events into the columns and runs that a fold takes, and
:class:`LiveFold`, which keeps digest, sums and rows of the records as a backtest would. What must
hold: the records are those of one fold over the session's log, however the events were cut into
groups; so nothing here looks at where a group begins or ends, nor at any clock.

It refuses to know where groups come from and where records are kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.errors import ConfigError
from data.events import REFERENCE, Kind, Scales
from data.live.blocks import Group, Series
from data.log.columns import Rows
from engine.kernel.events import COLUMNS, column_dtype
from engine.plans.compile import Compiled
from engine.runtime.compose import OF_EXECUTION, Composition, compose
from engine.runtime.fold import Buffers, Fold
from engine.runtime.parameters import build, settle
from engine.runtime.records import Digest, Totals
from engine.runtime.replay import Request, planned

Feed = tuple[dict[Kind, dict[str, np.ndarray]], np.ndarray, np.ndarray]
"""Columns by kind, run_kind int8[runs], run_stop int64[runs]: what :meth:`Fold.feed` takes."""


def numbers_in(group: Group) -> list[int]:
    """Numbers of the series that ``group`` has rows of, rising."""
    parts = [part.series for part in group.parts.values()]
    if len(parts) == 1 and len(parts[0]) == 1:
        return [int(parts[0][0])]
    return [int(n) for n in np.unique(np.concatenate(parts))]


def feed_of(
    group: Group, number: int, kinds: Sequence[Kind], execution: int | None = None
) -> Feed | None:
    """The rows of series ``number`` of the ``kinds`` that a fold takes, in order of ``seq``.

    ``execution`` is the number of the series whose quotes and broker's answers are taken instead.
    """
    columns: dict[Kind, dict[str, np.ndarray]] = {}
    seqs: list[np.ndarray] = []
    for kind in kinds:
        part = group.parts.get(kind)
        place = number if execution is None or kind not in OF_EXECUTION else execution
        rows = part.of(place) if part is not None else None
        if rows is not None and rows.n:
            columns[kind] = _taken(kind, rows)
            seqs.append(rows["seq"])
    if not columns:
        return None
    labels = np.array([int(k) for k in columns], dtype=np.int8)
    if len(seqs) == 1:
        return columns, labels, np.array([len(seqs[0])], dtype=np.int64)
    of_row = np.repeat(labels, [len(s) for s in seqs])[np.argsort(np.concatenate(seqs))]
    ends = np.append(np.flatnonzero(of_row[1:] != of_row[:-1]), len(of_row) - 1)
    run_kind = of_row[ends]
    run_stop = np.zeros(len(ends), dtype=np.int64)
    for label in labels:
        mine = run_kind == label
        run_stop[mine] = np.cumsum(of_row == label)[ends[mine]]
    return columns, run_kind, run_stop


def _taken(kind: Kind, rows: Rows) -> dict[str, np.ndarray]:
    """Columns as compiled code wants them: writeable, contiguous, of the width that it knows.

    That a gap was filled is not known when it is received, whatever its row says later on.
    """
    taken = {}
    for name in COLUMNS[kind]:
        values = rows[name]
        if name == "filled":
            values = np.zeros(rows.n, dtype=np.int8)
        taken[name] = np.require(values, column_dtype(name), ["C", "A", "W"])
    return taken


def composition_of(request: Request) -> Composition:
    """The composition of a live fold; ConfigError where it is told to read another series."""
    composition = compose(request.strategy, broker=request.broker)
    named = settle(composition, request.settings).get("reference.vix", "none").strip()
    if REFERENCE in composition.kinds and named != "none":
        raise ConfigError(
            f"the bars of {named} cannot be heard in a session",
            where="reference.vix",
            why="a session receives only its own instruments",
            do="leave reference.vix out",
        )
    return composition


def compile_fold(request: Request, symbol: str, on_cold: Callable[[], None] | None = None) -> None:
    """Have the fold of ``request`` compiled (or loaded) before anything waits for it: a stand-in
    whose clock begins with its first client does not wait. Errors as of :meth:`LiveFold.make`; the
    scales are the finest, because those of ``symbol`` are not asked for yet."""
    execution = None if request.execution is None else 1
    series = Series(request.venue or "", symbol, Scales(8, 8))
    live = LiveFold.make(0, series, request, Buffers(), on_cold, execution)
    live.feed({}, np.zeros(0, np.int8), np.zeros(0, np.int64))


@dataclass
class Cut:
    """What a checkpoint keeps of one instrument: all as of the event it was taken at.

    ``rows`` counts records by table, ``new`` are those since the cut before, ``tail`` what stands
    open and would be written if the run ended here; ``digest`` and ``totals`` include the tail,
    ``marks`` are hashes of the tables without it.
    """

    state: bytes
    rows: dict[str, int]
    new: dict[str, list[np.ndarray]]
    tail: dict[str, list[np.ndarray]]
    digest: Digest
    totals: Totals
    marks: dict[str, str]
    sums: dict[str, Any]
    first_ns: int


@dataclass
class LiveFold:
    """The fold of one instrument of a session, with all that its records add up to.

    ``heard``, where set, is called with each table's new rows as they come out of the fold.
    ``execution`` is the number of the series in which its orders are executed, where that is
    another one.
    """

    number: int
    series: Series
    request: Request
    fold: Fold
    settings: dict[str, str]
    plans: list[Compiled]
    digest: Digest = field(default_factory=Digest)
    totals: Totals = field(default_factory=Totals)
    heard: Callable[[str, np.ndarray], None] | None = None
    execution: int | None = None
    first_ns: int = 0
    _new: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _empty: bytes = b""

    @classmethod
    def make(
        cls,
        number: int,
        series: Series,
        request: Request,
        buffers: Buffers,
        on_cold: Callable[[], None] | None = None,
        execution: int | None = None,
    ) -> LiveFold:
        """Compile (or load) the fold and give it an empty state; ConfigError as in a backtest.

        With ``execution`` the request names that series too, and both have the same scales.
        """
        assert (execution is None) == (request.execution is None)
        composition = composition_of(request)
        settings = settle(composition, request.settings)
        params = build(composition, settings, series.scales, apart=execution is not None)
        plans = planned(request, composition, params, series.symbol, series.scales)
        sink = _Relay()
        fold = Fold(composition, params, sink, on_cold, buffers)
        live = cls(number, series, request, fold, settings, plans, execution=execution)
        sink.to = live
        live._empty = fold.snapshot()
        return live

    def take(self, name: str, rows: np.ndarray) -> None:
        """Records out of the fold."""
        self.digest.take(name, rows)
        self.totals.take(name, rows)
        self._new.setdefault(name, []).append(rows)
        if self.heard is not None:
            self.heard(name, rows)

    def feed(self, columns: dict[Kind, dict[str, np.ndarray]], run_kind: np.ndarray,
             run_stop: np.ndarray) -> None:  # fmt: skip
        """Fold events in order; their records are handed out before this returns."""
        if not self.first_ns and len(run_kind):
            self.first_ns = int(columns[Kind(int(run_kind[0]))]["ts_ns"][0])
        self.fold.feed(columns, run_kind, run_stop)
        self.fold.drain()

    def feed_group(self, group: Group) -> None:
        """Fold the rows of this instrument in ``group``."""
        found = feed_of(group, self.number, self.fold.composition.kinds, self.execution)
        if found is not None:
            self.feed(*found)

    @property
    def now_ns(self) -> int:
        """Engine time, ns UTC; 0 before the first event."""
        return int(self.fold.state["core"]["now_ns"][0])

    @property
    def next_ns(self) -> int:
        """The next decision boundary, ns UTC; 0 before the first event."""
        return int(self.fold.state["core"]["next_ns"][0])

    @property
    def open_qty(self) -> int:
        """Signed position, units of the quantity scale."""
        return int(self.fold.state["known"]["qty"][0])

    def since_cut(self, name: str) -> list[np.ndarray]:
        """Rows of record table ``name`` since the last cut (or since the state was restored)."""
        return list(self._new.get(name, []))

    def cut(self) -> Cut:
        """What a checkpoint keeps; the records since the last one are handed over with it."""
        new, self._new = self._new, {}
        rows, marks = dict(self.digest.rows), self.digest.marks()
        sums = dict(vars(self.totals))
        tail = _Tail(self.digest.copy(), copy.copy(self.totals))
        self.fold.sink, kept = tail, self.fold.sink
        try:
            self.fold.finish()
        finally:
            self.fold.sink = kept
        return Cut(
            self.fold.snapshot(), rows, new, tail.rows, tail.digest, tail.totals, marks, sums,
            self.first_ns,
        )  # fmt: skip

    def reset(self) -> None:
        """Back to before the first event."""
        self.fold.restore(self._empty)
        self.digest, self.totals, self.first_ns, self._new = Digest(), Totals(), 0, {}

    def restore(self, state: bytes, sums: dict[str, Any], first_ns: int,
                records: Iterator[tuple[str, np.ndarray]]) -> None:  # fmt: skip
        """Go on from a cut: its state, its sums, and every record up to it by table."""
        self.fold.restore(state)
        self.digest = Digest()
        for name, rows in records:
            self.digest.take(name, rows)
        self.totals = Totals()
        vars(self.totals).update(sums)
        self.first_ns = first_ns
        self._new = {}


class _Relay:
    """The sink of a fold that is made before its owner."""

    def __init__(self) -> None:
        self.to: LiveFold | None = None

    def take(self, name: str, rows: np.ndarray) -> None:
        """Hand on."""
        assert self.to is not None
        self.to.take(name, rows)


class _Tail:
    """Takes what stands open, on copies of digest and sums."""

    def __init__(self, digest: Digest, totals: Totals) -> None:
        self.digest, self.totals = digest, totals
        self.rows: dict[str, list[np.ndarray]] = {}

    def take(self, name: str, rows: np.ndarray) -> None:
        """Take ``rows`` of record table ``name``."""
        self.digest.take(name, rows)
        self.totals.take(name, rows)
        self.rows.setdefault(name, []).append(rows)
