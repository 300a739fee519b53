"""What the README says about terminals: faults, return codes and Python are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.broker import terminal
from engine.broker.retcodes import LAST_ERRORS, RETCODES
from engine.broker.terminal.server.faults import KINDS, read_script
from engine.broker.terminal.server.terms import read_terms
from engine.runtime.live_config import LiveConfig, parse_live
from tests.cli.run import ROOT, command, environment
from tests.data.venue.made import make

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
READY_S = 30.0


def block(language: str, part: str) -> str:
    """The one block of the README in ``language`` that holds ``part``."""
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    (one,) = (text for text in found if part in text)
    return one


def test_the_faults_are_one_of_each_kind(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(block("toml", "lost_answer"), encoding="utf-8")
    assert [fault.kind for fault in read_script(file).faults] == list(KINDS)


def test_the_terms_are_read(tmp_path: Path) -> None:
    file = tmp_path / "terms.toml"
    file.write_text(block("toml", "stop_out"), encoding="utf-8")
    read_terms(file)


def codes(cell: str) -> Iterator[int]:
    """The numbers in a cell of the table; ``10013 to 10016`` are all that there are between."""
    for low, high in re.findall(r"(-?\d+)(?: to (-?\d+))?", cell):
        ends = sorted((int(low), int(high or low)))
        yield from (c for c in (*RETCODES, *LAST_ERRORS) if ends[0] <= c <= ends[1])


def test_the_table_of_return_codes_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| ([a-z, ]+) \| ([^|]*\d[^|]*) \|", TEXT.partition("treatment |")[2], re.M
    )
    told = {code: treatments for treatments, cell in rows for code in codes(cell)}
    assert set(RETCODES) <= set(told)
    for code, treatments in told.items():
        known = RETCODES[code].treatment if code in RETCODES else LAST_ERRORS[code].sent
        assert known.value in treatments.split(", "), code


@pytest.mark.skipif(os.name == "nt", reason="Windows has the real package, and no signal to end it")
def test_the_python_runs_against_a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "log")
    line = tmp_path / "sandbox.json"
    with line.open("wb") as into:
        words = command("sandbox", "--log", str(tmp_path / "log"), "--no-flow")
        sandbox = subprocess.Popen(words, stdout=into, cwd=tmp_path, env=environment(tmp_path))
    try:
        until = time.monotonic() + READY_S
        while not line.read_bytes().endswith(b"\n") and time.monotonic() < until:
            time.sleep(0.02)
        monkeypatch.chdir(tmp_path)
        exec(block("python", "engine.broker import terminal"), {})
    finally:
        terminal.shutdown()
        sandbox.terminate()
        sandbox.wait(READY_S)
    said = capsys.readouterr().out
    assert said.startswith("10009 (TradePosition(") and said.endswith("(1, 'Success')\n"), said


def test_the_configuration_of_a_live_session_has_no_mistake(tmp_path: Path) -> None:
    text = block("toml", "# paper.toml") + block("toml", "# live.toml")
    found = parse_live(text, "live.toml", tmp_path)
    assert not found.mistakes
    config = found.sound()
    assert isinstance(config, LiveConfig)
    assert (config.account.login, config.traded("BTCUSDT")) == (5_000_001, "BTCUSDc")
    with_bridge = text.replace("terminal = ", "# ").replace(
        "[map]", 'bridge = "127.0.0.1:18812"\n[map]'
    )
    assert not parse_live(with_bridge, "live.toml", tmp_path).mistakes
