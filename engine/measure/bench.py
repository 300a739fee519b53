"""The bench of the detectors: every market listened to, every detector scored, one row each.

Owns the runs: a job is one seed of one kind of market and its null twin; it yields a
:class:`Piece` for each detector, mode and source. Pieces of a setting are pooled over seeds into a
row. Thresholds are calibrated on the null twins of the *other* generator: the number that at most
:data:`TARGET` of their windows pass, applied to this one without another look. The same request
gives the same table. It refuses to judge which figure is good enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from data.events import NS
from data.sources.synthetic import Label
from engine.measure import detectors as table
from engine.measure.detectors import PLANTED, Detector
from engine.measure.flips import episodes
from engine.measure.listen import MODES, SOURCES, Heard, Listener
from engine.measure.markets import (
    BASE,
    GENERATORS,
    HOURS,
    PLAIN,
    PLANTINGS,
    VARIATIONS,
    WINDOW_S,
    Market,
    Variation,
)
from engine.measure.match import EVENT, largest, match, onsets, windows
from engine.measure.score import Tally, auc, average_precision, figures

TARGET = 0.02
"""Share of null windows that may raise an alarm, in calibration."""

STEP_NS = 5 * NS
SWEEP_SEEDS = 2
"""Seeds of each variation beside the base, at most."""


@dataclass(frozen=True)
class Request:
    """What to measure; ``hours`` is the length of a market, five of them are warm-up."""

    seeds: int = 20
    generators: tuple[str, ...] = tuple(GENERATORS)
    modes: tuple[str, ...] = MODES
    sources: tuple[str, ...] = SOURCES
    sweep: bool = True
    hours: int = HOURS
    first_seed: int = 1

    @property
    def jobs(self) -> int:
        """How many markets (with their twins) that takes."""
        return len(list(jobs(self)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Job:
    """One seed of one kind of market."""

    generator: str
    kind: str
    variation: Variation
    seed: int


Key = tuple[str, str, str, str, str]
"""(detector, mode, source, generator, variation)."""


@dataclass(frozen=True)
class Piece:
    """What one market and its twin say about one detector in one mode through one source.

    ``open_planted`` and ``open_null`` are the records with the threshold open, for calibration.
    """

    key: Key
    tally: Tally
    raw_auc: tuple[float, float] = (0.0, 0.0)
    labels: tuple[Label, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    open_planted: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT))
    open_null: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT))
    events: int = 0


Progress = Callable[[int, int], None]
"""Called with (jobs done, jobs in all)."""


def measure(
    listener: Listener, request: Request, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """The rows of the table, in a fixed order. One after the other: a fold's compile patches numba
    for the whole process, and a market and its folds take a fraction of a second.
    """
    todo = list(jobs(request))
    pieces: list[Piece] = []
    for done, job in enumerate(todo, 1):
        pieces += run(listener, request, job)
        if progress is not None:
            progress(done, len(todo))
    return rows(pieces)


def jobs(request: Request) -> Iterator[Job]:
    """Every market that is made, in order: all seeds of the base, a few of each variation."""
    kinds = (*(d.kind for d in PLANTED), table.FLIP_KIND, PLAIN)
    for generator in request.generators:
        for kind in kinds:
            for seed in range(request.first_seed, request.first_seed + request.seeds):
                yield Job(generator, kind, BASE, seed)
            if request.sweep and kind != PLAIN:
                for v in VARIATIONS:
                    last = request.first_seed + min(SWEEP_SEEDS, request.seeds)
                    for seed in range(request.first_seed, last):
                        yield Job(generator, kind, v, seed)


def run(listener: Listener, request: Request, job: Job) -> list[Piece]:
    """Make the job's market and its twin, listen to both, and count."""
    make = GENERATORS[job.generator]
    market = make(job.kind, job.seed, job.variation, False, request.hours)
    if job.kind == PLAIN:
        return _plain(listener, request, market)
    twin = make(job.kind, job.seed, job.variation, True, request.hours)
    if job.kind == table.FLIP_KIND:
        return _flips(listener, request, market, twin)
    (detector,) = (d for d in PLANTED if d.kind == job.kind)
    return [
        _piece(listener, detector, mode, source, market, twin)
        for source in request.sources
        for mode in request.modes
        if mode in detector.modes
    ]


