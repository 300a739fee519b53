"""``ofs bench symbols``: many symbols in one process, their share of a core and their memory.

Prints what ``engine.runtime.bench_many`` measures in a process of its own; with ``--cold`` also
what a compile into an empty cache takes.
"""

from __future__ import annotations

import tempfile
from typing import Any

import click

from cli import common
from cli.bench_machine import machine, say_machine
from cli.common import App

_MEANING = (
    ("strategy", "what every symbol is folded by"),
    ("symbols", "symbols, each with a state of its own"),
    ("trades_per_s", "trades of a symbol in a market second"),
    ("books_per_s", "books of 20 levels of a symbol in a market second"),
    ("events", "events folded while it was measured"),
    ("core_share_100ms", "CPU seconds a market second of all symbols, fed every 100 ms"),
    ("core_share_1000ms", "the same, fed every second"),
    ("state_kb", "state of one symbol, kB"),
    ("resident_mb", "resident memory, every page of every state touched"),
    ("first_event_s", "age of the warm process at its first event, seconds"),
    ("cold_wall_s", "compile into an empty cache, wall seconds"),
    ("cold_cpu_s", "the same, CPU seconds"),
    ("cold_peak_rss_mb", "peak memory of that compile"),
)


@common.command(
    "symbols",
    examples=(
        "ofs bench symbols --strategy delta_flip --symbols 20 --seconds 1",
        "ofs bench symbols --strategy delta_flip --symbols 20 --seconds 1 --json",
    ),
)
@click.option("--strategy", default="scalper", show_default=True, help="NAME or path.py:NAME.")
@click.option("--symbols", type=click.IntRange(1, 10_000), default=300, show_default=True,
              help="How many symbols.")  # fmt: skip
@click.option("--seconds", type=click.IntRange(1, 3600), default=10, show_default=True,
              help="Market seconds measured for each length of a slice.")  # fmt: skip
@click.option("--cold", is_flag=True, help="Also compile it anew, in an empty cache.")
def command(app: App, strategy: str, symbols: int, seconds: int, cold: bool) -> int:
    """Measure many busy symbols in one process.

    Each has 100 trades and 50 books of 20 levels a second, made up and in memory as columns; the
    figures are of the fold alone.
    """
    from engine.runtime.bench_many import in_a_process
    from strategies import get

    get(strategy)  # a wrong name is an error here, not in the other process
    source = strategy if ".py" in strategy else f"strategies.{strategy}"
    found: dict[str, Any] = {}
    if cold:
        app.say(f"compiling {strategy} into an empty cache")
        with tempfile.TemporaryDirectory() as folder:
            once = in_a_process(source, 1, 1, folder)
        found["cold_wall_s"] = once["ready_wall_s"]
        found["cold_cpu_s"] = once["ready_cpu_s"]
        found["cold_peak_rss_mb"] = once["peak_rss_mb"]
    app.say("starting once, so that it is compiled")
    in_a_process(source, 1, 1)
    app.say(f"{symbols} symbols, {2 * seconds} market seconds")
    found = {"schema": 1, **in_a_process(source, symbols, seconds), **found}
    found["machine"] = machine()
    if app.json:
        app.emit(found)
    else:
        rows = [(k, found[k], meaning) for k, meaning in _MEANING if found.get(k) is not None]
        app.table(("figure", "value", "meaning"), rows)
        say_machine(app, found["machine"])
    return 0
