"""Digests of fixed tapes, printed as JSON: run in processes of every kind and compared.

``python -m tests.engine.digests`` prints {name: [decision digest, state digest]} for a group of
handlers, for delta_flip, for watch_proxy (flow of quotes and bars) and for watch, which has every
detector in one fold (one compile for all of them; each by itself is what ``kernel/test_handlers``
folds). With NUMBA_DISABLE_JIT=1 the same sources run as plain Python.
"""

from __future__ import annotations

import json
import sys

from strategies.delta_flip import STRATEGY
from strategies.watch import STRATEGY as WATCH
from strategies.watch_proxy import STRATEGY as WATCH_PROXY
from tests.engine.driving import fold_events, fold_steps, probe, whole
from tests.engine.tapes import fixed, market
from tests.engine.tapes_proxy import proxy_tape

SETTINGS = {
    "window": "5s", "warmup": "2", "entry_z": "0.5", "cooldown": "1s", "book": "off",
    "max_hold": "40s", "flip.mode": "cusum", "value": "outside",
}  # fmt: skip


FIRST = ("footprint",)
"""One of a group: the state of the fold holds all of it."""
SHORT = {"impact.length": "12", "impact.warm": "6", "regime.warm": "4", "toxicity.warm": "2"}
"""Detectors of a short tape must come to speak."""


def digests() -> dict[str, tuple[str, str]]:
    """Digests by handler and for the whole strategy, which also steps."""
    tape = fixed(4, 24)[:400]
    found = {name: fold_events(probe(name), tape).digests for name in FIRST}
    events = market(2, 120)
    found["delta_flip"] = fold_events(whole(STRATEGY), events, SETTINGS).digests
    found["delta_flip stepped"] = fold_steps(whole(STRATEGY), events, SETTINGS).digests
    quoted, soon = proxy_tape(3, 6), {"impact.warm": "6", "proxy.warm": "2", "proxy.quiet": "2s"}
    found["watch_proxy"] = fold_events(whole(WATCH_PROXY), quoted, soon).digests
    found["watch_proxy t"] = fold_events(
        whole(WATCH_PROXY), quoted, {**soon, "proxy.dist": "t", "proxy_metrics.mode": "seed"}
    ).digests
    found["watch"] = fold_events(whole(WATCH), events, SHORT).digests
    return found


if __name__ == "__main__":
    json.dump(digests(), sys.stdout)
