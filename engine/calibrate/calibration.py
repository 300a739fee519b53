"""``ofs calibrate`` from request to model: sample, labels, folds, fit, and what it all was.

Owns the order of things and the facts that a model file states about itself. It refuses to know
about the terminal and where the file goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from data import jitcache
from data.errors import DataError
from data.log import LogReader, LogStore
from data.times import format_utc
from data.units import format_duration, parse_duration
from engine.calibrate.barriers import Distance, round_trip_cost
from engine.calibrate.fit import GRID, Rows
from engine.calibrate.fitting import Fit, Market, Scheme, fit
from engine.calibrate.labels import COLUMNS, NONE, STOP, TARGET, TIME, Labels, label, uniqueness
from engine.calibrate.model import Model
from engine.calibrate.sample import (
    SAMPLER,
    Sample,
    counts_text,
    feature_settings,
    features_hash,
    look_back_ns,
    take_sample,
)
from engine.kernel.confluence import SOURCES
from engine.runtime.compose import compose
from engine.runtime.groups_classifier import WEIGHTS
from engine.runtime.parameters import table
from engine.runtime.replay import Progress, Request, ofs_version
from engine.runtime.strategy import Strategy

_WEIGHT = "confluence.weight_"

LONG_TIMEOUTS = 0.3
"""Share of labels that end by time above which the barriers are too far for the horizon."""


@dataclass(frozen=True)
class Barriers:
    """What a label is: distances of stop and target, and the time limit in ns."""

    stop: Distance
    target: Distance
    horizon_ns: int


@dataclass(frozen=True)
class Ask:
    """What to fit: the range, whose settings, labels, folds, sources.

    ``embargo_ns`` None is the longest look-back of a feature. ``settings`` are text by key, those
    of the strategy already among them, and ``weights`` (by source) give the side that the
    classifier takes: see :func:`sampler_settings` for both.
    """

    strategy: Strategy
    strategy_text: str
    venue: str | None
    symbol: str | None
    from_ns: int | None
    to_ns: int | None
    settings: dict[str, str]
    barriers: Barriers
    folds: int = 5
    scheme: str = "walk-forward"
    embargo_ns: int | None = None
    sources: tuple[str, ...] = SOURCES
    weights: dict[str, str] = field(default_factory=lambda: dict(WEIGHTS))


@dataclass(frozen=True)
class Calibration:
    """What came out: the model with its facts, the fit itself, and what is worth saying aloud."""

    model: Model
    fit: Fit
    notes: tuple[str, ...]


def sampler_settings(
    strategy: Strategy, given: dict[str, str]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """(settings of the sampler's fold, weight of each source, keys of ``given`` that say nothing).

    ``strategy``'s own defaults stand under ``given``. What belongs to the strategy alone has no
    say in what the sources say and is left out; what nobody knows stays, to be refused.
    """
    mine, its = table(compose(SAMPLER)), table(compose(strategy))
    out = {k: v for k, v in strategy.overrides if k in mine}
    out.update({k: v for k, v in given.items() if k in mine or k not in its})
    known = {**{f"{_WEIGHT}{k}": v for k, v in WEIGHTS.items()}, **dict(strategy.overrides)}
    weights = {**known, **given} if f"{_WEIGHT}{SOURCES[0]}" in its else known
    idle = [k for k in given if k not in out and not k.startswith(_WEIGHT)]
    return out, {name: weights[f"{_WEIGHT}{name}"] for name in SOURCES}, idle


def calibrate(
    store: LogStore,
    ask: Ask,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Calibration:
    """Fit a model as ``ask`` says; DataError, with the counts, where the range does not carry one.

    ``progress`` is called with (events so far, events expected, market time in ns).
    """
    request = Request(
        SAMPLER, SAMPLER.name, ask.venue, ask.symbol, ask.from_ns, ask.to_ns, ask.settings
    )
    sample = take_sample(store, request, ask.sources, progress, on_cold)
    labels = _labels(store, ask, sample)
    here = labels.whole
    if not here.any():
        raise DataError(
            "no decision of the range has a label",
            where=f"{sample.outcome.venue} {sample.outcome.symbol}",
            why=f"{len(here):,} decisions, and all of them lie within "
            f"{format_duration(ask.barriers.horizon_ns)} of the end of the trades or across a gap",
            do="take a longer range or a shorter --horizon",
        )
    rows = _rows(sample, labels, here)
    look_back = look_back_ns(sample.outcome.settings)
    embargo_ns = look_back if ask.embargo_ns is None else ask.embargo_ns
    try:
        market = _market(ask, sample, labels, here)
        found = fit(rows, market, Scheme(ask.folds, embargo_ns, ask.scheme))
    except DataError as error:
        error.where = f"{sample.outcome.venue} {sample.outcome.symbol}"
        error.why += f"; {_cost_text(labels)}; {counts_text(sample)}"
        raise
    facts = _facts(ask, sample, labels, rows, found, embargo_ns)
    linear, knots = found.linear, found.table
    model = Model(
        linear.intercept, dict(zip(SOURCES, linear.beta.tolist(), strict=True)),
        knots.x, knots.p, knots.low, facts,
    )  # fmt: skip
    return Calibration(model, found, _notes(ask, sample, labels, found, embargo_ns, look_back))


def _labels(store: LogStore, ask: Ask, sample: Sample) -> Labels:
    """Labels of every decision of ``sample``, by a second pass over the trades alone."""
    outcome = sample.outcome
    reader = LogReader(
        store, outcome.venue, outcome.symbol, COLUMNS, from_ns=ask.from_ns, to_ns=ask.to_ns
    )
    factor = 10 ** (outcome.scales.price - reader.scales.price)  # books may be finer than trades
    price, atr, spread = (
        np.rint(x / factor).astype(np.int64) for x in (sample.price, sample.atr, sample.spread)
    )
    return label(
        reader,
        sample.ts_ns,
        ask.barriers.stop.units(price, atr),
        ask.barriers.target.units(price, atr),
        round_trip_cost(outcome.settings, reader.scales, price, spread),
        parse_duration(outcome.settings["sim.order_latency"]),
        ask.barriers.horizon_ns,
    )


def _rows(sample: Sample, labels: Labels, here: np.ndarray) -> Rows:
    start_ns = sample.ts_ns[here]
    weight = np.column_stack([uniqueness(start_ns, labels.end_ns[here, side]) for side in range(2)])
    return Rows(sample.scores[here], labels.won[here], weight, start_ns, labels.last_ns[here])


def _market(ask: Ask, sample: Sample, labels: Labels, here: np.ndarray) -> Market:
    weights = np.array([float(ask.weights[name]) for name in SOURCES])
    lean = np.round(sample.scores[here] @ weights, 9)
    return Market(
        _needed(labels)[here], labels.net[here], labels.entry[here].astype(np.float64),
        labels.stop[here], np.sign(lean).astype(np.int64),
    )  # fmt: skip


def _cost_text(labels: Labels) -> str:
    """What a trade costs against what it can win, in words."""
    here = labels.whole
    cost, target = (
        float((x[here] / labels.entry[here]).mean()) * 1e4 for x in (labels.cost, labels.target)
    )
    eaten = int((labels.target[here] <= labels.cost[here]).sum())
    return (
        f"a round trip costs {cost:.2f} bp and the target lies {target:.2f} bp away, at {eaten:,} "
        "decisions no further than its cost"
    )


def _needed(labels: Labels) -> np.ndarray:
    """(SL + c) / (TP + SL) of each decision; the kernel's ``needed_probability`` on arrays."""
    return np.asarray((labels.stop + labels.cost) / (labels.target + labels.stop))


def _notes(
    ask: Ask, sample: Sample, labels: Labels, found: Fit, embargo_ns: int, look_back: int
) -> tuple[str, ...]:
    notes = []
    never = [name for name in ask.sources if name not in sample.used]
    if never:
        notes.append(f"never ready in the range, so without a say: {', '.join(never)}")
    if found.table.method == "base_rate":
        notes.append("no skill out of fold: the model holds the base rate and trades nothing")
    late = float((labels.outcome[labels.whole] == TIME).mean())
    if late > LONG_TIMEOUTS:
        notes.append(
            f"{late:.0%} of the labels end by time and count as lost: the barriers are far for "
            f"a horizon of {format_duration(ask.barriers.horizon_ns)}"
        )
    if ask.scheme == "kfold" and embargo_ns < look_back:
        notes.append(
            f"an embargo of {format_duration(embargo_ns)} is shorter than what a feature looks "
            f"back, {format_duration(look_back)}: figures may be too good"
        )
    return tuple(notes)


def _facts(
    ask: Ask, sample: Sample, labels: Labels, rows: Rows, found: Fit, embargo_ns: int
) -> dict[str, Any]:
    """Everything that the file says beside the numbers of the model."""
    outcome = sample.outcome
    here = labels.whole
    return {
        "method": found.table.method,
        "labels": _label_facts(ask, labels, outcome.settings),
        "counts": {
            "decisions": sample.decisions,
            "sampled": len(here),
            "labelled": int(here.sum()),
            "effective": rows.effective(),
            "out_of_fold": int((found.scored.fold >= 0).sum()),
        },
        "sources": {
            name: {
                "used": name in sample.used,
                "ready": int(sample.ready[i]),
                "spoke": int(sample.spoke[i]),
                "sampled": int((rows.scores[:, i] != 0).sum()),
                "effective": rows.effective(rows.scores[:, i] != 0),
            }
            for i, name in enumerate(SOURCES)
        },
        "scores": _score_facts(found),
        "fit": {
            "scheme": ask.scheme,
            "folds": len(found.folds),
            "embargo": format_duration(embargo_ns),
            "c": found.linear.c,
            "c_tried": list(GRID),
        },
        "provenance": _provenance(ask, sample),
        "settings": feature_settings(outcome.settings),
        "folds": _fold_facts(rows, found),
        "bins": [asdict(b) for b in found.figures.bins],
    }


def _label_facts(ask: Ask, labels: Labels, settings: dict[str, str]) -> dict[str, Any]:
    here = labels.whole
    outcome = labels.outcome[here]
    cost = labels.cost[here] / labels.entry[here]
    return {
        "stop": str(ask.barriers.stop),
        "target": str(ask.barriers.target),
        "horizon": format_duration(ask.barriers.horizon_ns),
        "latency": settings["sim.order_latency"],
        "taker_fee": settings["sim.taker_fee"],
        "targets": int((outcome == TARGET).sum()),
        "stops": int((outcome == STOP).sum()),
        "by_time": int((outcome == TIME).sum()),
        "won": int(labels.won[here].sum()),
        "without_label": int((labels.outcome == NONE).any(axis=1).sum()),
        "cost_bp": float(cost.mean()) * 1e4,
        "stop_bp": float((labels.stop[here] / labels.entry[here]).mean()) * 1e4,
        "target_bp": float((labels.target[here] / labels.entry[here]).mean()) * 1e4,
        "needed": float(_needed(labels)[here].mean()),
    }


def _score_facts(found: Fit) -> dict[str, Any]:
    facts = asdict(found.figures)
    del facts["bins"]
    return {**{k: v for k, v in facts.items() if k != "traded"}, "traded": facts["traded"]}


def _provenance(ask: Ask, sample: Sample) -> dict[str, Any]:
    outcome = sample.outcome
    return {
        "venue": outcome.venue,
        "symbol": outcome.symbol,
        "from": format_utc(outcome.from_ns),
        "to": format_utc(outcome.to_ns),
        "content_hash": outcome.content_hash,
        "files": len(outcome.entries),
        "strategy": ask.strategy_text,
        "strategy_hash": ask.strategy.source_sha256,
        "features_hash": features_hash(),
        "source_hash": jitcache.source_hash(),
        "sources": list(ask.sources),
        "versions": {
            "ofs": ofs_version(),
            "numpy": jitcache.versions()["numpy"],
            "scikit-learn": version("scikit-learn"),
        },
    }


def _fold_facts(rows: Rows, found: Fit) -> list[dict[str, Any]]:
    out = []
    for fold, model in zip(found.folds, found.scored.models, strict=True):
        weight = rows.weight[fold.test]
        out.append(
            {
                "from": format_utc(int(rows.start_ns[fold.test].min())),
                "to": format_utc(int(rows.end_ns[fold.test].max())),
                "train": len(fold.train),
                "train_effective": rows.effective(fold.train),
                "test": len(fold.test),
                "test_effective": rows.effective(fold.test),
                "win_rate": float((weight * rows.won[fold.test]).sum() / weight.sum()),
                "purged": fold.purged,
                "embargoed": fold.embargoed,
                "scored": model is not None,
                "c": None if model is None else model.c,
            }
        )
    return out
