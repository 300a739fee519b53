"""``ofs doctor``: is everything here as it must be, and if not, what to do.

Owns the list of checks and how their lines are printed; what each one looks at stands in
:mod:`data.doctor` and :mod:`engine.runtime.doctor`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.units import DURATION
from data.errors import EXIT_FINDING, ConfigError

if TYPE_CHECKING:
    from data.doctor.lines import Check, Line
    from data.log import LogStore

_COMPILE_S, _WARM_S, _LOG_S = 120.0, 900.0, 60.0
_NS = 1_000_000_000
_COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}
_BUSY = "the machine is too busy to compile: stop what keeps it busy, and ask again"
_DISK = "the disk does not answer: look at its health and at what mounts it"


@common.command(
    "doctor",
    examples=(
        "ofs doctor --offline",
        "ofs doctor --offline --json",
        "ofs doctor --offline --warm --strategy delta_flip --strategy scalper",
        "ofs doctor --offline --live live.toml",
    ),
    exits=(EXIT_FINDING,),
    tolerant=True,
)
@click.option("--offline", is_flag=True, help="Ask no host: no endpoints, no clock.")
@click.option("--warm", is_flag=True, help="Compile ahead what a backtest needs.")
@click.option(
    "--strategy",
    multiple=True,
    help="With --warm: NAME or path.py:NAME; may be repeated. [default: that of ofs backtest]",
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="URL",
    help="Ask this host in place of the usual ones; may be repeated.",
)
@click.option("--clock", "clock_url", metavar="URL", help="Compare the clock with this host's.")
@click.option(
    "--live", "live_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Look at the account and the terminal of this live configuration, too.",
)  # fmt: skip
@click.option("--sandbox", "sandbox_file", metavar="FILE",
              help="With --live: at the ofs sandbox whose line stands in FILE; of ofs live this "
              "is --endpoint.")  # fmt: skip
@click.option(
    "--timeout",
    "timeout_ns",
    type=DURATION,
    default="5s",
    show_default=True,
    help="Longest wait for a host.",
)
def command(
    app: App,
    offline: bool,
    warm: bool,
    strategy: tuple[str, ...],
    endpoints: tuple[str, ...],
    clock_url: str | None,
    live_file: Path | None,
    sandbox_file: str | None,
    timeout_ns: int,
) -> int:
    """Look at the machine, the settings, the log and the network, and say what to mend.

    One line a check: ok, warn (it will do) or fail, the fact, and what to do about it. Nothing is
    changed. Ends with 1 when anything failed.
    """
    from data.doctor.lines import Check, Status, examine

    lines = _Printer(app)
    for line in examine(_local(app)):
        lines.take(line)
    if not offline:
        for line in examine(_network(endpoints, clock_url, timeout_ns / _NS), together=True):
            lines.take(line)
    for line in examine([Check("compile", _compiles, _COMPILE_S, _BUSY)]):
        lines.take(line)
    for name in (strategy or (_setting("backtest", "strategy"),)) if warm else ():
        for line in examine([Check("warm", partial(_warm, app, name), _WARM_S, _BUSY)]):
            lines.take(line)
    if live_file is not None:
        from cli.live_check import doctor_lines

        for line in doctor_lines(app, live_file, sandbox_file or ""):
            lines.take(line)
    counts = Counter(str(line.status) for line in lines.taken)
    failed = counts[Status.FAIL] > 0
    if app.json:
        app.emit(
            {
                "schema": 1,
                "ok": not failed,
                "offline": offline,
                "counts": {str(status): counts[str(status)] for status in Status},
                "lines": [_facts(line) for line in lines.taken],
            }
        )
    asked = "; the network was not asked" if offline else ""
    app.say(", ".join(f"{counts[str(status)]} {status}" for status in Status) + asked)
    return EXIT_FINDING if failed else 0


class _Printer:
    """Prints each line as it comes (with ``--json`` they are printed together at the end)."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.taken: list[Line] = []

    def take(self, line: Line) -> None:
        """Keep the line, and print it for a person."""
        self.taken.append(line)
        if self._app.json:
            return
        status = f"{line.status:<4}"
        if self._app.color and sys.stdout.isatty():
            status = click.style(status, fg=_COLORS[line.status])
        self._app.print(f"{status}  {line.check:<13}  {line.fact}")
        if line.mend:
            self._app.print(f"{'':<19}  do: {line.mend}")
        sys.stdout.flush()


def _facts(line: Line) -> dict[str, Any]:
    return {
        "check": line.check,
        "status": str(line.status),
        "fact": line.fact,
        "mend": line.mend,
        "numbers": dict(line.numbers),
    }


