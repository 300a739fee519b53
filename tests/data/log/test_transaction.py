"""Before or complete, never between: crash points, kills, interrupts, two writers."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs as pafs

from data.errors import DataError, LockedError
from data.events import Kind
from data.log import LogReader, LogStore
from data.log.storage import Storage
from tests.data.log.support import (
    DAY,
    MIDNIGHT,
    SCALES,
    SYMBOL,
    VENUE,
    columns,
    files_of,
    leftovers,
    put,
    rows_of_batches,
    trade,
)

ROOT = Path(__file__).parents[3]
BEFORE = [trade(MIDNIGHT + k, id=k + 1) for k in range(20)]
AFTER = [trade(MIDNIGHT + k * DAY // 8, id=100 + k) for k in range(20)]


def ids(store: LogStore) -> list[int]:
    """Every trade id in the log, in order."""
    return [
        r["id"] for _, r in rows_of_batches(LogReader(store, VENUE, SYMBOL, {Kind.TRADE: ("id",)}))
    ]


class CrashError(BaseException):
    """The power goes off; nothing after it is done, not even cleaning up."""


class Crashing(Storage):
    """A file layer that stops doing anything at its n-th change.

    ``torn`` writes half of the bytes at the crash point instead of none.
    """

    CHANGES = ("open_output", "write_bytes", "make_dir", "move", "remove", "remove_tree", "sync",
               "sync_dir")  # fmt: skip

    def __init__(self, where: Path, at: int, torn: bool = False) -> None:
        super().__init__(where)
        self.left, self.torn = at, torn
        self.done: list[str] = []
        self.failure: BaseException = CrashError()
        self.once = False

    def _step(self, name: str) -> None:
        self.left -= 1
        if self.left == -1 or (self.left < 0 and not self.once):
            raise self.failure
        self.done.append(name)


def _guarded(name: str) -> Any:
    original = getattr(Storage, name)

    def call(self: Crashing, path: str, *more: Any) -> Any:
        if name == "write_bytes" and self.torn and self.left == 0:
            (self.local / path).write_bytes(more[0][: len(more[0]) // 2])
        self._step(f"{name} {path}")
        return original(self, path, *more)

    return call


for _name in Crashing.CHANGES:
    setattr(Crashing, _name, _guarded(_name))


def change(store: LogStore) -> None:
    """The transaction under test: two partitions change, one is new, a side file appears."""
    with store.transaction() as tx:
        tx.merge(Kind.TRADE, VENUE, SYMBOL, columns(Kind.TRADE, AFTER), SCALES)
        tx.attach("a.csv", b"x")


def crash_points(tmp_path: Path, torn: bool) -> Iterator[tuple[int, list[int], list[str]]]:
    """(point, ids afterwards, steps that were done) for a crash at every change of the disk."""
    base = tmp_path / "base"
    put(LogStore(base, create=True), Kind.TRADE, BEFORE)
    for point in range(10_000):
        root = tmp_path / "crash"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(base, root)
        layer = Crashing(root, point, torn)
        try:
            change(LogStore.over(layer))
            finished = True
        except CrashError:
            finished = False
        store = LogStore(root)
        yield point, ids(store), layer.done
        # the log works on: the same import can be done again, and nothing is left lying about
        change(store)
        assert ids(store) == sorted([r["id"] for r in BEFORE + AFTER])[:0] + FINAL
        assert (root / "rejects/a.csv").read_bytes() == b"x"
        assert leftovers(root) == []
        if finished:
            return


FINAL = [r["id"] for r in sorted(BEFORE + AFTER, key=lambda r: (r["ts_ns"], r["id"]))]


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_at_any_step_leaves_before_or_after(tmp_path: Path, torn: bool) -> None:
    outcomes = []
    for _, found, done in crash_points(tmp_path, torn):
        committed = "move _journal.json" in " ".join(
            step if "journal" not in step or "move" not in step else "move _journal.json"
            for step in done
        )
        assert found == (FINAL if committed else [r["id"] for r in BEFORE])
        outcomes.append(committed)
    assert outcomes == sorted(outcomes)  # there is one commit point
    assert outcomes.count(False) > 10
    assert outcomes.count(True) > 5


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_any_step_leaves_before_or_after(tmp_path: Path, number: int) -> None:
    """A full disk: the error comes out, the process lives on, and so does the log."""
    for point in range(10_000):
        root = tmp_path / str(point)
        put(LogStore(root, create=True), Kind.TRADE, BEFORE)
        layer = Crashing(root, point)
        layer.failure = OSError(number, os.strerror(number))
        layer.once = True
        store = LogStore.over(layer)
        try:
            change(store)
            assert layer.left >= 0
            return
        except OSError as error:
            assert error.errno == number
        assert ids(store) in ([r["id"] for r in BEFORE], FINAL)
        change(store)
        assert ids(store) == FINAL
        assert leftovers(root) == []


def test_everything_is_synced_before_the_commit_point(tmp_path: Path) -> None:
    layer = Crashing(tmp_path, 10_000)
    change(LogStore.over(layer))
    commit = next(i for i, s in enumerate(layer.done) if s.startswith("move") and "journal" in s)
    written = {s.split()[1] for s in layer.done[:commit] if s.startswith(("open_out", "write_b"))}
    synced = {s.split()[1] for s in layer.done[:commit] if s.startswith("sync ")}
    assert {w for w in written if not w.endswith(".arrow")} <= synced
    folder = next(iter(written)).rpartition("/")[0]
    assert f"sync_dir {folder}" in layer.done[:commit]
    assert layer.done[commit + 1] == "sync_dir "
    moved = [s for s in layer.done[commit + 1 :] if s.startswith("move")]
    assert len(moved) == 5  # three days, the side file, the catalogue


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_exception_in_the_block_leaves_the_log_as_it_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, BEFORE)
    before = files_of(store)
    with pytest.raises(error), store.transaction() as tx:
        tx.merge(Kind.TRADE, VENUE, SYMBOL, columns(Kind.TRADE, AFTER), SCALES)
        raise error
    assert files_of(store) == before
    assert leftovers(tmp_path) == []
    put(store, Kind.TRADE, AFTER)
    assert ids(store) == FINAL


def test_two_writers_in_one_process(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    with store.transaction(), pytest.raises(LockedError), LogStore(tmp_path).transaction():
        pass
    put(store, Kind.TRADE, BEFORE)


HOLDER = """
    import sys, time
    from data.log import LogStore
    with LogStore(sys.argv[1]).transaction():
        print("held", flush=True)
        time.sleep(60)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process of its own over this source tree."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_error_names_the_process_that_writes(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, BEFORE)
    process = start(HOLDER, tmp_path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=str(process.pid)) as caught, store.transaction():
            pass
        assert caught.value.exit_code == 4
        assert ids(store) == [r["id"] for r in BEFORE]  # reading needs no lock
    finally:
        process.kill()
        process.communicate()
    put(store, Kind.TRADE, AFTER)  # a killed writer holds nothing


