"""Going on after a stop or a crash: the last good snapshot, and every event since it folded again.

Owns :func:`recover`. What must hold: afterwards each fold stands as if it had folded the session's
log without a break up to the last event on the disk; the records that this gives are compared with
those that the process before wrote down, and a difference is a loud error, because then the log
does not explain what was decided; records that it had no time to write are written now.

The order: a snapshot at event C; the sealed log from C to S; the journal from S on. A snapshot that
is damaged, or whose records are not all there, is passed over for the one before, and at worst
everything is folded again from the first event.

It refuses to know how a session goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from data.errors import CorruptFileError, DataError
from data.events import RECORDS
from data.journal import Records, read_frames
from data.live.reopen import Opened, groups_after
from data.log import LogReader
from engine.kernel.events import READ_COLUMNS
from engine.runtime.compose import OF_EXECUTION
from engine.runtime.records import packed
from engine.runtime.session_fold import LiveFold
from engine.runtime.session_folds import Folds
from engine.runtime.session_state import Snapshot, read_snapshot, snapshots

Wrote = dict[tuple[int, str], list[np.ndarray]]
"""Rows by number of the series and record table."""


@dataclass
class Recovery:
    """What was done: the snapshot's event (0: none), the last event folded, how many records were
    compared and how many written that were missing, and why snapshots were passed over."""

    snapshot_seq: int = 0
    last_seq: int = 0
    compared: int = 0
    written: int = 0
    passed_over: list[str] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)


def recover(folds: Folds, opened: Opened) -> Recovery:
    """Bring ``folds`` (fresh ones) to the last event of ``opened``.

    DataError where the log does not give the records that were written; CorruptFileError where log
    or journal is damaged.
    """
    done = Recovery(last_seq=opened.last_seq)
    for live in folds.lives:
        live.heard = None
    start = _restore(folds, done)
    compared_from = max(start, opened.floor)
    _fold_sealed(folds, opened, start, min(compared_from, opened.sealed))
    made: Wrote = {}
    for live in folds.lives:
        live.heard = _keeping(made, live.number)
    _fold_sealed(folds, opened, max(compared_from, start), opened.sealed)
    for group in groups_after(opened.journal.folder, max(opened.sealed, start)):
        for number in folds.concerned(group):
            folds.lives[number].feed_group(group)
    folds.seq = opened.last_seq
    wrote: Wrote = {}
    for frame in read_frames(opened.journal.folder, compared_from):
        if isinstance(frame, Records):
            wrote.setdefault((frame.series, frame.table), []).append(frame.rows)
    for key in sorted(made.keys() | wrote.keys()):
        _settle(key, made.get(key, []), wrote.get(key, []), folds, opened, done)
    for live in folds.lives:
        live.heard = folds.listener(live.number)
    return done


def _restore(folds: Folds, done: Recovery) -> int:
    """The event of the latest snapshot that can be used; the folds stand there. 0 where none."""
    for path in snapshots(folds.places.state):
        try:
            snapshot = read_snapshot(path)
            _put(folds, snapshot)
        except CorruptFileError as error:
            done.passed_over.append(f"{path.name}: {error.why or error.what}")
            continue
        done.snapshot_seq = snapshot.seq
        done.extra = dict(snapshot.facts.get("extra", {}))
        return snapshot.seq
    for live in folds.lives:
        live.reset()
    return 0


def _put(folds: Folds, snapshot: Snapshot) -> None:
    """Take up a snapshot; CorruptFileError where it is of other sources, or lacks records."""
    if snapshot.facts.get("layout") != folds.layout:
        raise CorruptFileError("a snapshot of other sources", why="the engine or settings changed")
    for live in folds.lives:
        symbol = live.series.symbol
        facts = snapshot.facts["symbols"][symbol]
        rows: dict[str, int] = facts["rows"]
        records = _records(folds, symbol, rows)
        live.restore(snapshot.states[symbol], facts["sums"], int(facts["first_ns"]), records)
        if live.digest.marks() != facts["marks"] or live.digest.rows != rows:
            raise CorruptFileError("records do not fit their snapshot", why="their hash is another")


def _records(folds: Folds, symbol: str, rows: dict[str, int]) -> Iterator[tuple[str, np.ndarray]]:
    pieces = folds.places.pieces(symbol)
    for name in RECORDS:
        for part in pieces.read(name, rows[name]):
            yield name, part


def _fold_sealed(folds: Folds, opened: Opened, after: int, upto: int) -> None:
    """Fold what is sealed, after < seq <= upto."""
    if upto <= after:
        return
    for live in folds.lives:
        reader = _reader(live, opened, after, upto)
        for batch in reader or ():
            live.feed(batch.columns, batch.run_kind, batch.run_stop)


def _reader(live: LiveFold, opened: Opened, after: int, upto: int) -> LogReader | None:
    """The sealed events of one instrument; None where it has none."""
    s, kinds = live.series, live.fold.composition.kinds
    other, found = live.request.execution, opened.store.catalogue()
    held = found.select(kinds, s.venue, s.symbol)
    if not held and not (other and found.select(OF_EXECUTION, *other)):
        return None
    columns = {kind: READ_COLUMNS[kind] for kind in kinds}
    second = None if other is None else (other, OF_EXECUTION)
    return LogReader(
        opened.store, s.venue, s.symbol, columns, received=(after, upto), second=second
    )


def _keeping(made: Wrote, number: int) -> Callable[[str, np.ndarray], None]:
    def heard(name: str, rows: np.ndarray) -> None:
        made.setdefault((number, name), []).append(rows)

    return heard


def _settle(
    key: tuple[int, str],
    made: list[np.ndarray],
    wrote: list[np.ndarray],
    folds: Folds,
    opened: Opened,
    done: Recovery,
) -> None:
    """Compare what the fold gives with what was written, and write what is missing."""
    number, name = key
    empty = np.zeros(0, dtype=(made or wrote)[0].dtype)
    now, before = np.concatenate([empty, *made]), np.concatenate([empty, *wrote])
    n = len(before)
    if packed(RECORDS[name], now[:n]) != packed(RECORDS[name], before):
        raise _differs(folds.lives[number], name, now, before)
    done.compared += n
    if len(now) > n:
        opened.journal.append_records(number, name, now[n:], opened.last_seq)
        done.written += len(now) - n


def _differs(live: LiveFold, name: str, now: np.ndarray, before: np.ndarray) -> DataError:
    table = RECORDS[name]
    for i, row in enumerate(before):
        if i >= len(now):
            said = "the fold has no such row"
            break
        fields = [f.name for f in table.fields if now[f.name][i] != row[f.name]]
        if fields:
            f = fields[0]
            said = f"{f} was {row[f]}, the fold gives {now[f][i]}"
            break
    return DataError(
        f"the session's log does not give the {table.view} that it wrote",
        where=f"{live.series.symbol}, row {i} since the last checkpoint, ts_ns {row['ts_ns']}",
        why=said,
        do="keep the session's folder and report this; a new session begins with --new",
    )
