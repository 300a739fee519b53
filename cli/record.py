"""``ofs record``: what a venue sends, into the log, for as long as nobody stops it.

Owns the options and what is said meanwhile; the work is ``data.live``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import KINDS, App
from cli.complete import SYMBOL
from cli.terminals import VENUE, only_for_terminals, sandbox_of, source_of, terminal_options
from cli.units import DURATION, SIZE
from data.errors import EXIT_DATA, EXIT_INTERRUPT, EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from data.live.recorder import Recorder
    from data.live.session_folder import SessionFolder
    from data.live.wiring import Ask
    from engine.runtime.lags import Lags, Rolling

LOOK_EVERY_S = 0.25


@common.command(
    "record",
    examples=(
        "ofs record --venue binance-um --symbol BTCUSDT --streams trade,depth,quote",
        "ofs record --venue binance-um --symbol BTCUSDT --endpoint served.json --until-end --json",
        "ofs record --venue mt5 --symbol EURUSD --symbol XAUUSD --clock eet",
        "ofs record --venue mt5 --symbol EURUSD --endpoint sandbox.json --until-end",
    ),
    exits=(EXIT_DATA, EXIT_NETWORK, EXIT_INTERRUPT),
)
@click.option("--venue", required=True,
              help="binance-um, binance-spot, bybit; mt5: a MetaTrader 5 terminal.")  # fmt: skip
@click.option("--symbol", "symbols", type=SYMBOL, multiple=True, required=True,
              help="Symbol; may be repeated.")  # fmt: skip
@click.option("--streams", type=KINDS, default=(), help="Kinds to record. [default: all there are]")
@click.option("--endpoint", metavar="ADDRESS",
              help="Instead of the venue: ws://..,http://.. or a file with the line of ofs serve "
              "(of ofs sandbox for mt5).",
              )  # fmt: skip
@terminal_options
@click.option("--until-end", is_flag=True, help="Stop when the served range is over.")
@click.option("--for", "length_ns", type=DURATION, help="Stop after this much market time.")
@click.option("--session", metavar="ID", help="Go on with this session.")
@click.option("--new", is_flag=True, help="Begin a session, whatever was left behind.")
@click.option("--sync-ms", type=click.IntRange(1, 1000), default=10, show_default=True,
              help="Longest time between two syncs, ms.")  # fmt: skip
@click.option("--checkpoint", "checkpoint_ns", type=DURATION, default="1h", show_default=True,
              help="Market time after which events are sealed into Parquet.")  # fmt: skip
@click.option("--keep", "keep_ns", type=DURATION, help="Delete days of the log that are older.")
@click.option("--free-min", type=SIZE, default="2GiB", show_default=True,
              help="Free space below which kinds are left out, depth first.")  # fmt: skip
@click.option("--http", type=click.IntRange(0, 65535), metavar="PORT",
              help="Serve the read-only HTTP API at this port of 127.0.0.1; 0: any free one.",
              )  # fmt: skip
def command(app: App, **options: Any) -> int:
    """Record a venue's streams into the log.

    Events are in the journal of the log within milliseconds and in Parquet within the hour. What
    was missed is recorded as a gap. Ctrl-C and SIGTERM drain and seal; the same command goes on
    where the last one stopped, with a gap for the time between. A second Ctrl-C aborts, which
    loses nothing that was synced.

    Of a terminal quotes and closed minutes are recorded, its server's time turned into UTC by
    --clock; a rule that its quotes refute is refused. What a lost terminal missed is a gap, which
    is fetched from its history after the next checkpoint.
    """
    from cli.beside import say_unfilled
    from cli.stop import Stop
    from data.live.keep import DiskLimits, Keeper
    from data.live.recorder import Recorder
    from data.live.reopen import reopen
    from data.live.run import Ends, run
    from data.live.wiring import filler, instruments, series_facts, series_in, served_ns, wire
    from engine.runtime.lags import Rolling

    ask = _ask(options)
    log = Path(app.log)
    with Stop() as stop:
        now_ns = served_ns(ask.endpoint) if options["endpoint"] else None
        folder = _session(app, log, ask, options)
        with folder.beginning():
            series = instruments(ask, series_in(folder.facts.get("series", [])))
            opened = reopen(log, folder.id, series, **ask.journal_options)
        # the session is this process's to change only now that the lock of its log is held
        folder.update(series=series_facts(series), served=now_ns is not None, phase="running")
        app.say(f"session {folder.id}: {ask.venue} {', '.join(ask.symbols)}")
        wired = wire(ask, opened, now_ns)
        lags, limits = Rolling(), DiskLimits(options["free_min"], 0, options["keep_ns"] or 0)
        recorder = Recorder(
            opened, wired.feed, wired.inlet, wired.clock, limits=ask.limits, heard=lags.add,
            keeper=Keeper(opened.store, limits),
            fill=filler(ask, opened, wired.clock.now),
        )  # fmt: skip
        ends = Ends(lambda: stop.asked, options["until_end"], options["length_ns"] or 0)
        shown = _Shown(app, folder, recorder, lags, waits=not options["until_end"])
        with shown.beside(options["http"]):
            why = run(recorder, folder, ends, shown, shown.last)
        app.say(f"{folder.id}: {why}; {recorder.tally.events:,} events, {recorder.tally.gaps:,} "
                "gap events")  # fmt: skip
        say_unfilled(app, recorder.fill_error, log)
    if app.json:
        app.emit(_summary(folder, recorder, lags.total))
    return stop.exit_code


def _ask(options: dict[str, Any]) -> Ask:
    from data.live.endpoint import Endpoint
    from data.live.recorder import Limits
    from data.live.wiring import Ask, kinds_of

    if options["until_end"] and not options["endpoint"]:
        raise UsageError("a real venue has no end", where="--until-end",
                         do="name a served one with --endpoint; or say --for")  # fmt: skip
    venue, text = options["venue"].lower(), options["endpoint"]
    only_for_terminals(venue, options)
    kinds, source = kinds_of(venue, options["streams"]), None
    if venue == VENUE:
        box = sandbox_of(text)
        endpoint = box.endpoint if box is not None else Endpoint.real(venue)
        source = source_of(options, box)
    else:
        endpoint = Endpoint.of(text) if text else Endpoint.real(venue)
    return Ask(
        venue,
        tuple(dict.fromkeys(s if source else s.upper() for s in options["symbols"])),
        kinds,
        endpoint,
        sync_ms=options["sync_ms"],
        limits=Limits(checkpoint_ns=options["checkpoint_ns"]),
        source=source,
    )


def _session(app: App, log: Path, ask: Ask, options: dict[str, Any]) -> SessionFolder:
    from data.live.session_folder import find_session
    from data.live.wiring import named_session, recording_session

    if "://" in app.log:
        raise UsageError("a recording needs a folder of this machine", where="--log", why=app.log)
    if options["session"]:
        return named_session(find_session(app.runs, options["session"]).path, ask)
    return recording_session(app.runs, log, ask, new=options["new"])


def _summary(folder: SessionFolder, recorder: Recorder, lags: Lags) -> dict[str, Any]:
    return {
        "schema": 1,
        "session": folder.id,
        "log": folder.facts["log"],
        "events": recorder.tally.events,
        "synced": recorder.journal.synced_seq,
        "sealed": recorder.sealed,
        "gaps": recorder.tally.gaps,
        "by_kind": dict(recorder.tally.kinds),
        "gaps_by_reason": dict(recorder.tally.reasons),
        "rejects": dict(recorder.inlet.facts.rejects),
        "dropped": recorder.feed.facts.dropped,
        "lag_p99_ms": round(lags.percentile_ms(0.99), 3),
    }


class _Shown:
    """Monitor, API, screen and log of a recording; called after every turn of it."""

    def __init__(
        self, app: App, folder: SessionFolder, recorder: Recorder, lags: Rolling, *, waits: bool
    ) -> None:
        from data.live.session_log import SessionLog
        from engine.runtime.recording_picture import RecordingPicture
        from engine.runtime.session_notes import Notes
        from engine.runtime.view import Board, View

        first = View(folder.id, "record", folder.facts["venue"], started_ns=time.time_ns(),
                     served=recorder.clock.served)  # fmt: skip
        self._app, self._folder, self._recorder = app, folder, recorder
        at_end = "end it with Ctrl-C" if waits else ""
        self._picture = RecordingPicture(recorder, first, lags, at_end=at_end)
        self._board = Board(first)
        self._log = SessionLog(folder.path / "session.log")
        self._notes = Notes(self._log, first)
        self._next_s = 0.0
        self._opened = False
        self._stack = ExitStack()

    @contextmanager
    def beside(self, port: int | None) -> Iterator[None]:
        """For as long as the recording runs; ``port`` is the API's, None: no API.

        Without one, all of it waits for the first event on the disk: recording comes first.
        """
        with ExitStack() as self._stack:
            self._stack.callback(self._log.close)
            if port is not None:
                self._open(("127.0.0.1", port))
            try:
                yield
            except BaseException as error:
                self._log.error("failed", error=f"{type(error).__name__}: {error}")
                raise

    def _open(self, http: tuple[str, int] | None) -> None:
        from cli.beside import beside
        from cli.screen import Screen

        self._opened = True
        view, app = self._board.view, self._app
        there = self._stack.enter_context(beside(app, self._folder.path, view, http))
        self._picture.resources = lambda: there.monitor.latest
        self._picture.control = {"http": there.address}
        self._stack.enter_context(Screen(view, color=app.color, enabled=app.show_progress))

    def __call__(self) -> None:
        """A turn is over."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + LOOK_EVERY_S
            self._look("running")
            if not self._opened and self._board.view().states.synced:
                self._open(None)
        self._board.synced(self._recorder.settled_seq)

    def last(self) -> dict[str, Any]:
        """The end, while the journal is still open; there are no facts to keep."""
        self._look("stopped")
        self._board.synced(self._recorder.settled_seq)
        return {}

    def _look(self, phase: str) -> None:
        view = self._picture.view(phase)
        self._board.offer(view)
        self._notes.look(view)