WRITER = """
    import sys
    import numpy as np
    from data.events import Kind, Scales
    from data.log import LogStore
    from data.log import storage, transaction

    storage._fsync = lambda path, flags: None  # a killed process loses nothing that it wrote
    store, batch = LogStore(sys.argv[1]), int(sys.argv[2])
    print("ready", flush=True)
    while True:
        index = np.arange(300)
        tape = {"ts_ns": (19944 + index % 3) * 86_400_000_000_000 + batch * 1_000 + index}
        tape |= {"id": batch * 1000 + index + 1, "price": index + 1, "qty": index + 1}
        tape |= {"side": np.ones(300, int)}
        with store.transaction() as tx:
            for part in (slice(0, 150), slice(150, 300)):
                some = {k: v[part] for k, v in tape.items()}
                tx.merge(Kind.TRADE, "binance-um", "BTCUSDT", some, Scales(2, 3))
        print(batch, flush=True)
        batch += 1
"""


@pytest.mark.campaign
def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    """Each commit is there whole or not at all, and no acknowledged one is lost."""
    rounds = 200 if os.environ.get("OFS_CAMPAIGN") else 6
    LogStore(tmp_path, create=True)
    batch = 0
    for number in range(rounds):
        process = start(WRITER, tmp_path, batch)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        heard = [process.stdout.readline() for _ in range(number % 3)]
        time.sleep(number * 0.0071 % 0.05)
        process.kill()
        out, _ = process.communicate()
        acknowledged = max([batch - 1, *(int(line) for line in [*heard, *out.split()])])
        store = LogStore(tmp_path)
        found = ids(store) if len(store.catalogue()) else []
        batch = max(found, default=0) // 1000 + bool(found)
        assert batch - 1 in (acknowledged, acknowledged + 1)
        assert sorted(found) == [b * 1000 + i + 1 for b in range(batch) for i in range(300)]
        assert not (tmp_path / "_journal.json").exists()
    assert batch >= rounds // 2  # the kills fell into and between commits


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no Ctrl-C to one process")
def test_ctrl_c_in_a_writing_process_is_clean(tmp_path: Path) -> None:
    LogStore(tmp_path, create=True)
    process = start(WRITER, tmp_path, 0)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            # Python drops an interrupt that falls into a destructor; a person presses it again
            _, errors = process.communicate(timeout=8)
            break
    assert process.returncode not in (None, 0) and "KeyboardInterrupt" in errors
    found = ids(LogStore(tmp_path))
    assert len(found) % 300 == 0
    assert leftovers(tmp_path) == []


