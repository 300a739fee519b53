"""Digests of live folds, printed as JSON: run in processes of every kind and compared.

``python -m tests.engine.live_digests``: {name: [decision digest, state digest, hash of intents]}.
"""

from __future__ import annotations

import hashlib
import json
import sys

from data.events import RECORDS
from engine.runtime.compose import compose
from engine.runtime.records import packed
from tests.engine import absurd
from tests.engine.brokered import answers, live_run, simulated
from tests.engine.driving import Result, fold_steps
from tests.engine.puppet import STRATEGY, market

SETTINGS = {"sim.response_latency": "70ms", "sim.order_latency": "30ms", "decision.step": "1s"}
RESPONSE_NS = 70_000_000
HEDGING = {**SETTINGS, "sim.account": "hedging", "one": "true"}


def of(result: Result) -> list[str]:
    """What two folds must agree in."""
    intents = packed(RECORDS["intent"], result.sink.rows("intent"))
    return [*result.digests, hashlib.sha256(intents).hexdigest()]


def digests() -> dict[str, list[str]]:
    """Digests of a told run and of absurd answers, netting and hedging."""
    c, found = compose(STRATEGY, broker="live"), {}
    for name, settings in (("netting", SETTINGS), ("hedging", HEDGING)):
        tape = market(3, 60)
        told = answers(simulated(STRATEGY, tape, settings), RESPONSE_NS)
        fed = live_run(STRATEGY, tape, told, settings)[1]
        found[name] = of(fold_steps(c, fed, settings))
        found[f"absurd {name}"] = of(fold_steps(c, absurd.tape(3), settings))
    return found


if __name__ == "__main__":
    json.dump(digests(), sys.stdout)
