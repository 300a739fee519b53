"""Every example of the README and of every command's help runs, in the order in which they stand.

Each list of examples has a folder of its own with the files that it names (``world.py``) and a
stand-in archive on loopback. Most run inside this process, where a command costs no start; those of
:data:`IN_A_PROCESS` run as a user runs them, redirections included.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from cli import main
from cli.keys import commands
from data.venue.archive import serve
from tests.cli import world
from tests.cli.run import ROOT, Result, environment, ofs, words_of

BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
MAY_FIND = ("ofs log check", "ofs log gaps", "ofs log fill", "ofs diff", "ofs doctor")
"""Commands that end with 1 when they find something."""

IN_A_PROCESS = ("ofs import BTCUSDT", "ofs verify last", "ofs config schema >", "ofs log ls")
"""Beginnings of the examples that get a process of their own."""

NEEDS_A_VENUE = ("ofs record", "ofs paper", "ofs live", "ofs control")
"""Beginnings of the examples that run until they are stopped, or speak to one that does; tests/e2e
run them against a served venue."""

NEEDS_A_TERMINAL = re.compile(r"ofs fetch .*--venue mt5|ofs doctor .*--live")
"""Examples that speak to a terminal; tests of these commands run them against a sandbox."""


def readme_examples() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for block in BLOCKS.findall(text) for line in block.splitlines()]
    assert lines and all(line.startswith("ofs ") for line in lines)
    return lines


def help_examples() -> list[str]:
    return [line for _, command in commands(main.ofs) for line in command.examples]  # type: ignore[attr-defined]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder with the files of the examples, and settings that fetch from loopback."""
    for name, value in environment(tmp_path, BROWSER="true").items():
        monkeypatch.setenv(name, value)
    for name in [n for n in os.environ if n.startswith("OFS_") and n != "OFS_CACHE"]:
        monkeypatch.delenv(name)
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with serve(content=world.MARKET) as server:
        world.make_files(folder, server.url)
        yield folder


def needs_more(line: str) -> bool:
    """Whether an example needs what is not here: a venue, a terminal, a session."""
    return line.startswith(NEEDS_A_VENUE) or NEEDS_A_TERMINAL.match(line) is not None


def called(line: str) -> Result:
    """Run an example inside this process, and write what goes to its file."""
    words, into = words_of(line)
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run(words[1:])
    if into:
        Path(into).write_text(out.getvalue(), encoding="utf-8")
    return Result(code, out.getvalue(), err.getvalue())


def in_a_shell(line: str, home: Path) -> Result:
    """Run an example by a shell in a process of its own."""
    if os.name == "nt":
        return called(line)
    start = f"{shlex.quote(sys.executable)} -m cli.main"
    done = subprocess.run(
        ["sh", "-c", start + line.removeprefix("ofs")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(home),
        timeout=120,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def run_all(lines: list[str], home: Path) -> None:
    """Run every example; the slowest are printed with ``pytest -s``."""
    took = []
    for line in lines:
        if needs_more(line):
            continue
        start, wall = time.process_time(), time.perf_counter()
        result = in_a_shell(line, home) if line.startswith(IN_A_PROCESS) else called(line)
        took.append((time.perf_counter() - wall, time.process_time() - start, line))
        allowed = (0, 1) if line.startswith(MAY_FIND) else (0,)
        assert result.code in allowed, f"{line}\n{result.out}\n{result.err}"
        assert "Traceback" not in result.err, line
        assert result.out or result.err or ">" in line, f"{line} says nothing"
    slow = sorted(took)[-12:]
    print("".join(f"\n{wall_s:6.2f} s, CPU {cpu_s:5.2f} s  {line}" for wall_s, cpu_s, line in slow))


@pytest.mark.timeout(1_800)
def test_every_example_of_the_readme_runs(user: Path, tmp_path: Path) -> None:
    run_all(readme_examples(), tmp_path)
    assert (user / "fills.parquet").is_file()


@pytest.mark.timeout(1_800)
def test_every_example_of_the_helps_runs(user: Path, tmp_path: Path) -> None:
    world.make_log(user)
    world.make_planted(user)
    made = called("ofs backtest --json").json()
    world.make_runs(str(made["run"]))
    run_all(help_examples(), tmp_path)


def test_an_example_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The first line of the README, as a user types it."""
    assert ofs("backtest", home=tmp_path, fresh=True).code == 0


def test_the_first_screen_holds_the_two_lines() -> None:
    screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24]
    indented = [line.strip() for line in screen if line.startswith("    ")]
    assert indented == [
        "python -m pip install .; ofs backtest",
        'python -m pip install -e ".[test]"; python -m pytest',
    ]
