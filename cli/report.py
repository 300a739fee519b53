"""``ofs report``: a run as one HTML file.

Chooses the log and the place of the file; the work is ``engine.report.report``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import common
from cli.common import App
from data.errors import EXIT_DATA

_EXAMPLES = (
    "ofs report last",
    "ofs report last --open",
    "ofs report last --out report.html --json",
)


@common.command("report", examples=_EXAMPLES, exits=(EXIT_DATA,))
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where to write it. [default: report.html in the run's folder]")  # fmt: skip
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    metavar="N",
    help="Strategies tried in all, for the deflated Sharpe ratio. [default: runs counted]",
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def command(app: App, run: str, out: Path | None, trials: int | None, show: bool) -> int:
    """Write RUN as one HTML file: chart, footprint, trades, decisions, statistics, costs.

    RUN is an id of `ofs runs`, the unique beginning of one, or `last`. The file needs no network
    and nothing beside it. Its path goes to stdout; with --json the figures do. Candles come from
    the log that the run names, or from --log; what is missing or has changed is said in the report.
    """
    from data.log import LogStore
    from data.runs import find_run
    from engine.report.report import FILE, make_report, write_report

    recorded = find_run(app.runs, run)
    log = _log_of(app, recorded.manifest)
    with app.progress("report") as progress:

        def on_progress(done: int, total: int, market_ns: int) -> None:
            progress.total = total
            progress.update(done, market_ns)

        report = make_report(
            recorded, lambda: LogStore(log), on_progress, trials, lambda: progress.say("compiling…")
        )
    path = out if out is not None else recorded.folder / FILE
    size = write_report(report, path)
    for note in report.notes:
        app.say(f"note: {note}")
    if app.json:
        app.emit({**report.facts, "file": str(path), "bytes": size})
    else:
        app.print(str(path))
    if show:
        import webbrowser

        if not webbrowser.open(path.resolve().as_uri()):
            app.say(f"note: no browser could be opened; open {path} yourself")
    return 0


def _log_of(app: App, manifest: dict[str, Any]) -> str:
    """The log to draw from: --log, except for a run over a replay that comes with ofs."""
    import replays

    own = str((manifest.get("log") or {}).get("path") or "")
    shipped = any(Path(own) == replays.path(name) for name in replays.names())
    return app.log if (app.log_flag and not shipped) or not own else own
