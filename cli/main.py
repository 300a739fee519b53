"""The command ``ofs``: which commands there are, and what happens when one fails.

Owns the table of commands and the one outer handler that turns every failure into a message on
stderr and an exit code. What must hold: no traceback without ``--debug``; a failure that nobody
foresaw says that it is a bug; stopping by Ctrl-C or SIGTERM ends with one line and 130.

It refuses to know what a command does, and imports none before it is run.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from cli.common import EXIT_MEANING, exit_code_lines, shared_options
from cli.lazy import LazyGroup
from data.errors import (
    EXIT_BUG,
    EXIT_DATA,
    EXIT_INTERRUPT,
    EXIT_OK,
    EXIT_USAGE,
    OfsError,
)

COMMANDS: dict[str, tuple[str, str]] = {
    "backtest": ("cli.backtest", "Run a strategy over a replay or a range of the log."),
    "verify": ("cli.verify", "Fold a run's log again and compare every decision."),
    "explain": ("cli.explain", "Tell the whole story of one order or decision."),
    "diff": ("cli.diff", "Tell where two runs part; their results side by side."),
    "bundle": ("cli.bundle", "Put a run into one file that another machine can verify."),
    "runs": ("cli.runs", "List the runs."),
    "report": ("cli.report", "Write a run as one HTML file: chart, trades, figures."),
    "query": ("cli.query", "Ask the log and the runs in SQL."),
    "import": ("cli.import_", "Bring recordings and archive files into the log."),
    "fetch": ("cli.fetch", "Fetch days of the public archive into the log."),
    "log": ("cli.log", "Look into the event log and keep it in order."),
    "synth": ("cli.synth", "Write a synthetic market with known patterns."),
    "serve": ("cli.serve", "Play a range of the log as a venue on this machine."),
    "sandbox": ("cli.sandbox", "Run a trading terminal that plays a range of the log."),
    "record": ("cli.record", "Record a venue's streams into the log."),
    "control": ("cli.control", "Order a running session: pause, resume, flatten, stop."),
    "paper": ("cli.paper", "Trade on paper: a live session, and its verdict."),
    "live": ("cli.live", "Trade an account of a terminal, or try it in a sandbox."),
    "calibrate": ("cli.calibrate", "Fit the classifier's model on a range of the log."),
    "doctor": ("cli.doctor", "Look at machine, settings, log and network; say what to mend."),
    "strategy": ("cli.strategy", "List strategies, show one, or start a new one."),
    "plan": ("cli.plan", "Check a file of plans, or explain what a plan said."),
    "config": ("cli.config", "Show and check the settings: show, check, schema."),
    "completion": ("cli.completion", "Print the script that completes ofs in a shell."),
    "bench": ("cli.bench", "Measure this machine: decode, fold and step."),
}
"""Every command: its module and its one line of help."""

_HELP = {"help_option_names": ["-h", "--help"]}

COMPLETION = "_OFS_COMPLETE"
"""Set by click's shell completion, e.g. ``_OFS_COMPLETE=bash_source ofs``."""

SHELL_EXPANDS = os.name != "nt"
"""Whether the shell replaces ``*.zip`` by names of files before we see it."""

NOTES = (
    "Start with:\n  ofs backtest        run the replay that comes with ofs; no data needed",
    "Exit codes:\n" + exit_code_lines(EXIT_MEANING).rstrip("\n"),
)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"ofs {version('ofs')}")
        ctx.exit()


@shared_options
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version.",
)
def _group(**_shared: Any) -> None:
    """An event-sourced engine for order-flow scalping: one log, one fold, backtest equals live."""


ofs = click.command("ofs", cls=LazyGroup, lazy=COMMANDS, notes=NOTES, context_settings=_HELP)(
    _group
)
"""The group of all commands."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Entry point of ``ofs``: run one command and leave with its exit code."""
    words = list(sys.argv[1:] if args is None else args)
    if not SHELL_EXPANDS:
        from cli.windows import expanded

        words = expanded(words)
    _prepare_streams()
    _lean_memory()
    signal.signal(signal.SIGTERM, _terminate)
    code = run(words)
    # The work is done and its outcome known: a signal while Python takes itself apart must not
    # turn a finished import into a killed one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except OSError as error:
        if not _reader_left(error):
            raise
        code = _close_pipe()
    sys.exit(code)


