"""``ofs sandbox``: a trading terminal on this machine, its server playing a range of the log.

Owns the options and the line that says where it listens. What it plays, and how, stands in
:mod:`engine.broker.terminal.server`.
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
from data.errors import EXIT_CONFIG, EXIT_DATA, UsageError
from data.server_rules import WORDS

if TYPE_CHECKING:
    from engine.broker.terminal.server.build import Wanted
    from engine.broker.terminal.server.sandbox import Sandbox


@common.command(
    "sandbox",
    examples=(
        "ofs sandbox --log demo --speed 60 --for 1s",
        "ofs sandbox --log demo --map BTCUSDc=BTCUSDT --account netting --for 1s",
    ),
    exits=(EXIT_CONFIG, EXIT_DATA),
)
@click.option("--venue", help="Venue of the log to play, where it has several.")
@click.option("--symbol", "symbols", type=SYMBOL, multiple=True, help="Symbol. [default: all]")
@click.option(
    "--map", "names", multiple=True, metavar="NAME=[VENUE:]SYMBOL",
    help="Symbol of the terminal, and of the log. [default: the log's own names]",
)  # fmt: skip
@common.range_options
@click.option(
    "--speed", type=click.FloatRange(min=0.01, max=100_000), default=1.0, show_default=True,
    help="Times real time.",
)  # fmt: skip
@click.option(
    "--account", type=click.Choice(["hedging", "netting", "exchange"]), default="hedging",
    show_default=True, help="How the account keeps positions.",
)  # fmt: skip
@click.option("--login", type=click.IntRange(min=1), default=5_000_001, show_default=True,
              help="Number of the account.")  # fmt: skip
@click.option("--balance", type=click.FloatRange(min=0), default=10_000.0, show_default=True,
              help="What it begins with.")  # fmt: skip
@click.option("--currency", default="USD", show_default=True, help="What it is kept in.")
@click.option(
    "--clock", "rule", default="new-york", show_default=True, metavar="RULE",
    help=f"Clock of the terminal's server: {WORDS}.",
)  # fmt: skip
@click.option(
    "--spread", type=click.FloatRange(min=0), default=0.0,
    help="Spread in price where the log has trades only. [default: the symbol's usual one]",
)  # fmt: skip
@click.option(
    "--terms", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Facts of account and symbols: [account], [rates], [symbols.NAME] (TOML).",
)  # fmt: skip
@click.option(
    "--faults", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Script of what goes wrong at the terminal and its server (TOML).",
)  # fmt: skip
@click.option(
    "--flow-faults", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Script of what goes wrong at the flow venue, as in ofs serve (TOML).",
)  # fmt: skip
@click.option(
    "--flow/--no-flow", default=True, help="Serve the flow venue too, where it has trades."
)
@click.option(
    "--layout", type=click.Choice(["spot", "futures", "bybit"]),
    help="Protocol of the flow venue. [default: the venue's own, else futures]",
)  # fmt: skip
@click.option(
    "--history", "history_ns", type=SECONDS, default="1h", show_default=True,
    help="Quotes before the beginning that the terminal has, as far as the log does.",
)  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, show_default=True,
              help="Port of the terminal; 0: any free one.")  # fmt: skip
@click.option("--rest-port", type=click.IntRange(0, 65_535), default=0, show_default=True,
              help="Port of the requests; 0: any free one.")  # fmt: skip
@click.option(
    "--grace", "grace_ns", type=SECONDS, default="1s", show_default=True,
    help="How long the clock stands after the first client.",
)  # fmt: skip
@click.option(
    "--hold", "hold_ns", type=SECONDS, default="0", show_default=True,
    help="How long the flow waits for somebody to subscribe again when nobody is left.",
)  # fmt: skip
@click.option(
    "--delay", "delay_ns", type=SECONDS, default="0", show_default=True,
    help="From exchange time to sending, where the log has no receive time.",
)  # fmt: skip
@click.option(
    "--for", "for_ns", type=SECONDS, default="0", show_default=True,
    help="Stop after this much wall time; 0: when told to (Ctrl-C, SIGTERM).",
)  # fmt: skip
def command(app: App, **options: Any) -> int:
    """Run a trading terminal on this machine, with an account to try things on.

    It answers the calls of the MetaTrader5 package (import engine.broker.terminal in its place, and
    initialize it with the printed address or a file that holds the line); its trade server plays
    quotes of the log: quotes, else the touch of the depth, else trades with a spread around them.
    Where the log has trades, the flow venue is served beside it under the same clock, so that
    `ofs live` has both. Without flow the clock stands until a client initializes.

    Prints one JSON line with its addresses when it is ready. The account lives as long as the
    command does, whatever becomes of its clients. `/ofs/terminal` of the requests' address says
    what was asked and done so far; with --json it is printed at the end too.
    """
    sandbox = _sandbox(app, options)
    import asyncio

    asyncio.run(serve_until_told(app, sandbox, options["for_ns"] / 1e9))
    if app.json:
        app.emit_line(sandbox.facts())
    return 0


def _sandbox(app: App, options: dict[str, Any]) -> Sandbox:
    common.check_range(options["from_ns"], options["to_ns"])
    from engine.broker.terminal.server.build import build

    return build(app.open_log(), _wanted(options))


def _wanted(options: dict[str, Any]) -> Wanted:
    from data.venue.venue_faults import read_script as read_flow_script
    from engine.broker.terminal.server.build import MODES, Wanted
    from engine.broker.terminal.server.faults import read_script
    from engine.broker.terminal.server.sandbox import Place
    from engine.broker.terminal.server.specs import AccountSpec
    from engine.broker.terminal.server.terms import Terms, read_terms

    same = ("from_ns", "to_ns", "history_ns", "delay_ns", "spread", "flow", "speed", "rule")
    account = AccountSpec(
        login=options["login"],
        balance=options["balance"],
        currency=options["currency"].upper(),
        margin_mode=MODES[options["account"]],
    )
    return Wanted(
        venue=options["venue"] or "",
        symbols=options["symbols"],
        names=[_named(text) for text in options["names"]],
        layout=options["layout"] or "",
        grace_s=options["grace_ns"] / 1e9,
        hold_s=options["hold_ns"] / 1e9,
        account=account,
        terms=read_terms(options["terms"]) if options["terms"] else Terms(),
        faults=read_script(options["faults"]) if options["faults"] else None,
        flow_faults=read_flow_script(options["flow_faults"]) if options["flow_faults"] else None,
        place=Place(options["host"], options["port"], options["rest_port"]),
        **{key: options[key] for key in same},
    )


def _named(text: str) -> tuple[str, str]:
    name, equals, source = (part.strip() for part in text.partition("="))
    if not (name and equals and source):
        raise UsageError(
            f"{text!r} is no pair of symbols",
            where="--map",
            do="write the terminal's name and the log's, such as BTCUSDc=BTCUSDT",
        )
    return name, source
