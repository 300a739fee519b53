"""``ofs backtest``: a strategy over an embedded replay or over a range of the log.

Chooses what to run over and prints the result; the work is ``engine.runtime.backtest``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cli import common
from cli.common import TIME, App
from data.errors import EXIT_CONFIG, EXIT_DATA, UsageError

if TYPE_CHECKING:
    from engine.runtime.golden import Session

_EXAMPLES = (
    "ofs backtest",
    "ofs backtest absorption_long",
    "ofs backtest --symbol BTCUSDT --venue binance-um --from 2024-08-08 --to 2024-08-09",
    "ofs backtest --strategy delta_flip --set flip.mode=cusum --set entry_z=2.5 --json",
    "ofs backtest --strategy plan_watch --plans plans.toml --symbol BTCUSDT --venue binance-um "
    "--from 2024-08-08 --to 2024-08-09",
)


@common.command("backtest", examples=_EXAMPLES, exits=(EXIT_CONFIG, EXIT_DATA))
@click.argument("replay", required=False)
@click.option("--symbol", help="Symbol in the log, e.g. BTCUSDT.")
@click.option("--venue", help="Venue in the log, e.g. binance-um.")
@click.option("--from", "from_ns", type=TIME, help="Start, UTC, inclusive.")
@click.option("--to", "to_ns", type=TIME, help="End, UTC, exclusive.")
@click.option("--strategy", default="delta_flip", show_default=True, help="NAME or path.py:NAME.")
@click.option(
    "--model", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Model of the classifier, as 'ofs calibrate' wrote it.",
)  # fmt: skip
@click.option(
    "--force-model",
    is_flag=True,
    help="Take a model that was fitted on other sources, or on another market.",
)
@common.set_option
@click.option("--plans", "plans_file", type=click.Path(path_type=Path),
              help="File of plans (TOML) for a strategy that takes plans.")  # fmt: skip
@click.option("--settings", "list_settings", is_flag=True, help="List every KEY and its default.")
def command(
    app: App,
    replay: str | None,
    symbol: str | None,
    venue: str | None,
    from_ns: int | None,
    to_ns: int | None,
    strategy: str,
    model: Path | None,
    force_model: bool,
    settings: dict[str, str],
    plans_file: Path | None,
    list_settings: bool,
) -> int:
    """Run a strategy over a replay or a range of the log.

    With neither REPLAY nor --log nor a series or range named, the replay that comes with ofs is
    run: a synthetic market with known patterns. A REPLAY that is named is run by its own strategy
    (unless --strategy names another) with its own settings and plans, --set and --plans over them.
    The result goes to stdout; signals, decisions, orders, fills, positions, equity and a manifest
    go to a new folder under --runs.
    """
    if from_ns is not None and to_ns is not None and from_ns >= to_ns:
        raise UsageError(
            "the range is empty", where="--from, --to", why="--from is not before --to"
        )
    named = replay is None and (
        app.log_flag or any(x is not None for x in (symbol, venue, from_ns, to_ns))
    )
    from cli.section_set import fitting
    from engine.plans.load import text_of_file
    from engine.runtime.replay import Request
    from strategies import get

    own = _session(replay, strategy)
    strategy = own.strategy if own else strategy
    chosen = get(strategy)
    if list_settings:
        return _list_settings(app, chosen)
    pairs = fitting(app, chosen, _over(own, settings))
    plans = text_of_file(plans_file) if plans_file else own.plans if own else None
    noted = None
    where = _whole(app.log) if named else str(_replay_path(replay))
    from data.log import LogStore
    from engine.runtime.backtest import backtest, summary

    store = app.open_log() if named else LogStore(where)
    if model is not None:
        pairs, noted = _fitted(app, chosen, model, pairs, force_model, (store, venue, symbol))
    app.say(f"{strategy} over {where if named else f'replay {Path(where).name}'}")
    request = Request(
        chosen, strategy, venue, symbol, from_ns, to_ns, pairs, model=noted, plans=plans
    )
    with app.progress("backtest", from_ns=from_ns or 0, to_ns=to_ns or 0) as progress:

        def on_progress(done: int, total: int, market_ns: int) -> None:
            progress.total = total
            progress.update(done, market_ns)

        content = backtest(
            store, where, request, app.runs, on_progress, lambda: progress.say("compiling…")
        )
    facts = summary(content)
    _say_notes(app, content, facts)
    if app.json:
        app.emit(facts)
    else:
        _print(app, facts)
    return 0


def _say_notes(app: App, content: dict[str, Any], facts: dict[str, Any]) -> None:
    """Say what of a run is worth knowing before its figures are believed."""
    for name, count in content["violations"].items():
        app.say(f"note: {count:,} x {name}")
    if "plans" in content and not content["plans"]["plans"]:
        app.say(f"note: no plan of {content['plans']['file']} is for {facts['symbol']}")
    for text in _idle_plans(content):
        app.say(f"note: {text}")
    if not facts["trades"] and "proxy.horizon" in content["params"]:
        app.say(
            f"note: the range has no trades of {facts['venue']} {facts['symbol']}; its quotes and "
            "bars stand for the flow, and what they cannot know is not said (proxy.gate)"
        )
    elif not facts["trades"]:
        app.say(
            f"note: the range has no trades of {facts['venue']} {facts['symbol']}; quotes and bars "
            "do not show who was the aggressor, so rules on order flow have nothing to decide on"
        )
    if facts["fills"] and not facts["depth"] and not facts["quotes"]:
        app.say(
            "note: the log has no books and no quotes, so fills are at the last price plus half of "
            f"sim.spread ({content['params']['sim.spread']}) and sim.slippage "
            f"({content['params']['sim.slippage']}); --set them to what the market charges"
        )


def _idle_plans(content: dict[str, Any]) -> list[str]:
    """Plans of the run that no moment of its range belongs to."""
    from data.times import parse_utc
    from engine.plans.load import from_manifest
    from engine.plans.read import parse_plans

    source = from_manifest(content)
    if source is None:
        return []
    begin, end = (parse_utc(str(content[name])) for name in ("from", "to"))
    found = []
    for plan in parse_plans(source.text, source.name).plans:
        if plan.id not in content["plans"]["plans"]:
            continue
        if plan.expiry_ns and plan.expiry_ns <= begin:
            found.append(f"{plan.title} had expired before the range began, and never acted")
        elif plan.from_ns >= end:
            found.append(f"{plan.title} begins after the range, and never acted")
    return found


def _fitted(
    app: App,
    strategy: Any,
    path: Path,
    pairs: dict[str, str],
    force: bool,
    series: tuple[Any, str | None, str | None],
) -> tuple[dict[str, str], dict[str, Any]]:
    """(parameters with those of the model in ``path``, what the manifest says about it)."""
    from data.series import pick_series
    from engine.calibrate.model import read_model
    from engine.calibrate.use import note, with_model
    from engine.runtime.compose import compose

    model = read_model(path)
    pairs, doubts = with_model(
        model, compose(strategy), pairs, force=force, market=pick_series(*series)
    )
    for doubt in doubts:
        app.say(f"note: {doubt}")
    return pairs, note(model, doubts)


def _whole(log: str) -> str:
    """Where ``log`` is, whatever folder the run is asked about from later on."""
    return log if "://" in log else str(Path(log).resolve())


def _session(replay: str | None, strategy: str) -> Session | None:
    """The session that REPLAY names, unless it is to be run by a strategy that is not its own."""
    if replay is None:
        return None
    import replays
    from engine.runtime.golden import session_of

    own = session_of(_replay_path(replay), replays.manifest(replay))
    context = click.get_current_context()
    unnamed = context.get_parameter_source("strategy") is ParameterSource.DEFAULT
    return own if unnamed or strategy == own.strategy else None


def _over(own: Session | None, settings: dict[str, str]) -> dict[str, str]:
    """``settings`` of all layers with those of the session over all but ``--set``."""
    if own is None:
        return settings
    from cli.section_set import origins

    by_flag = {key for key, value in origins().items() if value.origin == "flag"}
    return {**settings, **{k: v for k, v in own.settings.items() if k not in by_flag}}


def _replay_path(name: str | None) -> Path:
    import replays

    return replays.path(name or replays.DEFAULT)


def _list_settings(app: App, strategy: Any) -> int:
    from engine.runtime.compose import compose
    from engine.runtime.parameters import settle, table

    composition = compose(strategy)
    values = settle(composition, {})
    rows = [
        {"key": k, "default": values[k], "kind": p.kind, "meaning": p.doc}
        for k, p in table(composition).items()
    ]
    if app.json:
        app.emit(rows)
    else:
        app.table(("key", "default", "kind", "meaning"), [tuple(r.values()) for r in rows])
    return 0


def _counts(f: dict[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(f"{f[name]:,} {name}" for name in names)


def _print(app: App, f: dict[str, Any]) -> None:
    money = f["currency"]
    rows = [
        ("run", f["run"]),
        ("market", f"{f['venue']} {f['symbol']}"),
        ("range", f"{f['from']} to {f['to']}"),
        ("events", f"{f['events']:,} (" + _counts(f, ("trades", "depth", "bars", "quotes")) + ")"),
        ("decisions", f"{f['decisions']:,}"),
        ("orders, fills", f"{f['orders']:,}, {f['fills']:,}"),
        ("round trips", f"{f['round_trips']:,}"),
        ("net result", f"{f['net_pnl']:,.2f} {money}"),
        ("gross, fees", f"{f['gross_pnl']:,.2f}, {f['fees']:,.2f} {money}"),
        ("max drawdown", f"{f['max_drawdown']:,.2f} {money}"),
        ("digest", f["digest"][:16]),
        ("speed", f"{f['events_per_cpu_s']:,} events a CPU second, {f['wall_s']:.2f} s, "
                  f"{f['peak_rss_mb']:,.0f} MB"),
    ]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        app.print(f"{name:<{width}}  {value}")
