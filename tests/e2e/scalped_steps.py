"""The scalper over a short tape, handed over in every way: one digest, printed as JSON by itself.

``NUMBA_DISABLE_JIT=1 python -m tests.e2e.scalped_steps 600`` gives the digests of plain Python, in
one piece and by :meth:`Fold.step`; compiled, a step is a compile of its own, as long as the fold's.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from data.events import Kind
from strategies.scalper import STRATEGY
from tests.engine.driving import (
    Result,
    fold_cut,
    fold_steps,
    new_fold,
    random_cuts,
    result,
    whole,
)
from tests.engine.tapes import Event, market, pack

EAGER = {
    "desk.window": "5s", "desk.warmup": "2", "exits.atr": "15s", "exits.hold": "40s",
    "impact.length": "12", "impact.warm": "6", "confluence.coverage": "0",
    "confluence.threshold": "0.01", "confluence.weight_diagonal": "1",
    "confluence.weight_pressure": "1", "confluence.weight_cvd_trend": "1",
    "lifecycle.cooldown": "0", "risk.losses": "2", "risk.losses_pause": "20s",
    "risk.drawdown": "0", "risk.spread": "0", "risk.slippage": "0", "risk.gap": "10s",
}  # fmt: skip
"""Ten minutes are enough to trade in."""
PAUSE = ((0.55, 1), (0.6, 2), (0.7, 3), (0.85, 4), (0.9, 2))
"""Pause, resume, flatten, stop and resume, at shares of the tape."""


def tape(seconds: int) -> list[Event]:
    """A market with a gap in its middle, and an operator."""
    events = market(23, seconds)
    for share, code in PAUSE:
        at = int(share * len(events))
        events.insert(at, {"kind": Kind.CONTROL, "ts_ns": events[at]["ts_ns"], "id": at,
                           "code": code, "value": 0})  # fmt: skip
    return events


def straight(seconds: int) -> Result:
    """In one piece."""
    return fold_cut(whole(STRATEGY), pack(tape(seconds)), (), EAGER)


def restored(events: list[Event], cut: int) -> tuple[tuple[str, str], Any]:
    """(digests, state at the restart) of a fold that is restored at ``cut`` and then stepped."""
    c = whole(STRATEGY)
    packed = pack(events)
    first, sink = new_fold(c, EAGER)
    first.feed(*packed.batch(0, cut))
    first.drain()
    second, _ = new_fold(c, EAGER)
    second.sink = sink
    second.restore(first.snapshot())
    state = np.array(second.state)
    for n in range(cut, len(events)):
        second.feed(*packed.batch(n, n + 1))
    return result(second, sink).digests, state


def held_at(events: list[Event], want: Result) -> int:
    """An event in the middle of the longest position."""
    rows = want.sink.rows("position")
    longest = rows[np.argmax(rows["closed_ns"] - rows["ts_ns"])]
    middle = (int(longest["closed_ns"]) + int(longest["ts_ns"])) // 2
    return next(n for n, e in enumerate(events) if e["ts_ns"] > middle)


def ways(seconds: int) -> dict[str, tuple[str, str]]:
    """Digests by the way in which the events were handed over."""
    events = tape(seconds)
    c, packed = whole(STRATEGY), pack(events)
    n = len(events)
    found = {f"cuts {x}": fold_cut(c, packed, random_cuts(n, x), EAGER).digests for x in (1, 2)}
    found["singly"] = fold_cut(c, packed, range(1, n), EAGER).digests
    for cut in (n // 3, n - 9):
        found[f"restored {cut}"] = restored(events, cut)[0]
    return found


if __name__ == "__main__":
    seconds = int(sys.argv[1])
    want = straight(seconds)
    stepped = fold_steps(whole(STRATEGY), tape(seconds), EAGER)
    found = {"fold": want.digests, "steps": stepped.digests, "orders": len(want.sink.rows("order"))}
    json.dump(found, sys.stdout)
