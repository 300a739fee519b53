"""``ofs strategy show``: one strategy, what it needs and what can be set.

Loads the strategy as a backtest does, so what is shown is what would run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.complete import STRATEGY
from data.errors import EXIT_CONFIG

if TYPE_CHECKING:
    from engine.runtime.strategy import Strategy

_PARAMETERS = ("key", "default", "kind", "fits", "meaning")


@common.command(
    "show",
    examples=("ofs strategy show delta_flip", "ofs strategy show delta_flip --json"),
    exits=(EXIT_CONFIG,),
)
@click.argument("name", type=STRATEGY, metavar="NAME")
def command(app: App, name: str) -> int:
    """Show a strategy: its idea, handlers, parameters, gates, detectors and source.

    NAME is a strategy of ofs, or path.py:NAME of your own. The parameters are the keys of --set;
    'ofs backtest --strategy NAME --settings' adds those of the engine and the broker.
    """
    from strategies import get

    facts = describe(get(name), name)
    if app.json:
        app.emit(facts)
        return 0
    for key in ("strategy", "name", "doc"):
        app.print(f"{key:<10} {facts[key]}")
    app.print(f"{'handlers':<10} {', '.join(facts['handlers'])}")
    for key in ("gates", "detectors"):
        app.print(f"{key:<10} {', '.join(facts[key]) or 'none'}")
    for key, value in facts["overrides"].items():
        app.print(f"{'sets':<10} {key}={value}")
    app.print(f"{'source':<10} {facts['source']}")
    app.print(f"{'sha256':<10} {facts['source_sha256']}")
    app.print()
    app.table(_PARAMETERS, [[p[c] for c in _PARAMETERS] for p in facts["parameters"]])
    return 0


def describe(strategy: Strategy, text: str) -> dict[str, Any]:
    """Everything about ``strategy``, which was asked for as ``text``, as one JSON object."""
    from engine.kernel.registry import resolve

    return {
        "schema": 1,
        "strategy": text,
        "name": strategy.name,
        "doc": strategy.doc,
        "handlers": [handler.name for handler in resolve(strategy.handlers)],
        "gates": list(strategy.gates),
        "detectors": list(strategy.detectors),
        "overrides": dict(strategy.overrides),
        "source": str(strategy.source),
        "source_sha256": strategy.source_sha256,
        "parameters": [
            {
                "key": p.name,
                "default": p.default,
                "kind": p.kind,
                "fits": _fits(p),
                "choices": list(p.choices),
                "low": p.low,
                "high": p.high,
                "meaning": p.doc,
            }
            for p in strategy.params
        ],
    }


def _fits(p: Any) -> str:
    """What a value may be, in a few words."""
    if p.choices:
        return ", ".join(p.choices)
    low = f"{p.low:g} or more" if p.low is not None else ""
    if p.high is None:
        return low
    return f"{p.low:g} to {p.high:g}" if low else f"{p.high:g} or less"
