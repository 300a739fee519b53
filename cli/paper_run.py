"""``ofs paper run``: a session on paper, from a configuration to a run that verifies.

Owns the options, and putting screen, API, monitor and control beside the session; the work is
``engine.runtime.session``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.terminals import VENUE, sandbox_of, source_of
from data.errors import EXIT_CONFIG, EXIT_DATA, EXIT_INTERRUPT, EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from data.enums import Kind
    from data.live.endpoint import Endpoint
    from data.live.source import Source
    from data.live.wiring import Ask
    from engine.runtime.paper_config import PaperConfig
    from engine.runtime.replay import Request
    from engine.runtime.session import Session, Setup

_DAY_NS = 86_400_000_000_000


@common.command(
    "run",
    examples=(
        "ofs paper run --config paper.toml --days 14",
        "ofs paper run --config paper.toml --endpoint served.json --until-end --json",
    ),
    exits=(EXIT_CONFIG, EXIT_DATA, EXIT_NETWORK, EXIT_INTERRUPT),
)
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), required=True,
              metavar="FILE", is_eager=True, help="Configuration of the session.")  # fmt: skip
@click.option(
    "--check", is_flag=True, help="Print the configuration as it is read, or its mistakes."
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True),
              help="End after this much market time. [default: as the file says]")  # fmt: skip
@click.option("--endpoint", metavar="ADDRESS",
              help="Instead of the venue: ws://..,http://.. or a file with the line of ofs serve "
              "(of ofs sandbox for mt5).",
              )  # fmt: skip
@click.option("--until-end", is_flag=True, help="End when the served range is over.")
@click.option("--session", metavar="ID", help="Go on with this session.")
@click.option("--new", is_flag=True, help="Begin a session, though one could go on.")
@click.option("--http/--no-http", "http", default=True, help="Serve the read-only HTTP API.")
def command(app: App, file: Path, check: bool, **options: Any) -> int:
    """Trade on paper: the fold of a backtest with its simulated broker, fed by live events.

    The session has a log of its own; at every checkpoint it is published as a run, so `ofs report`,
    `ofs explain` and `ofs verify` work on it. Ctrl-C and SIGTERM drain and seal; the same command
    goes on where the session stopped or was killed, with its positions and limits, and a gap for
    the time between. A second Ctrl-C aborts, which loses nothing that was synced.
    """
    if check:
        from cli.paper_check import check as look

        return look(app, file)
    from cli.beside import say_unfilled
    from cli.stop import Stop
    from data.live.run import Ends
    from engine.runtime.session import left_unfinished, prepare

    with Stop() as stop:
        setup = _setup(app, file, options)
        session = prepare(setup)
        app.say(begun(session))
        for other, reason in left_unfinished(setup, session):
            app.say(f"note: {other} of this file did not end, and is not gone on with: {reason}")
        days = options["days"] or session.config.days or 0
        ends = Ends(lambda: stop.asked, options["until_end"], int(days * _DAY_NS))
        with beside_session(app, session, http=options["http"]):
            why = session.run(ends)
        app.say(f"{session.folder.id}: {why}")
        say_unfilled(app, session.recorder.fill_error, session.folder.log)
    facts = session.summary(why)
    if app.json:
        app.emit(facts)
    else:
        for name in ("session", "runs", "events", "gaps", "decisions", "orders", "digest"):
            shown = ", ".join(facts[name]) if name == "runs" else facts[name]
            app.print(f"{name:<10} {shown}")
    return stop.exit_code


def _setup(app: App, file: Path, options: dict[str, Any]) -> Setup:
    from cli.paper_check import around
    from data.live.endpoint import Endpoint
    from data.live.wiring import served_ns
    from engine.runtime.paper_config import read_config
    from engine.runtime.session import Setup

    if options["until_end"] and not options["endpoint"]:
        raise UsageError("a real venue has no end", where="--until-end",
                         do="name a served one with --endpoint; or say --days")  # fmt: skip
    config = read_config(file)
    for mistake in around(config, http=options["http"]):
        raise mistake
    text, source = options["endpoint"], None
    if config.venue == VENUE:
        box = sandbox_of(text)
        if box is not None:  # its clock begins with its first client, and a compile takes a minute
            _compile(app, config)
        endpoint = box.endpoint if box is not None else Endpoint.real(config.venue)
        source = source_of(asdict(config.account), box)
    else:
        endpoint = Endpoint.of(text) if text else Endpoint.real(config.venue)
    return Setup(
        config,
        lambda c: ask_of(c, endpoint, source=source),
        request_of,
        app.runs,
        now_ns=served_ns(endpoint) if text else None,
        session=options["session"] or "",
        new=options["new"],
        on_cold=lambda: app.say("compiling…"),
    )


def _compile(app: App, config: PaperConfig) -> None:
    from engine.runtime.session_fold import compile_fold

    compile_fold(request_of(config), config.symbols[0], lambda: app.say("compiling…"))


def ask_of(
    c: PaperConfig, endpoint: Endpoint, kinds: tuple[Kind, ...] = (), source: Source | None = None
) -> Ask:
    """What the session of a configuration records; ``kinds`` and ``source`` where its venue has no
    sockets."""
    from data.live.recorder import Limits
    from data.live.wiring import Ask, kinds_of

    r = c.record
    return Ask(
        c.venue, c.symbols, kinds or kinds_of(c.venue, c.streams), endpoint, r.sync_ms,
        r.sync_events, r.segment_bytes, Limits(r.checkpoint_ns, r.checkpoint_bytes), r.hold_ns,
        r.hold_most, r.rotate_ns, r.queue_frames, r.queue_bytes, named_in=f"{c.path}: symbols",
        source=source,
    )  # fmt: skip


def request_of(c: PaperConfig, broker: str = "simulated") -> Request:
    """What the folds of a configuration are; ``broker`` says who fills their orders."""
    from cli.paper_check import fitted
    from engine.runtime.replay import Request

    strategy, settings, note = fitted(c, broker=broker)
    return Request(
        strategy, c.strategy, c.venue, settings=settings, model=note, plans=c.plans, broker=broker
    )


def begun(session: Session) -> str:
    """How a session begins, or goes on, in words."""
    r = session.recovery
    if not r.last_seq:
        return f"session {session.folder.id}"
    return (
        f"session {session.folder.id} goes on after event {r.last_seq:,} (snapshot at "
        f"{r.snapshot_seq:,}; {r.compared:,} records agree, {r.written:,} were missing)"
    )


@contextmanager
def beside_session(app: App, session: Session, *, http: bool) -> Iterator[None]:
    """Monitor, HTTP API, control and screen, for as long as the session runs."""
    from contextlib import ExitStack

    from cli.beside import beside
    from cli.screen import Screen
    from engine.runtime.control_server import ControlServer
    from engine.runtime.fold import cache_figures

    view, folder, wanted = session.board.view, session.folder, session.config.http
    where = (wanted.host, wanted.port) if http and wanted.on else None
    with ExitStack() as stack:
        there = stack.enter_context(beside(app, folder.path, view, where, cache_figures))
        session.picture.monitor = there.monitor
        session.picture.control = {"http": there.address}
        control = ControlServer(folder.path, lambda: {"session": folder.id, "phase": session.phase})
        session.control = control
        control.start()
        stack.callback(control.stop)
        stack.enter_context(Screen(view, color=app.color, enabled=app.show_progress))
        yield


for _option in command.params:
    if _option.name == "config":
        # --config is the session's here; the settings of ofs keep a flag of another name
        _option.opts[:] = ["--settings"]
