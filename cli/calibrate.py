"""``ofs calibrate``: fit the classifier's model on a range of the log.

Chooses the range and the labels, writes the model file and its picture, and prints the figures; the
work is ``engine.calibrate``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.units import SECONDS
from data.errors import EXIT_CONFIG, EXIT_DATA, UsageError

if TYPE_CHECKING:
    from engine.calibrate.calibration import Ask, Calibration

_EXAMPLES = (
    "ofs calibrate --log planted --stop 2atr --target 2atr --horizon 10m "
    "--set sim.taker_fee=0.00005",
    "ofs calibrate --log planted --stop 0.1% --target 0.1% --horizon 10m --scheme kfold "
    "--embargo 1h --sources pressure,cvd_trend --out second.toml --json",
)


class DistanceType(click.ParamType):
    """A distance of a stop or a target: ``4atr`` or ``0.3%``."""

    name = "DISTANCE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """An :class:`engine.calibrate.barriers.Distance`; a usage error that shows what fits."""
        if not isinstance(value, str):
            return value
        from engine.calibrate.barriers import parse_distance

        try:
            return parse_distance(value)
        except ValueError as error:
            self.fail(f"{value!r} is no distance: {error}", param, ctx)


DISTANCE = DistanceType()


def _label_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--stop``, ``--target`` and ``--horizon``: what a won trade is."""
    for option in (
        click.option("--horizon", "horizon_ns", type=SECONDS, default="30m", show_default=True,
                     help="Time limit of a trade."),
        click.option("--target", type=DISTANCE, default="6atr", show_default=True,
                     help="Target: so many ATR of a minute, or a share of the price (0.3%)."),
        click.option("--stop", type=DISTANCE, default="4atr", show_default=True,
                     help="Stop, likewise."),
    ):  # fmt: skip
        function = option(function)
    return function


def _fold_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--folds``, ``--scheme`` and ``--embargo``: how out of sample is meant."""
    for option in (
        click.option("--embargo", "embargo_ns", type=SECONDS,
                     help="kfold: time after a test that is not trained on. "
                     "[default: the longest look-back of a source]"),
        click.option("--scheme", type=click.Choice(("walk-forward", "kfold")),
                     default="walk-forward", show_default=True,
                     help="Train on the past of each fold, or on both sides of it."),
        click.option("--folds", type=click.IntRange(2, 50), default=5, show_default=True,
                     help="Test folds."),
    ):  # fmt: skip
        function = option(function)
    return function


@common.command("calibrate", examples=_EXAMPLES, exits=(EXIT_CONFIG, EXIT_DATA))
@click.option("--symbol", help="Symbol in the log, e.g. BTCUSDT.")
@click.option("--venue", help="Venue in the log, e.g. binance-um.")
@common.range_options
@click.option("--strategy", default="scalper", show_default=True,
              help="Whose settings of the sources: NAME or path.py:NAME.")  # fmt: skip
@_label_options
@_fold_options
@click.option("--sources", help="Sources to fit, with commas. [default: all that are ever ready]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Model file. [default: SYMBOL.model.toml]")  # fmt: skip
@common.set_option
def command(app: App, **options: Any) -> int:
    """Fit the classifier's model on a range of the log; write it and its reliability plot.

    At each decision at which a source speaks, a purchase and a sale are labelled by the trades
    that followed: won is the target before the stop and the time limit, beyond all costs. A ridge
    logistic regression of both sides is scored out of fold and calibrated there. FILE gets the
    model (also the settings, folds, counts and figures), the SVG beside it the reliability
    diagram; existing ones are replaced. `ofs backtest --model FILE` runs with it.
    """
    common.check_range(options["from_ns"], options["to_ns"])
    from engine.calibrate.calibration import calibrate

    ask = _ask(app, options)
    store = app.open_log()
    with app.progress(
        "calibrate", from_ns=options["from_ns"] or 0, to_ns=options["to_ns"] or 0
    ) as progress:

        def on_progress(done: int, total: int, market_ns: int) -> None:
            progress.total = total
            progress.update(done, market_ns)

        made = calibrate(store, ask, on_progress, lambda: progress.say("compiling…"))
    for note in made.notes:
        app.say(f"note: {note}")
    _write(app, made, options["out"])
    return 0


def _ask(app: App, o: dict[str, Any]) -> Ask:
    """The request that the options make."""
    from cli.section_set import fitting
    from engine.calibrate.calibration import Ask, Barriers, sampler_settings
    from strategies import get

    strategy = get(o["strategy"])
    if o["horizon_ns"] <= 0:
        raise UsageError(
            "a trade needs time", where="--horizon", do="write, for example, --horizon 30m"
        )
    sources = _sources(o["sources"])
    given = fitting(app, strategy, o["settings"])
    settings, weights, idle = sampler_settings(strategy, given)
    for key in idle:
        app.say(f"note: {key} has no say in what the sources say; it is passed over")
    return Ask(
        strategy, o["strategy"], o["venue"], o["symbol"], o["from_ns"], o["to_ns"], settings,
        Barriers(o["stop"], o["target"], o["horizon_ns"]),
        o["folds"], o["scheme"], o["embargo_ns"], sources, weights,
    )  # fmt: skip


def _sources(text: str | None) -> tuple[str, ...]:
    """The sources that ``text`` names, in the classifier's order; a usage error for another."""
    from cli.keys import mistake
    from engine.kernel.confluence import SOURCES

    if text is None:
        return SOURCES
    names = {word.strip() for word in text.split(",") if word.strip()}
    for name in sorted(names - set(SOURCES)) or ([] if names else [""]):
        raise UsageError(
            f"there is no source {name!r}", where="--sources", do=mistake(name, SOURCES, "sources")
        )
    return tuple(name for name in SOURCES if name in names)


