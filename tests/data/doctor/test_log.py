"""The quick look at a log: damage of every sort, commits under way, who writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import replays
from data.doctor import log
from data.doctor.lines import Line, Status
from data.errors import CorruptFileError, LockedError
from data.log import LogStore
from data.log.journal import STAGING, Journal
from data.log.quick import quick_check

DAY = "venue=synthetic/symbol=BTCUSDT/date=2026-01-05/data.parquet"
HOLDS = """
import sys
from data.log import LogStore
with LogStore(sys.argv[1]).storage.lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(replays.path(), tmp_path / "log"))


def look(root: Path) -> Line:
    return log.integrity(lambda: LogStore(root))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    """One bit in the middle: the footer and the size stay as they are."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def smash_footer(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-200:-8] = bytes(192)
    file.write_bytes(content)


def swap(file: Path) -> None:
    """Another file of the log in its place, with its size."""
    size = file.stat().st_size
    other = file.parents[4] / "kind=bar" / DAY
    file.write_bytes(other.read_bytes().ljust(size, b"\0")[:size])


def test_a_log_that_is_whole(root: Path) -> None:
    line = look(root)
    assert line.status == Status.OK and "3 files, 550,773 events" in line.fact
    assert line.numbers["files_hashed"] == line.numbers["footers_read"] == 3


@pytest.mark.parametrize(
    ("harm", "says"),
    [(cut, "bytes"), (flip, "sha256"), (smash_footer, ""), (swap, "")],
)  # fmt: skip
def test_damage_is_found_and_named(root: Path, harm: Callable[[Path], None], says: str) -> None:
    harm(root / "kind=depth" / DAY)
    for _ in range(2):  # and it is still found the next time
        line = look(root)
        assert line.status == Status.FAIL and f"kind=depth/{DAY}" in line.fact and says in line.fact
        assert "import its source again" in line.mend
    assert [fault["path"] for fault in line.numbers["faults"]] == [f"kind=depth/{DAY}"]


def test_files_that_went_away(root: Path) -> None:
    (root / "kind=bar" / DAY).unlink()
    line = look(root)
    assert line.status == Status.WARN and f"kind=bar/{DAY}" in line.fact
    assert "if you deleted them yourself" in line.mend
    assert look(root).status == Status.OK, "the catalogue follows the files"


def test_a_damaged_catalogue_says_how_it_is_made_again(root: Path) -> None:
    (root / "catalogue.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(CorruptFileError) as error:
        look(root)
    assert "made again" in error.value.do


def test_no_log_and_an_empty_one(tmp_path: Path) -> None:
    line = log.integrity(lambda: None)
    assert line.status == Status.WARN and "ofs import" in line.mend
    assert log.writer(lambda: None).status == Status.OK
    empty = log.integrity(lambda: LogStore(tmp_path / "new", create=True))
    assert empty.status == Status.WARN and "no events yet" in empty.fact


def test_only_as_much_is_read_as_was_asked(root: Path) -> None:
    found = quick_check(LogStore(root), sample_bytes=1)
    assert (found.files, found.footers, found.hashed) == (3, 3, 1)
    flip(root / "kind=depth" / DAY)
    late = quick_check(LogStore(root), budget_s=0.0)
    assert (late.footers, late.hashed, late.faults) == (0, 0, [])


def holder(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, encoding="utf-8",
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_one_writer_is_named_while_it_lives(root: Path) -> None:
    asked: Callable[[], LogStore] = lambda: LogStore(root)  # noqa: E731
    assert log.writer(asked).status == Status.OK
    process = holder(root)
    try:
        line = log.writer(asked)
        assert line.status == Status.WARN and f"process {process.pid} on " in line.fact
        assert line.numbers["pid"] == process.pid and "wait" in line.mend
        assert look(root).status == Status.OK, "reading goes on meanwhile"
    finally:
        process.communicate("")
    assert log.writer(asked).numbers == {"pid": None}, "the name that is left behind means nothing"


def test_nothing_is_judged_in_the_middle_of_a_commit(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.log.store.COMMIT_WAIT_S", 0.1)
    (root / STAGING).mkdir()
    facts = Journal(STAGING, [], [f"kind=bar/{DAY}"])
    process = holder(root)
    try:
        text = f'{{"version": 1, "staging": "{facts.staging}", "moves": [], "removes": []}}'
        (root / "_journal.json").write_text(text, encoding="utf-8")
        (root / "kind=bar" / DAY).unlink()
        line = look(root)
        assert line.status == Status.WARN and "commit is under way" in line.fact
    finally:
        process.communicate("")


def test_a_look_at_the_lock_stops_no_import(root: Path) -> None:
    """Readers and the doctor try the lock for an instant; a writer waits that out."""
    from threading import Thread
    from time import sleep

    store = LogStore(root)
    held = store.storage.lock()
    held.__enter__()

    def let_go() -> None:
        sleep(0.15)
        held.__exit__(None, None, None)

    thread = Thread(target=let_go)
    thread.start()
    try:
        with LogStore(root).transaction():
            pass
    except LockedError as error:
        raise AssertionError("an import must wait for an instant") from error
    finally:
        thread.join()


def test_a_lock_that_cannot_be_tried_is_no_failure(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("data.log.storage.Storage.writer", refuse)
    line = log.writer(lambda: LogStore(root))
    assert line.status == Status.OK and "Read-only" in line.fact


def test_a_log_that_is_not_there_is_named() -> None:
    line = log.integrity(lambda: None, "nowhere/log")
    assert line.status == Status.WARN and "nowhere/log" in line.fact
