"""The way to a terminal: one of three, never with a secret in its text; a sandbox and its clock."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from data.errors import ConfigError, UsageError
from data.live.endpoint import Clock, Endpoint
from engine.broker.mt5_way import Way, sandbox_at
from engine.broker.sandbox_clock import SandboxClock
from engine.broker.worker import WorkerTerminal

S = 1_000_000_000
LINE = {
    "schema": 1, "terminal": "127.0.0.1:7000", "login": 5, "server": "ofs-Sandbox",
    "rest": "http://127.0.0.1:7001/", "ws": "", "clock": "+03:00", "symbols": ["EURUSD"],
}  # fmt: skip


class Told:
    """An endpoint that tells what it is told to."""

    rest = "http://x"

    def __init__(self, *clocks: Clock | None) -> None:
        self.clocks = list(clocks)

    def clock(self, _http: object) -> Clock | None:
        return self.clocks.pop(0)


def clock_of(mono: list[int], *clocks: Clock | None) -> SandboxClock:
    return SandboxClock(Told(*clocks), lambda: mono[0])  # type: ignore[arg-type]


def test_a_sandbox_is_the_line_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "box.json"
    file.write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    box = sandbox_at(file)
    assert (box.address, box.login, box.server) == ("127.0.0.1:7000", 5, "ofs-Sandbox")
    assert (box.rule, box.endpoint) == ("+03:00", Endpoint("", "http://127.0.0.1:7001", "mt5"))
    terminal = Way(sandbox=box, rule=box.rule).open()
    assert isinstance(terminal, WorkerTerminal) and terminal.module == "engine.broker.terminal"
    for text in ("", "{}", "nonsense"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match="this is no sandbox"):
            sandbox_at(file)
    with pytest.raises(UsageError, match="this is no sandbox"):
        sandbox_at(tmp_path / "none")


def test_one_way_and_a_clock_that_there_is(tmp_path: Path) -> None:
    file = tmp_path / "box.json"
    file.write_text(json.dumps(LINE), encoding="utf-8")
    with pytest.raises(ConfigError, match="reached in one way"):
        Way(bridge="b:1", sandbox=sandbox_at(file))
    with pytest.raises(ConfigError, match="is no rule of a server's clock"):
        Way(rule="gmt")
    way = Way(bridge="b:1", password="hush-hush", token="sesame")
    assert "hush" not in repr(way) and "sesame" not in repr(way)


@pytest.mark.skipif(sys.platform == "win32", reason="there the package can be there")
def test_without_the_package_a_way_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="a terminal runs on Windows"):
        Way().open()


def test_the_clock_goes_on_between_two_questions_and_never_back() -> None:
    mono = [0]
    clock = clock_of(mono, Clock(100 * S, 10.0), Clock(101 * S, 10.0), Clock(400 * S, 10.0),
                     Clock(500 * S, 10.0, ended=True))  # fmt: skip
    assert clock.now_ns() == 100 * S
    mono[0] = S // 20
    assert clock.now_ns() == 100 * S + S // 2
    mono[0] = S  # ten seconds of its own: it is asked, and stands since
    assert clock.now_ns() == 101 * S
    mono[0] += S
    assert clock.now_ns() == 400 * S
    mono[0] += S
    assert clock.now_ns() == 500 * S and clock.ended
    mono[0] += 100 * S
    assert clock.now_ns() == 500 * S  # nothing is beyond its end, and it is not asked
    assert 0.005 <= clock.every_s <= 0.05


def test_a_venue_without_a_clock_is_no_sandbox() -> None:
    with pytest.raises(ConfigError, match="this is no sandbox"):
        clock_of([0], None).now_ns()
