"""The job on NautilusTrader, run inside an environment of its own.

Owns the command line; the decisions stand in `nautilus_flow`, what differs between 1.x (Cython) and
2.x (Rust) in `nautilus_v1` and `nautilus_v2`. Must hold:
everything that the engine can be spared is spared it (no logging, no analysis, no risk checks, no
hyphens in ids); the strategy's handler does nothing but sum. Refuses to know ofs.

What it is given: one TradeTick object a trade and one QuoteTick object a touch, built and handed
over before the timer starts. Decisions come from the engine's own timer, set on whole multiples
of 5 s. Its market orders fill on an L1 book that trades and quotes both move, a trade with its own
size, so that many orders fill in two parts; its latency model has the way to the exchange only, the
answer comes back at once.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

from tests.bench.measure import emit, pin, report, timed
from tests.bench.nautilus_flow import Flow
from tests.bench.tape import Tape, load_tape

WARM_UP_TRADES = 20_000


def run(tape: Tape) -> dict[str, Any]:
    """Warm up on a prefix, then do the job once on the whole tape and report that."""
    version = importlib.metadata.version("nautilus_trader")
    generation = "v1" if version.startswith("1.") else "v2"
    engine_of = importlib.import_module(f"tests.bench.nautilus_{generation}").prepare
    for part in (tape.prefix(WARM_UP_TRADES), tape):
        flow = Flow(tape.threshold_lots)
        engine = engine_of(part, flow)
        measured = timed(engine.run)
        engine.dispose()
    given = (
        f"{len(tape)} TradeTick + {len(tape.touch_ts_ns)} QuoteTick objects, Python handler per "
        "trade, 5-s engine timer, L1 book, netting margin account"
    )
    answer = flow.answer(len(tape))
    return report(answer, measured, peer=f"NautilusTrader {version}", version=version, given=given)


def main() -> None:
    """Command line of the peer; prints one JSON object as its last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    pinned = pin(options.core)
    emit({**run(load_tape(options.tape)), "pinned": pinned})


if __name__ == "__main__":
    main()
