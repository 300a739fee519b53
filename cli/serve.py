"""``ofs serve``: a venue on this machine that plays a range of the log.

Owns the options and the line that says where it listens. What it serves, and how, stands in
:mod:`data.venue.serve`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.complete import SYMBOL
from cli.stop import serve_until_told
from cli.units import SECONDS
from data.errors import EXIT_CONFIG, EXIT_DATA

if TYPE_CHECKING:
    from data.venue.serve import Venue
    from data.venue.tape import LogTape
    from data.venue.tape_recording import RecordingTape


@common.command(
    "serve",
    examples=(
        "ofs serve --log demo --speed 60 --for 1s",
        "ofs serve --recording btcusdt_20240718.gz --speed 100 --for 1s",
        "ofs serve --log demo --venue synthetic --layout spot --speed 1000 --for 1s",
    ),
    exits=(EXIT_CONFIG, EXIT_DATA),
)
@click.option(
    "--recording", "recordings", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Raw recordings of sockets instead of the log, sent again as they stand.",
)  # fmt: skip
@click.option("--venue", help="Venue of the log to play, where it has several.")
@click.option("--symbol", "symbols", type=SYMBOL, multiple=True, help="Symbol. [default: all]")
@common.range_options
@click.option(
    "--speed", type=click.FloatRange(min=0.01, max=100_000), default=1.0, show_default=True,
    help="Times real time.",
)  # fmt: skip
@click.option(
    "--layout", type=click.Choice(["spot", "futures", "bybit"]),
    help="Protocol to speak. [default: the venue's own, else futures]",
)  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, show_default=True,
    help="Port of the websockets; 0: any free one.",
)  # fmt: skip
@click.option(
    "--rest-port", type=click.IntRange(0, 65_535), default=0, show_default=True,
    help="Port of the REST interface; 0: any free one.",
)  # fmt: skip
@click.option(
    "--grace", "grace_ns", type=SECONDS, default="1s", show_default=True,
    help="How long the clock stands after the first subscription.",
)  # fmt: skip
@click.option(
    "--hold", "hold_ns", type=SECONDS, default="0", show_default=True,
    help="How long it waits for somebody to subscribe again when nobody is left.",
)  # fmt: skip
@click.option(
    "--delay", "delay_ns", type=SECONDS, default="0", show_default=True,
    help="From exchange time to sending, where the log has no receive time.",
)  # fmt: skip
@click.option(
    "--skew", "skew_ns", type=SECONDS,
    help="Venue time by which sockets may overtake each other. [default: 0, so that the order is "
    "the log's; above 100x 1ms of wall time]",
)  # fmt: skip
@click.option(
    "--window", type=click.IntRange(min=0), default=2000, show_default=True,
    help="Frames in flight to a client, faster than real time; 0: no limit.",
)  # fmt: skip
@click.option(
    "--faults", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Script of what goes wrong (TOML).",
)  # fmt: skip
@click.option(
    "--for", "for_ns", type=SECONDS, default="0", show_default=True,
    help="Stop after this much wall time; 0: when told to (Ctrl-C, SIGTERM).",
)  # fmt: skip
def command(app: App, **options: Any) -> int:
    """Play a range of the log, or a raw recording, as a venue on this machine.

    It speaks the venue's websocket and REST protocols, at 1x to 1000x, so that a recording or a
    paper session can run over last month in an afternoon, through the real client path.
    Prints one JSON line with its addresses when it is ready; give it, or a file with it, to
    `--endpoint`. The clock stands at the beginning until somebody subscribes; it never runs ahead
    of a client that reads slowly. When the range is over the sockets are closed with 1000, "end of
    range", and REST stays until the command is stopped.

    What the log does not hold is made from what it does: first and last trade ids are the
    aggregate's own, quote volumes those at the close, a trade without a side is a buy. A recording
    (lines of local time and combined frame) is sent under its own stream names; it answers no REST.
    """
    venue = _venue(app, options)
    import asyncio

    asyncio.run(serve_until_told(app, venue, options["for_ns"] / 1e9))
    if app.json:
        app.emit_line(venue.faults())
    return 0


def _venue(app: App, options: dict[str, Any]) -> Venue:
    common.check_range(options["from_ns"], options["to_ns"])
    tape = _tape(app, options)
    from data.venue.names import layout_of
    from data.venue.serve import Options, Venue
    from data.venue.venue_faults import Script, read_script

    return Venue(
        tape,
        Options(
            layout_of(tape.venue, options["layout"] or ""),
            speed=options["speed"],
            grace_s=options["grace_ns"] / 1e9,
            hold_s=options["hold_ns"] / 1e9,
            host=options["host"],
            port=options["port"],
            rest_port=options["rest_port"],
            window=options["window"],
            skew_ns=-1 if options["skew_ns"] is None else options["skew_ns"],
            script=read_script(options["faults"]) if options["faults"] else Script(),
        ),
    )


def _tape(app: App, options: dict[str, Any]) -> LogTape | RecordingTape:
    which = options["venue"] or "", options["symbols"], options["from_ns"], options["to_ns"]
    if options["recordings"]:
        from data.venue.tape_recording import RecordingTape

        tape = RecordingTape(options["recordings"], *which)
        for reason, lines in tape.skipped.items():
            app.say(f"{lines} lines of the recording are not sent: {reason}")
        return tape
    store = app.open_log()
    from data.venue.tape import LogTape

    return LogTape(store, *which, options["delay_ns"])
