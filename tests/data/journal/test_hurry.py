"""A barrier that is asked for, and whoever wants to know of each."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from data.errors import JournalError
from data.journal import Journal
from data.journal.files import Files
from tests.data.journal.support import group, open_quiet, records


class Heard:
    """What ``on_synced`` said."""

    def __init__(self, journal: Journal) -> None:
        self.said: list[tuple[int, int]] = []
        self.came = threading.Event()
        self.journal = journal
        journal.on_synced = self

    def __call__(self, seq: int, mark: int) -> None:
        assert (seq, mark) == (self.journal.synced_seq, self.journal.synced_mark)
        self.said.append((seq, mark))
        self.came.set()


def test_a_hurried_journal_does_not_wait_for_its_time(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    heard = Heard(journal)
    journal.append(group(1, 10))
    mark = journal.append_records(0, "intent", records("intent", 1), 10)
    assert not heard.came.wait(0.1)
    journal.hurry()
    assert heard.came.wait(10)
    assert heard.said == [(10, mark)]
    journal.close()


def test_nothing_is_synced_where_nothing_is_written(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    journal.sync()
    heard = Heard(journal)
    journal.hurry()
    assert not heard.came.wait(0.1)
    journal.append(group(1, 10))
    assert not heard.came.wait(0.1)  # and the hurry of before is not that of what came after
    journal.close()
    assert heard.said[-1][0] == 10


def test_every_barrier_is_told_whoever_has_it(tmp_path: Path) -> None:
    journal = open_quiet(tmp_path)
    heard = Heard(journal)
    journal.append(group(1, 5))
    journal.sync()
    journal.append(group(6, 5))
    journal.roll()
    journal.append(group(11, 5))
    assert journal.wait_synced(15, 10)
    assert [seq for seq, _ in heard.said] == [5, 10, 15]
    journal.close()


def test_what_comes_during_a_barrier_has_the_next_one(tmp_path: Path) -> None:
    """The bytes of the second group are not behind the barrier that runs while they are written."""

    class Slow(Files):
        held, began, go = threading.Event(), threading.Event(), threading.Event()

        def fdatasync(self, handle: Any) -> None:
            if self.held.is_set():
                self.began.set()
                self.go.wait(10)
            super().fdatasync(handle)

    files = Slow()
    journal = open_quiet(tmp_path, files)
    heard = Heard(journal)
    journal.append(group(1, 5))
    files.held.set()
    journal.hurry()
    assert files.began.wait(10)
    journal.append(group(6, 5))
    journal.hurry()
    files.held.clear()
    files.go.set()
    deadline = time.monotonic() + 10
    while journal.synced_seq < 10 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert [seq for seq, _ in heard.said] == [5, 10]
    journal.close()


def test_a_barrier_that_fails_is_not_told(tmp_path: Path) -> None:
    class Bad(Files):
        bad = False

        def fdatasync(self, handle: Any) -> None:
            if self.bad:
                raise OSError(5, "the disk is gone")
            super().fdatasync(handle)

    files = Bad()
    journal = open_quiet(tmp_path, files)
    heard = Heard(journal)
    journal.append(group(1, 5))
    files.bad = True
    with pytest.raises(JournalError):
        journal.sync()
    assert heard.said == []
    journal.close(clean=False)
