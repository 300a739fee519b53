"""``ofs import``: recordings and archive files into the log.

Owns the options and the report. What is read, and how, stands in :mod:`data.sources.importer`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from cli import common
from cli.common import App
from cli.units import DURATION
from data.errors import EXIT_CONFIG, EXIT_DATA, EXIT_INTERRUPT

if TYPE_CHECKING:
    from data.sources.import_report import FileReport, ImportReport
    from data.sources.importer import Step


@common.command(
    "import",
    examples=(
        "ofs import BTCUSDT-aggTrades-2025-01-01.zip",
        "ofs import recordings/ --log mylog",
        "ofs import btcusdt_20240718.gz btcusdt_20240719.gz --levels 10 --cadence 250ms",
        "ofs import trades.csv --venue binance-spot --symbol LTCUSDT --json",
        "ofs import EURUSD_M1_202401020000_202401312359.csv --broker-offset new-york",
        "ofs import --explain mytrades.csv > mytrades.toml",
        "ofs import mytrades.csv --mapping mytrades.toml",
    ),
    exits=(EXIT_CONFIG, EXIT_DATA, EXIT_INTERRUPT),
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH...")
@click.option("--venue", metavar="VENUE", help="Venue, where the file does not tell it.")
@click.option("--symbol", metavar="SYMBOL", help="Symbol, where the file does not tell it.")
@click.option(
    "--levels", type=int, default=20, show_default=True, help="Levels a side of a book, 1 to 25."
)
@click.option(
    "--cadence",
    "cadence_ns",
    type=DURATION,
    default="100ms",
    show_default=True,
    help="Least time between two books; 0 keeps one after every diff.",
)
@click.option(
    "--broker-offset",
    metavar="CLOCK",
    help="Clock of a MetaTrader export: +02:00, new-york (UTC+2, in summer UTC+3), an IANA zone, "
    "or auto. Without it the clock is estimated, or asked for.",
)
@click.option(
    "--interval",
    "interval_ns",
    type=DURATION,
    default="0",
    help="Length of bars, where neither name nor spacing tells it.",
)
@click.option(
    "--mapping",
    metavar="FILE.toml",
    type=click.Path(),
    help="Read every PATH as a table with these columns; --explain drafts one.",
)
@click.option(
    "--explain",
    "explain_only",
    is_flag=True,
    help="Import nothing: say what PATH is, or draft a mapping for it.",
)
def command(
    app: App,
    paths: tuple[str, ...],
    venue: str | None,
    symbol: str | None,
    levels: int,
    cadence_ns: int,
    broker_offset: str | None,
    interval_ns: int,
    mapping: str | None,
    explain_only: bool,
) -> None:
    """Bring recordings, archive files and tables into the log.

    PATH is a file or a folder; the content tells what a file is: Binance archive CSV, Bybit and
    Tardis files, raw websocket recordings of '<local time> <JSON>' lines, MetaTrader 4 and 5
    exports of bars and ticks, LEAN zips; plain, in gzip or in zip. Any other table is read by a
    small mapping file, which --explain drafts and --mapping names. The README lists every format.

    MetaTrader writes the wall clock of the broker's server. Where the file's weekends, or prices
    that the log has, show which clock that is, it is estimated and said; else --broker-offset must.

    Give the files of one recording together: a later file goes on with the book of the one before.
    Importing twice changes nothing; overlapping exports become one row each, counted. Lines that
    cannot become events are kept under rejects/ in the log. An import is done wholly or not at all.
    """
    symbol = symbol.upper() if symbol else None
    if explain_only:
        from cli.import_explain import explain_file
        from data.sources.mapping_explain import Hints

        explain_file(app, paths, Hints(venue, symbol, interval_ns, broker_offset, mapping))
        return
    from data.sources.importer import import_paths

    with app.progress("import", unit="MB") as line:

        def tell(step: Step) -> None:
            if step.found is not None:
                line.say(step.found.line())
                return
            line.total = step.total_bytes >> 20
            line.update(step.done_bytes >> 20, step.market_ns)

        report = import_paths(
            app.open_log(create=True),
            paths,
            venue=venue,
            symbol=symbol,
            levels=levels,
            cadence_ns=cadence_ns,
            interval_ns=interval_ns,
            broker_offset=broker_offset,
            mapping=mapping,
            progress=tell,
        )
    if app.json:
        app.emit({"log": app.log, **report.as_dict()})
    else:
        _tell_report(app, report)


def _tell_report(app: App, report: ImportReport) -> None:
    """One line a file on stdout; what needs attention on stderr."""
    app.table(
        ("file", "venue", "symbol", "rows", "added", "duplicates", "conflicts", "rejected"),
        [
            (
                f.file,
                f.venue,
                f.symbol or "several",
                _counts(f.rows),
                f.added,
                f.duplicates,
                f.conflicts,
                f.rejected.total(),
            )
            for f in report.files
        ],
    )
    for file in report.files:
        for text in _remarks(file):
            app.say(f"{file.file}: {text}")
    for path, why in report.unknown:
        app.say(f"passed over {path}: {why}")
    if report.rejects:
        app.say(f"rejected lines stand in {app.log}: {', '.join(report.rejects)}")


def _remarks(file: FileReport) -> list[str]:
    """What a person should know of one file, in words."""
    out = []
    if file.rejected:
        out.append(f"rejected {_counts(file.rejected)}")
    if file.left_out:
        out.append(f"left out {_counts(file.left_out)}")
    if file.skipped:
        out.append(f"skipped {_counts(file.skipped)}")
    if file.duplicates and file.added:
        out.append(f"{file.duplicates:,} rows were there already, in the log or in this file")
    if file.conflicts and set(file.rows) == {"bar"}:
        out.append(
            f"{file.conflicts} bars stood there, or stand twice, with another content: of each the "
            "one with more trades was kept, of equals the later"
        )
    elif file.conflicts:
        out.append(f"{file.conflicts} rows say something else under an id that is already there")
    if file.out_of_order:
        out.append(f"{file.out_of_order} rows stood out of order; they were sorted")
    if file.sequence_breaks:
        out.append(f"{file.sequence_breaks} breaks in the depth sequence; see 'ofs log gaps'")
    if file.restarts:
        out.append("does not go on where the file before it ended; see 'ofs log gaps'")
    if file.crossed_books:
        out.append(f"{file.crossed_books} times the rebuilt book was crossed and was not stored")
    return out + file.notes


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items()))
