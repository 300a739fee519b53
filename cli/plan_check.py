"""``ofs plan check``: every mistake in a file of plans, before a session or a backtest takes it.

Reads and compiles the plans as a backtest does; what only an instrument can tell is left to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from data.errors import EXIT_CONFIG, ConfigError

if TYPE_CHECKING:
    from engine.plans.model import Plan

_COLUMNS = ("plan", "name", "symbol", "side", "conditions", "due")


@common.command(
    "check",
    examples=("ofs plan check plans.toml", "ofs plan check plans.toml --json"),
    exits=(EXIT_CONFIG,),
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--words", is_flag=True, help="List every condition that a plan may have.")
def command(app: App, file: Path | None, words: bool) -> int:
    """Look for every mistake in a file of plans.

    Unknown keys and conditions (with the nearest that exists), values that do not fit, conditions
    that the log cannot answer, stops on the wrong side. Ends with 3 when something is wrong.
    """
    if words or file is None:
        return _words(app)
    from engine.plans.read import read_plans

    read = read_plans(file)
    mistakes = list(read.mistakes)
    for plan in read.plans:
        mistakes += _compiled(plan)
    mistakes += _crowded(read.plans)
    rows = [_row(plan) for plan in read.plans]
    if app.json:
        app.emit(
            {
                "schema": 1,
                "ok": not mistakes,
                "file": str(file),
                "plans": [dict(zip(_COLUMNS, row, strict=True)) for row in rows],
                "mistakes": [
                    {"what": m.what, "where": m.where, "why": m.why, "do": m.do} for m in mistakes
                ],
            }
        )
        return EXIT_CONFIG if mistakes else 0
    for mistake in mistakes:
        app.print(f"error: {mistake}")
    if not mistakes:
        app.table(_COLUMNS, rows)
    return EXIT_CONFIG if mistakes else 0


def _compiled(plan: Plan) -> list[ConfigError]:
    """What compiling finds wrong whatever the instrument: the finest scales are taken."""
    from data.events import Scales
    from engine.plans.compile import compile_plan

    try:
        compile_plan(plan, Scales(8, 8))
    except ConfigError as error:
        return [error]
    return []


def _crowded(plans: Iterable[Plan]) -> list[ConfigError]:
    """Symbols that have more plans than a fold has places for."""
    from engine.kernel.plans import PLANS_MAX

    ours: dict[str, list[Plan]] = {}
    for plan in plans:
        ours.setdefault(plan.symbol, []).append(plan)
    return [
        ConfigError(
            f"there are {len(of)} plans of {symbol}",
            where=of[PLANS_MAX].where,
            why=f"{PLANS_MAX} is the most that can stand at a time",
            do="take some out",
        )
        for symbol, of in ours.items()
        if len(of) > PLANS_MAX
    ]


def _row(plan: Plan) -> tuple[Any, ...]:
    from engine.plans.vocabulary import ORDER_FLOW

    due = "5s" if any(name in ORDER_FLOW for name in plan.asked) else "30s"
    side = "BUY" if plan.direction > 0 else "SELL"
    return (plan.id, plan.name, plan.symbol, side, ", ".join(plan.asked), due)


def _words(app: App) -> int:
    """The vocabulary as a table."""
    from engine.plans.vocabulary import WORDS

    rows = [
        {"condition": name, "value": ", ".join(w.choices) or w.kind, "meaning": w.doc}
        for name, w in WORDS.items()
    ]
    if app.json:
        app.emit(rows)
    else:
        app.table(("condition", "value", "meaning"), [tuple(row.values()) for row in rows])
    return 0
