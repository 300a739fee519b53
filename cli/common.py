"""What every command shares: its options, where the log and the runs lie, and how it speaks.

Owns the options of every command and their precedence (flag of the command, flag before the
command, then the layers of :mod:`cli.settings`, default), the shape of a command's help (purpose,
options, examples, exit codes), and :class:`App`, the object through which a command prints. What
must hold: stdout is data, stderr is talk; nothing heavy is imported here.

It refuses to know what any command computes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.complete import comma_words, with_words
from cli.keys import NAMED, SHARED
from data import errors

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from cli.progress import Progress
    from data.log import LogStore

EXIT_MEANING: dict[int, str] = {
    errors.EXIT_OK: "ok",
    errors.EXIT_FINDING: "a check found something",
    errors.EXIT_USAGE: "the command line is wrong",
    errors.EXIT_CONFIG: "a setting or a parameter is wrong",
    errors.EXIT_DATA: "data are missing or damaged",
    errors.EXIT_NETWORK: "a broker or the network failed",
    errors.EXIT_RISK: "a risk rule halted trading",
    errors.EXIT_BUG: "a bug in ofs",
    errors.EXIT_INTERRUPT: "interrupted",
}
"""Every exit code and what it means, as ``ofs --help`` prints it."""


class TimeType(click.ParamType):
    """An ISO 8601 date or time on the command line, as nanoseconds UTC."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Nanoseconds UTC; a usage error that shows the accepted forms."""
        if isinstance(value, int):
            return value
        from data.times import parse_utc

        try:
            return parse_utc(value)
        except errors.UsageError as error:
            self.fail(f"{error.what}: {error.why}; {error.do}", param, ctx)


TIME = TimeType()
"""Type of ``--from`` (inclusive) and ``--to`` (exclusive)."""


class KindsType(click.ParamType):
    """Names of event kinds, separated by commas."""

    name = "KINDS"
    commas = True  # a list of a file of settings is the same as the words with commas

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names as a tuple; a usage error that suggests the right ones."""
        if isinstance(value, tuple):
            return value
        import difflib

        from data.enums import Kind

        known = [kind.name.lower() for kind in Kind]
        names = tuple(part.strip().lower() for part in value.split(",") if part.strip())
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"the kinds are {', '.join(known)}"
                self.fail(f"there is no kind {name!r}; {hint}", param, ctx)
        return names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The kinds that may follow the last comma."""
        from data.enums import Kind

        return comma_words([kind.name.lower() for kind in Kind], incomplete)


KINDS = KindsType()
"""Type of ``--kinds``."""


@dataclass(frozen=True, slots=True)
class App:
    """The settings of one invocation and the ways in which a command speaks.

    ``log`` is a path or a URI, ``runs`` a folder; ``*_named`` says that a flag, the environment or
    a file named it, ``log_flag`` that a flag did; ``json`` asks for JSON on stdout.
    """

    log: str
    log_named: bool
    log_flag: bool
    runs: Path
    runs_named: bool
    json: bool
    debug: bool
    show_progress: bool
    color: bool

    def open_log(self, *, create: bool = False) -> LogStore:
        """The log store at ``--log``; DataError where there is none and ``create`` is False."""
        from data.log import LogStore

        return LogStore(self.log, create=create)

    def open_log_if_any(self) -> LogStore | None:
        """The log store; None where nobody named one and the default does not exist yet."""
        if not self.log_named and not Path(self.log).exists():
            return None
        return self.open_log()

    def open_runs(self) -> Path:
        """The folder of runs; DataError where somebody named one that does not exist."""
        if self.runs_named and not self.runs.is_dir():
            raise errors.DataError(
                "there is no folder of runs",
                where=str(self.runs),
                do="check --runs or OFS_RUNS; 'ofs backtest --runs DIR' makes the folder",
            )
        return self.runs

    def emit(self, value: Any) -> None:
        """Write one JSON value to stdout."""
        from cli import output

        sys.stdout.write(output.to_json(value, indent=2) + "\n")

    def emit_line(self, value: Any) -> None:
        """Write one JSON value to stdout on a line of its own (a stream of them is JSON Lines)."""
        from cli import output

        sys.stdout.write(output.to_json(value) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a table to stdout: drawn on a terminal, plain aligned text anywhere else."""
        from cli import output

        output.write_table(columns, rows, color=self.color)

    def print(self, text: str = "") -> None:
        """Write a line of data to stdout."""
        sys.stdout.write(text + "\n")

    def say(self, text: str) -> None:
        """Write a line of talk to stderr."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def progress(
        self,
        label: str,
        *,
        total: int = 0,
        from_ns: int = 0,
        to_ns: int = 0,
        unit: str = "events",
    ) -> Progress:
        """A progress line on stderr; silent with ``--no-progress``. See :class:`Progress`."""
        from cli.progress import Progress

        return Progress(
            label,
            total=total,
            from_ns=from_ns,
            to_ns=to_ns,
            unit=unit,
            enabled=self.show_progress,
        )


