"""``ofs control``: give a running session an order.

Finds the session and asks it over the socket in its folder; what an order does is the session's
business. It refuses to say that something was done before its control event is synced.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import common
from cli.common import App
from cli.complete import SESSION
from data.errors import EXIT_DATA, EXIT_FINDING, DataError, UsageError

ORDERS = ("pause", "resume", "flatten", "reload-plans", "stop")
"""What ``engine.runtime.control_server.ACTS`` takes, without its imports."""


@common.command(
    "control",
    examples=(
        "ofs control pause",
        "ofs control flatten --session 20261121T120000-paper-scalper",
        "ofs control stop --json",
    ),
    exits=(EXIT_FINDING, EXIT_DATA),
)
@click.argument("order", type=click.Choice(ORDERS))
@click.option(
    "--session",
    metavar="ID",
    type=SESSION,
    help="Session to order, where several run; the only one that runs is found by itself.",
)
def command(app: App, order: str, session: str | None) -> int:
    """Order a running session: pause, resume, flatten, reload-plans or stop.

    pause: no new entries; a position's exits go on. resume: entries again (after a stop or a
    drawdown halt, too). flatten: close the position now; a live session then ends, too, as by stop.
    reload-plans: read the file of plans again and take its changes over. stop: close the position,
    then drain, seal and end.

    The order becomes a control event in the session's log, so a backtest over that log does the
    same. It is answered with the event's number once that is on the disk. Exit code 1: the session
    refused, or did not answer in time.
    """
    from engine.runtime.control_server import ask

    folder = _chosen(app.runs, session)
    answer = ask(folder, order)
    told = {"schema": 1, "session": folder.name, "act": order, **answer}
    if app.json:
        app.emit(told)
    elif answer.get("ok"):
        app.print(f"{order}: event {answer['seq']:,} of {folder.name}{_more(answer)}")
    if not answer.get("ok"):
        app.say(f"{folder.name} did not {order}: {answer.get('why', 'it gave no reason')}")
    return 0 if answer.get("ok") else EXIT_FINDING


def _more(answer: dict[str, Any]) -> str:
    """What the session added to its answer."""
    known = {"schema", "session", "act", "ok", "seq"}
    facts = [f"{name} {value}" for name, value in answer.items() if name not in known]
    return f" ({', '.join(facts)})" if facts else ""


def _chosen(runs: Path, session: str | None) -> Path:
    """Folder of the session that is meant; UsageError where that is not clear."""
    from data.live.session_folder import SESSIONS, find_session, sessions

    if session is not None:
        return find_session(runs, session).path
    running = [s for s in sessions(runs) if not s.ended and _lives(s.path)]
    if not running:
        raise DataError(
            "no session is running",
            where=str(runs / SESSIONS),
            do="start one: ofs paper --config paper.toml, or ofs live --config live.toml; "
            "see --runs",
        )
    if len(running) > 1:
        raise UsageError(
            "several sessions are running",
            where="--session",
            why=", ".join(s.id for s in running),
            do="name one of them with --session",
        )
    return running[0].path


def _lives(folder: Path) -> bool:
    """Whether a session answers at the door in ``folder``; a killed one leaves its door behind."""
    from engine.runtime.control_server import ask

    try:
        return bool(ask(folder, "who", timeout_s=3).get("ok"))
    except DataError:
        return False
