"""How ``ofs log check`` and ``ofs log gaps`` ask for findings and print them.

Owns the options and the forms of output that the two share; what is examined, and how, stands in
:mod:`data.log.checks`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import common
from cli.common import App
from data.errors import EXIT_FINDING, EXIT_OK, CorruptFileError, DataError
from data.times import format_utc

if TYPE_CHECKING:
    from data.log import LogStore, Series
    from data.log.checks import Wanted
    from data.log.rules import Finding


def wanted_series(
    store: LogStore, venue: str | None, symbol: str | None, kinds: Sequence[str]
) -> list[Series]:
    """The series that the options mean; DataError where they name something that is not there."""
    from data.events import EVENTS

    there = store.series()
    fits = [
        s
        for s in there
        if common.chosen(s.venue, s.symbol, EVENTS[s.kind].name, venue, symbol, kinds)
    ]
    if not fits and (venue or symbol or kinds):
        words = [w for w in (venue and venue.lower(), symbol and symbol.upper()) if w]
        known = sorted({w for s in there for w in (s.venue, s.symbol)})
        near = [m for w in words for m in difflib.get_close_matches(w, known, n=1) if m != w]
        raise DataError(
            "the log holds nothing of that",
            where=" ".join([*words, *kinds]),
            do=f"did you mean {', '.join(near)}?"
            if near
            else "see what is there with 'ofs log ls'",
        )
    return fits


def examine(app: App, store: LogStore, wanted: Wanted, series: Sequence[Series]) -> list[Finding]:
    """All findings, with progress over the rows of ``series``."""
    from data.log.checks import check_log

    done = 0
    with app.progress("check", total=sum(s.rows for s in series), unit="rows") as progress:

        def seen(rows: int) -> None:
            nonlocal done
            done += rows
            progress.update(done)

        return list(check_log(store, wanted, seen))


def damaged_journals(app: App, store: LogStore) -> list[Finding]:
    """What is damaged in the journals of sessions that record into the log, or were left behind:
    file and offset. A torn end is none, recovery cuts it off."""
    from data.journal import check
    from data.live.reopen import LIVE, left_behind
    from data.log.rules import Finding

    found: list[Finding] = []
    log = store.storage.local
    if log is None:  # a recorder writes to a local disk
        return found
    for session in left_behind(log):
        try:
            check(log / LIVE / session)
        except CorruptFileError as error:
            text = f"{error.where} cannot be used: {error.why}"
            path = f"{LIVE}/{session}/{Path(error.where).name}"
            found.append(Finding("corrupt_file", None, "", "", 1, 0, 0, 0, 0, text, path))
        except DataError as error:
            app.say(f"the journal of {session} was not checked: {error.what}")
    return found


def facts(finding: Finding) -> dict[str, Any]:
    """A finding as JSON says it; what does not apply is null."""
    from data.events import EVENTS

    return {
        "check": finding.check,
        "venue": finding.venue,
        "symbol": finding.symbol,
        "kind": EVENTS[finding.kind].name if finding.kind is not None else None,
        "count": finding.count,
        "from": format_utc(finding.from_ns) if finding.from_ns else None,
        "to": format_utc(finding.to_ns) if finding.to_ns else None,
        "from_id": finding.from_id or None,
        "to_id": finding.to_id or None,
        "text": finding.text,
        "path": finding.path or None,
    }


def report(
    app: App, series: Sequence[Series], findings: Sequence[Finding], columns: Sequence[str]
) -> int:
    """Print ``findings`` (JSON: one object; text: a table of ``columns``); the exit code."""
    rows = [facts(finding) for finding in findings]
    events = sum(s.rows for s in series)
    if app.json:
        app.emit(
            {
                "schema": 1,
                "ok": not rows,
                "series": len(series),
                "rows": events,
                "findings": rows,
            }
        )
    else:
        if rows:
            app.table(columns, [[row[name] for name in columns] for row in rows])
        outcome = f"{len(rows):,} found" if rows else "nothing found"
        app.say(f"{len(series)} series, {events:,} rows: {outcome}")
    return EXIT_FINDING if rows else EXIT_OK
