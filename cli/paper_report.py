"""``ofs paper report``: the verdict on a session, gate by gate, against its configuration.

Chooses the session and the gates and prints what was found; the work is ``engine.runtime.verdict``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import common
from cli.common import App
from cli.complete import SESSION
from data.errors import EXIT_DATA, EXIT_FINDING, EXIT_OK
from data.times import format_utc

if TYPE_CHECKING:
    from data.runs import Run
    from engine.runtime.strategy import Strategy
    from engine.runtime.verdict import Judgement

_EXAMPLES = (
    "ofs paper report last",
    "ofs paper report last --json",
    "ofs paper report last --gates stricter.toml",
)


@common.command("report", examples=_EXAMPLES, exits=(EXIT_FINDING, EXIT_DATA))
@click.argument("session", type=SESSION)
@click.option(
    "--gates",
    "gates_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge by [gates] and [reference] of this file. [default: as it was run]",
)
def command(app: App, session: str, gates_file: Path | None) -> int:
    """Judge a paper session: PASS or FAIL, gate by gate.

    SESSION is the id of a session, the unique beginning of one, or `last`. Its log is folded again
    (digest parity), and its result is placed among backtests of the same strategy. A gate whose
    figures are missing fails. Ends with 1 when a gate fails.

    A verdict by the session's own gates is kept in its folder: `ofs live` asks for one.
    """
    from engine.runtime.paper_config import read_config
    from engine.runtime.verdict import judge
    from engine.runtime.verdict_facts import find_session, gather
    from engine.runtime.verdict_kept import keep

    found = find_session(app.open_runs(), session)
    config = read_config(gates_file) if gates_file is not None else found.config()
    with app.progress("verdict") as progress:

        def on_progress(done: int, total: int, market_ns: int) -> None:
            progress.total = total
            progress.update(done, market_ns)

        facts = gather(
            found, config.reference, config.gates.off, _strategy_of, on_progress,
            lambda: progress.say("compiling…"),
        )  # fmt: skip
    judgement = judge(facts, config.gates)
    if gates_file is None:
        keep(found.folder, config.identity, judgement.as_json())
    if app.json:
        app.emit(judgement.as_json())
    else:
        _print(app, judgement)
    return EXIT_OK if judgement.passed else EXIT_FINDING


def _strategy_of(recorded: Run) -> Strategy:
    from engine.runtime.strategy_file import recorded_strategy
    from strategies import get

    return get(recorded_strategy(recorded.manifest))


def _print(app: App, j: Judgement) -> None:
    f = j.facts
    app.print(f"{f.session}: {f.strategy} on {f.venue} {', '.join(f.symbols)}")
    app.print(f"{format_utc(f.from_ns)} to {format_utc(f.to_ns)}, {f.phase}")
    app.print()
    app.table(
        ("gate", "", "figure", "limit", "why"),
        [(x.gate, x.status.upper(), x.figure, x.limit, x.why) for x in j.findings],
    )
    app.print()
    failed = [x.gate for x in j.findings if x.status == "fail"]
    asked = sum(x.status != "off" for x in j.findings)
    if j.passed:
        app.print(f"PASS: {asked} of {asked} gates")
    elif failed:
        app.print(f"FAIL: {len(failed)} of {asked} gates: {', '.join(failed)}")
    else:
        app.print("FAIL: no gate is asked for")
    for note in f.notes:
        app.say(f"note: {note}")
