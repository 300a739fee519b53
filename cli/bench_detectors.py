"""``ofs bench detectors``: how right every detector is, on markets whose truth is known.

Owns the options and the printed table. What is measured stands in :mod:`engine.measure`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from data.errors import EXIT_DATA, EXIT_INTERRUPT

if TYPE_CHECKING:
    from engine.measure.bench import Request

SHORT_SEEDS = 3
SHORT_HOURS = 11
"""A short market: eleven hours, of which six are judged."""

_SHOWN = (
    ("precision", "precision"),
    ("recall", "recall"),
    ("direction_accuracy", "direction"),
    ("auc", "AUC"),
    ("base_rate", "base rate"),
    ("false_alarm_rate", "null windows"),
    ("false_alarms_per_hour", "null/h"),
    ("delay_s", "delay s"),
    ("events_per_hour", "events/h"),
)
"""Figures of the printed table and their headings; JSON has every one, with intervals."""


@common.command(
    "detectors",
    examples=(
        "ofs bench detectors --short --seeds 1 --generator flow --side-source flag",
        "ofs bench detectors --short --seeds 1 --generator flow --mode standard --side-source flag "
        "--log demo --out detectors.json --json",
    ),
    exits=(EXIT_DATA, EXIT_INTERRUPT),
)
@click.option("--seeds", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="Seeds of each kind of market.")  # fmt: skip
@click.option("--short", is_flag=True, help="Three seeds of short markets and no sweep.")
@click.option("--generator", type=click.Choice(("flow", "agents", "all")), default="all",
              show_default=True, help="Whose markets.")  # fmt: skip
@click.option("--mode", type=click.Choice(("seed", "standard", "all")), default="all",
              show_default=True, help="Which form of the detectors.")  # fmt: skip
@click.option("--side-source", type=click.Choice(("flag", "tick_rule", "bar_proxy", "all")),
              default="all", show_default=True, help="What is known of the trades.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the table as JSON to this file too.")  # fmt: skip
def command(
    app: App, seeds: int, short: bool, generator: str, mode: str, side_source: str, out: Path | None
) -> int:
    """Measure the detectors against planted truth.

    One row for each detector, mode, source of the trades' side and generator: precision, recall,
    direction, AUC, base rate, share of null windows with an alarm, alarms an hour and delay, each
    with its interval over seeds (in --json and --out). Beside the base market a sweep of
    correlation, rate, spread and noise. A log that is named (--log) adds a row for each detector
    and series of it: how often it spoke, nothing being planted there.
    """
    from engine.measure.bench import measure
    from engine.measure.listen import Listener
    from strategies import get

    listener = Listener(get("watch"), get("watch_proxy"))
    request = _request(seeds, short, generator, mode, side_source)
    with app.progress("detectors", total=request.jobs, unit="markets") as line:
        rows = measure(listener, request, lambda done, _total: line.update(done, 0))
    if app.log_named:
        from engine.measure.recordings import listen_all

        rows += listen_all(app.open_log(), listener, request.modes, request.sources)
    body = {"schema": 1, "request": request.to_dict(), "rows": rows}
    if out is not None:
        out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    if app.json:
        app.emit(body)
    else:
        _print(app, rows)
    return 0


def _request(seeds: int, short: bool, generator: str, mode: str, source: str) -> Request:
    """The request that the options ask for."""
    from engine.measure.bench import Request
    from engine.measure.listen import MODES, SOURCES
    from engine.measure.markets import GENERATORS, HOURS

    return Request(
        seeds=min(seeds, SHORT_SEEDS) if short else seeds,
        generators=tuple(GENERATORS) if generator == "all" else (generator,),
        modes=MODES if mode == "all" else (mode,),
        sources=SOURCES if source == "all" else (source,),
        sweep=not short,
        hours=SHORT_HOURS if short else HOURS,
    )


def _print(app: App, rows: list[dict[str, Any]]) -> None:
    """The base rows; of a sweep the JSON tells."""
    shown = [r for r in rows if r["variation"] == "base"]
    names = ("detector", "mode", "side_source", "generator")
    app.table(
        (*names, *(heading for _, heading in _SHOWN), ""),
        [
            (*(r[n] for n in names), *(_text(r[k]) for k, _ in _SHOWN),
             "refused" if r["refused"] else "")
            for r in shown
        ],
    )  # fmt: skip
    if len(shown) < len(rows):
        app.say(f"{len(rows) - len(shown)} rows of the sweep stand in --json and --out")


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
