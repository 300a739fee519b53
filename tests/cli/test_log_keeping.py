"""``ofs log compact`` and ``ofs log prune``: what they say, what they ask, what they leave."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from data.events import Kind
from data.log import LogStore
from data.log.entry import DAY_NS, date_of
from tests.cli.run import command, environment, ofs
from tests.data.log.parts import write_part
from tests.data.log.support import put, trade
from tests.data.log.test_compact import hours
from tests.data.make_runs import make_run

NOW = time.time_ns()
TODAY = NOW // DAY_NS


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A day of trades and books in six files each."""
    hours(tmp_path / "log")
    return tmp_path / "log"


@pytest.fixture
def aging(tmp_path: Path) -> Path:
    """Trades of the last ten days."""
    store = LogStore(tmp_path / "log", create=True)
    for age in range(10):
        start = (TODAY - age) * DAY_NS
        put(store, Kind.TRADE, [trade(start + i, id=1000 * (10 - age) + i) for i in range(30)])
    return tmp_path / "log"


def files(log: Path) -> list[str]:
    return sorted(p.relative_to(log).as_posix() for p in log.glob("kind=*/**/*.parquet"))


def test_compact_says_first_and_then_does(run: Any, parts: Path) -> None:
    before = files(parts)
    plan = run("log", "compact", "--log", parts, "--dry-run")
    assert plan.code == 0 and len(plan.out.splitlines()) == 3
    assert plan.out.splitlines()[2].split()[:6] == [
        "binance-um", "BTCUSDT", "trade", "1", "6", "300",
    ]  # fmt: skip
    assert "12 files" in plan.err and "2 partitions become 2 files" in plan.err
    assert files(parts) == before
    cat = ("log", "cat", "--log", parts, "--jsonl")
    events = run(*cat).out
    done = run("log", "compact", "--log", parts)
    assert done.code == 0 and "12 files" in done.err and "done: " in done.err
    assert [p.rpartition("/")[2] for p in files(parts)] == ["data.parquet"] * 2
    assert run(*cat).out == events and events.count("\n") == 600
    again = run("log", "compact", "--log", parts)
    assert (again.code, again.out) == (0, "") and "nothing to do" in again.err


def test_compact_as_json(run: Any, parts: Path) -> None:
    words = ("log", "compact", "--log", parts, "--kinds", "trade", "--json")
    plan = run(*words, "--dry-run").json()
    assert plan["dry_run"] and (plan["files_before"], plan["files_after"]) == (6, 1)
    assert plan["bytes_after"] is None and plan["partitions"][0]["rows_after"] is None
    facts = run(*words).json()
    (day,) = facts["partitions"]
    assert (day["kind"], day["date"], day["files"]) == ("trade", "2024-08-09", 6)
    assert (day["rows"], day["rows_after"], day["duplicates"], day["error"]) == (300, 300, 0, None)
    assert (
        facts["bytes_after"] == day["bytes_after"] < facts["bytes_before"] == plan["bytes_before"]
    )
    assert len(files(parts)) == 7


def test_compact_counts_what_stood_twice(run: Any, parts: Path) -> None:
    first = next(parts.glob("kind=trade/**/hour-02.parquet"))
    first.with_name("hour-02 (copy).parquet").write_bytes(first.read_bytes())
    done = run("log", "compact", "--log", parts)
    assert done.code == 0 and "note: 50 rows stood in two files" in done.err


def test_compact_names_what_is_damaged(run: Any, parts: Path) -> None:
    victim = next(parts.glob("kind=trade/**/hour-02.parquet"))
    LogStore(parts).catalogue()
    content = victim.read_bytes()
    victim.write_bytes(content[:300] + b"????" + content[304:])
    done = run("log", "compact", "--log", parts)
    assert done.code == 4 and str(victim) in done.err and "Traceback" not in done.err
    assert len(files(parts)) == 7
    victim.write_bytes(b"")
    left = run("log", "compact", "--log", parts, "--json")
    assert left.code == 4 and str(victim) in left.err
    assert [b["path"].rpartition("/")[2] for b in left.json()["broken"]] == ["hour-02.parquet"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("compact", "--symbol", "BTCUSD"), 4, "did you mean BTCUSDT?"),
        (("compact", "--from", "2024-08-10", "--to", "2024-08-09"), 2, "the range is empty"),
        (("prune",), 2, "--keep 30d"),
        (("prune", "--keep", "30"), 2, "1h30m"),
        (("prune", "--max-bytes", "20"), 2, "2GiB"),
        (("prune", "--keep", "1d", "--order", "size"), 2, "--order"),
        (("prune", "--keep", "1d", "--symbol", "BTCUSD"), 4, "did you mean BTCUSDT?"),
        (("prune", "--keep", "30d", "--now", "2024-08-09"), 2, "--now"),
    ],
)
def test_mistakes(run: Any, parts: Path, words: tuple[str, ...], code: int, said: str) -> None:
    result = run("log", *words, "--log", parts)
    assert result.code == code and said in result.err, result.err
    assert result.out == "" and len(files(parts)) == 12