class Command(click.Command):
    """A click command whose help ends with examples that run and with its exit codes.

    Its options are settings (see :mod:`cli.keys`), unless it is ``tolerant``: then no file and no
    variable sets them, and a mistake in a file does not stop it.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str],
        exits: Sequence[int],
        tolerant: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        with_words(self.params)
        self.examples = tuple(examples)
        self.tolerant = tolerant
        config = () if tolerant else (errors.EXIT_CONFIG,)
        self.exits = tuple(sorted({errors.EXIT_OK, errors.EXIT_USAGE, *config, *exits}))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the layers below the flags; their mistakes are ConfigErrors."""
        if self.tolerant:
            return super().parse_args(ctx, args)
        from cli.layers import Layers, blame

        ctx.default_map = Layers(ctx)
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            raise blame(ctx, error) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, then those that every command takes."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                (shared if param.name in SHARED or "--help" in param.opts else own).append(record)
        for title, records in (("Options", own), ("Options of every command", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes as they stand."""
        formatter.write("\nExamples:\n")
        formatter.write("".join(f"  {line}\n" for line in self.examples))
        formatter.write("\nExit codes:\n")
        formatter.write(exit_code_lines(self.exits))


def exit_code_lines(codes: Iterable[int]) -> str:
    """The lines of help that explain ``codes``."""
    return "".join(f"  {code:>3}  {EXIT_MEANING[code]}\n" for code in codes)


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every command takes, and that may stand before the command too."""
    options = (
        click.option(
            "--log", type=click.Path(), metavar="DIR", help="Event log: a folder or a URI."
        ),
        click.option("--runs", type=click.Path(), metavar="DIR", help="Folder of all runs."),
        click.option("--json/--no-json", default=None, help="Print JSON instead of text."),
        click.option("--progress/--no-progress", default=None, help="Print progress or none."),
        click.option("--color/--no-color", default=None, help="Print colour or none."),
        click.option(
            "--config",
            type=click.Path(),
            metavar="FILE",
            is_eager=True,
            help="File of settings, in place of ./ofs.toml; see 'ofs config'.",
        ),
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def series_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--venue``, ``--symbol`` and ``--kinds``, which say what of the log is meant."""
    for option in (
        click.option("--kinds", type=KINDS, default=(), help="Kinds of event, e.g. trade,depth."),
        click.option("--symbol", help="Symbol, e.g. BTCUSDT."),
        click.option("--venue", help="Venue, e.g. binance-um."),
    ):
        function = option(function)
    return function


def range_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--from`` (inclusive) and ``--to`` (exclusive), as ``from_ns`` and ``to_ns``."""
    upper = click.option("--to", "to_ns", type=TIME, help="End, UTC, exclusive.")
    lower = click.option("--from", "from_ns", type=TIME, help="Start, UTC, inclusive.")
    return lower(upper(function))


def check_range(from_ns: int | None, to_ns: int | None) -> None:
    """Raise a usage error unless ``from_ns`` lies before ``to_ns`` (ns UTC; None is open)."""
    if from_ns is not None and to_ns is not None and from_ns >= to_ns:
        from data.times import format_utc

        raise errors.UsageError(
            "the range is empty",
            where="--from, --to",
            why=f"{format_utc(from_ns)} is not before {format_utc(to_ns)}",
            do="--from is inclusive, --to exclusive; swap or widen them",
        )


def chosen(
    venue: str,
    symbol: str,
    kind: str,
    wanted_venue: str | None,
    wanted_symbol: str | None,
    wanted_kinds: Sequence[str],
) -> bool:
    """Whether a series is meant by ``--venue``, ``--symbol`` and ``--kinds``."""
    return (
        (wanted_venue is None or venue == wanted_venue.lower())
        and (wanted_symbol is None or symbol == wanted_symbol.upper())
        and (not wanted_kinds or kind in wanted_kinds)
    )


def set_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--set KEY=VALUE``: ``settings`` is then a dict of the parameters of all layers."""

    def merge(ctx: click.Context, _param: click.Parameter, words: Any) -> dict[str, str]:
        from cli.section_set import merged

        return merged(ctx, tuple(words or ()))

    option = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        callback=merge,
        help="Set a parameter; over [set] of a file.",
    )
    return option(function)


def command(
    name: str,
    *,
    examples: Sequence[str],
    exits: Sequence[int] = (errors.EXIT_DATA,),
    tolerant: bool = False,
) -> Callable[[Callable[..., Any]], Command]:
    """Make a command that takes the shared options and receives an :class:`App` first.

    The function's docstring is the help: its first line is the purpose. ``examples`` are whole
    command lines (at least two), ``exits`` the exit codes beside 0, 2 and 3. The function may
    return an exit code; None is 0. ``tolerant``: see :class:`Command`.
    """

    def decorate(function: Callable[..., Any]) -> Command:
        @wraps(function)
        def run(**params: Any) -> Any:
            shared = {key: params.pop(key) for key in SHARED}
            app = make_app(shared, tolerant=tolerant)
            try:
                return function(app, **params)
            except errors.OfsError as error:
                from cli.layers import place

                raise place(error) from error.__cause__

        # wraps() hands on the click options that were declared on the function.
        make = click.command(name, cls=Command, examples=examples, exits=exits, tolerant=tolerant)
        return make(shared_options(run))

    return decorate


def make_app(own: dict[str, Any], *, tolerant: bool = False) -> App:
    """The settings of this invocation from the command's ``own`` flags, those before it, the
    layers below (environment, files) and the defaults, in this order.

    ``tolerant``: layers with a mistake in them count as absent.
    """
    ctx = click.get_current_context()
    outer = ctx.find_root().params
    flags = {k: own[k] if own[k] not in (None, "") else outer.get(k) for k in SHARED}
    low = _lower_layers(tolerant)
    given = {k: v if v not in (None, "") else low.get(k) for k, v in flags.items()}
    log, runs = given["log"], given["runs"]
    no_color = flags["color"] is None and bool(os.environ.get("NO_COLOR"))
    return App(
        log=log or str(data_folder() / "log"),
        log_named=bool(log),
        log_flag=bool(flags["log"]),
        runs_named=bool(runs),
        runs=Path(runs) if runs else data_folder() / "runs",
        json=bool(given["json"]),
        debug=bool(own["debug"] or outer.get("debug")),
        show_progress=given["progress"] is not False,
        color=given["color"] is not False and not no_color,
    )


def _lower_layers(tolerant: bool) -> dict[str, Any]:
    """What the environment and the files say to the shared options, by parameter."""
    from cli.keys import shared_keys
    from cli.settings import current

    try:
        settings = current()
        found = {k: settings.find(key) for k, key in shared_keys(settings.root).items()}
    except errors.ConfigError:
        if not tolerant:
            raise
        return {}
    named = {name: given for name, given in found.items() if given is not None}
    click.get_current_context().meta[NAMED] = named
    return {name: given.value for name, given in named.items()}


def data_folder() -> Path:
    """The user's data folder of ofs, where the log and the runs lie by default."""
    from platformdirs import user_data_path

    return Path(user_data_path("ofs", appauthor=False))
