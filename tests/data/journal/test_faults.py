"""The disk says no, at the n-th call, for every n: nothing acknowledged is lost, and it goes on."""

from __future__ import annotations

import errno
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from data.errors import JournalError, JournalFullError, OfsError
from data.events import Kind
from data.journal import Journal, check, look
from data.journal.files import Files, append_all
from tests.data.journal.disks import FaultyFiles, MemoryFiles
from tests.data.journal.support import SERIES, events_in, group, open_quiet, plain, records, seqs_in

STEPS = 60


class Session:
    """Appends, waits, rolls and drops, and knows what it was promised."""

    def __init__(self, folder: Path, files: Files) -> None:
        self.folder, self.files = folder, files
        self.acked = self.sealed = 0
        self.paused = 0
        self.end = ""

    def run(self) -> None:
        """Go on as a recorder does: pause while the disk is full, end where it is broken."""
        try:
            journal = open_quiet(self.folder, self.files, segment_bytes=9_000)
        except OfsError as error:
            self.end = type(error).__name__
            return
        try:
            while journal.written_seq < STEPS * 10 and self.paused < 5:
                self._step(journal)
            journal.close()
            self.acked = journal.synced_seq
        except JournalError:
            self.end = "JournalError"
            with pytest.raises(JournalError):
                journal.append(group(journal.written_seq + 1, 1))
        finally:
            self.acked = max(self.acked, journal.synced_seq)
            journal.close(clean=False)

    def _step(self, journal: Journal) -> None:
        first = journal.written_seq + 1
        before = journal.bytes
        try:
            journal.append(group(first, 10, [Kind.TRADE]))
            if first % 30 == 1:
                journal.append_records(0, "order", records("order", 1), first + 9)
            if first % 50 == 1:
                journal.note({"at": first})
            if first % 70 == 1:
                self.sealed = journal.synced_seq
                journal.drop(self.sealed)
        except JournalFullError as error:
            assert error.exit_code == 4
            self.paused += 1
            assert journal.bytes >= before
        if first % 40 == 1:
            assert journal.wait_synced(journal.written_seq, 5.0)
            self.acked = journal.synced_seq


def survived(session: Session, folder: Path, content: MemoryFiles) -> None:
    """Everything promised is there, whole, and the next session goes on."""
    healthy = MemoryFiles(content.content)
    found = check(folder, healthy)
    assert found.last_seq >= session.acked
    seqs = seqs_in(folder, healthy)
    assert seqs == list(range(seqs[0], found.last_seq + 1)) if seqs else not session.acked
    assert not seqs or seqs[0] <= session.sealed + 1
    journal = open_quiet(folder, healthy)
    journal.append(group(found.last_seq + 1, 5))
    journal.close()
    assert check(folder, healthy).last_seq == found.last_seq + 5


@pytest.mark.campaign
@pytest.mark.parametrize("always", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_the_nth_call_fails(tmp_path: Path, code: int, always: bool) -> None:
    """The short form takes every third call."""
    ends: Counter[str] = Counter()
    for fail_at in range(1, 400, 1 if os.environ.get("OFS_CAMPAIGN") else 3):
        files = FaultyFiles(fail_at, code, always, leave=fail_at * 37 % 700)
        session = Session(tmp_path, files)
        session.run()
        survived(session, tmp_path, files)
        ends[session.end or ("paused" if session.paused else "ran")] += 1
        if not files.failures:
            break
    else:
        raise AssertionError("a session makes more calls than were tried")
    if code == errno.EIO:
        assert set(ends) <= {"JournalError", "ran"} and ends["JournalError"] > 20
    else:
        assert ends["paused"] > 20 and ends["JournalFullError"]


def test_short_writes_are_continued(tmp_path: Path) -> None:
    for short in (1, 7, 64, 1000):
        files = FaultyFiles(0, errno.EIO)
        files.short = short
        journal = open_quiet(tmp_path, files)
        for first in range(1, 61, 20):
            journal.append(group(first, 20))
        journal.close()
        assert check(tmp_path, files).clean
        assert seqs_in(tmp_path, files) == list(range(1, 61))


def test_a_disk_that_takes_nothing_is_broken(tmp_path: Path) -> None:
    files = FaultyFiles(0, errno.EIO)
    files.short = 0
    with pytest.raises(OSError, match="no more bytes"):
        append_all(files, files.open(tmp_path / "x", new=True), b"abc")


def test_a_half_written_frame_that_cannot_be_taken_back_is_fatal(tmp_path: Path) -> None:
    class Stuck(FaultyFiles):
        stuck = False

        def truncate(self, handle: object, size: int) -> None:
            if self.stuck:
                raise OSError(errno.EIO, "injected")
            super().truncate(handle, size)

    files = Stuck(0, errno.ENOSPC, leave=100)
    journal = open_quiet(tmp_path, files)
    journal.append(group(1, 10))
    journal.sync()
    files.fail_at, files.stuck = files.calls + 1, True
    with pytest.raises(JournalError, match="taken back"):
        journal.append(group(11, 10))
    with pytest.raises(JournalError):
        journal.close()
    found = look(tmp_path, MemoryFiles(files.content))
    assert (found.last_seq, found.torn_bytes) == (10, 100)


def test_a_full_disk_takes_more_once_there_is_space(tmp_path: Path) -> None:
    files = FaultyFiles(0, errno.ENOSPC, leave=11)
    journal = open_quiet(tmp_path, files)
    journal.append(group(1, 10))
    size = journal.bytes
    files.fail_at, files.always = 1, True
    for _ in range(3):
        with pytest.raises(JournalFullError, match="no space"):
            journal.append(group(11, 10))
        with pytest.raises(JournalFullError):
            journal.set_series([*SERIES, SERIES[0]])
        with pytest.raises(JournalFullError):
            journal.roll()
        assert (journal.bytes, journal.written_seq, journal.synced_seq) == (size, 10, 10)
    files.always = False
    assert journal.roll()[-1].last_seq == 10
    expected = plain(group(1, 10)) + plain(group(11, 20))
    journal.append(group(11, 20))
    journal.close()
    assert events_in(tmp_path, files=files) == expected
    assert check(tmp_path, files).series == SERIES


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the limits of POSIX")
def test_a_real_disk_that_takes_half_a_frame(tmp_path: Path) -> None:
    """The kernel writes up to the limit of a file's size and then says EFBIG."""
    resource = pytest.importorskip("resource")
    journal = open_quiet(tmp_path)
    journal.append(group(1, 100))
    journal.sync()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.bytes + 1_000, before[1]))
    try:
        with pytest.raises(JournalFullError):
            journal.append(group(101, 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "00000001.wal").stat().st_size == journal.bytes
    journal.append(group(101, 100))
    journal.close()
    assert seqs_in(tmp_path) == list(range(1, 201))


def test_a_journal_that_cannot_begin_lets_the_lock_go(tmp_path: Path) -> None:
    for fail_at in (1, 2):
        with pytest.raises(JournalFullError):
            Journal.open(tmp_path, files=FaultyFiles(fail_at, errno.ENOSPC))
    for fail_at in (1, 2, 3, 4, 5):
        with suppress(JournalError):
            Journal.open(tmp_path, files=FaultyFiles(fail_at, errno.EIO)).close(clean=False)
    Journal.open(tmp_path).close()
