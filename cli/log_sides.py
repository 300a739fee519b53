"""``ofs log sides``: hide the exchange's side and see how often each rule finds it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.units import SECONDS
from data.errors import DataError

if TYPE_CHECKING:
    from engine.runtime.sides_report import RuleCount, SidesReport


@common.command(
    "sides",
    examples=(
        "ofs log sides --venue binance-um --symbol BTCUSDT",
        "ofs log sides --venue binance-um --symbol BTCUSDT --quote-age 250ms --json",
    ),
)
@click.option("--venue", help="Venue, e.g. binance-um.")
@click.option("--symbol", help="Symbol, e.g. BTCUSDT.")
@common.range_options
@click.option(
    "--quote-age",
    "quote_age_ns",
    type=SECONDS,
    default="1s",
    show_default=True,
    help="Oldest quote that the ladder takes for synced.",
)
def command(
    app: App,
    venue: str | None,
    symbol: str | None,
    from_ns: int | None,
    to_ns: int | None,
    quote_age_ns: int,
) -> None:
    """Hide the exchange's aggressor flag and count how often each side rule finds it.

    Rules: tick, quote, lee_ready, the ladder that a fold uses for trades without a flag, and
    venue_tick where the venue sends tick directions. `agrees` is the share of the decided trades,
    `found` the share of all flagged trades; by number and by quantity.

    Below them bulk volume classification, which judges bars of 1 to 60 s: its accuracy beside
    that of plain halves, the skill over them, and over minutes the correlation with the true
    delta, whole and with the price change held fixed.
    """
    common.check_range(from_ns, to_ns)
    store = app.open_log()
    from data.log import LogReader
    from data.series import pick_series
    from engine.runtime.sides_report import COLUMNS, count_sides

    chosen = pick_series(store, venue, symbol)
    there = {s.kind for s in store.series() if (s.venue, s.symbol) == chosen}
    kinds = {kind: names for kind, names in COLUMNS.items() if kind in there}
    reader = LogReader(store, *chosen, kinds, from_ns, to_ns)
    first = min(entry.min_ts_ns for entry in reader.entries)
    last = max(entry.max_ts_ns for entry in reader.entries)
    with app.progress("sides", from_ns=from_ns or first, to_ns=to_ns or last) as progress:
        report = count_sides(reader, quote_age_ns, progress.update)
    if not report.trades:
        raise DataError(
            "no trade of the range carries the exchange's side",
            where=" ".join(chosen),
            why=f"{report.unflagged:,} trades without a flag",
            do="judge the rules where the venue flags its trades",
        )
    if app.json:
        app.emit(_facts(chosen, report))
    else:
        _print(app, chosen, report)


def _shares(report: SidesReport, rule: RuleCount) -> dict[str, float | None]:
    """Shares 0 to 1; None where the rule decided nothing."""
    return {
        "agrees": rule.agreed / rule.decided if rule.decided else None,
        "found": rule.agreed / report.trades,
        "agrees_by_qty": rule.agreed_qty / rule.decided_qty if rule.decided_qty else None,
        "found_by_qty": rule.agreed_qty / report.qty if report.qty else None,
    }


def _facts(chosen: tuple[str, str], report: SidesReport) -> dict[str, Any]:
    facts = {"schema": 1, "venue": chosen[0], "symbol": chosen[1], **asdict(report)}
    facts["rules"] = [{**asdict(rule), **_shares(report, rule)} for rule in report.rules]
    return facts


def _print(app: App, chosen: tuple[str, str], report: SidesReport) -> None:
    app.say(
        f"{' '.join(chosen)}: {report.trades:,} flagged trades, {report.unflagged:,} without a "
        f"flag, {report.quotes:,} quotes"
    )
    rows = []
    for rule in report.rules:
        shares = (_percent(value) for value in _shares(report, rule).values())
        rows.append((rule.rule, rule.decided, *shares))
    app.table(("rule", "decided", "agrees", "found", "agrees_by_qty", "found_by_qty"), rows)
    bulk = []
    for b in report.bulk:
        shares = (_percent(x) for x in (b.accuracy, b.halves, b.skill, b.sign))
        corrs = ("" if x is None else f"{x:.2f}" for x in (b.corr, b.partial_corr))
        bulk.append((f"bvc {b.horizon_s} s", b.bars, *shares, b.minutes, *corrs))
    app.table(
        ("bars of", "judged", "accuracy", "halves", "skill", "sign", "minutes", "corr", "partial"),
        bulk,
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
