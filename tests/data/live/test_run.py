"""The life of a recording: what its own small file cannot hold ends no recording."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from data.live import run as module
from data.live import session_folder
from data.live.items import Ended
from data.live.keep import GIVEN_UP, DiskLimits, Keeper
from data.live.run import UNTIL_END, Ends, run
from data.live.session_folder import SessionFolder, open_session
from tests.data.live.test_recorder import ListFeed, begin, finish, logged, market


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


def test_what_a_day_holds_already_counts_from_the_first_turn_on(tmp_path: Path) -> None:
    """A restart on a day whose bytes are spent: nothing more of it is let in, and that is known
    before the first event, not after the first sealing."""
    log = tmp_path / "log"
    first = begin(log, ListFeed(market(90)))
    while first.step(0):
        pass
    finish(first)
    size = sum(entry.bytes for entry in first.opened.store.catalogue().entries)
    again = begin(log, ListFeed([Ended(10**9)]))
    again.keeper = Keeper(again.opened.store, DiskLimits(0, day_bytes=size // 2), lambda: 1 << 40)
    levels: list[int] = []
    folder = SessionFolder.create(tmp_path / "runs", "record", "", {})
    run(again, folder, Ends(until_end=True), lambda: levels.append(again.level.number))
    assert again.keeper.facts.log_bytes >= size
    assert levels[0] == len(GIVEN_UP)
