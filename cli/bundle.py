"""``ofs bundle``: a run in one file that another machine can verify.

Owns the options and the report; what is in the file stands in :mod:`engine.runtime.bundle`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from cli import common
from cli.common import App
from data.errors import EXIT_DATA, EXIT_INTERRUPT
from data.units import format_size


@common.command(
    "bundle",
    examples=("ofs bundle last", "ofs bundle last --out run.zip --json"),
    exits=(EXIT_DATA, EXIT_INTERRUPT),
)
@click.argument("run")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write it. [default: RUN.bundle.zip]",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def command(app: App, run: str, out: Path | None, force: bool) -> None:
    """Put a run into one file: its events, settings, strategy source, records and digests.

    RUN is an id of 'ofs runs', the unique beginning of one, or 'last'. The log is the one that the
    run names, or --log. 'ofs verify FILE' proves the run from the file alone, on any machine. Files
    of the log go in whole, so that their hashes hold: a run over an hour takes its day along. The
    same run gives the same bytes; no path of this machine is in them.
    """
    from data.log import LogStore
    from data.runs import find_run
    from engine.runtime.bundle import write_bundle
    from engine.runtime.verify import check_manifest

    recorded = find_run(app.runs, run)
    check_manifest(recorded)
    store = LogStore(app.log if app.log_flag else recorded.manifest["log"]["path"])
    target = out or Path(f"{recorded.id}.bundle.zip")
    builtin = _builtin(str(recorded.manifest["strategy"]))
    done = write_bundle(recorded, store, builtin, target, force)
    for note in done.notes:
        app.say(f"note: {note}")
    if app.json:
        app.emit(
            {
                "schema": 1,
                "run": recorded.id,
                "file": str(done.path),
                "bytes": done.bytes,
                "sha256": done.sha256,
                "members": done.members,
                "log_files": done.log_files,
                "log_bytes": done.log_bytes,
                "own_code": done.own_code,
                "fresh": done.fresh,
            }
        )
        return
    app.print(str(done.path))
    if not done.fresh:
        app.say("it was there already, byte for byte")
    app.say(
        f"{format_size(done.bytes)} in {done.members} members, of that "
        f"{format_size(done.log_bytes)} of the log in {done.log_files} files"
    )
    app.say(f"sha256 {done.sha256}")
    trust = " --trust" if done.own_code else ""
    app.say(f"anywhere else: ofs verify {done.path.name}{trust}")


def _builtin(name: str) -> Path | None:
    """The source of a strategy that comes with ofs; None for a user's file."""
    if ".py" in name:
        return None
    from strategies import get

    get(name)  # a name that is no strategy is told with those that are
    spec = importlib.util.find_spec(f"strategies.{name}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)
