"""``ofs import`` from outside: its streams, its JSON, its exit codes, Ctrl-C."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import command, environment, ofs
from tests.shared import shared_data

NAME = "BTCUSDT-aggTrades-2024-07-04.csv"


def lines(count: int) -> str:
    return "".join(f"{i},100.5,2,{i},{i},{1720055357510 + i},false\n" for i in range(1, count + 1))


def test_what_it_found_goes_to_stderr_and_what_it_did_to_stdout(tmp_path: Path, run: Any) -> None:
    (tmp_path / NAME).write_text(lines(3) + "oops\n", encoding="utf-8")
    done = run("import", NAME, "--log", "log")
    assert done.code == 0, done.err
    assert done.err.splitlines()[0] == (
        f"{NAME}: USD-M aggTrades CSV, binance-um BTCUSDT "
        "(venue by its content, symbol by its name)"
    )
    assert f"{NAME}: rejected columns 1" in done.err
    assert "rejects/" in done.err
    header, row = done.out.splitlines()
    assert header.split() == [
        *("file", "venue", "symbol", "rows", "added", "duplicates", "conflicts", "rejected"),
    ]
    assert row.split() == [NAME, "binance-um", "BTCUSDT", "trade", "3", "3", "0", "0", "1"]
    again = run("import", NAME, "--log", "log")
    assert again.out.splitlines()[1].split()[-4:] == ["0", "3", "0", "1"]


def test_json_is_one_object(tmp_path: Path, run: Any) -> None:
    (tmp_path / NAME).write_text(lines(3), encoding="utf-8")
    done = run("import", NAME, "--log", "log", "--json")
    body = done.json()
    (file,) = body["files"]
    assert (file["file"], file["venue"], file["symbol"]) == (NAME, "binance-um", "BTCUSDT")
    assert (file["from"], file["to"]) == ("2024-07-04T01:09:17.511Z", "2024-07-04T01:09:17.513Z")
    assert file["rows"] == body["totals"]["rows"] == {"trade": 3}
    assert body["totals"]["added"] == 3
    assert body["log"].endswith("log")


def test_options_reach_the_import(tmp_path: Path, run: Any) -> None:
    (tmp_path / "x.csv").write_text(lines(2), encoding="utf-8")
    words = ("import", "x.csv", "--log", "log", "--json")
    asked = run(*words)
    assert asked.code == 2
    assert "--symbol" in asked.err
    told = run(*words, "--symbol", "ltcusdt", "--venue", "binance-spot")
    assert told.json()["files"][0]["symbol"] == "LTCUSDT"
    assert told.json()["files"][0]["venue"] == "binance-spot"


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (("nothing.csv",), 2, "no such file"),
        ((NAME, "--venue", "nowhere"), 2, "binance-um"),
        ((NAME, "--cadence", "5"), 2, "100ms"),
        ((NAME, "--cadence", "2 weeks"), 2, "100ms"),
        ((NAME, "--levels", "26"), 3, "1 to 25"),
        ((NAME, "--cadence", "90m"), 3, "cadence"),
        (("cut.zip",), 4, "damaged"),
        (("empty.csv",), 4, "it is empty"),
        (("unknown.txt",), 4, "format is not known"),
        (("folder",), 4, "nothing to import"),
    ],
)
def test_mistakes_are_told_with_their_exit_code(
    tmp_path: Path, run: Any, words: tuple[str, ...], code: int, say: str
) -> None:
    (tmp_path / NAME).write_text(lines(1), encoding="utf-8")
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    (tmp_path / "unknown.txt").write_text("hello\n", encoding="utf-8")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "folder").mkdir()
    done = run("import", *words, "--log", "log")
    assert (done.code, done.out) == (code, "")
    assert say in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no Ctrl-C to one process")
def test_ctrl_c_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(lines(2), encoding="utf-8")
    assert ofs("import", NAME, "--log", "log", home=tmp_path).code == 0
    before = ofs("log", "ls", "--log", "log", "--json", home=tmp_path).json()
    big = tmp_path / "ETHUSDT-aggTrades-2024-07-04.csv.gz"
    big.write_bytes(gzip.compress(lines(300_000).encode() * 6, 1))
    process = subprocess.Popen(
        command("import", str(big), "--log", "log"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stderr is not None
    assert "ETHUSDT" in process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert ofs("log", "ls", "--log", "log", "--json", home=tmp_path).json() == before


def test_a_real_recording_end_to_end(tmp_path: Path, run: Any) -> None:
    path = shared_data("binance-samples/recorded/usdm_btcusdt_20240808_with_rest_snapshot.jsonl")
    done = run("import", str(path), "--log", "log", "--cadence", "0", "--levels", "5", "--json")
    assert done.json()["totals"]["rows"] == {"depth": 42, "quote": 355, "trade": 102}
    assert done.json()["totals"]["sequence_breaks"] == 0
