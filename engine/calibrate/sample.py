"""What the sources said, decision by decision: the features that a model is fitted on.

Owns the strategy that trades nothing and writes down, at every boundary, what each signed source of
the classifier says (s = direction * strength, in [-1, 1]), which of them may speak at all, the ATR
and the spread. It is folded as a backtest is (:mod:`engine.runtime.replay`), with the same
settings, so a feature here is to the last bit the feature that the classifier reads there.

What must hold: a decision is taken when every source in use is ready and at least one of them
speaks; nothing of what comes later is known here. It refuses to know what became of it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from data.errors import DataError
from data.log import LogStore
from engine.kernel.confluence import SOURCES
from engine.kernel.signals import signal_write
from engine.runtime.compose import compose
from engine.runtime.replay import Outcome, Progress, Request, run
from engine.runtime.strategy import Strategy

MINUTE = 1
"""Index of the one-minute ATR, the yardstick of stops and targets."""


@njit(cache=True, nogil=True)
def _ready_bits(s: Any) -> int:
    """Which sources may speak: bit i for source i."""
    bits = s.absorption.signal.ready
    bits |= s.delta_divergence.signal.ready << 1
    bits |= s.sweep.signal.ready << 2
    bits |= s.cvd_divergence.signal.ready << 3
    bits |= s.vwap_deviation.signal.ready << 4
    bits |= s.pressure.signal.ready << 5
    bits |= s.cvd_trend.signal.ready << 6
    bits |= s.diagonal.signal.ready << 7
    return bits


@njit(cache=True, nogil=True)
def decide(s: Any, p: Any, o: Any, now_ns: int, grid_s: int) -> None:
    """Write what stands at boundary ``now_ns`` (ns UTC); it never asks for an order.

    In the decision: ``gates`` = sources that are ready, ``stop`` = ATR and ``target`` = spread of
    the book (both price units, 0 where not known).
    """
    d = s.core.decision
    d.gates = _ready_bits(s)
    if s.atr.ready[MINUTE] == 1:
        d.stop = np.int64(np.rint(s.atr.value[MINUTE]))
    if s.book.bids > 0 and s.book.asks > 0 and s.book.stale == 0:
        d.target = s.book.ask_price[0] - s.book.bid_price[0]
    signal_write(o, d, 0, s.absorption.signal)
    signal_write(o, d, 1, s.delta_divergence.signal)
    signal_write(o, d, 2, s.sweep.signal)
    signal_write(o, d, 3, s.cvd_divergence.signal)
    signal_write(o, d, 4, s.vwap_deviation.signal)
    signal_write(o, d, 5, s.pressure.signal)
    signal_write(o, d, 6, s.cvd_trend.signal)
    signal_write(o, d, 7, s.diagonal.signal)


SAMPLER = Strategy(
    name="sampler",
    doc="Trade nothing; write down what the sources of the classifier say.",
    handlers=(
        "absorption",
        "delta_divergence",
        "sweep",
        "cvd_divergence",
        "vwap_deviation",
        "pressure",
        "cvd_trend",
        "diagonal",
        "atr",
        "book",
    ),
    params=(),
    state=np.dtype([("unused", "i8")], align=True),
    decide=decide,
    gates=SOURCES,
    detectors=SOURCES,
)
"""What is folded to take a sample."""


@dataclass(frozen=True)
class Sample:
    """The decisions that were taken, in time order, n of them.

    ``ts_ns`` int64[n] (ns UTC), ``scores`` float64[n, 8] (s_i in [-1, 1], 0 for a source that is
    not used), ``price``, ``atr``, ``spread`` int64[n] (price units; spread 0 = not known).
    ``decisions`` counts all boundaries; ``ready``, ``spoke`` int64[8] those at which a source was
    ready and spoke; ``used`` names the sources that the sample stands on.
    """

    ts_ns: np.ndarray
    scores: np.ndarray
    price: np.ndarray
    atr: np.ndarray
    spread: np.ndarray
    decisions: int
    ready: np.ndarray
    spoke: np.ndarray
    used: tuple[str, ...]
    outcome: Outcome


class _Kept:
    """A sink that keeps the few columns of signals and decisions that a sample needs."""

    _OF_DECISIONS = ("id", "ts_ns", "price", "gates", "stop", "target")

    def __init__(self) -> None:
        self.signals: list[np.ndarray] = [np.zeros((0, 3), dtype=np.int64)]
        self.decisions: list[np.ndarray] = [np.zeros((0, 6), dtype=np.int64)]

    def take(self, name: str, rows: np.ndarray) -> None:
        if name == "signal":
            value = rows["direction"].astype(np.int64) * rows["strength_fp9"]
            self.signals.append(np.column_stack((rows["decision_id"], rows["detector"], value)))
        elif name == "decision":
            columns = [rows[c].astype(np.int64) for c in self._OF_DECISIONS]
            self.decisions.append(np.column_stack(columns))


def take_sample(
    store: LogStore,
    request: Request,
    sources: tuple[str, ...] = SOURCES,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Sample:
    """Fold the range of ``request`` (its strategy is :data:`SAMPLER`) and take its decisions.

    Sources that are never ready in the range are left out. DataError, with the counts, where none
    of ``sources`` ever is or no decision can be taken; errors of the fold pass through.
    """
    sink = _Kept()
    outcome = run(store, request, sink, progress, on_cold)
    rows = np.concatenate(sink.decisions)
    scores = _scores(rows[:, 0], np.concatenate(sink.signals))
    ready_bits = (rows[:, 3, None] >> np.arange(len(SOURCES))) & 1
    ready = ready_bits.sum(axis=0)
    spoke = ((scores != 0) & (ready_bits == 1)).sum(axis=0)
    used = tuple(n for i, n in enumerate(SOURCES) if n in sources and ready[i])
    here = np.array([n in used for n in SOURCES])
    scores[:, ~here] = 0.0
    whole = (ready_bits[:, here] == 1).all(axis=1) & bool(used)
    take = whole & (scores != 0).any(axis=1) & (rows[:, 4] > 0) & (rows[:, 2] > 0)
    sample = Sample(
        rows[take, 1], scores[take], rows[take, 2], rows[take, 4], rows[take, 5],
        len(rows), ready, spoke, used, outcome,
    )  # fmt: skip
    if not take.any():
        raise nothing_to_fit(sample, int(whole.sum()))
    return sample


def _scores(ids: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """float64[decisions, 8] of s_i from rows (decision id, source, value at 1e-9); ids ascend."""
    scores = np.zeros((len(ids), len(SOURCES)))
    at = np.searchsorted(ids, signals[:, 0])
    scores[at, signals[:, 1]] = signals[:, 2] / 1e9
    return scores


def counts_text(sample: Sample) -> str:
    """How often each source was ready and spoke, in words."""
    parts = [
        f"{name} {int(sample.ready[i]):,}/{int(sample.spoke[i]):,}"
        for i, name in enumerate(SOURCES)
    ]
    return f"of {sample.decisions:,} decisions each source was ready/spoke at: {', '.join(parts)}"


def nothing_to_fit(sample: Sample, whole: int) -> DataError:
    """The error for a range in which no decision can be taken."""
    if not sample.used:
        what = "no source of the classifier is ever ready in the range"
    elif not whole:
        what = "the sources are never ready together in the range"
    else:
        what = "no source says anything in the range"
    return DataError(
        what,
        where=f"{sample.outcome.venue} {sample.outcome.symbol}",
        why=counts_text(sample),
        do="take a longer range (sources warm up for hours, see `ofs backtest --strategy watch "
        "--settings`), or fewer sources with --sources",
    )


_MINUTES = (
    "impact.length",
    "sweep.history",
    "sweep.age",
    "absorption.bars",
    "delta_divergence.bars",
    "cvd_divergence.span",
    "cvd_trend.bars",
    "vwap_deviation.bars",
    "atr.length",
)
_STEPS = ("pressure.length",)
_LIVES = ("absorption.life", "cvd_divergence.ttl", "sweep.life", "diagonal.life")


def look_back_ns(settings: Mapping[str, str]) -> int:
    """How far back a feature can look, ns: the longest window, then the longest life of a signal.

    ``settings`` are those of a fold (text). The VWAP's anchor makes it a session at least.
    """
    from data.units import NS_OF, parse_duration

    minute, step_ns = 60 * NS_OF["s"], parse_duration(settings["decision.step"])
    windows = [int(settings[k]) * minute for k in _MINUTES if k in settings]
    windows += [int(settings[k]) * step_ns for k in _STEPS if k in settings]
    windows.append(parse_duration(settings["session.length"]))
    return max(windows) + max(parse_duration(settings[k]) for k in _LIVES if k in settings)


def feature_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of ``settings`` on which a feature depends: all but the broker's."""
    return {k: v for k, v in settings.items() if not k.startswith("sim.")}


@cache
def features_hash() -> str:
    """sha256 (hex) over every source file of the engine that a feature depends on.

    These are the classifier, the modules of the handlers in the sampler's fold, and what they
    import from the kernel and the schema. A change anywhere else (matching, a strategy) leaves a
    model valid.
    """
    todo = ["engine.kernel.core", "engine.kernel.confluence"]
    todo += [h.module for h in compose(SAMPLER).handlers]
    found: dict[str, bytes] = {}
    while todo:
        name = todo.pop()
        spec = find_spec(name) if name not in found else None
        if spec is None or not spec.origin:
            continue
        found[name] = Path(spec.origin).read_bytes().replace(b"\r\n", b"\n")
        todo += _inside(found[name])
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name}\0{len(found[name])}\0".encode())
        digest.update(found[name])
    return digest.hexdigest()


def _inside(text: bytes) -> list[str]:
    """Modules of the kernel and the schema that the source ``text`` imports."""
    named = [
        node.module
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    return [
        n for n in named if n.startswith("engine.kernel.") or n in ("data.events", "data.enums")
    ]
