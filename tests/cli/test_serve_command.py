"""``ofs serve`` as a user starts it: its line, its end, its mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from data import errors
from tests.cli.run import command, environment
from tests.data.venue import client
from tests.data.venue.made import SECONDS, make


@pytest.fixture
def log(tmp_path: Path) -> Path:
    make(tmp_path / "log")
    return tmp_path / "log"


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a signal")
def test_it_serves_until_it_is_told_to_stop(log: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text(
        '[[fault]]\nkind = "drop"\nstream = "*@aggTrade"\nat = "10s"\n', encoding="utf-8"
    )
    words = command("serve", "--log", str(log), "--speed", "1000", "--grace", "100ms", "--json",
                    "--faults", "faults.toml")  # fmt: skip
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        cwd=tmp_path, env=environment(tmp_path),
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            assert (told["schema"], told["venue"], told["layout"]) == (1, "binance-um", "futures")
            assert told["symbols"] == ["BTCUSDT"] and told["from_ns"] < told["end_ns"]
            url = told["ws"] + "/market/stream"
            heard = client.listen(client.subscribe(url, "btcusdt@aggTrade"))
            assert len(heard.messages) == SECONDS - 1 and heard.reason == "end of range"
            assert client.get(told["rest"] + "/ofs/clock")[1]["ended"]
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=30)
        finally:
            server.kill()
    assert server.returncode == errors.EXIT_OK, err
    last = json.loads(out.splitlines()[-1])
    assert last["done"] == {"drop": 1} and [a["id"] for a in last["list"]] == [11]
    assert last["frames"] == SECONDS - 1 and last["connections"] == 1


def test_it_stops_by_itself(run: Any, log: Path) -> None:
    result = run("serve", "--log", log, "--for", "100ms", "--json")
    first, last = (json.loads(line) for line in result.out.splitlines())
    assert result.code == 0 and first["speed"] == 1.0 and last["done"] == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--symbol", "NONE"], errors.EXIT_DATA, "nothing of binance-um NONE"),
        (["--venue", "bybit"], errors.EXIT_DATA, "ofs log ls"),
        (["--from", "2030-01-01"], errors.EXIT_DATA, "in the range"),
        (["--from", "2024-08-10", "--to", "2024-08-09"], errors.EXIT_USAGE, "the range is empty"),
        (["--speed", "0"], errors.EXIT_USAGE, "--speed"),
        (["--layout", "kraken"], errors.EXIT_USAGE, "--layout"),
        (["--faults", "typo.toml"], errors.EXIT_DATA, "typo.toml"),
        (["--port", "70000"], errors.EXIT_USAGE, "--port"),
    ],
)
def test_mistakes(words: list[str], code: int, said: str, run: Any, log: Path) -> None:
    result = run("serve", "--log", log, *words)
    assert result.code == code and said in result.err, result.err
    assert result.out == "" and "Traceback" not in result.err


def test_a_port_that_is_taken(run: Any, log: Path) -> None:
    from socket import create_server

    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--log", log, "--port", str(port))
    assert result.code == errors.EXIT_DATA and "address" in result.err.lower()
