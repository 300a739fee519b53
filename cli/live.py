"""``ofs live``: trade an account, from a configuration to a run that verifies.

Owns the options; gates, sandbox and the session's surroundings stand in :mod:`cli.live_run`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli import common
from cli.common import App
from data.errors import (
    EXIT_CONFIG,
    EXIT_DATA,
    EXIT_INTERRUPT,
    EXIT_NETWORK,
    EXIT_RISK,
    UsageError,
)

IN_A_SANDBOX = ("speed", "faults", "from_ns", "to_ns", "until_end")
"""Options that only a sandbox knows."""


@common.command(
    "live",
    examples=(
        "ofs live --sandbox --speed 60 --until-end",
        "ofs live --config live.toml --check",
        "ofs live --config live.toml --yes-trade-account 5000001",
        'ofs live --config live.toml --sandbox --yes-trade-account 5000001 --unproven "rehearsal"',
    ),
    exits=(EXIT_CONFIG, EXIT_DATA, EXIT_NETWORK, EXIT_RISK, EXIT_INTERRUPT),
)
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False),
              metavar="FILE", is_eager=True, help="Configuration of the session.")  # fmt: skip
@click.option(
    "--check", is_flag=True, help="Print the configuration as it is read, or its mistakes."
)
@click.option("--yes-trade-account", "account", type=click.IntRange(min=1), metavar="N",
              help="Number of the account that may be traded; as in the file.")  # fmt: skip
@click.option("--unproven", metavar="REASON",
              help="Ask for no verdict on paper; the reason goes into the log.")  # fmt: skip
@click.option("--sandbox", is_flag=True,
              help="Trade at a stand-in terminal that plays --log; nothing real is touched.",
              )  # fmt: skip
@click.option("--endpoint", metavar="FILE",
              help="At the ofs sandbox whose line stands in FILE; of ofs doctor --live this is "
              "--sandbox.")  # fmt: skip
@click.option("--speed", type=click.FloatRange(min=0.01, max=100_000),
              help="Times real time, in a sandbox. [default: 1]")  # fmt: skip
@common.range_options
@click.option("--faults", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Script of what goes wrong at the sandbox's terminal (TOML).")  # fmt: skip
@click.option("--until-end", is_flag=True, help="End when the sandbox's range is over.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True),
              help="End after this much market time. [default: as the file says]")  # fmt: skip
@click.option("--session", metavar="ID", help="Go on with this session.")
@click.option("--new", is_flag=True, help="Begin a session, though one could go on.")
@click.option("--http/--no-http", "http", default=True, help="Serve the read-only HTTP API.")
def command(app: App, file: Path | None, check: bool, **options: Any) -> int:
    """Trade an account of a MetaTrader 5 terminal: the fold of a backtest, with a real broker.

    Nothing is sent unless the file names the account and --yes-trade-account the same, the lines of
    `ofs doctor --live FILE` pass, the configuration has a PASS of `ofs paper report` that is young
    enough, and the limits are set. It begins by finding out what the account holds; what it does
    not know it does not touch. An order is written down and synced before it is sent, once; where
    its outcome is unknown, the instrument is blocked until positions, orders and deals tell.

    Ctrl-C and SIGTERM drain and leave positions with their stops at the server; the same command
    goes on. `ofs control flatten` (or SIGUSR1), the loss of a day and a lost feed close everything
    and end the session. With --sandbox alone all of this is tried on the replay that comes with
    ofs. Exit code 6: a gate did not pass, or a guard ended the session.
    """
    if check:
        from cli.live_check import check as look

        if file is None:
            raise UsageError("no file is named", where="--check", do="add --config FILE")
        return look(app, file)
    rehearsed = options["sandbox"] or bool(options["endpoint"])
    if file is None and not rehearsed:
        raise UsageError("no account is named", where="--config",
                         do="add --config live.toml, or try it with --sandbox")  # fmt: skip
    if options["sandbox"] and options["endpoint"]:
        raise UsageError("a sandbox that runs, or one of its own", where="--sandbox, --endpoint",
                         do="leave one of them out")  # fmt: skip
    if options["sandbox"] and options["session"]:
        raise UsageError("the account of that session went with its sandbox", where="--session",
                         do="leave it out; with --endpoint an account lives longer")  # fmt: skip
    for name in IN_A_SANDBOX if not rehearsed else ():
        if options[name]:
            flag = {"from_ns": "--from", "to_ns": "--to"}.get(name, f"--{name.replace('_', '-')}")
            raise UsageError("the market has no such thing", where=flag, do="add --sandbox")
    from cli.live_run import run

    return run(app, file, options)


for _option in command.params:
    if _option.name == "config":
        # --config is the session's here; the settings of ofs keep a flag of another name
        _option.opts[:] = ["--settings"]
