"""Snapshots of a session and the records up to them, on disk.

Owns the folder ``state/`` of a session: ``NNNNNNNNNNNN.snap`` (the states of all folds and what
belongs to them, as of one ``seq``) and ``records/<SYMBOL>/<table>-<first>-<stop>.parquet`` (the
record tables in pieces, one a checkpoint, joined into one now and then). What must hold: a file is
written beside, synced and renamed; a snapshot is used only when its checksum is right and every
record up to it is there; the last two snapshots are kept, older files go.

It refuses to know what a state means.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.busy import replace
from data.errors import CorruptFileError
from data.events import RECORDS
from engine.runtime.records import TableWriter, read_rows
from engine.runtime.runs import sync_folder

MAGIC = b"OFSSNAP1"
KEPT = 2
"""Snapshots that are kept: a bad last one is no loss."""

PIECES_MAX = 24
"""Pieces of a table after which they are joined into one."""

_HEAD = struct.Struct("<8sIQI")
"""Magic, length of the JSON, length of the states, CRC-32 of both."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session as of event ``seq``: ``facts`` (JSON) and the state of each fold by symbol."""

    seq: int
    facts: dict[str, Any]
    states: dict[str, bytes]


def write_snapshot(folder: Path, snapshot: Snapshot) -> Path:
    """Write beside, sync, rename; then remove all but the last KEPT."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {symbol: len(state) for symbol, state in snapshot.states.items()}
    content = {"seq": snapshot.seq, "sizes": sizes, **snapshot.facts}
    text = json.dumps(content, ensure_ascii=False).encode()
    body = b"".join(snapshot.states.values())
    head = _HEAD.pack(MAGIC, len(text), len(body), zlib.crc32(body, zlib.crc32(text)))
    path = folder / f"{snapshot.seq:012d}.snap"
    beside = path.with_suffix(".tmp")
    with beside.open("wb") as file:
        for part in (head, text, body):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    replace(beside, path)
    sync_folder(folder)
    for old in sorted(folder.glob("*.snap"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot in ``path``; CorruptFileError where it is not what was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _bad(path, str(error)) from error
    if len(content) < _HEAD.size:
        raise _bad(path, "it is too short")
    magic, text_bytes, body_bytes, crc = _HEAD.unpack_from(content)
    rest = content[_HEAD.size :]
    if magic != MAGIC or len(rest) != text_bytes + body_bytes or zlib.crc32(rest) != crc:
        raise _bad(path, "its checksum is wrong")
    facts = json.loads(rest[:text_bytes])
    states, at = {}, text_bytes
    for symbol, size in facts.pop("sizes").items():
        states[symbol] = rest[at : at + size]
        at += size
    return Snapshot(facts.pop("seq"), facts, states)


def snapshots(folder: Path) -> list[Path]:
    """Files of snapshots, the latest first."""
    return sorted(folder.glob("*.snap"), reverse=True)


def _bad(path: Path, why: str) -> CorruptFileError:
    return CorruptFileError("a snapshot cannot be used", where=str(path), why=why)


class RecordPieces:
    """The record tables of one symbol in ``folder``, in pieces that follow each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, first: int, new: list[np.ndarray]) -> None:
        """Keep ``new``, the rows of table ``name`` from row ``first`` on; synced on return."""
        rows = sum(len(x) for x in new)
        if not rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        stop = first + rows
        joined = len(self._pieces(name)) >= PIECES_MAX
        path = self.folder / f"{name}-{0 if joined else first:09d}-{stop:09d}.parquet"
        beside = path.with_suffix(".tmp")
        writer = TableWriter(beside, RECORDS[name])
        try:
            for part in self.read(name, first) if joined else ():
                writer.take(part)
            for part in new:
                writer.take(part)
        except BaseException:
            writer.abandon()
            raise
        writer.close()
        with beside.open("r+b") as file:
            os.fsync(file.fileno())
        replace(beside, path)
        sync_folder(self.folder)

    def read(self, name: str, stop: int) -> Iterator[np.ndarray]:
        """The first ``stop`` rows of table ``name``; CorruptFileError where some are missing."""
        at = 0
        pieces = self._pieces(name)
        while at < stop:
            fits = [p for p in pieces if p[0] == at and p[1] > at]
            if not fits:
                raise CorruptFileError(
                    f"rows of table {name} are missing",
                    where=str(self.folder),
                    why=f"none of its files begins at row {at:,} of {stop:,}",
                )
            for rows in read_rows(max(fits, key=lambda p: p[1])[2], RECORDS[name]):
                wanted = rows[: stop - at]
                at += len(wanted)
                yield wanted
                if at >= stop:
                    return

    def tidy(self) -> None:
        """Remove pieces that a joined one has taken in."""
        for name in RECORDS:
            pieces = self._pieces(name)
            joined = max((p[1] for p in pieces if p[0] == 0), default=0)
            for first, stop, path in pieces:
                if stop <= joined and (first, stop) != (0, joined):
                    path.unlink(missing_ok=True)

    def _pieces(self, name: str) -> list[tuple[int, int, Path]]:
        found = []
        for path in sorted(self.folder.glob(f"{name}-*-*.parquet")):
            _, first, stop = path.stem.split("-")
            found.append((int(first), int(stop), path))
        return found
