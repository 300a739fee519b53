"""``ofs fetch`` as a user runs it: its words, its exit codes, and what survives a kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.venue.archive import ArchiveServer, serve
from data.venue.archive_rows import MadeUp
from data.venue.faults import Fault
from tests.cli.run import ROOT, Result, command, environment, ofs
from tests.data.sources.fetching import AGG, rows_of

Ofs = Callable[..., Result]
DAYS = ("BTCUSDT", "--venue", "binance-um", "--from", "2025-01-06", "--to", "2025-01-07")


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with serve(content=MadeUp(trades_a_day=2000)) as running:
        yield running


def test_it_says_which_days_and_what_became_of_them(run: Ofs, server: ArchiveServer) -> None:
    words = ("fetch", *DAYS, "--endpoint", server.url, "--log", "log")
    done = run(*words)
    assert done.code == 0, done.err
    assert "BTCUSDT on binance-um: 2 days, 2025-01-06 to 2025-01-07, both included" in done.err
    lines = [line.split() for line in done.out.splitlines()[1:]]
    days = ["2025-01-06", "2025-01-07", "2", "imported"]
    assert lines[0][:6] == ["BTCUSDT", "trade", *days]
    assert lines[1] == ["BTCUSDT", "bar", *days, "2880", "2880"]
    facts = run(*words, "--json").json()
    assert {f["state"] for f in facts["files"]} == {"unchanged"}
    assert facts["complete"] and facts["fetched_bytes"] == 0


def test_what_is_missing_is_listed_and_the_code_is_1(run: Ofs, server: ArchiveServer) -> None:
    server.faults.add(Fault("missing", "*klines*2025-01-07*", 0))
    done = run("fetch", *DAYS, "--endpoint", server.url, "--log", "log", "--json")
    assert done.code == 1
    missing = [f for f in done.json()["files"] if f["state"] == "missing"]
    assert [f["file"] for f in missing] == ["BTCUSDT-1m-2025-01-07.zip"]
    assert "does not have it" in missing[0]["why"]


def test_a_dry_run_fetches_nothing_and_makes_nothing(
    run: Ofs, server: ArchiveServer, tmp_path: Path
) -> None:
    done = run("fetch", *DAYS, "--endpoint", server.url, "--log", "log", "--dry-run")
    assert done.code == 0 and "would be fetched, nothing was" in done.err
    assert "wanted" in done.out and not (tmp_path / "log").exists()
    assert all(path.endswith(".CHECKSUM") for path in server.sent)


def test_both_days_are_included(run: Ofs, server: ArchiveServer) -> None:
    words = ("fetch", "xx", "--venue", "binance-um", "--endpoint", server.url, "--dry-run")
    done = run(*words, "--from", "2025-01-01", "--to", "2025-01-31")
    assert "31 days, 2025-01-01 to 2025-01-31" in done.err
    inside = run(*words, "--from", "2025-01-30T23:00", "--to", "2025-01-31T00:01")
    assert "2 days, 2025-01-30 to 2025-01-31" in inside.err
    one = run(*words, "--from", "2025-01-30", "--to", "2025-01-30")
    assert "1 day, 2025-01-30" in one.err


def test_nothing_reachable_is_5_and_wrong_words_are_2(run: Ofs) -> None:
    with serve() as gone:
        url = gone.url
    words = ("fetch", *DAYS, "--log", "log")
    done = run(*words, "--endpoint", url, "--retries", "0")
    assert done.code == 5 and "refused" in done.err and "do:" in done.err
    for wrong, told in (
        (("--endpoint", "nowhere"), "no address"),
        (("--kinds", "depth"), "no files of depth"),
        (("--kinds", "quote"), "no quotes of that time"),
        (("--venue", "kraken"), "binance-spot"),
        (("--venue", "bybit", "--kinds", "bar"), "no bar in the archive"),
        (("--rate", "fast"), "5MiB/s"),
        (("--to", "2025-01-05"), "before"),
    ):
        done = run(*words, *wrong)
        assert done.code == 2 and told in done.err, (wrong, done.err)


def started(folder: Path, url: str) -> subprocess.Popen[str]:
    words = ("fetch", *DAYS, "--kinds", "trade", "--endpoint", url, "--log", "log", "--timeout")
    return subprocess.Popen(
        command(*words, "60s"),
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def wait_for_part(folder: Path, name: str, size: int) -> Path:
    """The half-fetched file called ``name`` (others come beside it) once it has ``size`` bytes."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        for part in (folder / "log").rglob(f"{name}.part"):
            if part.stat().st_size >= size:
                return part
        time.sleep(0.02)
    raise AssertionError("nothing was fetched")


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_one_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, server: ArchiveServer, how: str
) -> None:
    if how == "interrupt" and os.name == "nt":
        pytest.skip("Windows has no SIGINT for one process")
    path = f"{AGG}2025-01-07.zip"
    server.faults.add(Fault("stall", "*01-07.zip", 1, 5000))
    process = started(tmp_path, server.url)
    part = wait_for_part(tmp_path, Path(path).name, 5000)
    if how == "kill":
        process.kill()
    else:
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert part.stat().st_size == 5000
    if how == "interrupt":
        assert process.returncode == 130 and "the same command goes on" in said
    again = ofs(
        *("fetch", *DAYS, "--kinds", "trade", "--endpoint", server.url, "--log", "log", "--json"),
        home=tmp_path,
    )
    assert again.code == 0, again.err
    assert [a.start for a in server.asked if a.path == path][-1] == 5000
    size = next(f["bytes"] for f in again.json()["files"] if f["url"].endswith(path))
    assert server.sent[path] == size, "no byte came twice"
    clean = ofs(
        *("fetch", *DAYS, "--kinds", "trade", "--endpoint", server.url, "--log", "clean"),
        home=tmp_path,
    )
    assert clean.code == 0
    assert rows_of(tmp_path / "log") == rows_of(tmp_path / "clean")
    assert not (tmp_path / "log" / ".fetch").exists()


def test_the_rehearsal_server_runs_as_the_readme_says(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "data.venue.archive", "--help"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    assert "reset" in done.stdout and "--fault" in done.stdout


def test_fill_ends_with_1_while_a_hole_is_left(
    run: Ofs, server: ArchiveServer, tmp_path: Path
) -> None:
    words = ("--endpoint", server.url, "--log", "log")
    fetched = run("fetch", *DAYS, "--kinds", "trade", "--keep", "kept", *words)
    assert fetched.code == 0
    for path in (tmp_path / "log").glob("kind=*"):
        shutil.rmtree(path)
    kept = tmp_path / "kept" / f"{AGG}2025-01-06.zip"
    with zipfile.ZipFile(kept) as archive:
        header, *rows = archive.read(archive.namelist()[0]).decode().splitlines()
    poor = tmp_path / "BTCUSDT-aggTrades-2025-01-06.csv"
    poor.write_text("\n".join([header, *rows[:700], *rows[720:]]) + "\n", encoding="utf-8")
    assert run("import", poor, "--log", "log").code == 0
    dry = run("log", "fill", "--dry-run", *words)
    assert dry.code == 1 and "would fetch 2025-01-06" in dry.out
    server.faults.add(Fault("missing", "*", 0))
    assert run("log", "fill", *words).code == 1
    server.faults.clear()
    done = run("log", "fill", "--json", *words)
    assert done.code == 0, done.err
    facts = done.json()
    assert (facts["whole"], facts["added"]) == (True, 20)
    assert run("log", "gaps", "--log", "log").code == 0
    assert run("log", "fill", *words).code == 0
    assert run("log", "fill", "--symbol", "BTCUST", *words).code == 4