def _hear(
    listener: Listener, market: Market, settings: dict[str, str], source: str, signal: str
) -> np.ndarray:
    """Records of one detector in the judged part of a market."""
    heard = listener.listen(market.columns, market.scales, settings, source)
    return judged(heard.of(signal), market)


def judged(records: np.ndarray, market: Market) -> np.ndarray:
    """The records in the judged part of a market."""
    a, b = np.searchsorted(records["ts_ns"], [market.start_ns, market.end_ns])
    return records[a:b]


def _piece(
    listener: Listener, d: Detector, mode: str, source: str, market: Market, twin: Market
) -> Piece:
    settings = table.SEED_SETTINGS if mode == "seed" else {}
    said, null_said = (_hear(listener, m, settings, source, d.signal) for m in (market, twin))
    opened, null_opened = said, null_said
    raw = (0.0, 0.0)
    if mode == "standard":
        opened, null_opened = (_hear(listener, m, d.open, source, d.signal) for m in (market, twin))
        wide, null_wide = (
            _hear(listener, m, {**d.open, **d.raw}, source, d.signal) for m in (market, twin)
        )
        raw = _weighed(_auc(wide, null_wide, market, d, "value_fp9"))
    number = "value_fp9" if mode == "standard" else "strength_fp9"
    tally = count(
        onsets(said, STEP_NS), onsets(null_said, STEP_NS), market, PLANTINGS[d.kind].tolerance_s
    )
    a, n = _weighed(_auc(opened, null_opened, market, d, number))
    ap, ap_n = _weighed(_ap(opened, market, d, number))
    tally = replace(tally, auc=a, auc_n=n, ap=ap, ap_n=ap_n)
    return Piece(
        (d.name, mode, source, market.generator, market.variation),
        tally,
        raw,
        market.labels,
        market.start_ns,
        market.end_ns,
        _compact(opened),
        _compact(null_opened),
        len(onsets(said, STEP_NS)),
    )


def _weighed(value: float | None) -> tuple[float, float]:
    return (0.0, 0.0) if value is None else (value, 1.0)


def _compact(records: np.ndarray) -> np.ndarray:
    out = np.zeros(len(records), EVENT)
    out["ts_ns"], out["direction"] = records["ts_ns"], records["direction"]
    out["value"] = records["value_fp9"] / 1e9
    return out


def _spans(market: Market, d: Detector) -> np.ndarray:
    """[from, to) of every label with its tolerance, int64[n, 2]."""
    tolerance = PLANTINGS[d.kind].tolerance_s * NS
    return np.array([(x.onset_ns, x.end_ns + tolerance) for x in market.labels], np.int64)


def _tiles(market: Market, length_ns: int) -> np.ndarray:
    """The judged part cut into windows of ``length_ns``: int64[n, 2]."""
    edges = windows(market.start_ns, market.end_ns, length_ns // NS)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _auc(
    said: np.ndarray, null_said: np.ndarray, market: Market, d: Detector, number: str
) -> float | None:
    """Planted windows against windows of the same length of the null twin."""
    if not market.labels:
        return None
    spans = _spans(market, d)
    tiles = _tiles(market, int(np.median(spans[:, 1] - spans[:, 0])))
    return auc(
        largest(said["ts_ns"], said[number] / 1e9, spans),
        largest(null_said["ts_ns"], null_said[number] / 1e9, tiles),
    )


