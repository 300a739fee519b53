"""Digests of fixed tapes, printed as JSON: run in processes of every kind and compared.

``python -m tests.engine.digests`` prints {name: [decision digest, state digest]} for every handler
and for delta_flip. With NUMBA_DISABLE_JIT=1 the same sources run as plain Python.
"""

from __future__ import annotations

import json
import sys

from engine.kernel.registry import HANDLERS
from strategies.delta_flip import STRATEGY
from tests.engine.driving import fold_events, fold_steps, probe, whole
from tests.engine.tapes import fixed, market

SETTINGS = {
    "window": "5s", "warmup": "2", "entry_z": "0.5", "cooldown": "1s", "book": "off",
    "max_hold": "40s", "flip.mode": "cusum", "value": "outside",
}  # fmt: skip


def digests() -> dict[str, tuple[str, str]]:
    """Digests by handler and for the whole strategy, which also steps."""
    tape = fixed(4, 24)[:400]
    found = {name: fold_events(probe(name), tape).digests for name in HANDLERS}
    events = market(2, 120)
    found["delta_flip"] = fold_events(whole(STRATEGY), events, SETTINGS).digests
    found["delta_flip stepped"] = fold_steps(whole(STRATEGY), events, SETTINGS).digests
    return found


if __name__ == "__main__":
    json.dump(digests(), sys.stdout)
