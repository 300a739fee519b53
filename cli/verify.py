"""``ofs verify``: fold a run's log again and compare digests and every decision.

Prints the verdict; the comparison is ``engine.runtime.verify``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.complete import RUN_OR_FILE
from data.errors import EXIT_DATA, EXIT_FINDING, EXIT_OK, DataError, UsageError
from data.runs import find_run, is_latest, list_runs

if TYPE_CHECKING:
    from data.runs import Run
    from engine.runtime.golden import Folded


@common.command(
    "verify",
    examples=("ofs verify last", "ofs verify last --json", "ofs verify --golden"),
    exits=(EXIT_FINDING, EXIT_DATA),
)
@click.argument("run", type=RUN_OR_FILE, metavar="RUN|BUNDLE", required=False)
@click.option("--trust", is_flag=True, help="Run the strategy code that a bundle brings.")
@click.option("--golden", is_flag=True, help="Fold the sessions that come with ofs instead.")
def command(app: App, run: str | None, trust: bool, golden: bool) -> int:
    """Fold the log of a run again and compare every decision.

    RUN is an id of `ofs runs`, the unique beginning of one, or `last`; the id of a paper session of
    several symbols means all its runs. The log is the one that the run names, or --log. BUNDLE is a
    file of `ofs bundle`: every member is checked, and its own log is folded; where it brings
    strategy code of its own, that code is run, which needs --trust. The first difference is printed
    with its place; the exit code is then 1.

    With --golden every session that comes with ofs is folded and must give the digests that were
    written down for it.
    """
    if golden or run is None:
        return _golden(app, run, golden, trust)
    path = Path(run)
    if path.is_file() and not is_latest(run):
        return _verify_bundle(app, path, trust)
    if path.suffix == ".zip":
        raise DataError("there is no such bundle", where=str(path), do="check the path")
    several = _of_session(app, run)
    if len(several) > 1:
        return max(_verify(app, one, None, None) for one in several)
    if not several:
        _refuse_session(app, run)
    recorded = find_run(app.runs, run)
    named = app.log_flag and not _replay_run(recorded.manifest)
    return _verify(app, recorded, app.log if named else None, None)


def _of_session(app: App, name: str) -> list[Run]:
    """The runs that the paper session called ``name`` published, one a symbol."""
    return [r for r in list_runs(app.runs)[0] if r.manifest.get("session") == name]


def _refuse_session(app: App, name: str) -> None:
    """DataError where ``name`` is a session that has no run to fold again."""
    from data.live.session_folder import FACTS, SESSIONS, open_session

    path = app.runs / SESSIONS / name
    if len(Path(name).parts) != 1 or not (path / FACTS).is_file():
        return
    recording = open_session(path).facts.get("command") == "record"
    raise DataError(
        "a recording decides nothing" if recording else "the session has published nothing yet",
        where=str(path),
        why="there is no run to fold again",
        do="'ofs log check' looks at what it recorded" if recording
        else "a run appears at the first checkpoint: wait for it, or stop the session",
    )  # fmt: skip


def _golden(app: App, run: str | None, golden: bool, trust: bool) -> int:
    """Fold every golden session; finding when one differs."""
    if run is not None or trust or not golden:
        raise UsageError(
            "verify takes a RUN, a BUNDLE or --golden, one of them",
            where="ofs verify",
            do="`ofs verify last` takes the latest run; --golden takes nothing beside it",
        )
    import replays
    from engine.runtime.golden import fold_session, session_of
    from strategies import get

    found = []
    with app.progress("verify") as progress:
        for name in replays.names():
            session = session_of(replays.path(name), replays.manifest(name))
            progress.say(f"{name}: {session.title}")
            found.append(
                fold_session(
                    session, get(session.strategy), None, lambda: progress.say("compiling…")
                )
            )
    ok = all(f.ok for f in found)
    if app.json:
        app.emit({"schema": 1, "ok": ok, "sessions": [_golden_row(f) for f in found]})
    else:
        for f in found:
            app.print(f"{'ok' if f.ok else 'differs'}: {f.session.name}, {f.session.strategy}, "
                      f"digest {f.facts['digest'][:16]}")  # fmt: skip
            for d in f.differences:
                app.print(f"  {d.name}: written down {d.expected}, the fold gives {d.computed}")
    return EXIT_OK if ok else EXIT_FINDING


def _golden_row(f: Folded) -> dict[str, Any]:
    return {
        "name": f.session.name,
        "strategy": f.session.strategy,
        "ok": f.ok,
        "digest": f.facts["digest"],
        "differences": [dataclasses.asdict(d) for d in f.differences],
    }


def _verify_bundle(app: App, path: Path, trust: bool) -> int:
    """Check the bundle, and fold what it brings."""
    from engine.runtime.unbundle import read_contents, unpacked

    contents = read_contents(path)
    if app.log_flag:
        raise UsageError("a bundle brings its own log", where="--log", do="leave --log out")
    if contents.own_code and not trust:
        files = ", ".join(f"{name} (sha256 {digest[:16]})" for name, digest in contents.code)
        raise UsageError(
            "the bundle brings strategy code, and verifying it runs that code on this machine",
            where=str(path),
            why=f"its strategy is {contents.strategy}; it holds {files}",
            do="read it (the bundle is a zip file), and add --trust if you would run it yourself",
        )
    with unpacked(path) as bundle:
        return _verify(app, bundle.run, str(bundle.log), bundle.strategy)


def _verify(app: App, recorded: Run, log: str | None, strategy: str | None) -> int:
    """Fold and tell; ``log`` and ``strategy`` are those of the manifest where None."""
    from data.log import LogStore
    from engine.runtime.strategy_file import recorded_strategy
    from engine.runtime.verify import check_manifest, verify
    from strategies import get

    check_manifest(recorded)
    store = LogStore(log or recorded.manifest["log"]["path"])
    chosen = get(strategy or recorded_strategy(recorded.manifest))
    with app.progress("verify") as progress:

        def on_progress(done: int, total: int, market_ns: int) -> None:
            progress.total = total
            progress.update(done, market_ns)

        verdict = verify(store, recorded, chosen, on_progress, lambda: progress.say("compiling…"))
    if app.json:
        app.emit({"schema": 1, "ok": verdict.ok, **dataclasses.asdict(verdict)})
    elif verdict.ok:
        app.print(f"ok: {verdict.decisions:,} decisions agree, digest {verdict.digest[:16]}")
        for note in verdict.notes:
            app.say(f"note: {note}")
    else:
        _print(app, verdict)
    return EXIT_OK if verdict.ok else EXIT_FINDING


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
