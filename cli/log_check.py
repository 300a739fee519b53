"""``ofs log check``: is the log whole, and can its rows be right?"""

from __future__ import annotations

import difflib
from typing import Any

import click

from cli import common
from cli.common import App
from cli.findings import damaged_journals, examine, report, wanted_series
from cli.units import SILENCE
from data.errors import EXIT_DATA, EXIT_FINDING, UsageError
from data.units import NS_OF

_COLUMNS = ("check", "venue", "symbol", "kind", "from", "to", "text")


@common.command(
    "check",
    examples=(
        "ofs log check",
        "ofs log check --symbol BTCUSDT --from 2024-08-08 --json",
        "ofs log check --only crossed,off_grid --venue binance-um --symbol BTCUSDT --tick 0.1",
    ),
    exits=(EXIT_FINDING, EXIT_DATA),
)
@common.series_options
@common.range_options
@click.option("--only", metavar="CHECKS", help="Names of checks, separated by commas.")
@click.option(
    "--hole",
    "hole_ns",
    type=SILENCE,
    help="Silence that counts as a hole. [default: 60s, quotes 300s; none where trade ids go on]",
)
@click.option(
    "--tick",
    type=click.FloatRange(min=0.0, min_open=True),
    metavar="PRICE",
    help="Price step of the one series named. [default: inferred]",
)
def command(app: App, hole_ns: int | None, **options: Any) -> int:
    """Look for damage, holes and values that cannot be right.

    Checks: corrupt_file, id_hole, time_hole, recorded_gap, duplicate_id, conflicting_id,
    out_of_order, crossed, locked, unsorted, not_positive, off_grid, bad_bar. Every file in the
    range is read and compared with its sha256, and the journals of recorders are read whole. Ends
    with 1 when something was found.
    """
    common.check_range(options["from_ns"], options["to_ns"])
    store = app.open_log()
    from data.events import KIND_BY_NAME
    from data.log.checks import CHECKS, Wanted
    from data.log.rules import HOLE_S

    venue, symbol = _upper_lower(options)
    only = _only(options["only"], CHECKS)
    ticks = {}
    if options["tick"] is not None:
        from data.series import pick_series

        venue, symbol = pick_series(store, venue, symbol)
        ticks = {(venue, symbol): options["tick"]}
    series = wanted_series(store, venue, symbol, options["kinds"])
    wanted = Wanted(
        venue=venue,
        symbol=symbol,
        kinds=tuple(KIND_BY_NAME[name] for name in options["kinds"]) or None,
        from_ns=options["from_ns"],
        to_ns=options["to_ns"],
        checks=only,
        hole_s=dict.fromkeys(HOLE_S, hole_ns / NS_OF["s"]) if hole_ns else {},
        ticks=ticks,
    )
    findings = examine(app, store, wanted, series)
    if "corrupt_file" in only:
        findings += damaged_journals(app, store)
    return report(app, series, findings, _COLUMNS)


def _upper_lower(options: dict[str, Any]) -> tuple[str | None, str | None]:
    venue, symbol = options["venue"], options["symbol"]
    return venue and venue.lower(), symbol and symbol.upper()


def _only(text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return known
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the checks are {', '.join(known)}"
            raise UsageError(f"there is no check {name!r}", where="--only", do=hint)
    if not names:
        raise UsageError("no check is named", where="--only", do=f"choose of {', '.join(known)}")
    return names
