"""``ofs log fill``: what the holes of the log lack, from the venue or its public archive.

Owns the options and the report. What is filled, and how, stands in :mod:`data.sources.fill` and
:mod:`data.live.rest_fill`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.fetching import endpoint_options, terms_of
from cli.findings import facts, wanted_series
from cli.units import DURATION
from data.errors import (
    EXIT_DATA,
    EXIT_FINDING,
    EXIT_INTERRUPT,
    EXIT_NETWORK,
    EXIT_OK,
    NetworkError,
    UsageError,
)
from data.times import format_utc
from data.units import format_size

if TYPE_CHECKING:
    from data.log import LogStore
    from data.log.checks import Wanted
    from data.sources.fetch import Step, Terms
    from data.sources.fill import FillReport, Hole


@common.command(
    "fill",
    examples=(
        "ofs log fill --dry-run",
        "ofs log fill --venue binance-spot --symbol LTCUSDT --kinds trade",
        "ofs log fill --venue binance-um --longest 3d --json",
        "ofs log fill --source rest --venue binance-um --dry-run",
    ),
    exits=(EXIT_FINDING, EXIT_DATA, EXIT_NETWORK, EXIT_INTERRUPT),
)
@common.series_options
@common.range_options
@click.option(
    "--longest",
    "longest_ns",
    type=DURATION,
    default="1d",
    show_default=True,
    help="Longest hole to fill; a longer one is a range for 'ofs fetch'.",
)
@click.option(
    "--source",
    type=click.Choice(["archive", "rest", "auto"]),
    default="archive",
    show_default=True,
    help="The public archive (from the next day on), the venue's REST (USD-M: of the last 48 h), "
    "or REST first and the archive for what is left.",
)
@endpoint_options
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and fetch nothing.")
def command(
    app: App,
    venue: str | None,
    symbol: str | None,
    kinds: tuple[str, ...],
    from_ns: int | None,
    to_ns: int | None,
    longest_ns: int,
    source: str,
    dry_run: bool,
    **how: Any,
) -> int:
    """Fetch what the holes of the log lack from the public archive, or from the venue.

    The holes are those of 'ofs log gaps': missing trade ids and missing 1 minute bars of Binance's
    venues are fetched, by the days they lie on; only rows inside a hole are added, those that are
    there stay as they are. The rows at both edges of a hole must be the archive's too, or nothing
    goes into it. Recorded gaps in trades whose ids go on are marked as filled.

    With --source rest, --endpoint names the venue: its address, both addresses of 'ofs serve', or
    the file with them. Rows that were fetched have no receive time.

    What cannot be filled is listed with the reason and stays a gap. Ends with 1 while any is left.
    """
    common.check_range(from_ns, to_ns)
    store = app.open_log()
    from data.events import KIND_BY_NAME
    from data.log.checks import Wanted

    if source == "auto" and how["endpoint"]:
        raise UsageError(
            "one address cannot be that of two sources",
            where="--endpoint",
            do="name the source: --source rest or --source archive",
        )
    wanted_series(store, venue, symbol, kinds)
    wanted = Wanted(
        venue=venue and venue.lower(),
        symbol=symbol and symbol.upper(),
        kinds=tuple(KIND_BY_NAME[name] for name in kinds) or None,
        from_ns=from_ns,
        to_ns=to_ns,
    )
    terms = terms_of(how, months=False)
    try:
        report = _filled(app, store, wanted, source, terms, longest_ns, dry_run)
    except KeyboardInterrupt:
        app.say("interrupted; what was filled so far is kept, the same command goes on there")
        return EXIT_INTERRUPT
    _tell(app, report, dry_run)
    return EXIT_OK if report.whole else EXIT_FINDING


def _filled(
    app: App,
    store: LogStore,
    wanted: Wanted,
    source: str,
    terms: Terms,
    longest_ns: int,
    dry_run: bool,
) -> FillReport:
    """What ``source`` made of the holes."""
    from data.live.rest_fill import joined

    by_rest = None
    if source != "archive":
        try:
            by_rest = _by_rest(app, store, wanted, terms.endpoint, longest_ns, dry_run)
        except NetworkError as error:
            if source == "rest":
                raise
            app.say(f"{error.what}: {error.why}; the archive is asked")
            return _by_archive(app, store, wanted, terms, longest_ns, dry_run)
        if source == "rest" or dry_run or by_rest.whole:
            return by_rest
    by_archive = _by_archive(app, store, wanted, terms, longest_ns, dry_run)
    return by_archive if by_rest is None else joined(by_rest, by_archive)


def _by_archive(
    app: App, store: LogStore, wanted: Wanted, terms: Terms, longest_ns: int, dry_run: bool
) -> FillReport:
    from data.sources.fill import fill

    with app.progress("fill", unit="bytes") as line:

        def tell(step: Step) -> None:
            line.label, line.total = step.text, step.total_bytes
            line.update(step.done_bytes)

        return fill(
            store,
            wanted,
            terms,
            now=datetime.now(UTC),
            longest_ns=longest_ns,
            dry_run=dry_run,
            progress=tell,
        )


def _by_rest(
    app: App, store: LogStore, wanted: Wanted, address: str, longest_ns: int, dry_run: bool
) -> FillReport:
    from functools import cache

    from data.live.endpoint import Endpoint
    from data.live.rest import Rest
    from data.live.rest_fill import fill_by_rest

    @cache
    def rest_of(venue: str) -> Rest:
        return Rest(venue, Endpoint.rest_of(address) if address else None)

    with app.progress("fill", unit="rows") as line:
        return fill_by_rest(
            store, wanted, rest_of, longest_ns=longest_ns, dry_run=dry_run, progress=line.update
        )


def _tell(app: App, report: FillReport, dry_run: bool) -> None:
    if app.json:
        app.emit(_as_dict(app, report, dry_run))
        return
    if report.holes:
        app.table(
            ("venue", "symbol", "kind", "check", "from", "to", "missing", "left", "why"),
            [_row(hole, dry_run) for hole in report.holes],
        )
    found = f"{len(report.holes)} holes found"
    if dry_run:
        days = {(h.finding.venue, h.finding.symbol, h.finding.kind, d) for h in _fillable(report)
                for d in h.days}  # fmt: skip
        app.say(f"{found}; {len(days)} days would be fetched for {len(_fillable(report))} of them")
        return
    left = sum(bool(hole.left) for hole in report.holes)
    app.say(
        f"{found}, {len(report.holes) - left} filled, {left} left; {report.added:,} rows added, "
        f"{report.marked} recorded gaps closed, {format_size(report.moved_bytes)} fetched"
    )


def _fillable(report: FillReport) -> list[Hole]:
    return [hole for hole in report.holes if hole.days]


def _row(hole: Hole, dry_run: bool) -> tuple[Any, ...]:
    found = facts(hole.finding)
    days = f"would fetch {', '.join(map(str, hole.days))}" if dry_run and hole.days else hole.why
    times = (format_utc(hole.finding.from_ns), format_utc(hole.finding.to_ns))
    about = (found["venue"], found["symbol"], found["kind"], found["check"])
    return (*about, *times, hole.missing, hole.left, days)


def _as_dict(app: App, report: FillReport, dry_run: bool) -> dict[str, Any]:
    return {
        "schema": 1,
        "log": app.log,
        "dry_run": dry_run,
        "whole": report.whole,
        "added": report.added,
        "closed_gaps": report.marked,
        "fetched_bytes": report.moved_bytes,
        "files": report.files,
        "holes": [
            {
                **facts(hole.finding),
                "missing": hole.missing,
                "left": hole.left,
                "days": [day.isoformat() for day in hole.days],
                "why": hole.why or None,
            }
            for hole in report.holes
        ],
    }
