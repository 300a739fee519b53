"""``ofs synth``: write a synthetic market with known patterns into the log.

Owns the options and the report. What a market is stands in :mod:`data.sources.synthetic`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import TIME, App
from cli.units import PER_SECOND, SECONDS
from data.errors import EXIT_CONFIG, EXIT_DATA, EXIT_INTERRUPT, ConfigError, UsageError
from data.times import format_utc
from data.units import NS_OF, format_duration

if TYPE_CHECKING:
    from data.events import Kind
    from data.sources.synthetic import AgentSpec, Chunk, Label, MarketSpec


_FLAGS = {
    "symbol": "--symbol",
    "start_ns": "--from",
    "duration_s": "--days",
    "rate_per_s": "--rate",
    "ref_price": "--price",
    "daily_vol": "--vol",
    "rho": "--rho",
    "noise": "--noise",
    "spread_ticks": "--spread",
    "depth_levels": "--levels",
    "depth_ms": "--depth-ms",
    "patterns": "--pattern",
    "every_s": "--every",
    "strength": "--strength",
}
"""The option that says each part of a specification."""

_OWN = {"flow": {"vol": 1.5}, "agents": {"rho": 0.6, "noise": 0.5, "spread": 1.0}}
"""Options that one generator alone has, and what they are where nothing is said."""


@common.command(
    "synth",
    examples=(
        "ofs synth --seed 7 --days 0.05 --log demo",
        "ofs synth --pattern all --every 30m --days 0.1 --symbol ETHUSDT --price 3000 --log demo",
        "ofs synth --pattern absorption --pattern flow_flip --strength 1.5 2.5 --days 0.05 "
        "--log patterns --json",
        "ofs synth --generator agents --rate 5/s --rho 0.5 --pattern all --days 0.1 --log agents",
        "ofs synth --pattern all --null --symbol BTCUSDT-NULL --days 0.05 --log demo",
    ),
    exits=(EXIT_CONFIG, EXIT_DATA, EXIT_INTERRUPT),
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Seed; equal seeds, equal data."
)
@click.option("--days", type=float, default=1.0, show_default=True, help="Days; 0.5 is 12 hours.")
@click.option("--from", "start_ns", type=TIME, help="Start, a whole minute. [default: 2026-01-05]")
@click.option(
    "--rate", type=PER_SECOND, default="18/s", show_default=True, help="Trades, on average."
)
@click.option("--symbol", default="BTCUSDT", show_default=True, help="Symbol in the log.")
@click.option("--price", type=float, default=60_000.0, show_default=True, help="First price.")
@click.option(
    "--generator",
    type=click.Choice(["flow", "agents"]),
    default="flow",
    show_default=True,
    help="Prices by a law of impact, or agents in an order book.",
)
@click.option("--vol", type=float, help="flow: deviation of a day, in percent. [default: 1.5]")
@click.option(
    "--rho",
    type=float,
    help="agents: correlation of a minute's flow and return to aim at. [default: 0.6]",
)
@click.option("--noise", type=float,
              help="agents: share of orders by noise traders, 0 to 1. [default: 0.5]")  # fmt: skip
@click.option("--spread", type=float,
              help="agents: ticks of spread that market makers ask for. [default: 1]")  # fmt: skip
@click.option(
    "--depth-ms", type=int, default=100, show_default=True, help="Milliseconds between books."
)
@click.option("--levels", type=int, default=20, show_default=True, help="Levels a side of a book.")
@click.option(
    "--pattern", "patterns", multiple=True, metavar="KIND", help="Plant this pattern, or all."
)
@click.option("--every", "every_ns", type=SECONDS, default="30m", show_default=True,
              help="One pattern in each span of this length.")  # fmt: skip
@click.option(
    "--strength",
    type=float,
    nargs=2,
    default=(1.0, 2.0),
    help="Range of their strength, above 0, to 10. [default: 1 2]",
)
@click.option("--null", is_flag=True, help="The null twin: every mechanism switched off.")
def command(app: App, **options: Any) -> None:
    """Write a synthetic market with known patterns.

    The market (trades, books, one-minute bars, with agents quotes too; venue 'synthetic') is the
    same for the same options on every machine. The two generators share no mechanism, so that what
    holds on both is no artefact of one. Patterns: absorption, delta_divergence, cvd_divergence,
    liquidity_sweep, flow_flip. Their labels are stored in the log's folder, under rejects/labels/.
    """
    spec = _spec(options)
    from data.sources.synthetic import label_path, write_market

    counts: Counter[Kind] = Counter()
    with app.progress("synth", from_ns=spec.start_ns, to_ns=spec.end_ns) as line:

        def seen(chunk: Chunk) -> None:
            for kind, columns in chunk.columns.items():
                counts[kind] += len(columns["ts_ns"])
            line.update(sum(counts.values()), chunk.to_ns)

        labels = write_market(app.open_log(create=True), spec, seen)
    _report(app, spec, counts, labels, label_path(spec))


def _spec(options: dict[str, Any]) -> MarketSpec | AgentSpec:
    """The specification that the options ask for; ConfigError where one is out of range."""
    from data.sources.synthetic import DEFAULT_START_NS, PATTERN_KINDS, AgentSpec, MarketSpec

    own = _own(options)
    named = options["patterns"]
    start_ns = options["start_ns"]
    common_part: dict[str, Any] = {
        "seed": options["seed"],
        "symbol": options["symbol"],
        "start_ns": DEFAULT_START_NS if start_ns is None else start_ns,
        "duration_s": round(options["days"] * 1440) * 60,
        "rate_per_s": options["rate"],
        "ref_price": options["price"],
        "depth_levels": options["levels"],
        "depth_ms": options["depth_ms"],
        "patterns": PATTERN_KINDS if "all" in named else tuple(dict.fromkeys(named)),
        "every_s": _seconds(options["every_ns"]),
        "strength": options["strength"],
        "null": options["null"],
    }
    try:
        if options["generator"] == "agents":
            return AgentSpec(
                **common_part, rho=own["rho"], noise=own["noise"], spread_ticks=own["spread"]
            )
        return MarketSpec(**common_part, daily_vol=own["vol"] / 100.0)
    except ConfigError as error:
        error.where = next((f for k, f in _FLAGS.items() if error.what.startswith(f"{k} ")), "")
        raise


def _own(options: dict[str, Any]) -> dict[str, float]:
    """What the generator's own options say; UsageError for one of the other generator."""
    chosen = options["generator"]
    for generator, names in _OWN.items():
        wrong = [n for n in names if generator != chosen and options[n] is not None]
        if wrong:
            raise UsageError(
                f"the generator {chosen} has no --{wrong[0]}",
                where=f"--{wrong[0]}",
                why=f"it belongs to --generator {generator}",
                do=f"leave it out, or add --generator {generator}",
            )
    return {n: d if options[n] is None else options[n] for n, d in _OWN[chosen].items()}


