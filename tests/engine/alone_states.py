"""State of every handler, each folded alone over one tape: printed as JSON {name: hash}.

``NUMBA_DISABLE_JIT=1 python -m tests.engine.alone_states``; see ``kernel/test_alone.py``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from typing import Any

import numpy as np

from engine.kernel.registry import HANDLERS
from tests.engine.driving import alone, fold_events, probe
from tests.engine.tapes import HOUR, Event, fixed

SHORT = {"decision.idle": "2m"}
"""Silence is left out early: nearly all boundaries of the tape lie in it."""
BY_FOOTPRINT = ("poc", "value_low", "value_high", "value_fp9")
"""What a footprint, where there is one, writes into a closed candle."""


def tape() -> list[Event]:
    """One tape with every disorder in it; the hours up to its midnight are one.

    Thousands of candles in which nothing happens would close in every handler's fold.
    """
    events = fixed(4, 16)[:300]
    ts = [e["ts_ns"] for e in events]
    jump, at = max((b - a, n) for n, (a, b) in enumerate(itertools.pairwise(ts)))
    skipped = jump // HOUR * HOUR - HOUR
    assert skipped > 5 * HOUR
    return [later(e, skipped) if n <= at else e for n, e in enumerate(events)]


def later(event: Event, by_ns: int) -> Event:
    """The event, all of whose times are later."""
    return {k: v + by_ns if k.endswith("_ns") else v for k, v in event.items()}


def state_hash(state: Any) -> str:
    """SHA-256 over the fields of a state record; padding does not count."""
    digest = hashlib.sha256()

    def fold(value: Any) -> None:
        array = np.asarray(value)
        if array.dtype.names is None:
            digest.update(np.ascontiguousarray(array).tobytes())
            return
        for name in array.dtype.names:
            if name not in BY_FOOTPRINT:
                fold(array[name])

    fold(state)
    return digest.hexdigest()


def states() -> dict[str, str]:
    """Hash of the state by handler, under the settings of its group."""
    events = tape()
    found = {}
    for name in HANDLERS:
        mine = alone(name)
        given = {k: v for k, v in probe(name).strategy.overrides if k != "which"}
        given = {k: v for k, v in given.items() if k.split(".")[0] in mine.params.names}
        found[name] = state_hash(fold_events(mine, events, {**given, **SHORT}).fold.state[name][0])
    return found


if __name__ == "__main__":
    json.dump(states(), sys.stdout)
