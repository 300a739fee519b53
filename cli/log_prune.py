"""``ofs log prune``: whole days go, by age or by bytes.

Prints the plan, asks, and removes; what goes, stands in :mod:`data.log.prune`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.findings import wanted_series
from cli.units import DURATION, SIZE
from data.errors import EXIT_DATA, EXIT_INTERRUPT, EXIT_OK, UsageError
from data.units import format_duration, format_size

if TYPE_CHECKING:
    from data.log import LogStore
    from data.log.prune import Item, PruningPlan

_NAMED = 10
"""So many runs are named one by one."""


@common.command(
    "prune",
    examples=(
        "ofs log prune --keep 30d --dry-run",
        "ofs log prune --max-bytes 20GiB --order kind --dry-run",
        "ofs log prune --keep 7d --kinds depth,quote --dry-run --json",
    ),
    exits=(EXIT_DATA, EXIT_INTERRUPT),
)
@common.series_options
@click.option("--keep", "keep_ns", type=DURATION, help="Remove days that are older: 30d, 12w.")
@click.option("--max-bytes", type=SIZE, help="Remove days until so much is left: 20GiB.")
@click.option(
    "--order",
    type=click.Choice(["day", "kind"]),
    default="day",
    show_default=True,
    help="By bytes: the oldest day first, or all depth before quotes, bars, trades.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(app: App, **options: Any) -> int:
    """Remove old days of the log, for good; the plan is printed first.

    A partition is a kind of a symbol on one UTC day; it goes whole or stays. --keep counts back
    from now (UTC), not from the newest event, and removes a partition when all of its day is older.
    --max-bytes is the size of all that the options choose. With both, both hold. Rejected lines of
    imports (rejects/) go by the day on which they were written, unless only some series are meant.
    Runs whose events go are named: they can then no longer be verified. Without --yes you are
    asked; where nobody can answer, nothing is removed and the exit code is 2.
    """
    if options["keep_ns"] is None and options["max_bytes"] is None:
        raise UsageError(
            "nothing says what may stay",
            where="--keep, --max-bytes",
            do="give an age, such as --keep 30d, or a size, such as --max-bytes 20GiB",
        )
    store = app.open_log()
    plan = _plan(store, options)
    lost = _lost(app, store, plan)
    _tell(app, plan, lost, options)
    go = bool(plan.items) and not options["dry_run"]
    if go and not options["yes"]:
        go = _asked(plan)
        if not go:
            app.say("nothing was removed")
    if go:
        from data.log.prune import prune

        prune(store, plan)
        app.say(f"removed {format_size(plan.bytes)}; {format_size(plan.kept_bytes)} are left")
    if app.json:
        app.emit(_facts(plan, lost, options, go))
    return EXIT_OK


def _plan(store: LogStore, options: dict[str, Any]) -> PruningPlan:
    from data.events import KIND_BY_NAME
    from data.log.prune import Limits, plan_pruning

    venue, symbol, kinds = options["venue"], options["symbol"], options["kinds"]
    wanted_series(store, venue, symbol, kinds)
    return plan_pruning(
        store,
        Limits(options["keep_ns"], options["max_bytes"], options["order"]),
        time.time_ns(),
        tuple(KIND_BY_NAME[name] for name in kinds) or None,
        venue and venue.lower(),
        symbol and symbol.upper(),
    )


def _lost(app: App, store: LogStore, plan: PruningPlan) -> list[str]:
    """Ids of the runs that lose events."""
    from data.log.prune import lost_runs
    from data.runs import list_runs

    runs, _ = list_runs(app.runs)
    return [run.id for run in lost_runs(runs, store.storage.local, plan)]


_COLUMNS = ("venue", "symbol", "kind", "from", "to", "partitions", "files", "rows", "size")


def _tell(app: App, plan: PruningPlan, lost: Sequence[str], options: dict[str, Any]) -> None:
    """The plan: a table on stdout, and in a sentence what it comes to."""
    if plan.items and not app.json:
        app.table(_COLUMNS, _by_series(plan.items))
    limits = []
    if options["keep_ns"] is not None:
        limits.append(f"older than {format_duration(options['keep_ns'])}")
    if options["max_bytes"] is not None:
        limits.append(f"beyond {format_size(options['max_bytes'])}")
    if not plan.items:
        app.say(f"nothing is {' or '.join(limits)}: {format_size(plan.kept_bytes)} stay")
        return
    app.say(
        f"{' or '.join(limits)}: {_partitions(plan)}, {plan.files:,} files, "
        f"{plan.rows:,} rows, {format_size(plan.bytes)} go; {format_size(plan.kept_bytes)} stay"
    )
    if lost:
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        count = "1 run" if len(lost) == 1 else f"{len(lost):,} runs"
        app.say(f"{count} can then no longer be verified: {', '.join(lost[:_NAMED])}{more}")


def _partitions(plan: PruningPlan) -> str:
    count = len(plan.items)
    return "1 partition" if count == 1 else f"{count:,} partitions"


def _by_series(items: Sequence[Item]) -> list[Sequence[Any]]:
    groups: dict[tuple[str, str, str], list[Item]] = {}
    for item in items:
        where = (item.place.venue, item.place.symbol) if item.place else ("", "")
        groups.setdefault((*where, item.kind), []).append(item)
    return [
        (
            *key,
            min(i.date for i in group),
            max(i.date for i in group),
            len(group),
            sum(len(i.files) for i in group),
            sum(i.rows for i in group),
            format_size(sum(i.bytes for i in group)),
        )
        for key, group in sorted(groups.items())
    ]


def _asked(plan: PruningPlan) -> bool:
    """Whether the person at the terminal agrees; UsageError where there is none."""
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked, so nothing was removed",
            where="--yes",
            why="the input is no terminal",
            do="add --yes once the plan above is what you want, or --dry-run to only see it",
        )
    sys.stderr.write(f"remove {_partitions(plan)} for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _facts(
    plan: PruningPlan, lost: Sequence[str], options: dict[str, Any], removed: bool
) -> dict[str, Any]:
    rows = [
        {
            "venue": item.place.venue if item.place else None,
            "symbol": item.place.symbol if item.place else None,
            "kind": item.kind,
            "date": item.date,
            "files": [path for path, _ in item.files],
            "rows": item.rows,
            "bytes": item.bytes,
        }
        for item in plan.items
    ]
    return {
        "schema": 1,
        "dry_run": options["dry_run"],
        "removed": removed,
        "rows": plan.rows,
        "bytes": plan.bytes,
        "kept_bytes": plan.kept_bytes,
        "runs_lost": list(lost),
        "partitions": rows,
    }