def _local(app: App) -> list[Check]:
    """The checks that ask nobody else, quick ones first."""
    from data.doctor import cache, disk, log, machine
    from data.doctor.lines import Check

    def opened() -> LogStore | None:
        there = "://" in app.log or Path(app.log).exists()
        return app.open_log() if there else None

    ctx = click.get_current_context()
    runs, made = app.runs, "ofs backtest"
    checks = [
        Check("python", machine.python),
        Check("packages", machine.packages),
        Check("terminal", machine.terminal),
        Check("open files", machine.open_files),
        Check("settings", lambda: _settings(ctx)),
        Check("cache", cache.cache, stuck=_DISK),
        Check(
            "runs folder",
            lambda: disk.folder("runs folder", runs, "--runs", needed=True, made_by=made),
            stuck=_DISK,
        ),
    ]
    checks.extend(_disks(app))
    checks.append(Check("log", lambda: log.integrity(opened, app.log), _LOG_S, _DISK))
    checks.append(Check("writer", lambda: log.writer(opened), stuck=_DISK))
    return checks


def _disks(app: App) -> Iterator[Check]:
    """The folder of the log, and the disks: one where the log and the runs lie on the same."""
    from data.doctor import disk
    from data.doctor.lines import Check

    runs = app.runs
    if "://" in app.log:
        yield Check("runs disk", lambda: disk.disk("runs disk", runs), stuck=_DISK)
        return
    log = Path(app.log)
    makes = "ofs import, fetch or synth"
    yield Check(
        "log folder",
        lambda: disk.folder("log folder", log, "--log", needed=False, made_by=makes),
        stuck=_DISK,
    )
    if disk.same_disk(log, runs):
        yield Check("disk", lambda: disk.disk("disk", log), stuck=_DISK)
    else:
        yield Check("log disk", lambda: disk.disk("log disk", log), stuck=_DISK)
        yield Check("runs disk", lambda: disk.disk("runs disk", runs), stuck=_DISK)


def _settings(ctx: click.Context) -> Line:
    """What ``ofs config check`` finds, in one line."""
    from cli.settings import config_flag, root_of
    from cli.settings_audit import audit
    from data.doctor.lines import Line, Status

    with ctx.scope(cleanup=False):  # the context of click is one of the thread
        found = audit(root_of(ctx), config_flag(ctx))
    numbers = {"files": list(found.files), "mistakes": len(found.mistakes)}
    if found.mistakes:
        first = found.mistakes[0]
        rest = f" (1 of {len(found.mistakes)})" if len(found.mistakes) > 1 else ""
        mend = f"{first.do or 'mend the line'}; 'ofs config check' lists all mistakes"
        fact = f"{first.what} at {first.where}{rest}"
        return Line("settings", Status.FAIL, fact, mend, numbers)
    if found.warnings:
        mend = "mend or remove it; 'ofs config check' lists all"
        return Line("settings", Status.WARN, str(found.warnings[0]), mend, numbers)
    where = ", ".join(found.files) or "no file of settings; the defaults hold"
    return Line("settings", Status.OK, where, numbers=numbers)


def _network(endpoints: tuple[str, ...], clock_url: str | None, timeout_s: float) -> list[Check]:
    """The checks that ask a host; each host answers or is reported within ``timeout_s``."""
    from data.doctor import venue
    from data.doctor.lines import Check
    from data.sources.http import Http

    http = Http(connect_s=timeout_s, read_s=timeout_s, whole_s=timeout_s)
    asked = [venue.Endpoint(url, "named with --endpoint", True) for url in endpoints]
    if not asked:
        archive = _setting("fetch", "endpoint") or venue.ARCHIVE.url
        asked = [replace(venue.ARCHIVE, url=archive), *venue.LIVE]
    clocks = (clock_url,) if clock_url else venue.CLOCKS
    stuck = "look at the network and at a proxy, or leave it out with --offline"
    # a name that is looked up in vain takes its own time: the limits of a request begin after it
    deadline_s = 4 * timeout_s + 15.0

    def check(one: Any) -> Check:
        return Check("endpoint", lambda: venue.endpoint(http, one), deadline_s, stuck)

    clock = Check("clock", lambda: venue.clock(http, clocks), deadline_s, stuck)
    return [clock, *(check(one) for one in asked)]


def _setting(command: str, name: str) -> str | None:
    """What ``ofs COMMAND --NAME`` would be here: set in a variable or a file, else its default.

    Settings with a mistake count as absent; there is a line about them.
    """
    from cli.keys import command_keys
    from cli.settings import current, root_of

    ctx = click.get_current_context()
    found = root_of(ctx).get_command(ctx, command)
    assert found is not None
    key = command_keys((command,), found)[name]
    try:
        given = current(ctx).find(key)
    except ConfigError:
        given = None
    value: Any = given.value if given is not None else key.option.get_default(ctx)
    return value if isinstance(value, str) else None  # newer versions of click have a mark for none


def _compiles() -> Line:
    from engine.runtime.doctor import compiles

    return compiles()


def _warm(app: App, strategy: str | None) -> Line:
    """Compile the strategy's fold; a strategy that cannot be loaded is a failed line."""
    from engine.runtime.doctor import warm
    from strategies import get

    assert strategy is not None
    return warm(get(strategy), strategy, lambda: app.say(f"compiling {strategy}…"))