def _write(app: App, made: Calibration, out: Path | None) -> None:
    """Write the model and its picture; say where, and the figures."""
    from datetime import UTC, datetime

    from engine.calibrate.files import write_model

    symbol = made.model.facts["provenance"]["symbol"]
    path = out if out is not None else Path(f"{symbol}.model.toml")
    picture = path.with_suffix(".svg")
    written = write_model(made, path, picture, datetime.now(UTC).isoformat(timespec="seconds"))
    if app.json:
        app.emit(written)
    else:
        _print(app, written)


def _print(app: App, w: dict[str, Any]) -> None:
    scores, counts, labels, fit = w["scores"], w["counts"], w["labels"], w["fit"]
    sold = scores["traded"]
    none = "nothing: no lower bound beats what a trade needs"
    traded = none if not sold["rows"] else (
        f"{sold['rows']:,} decisions ({sold['events']:.1f} effective), {sold['precision']:.1%} "
        f"won, {sold['needed']:.1%} needed, {sold['expectancy_bp']:+.2f} bp each after costs"
    )  # fmt: skip
    z = scores["spiegelhalter_z"]
    rows = [
        ("model", w["file"]),
        ("picture", w["picture"]),
        ("market", f"{w['provenance']['venue']} {w['provenance']['symbol']}"),
        ("range", f"{w['provenance']['from']} to {w['provenance']['to']}"),
        ("decisions", f"{counts['labelled']:,} labelled, worth {counts['effective']:.1f} that do "
                      f"not overlap; {counts['out_of_fold']:,} out of fold"),
        ("labels", f"stop {labels['stop']}, target {labels['target']}, {labels['horizon']}: "
                   f"{labels['targets']:,} targets, {labels['stops']:,} stops, "
                   f"{labels['by_time']:,} by time; cost {labels['cost_bp']:.2f} bp"),
        ("win rate", f"{scores['base_rate']:.1%}; a trade needs {labels['needed']:.1%}"),
        ("Brier", f"{scores['brier']:.4f}, skill {scores['brier_skill']:+.2%} over the win rate"),
        ("log loss", f"{scores['log_loss']:.4f}, of the win rate {scores['log_loss_base']:.4f}"),
        ("AUC", "none" if scores["auc"] is None else f"{scores['auc']:.3f}"),
        ("calibration", f"{w['method']}; ECE {scores['ece']:.3f}, "
                        f"REL {scores['reliability']:.4f} - RES {scores['resolution']:.4f} + "
                        f"UNC {scores['uncertainty']:.4f}"
                        + ("" if z is None else f", Spiegelhalter z {z:+.2f}")),
        ("penalty", f"C = {fit['c']:g}; {fit['folds']} folds, {fit['scheme']}, embargo "
                    f"{fit['embargo']}"),
        ("traded", traded),
    ]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        app.print(f"{name:<{width}}  {value}")
    app.print()
    app.table(
        ("source", "beta", "ready", "spoke", "effective"),
        [
            (name, f"{w['model']['beta'][name]:+.3f}", s["ready"], s["spoke"],
             f"{s['effective']:.1f}" if s["used"] else "not used")
            for name, s in w["sources"].items()
        ],
    )  # fmt: skip
