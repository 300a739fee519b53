"""The life of a recording: what its own small file cannot hold ends no recording."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from data.live import run as module
from data.live import session_folder
from data.live.items import Ended
from data.live.run import UNTIL_END, Ends, run
from data.live.session_folder import SessionFolder, open_session
from tests.data.live.test_recorder import ListFeed, begin, logged, market


def test_a_full_disk_under_the_facts_of_a_session_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOCK_EVERY_S", 0.0)
    folder = SessionFolder.create(tmp_path / "runs", "record", "", {})
    recorder = begin(tmp_path / "log", ListFeed([*market(90), Ended(10**9)], cut=lambda: 10))
    real, turns = session_folder.replace, 0

    def full(*_what: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    def each() -> None:
        nonlocal turns
        turns += 1
        if turns == 4:
            assert folder.behind
            monkeypatch.setattr(session_folder, "replace", real)

    def started() -> None:
        SessionFolder.started(folder)
        monkeypatch.setattr(session_folder, "replace", full)

    monkeypatch.setattr(folder, "started", started)
    assert run(recorder, folder, Ends(until_end=True), each) == UNTIL_END
    kept = open_session(folder.path).facts
    assert kept["began_ns"]
    assert kept["clock"]
    assert not folder.behind
    assert logged(tmp_path / "log")[1] == list(range(1, 91))
