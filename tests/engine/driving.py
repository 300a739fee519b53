"""Drives folds for tests: compositions made once, records collected, batches cut anywhere."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from data.events import RECORDS, Kind, Scales, numpy_dtype
from engine.runtime.compose import Composition, compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from engine.runtime.records import Digest
from engine.runtime.strategy import Param, Strategy
from tests.engine import probe_groups, probes
from tests.engine.tapes import Event, Packed, pack

SCALES = Scales(1, 3)
WHICH = (Param("which", "count", "0", "whose numbers go into the decision"),)


class Collect:
    """A sink that keeps every record and the digest."""

    def __init__(self) -> None:
        self.digest = Digest()
        self.parts: dict[str, list[np.ndarray]] = {name: [] for name in RECORDS}
        self.drains = 0

    def take(self, name: str, rows: np.ndarray) -> None:
        self.drains += 1
        self.digest.take(name, rows)
        self.parts[name].append(rows)

    def rows(self, name: str) -> np.ndarray:
        none = np.zeros(0, dtype=numpy_dtype(RECORDS[name]))
        return np.concatenate([none, *self.parts[name]])


@dataclass(frozen=True)
class Result:
    """What a fold over a tape gave."""

    digest: str
    state: str
    sink: Collect
    fold: Fold

    @property
    def digests(self) -> tuple[str, str]:
        return self.digest, self.state


@cache
def probe(name: str) -> Composition:
    """A composition, without matching, whose decisions carry the numbers of handler ``name``.

    Handlers of one group are folded together: one compile serves them all.
    """
    for group, names in probe_groups.GROUPS.items():
        if name in names:
            which = (("which", str(names.index(name))),)
            decide = probe_groups.DECIDES[group]
            strategy = Strategy(f"probe_{group}", f"Probe {group}.", names, WHICH, probes.STATE,
                                decide, overrides=(*probes.short(names), *which))  # fmt: skip
            return compose(strategy, broker="none")
    return alone(name)


@cache
def alone(name: str) -> Composition:
    """The composition of handler ``name`` and what it needs, nothing else, without matching."""
    return compose(probes.alone(name), broker="none")


@cache
def whole(strategy: Strategy) -> Composition:
    """A strategy's composition with simulated matching, as a backtest runs it."""
    return compose(strategy)


def new_fold(c: Composition, settings: dict[str, str] | None = None) -> tuple[Fold, Collect]:
    sink = Collect()
    return Fold(c, build(c, settle(c, settings or {}), SCALES), sink), sink


def result(fold: Fold, sink: Collect) -> Result:
    fold.finish()
    return Result(sink.digest.hexdigest(), fold.state_digest(), sink, fold)


def fold_cut(
    c: Composition, tape: Packed, cuts: Sequence[int] = (), settings: dict[str, str] | None = None
) -> Result:
    """Fold a tape in batches that end at ``cuts`` and at its end."""
    fold, sink = new_fold(c, settings)
    edges = [0, *sorted(cuts), len(tape)]
    for a, b in itertools.pairwise(edges):
        if a < b:
            fold.feed(*tape.batch(a, b))
    return result(fold, sink)


def step_all(fold: Fold, events: list[Event]) -> None:
    """Fold events one by one through ``step``, those that the composition takes."""
    for e in events:
        if e["kind"] in fold.composition.kinds:
            fold.step(Kind(e["kind"]), e)


def fold_steps(
    c: Composition, events: list[Event], settings: dict[str, str] | None = None
) -> Result:
    fold, sink = new_fold(c, settings)
    step_all(fold, events)
    return result(fold, sink)


def fold_events(
    c: Composition, events: list[Event], settings: dict[str, str] | None = None
) -> Result:
    return fold_cut(c, pack(events), (), settings)


def every(n: int, step: int) -> list[int]:
    return list(range(step, n, step))


def random_cuts(n: int, seed: int) -> list[int]:
    r = random.Random(seed)
    return sorted(r.sample(range(n + 1), min(n, r.randint(1, 12))))


def plain(value: Any) -> Any:
    """A numpy value as plain Python."""
    return value.tolist() if hasattr(value, "tolist") else value
