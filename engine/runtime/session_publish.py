"""Publishing a session as an ordinary run, as of one event.

Owns the run's manifest and its files. What must hold: the run in the folder of runs is one that
``ofs verify`` folds again to the same records: it names the session's log, the last event, and what
stood open then; a checkpoint takes the place of the one before it as a whole.

It refuses to know when checkpoints are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data.events import RECORDS
from data.log import LogStore
from data.runs import Run
from engine.report.statistics import headline, summarise
from engine.report.tables import write_statistics
from engine.runtime.records import TableWriter
from engine.runtime.replay import Outcome, manifest, open_reader
from engine.runtime.runs import RunFolder
from engine.runtime.session_fold import Cut, LiveFold
from engine.runtime.session_state import RecordPieces
from engine.runtime.usage import Stopwatch


@dataclass
class Draft:
    """A run as of one event, before its files of the log are known."""

    live: LiveFold
    cut: Cut
    content: dict[str, Any]
    upto_seq: int


def draft(live: LiveFold, cut: Cut, upto_seq: int, session: str, log: Path,
          watch: Stopwatch, command: str = "paper") -> Draft:  # fmt: skip
    """The manifest as the fold stands now; call it before another event is folded."""
    request = replace(live.request, upto_seq=upto_seq)
    s = live.series
    outcome = Outcome(
        live.fold, live.settings, s.venue, s.symbol, s.scales, "", [], live.first_ns,
        int(live.fold.state["core"]["event_ns"][0]) + 1, watch.wall_s, watch.cpu_s, None,
        live.plans,
    )  # fmt: skip
    content = manifest(outcome, request, str(log.resolve()), cut.digest.hexdigest(), cut.totals,
                       cut.digest.rows)  # fmt: skip
    return Draft(live, cut, {**content, "command": command, "session": session}, upto_seq)


def publish(d: Draft, store: LogStore, runs: Path, run: str, pieces: RecordPieces,
            crash_point: Callable[[str], None] = lambda _name: None) -> bool:  # fmt: skip
    """Write the run of ``d`` over the one called ``run``; False where nothing was folded yet.

    The log must be sealed up to the draft's event, and ``pieces`` hold its records. ``crash_point``
    is called between the steps (tests end the process there).
    """
    if not d.content["counts"]["events"]:
        return False
    request = replace(d.live.request, upto_seq=d.upto_seq)
    reader = open_reader(
        store, d.live.fold.composition, d.live.settings, request, d.live.series.venue,
        d.live.series.symbol, ahead=False,
    )  # fmt: skip
    d.content["log"] |= {
        "content_hash": reader.content_hash(),
        "entries": [{"path": e.path, "sha256": e.sha256, "rows": e.rows} for e in reader.entries],
    }
    folder = RunFolder(runs)
    try:
        _write_tables(d, folder.path, pieces)
        figures = summarise(Run(folder.path.name, folder.path, d.content), runs=runs)
        write_statistics(folder.path, figures)
        d.content["statistics"] = headline(figures)
        crash_point("run written")
        folder.replace(run, d.content)
    finally:
        if not folder.run:
            folder.abandon()
    return True


def _write_tables(d: Draft, folder: Path, pieces: RecordPieces) -> None:
    for name, table in RECORDS.items():
        writer = TableWriter(folder / f"{table.view}.parquet", table)
        try:
            for rows in pieces.read(name, d.cut.rows[name]):
                writer.take(rows)
            for rows in d.cut.tail.get(name, ()):
                writer.take(rows)
        except BaseException:
            writer.abandon()
            raise
        writer.close()


def run_name(session: str, symbol: str, symbols: int) -> str:
    """Id of the run of one symbol: the session's own where it has only that one."""
    return session if symbols == 1 else f"{session}-{symbol}"