def _ap(said: np.ndarray, market: Market, d: Detector, number: str) -> float | None:
    """Planted windows among the windows of the same market that no label touches."""
    if not market.labels:
        return None
    spans = _spans(market, d)
    tiles = _tiles(market, WINDOW_S * NS)
    free = np.ones(len(tiles), bool)
    for label in market.labels:
        free &= (tiles[:, 1] <= label.start_ns) | (tiles[:, 0] >= label.settle_ns)
    value = said[number] / 1e9
    planted = largest(said["ts_ns"], value, spans)
    # a label stands for one window in twenty, so the others are thinned to nineteen a label
    others = largest(said["ts_ns"], value, tiles[free])
    wanted = 19 * len(planted)
    weight = np.linspace(0, len(others) - 1, min(wanted, len(others))).astype(np.int64)
    return average_precision(planted, others[weight])


def count(
    events: np.ndarray, null_events: np.ndarray, market: Market | Piece, tolerance_s: int
) -> Tally:
    """Events of a market and of its twin (EVENT rows, judged part only) against its labels."""
    m = match(events, market.labels, tolerance_s)
    found = np.flatnonzero(m.found >= 0)
    first = events[m.found[found]]
    onset = np.array([market.labels[i].onset_ns for i in found], np.int64)
    side = np.array([market.labels[i].direction for i in found], np.int64)
    edges = windows(market.start_ns, market.end_ns, WINDOW_S)
    alarmed = np.unique(np.searchsorted(edges, null_events["ts_ns"], "right"))
    seconds = (market.end_ns - market.start_ns) / NS
    return Tally(
        labels=len(market.labels),
        found=len(found),
        right=int((first["direction"] == side).sum()),
        false=len(m.false),
        delay_s=float((first["ts_ns"] - onset).sum() / NS),
        windows=len(edges) - 1,
        null_windows=len(edges) - 1,
        null_alarmed=int((alarmed < len(edges)).sum()),
        null_events=len(null_events),
        null_hours=seconds / 3_600,
    )


def _plain(listener: Listener, request: Request, market: Market) -> list[Piece]:
    """Alarms of the detectors without truth, on a market without patterns."""
    out = []
    for source in request.sources:
        for mode in request.modes:
            settings = table.SEED_SETTINGS if mode == "seed" else {}
            heard = listener.listen(market.columns, market.scales, settings, source)
            for name in table.without_truth(listener.detectors(source)):
                if mode == "seed" and name not in table.WITH_SEED:
                    continue
                events = onsets(judged(heard.of(name), market), STEP_NS)
                tally = count(np.zeros(0, EVENT), events, market, 0)
                key = (name, mode, source, market.generator, market.variation)
                out.append(Piece(key, tally, events=len(events)))
    return out


def _flips(listener: Listener, request: Request, market: Market, twin: Market) -> list[Piece]:
    """The flip exit on positions held through planted flips and through their twins."""
    tolerance = PLANTINGS[table.FLIP_KIND].tolerance_s
    out = []
    for source in request.sources:
        heard, null_heard = (
            listener.listen(m.columns, m.scales, {}, source) for m in (market, twin)
        )
        for mode in request.modes:
            if table.refused(table.FLIP, source):
                tally, signals = Tally(labels=len(market.labels), null_windows=1), 0
            else:
                tally, signals = _flip_tally(heard, null_heard, market, mode, tolerance)
            key = (table.FLIP, mode, source, market.generator, market.variation)
            out.append(Piece(key, tally, events=signals))
    return out


def _flip_tally(
    heard: Heard, null_heard: Heard, market: Market, mode: str, tolerance_s: int
) -> tuple[Tally, int]:
    exits, tops, kept, _ = episodes(heard, market.labels, mode, tolerance_s)
    null_exits, null_tops, null_kept, seconds = episodes(
        null_heard, market.labels, mode, tolerance_s
    )
    late = [(x, e) for x in kept for e in exits if x.start_ns <= e["ts_ns"] <= x.end_ns
            + tolerance_s * NS]  # fmt: skip
    right = [(x, e) for x, e in late if e["ts_ns"] >= x.onset_ns]
    a, n = _weighed(auc(tops, null_tops))
    tally = Tally(
        labels=len(kept),
        found=len(right),
        right=len(right),
        false=len(late) - len(right) + len(null_exits),
        delay_s=float(sum((int(e["ts_ns"]) - x.onset_ns) / NS for x, e in right)),
        windows=len(kept) + len(null_kept),
        null_windows=len(null_kept),
        null_alarmed=len(null_exits),
        null_events=len(null_exits),
        null_hours=float(seconds.sum()) / 3_600,
        auc=a,
        auc_n=n,
    )
    return tally, len(exits) + len(null_exits)


