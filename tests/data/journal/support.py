"""Makers of groups, and what a journal must give back, said the obvious way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import OfsError
from data.events import EVENTS, RECORDS, Kind, Scales, numpy_dtype
from data.journal import Events, Journal, Records, read_frames
from data.journal.files import Files
from data.live.blocks import Group, Part, Series
from data.log.columns import Rows, list_columns, offsets_name

SERIES = [Series("binance-um", s, Scales(2, 3)) for s in ("BTCUSDT", "ETHUSDT", "XRPUSDT")]
NEVER = {"sync_ms": 1e9, "sync_events": 1 << 40}
"""A journal that syncs only when it is told to."""


def rows_of(kind: Kind, seqs: np.ndarray, levels: int = 3) -> Rows:
    """Rows all of whose numbers are told by ``seq``."""
    columns: dict[str, np.ndarray] = {}
    for place, field in enumerate(EVENTS[kind].fields):
        if field.is_list:
            lengths = seqs % (levels + 1)
            columns[offsets_name(field.name)] = np.concatenate([[0], np.cumsum(lengths)])
            columns[field.name] = np.repeat(seqs, lengths) * 31 + place
        else:
            columns[field.name] = (seqs * 7 + place).astype(field.dtype)
    columns["seq"] = seqs
    columns["recv_ns"] = seqs * 1_000
    return Rows(kind, len(seqs), columns)


def group(first: int, n: int, kinds: Iterable[Kind] = (Kind.TRADE, Kind.DEPTH)) -> Group:
    """``n`` events from ``first`` on, dealt out over ``kinds`` and the three series."""
    seqs = np.arange(first, first + n)
    hands = list(kinds)
    parts = {}
    for place, kind in enumerate(hands):
        mine = seqs[seqs % len(hands) == place]
        if len(mine):
            parts[kind] = Part((mine % len(SERIES)).astype(np.int32), rows_of(kind, mine))
    return Group(first, first + n - 1, parts)


def records(table: str, n: int, seed: int = 0) -> np.ndarray:
    """``n`` rows of a record table, told by ``seed``."""
    rows = np.zeros(n, numpy_dtype(RECORDS[table]))
    for place, name in enumerate(rows.dtype.names or ()):
        rows[name] = (np.arange(n) + seed * 3 + place) % 100
    return rows


def plain(one: Group) -> list[tuple[Any, ...]]:
    """The events one by one, in the order of ``seq``, as values."""
    out = []
    for kind, part in one.parts.items():
        for i in range(part.rows.n):
            row: dict[str, Any] = {"series": int(part.series[i])}
            for name in EVENTS[kind].names:
                if name in list_columns(kind):
                    offsets = part.rows[offsets_name(name)]
                    row[name] = tuple(part.rows[name][offsets[i] : offsets[i + 1]].tolist())
                else:
                    row[name] = int(part.rows[name][i])
            out.append((row["seq"], kind, tuple(row.items())))
    return sorted(out)


def events_in(folder: Path, after_seq: int = 0, files: Files | None = None) -> list[Any]:
    """Everything :func:`read_frames` gives, as values."""
    out: list[Any] = []
    for frame in read_frames(folder, after_seq, files):
        if isinstance(frame, Events):
            out += plain(frame.group)
        else:
            out.append(said(frame))
    return out


def said(frame: Records) -> tuple[Any, ...]:
    """A frame of records as values."""
    return frame.series, frame.table, frame.after_seq, frame.rows.tolist()


def seqs_in(folder: Path, files: Files | None = None) -> list[int]:
    """Sequence numbers of all events, in order of reading."""
    frames = read_frames(folder, files=files)
    return [row[0] for f in frames if isinstance(f, Events) for row in plain(f.group)]


def open_quiet(folder: Path, files: Files | None = None, **more: Any) -> Journal:
    """A journal with its series that syncs only when told to."""
    journal = Journal.open(folder, files=files, **{**NEVER, **more})
    try:
        journal.set_series(SERIES)
    except OfsError:
        journal.close(clean=False)
        raise
    return journal
