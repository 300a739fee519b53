"""``ofs log gaps``: what is missing, by id and by time."""

from __future__ import annotations

import click

from cli import common
from cli.common import App
from cli.findings import examine, report, wanted_series
from cli.units import SILENCE
from data.errors import EXIT_DATA, EXIT_FINDING
from data.units import NS_OF

_COLUMNS = ("venue", "symbol", "kind", "check", "from", "to", "from_id", "to_id", "count", "text")


@common.command(
    "gaps",
    examples=(
        "ofs log gaps",
        "ofs log gaps --symbol LTCUSDT --kinds trade --json",
        "ofs log gaps --venue binance-um --hole 5s",
    ),
    exits=(EXIT_FINDING, EXIT_DATA),
)
@common.series_options
@common.range_options
@click.option(
    "--hole",
    "hole_ns",
    type=SILENCE,
    help="Silence that counts as a hole. [default: 60s, quotes 300s; none where trade ids go on]",
)
def command(
    app: App,
    venue: str | None,
    symbol: str | None,
    kinds: tuple[str, ...],
    from_ns: int | None,
    to_ns: int | None,
    hole_ns: int | None,
) -> int:
    """List the holes of the log, by id and by time.

    id_hole: trade ids that are missing between two that are there; time_hole: a silence longer
    than --hole; recorded_gap: a gap that a recorder wrote down. A quiet symbol has time holes that
    are none: judge them by the ids. Ends with 1 when there are any.
    """
    common.check_range(from_ns, to_ns)
    store = app.open_log()
    from data.events import KIND_BY_NAME
    from data.log.checks import GAP_CHECKS, Wanted
    from data.log.rules import HOLE_S

    series = wanted_series(store, venue, symbol, kinds)
    wanted = Wanted(
        venue=venue and venue.lower(),
        symbol=symbol and symbol.upper(),
        kinds=tuple(KIND_BY_NAME[name] for name in kinds) or None,
        from_ns=from_ns,
        to_ns=to_ns,
        checks=GAP_CHECKS,
        hole_s=dict.fromkeys(HOLE_S, hole_ns / NS_OF["s"]) if hole_ns else {},
    )
    return report(app, series, examine(app, store, wanted, series), _COLUMNS)
