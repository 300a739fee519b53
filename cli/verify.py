"""``ofs verify``: fold a run's log again and compare digests and every decision.

Prints the verdict; the comparison is ``engine.runtime.verify``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from cli import common
from cli.common import App
from data.errors import EXIT_DATA, EXIT_FINDING


@common.command(
    "verify",
    examples=("ofs verify last", "ofs verify last --json"),
    exits=(EXIT_FINDING, EXIT_DATA),
)
@click.argument("run")
def command(app: App, run: str) -> int:
    """Fold the log of RUN again and compare every decision.

    RUN is an id of `ofs runs`, the unique beginning of one, or `last`. The log is the one that the
    run names, or --log. The first difference is printed with its place; the exit code is then 1.
    """
    from data.log import LogStore
    from data.runs import find_run
    from engine.runtime.verify import check_manifest, verify
    from strategies import get

    recorded = find_run(app.runs, run)
    check_manifest(recorded)
    strategy = get(str(recorded.manifest["strategy"]))
    log = (
        app.log
        if app.log_flag and not _replay_run(recorded.manifest)
        else recorded.manifest["log"]["path"]
    )
    with app.progress("verify") as progress:

        def on_progress(done: int, total: int, market_ns: int) -> None:
            progress.total = total
            progress.update(done, market_ns)

        verdict = verify(
            LogStore(log), recorded, strategy, on_progress, lambda: progress.say("compiling…")
        )
    if app.json:
        app.emit({"schema": 1, "ok": verdict.ok, **dataclasses.asdict(verdict)})
    elif verdict.ok:
        app.print(f"ok: {verdict.decisions:,} decisions agree, digest {verdict.digest[:16]}")
        for note in verdict.notes:
            app.say(f"note: {note}")
    else:
        _print(app, verdict)
    return 0 if verdict.ok else EXIT_FINDING


def _replay_run(manifest: dict[str, Any]) -> bool:
    """Whether the run was made over a replay that comes with ofs."""
    import replays

    path = Path(manifest["log"]["path"])
    return any(path == replays.path(name) for name in replays.names())


def _print(app: App, verdict: Any) -> None:
    app.print(f"run {verdict.run} does not verify")
    for d in verdict.differences[:1]:
        app.print(
            f"first difference: {d.table} row {d.row} (decision {d.decision}, {d.time}), "
            f"{d.field}: the run has {d.recorded}, the fold gives {d.computed}"
        )
    for f in verdict.figures:
        app.print(f"{f.name}: the run states {f.recorded}, the fold gives {f.computed}")
    for name, ok in (("decision digest", verdict.digest_ok), ("state digest", verdict.state_ok),
                     ("log content", verdict.log_ok)):  # fmt: skip
        app.print(f"{name}: {'same' if ok else 'differs'}")
    for note in verdict.notes:
        app.print(f"note: {note}")
