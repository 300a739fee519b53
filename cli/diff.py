"""``ofs diff``: where two runs part, and in which facts they differ.

Prints what :mod:`engine.runtime.diff` finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.complete import RUN
from data.errors import EXIT_DATA, EXIT_FINDING, EXIT_OK
from data.times import format_utc

if TYPE_CHECKING:
    from engine.runtime.diff import Divergence, Fact, RunDiff

_ALWAYS = ("log", "digests", "result")
"""Groups of facts that are shown even where both runs say the same."""

_HEADLINES = (
    "win_rate",
    "profit_factor",
    "expectancy",
    "sharpe",
    "max_drawdown_share",
    "cost_total",
)
"""Statistics that are shown; ``--json`` gives all."""


@common.command(
    "diff",
    examples=(
        "ofs diff last~1 last",
        "ofs diff 20240808T101500 20240808T103000 --json",
    ),
    exits=(EXIT_FINDING, EXIT_DATA),
)
@click.argument("a", type=RUN, metavar="RUN")
@click.argument("b", type=RUN, metavar="RUN")
def command(app: App, a: str, b: str) -> int:
    """Tell where two runs part, and put their results side by side.

    RUN is an id of 'ofs runs', the unique beginning of one, a folder, 'last', or 'last~1' for the
    run before that. The first decision that differs is shown with its gates and signals (and the
    first that decided something else), or the first order, fill, position or equity row where the
    decisions agree; beside it parameters, log, sources, versions and results. Ends with 0 when
    every record is the same, else with 1.
    """
    from data.runs import find_run
    from engine.runtime.diff import diff_runs

    found = diff_runs(find_run(app.runs, a), find_run(app.runs, b))
    if app.json:
        app.emit(_facts(found))
    else:
        _print(app, found)
    return EXIT_OK if found.same else EXIT_FINDING


def _print(app: App, found: RunDiff) -> None:
    facts = [f for f in found.facts if _worth(f)]
    rows = [("run", "", found.left, found.right, "")]
    rows += [(f.group, f.name, _cell(f.left), _cell(f.right), _mark(f)) for f in facts]
    app.table(("", "fact", "a", "b", ""), rows)
    app.print()
    first = found.first
    if first is None:
        count = sum(t.rows[0] for t in found.tables.values())
        app.print(f"the same: all {count:,} records agree")
    else:
        app.print(f"first difference: {_where(first)}")
        _print_rows(app, first)
        if found.act is not None:
            app.print()
            app.print(f"first other act: {_where(found.act)}")
            _print_rows(app, found.act)
        _print_rest(app, found, first)
    for table in found.tables.values():
        if table.not_compared:
            names = ", ".join(table.not_compared)
            app.say(f"note: {table.name}: not compared, one run does not have it: {names}")


def _worth(fact: Fact) -> bool:
    """Whether a person wants to see this fact."""
    if fact.group == "statistics":
        return fact.name in _HEADLINES
    return fact.group in _ALWAYS or not fact.same


def _where(first: Divergence) -> str:
    number = f" {first.id}" if first.id else f" row {first.row}"
    of = f", decision {first.decision}" if first.table != "decision" and first.decision else ""
    return f"{first.table}{number}{of}, {format_utc(first.time_ns)}"


def _print_rows(app: App, first: Divergence) -> None:
    if first.missing:
        side = "a" if first.missing == "left" else "b"
        app.print(f"run {side} has no such {first.table}; the other one has")
    rows = [
        (v.field, _cell(v.left), _cell(v.right), "differs" if v.differs else "")
        for v in first.values
        if v.differs or v.field in _NAMED
    ]
    app.table(("field", "a", "b", ""), rows)
    for side, signals in zip("ab", first.signals, strict=True):
        for signal in signals:
            rest = ", ".join(f"{k} {_cell(v)}" for k, v in signal.items() if k != "detector")
            app.print(f"signal in {side}: {signal['detector']}: {rest}")
        if first.table == "decision" and not signals:
            app.print(f"signal in {side}: none")


_NAMED = ("action", "gates", "blocked")
"""Columns of a decision that are shown even where they are the same."""


def _print_rest(app: App, found: RunDiff, first: Divergence) -> None:
    others = [t.first for t in found.tables.values() if t.first is not None and t.first != first]
    if others:
        app.print()
    for other in others:
        app.print(f"then: {_where(other)}")


def _mark(fact: Fact) -> str:
    return "" if fact.same else "differs"


def _cell(value: Any) -> Any:
    """Hashes are cut for reading, lists joined; ``--json`` gives all of it."""
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or "none"
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = str(value)
    return text[:16] if len(text) == 64 else text


def _facts(found: RunDiff) -> dict[str, Any]:
    """Everything, for a program: stored integers stand scaled, as in ``ofs query``."""
    return {
        "schema": 1,
        "same": found.same,
        "a": found.left,
        "b": found.right,
        "first": _first(found.first),
        "act": _first(found.act),
        "tables": {
            t.name: {
                "same": t.first is None,
                "rows": {"a": t.rows[0], "b": t.rows[1]},
                "first": _first(t.first),
                "not_compared": list(t.not_compared),
            }
            for t in found.tables.values()
        },
        "facts": [
            {"group": f.group, "name": f.name, "a": f.left, "b": f.right, "same": f.same}
            for f in found.facts
        ],
    }


def _first(first: Divergence | None) -> dict[str, Any] | None:
    if first is None:
        return None
    sides: dict[str, Any] = {"": None, "left": "a", "right": "b"}
    return {
        "table": first.table,
        "row": first.row,
        "time": format_utc(first.time_ns),
        "id": first.id or None,
        "decision": first.decision or None,
        "missing": sides[first.missing],
        "differs": [v.field for v in first.values if v.differs],
        "signals": {"a": first.signals[0], "b": first.signals[1]},
        "values": {v.field: {"a": v.left, "b": v.right} for v in first.values},
    }
