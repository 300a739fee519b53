"""``ofs fetch --venue mt5``: ticks and minutes that a terminal has, into the log.

Owns what is asked for and the report; what is done stands in :mod:`engine.broker.mt5_history`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.common import App
from cli.terminals import sandbox_of, source_of
from data.errors import EXIT_FINDING, EXIT_OK, UsageError
from data.times import format_utc

if TYPE_CHECKING:
    from data.enums import Kind
    from engine.broker.mt5_history import Fetched

_DAY_NS = 86_400_000_000_000
_COUNTS = ("rows", "added", "known", "refused")


def fetch_terminal(app: App, symbols: tuple[str, ...], kinds: tuple[str, ...], from_ns: int,
                   to_ns: int | None, how: dict[str, Any], *, dry_run: bool) -> int:  # fmt: skip
    """Fetch the days from ``from_ns`` to ``to_ns``, both included, up to now."""
    wanted = _kinds(kinds)
    names = tuple(dict.fromkeys(symbols))
    source = source_of(how, sandbox_of(how["endpoint"]))
    begin = from_ns // _DAY_NS * _DAY_NS
    now_ns = source.way.now_ns()
    end = now_ns if to_ns is None else min(now_ns, (to_ns // _DAY_NS + 1) * _DAY_NS)
    if end <= begin:
        raise UsageError("the range is empty", where="--from", why=f"it is {format_utc(now_ns)}")
    if dry_run:
        with source.terminal(names, "SYMBOL"):
            _tell(app, [_none(s, k, begin, end) for s in names for k in wanted], dry_run=True)
        return EXIT_OK
    store = app.open_log(create=True)
    told, closed = [], 0
    with (
        app.progress("fetch", unit="rows") as line,
        source.history(store, names, "SYMBOL", line.update) as history,
    ):
        for symbol in names:
            for kind in wanted:
                line.label = f"{symbol} {kind.name.lower()}"
                told.append(history.fetch(symbol, kind, begin, end))
                closed += history.settle(told[-1])
    _tell(app, told, dry_run=False)
    if closed:
        app.say(f"{closed} recorded gaps are closed")
    return EXIT_OK if all(found.rows for found in told) else EXIT_FINDING


def _kinds(names: tuple[str, ...]) -> list[Kind]:
    from data.enums import Kind
    from engine.broker.mt5_history import KINDS

    wanted = [Kind[name.upper()] for name in names] or list(KINDS)
    for kind in wanted:
        if kind not in KINDS:
            raise UsageError(f"a terminal has no history of {kind.name.lower()}", where="--kinds",
                             do="use quote, bar")  # fmt: skip
    return list(dict.fromkeys(wanted))


def _none(symbol: str, kind: Kind, from_ns: int, to_ns: int) -> Fetched:
    from engine.broker.mt5_history import Fetched

    return Fetched(symbol, kind, from_ns, to_ns)


def _tell(app: App, told: list[Fetched], *, dry_run: bool) -> None:
    if app.json:
        app.emit({
            "schema": 1, "log": app.log, "dry_run": dry_run,
            "complete": all(found.rows for found in told),
            "ranges": [_as_dict(found) for found in told],
        })  # fmt: skip
        return
    heads = ("symbol", "kind", "from", "to") + (() if dry_run else (*_COUNTS, "first", "last"))
    app.table(heads, [_row(found, dry_run) for found in told])
    if dry_run:
        app.say("that would be asked for; nothing was")
        return
    for found in told:
        if not found.rows:
            app.say(f"{found.symbol}: the terminal has no {found.kind.name.lower()} of that time")


def _row(found: Fetched, dry_run: bool) -> tuple[Any, ...]:
    ends = (format_utc(found.from_ns)[:16], format_utc(found.to_ns)[:16])
    head = (found.symbol, found.kind.name.lower(), *ends)
    if dry_run:
        return head
    seen = (format_utc(ns)[:19] if ns else "" for ns in (found.first_ns, found.last_ns))
    return *head, *(getattr(found, name) for name in _COUNTS), *seen


def _as_dict(found: Fetched) -> dict[str, Any]:
    times = {
        name: format_utc(getattr(found, f"{name}_ns")) if getattr(found, f"{name}_ns") else None
        for name in ("from", "to", "first", "last")
    }
    counts = {name: getattr(found, name) for name in _COUNTS}
    return {"symbol": found.symbol, "kind": found.kind.name.lower(), **times, **counts}
