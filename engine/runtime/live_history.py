"""What a live session has asked and been told so far, read back from its own log.

Owns the reading: every intent, from the record tables and the journal, and every event of the
broker, from the sealed log and the journal. What must hold: the intents come before the events that
answer them, each kind in its order, so that :func:`engine.runtime.gateway_state.followed` has the
ledger that the process before had.

It refuses to know what a ledger is used for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data.enums import Kind
from data.events import EVENTS
from data.live.reopen import Opened, groups_after
from data.log import LogReader
from engine.runtime.gateway_state import BrokerRow, Intent
from engine.runtime.session_folds import Folds

COLUMNS = tuple(f.name for f in EVENTS[Kind.BROKER].fields)
INTENT = "intent"


def history(folds: Folds, opened: Opened, execution: Mapping[int, int]
            ) -> Iterator[Intent | BrokerRow]:  # fmt: skip
    """All intents of all folds, then all rows of the broker; ``execution`` is the number of the
    series that executes by that of the fold."""
    for live in folds.lives:
        since = live.since_cut(INTENT)
        kept = live.digest.rows[INTENT] - sum(len(rows) for rows in since)
        for rows in (*folds.places.pieces(live.series.symbol).read(INTENT, kept), *since):
            for row in rows:
                yield Intent.of(live.number, row)
    owner = {e: n for n, e in execution.items()}
    for live in folds.lives:
        number = execution.get(live.number, live.number)
        yield from _sealed(opened, live.number, number)
    for group in groups_after(opened.journal.folder, opened.sealed):
        part = group.parts.get(Kind.BROKER)
        if part is None:
            continue
        for at in range(part.rows.n):
            series = int(part.series[at])
            row = {name: part.rows[name][at] for name in COLUMNS}
            yield BrokerRow.of(owner.get(series, series), series, row)


def _sealed(opened: Opened, fold: int, number: int) -> Iterator[BrokerRow]:
    """Rows of one execution series that are in Parquet."""
    s = opened.series[number]
    if not opened.store.catalogue().select((Kind.BROKER,), s.venue, s.symbol):
        return
    wanted = {Kind.BROKER: COLUMNS}
    reader = LogReader(opened.store, s.venue, s.symbol, wanted, received=(0, opened.sealed))
    for batch in reader:
        columns = batch.columns[Kind.BROKER]
        for at in range(len(columns["ts_ns"])):
            row = {name: columns[name][at] for name in COLUMNS}
            yield BrokerRow.of(fold, number, row)
