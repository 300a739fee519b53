"""``ofs import --explain``: what a file is, or the draft of a mapping for it.

Owns the printing. What is found out, and how, stands in :mod:`data.sources.mapping_explain`. It is
no command of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.common import App
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.log import LogStore
    from data.sources.mapping_explain import Explanation, Hints


def explain_file(app: App, paths: Sequence[str], hints: Hints) -> None:
    """Explain the one file of ``paths``; UsageError where there are several."""
    from data.sources.mapping_explain import explain

    if len(paths) != 1:
        raise UsageError(
            "--explain takes one file", where=" ".join(paths), do="explain one file at a time"
        )
    told = explain(paths[0], hints, _log(app))
    if app.json:
        app.emit(told.as_dict())
    elif told.toml:
        _tell_draft(app, told)
    else:
        _tell_known(app, told)


def _log(app: App) -> LogStore | None:
    """The log, whose prices may show a broker's clock; None where there is none yet."""
    try:
        return app.open_log_if_any()
    except DataError:
        return None  # nothing is imported, so a log that is not there is no fault


def _tell_draft(app: App, told: Explanation) -> None:
    """The mapping on stdout, so that it can go into a file; everything else on stderr."""
    app.print(told.toml.rstrip("\n"))
    app.say(f"{told.file}: {told.format}; the draft stands on stdout. It reads the first rows as")
    for text in _rows(told):
        app.say(f"  {text}")
    for doubt in told.asks:
        app.say(f"doubt: {doubt}")


def _tell_known(app: App, told: Explanation) -> None:
    symbol = told.symbol or "several symbols"
    app.print(f"{told.file}: {told.format}, {told.venue} {symbol}")
    app.table(("what", "value"), told.facts)
    app.print("first rows, times in UTC:")
    for text in _rows(told):
        app.print(f"  {text}")
    for ask in told.asks:
        app.say(f"before it can be imported: {ask}")


def _rows(told: Explanation) -> list[str]:
    from data.show import line
    from data.sources.rejects import REASONS

    out = [line(row) for row in told.rows] or ["(none)"]
    rejected = [f"rejected {n}: {REASONS[reason]}" for reason, n in told.rejected.items()]
    return out + rejected
