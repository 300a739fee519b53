"""``ofs explain``: why a decision was made, and what became of it.

Prints what :mod:`engine.runtime.explain` puts together.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.complete import RUN
from cli.output import cell
from data.errors import EXIT_DATA, EXIT_FINDING, EXIT_OK

if TYPE_CHECKING:
    from engine.runtime.explain import Explanation

_QUIET: tuple[Any, ...] = (None, 0, 0.0, "", [], "1970-01-01T00:00:00.000Z")


@common.command(
    "explain",
    examples=("ofs explain decision:100", "ofs explain decision:100 --run last --json"),
    exits=(EXIT_FINDING, EXIT_DATA),
)
@click.argument("subject", metavar="ORDER|DECISION")
@click.option("--run", type=RUN, default="last", help="Run that it belongs to (default: last).")
@click.option("--all", "everything", is_flag=True, help="Show numbers that are 0, too.")
def command(app: App, subject: str, run: str, everything: bool) -> int:
    """Tell the whole story of one order or decision of a run.

    ORDER is order:ID (or fill:ID, position:ID), DECISION is decision:ID. The log is folded again up
    to that decision; shown are the last event before it, every signal, every gate and guard, the
    numbers that each part of the strategy had, and the orders and fills that came of it with the
    events that caused them. Where the fold of today decides otherwise than the run did, the exit
    code is 1.
    """
    from data.log import LogStore
    from data.runs import find_run
    from engine.runtime.explain import explain, parse_subject
    from engine.runtime.strategy_file import recorded_strategy
    from engine.runtime.verify import check_manifest
    from strategies import get

    parse_subject(subject)
    recorded = find_run(app.runs, run)
    check_manifest(recorded)
    store = LogStore(app.log if app.log_flag else recorded.manifest["log"]["path"])
    strategy = get(recorded_strategy(recorded.manifest))
    with app.progress("explain") as progress:
        found = explain(store, recorded, strategy, subject, lambda: progress.say("compiling…"))
    if app.json:
        app.emit({"schema": 1, **dataclasses.asdict(found)})
    else:
        _print(app, found, everything)
    return EXIT_OK if found.agrees else EXIT_FINDING


def _print(app: App, found: Explanation, everything: bool) -> None:
    from data.show import line

    app.print(f"{found.subject} of run {found.run}")
    if found.event is not None:
        app.print(f"last event: {line(found.event)}")
    _line(app, "decision", found.decision, everything)
    if found.gates:
        app.print("gates: " + ", ".join(f"{name} {verdict}" for name, verdict in found.gates))
    if found.refused:
        app.print("refused by: " + ", ".join(found.refused))
    for signal in found.signals:
        _line(app, "signal", signal, everything)
    app.print("numbers:")
    for name, numbers in found.numbers.items():
        _line(app, f"  {name}", numbers, everything)
    for plan in found.plans:
        _plan(app, plan)
    for title, rows in (
        ("order", found.orders),
        ("fill", found.fills),
        ("position", found.positions),
    ):
        for row in rows:
            _line(app, title, row, everything)
    for cause in found.causes:
        app.print(f"fill {cause['fill']} was caused by: {line(cause)}")
    if not found.agrees:
        app.print("the fold of today gives another decision: `ofs verify` tells where they part")


def _plan(app: App, plan: dict[str, Any]) -> None:
    """A plan, and each condition as it was last asked."""
    app.print(f"plan {plan['plan']} {plan['name']}: {plan['status']}, asked {plan['evaluated']}")
    for c in plan["conditions"]:
        app.print(f"  {c['condition']}: {c['metric']} {c['value']}, {c['bound']}: {c['verdict']}")


def _line(app: App, title: str, row: dict[str, Any], everything: bool) -> None:
    """One row as ``title: name value, name value``."""
    kept = [(k, v) for k, v in row.items() if everything or v not in _QUIET]
    kept = [(k, v) for k, v in kept if everything or not (isinstance(v, list) and not any(v))]
    app.print(f"{title}: " + ", ".join(f"{k} {_text(v)}" for k, v in kept))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + " ".join(_text(v) for v in value) + "]"
    return cell(value)
