"""Folders that cannot be written, disks that are full or slow."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from data.doctor import disk
from data.doctor.cache import cache, long_paths
from data.doctor.lines import Line, Status
from tests.data.doctor.test_machine import elsewhere

NO_LIMITS = disk.Limits(free_warn=0, free_fail=0, p50_ms_warn=1e9, p99_ms_warn=1e9)


def folder(path: Path, *, needed: bool = True) -> Line:
    return disk.folder("runs folder", path, "--runs", needed=needed, made_by="ofs backtest")


def test_a_folder_that_is_there_or_can_be_made(tmp_path: Path) -> None:
    assert folder(tmp_path).status == Status.OK
    line = folder(tmp_path / "a" / "b")
    assert line.status == Status.OK and "does not exist yet; ofs backtest makes it" in line.fact
    assert list(tmp_path.iterdir()) == [], "nothing was made, nothing left behind"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file stands in the way: that stops root and Windows too."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path / "file", tmp_path / "file" / "runs"):
        line = folder(path)
        assert line.status == Status.FAIL and str(tmp_path / "file") in line.fact
        assert "--runs" in line.mend
        assert folder(path, needed=False).status == Status.WARN


def test_a_sync_is_measured_where_it_is_asked(tmp_path: Path) -> None:
    line = disk.disk("disk", tmp_path / "not" / "there", NO_LIMITS)
    assert line.status == Status.OK and line.numbers["path"] == str(tmp_path)
    assert line.numbers["appends"] >= 1 and line.numbers["free_bytes"] > 0
    assert 0 < line.numbers["fdatasync_p50_ms"] <= line.numbers["fdatasync_p99_ms"]
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_is_told_and_does_not_take_long(tmp_path: Path) -> None:
    def slow(descriptor: int) -> None:
        os.fsync(descriptor)
        time.sleep(0.12)

    start_s = time.monotonic()
    line = disk.disk("disk", tmp_path, disk.Limits(free_warn=0, free_fail=0), slow)
    assert time.monotonic() - start_s < disk.SYNC_S + 20
    assert line.status == Status.WARN and "slow to sync" in line.fact and "SSD" in line.mend
    assert 120 <= line.numbers["fdatasync_p50_ms"] < 1000
    assert line.numbers["appends"] < disk.APPENDS


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    for limit, status in (("free_warn", Status.WARN), ("free_fail", Status.FAIL)):
        limits = disk.Limits(**{"free_warn": 1 << 62, "free_fail": 0, limit: 1 << 62})
        line = disk.disk("disk", tmp_path, limits)
        assert line.status == status and "little space" in line.fact and line.mend


def test_a_disk_that_fails_is_no_measure(tmp_path: Path) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    try:
        disk.disk("disk", tmp_path, NO_LIMITS, broken)
    except OSError as error:
        assert error.errno == 5
    else:
        raise AssertionError("a failed sync must not count as a fast one")


def test_percentiles_are_nearest_ranks() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [disk.percentile(values, p) for p in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert disk.percentile([7.0], 99) == 7.0


def test_the_cache_says_what_can_go(tmp_path: Path) -> None:
    status, fact, mend = elsewhere_cache(tmp_path)
    assert (status, mend) == ("ok", "") and "keyed by the sources" in fact
    old = tmp_path / "cache" / "jit" / "0123"
    old.mkdir()
    (old / "code.nbc").write_bytes(bytes(5000))
    status, fact, mend = elsewhere_cache(tmp_path)
    assert status == "ok" and "1 older generation, 4.88 KiB" in fact
    assert str(tmp_path / "cache" / "jit") in mend


def elsewhere_cache(home: Path) -> tuple[str, str, str]:
    code = "import os; os.environ['OFS_CACHE'] = os.path.join(os.getcwd(), 'cache')\n"
    return elsewhere("python", home, code + "from data.doctor import cache, machine\n"
                     "machine.python = cache.cache\n")  # fmt: skip


def test_a_cache_too_deep_for_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFS_CACHE", str(tmp_path / ("deep" * 20)))
    line = cache(takes_long_paths=lambda folder: False)
    assert line.status == Status.WARN and "too deep" in line.fact and "OFS_CACHE" in line.mend
    assert long_paths(tmp_path) or os.name == "nt"
    assert not [p for p in tmp_path.rglob("x*") if p.is_dir()], "what was tried is removed"


def test_a_cache_of_many_generations() -> None:
    line = cache(stale_warn_bytes=-1)
    if line.numbers["stale_generations"]:
        assert line.status == Status.WARN and line.mend
    assert line.numbers["key"] in line.fact and len(line.numbers["source_hash"]) == 64


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("", encoding="utf-8")
    status, fact, mend = elsewhere_cache(tmp_path)
    assert status == "warn" and "every process compiles anew" in fact and "OFS_CACHE" in mend


def test_a_disk_that_is_only_read_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(disk.tempfile, "TemporaryFile", refuse)
    line = disk.disk("disk", tmp_path, NO_LIMITS)
    assert line.status == Status.WARN and "Read-only" in line.fact and line.mend
    assert line.numbers["free_bytes"] > 0
