"""``ofs live --config FILE --check``, and the lines of ``ofs doctor --live FILE``.

Owns looking at a live configuration as the session would, without and with its broker. What must
hold: what passes here is refused later only for what changed since. It refuses to know how a
session is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import App
from data.errors import EXIT_CONFIG, EXIT_OK, OfsError

if TYPE_CHECKING:
    from data.doctor.lines import Line
    from engine.runtime.live_config import LiveConfig
    from engine.runtime.live_gates import Given, Seen
    from engine.runtime.live_link import Link


def check(app: App, path: Path) -> int:
    """Print the configuration in ``path`` as it is resolved; EXIT_CONFIG and mistakes if wrong."""
    from cli.paper_check import around, print_rows, rows_facts
    from engine.runtime.live_config import LiveConfig, read_live_file, shown_live

    found = read_live_file(path)
    mistakes: list[OfsError] = list(found.mistakes)
    settled: dict[str, str] = {}
    rows: list[tuple[str, str, str, str]] = []
    if isinstance(found.config, LiveConfig):
        try:
            settled = fitted(found.config)
        except OfsError as error:
            mistakes.append(error)
        mistakes += around(found.config)
        rows = shown_live(found.config)
    rows = rows if not mistakes else []
    if app.json:
        app.emit(rows_facts(path, found.config, rows, settled, mistakes))
    elif mistakes:
        for mistake in mistakes:
            app.print(f"error: {mistake}")
    else:
        print_rows(app, rows, settled, found.config)
    return EXIT_CONFIG if mistakes else EXIT_OK


def fitted(config: LiveConfig) -> dict[str, str]:
    """All settings of the live fold; ConfigError at the line of one that does not fit."""
    from cli.paper_check import fitted as fit

    return fit(config, broker="live")[1]


def lines(config: LiveConfig, link: Link, runs: Path, given: Given, *,
          seen: Seen | None = None) -> Iterator[Line]:  # fmt: skip
    """Every gate of a live session, in the order in which they are looked at; ``seen`` takes up
    what the broker told."""
    from cli.paper_check import fitted as fit
    from data import jitcache
    from engine.runtime.compose import compose
    from engine.runtime.live_gates import account_named, broker_lines, failed, limits_set, proven

    try:
        strategy, settled, _ = fit(config, broker="live")
    except OfsError as error:
        yield failed("strategy", error)
        return
    yield account_named(config, given)
    yield limits_set(config, compose(strategy, broker="live"), settled)
    source = f"{jitcache.source_hash()} {strategy.source_sha256}"
    yield proven(config, runs, source, given, served=link.sandbox is not None)
    try:
        scales = link.scales()
    except OfsError as error:
        yield failed("mt5", error)
        return
    broker = link.broker(scales)
    try:
        yield from broker_lines(broker, config, seen)
    finally:
        broker.stop()


def doctor_lines(app: App, path: Path, endpoint: str) -> Iterator[Any]:
    """The lines of ``ofs doctor --live``: as at a start, with the account that the file names."""
    from data.doctor.lines import Line, Status
    from engine.runtime.live_config import read_live_file
    from engine.runtime.live_gates import Given, failed
    from engine.runtime.live_link import Link

    try:
        found = read_live_file(path)
    except OfsError as error:
        yield failed("live file", error)
        return
    for mistake in found.mistakes:
        yield failed("live file", mistake)
    if found.config is None:
        return
    config: Any = found.config
    yield Line("live file", Status.OK, str(path))
    if endpoint:
        from cli.live_run import sandbox_of

        config, box = sandbox_of(config, endpoint)
        link = Link(config, box)
    else:
        link = Link(config)
    yield from lines(config, link, app.runs, Given(config.account.login))
