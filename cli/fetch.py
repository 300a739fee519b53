"""``ofs fetch``: days of the public archive into the log, or of what a terminal has.

Owns the options and the report. What is fetched, and how, stands in :mod:`data.sources.fetch`; a
terminal's history is :mod:`cli.fetch_terminal`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.complete import SYMBOL
from cli.fetching import endpoint_options, terms_of
from cli.terminals import VENUE, only_for_terminals, terminal_options
from data.errors import EXIT_DATA, EXIT_FINDING, EXIT_INTERRUPT, EXIT_NETWORK, EXIT_OK, UsageError
from data.units import format_size

if TYPE_CHECKING:
    from data.log import LogStore
    from data.sources.fetch import FetchReport, Step
    from data.sources.fetch_plan import Item, Wish

_DAY_NS = 86_400_000_000_000


@common.command(
    "fetch",
    examples=(
        "ofs fetch BTCUSDT --venue binance-um --from 2025-01-01 --to 2025-01-31",
        "ofs fetch BTCUSDT ETHUSDT --venue binance-spot --from 2025-01-06 --to 2025-01-07 "
        "--kinds trade --dry-run",
        "ofs fetch BTCUSDT --venue binance-um --from 2024-03-01 --to 2024-03-01 "
        "--kinds trade,quote --jobs 2 --rate 5MiB/s --keep archive",
        "ofs fetch BTCUSDT --venue bybit --from 2025-01-06 --to 2025-01-06",
        "ofs fetch EURUSD XAUUSD --venue mt5 --from 2025-01-06 --clock eet",
    ),
    exits=(EXIT_FINDING, EXIT_DATA, EXIT_NETWORK, EXIT_INTERRUPT),
)
@click.argument("symbols", nargs=-1, required=True, type=SYMBOL, metavar="SYMBOL...")
@click.option(
    "--venue",
    required=True,
    metavar="VENUE",
    help="binance-um, binance-spot, bybit (contracts) or bybit-spot; mt5: a terminal.",
)
@click.option("--from", "from_ns", type=common.TIME, required=True, help="First day, UTC.")
@click.option(
    "--to",
    "to_ns",
    type=common.TIME,
    help="Last day, UTC, included. [default: yesterday; of a terminal: until now]",
)
@click.option(
    "--kinds",
    type=common.KINDS,
    default=(),
    help="trade, bar (1 minute), quote. [default: trade,bar, of Bybit trade, of mt5 quote,bar]",
)
@endpoint_options
@terminal_options
@click.option("--daily", is_flag=True, help="Daily files only, also for whole months.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and fetch nothing.")
def command(
    app: App,
    symbols: tuple[str, ...],
    venue: str,
    from_ns: int,
    to_ns: int | None,
    kinds: tuple[str, ...],
    daily: bool,
    dry_run: bool,
    **how: Any,
) -> int:
    """Fetch days of the public archive into the log.

    A file holds a whole day or month (UTC), so --from and --to name days here and both are
    included: all of January is --from 2025-01-01 --to 2025-01-31.

    Binance has trades (aggTrades), bars, and quotes (bookTicker) of USD-M from 2023-05-16 to
    2024-03-30; Bybit has trades, without checksums: there the CRC of the file must be right.

    Checksums are verified before anything is imported. Whole months come from monthly files, except
    where there is none or it is known to be broken. What the log has already is not fetched again,
    unless the archive has replaced it. A fetch that was stopped or killed goes on where it was.

    Of a terminal (mt5) ticks and minutes are fetched as far as it has them, its server's time
    turned into UTC by --clock; --endpoint then names the file of a sandbox.

    Ends with 1 when a day is missing (each is listed; a day is published the next morning), with 5
    when nothing could be reached.
    """
    only_for_terminals(venue.lower(), how)
    if venue.lower() == VENUE:
        from cli.fetch_terminal import fetch_terminal

        return fetch_terminal(app, symbols, kinds, from_ns, to_ns, how, dry_run=dry_run)
    from data.sources.fetch import fetch

    now = datetime.now(UTC)
    wish = _wish(symbols, venue, kinds, from_ns, to_ns, now)
    terms = terms_of(how, months=not daily)
    app.say(wish.line())
    with _log(app, dry_run) as store, app.progress("fetch", unit="bytes") as line:

        def tell(step: Step) -> None:
            line.label, line.total = step.text, step.total_bytes
            line.update(step.done_bytes)

        try:
            report = fetch(store, wish, terms, now=now, dry_run=dry_run, progress=tell)
        except KeyboardInterrupt:
            line.close()
            app.say("interrupted; what was fetched so far is kept, the same command goes on there")
            return EXIT_INTERRUPT
    tell_report(app, report, dry_run=dry_run)
    return EXIT_OK if report.complete else EXIT_FINDING


@contextmanager
def _log(app: App, dry_run: bool) -> Iterator[LogStore]:
    """The log; a dry run makes none, and asks as for an empty one where there is none."""
    if not dry_run or "://" in app.log or Path(app.log).is_dir():
        yield app.open_log(create=True)
        return
    from tempfile import TemporaryDirectory

    from data.log import LogStore

    with TemporaryDirectory(prefix="ofs-") as folder:
        yield LogStore(folder)


def _wish(
    symbols: tuple[str, ...],
    venue: str,
    kinds: tuple[str, ...],
    from_ns: int,
    to_ns: int | None,
    now: datetime,
) -> Wish:
    from data.sources.archive_files import KINDS, TYPES
    from data.sources.detect import check_flags
    from data.sources.fetch_plan import Wish

    upper = tuple(dict.fromkeys(symbol.upper() for symbol in symbols))
    for symbol in upper:
        check_flags(None, symbol)
    for kind in kinds:
        if kind not in TYPES:
            raise UsageError(
                f"there are no files of {kind} in the archive",
                where="--kinds",
                do=f"use {', '.join(TYPES)}; books and the rest can only be recorded",
            )
    kinds = kinds or tuple(k for k in ("trade", "bar") if k in KINDS.get(venue.lower(), ()))
    stop = now.date() if to_ns is None else _day(to_ns) + timedelta(1)
    return Wish(venue.lower(), upper, tuple(dict.fromkeys(kinds)), _day(from_ns), stop)


def _day(ts_ns: int) -> date:
    return date(1970, 1, 1) + timedelta(ts_ns // _DAY_NS)


def tell_report(app: App, report: FetchReport, *, dry_run: bool = False) -> None:
    """What became of each file: a table or JSON on stdout, remarks and sums on stderr."""
    if app.json:
        app.emit(_as_dict(app, report, dry_run))
        return
    changed = sorted(
        (item for item in report.items if item.state != "unchanged"),
        key=lambda item: (item.file.symbol, item.file.type, item.file.first),
    )
    if changed:
        alike = groupby(changed, key=lambda i: (i.file.symbol, i.file.type, i.state, i.why))
        counts = ("bytes",) if dry_run else ("rows", "added")
        app.table(
            ("symbol", "kind", "from", "to", "files", "state", *counts, "why"),
            [_row(list(items), dry_run) for _, items in alike],
        )
    for item in report.items:
        for note in item.notes:
            app.say(f"{item.file.name}: {note}")
    app.say(_sums(report, dry_run))


def _row(items: list[Item], dry_run: bool) -> tuple[Any, ...]:
    """One line for files that follow each other and fared alike; days both included."""
    first, last = items[0], items[-1]
    names = ("size",) if dry_run else ("rows", "added")
    counts = [sum(getattr(item, name) for item in items) or None for name in names]
    if first.state == "imported":
        counts = [count or 0 for count in counts]
    days = (str(first.file.first), str(last.file.last))
    return first.file.symbol, first.file.kind, *days, len(items), first.state, *counts, first.why


def _sums(report: FetchReport, dry_run: bool) -> str:
    counts = Counter(item.state for item in report.items)
    states = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
    if dry_run:
        size = format_size(sum(item.size for item in report.of("wanted")))
        return f"{states}; {size} would be fetched, nothing was"
    added = sum(item.added for item in report.items)
    text = f"{states}; {format_size(report.moved_bytes)} fetched, {added:,} rows added"
    if again := sum(item.duplicates for item in report.items):
        text += f", {again:,} were there"
    missing = len(report.of("missing", "refused", "failed"))
    return text + (f"; {missing} of {len(report.items)} files are not in the log" * bool(missing))


def _as_dict(app: App, report: FetchReport, dry_run: bool) -> dict[str, Any]:
    from data.sources.http import shown

    return {
        "schema": 1,
        "log": app.log,
        "dry_run": dry_run,
        "complete": report.complete,
        "fetched_bytes": report.moved_bytes,
        "files": [
            {
                "file": item.file.name,
                "url": shown(item.url),
                "from": item.file.first.isoformat(),
                "to": item.file.last.isoformat(),
                "state": item.state,
                "sha256": item.sha256 or None,
                "bytes": item.size or None,
                "rows": item.rows,
                "added": item.added,
                "duplicates": item.duplicates,
                "conflicts": item.conflicts,
                "why": item.why or None,
                "notes": item.notes,
            }
            for item in report.items
        ],
    }