def test_a_reader_waits_for_a_commit_in_progress(tmp_path: Path) -> None:
    """A journal whose writer lives: the reader does not see half of it."""
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, BEFORE)
    layer = Crashing(tmp_path, 10_000)
    change_store = LogStore.over(layer)
    original = layer.move

    def slow(source: str, target: str) -> None:
        original(source, target)
        if target.startswith("kind="):
            with pytest.raises(LockedError):
                impatient(LogStore(tmp_path))

    layer.move = slow  # type: ignore[method-assign]
    change(change_store)
    assert ids(store) == FINAL


def impatient(store: LogStore) -> None:
    """List the log, but wait for a commit only briefly."""
    from data.log import store as module

    patch = pytest.MonkeyPatch()
    patch.setattr(module, "COMMIT_WAIT_S", 0.05)
    try:
        store.catalogue()
    finally:
        patch.undo()


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    store = LogStore(tmp_path, create=True)
    put(store, Kind.TRADE, BEFORE)
    (tmp_path / "_journal.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"_journal\.json"):
        store.catalogue()


def test_paths_go_through_the_file_system_of_the_uri(tmp_path: Path) -> None:
    by_uri = LogStore(tmp_path.joinpath("a").as_uri(), create=True)
    put(by_uri, Kind.TRADE, BEFORE)
    assert ids(by_uri) == ids(LogStore(tmp_path / "a"))


def test_a_file_system_that_is_not_local(tmp_path: Path) -> None:
    """No lock file and no fsync there, and the same log otherwise."""
    (tmp_path / "bucket").mkdir()
    remote = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    store = LogStore("bucket/log", create=True, filesystem=remote)
    assert store.storage.local is None
    put(store, Kind.TRADE, BEFORE)
    put(store, Kind.TRADE, AFTER)
    put(store, Kind.TRADE, AFTER)
    assert ids(store) == FINAL
    assert not list(tmp_path.rglob(".lock*"))
    local = LogStore(tmp_path / "local", create=True)
    put(local, Kind.TRADE, BEFORE + AFTER)
    made = {p: (tmp_path / "bucket/log" / p).read_bytes() for p in files_of(local)}
    assert made == files_of(local)


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no log"):
        LogStore(tmp_path / "none")
    with pytest.raises(DataError, match="cannot open the log"):
        LogStore("nothing://x/y")
