"""Runs and generated folds where an open file can be neither synced, replaced nor renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from data import busy
from engine.runtime import fold
from engine.runtime.runs import new_run
from tests.data.log.windows import BusyError

fcntl = pytest.importorskip("fcntl", reason="tells how a file was opened; Windows refuses itself")


@pytest.fixture
def strict_sync(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """fsync as on Windows: EBADF for a file that is not open for writing, or for a folder."""
    real, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        real(descriptor)
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("engine.runtime.runs.FOLDERS_SYNC", False)
    return synced


def refuse(times: int, real: Any) -> Any:
    """``real`` after it was refused so often because a virus scanner looks at the file."""
    left = [times]

    def method(self: Path, target: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise BusyError(str(target), 5)
        return real(self, target)

    return method


def test_a_run_is_synced_through_files_open_for_writing(
    tmp_path: Path, strict_sync: list[int]
) -> None:
    with new_run(tmp_path) as folder:
        (folder.path / "fills.parquet").write_bytes(b"x")
        run = folder.publish("mine", {})
    assert (tmp_path / run / "manifest.json").is_file()
    assert len(strict_sync) == 2


def test_a_run_is_published_when_a_scanner_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_run(tmp_path) as folder:
        monkeypatch.setattr(Path, "rename", refuse(3, Path.rename))
        run = folder.publish("mine", {})
    assert [p.name for p in tmp_path.iterdir()] == [run]


def test_a_generated_fold_that_somebody_imports_is_replaced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "fold.py"
    target.write_text("old", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", refuse(2, Path.replace))
    fold.publish_source(target, "new\n")
    assert target.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_fold_that_another_process_has_just_written_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write the same text: it does not matter whose rename wins."""
    monkeypatch.setattr(busy, "WAIT_S", 0.1)
    target = tmp_path / "fold.py"
    target.write_bytes(b"same\n")
    monkeypatch.setattr(Path, "replace", refuse(1_000, Path.replace))
    fold.publish_source(target, "same\n")
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(BusyError):
        fold.publish_source(target, "other\n")
