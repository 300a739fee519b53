"""Bad input to every command: a clear message on stderr, nothing on stdout, the right exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from cli.lazy import LazyGroup
from cli.main import ofs
from tests.cli.run import ROOT, command, environment


def lines(group: LazyGroup, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in group.lazy:
        inner = group.get_command(click.Context(group), name)
        if isinstance(inner, LazyGroup):
            yield from lines(inner, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(lines(ofs, ()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_helps(words: tuple[str, ...], run: Any) -> None:
    result = run(*words, "--help")
    assert (result.code, result.err) == (0, "")
    for part in (
        "Usage: ofs ",
        "--json",
        "--log DIR",
        "Examples:\n  ofs ",
        "Exit codes:\n    0  ok",
    ):
        assert part in result.out


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_refuses_an_unknown_option(words: tuple[str, ...], run: Any) -> None:
    result = run(*words, "--jsn")
    assert (result.code, result.out) == (2, "")
    assert "did you mean" in result.err and "--json" in result.err
    assert f"do: see 'ofs {' '.join(words)} --help'" in result.err


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("backtest nope", 4, "the replays are"),
        ("backtest --set entry_z", 2, "KEY=VALUE"),
        ("backtest --set entry_zz=1", 3, "did you mean 'entry_z'?"),
        ("backtest --set entry_z=abc", 3, "it is not a number"),
        ("backtest --strategy nope", 2, "delta_flip"),
        ("backtest --strategy no.py:X", 2, "no.py"),
        ("backtest --from 2024-01-02 --to 2024-01-01", 2, "the range is empty"),
        ("backtest --from soon", 2, "2024-08-08T23:54:15"),
        ("backtest --log typo", 4, "there is no log at typo"),
        ("verify nope", 4, "there is no run 'nope'"),
        ("verify", 2, "RUN"),
        ("import", 2, "PATH"),
        ("import typo.csv", 2, "typo.csv"),
        ("import . --levels 99", 3, "1 to 25"),
        ("import . --cadence soon", 2, "100ms"),
        ("synth --days -1", 3, "where: --days"),
        ("synth --pattern nope", 3, "absorption"),
        ("synth --pattern nope", 3, "where: --pattern"),
        ("synth --levels 99", 3, "1 to 25"),
        ("bench --log typo", 4, "there is no log at typo"),
    ],
)
def test_mistakes(line: str, code: int, said: str, run: Any) -> None:
    result = run(*line.split())
    assert result.code == code, result.err
    assert said in result.err and result.err.count("error: ") == 1
    assert result.out == "" and "Traceback" not in result.err


@pytest.mark.skipif(os.name == "nt", reason="pty is of POSIX")
def test_a_terminal_gets_drawn_tables(tmp_path: Path) -> None:
    import pty

    primary, secondary = pty.openpty()
    done = subprocess.run(
        command("query", "SELECT 1 AS one, 'x' AS word"),
        env=environment(tmp_path, TERM="xterm", NO_COLOR="1"),
        stdout=secondary,
        stderr=subprocess.PIPE,
        check=True,
    )
    os.close(secondary)
    text = os.read(primary, 65_536).decode()
    os.close(primary)
    assert done.stderr == b""
    assert "one" in text and "word" in text and "─" in text and "\x1b[3" not in text


def test_the_installed_entry_point_is_the_same_door() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"ofs": "cli.main:entry"}
    assert sys.version_info[:2] >= (3, 11)
