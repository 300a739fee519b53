"""Snapshots and pieces of record tables: what is on the disk is right, or is not used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from data.errors import CorruptFileError
from data.events import RECORDS, numpy_dtype
from engine.runtime.runs import RunFolder, exchanged, sweep
from engine.runtime.session_state import (
    PIECES_MAX,
    RecordPieces,
    Snapshot,
    read_snapshot,
    snapshots,
    write_snapshot,
)


def rows(first: int, n: int) -> np.ndarray:
    made = np.zeros(n, dtype=numpy_dtype(RECORDS["decision"]))
    made["id"] = np.arange(first, first + n)
    return made


def ids(pieces: RecordPieces, stop: int) -> list[int]:
    return [int(i) for part in pieces.read("decision", stop) for i in part["id"]]


def test_a_snapshot_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    for seq in (10, 20, 30):
        write_snapshot(tmp_path, Snapshot(seq, {"x": [seq]}, {"A": b"a" * seq, "B": b""}))
    found = snapshots(tmp_path)
    assert [int(p.stem) for p in found] == [30, 20]
    assert read_snapshot(found[0]) == Snapshot(30, {"x": [30]}, {"A": b"a" * 30, "B": b""})


def test_every_flipped_byte_and_every_cut_is_seen(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path, Snapshot(7, {"k": 1}, {"A": bytes(range(40))}))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 64]) + whole[at + 1 :])
        with pytest.raises(CorruptFileError):
            read_snapshot(path)
        path.write_bytes(whole[:at])
        with pytest.raises(CorruptFileError):
            read_snapshot(path)


def test_pieces_are_one_table(tmp_path: Path) -> None:
    pieces = RecordPieces(tmp_path / "BTC")
    for at in range(0, 40 * 5, 5):
        pieces.write("decision", at, [rows(at, 3), rows(at + 3, 2)])
    assert ids(pieces, 200) == list(range(200))
    assert ids(pieces, 137) == list(range(137))
    pieces.tidy()
    assert len(list((tmp_path / "BTC").iterdir())) <= PIECES_MAX
    assert ids(pieces, 200) == list(range(200))


def test_a_piece_of_a_checkpoint_that_was_not_finished_is_written_again(tmp_path: Path) -> None:
    pieces = RecordPieces(tmp_path)
    pieces.write("decision", 0, [rows(0, 10)])
    pieces.write("decision", 10, [rows(10, 4)])  # then the process died, before its snapshot
    pieces.write("decision", 10, [rows(10, 9)])
    assert ids(pieces, 19) == list(range(19))
    with pytest.raises(CorruptFileError, match="missing"):
        ids(pieces, 20)


def test_a_run_is_replaced_whole(tmp_path: Path) -> None:
    for n in range(3):
        folder = RunFolder(tmp_path)
        (folder.path / "decisions.parquet").write_bytes(bytes([n]))
        folder.replace("session", {"n": n})
    assert [p.name for p in tmp_path.iterdir()] == ["session"]
    assert (tmp_path / "session" / "decisions.parquet").read_bytes() == bytes([2])
    assert '"n": 2' in (tmp_path / "session" / "manifest.json").read_text(encoding="utf-8")
    assert sweep(tmp_path) == 0


@pytest.mark.skipif(os.uname().sysname != "Linux" if hasattr(os, "uname") else True,
                    reason="renameat2 is a call of Linux")  # fmt: skip
def test_folders_are_exchanged_in_one_step(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchanged(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists() and (tmp_path / "b" / "a").exists()
    assert not exchanged(tmp_path / "a", tmp_path / "missing")