def rows(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    """One row a key, pooled over seeds, with what calibration on the other generator gives."""
    groups: dict[Key, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(piece.key, []).append(piece)
    return [_row(key, mine, groups) for key, mine in groups.items()]


def _row(key: Key, mine: list[Piece], groups: dict[Key, list[Piece]]) -> dict[str, Any]:
    name, mode, source, generator, variation = key
    row: dict[str, Any] = {
        "detector": name,
        "mode": mode,
        "side_source": source,
        "generator": generator,
        "variation": variation,
        "seeds": len(mine),
        "refused": table.refused(name, source) and not any(p.events for p in mine),
        "events": sum(p.events for p in mine),
    }
    row.update(figures([p.tally for p in mine]))
    hours = sum(p.tally.null_hours for p in mine)
    row["events_per_hour"] = round(row["events"] / hours, 4) if hours else None
    weight = sum(p.raw_auc[1] for p in mine)
    row["auc_raw"] = round(sum(p.raw_auc[0] for p in mine) / weight, 4) if weight else None
    others = [
        q for k, v in groups.items() for q in v
        if (k[0], k[1], k[2], k[4]) == (name, mode, source, BASE.name) and k[3] != generator
    ]  # fmt: skip
    row.update(calibrated(mine, others))
    return row


CALIBRATED = ("precision", "recall", "false_alarm_rate")
NOTHING: dict[str, Any] = {
    "auc_raw": None,
    "calibrated_threshold": None,
    **{f"calibrated_{name}": None for name in CALIBRATED},
}
"""What calibration says where there is nothing to calibrate."""


def calibrated(mine: Sequence[Piece], others: Iterable[Piece]) -> dict[str, Any]:
    """The threshold that TARGET of the others' null windows pass, and what it gives here."""
    detector = next((d for d in PLANTED if d.name == mine[0].key[0]), None)
    limit = threshold(others) if detector and mine[0].key[1] == "standard" else None
    out = {k: v for k, v in NOTHING.items() if k != "auc_raw"}
    if limit is None or detector is None:
        return out
    tallies = [_at(p, detector, limit) for p in mine]
    found = figures(tallies)
    out["calibrated_threshold"] = round(limit, 3)
    out.update({f"calibrated_{n}": found[n] for n in CALIBRATED})
    return out


def threshold(pieces: Iterable[Piece]) -> float | None:
    """The number that no more than TARGET of the null windows of ``pieces`` pass; None without."""
    tops = [
        largest(p.open_null["ts_ns"], p.open_null["value"], np.stack([e[:-1], e[1:]], axis=1))
        for p in pieces
        for e in [windows(p.start_ns, p.end_ns, WINDOW_S)]
    ]
    if not tops:
        return None
    return max(0.0, float(np.quantile(np.concatenate(tops), 1 - TARGET)))


def _at(p: Piece, d: Detector, limit: float) -> Tally:
    """The tally of a piece, had the threshold been ``limit``."""
    events = [above(x, limit, d.hold_s * NS) for x in (p.open_planted, p.open_null)]
    return count(events[0], events[1], p, PLANTINGS[d.kind].tolerance_s)


def above(records: np.ndarray, limit: float, hold_ns: int) -> np.ndarray:
    """Events (EVENT rows) of open records whose |value| is above ``limit``."""
    kept = records[np.abs(records["value"]) > limit]
    new = np.ones(len(kept), bool)
    new[1:] = (np.diff(kept["ts_ns"]) > hold_ns) | (np.diff(kept["direction"]) != 0)
    return kept[new]