def _seconds(every_ns: int) -> int:
    """Whole seconds of ``--every``; UsageError for a part of one."""
    if every_ns % NS_OF["s"]:
        raise UsageError(
            "patterns are planted on whole seconds",
            where="--every",
            why=f"{format_duration(every_ns)} is none",
            do="write, for example, --every 30m",
        )
    return every_ns // NS_OF["s"]


def _report(
    app: App, spec: MarketSpec | AgentSpec, counts: Counter[Kind], labels: list[Label], path: str
) -> None:
    """Say what was written: one JSON object, or a few lines and the table of labels."""
    from data.sources.synthetic import VENUE

    rows = {kind.name.lower(): n for kind, n in sorted(counts.items())}
    if app.json:
        body = [label.to_dict() for label in labels]
        app.emit(
            {
                "log": app.log,
                "venue": VENUE,
                "symbol": spec.symbol,
                "from": format_utc(spec.start_ns),
                "to": format_utc(spec.end_ns),
                "rows": rows,
                "labels": body,
                "labels_path": path,
                "spec": spec.to_dict(),
            }
        )
        return
    app.print(f"{VENUE} {spec.symbol}  {format_utc(spec.start_ns)} to {format_utc(spec.end_ns)}")
    app.print("  ".join(f"{name} {n:,}" for name, n in rows.items()))
    if labels:
        app.table(
            ("pattern", "from", "to", "direction", "strength", "planted"),
            [
                (
                    label.type,
                    format_utc(label.start_ns),
                    format_utc(label.end_ns),
                    f"{label.direction:+d}",
                    label.strength,
                    "no, null twin" if label.twin else "yes",
                )
                for label in labels
            ],
        )
    app.say(f"labels stand in {path} of the log")
