"""``ofs plan explain``: what a plan said at a moment, condition by condition.

Chooses the range and prints; the fold is ``engine.runtime.plan_explain``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import common
from cli.common import TIME, App
from cli.complete import STRATEGY
from data.errors import EXIT_CONFIG, EXIT_DATA

if TYPE_CHECKING:
    from engine.plans.explain import Explained
    from engine.plans.load import PlanText

DAY_NS = 86_400 * 10**9
_COLUMNS = ("condition", "number", "value", "asked", "verdict")


@common.command(
    "explain",
    examples=(
        "ofs plan explain 1 --at 2024-08-08T12:00 --plans plans.toml --venue binance-um",
        "ofs plan explain trend --at 2024-08-08T12:00:30 --venue binance-um --plans plans.toml "
        "--json",
    ),
    exits=(EXIT_CONFIG, EXIT_DATA),
)
@click.argument("plan")
@click.option("--at", "at_ns", type=TIME, required=True, help="Moment, UTC.")
@click.option("--plans", "file", type=click.Path(path_type=Path),
              help="File of plans (TOML); without it, those of control events.")  # fmt: skip
@click.option("--symbol", help="Symbol in the log, e.g. BTCUSDT.")
@click.option("--venue", help="Venue in the log, e.g. binance-um.")
@click.option("--from", "from_ns", type=TIME, help="Where the fold begins; a day before by itself.")
@click.option("--strategy", type=STRATEGY, default="plan_watch", show_default=True,
              help="NAME or path.py:NAME; it must take plans.")  # fmt: skip
@common.set_option
def command(
    app: App,
    plan: str,
    at_ns: int,
    file: Path | None,
    symbol: str | None,
    venue: str | None,
    from_ns: int | None,
    strategy: str,
    settings: dict[str, str],
) -> int:
    """Show every condition of a plan at a moment, its value and its verdict.

    PLAN is the id or the name of a plan in the file, or the id of one that the log's control events
    brought. The log is folded up to the moment, so that
    every number is what a session would have known then. A plan is asked every 5 s when it has a
    condition of order flow, else every 30 s: what is shown is the last time that it was.
    """
    from cli.section_set import fitting
    from engine.plans.load import text_of_file
    from engine.runtime.plan_explain import one_of, plans_at
    from engine.runtime.replay import Request
    from strategies import get

    chosen = get(strategy)
    text = text_of_file(file) if file else None
    symbol = symbol or _symbol(text, plan)
    start = at_ns - DAY_NS if from_ns is None else from_ns
    request = Request(chosen, strategy, venue, symbol, start, None, fitting(app, chosen, settings),
                      plans=text)  # fmt: skip
    found = plans_at(app.open_log(), request, at_ns, lambda: app.say("compiling…"))
    shown = one_of(found, plan)
    if app.json:
        app.emit(shown.facts())
    else:
        _print(app, shown)
    return 0


def _symbol(text: PlanText | None, plan: str) -> str | None:
    """Symbol of the plan in the file that ``plan`` names; None where none does."""
    from engine.plans.read import parse_plans

    if text is None:
        return None
    plans = parse_plans(text.text, text.name).sound()
    return next((x.symbol for x in plans if plan in (str(x.id), x.name)), None)


def _print(app: App, x: Explained) -> None:
    from data.times import format_utc

    when = f"evaluated {format_utc(x.at_ns)}" if x.at_ns else "never due"
    verdict = "met" if x.met else "not met"
    app.print(f"plan {x.id} {x.name}".rstrip() + f": {x.status}, {verdict}, {when}")
    rows = [(y.condition, y.metric, y.value, y.bound, y.verdict) for y in x.lines]
    app.table(_COLUMNS, rows)
