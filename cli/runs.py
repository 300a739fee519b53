"""``ofs runs``: which runs there are and what came of them.

Reads manifests only, so that a thousand runs are listed at once; the layout stands in
:mod:`data.runs`.
"""

from __future__ import annotations

import click

from cli import common
from cli.common import App
from data.errors import EXIT_DATA
from data.runs import RUN_COLUMNS, flat, list_runs
from data.times import format_utc

_SHOWN = (
    "run", "time", "strategy", "venue", "symbol", "events", "round_trips", "net_pnl",
    "max_drawdown", "currency", "digest",
)  # fmt: skip


@common.command("runs", examples=("ofs runs", "ofs runs --json", "ofs runs --limit 5"))
@click.option("--limit", type=click.IntRange(min=1), help="Show the newest N only.")
def command(app: App, limit: int | None) -> int:
    """List the runs, newest last.

    A folder that is still being written, or whose writer died, is not listed. A manifest that
    cannot be read is named on stderr and ends with exit code 4; the others are listed.
    """
    runs, broken = list_runs(app.open_runs())
    rows = [flat(run) for run in (runs[-limit:] if limit else runs)]
    for row in rows:
        for column in RUN_COLUMNS:
            if column.type == "TIMESTAMP_NS" and row[column.name] is not None:
                row[column.name] = format_utc(row[column.name])
    if app.json:
        app.emit(rows)
    elif rows:
        app.table(_SHOWN, [[_short(name, row[name]) for name in _SHOWN] for row in rows])
    else:
        app.say(f"no runs yet in {app.runs}; 'ofs backtest' makes the first one")
    for text in broken:
        app.say(f"error: cannot read {text}")
    return EXIT_DATA if broken else 0


def _short(name: str, value: object) -> object:
    """Digests are cut for reading; ``--json`` gives them whole."""
    return value[:12] if name == "digest" and isinstance(value, str) else value
