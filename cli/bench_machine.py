"""``ofs bench machine`` (or just ``ofs bench``): decoding, the whole way and one step, measured.

Prints what ``engine.runtime.bench`` measures, over a log or over a synthetic day made for it.
"""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path
from typing import Any

import click

from cli import common
from cli.common import App

_MEANING = (
    ("trades", "trades in the series"),
    ("decode_trades_per_cpu_s", "decoded by pyarrow alone, a CPU second"),
    ("end_to_end_trades_per_cpu_s", "decoded, folded by every handler, recorded, a CPU second"),
    ("cpu_ratio", "CPU time of the whole way over decoding alone, trades only"),
    ("wall_ratio", "the same in wall time, decoding ahead on a second thread"),
    ("depth_cpu_ratio", "CPU ratio with depth in the mix"),
    ("depth_wall_ratio", "wall ratio with depth in the mix"),
    ("depth_events_per_cpu_s", "trades and depth, the whole way, a CPU second"),
    ("step_p50_us", "one event through step from Python, median, microseconds"),
    ("step_p99_us", "the same, 99th percentile"),
    ("step_p999_us", "the same, 99.9th percentile"),
    ("peak_rss_mb", "peak memory of the whole bench, compiles included"),
)


@common.command(
    "machine",
    examples=(
        "ofs bench machine --days 0.05 --rounds 1 --strategy delta_flip",
        "ofs bench machine --log demo --symbol BTCUSDT --rounds 1 --steps 10000 --strategy scalper "
        "--json",
    ),
)
@click.option("--strategy", multiple=True, default=("delta_flip", "scalper"),
              show_default=True, help="NAME or path.py:NAME; may be repeated.")  # fmt: skip
@click.option("--symbol", help="Symbol in the log.")
@click.option("--venue", help="Venue in the log.")
@click.option("--days", type=click.FloatRange(0.01, 30), default=1.0, show_default=True,
              help="Days of the synthetic market made when no --log is given.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True,
              help="Pairs of measurements; more are steadier.")  # fmt: skip
@click.option("--steps", type=click.IntRange(100), default=100_000, show_default=True,
              help="Events folded one by one.")  # fmt: skip
def command(
    app: App,
    strategy: tuple[str, ...],
    symbol: str | None,
    venue: str | None,
    days: float,
    rounds: int,
    steps: int,
) -> int:
    """Measure this machine: decode, fold and step.

    One column of figures a strategy: how much is folded is the strategy's choice.

    Without --log a synthetic market is made in a temporary folder and measured. Ratios are medians
    of pairs taken in turn; single figures of a busy machine mean little.
    """
    from engine.runtime.bench import measure
    from strategies import get

    with tempfile.TemporaryDirectory() as folder:
        store = app.open_log() if app.log_named else _synthetic(app, Path(folder), days)
        measured = {}
        for name in strategy:
            app.say(f"strategy {name}")
            measured[name] = measure(store, get(name), venue, symbol, rounds, steps, app.say)
    facts = {"schema": 2, "strategies": measured, "machine": machine()}
    if app.json:
        app.emit(facts)
    else:
        _print(app, facts)
    return 0


def _synthetic(app: App, folder: Path, days: float) -> Any:
    from data.log import LogStore
    from data.sources.synthetic import MarketSpec, write_market

    app.say(f"making a synthetic market of {days:g} days")
    store = LogStore(folder / "log", create=True)
    write_market(store, MarketSpec(duration_s=max(1, round(days * 1440)) * 60))
    return store


def machine() -> dict[str, Any]:
    """What the figures depend on: cores, system, versions."""
    import os

    from data.jitcache import versions

    return {"cores": os.cpu_count(), "system": platform.system(), **versions()}


def _print(app: App, facts: dict[str, Any]) -> None:
    measured = facts["strategies"]
    rows = [
        (k, *(found.get(k, "") for found in measured.values()), meaning)
        for k, meaning in _MEANING
        if any(k in found for found in measured.values())
    ]
    app.table(("figure", *measured, "meaning"), rows)
    say_machine(app, facts["machine"])


def say_machine(app: App, facts: dict[str, Any]) -> None:
    """One line of what the figures depend on."""
    app.say("machine: " + ", ".join(f"{k} {v}" for k, v in facts.items()))