def test_prune_by_age(run: Any, aging: Path) -> None:
    words = ("log", "prune", "--log", aging, "--keep", "3d")
    plan = run(*words, "--dry-run")
    assert plan.code == 0 and len(files(aging)) == 10
    # the day that ended three days ago stays in part, so it stays; older ones go
    gone = [date_of(TODAY - age) for age in range(4, 10)]
    assert plan.out.splitlines()[1].split()[3:8] == [min(gone), max(gone), "6", "6", "180"]
    assert "older than 3d: 6 partitions" in plan.err
    refused = run(*words)
    assert refused.code == 2 and "add --yes" in refused.err and len(files(aging)) == 10
    done = run(*words, "--yes")
    assert done.code == 0 and "removed" in done.err
    assert [p.split("/")[3] for p in files(aging)] == [
        f"date={date_of(TODAY - age)}" for age in range(3, -1, -1)
    ]
    assert run("log", "ls", "--log", aging, "--json").json()[0]["files"] == 4
    again = run(*words, "--yes", "--json")
    assert again.code == 0 and not again.json()["removed"] and "nothing is older" in again.err


def test_prune_by_bytes_as_json(run: Any, aging: Path) -> None:
    sizes = [(aging / p).stat().st_size for p in files(aging)]
    limit = f"{sum(sizes[-2:])}B"
    words = ("log", "prune", "--log", aging, "--max-bytes", limit, "--json")
    plan = run(*words, "--dry-run").json()
    assert (plan["dry_run"], plan["removed"], len(plan["partitions"])) == (True, False, 8)
    assert plan["kept_bytes"] == sum(sizes[-2:]) and plan["bytes"] == sum(sizes[:-2])
    done = run(*words, "--yes").json()
    assert done["removed"] and done["partitions"] == plan["partitions"]
    assert files(aging) == sorted(files(aging))[-2:]
    assert done["partitions"][0]["files"] == [
        f"kind=trade/venue=binance-um/symbol=BTCUSDT/date={date_of(TODAY - 9)}/data.parquet"
    ]


def test_prune_names_the_runs_that_lose_their_events(run: Any, aging: Path, tmp_path: Path) -> None:
    def entries(*paths: str) -> dict[str, Any]:
        listed = [{"path": p, "sha256": "0", "rows": 1} for p in paths]
        return {"path": str(aging), "content_hash": "x", "entries": listed}

    days = files(aging)
    make_run(tmp_path / "runs", "20250101T000000-old", log=entries(*days[:3]))
    make_run(tmp_path / "runs", "20250102T000000-new", log=entries(*days[-2:]))
    words = ("log", "prune", "--log", aging, "--keep", "3d", "--runs", tmp_path / "runs")
    plan = run(*words, "--dry-run")
    assert "1 run can then no longer be verified: 20250101T000000-old" in plan.err
    assert run(*words, "--dry-run", "--json").json()["runs_lost"] == ["20250101T000000-old"]


def test_prune_from_the_settings(run: Any, aging: Path, tmp_path: Path) -> None:
    (tmp_path / "ofs.toml").write_text('[log.prune]\nkeep = "3d"\n', encoding="utf-8")
    assert len(run("log", "prune", "--log", aging, "--dry-run", "--json").json()["partitions"]) == 6


def test_commands_as_a_user_runs_them(parts: Path, tmp_path: Path) -> None:
    """Real processes: the exit codes, and that nothing is removed where nobody answers."""
    done = ofs("log", "compact", "--log", str(parts), "--json", home=tmp_path)
    assert done.code == 0 and done.json()["files_after"] == 2
    words = ("log", "prune", "--log", str(parts), "--keep", "1d")
    refused = ofs(*words, home=tmp_path, stdin="y\n")
    assert refused.code == 2 and "nobody can be asked" in refused.err and len(files(parts)) == 2
    done = ofs(*words, "--yes", home=tmp_path)
    assert done.code == 0 and files(parts) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of one's own needs a pty")
@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("", 1), ("yes", 0)])
def test_prune_asks_on_a_terminal(tmp_path: Path, answer: str, left: int) -> None:
    import pty

    log = tmp_path / "log"
    write_part(log, Kind.TRADE, [trade(10**18, id=1)], "data.parquet", "2001-09-09")
    ours, theirs = pty.openpty()
    words = command("log", "prune", "--log", str(log), "--keep", "1d")
    process = subprocess.Popen(
        words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8", env=environment(tmp_path), cwd=tmp_path,
    )  # fmt: skip
    os.write(ours, answer.encode() + b"\n")
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, err
    assert "remove 1 partition for good? [y/N]" in err and "2001-09-09" in out
    assert len(files(log)) == left and ("nothing was removed" in err) == bool(left)
