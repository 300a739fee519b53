"""The program's own log: bounded, readable, and harmless when the disk is full."""

from __future__ import annotations

import json
from pathlib import Path

from data.live.session_log import REPEATS, SessionLog


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def log_at(path: Path, **options: int) -> tuple[SessionLog, list[float]]:
    clock = [0.0]
    log = SessionLog(path, wall_ns=lambda: 1_767_614_400_000_000_000, mono_s=lambda: clock[0],
                     **options)  # fmt: skip
    return log, clock


def test_a_line_is_an_object_with_time_level_and_facts(tmp_path: Path) -> None:
    log, _ = log_at(tmp_path / "a" / "session.log")
    log.warn("connection lost", lane=2, why=ValueError("x"), streams=["a"], none=None)
    log.close()
    log.info("went on", text="ü" * 5_000)
    first, second = lines(log.path)
    assert first["time"] == "2026-01-05T12:00:00.000000Z"
    assert (first["level"], first["what"], first["lane"]) == ("warn", "connection lost", 2)
    assert (first["streams"], first["none"]) == (["a"], None)
    assert len(str(second["text"])) == 2_003


def test_it_is_bounded(tmp_path: Path) -> None:
    log, _ = log_at(tmp_path / "session.log", most_bytes=1_000, keep=2)
    for n in range(500):
        log.info(f"number {n}", text="y" * 40)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["session.log", "session.log.1", "session.log.2"]
    assert all(p.stat().st_size <= 1_000 for p in tmp_path.iterdir())
    assert lines(log.path)[-1]["what"] == "number 499"
    kept = [x["what"] for name in reversed(names) for x in lines(tmp_path / name)]
    assert kept == [f"number {n}" for n in range(500 - len(kept), 500)]


def test_a_restart_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for _ in range(30):
        log, _clock = log_at(tmp_path / "session.log", most_bytes=400, keep=1)
        log.info("started")
        log.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert all(p.stat().st_size <= 400 for p in tmp_path.iterdir())


def test_what_repeats_itself_is_counted(tmp_path: Path) -> None:
    log, clock = log_at(tmp_path / "session.log")
    for _ in range(100):
        log.error("no connection")
    log.info("another")
    clock[0] = 61
    log.error("no connection")
    found = lines(log.path)
    assert len(found) == REPEATS + 2
    assert found[-1]["repeated"] == 100 - REPEATS


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    log, _ = log_at(tmp_path / "session.log")
    for n in range(5_000):
        log.info(f"kind {n}")
    assert len(log._said) < 1_000


def test_a_disk_that_takes_nothing_costs_lines_only(tmp_path: Path) -> None:
    (tmp_path / "session.log").mkdir()
    log, _ = log_at(tmp_path / "session.log")
    log.error("disk full")
    assert log.lost == 1
    assert log.last_error
    (tmp_path / "session.log").rmdir()
    log.info("again")
    assert lines(log.path)[0]["what"] == "again"
