"""``ofs log ls``: what the log holds, from its catalogue alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli import common
from cli.common import App
from data.errors import EXIT_DATA
from data.times import format_utc

if TYPE_CHECKING:
    from data.log import LogStore


@common.command(
    "ls", examples=("ofs log ls", "ofs log ls --symbol BTCUSDT --json", "ofs log ls --kinds trade")
)
@common.series_options
def command(app: App, venue: str | None, symbol: str | None, kinds: tuple[str, ...]) -> int:
    """List what the log holds, one line for each venue, symbol and kind.

    Nothing but the catalogue is read. A file that cannot be used is named on stderr and ends with
    exit code 4; the others are listed.
    """
    store = app.open_log()
    catalogue = store.catalogue()
    from data.events import EVENTS

    rows = [
        {
            "venue": s.venue,
            "symbol": s.symbol,
            "kind": EVENTS[s.kind].name,
            "from": format_utc(s.min_ts_ns),
            "to": format_utc(s.max_ts_ns),
            "files": s.files,
            "rows": s.rows,
            "bytes": s.bytes,
            "bytes_per_row": round(s.bytes / s.rows, 2) if s.rows else None,
            "gaps": s.gaps,
        }
        for s in catalogue.series()
        if common.chosen(s.venue, s.symbol, EVENTS[s.kind].name, venue, symbol, kinds)
    ]
    if app.json:
        app.emit(rows)
    elif rows:
        app.table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        app.say(f"the log at {app.log} holds nothing of that")
    for session in _unsealed(store, app.log):
        app.say(f"note: what {session} recorded last is in its journal yet; it is sealed by the "
                "hour, and when the recording stops or the next one begins")  # fmt: skip
    for broken in catalogue.broken:
        app.say(f"error: cannot use {store.storage.name(broken.path)}: {broken.why}")
    return EXIT_DATA if catalogue.broken else 0


def _unsealed(store: LogStore, log: str) -> list[str]:
    """Sessions, running or dead, with events in their journals that are in no file of the log."""
    if "://" in log:
        return []
    from data.live.reopen import groups_after, left_behind, live_folder
    from data.log.seal import sealed_upto

    return [
        name
        for name in left_behind(Path(log))
        if next(groups_after(live_folder(Path(log)) / name, sealed_upto(store, name)), None)
    ]
