"""``ofs log compact``: one file per symbol, kind and day.

Says what it will do, then does it; how, stands in :mod:`data.log.compact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.findings import wanted_series
from data.errors import EXIT_DATA, EXIT_INTERRUPT, EXIT_OK
from data.units import format_size

if TYPE_CHECKING:
    from data.log import LogStore
    from data.log.compact import Compacted, CompactionPlan


@common.command(
    "compact",
    examples=(
        "ofs log compact --dry-run",
        "ofs log compact --symbol BTCUSDT --kinds trade,depth",
        "ofs log compact --to 2024-08-08 --json",
    ),
    exits=(EXIT_DATA, EXIT_INTERRUPT),
)
@common.series_options
@common.range_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def command(
    app: App,
    venue: str | None,
    symbol: str | None,
    kinds: tuple[str, ...],
    from_ns: int | None,
    to_ns: int | None,
    dry_run: bool,
) -> int:
    """Make one file of the several that a symbol, kind and day has.

    Files of hours that a session sealed, of other tools, or left by a sync that was cut off, are
    merged in the order in which they are read. Rows that stand in two files are kept once and
    counted; without any, a fold over the log gives the same digests as before, and 'ofs verify'
    still proves the runs. The new file is read back before it takes the place of the old ones. A
    day is done wholly or not at all, whenever the command is killed. Damaged files are named, and
    their days left as they are; the exit code is then 4.
    """
    common.check_range(from_ns, to_ns)
    store = app.open_log()
    from data.events import KIND_BY_NAME
    from data.log.compact import plan_compaction

    wanted_series(store, venue, symbol, kinds)
    plan = plan_compaction(
        store.catalogue(),
        tuple(KIND_BY_NAME[name] for name in kinds) or None,
        venue and venue.lower(),
        symbol and symbol.upper(),
        from_ns,
        to_ns,
    )
    if not app.json and plan.tasks:
        app.table(_COLUMNS, _by_series(plan))
    app.say(_sentence(plan))
    for broken in plan.broken:
        app.say(
            f"error: cannot use {store.storage.name(broken.path)}: {broken.why}; its day is left "
            "as it is"
        )
    done = [] if dry_run else _run(app, store, plan)
    if app.json:
        app.emit(_facts(plan, done, dry_run))
    bad = bool(plan.broken) or any(d.error for d in done)
    return EXIT_DATA if bad else EXIT_OK


_COLUMNS = ("venue", "symbol", "kind", "days", "files", "rows", "size")


def _by_series(plan: CompactionPlan) -> list[Sequence[Any]]:
    from data.events import EVENTS

    sums: dict[tuple[str, str, str], list[int]] = {}
    for task in plan.tasks:
        place = task.place
        key = place.venue, place.symbol, EVENTS[place.kind].name
        row = sums.setdefault(key, [0, 0, 0, 0])
        for i, value in enumerate((1, len(task.files), task.rows, task.bytes)):
            row[i] += value
    return [(*key, *row[:3], format_size(row[3])) for key, row in sorted(sums.items())]


def _sentence(plan: CompactionPlan) -> str:
    if not plan.tasks:
        return "nothing to do: every day of every kind and symbol is one file"
    files = sum(len(t.files) for t in plan.tasks)
    days = len(plan.tasks)
    size = format_size(sum(t.bytes for t in plan.tasks))
    return f"{files:,} files ({size}) of {days:,} partitions become {days:,} files"


def _run(app: App, store: LogStore, plan: CompactionPlan) -> list[Compacted]:
    """Carry out ``plan`` and tell what became of it."""
    from data.log.compact import compact

    done: list[Compacted] = []
    rows = 0
    with app.progress("compact", total=sum(t.rows for t in plan.tasks), unit="rows") as progress:

        def wrote(count: int) -> None:
            nonlocal rows
            rows += count
            progress.update(rows)

        for one in compact(store, plan, wrote):
            done.append(one)
            if one.error:
                progress.say(f"error: {one.error}")
    good = [d for d in done if not d.error]
    if good:
        before, after = sum(d.task.bytes for d in good), sum(d.bytes for d in good)
        app.say(f"done: {format_size(before)} are {format_size(after)} now")
    for name, text in (
        ("duplicates", "rows stood in two files and are there once now"),
        ("replaced", "bars gave way to the better ones of another file"),
    ):
        count = sum(getattr(d, name) for d in good)
        if count:
            app.say(f"note: {count:,} {text}; runs over them fold differently now")
    return done


def _facts(plan: CompactionPlan, done: Sequence[Compacted], dry_run: bool) -> dict[str, Any]:
    """The plan and what became of it; what was not done is null."""
    from data.events import EVENTS

    became = {d.task.place: d for d in done}
    rows = []
    for task in plan.tasks:
        place, one = task.place, became.get(task.place)
        good = one if one is not None and not one.error else None
        rows.append(
            {
                "venue": place.venue,
                "symbol": place.symbol,
                "kind": EVENTS[place.kind].name,
                "date": place.date,
                "files": len(task.files),
                "rows": task.rows,
                "bytes": task.bytes,
                "rows_after": good.rows if good else None,
                "bytes_after": good.bytes if good else None,
                "duplicates": good.duplicates if good else None,
                "replaced": good.replaced if good else None,
                "error": one.error if one is not None and one.error else None,
            }
        )
    return {
        "schema": 1,
        "dry_run": dry_run,
        "files_before": sum(len(t.files) for t in plan.tasks),
        "files_after": len(plan.tasks),
        "bytes_before": sum(t.bytes for t in plan.tasks),
        "bytes_after": sum(d.bytes for d in done if not d.error) if done else None,
        "partitions": rows,
        "broken": [{"path": b.path, "why": b.why} for b in plan.broken],
    }
