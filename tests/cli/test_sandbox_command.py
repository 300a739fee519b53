"""``ofs sandbox`` as a user starts it: its line, a client of its own, the flow beside it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from data import errors
from engine.broker.terminal.client import Terminal
from tests.cli.run import command, environment
from tests.data.venue import client
from tests.data.venue.made import SECONDS, make

BUY = {"action": 1, "symbol": "BTCUSDc", "volume": 0.01, "type": 0, "type_filling": 1, "magic": 7}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    make(tmp_path / "log")
    return tmp_path / "log"


def started(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("sandbox", "--log", str(tmp_path / "log"), "--map", "BTCUSDc=BTCUSDT",
                "--grace", "0", "--json", *words),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        cwd=tmp_path, env=environment(tmp_path),
    )  # fmt: skip


def ended(sandbox: subprocess.Popen[str]) -> dict[str, Any]:
    """The last line of a sandbox that is told to stop."""
    sandbox.terminate()
    out, err = sandbox.communicate(timeout=30)
    assert sandbox.returncode == errors.EXIT_OK, err
    return dict(json.loads(out.splitlines()[-1]))


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a signal")
def test_a_terminal_and_its_flow_under_one_clock(log: Path, tmp_path: Path) -> None:
    with started(tmp_path, "--speed", "400", "--login", "77") as sandbox:
        try:
            assert sandbox.stdout is not None
            line = sandbox.stdout.readline()
            told = json.loads(line)
            assert (told["schema"], told["login"], told["symbols"]) == (1, 77, ["BTCUSDc"])
            assert (told["venue"], told["flow"]) == ("binance-um", ["BTCUSDT"])
            (tmp_path / "line.json").write_text(line, encoding="utf-8")
            module = Terminal()
            assert module.initialize(str(tmp_path / "line.json"), login=77)
            assert module.symbol_info_tick("BTCUSDc") is None
            assert module.symbol_select("BTCUSDc", True)
            first = module.symbol_info_tick("BTCUSDc")
            assert (first.bid, first.ask) == (60_000.0, 60_000.1)
            opened = module.order_send(BUY)
            assert opened.retcode == 10009
            module.shutdown()
            url = told["ws"] + "/market/stream"
            heard = client.listen(client.subscribe(url, "btcusdt@aggTrade"))
            assert len(heard.messages) == SECONDS and heard.reason == "end of range"
            clock = client.get(told["rest"] + "/ofs/clock")[1]
            assert clock["ended"] and clock["now_ns"] == told["end_ns"]
            assert module.initialize(told["terminal"])
            last = module.symbol_info_tick("BTCUSDc")
            assert last.time_msc - first.time_msc == (SECONDS - 1) * 1000 + 100
            [held] = module.positions_get()
            assert (held.ticket, held.magic) == (opened.order, 7)
            assert len(module.copy_ticks_from("BTCUSDc", 0, 1000, -1)) > 10
            facts = client.get(told["rest"] + "/ofs/terminal")[1]
            assert facts["positions"] == 1 and facts["clients"] >= 1
            end = ended(sandbox)
        finally:
            sandbox.kill()
    assert end["retcodes"] == {"10009": 1} and end["flow"]["frames"] == SECONDS


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a signal")
def test_without_flow_its_clock_waits_for_a_client(log: Path, tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text(
        '[[fault]]\nkind = "restart"\nvalue = "2s"\nat = "30s"\n', encoding="utf-8"
    )
    words = ("--no-flow", "--speed", "100", "--faults", "faults.toml", "--clock", "+03:00")
    with started(tmp_path, *words) as sandbox:
        try:
            assert sandbox.stdout is not None
            told = json.loads(sandbox.stdout.readline())
            assert told["ws"] == "" and told["rest"].startswith("http://")
            time.sleep(0.1)
            assert client.get(told["rest"] + "/ofs/clock")[1]["now_ns"] == told["from_ns"]
            module = Terminal()
            assert module.initialize(told["terminal"])
            assert module.order_send(BUY).retcode == 10009
            while module.account_info() is not None:
                time.sleep(0.01)
            assert module.last_error()[0] in (-10001, -10002)
            while not module.initialize(told["terminal"]):
                assert module.last_error()[0] == -10003
            assert len(module.positions_get()) == 1
            while not client.get(told["rest"] + "/ofs/clock")[1]["ended"]:
                time.sleep(0.02)
            wall_ms = module.symbol_info_tick("BTCUSDc").time_msc - 3 * 3_600_000
            assert wall_ms == told["end_ns"] // 1_000_000
            end = ended(sandbox)
        finally:
            sandbox.kill()
    assert end["faults"] == {"restart": 1} and end["deals"] == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--symbol", "NONE"], errors.EXIT_DATA, "no prices of binance-um NONE"),
        (["--map", "BTCUSDc"], errors.EXIT_USAGE, "no pair of symbols"),
        (["--map", "X=bybit:BTCUSDT"], errors.EXIT_DATA, "no prices of bybit BTCUSDT"),
        (["--from", "2030-01-01"], errors.EXIT_DATA, "in the range"),
        (["--clock", "Europe/Athens"], errors.EXIT_CONFIG, "no rule of a server's clock"),
        (["--currency", "JPY"], errors.EXIT_CONFIG, "what USD is worth in JPY"),
        (["--terms", "terms.toml"], errors.EXIT_CONFIG, "there is no key 'contrct'"),
        (["--faults", "none.toml"], errors.EXIT_DATA, "none.toml"),
    ],
)
def test_mistakes(
    words: list[str], code: int, said: str, run: Any, log: Path, tmp_path: Path
) -> None:
    text = "[symbols.BTCUSDT]\ncontrct = 2.0\n"
    (tmp_path / "terms.toml").write_text(text, encoding="utf-8")
    result = run("sandbox", "--log", log, "--for", "10ms", *words)
    assert result.code == code and said in result.err, result.err
    assert result.out == "" and "Traceback" not in result.err


def test_terms_of_a_file(run: Any, log: Path, tmp_path: Path) -> None:
    (tmp_path / "terms.toml").write_text(
        "[account]\nleverage = 30\nlogin = 9\n[rates]\nUSD = 150.0\n"
        "[symbols.BTCUSDT]\nvolume_step = 0.001\n",
        encoding="utf-8",
    )
    result = run("sandbox", "--log", log, "--for", "10ms", "--json", "--terms", "terms.toml",
                 "--currency", "JPY")  # fmt: skip
    first, last = (json.loads(line) for line in result.out.splitlines())
    assert (result.code, first["login"], last["balance"]) == (0, 9, 10_000.0)
