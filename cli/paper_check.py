"""``ofs paper --config FILE --check``: a session's configuration, looked at as the session would.

Shows every key with its value, settings included, or every mistake. What must hold: what passes
here is refused later only for what the venue or the disk says.

It refuses to know how a session is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import App
from data.errors import EXIT_CONFIG, EXIT_OK, ConfigError, OfsError, UsageError

if TYPE_CHECKING:
    from engine.runtime.paper_config import PaperConfig
    from engine.runtime.strategy import Strategy


def check(app: App, path: Path) -> int:
    """Print the configuration in ``path`` as it is resolved; EXIT_CONFIG and mistakes if wrong."""
    from engine.runtime.paper_config import read_paper, shown

    found = read_paper(path)
    mistakes: list[OfsError] = list(found.mistakes)
    settled: dict[str, str] = {}
    if found.config is not None:
        try:
            settled = fitted(found.config)[1]
        except OfsError as error:
            mistakes.append(error)
        mistakes += around(found.config)
    rows = [*shown(found.config)] if found.config and not mistakes else []
    if app.json:
        app.emit(rows_facts(path, found.config, rows, settled, mistakes))
    elif mistakes:
        for mistake in mistakes:
            app.print(f"error: {mistake}")
    else:
        print_rows(app, rows, settled, found.config)
    return EXIT_CONFIG if mistakes else EXIT_OK


def around(config: PaperConfig, *, http: bool = True) -> list[OfsError]:
    """What beside the strategy would fail later: streams that the venue does not have, an API
    (unless ``http`` is off) without the token that its address asks for, and a reference of
    ``ofs paper report`` that is not there."""
    from data.live.wiring import kinds_of
    from data.log import LogStore
    from engine.runtime.http_api import check_token, token_from_environment

    mistakes: list[OfsError] = []
    try:
        if config.venue != "mt5":
            kinds_of(config.venue, config.streams)
    except UsageError as error:
        where = f"{config.path}: streams"
        mistakes.append(ConfigError(error.what, where=where, why=error.why, do=error.do))
    if http and config.http.on:
        try:
            check_token(config.http.host, token_from_environment())
        except ConfigError as error:
            mistakes.append(error)
    if config.reference.log:
        try:
            LogStore(config.reference.log)
        except OfsError as error:
            where = f"{config.path}: log in [reference]"
            mistakes.append(ConfigError(error.what, where=where, why=error.why, do=error.do))
    return mistakes


def fitted(
    config: PaperConfig, broker: str = "simulated"
) -> tuple[Strategy, dict[str, str], dict[str, Any] | None]:
    """(strategy, all settings with those of the model, the model's note) of ``config``.

    ConfigError, at its line where that is known, for whatever does not fit; scales are the finest,
    because only the venue knows those of a symbol.
    """
    from data.events import Scales
    from engine.plans.load import check_handlers, load_plans
    from engine.runtime.compose import compose
    from engine.runtime.parameters import build
    from strategies import get

    try:
        strategy = get(config.strategy)
    except UsageError as error:
        where = f"{config.path}: strategy"
        raise ConfigError(error.what, where=where, why=error.why, do=error.do) from None
    composition = compose(strategy, broker=broker)
    config.settled(composition)
    pairs, noted = _with_model(config, composition)
    settled = config.over(composition, pairs)
    finest = Scales(8, 8)
    try:
        params = build(composition, settled, finest)
    except ConfigError as error:
        raise config.placed(error) from None
    if config.plans is not None:
        names = tuple(h.name for h in composition.handlers)
        for symbol in config.symbols:
            compiled = load_plans(params, config.plans, symbol, finest, strategy.name)
            check_handlers(compiled, names, strategy.name)
    return strategy, settled, noted


def _with_model(config: PaperConfig, composition: Any) -> tuple[dict[str, str], Any]:
    """The configuration's settings with those of its model, and what a manifest says of that."""
    if config.model is None:
        return dict(config.settings), None
    from engine.calibrate.model import read_model
    from engine.calibrate.use import note, with_model

    model = read_model(config.model)
    market = (config.venue, config.symbols[0])
    pairs, doubts = with_model(model, composition, config.settings, market=market)
    return pairs, note(model, doubts)


def rows_facts(
    path: Path,
    config: PaperConfig | None,
    rows: list[tuple[str, str, str, str]],
    settled: dict[str, str],
    mistakes: list[OfsError],
) -> dict[str, Any]:
    """The object of ``--json``."""
    return {
        "schema": 1,
        "ok": not mistakes,
        "file": str(path),
        "identity": config.identity if config else None,
        "keys": {f"{section}.{key}" if section else key: v for section, key, v, _ in rows},
        "settings": settled,
        "mistakes": [
            {"what": m.what, "where": m.where, "why": m.why, "do": m.do} for m in mistakes
        ],
    }


def print_rows(
    app: App,
    rows: list[tuple[str, str, str, str]],
    settled: dict[str, str],
    config: PaperConfig | None,
) -> None:
    """The keys as TOML would have them, each with what it is; settings that were given last."""
    width = max(len(f"{key} = {value}") for _, key, value, _ in rows if len(value) < 40)
    shown = ""
    for section, key, value, doc in rows:
        if section != shown:
            app.print(f"\n[{section}]")
            shown = section
        line = f"# {key} is not given" if value == "none" else f"{key} = {value}"
        app.print(f"{line:<{width}}  # {doc}")
    app.print("\n[settings]")
    given = config.settings if config else {}
    for key in sorted(given):
        app.print(f"{key} = {settled[key]}")
    app.print(f"# and {len(settled) - len(given)} defaults; 'ofs backtest --settings' lists them")
