"""The golden result of an embedded replay: what stands in ``replay.json`` under ``golden``.

``python -m tests.e2e.golden`` runs the replays with the present engine and writes the result into
their ``replay.json``. Do that only for a change that is meant to change what is decided, filled or
kept in the state, and say in the commit what changed and why: a digest that moves by itself is a
bug. ``replays.build`` keeps what stands there as long as the market is the same; it never runs the
engine.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import replays
from data.log import LogStore
from engine.runtime.records import RunSink
from engine.runtime.replay import Request, run
from strategies import get

STRATEGY = "delta_flip"


def platform_name() -> str:
    """Floats in the state may differ in their last bit elsewhere; what is decided may not."""
    return f"{sys.platform}-{platform.machine()}"


def result(folder: Path, **options: Any) -> dict[str, Any]:
    """The golden facts of a run over the replay in ``folder``; ``options`` go to the request."""
    sink = RunSink(None)
    outcome = run(LogStore(str(folder)), Request(get(STRATEGY), STRATEGY, **options), sink)
    rows = sink.digest.rows
    return {
        "strategy": STRATEGY,
        "digest": sink.digest.hexdigest(),
        "state_digest": outcome.fold.state_digest(),
        "state_on": platform_name(),
        "rows": {name: rows[name] for name in ("decision", "order", "fill", "position")},
        "round_trips": sink.totals.round_trips,
        "net_pnl_1e8": sink.totals.gross - sink.totals.fees,
    }


def main() -> int:
    """Write the golden result of every replay into its manifest."""
    for name in replays.names():
        path = replays.path(name) / replays.MANIFEST
        manifest = replays.manifest(name)
        manifest["golden"] = result(path.parent)
        text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
        path.write_text(text, encoding="utf-8", newline="\n")
        sys.stderr.write(f"{name}: {manifest['golden']['digest']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
