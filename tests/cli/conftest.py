"""Commands run inside the test's process: quick, and with a home of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli import main
from tests.cli.run import Result

Ofs = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ofs:
    """Calls ``ofs`` with words; the log and the runs of a user who has neither."""
    for name in ("OFS_LOG", "OFS_RUNS", "OFS_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> Result:
        capsys.readouterr()
        code = main.run([str(word) for word in words])
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call
