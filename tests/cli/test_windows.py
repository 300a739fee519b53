"""Wildcards and closed pipes as Windows has them; the functions are the same everywhere."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from cli import main
from cli.windows import expanded, reader_left


def test_patterns_become_files_and_questions_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.zip", "a.zip", "c.csv"):
        (tmp_path / name).write_bytes(b"")
    words = ["import", "*.zip", "[c].csv", "none-*.gz", "--log=*.zip", "SELECT * FROM trades"]
    assert expanded(words) == [
        "import", "a.zip", "b.zip", "c.csv", "none-*.gz", "--log=*.zip", "SELECT * FROM trades",
    ]  # fmt: skip


def test_main_expands_where_the_shell_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(main, "run", lambda words: seen.append(words) or 0)
    monkeypatch.setattr(main, "SHELL_EXPANDS", False)
    monkeypatch.setattr("cli.windows.glob", lambda word: [f"{word[:-1]}1"])
    with pytest.raises(SystemExit):
        main.main(["import", "data/*"])
    assert seen == [["import", "data/1"]]


@pytest.mark.parametrize(
    ("error", "system", "left"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "posix", True),
        (OSError(errno.EINVAL, "Invalid argument"), "nt", True),
        (OSError(errno.EINVAL, "Invalid argument", "C:\\x"), "nt", False),
        (OSError(errno.EINVAL, "Invalid argument"), "posix", False),
        (ValueError("no"), "nt", False),
    ],
)
def test_a_reader_that_left(error: BaseException, system: str, left: bool) -> None:
    assert reader_left(error, system) is left


def test_a_closed_pipe_of_windows_is_no_failure(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    def closed(_words: list[str]) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(main, "_invoke", closed)
    monkeypatch.setattr(main, "_close_pipe", lambda: 0)
    assert run("runs").code == 4, "elsewhere it is a refusal of the system"
    monkeypatch.setattr("cli.windows.reader_left", lambda error: True)
    assert run("runs").code == 0
