"""The golden result of the embedded sessions: what stands in ``replay.json`` under ``golden``.

``python -m tests.e2e.golden`` runs the sessions with the present engine and writes the results into
their ``replay.json``. Do that only for a change that is meant to change what is decided, filled or
kept in the state, and say in the changelog what changed and why: a digest that moves by itself is a
bug. ``replays.build`` keeps what stands there as long as the market is the same; it never runs the
engine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import replays
from engine.runtime.golden import facts_of, platform_name, session_of
from strategies import get

__all__ = ["main", "platform_name", "result"]


def result(folder: Path, **options: Any) -> dict[str, Any]:
    """The facts of a run over the replay in ``folder``; ``options`` go to the request."""
    manifest = json.loads((folder / replays.MANIFEST).read_text(encoding="utf-8"))
    session = session_of(folder, manifest)
    return facts_of(session, get(session.strategy), **options)


def main() -> int:
    """Write the golden result of every session into its manifest."""
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