def run(words: list[str]) -> int:
    """Run the command line ``words`` and return its exit code; only SystemExit escapes."""
    try:
        return _invoke(words)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  reason: the outermost handler
        if _reader_left(error):
            return _close_pipe()
        code, text = _explain(error)
        sys.stderr.write(text + "\n")
        if "--debug" in words or os.environ.get("OFS_DEBUG"):
            import traceback

            traceback.print_exception(error)
        return code


def _explain(error: BaseException) -> tuple[int, str]:
    """The exit code of a failure and what is printed for it."""
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPT, "interrupted; nothing half-written was kept"
    if isinstance(error, click.ClickException):
        return EXIT_USAGE, _head() + _usage(error)
    if isinstance(error, OfsError):
        return error.exit_code, _head() + str(error)
    if isinstance(error, OSError):
        return EXIT_DATA, _head() + _os_error(error)
    return EXIT_BUG, _bug(error)


def _invoke(words: list[str]) -> int:
    """What ``click.Group.main`` does without its own ideas of exit codes (a closed pipe would be 1,
    the end of a damaged file an interrupt)."""
    completion = os.environ.get(COMPLETION)
    if completion:
        from click.shell_completion import shell_complete

        return shell_complete(ofs, {}, "ofs", COMPLETION, completion)
    with ofs.make_context("ofs", list(words)) as ctx:
        result = ofs.invoke(ctx)
    return result if isinstance(result, int) else EXIT_OK


def _usage(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "ofs"
    text = error.format_message().rstrip(".")
    if isinstance(error, click.NoSuchOption):  # said alike by every version of click
        near = ", ".join(error.possibilities or ())
        text = f"there is no option {error.option_name!r}" + (near and f"; did you mean {near}?")
    return f"{text}\n  where: {path}\n  do: see '{path} --help'"


def _os_error(error: OSError) -> str:
    """A refusal of the operating system: no space, no permission, no such folder."""
    reason = error.strerror or str(error) or type(error).__name__
    where = f"\n  where: {error.filename}" if error.filename else ""
    return f"the operating system refused: {reason}{where}\n  do: mend that and run it again"


def _bug(error: BaseException) -> str:
    import traceback

    own = [Path(__file__).parents[1] / top for top in ("cli", "data", "engine", "strategies")]
    trace = traceback.extract_tb(error.__traceback__)
    ours = [f for f in trace if not set(own).isdisjoint(Path(f.filename).parents)] or list(trace)
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    first = (str(error).splitlines() or [""])[0]
    return f"bug: {type(error).__name__}: {first}{place}; run again with --debug and report it"


def _head() -> str:
    plain = bool(os.environ.get("NO_COLOR")) or "--no-color" in sys.argv
    return "error: " if plain or not sys.stderr.isatty() else click.style("error: ", fg="red")


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM stops the work as Ctrl-C does: by unwinding, so that nothing is left torn."""
    raise KeyboardInterrupt


def _lean_memory() -> None:
    """Let Arrow allocate from the pool that gives memory back: 25 MB less than its default.

    Only Linux wheels are sure to have it; the user's own choice stands.
    """
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")


def _prepare_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not turn an answer into a failure.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _reader_left(error: BaseException) -> bool:
    from cli.windows import reader_left

    return reader_left(error)


def _close_pipe() -> int:
    """The reader went away (``| head``): it has what it asked for, which is no failure."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return EXIT_OK


def entry() -> NoReturn:
    """What the command ``ofs`` starts: :func:`main`, and then out, without taking Python apart.

    Nothing is left to be done by then, and the libraries' own threads do not always outlive the
    interpreter gracefully: a finished command would end by SIGABRT, once in a thousand times.
    """
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else EXIT_OK
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads: main() has dealt with it
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    entry()
