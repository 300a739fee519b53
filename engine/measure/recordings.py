"""Recordings in the table: what each detector says of markets whose truth nobody knows.

Owns the rows of a log's series: events and events an hour, in both modes, by source. Nothing is
planted there, so nothing is right or wrong. It refuses to know where a series came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from data.events import NS, Kind
from data.log import LogReader, LogStore
from engine.kernel.events import READ_COLUMNS
from engine.measure.bench import NOTHING
from engine.measure.detectors import PLANTED, SEED_SETTINGS, WITH_SEED, refused, without_truth
from engine.measure.listen import KINDS, Heard, Listener, through
from engine.measure.match import onsets
from engine.measure.score import Tally, figures

STEP_NS = 5 * NS


def listen_all(
    store: LogStore, listener: Listener, modes: Iterable[str], sources: Iterable[str]
) -> list[dict[str, Any]]:
    """Rows of every series of ``store`` that has what a source needs, in order of their names."""
    have: dict[tuple[str, str], set[Kind]] = {}
    for s in store.series():
        have.setdefault((s.venue, s.symbol), set()).add(s.kind)
    return [
        row
        for (venue, symbol), kinds in sorted(have.items())
        for source in sources
        for mode in modes
        if (Kind.BAR if source == "bar_proxy" else Kind.TRADE) in kinds
        for row in _rows(store, listener, (venue, symbol), kinds, mode, source)
    ]


def heard_of(
    store: LogStore, listener: Listener, series: tuple[str, str], kinds: set[Kind], mode: str,
    source: str,
) -> tuple[Heard, float]:  # fmt: skip
    """What was heard of one series (venue, symbol), and the hours that it covers."""
    wanted = {k: READ_COLUMNS[k] for k in KINDS[source] if k in kinds}
    reader = LogReader(store, *series, wanted)
    settings = SEED_SETTINGS if mode == "seed" else {}
    fold, sink = listener.fold(reader.scales, settings, source)
    first, last = 0, 0
    for batch in reader:
        for columns in batch.columns.values():
            if len(columns["ts_ns"]):
                first = first or int(columns["ts_ns"][0])
                last = max(last, int(columns["ts_ns"][-1]))
        fold.feed(through(batch.columns, source), batch.run_kind, batch.run_stop)
    fold.finish()
    return sink.heard(listener.detectors(source)), (last - first) / NS / 3_600


def _rows(
    store: LogStore, listener: Listener, series: tuple[str, str], kinds: set[Kind], mode: str,
    source: str,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    heard, hours = heard_of(store, listener, series, kinds, mode, source)
    names = [d.signal for d in PLANTED]
    names += without_truth(listener.detectors(source))
    for name in names:
        if mode == "seed" and name not in WITH_SEED:
            continue
        events = onsets(heard.of(name), STEP_NS)
        yield {
            "detector": name,
            "mode": mode,
            "side_source": source,
            "generator": f"recording:{series[0]}/{series[1]}",
            "variation": "base",
            "seeds": 0,
            "hours": round(hours, 3),
            "refused": refused(name, source) and not len(events),
            "events": len(events),
            "up": int(np.sum(events["direction"] > 0)),
            **figures([Tally()]),
            **NOTHING,
            "events_per_hour": round(len(events) / hours, 4) if hours else None,
        }
