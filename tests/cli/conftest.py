"""Commands run inside the test's process: quick, and with a home of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import main
from tests.cli.run import Result

Ofs = Callable[..., Result]

KEPT = ("OFS_CACHE", "OFS_SHARED_DATA", "OFS_CAMPAIGN")
"""Variables of the tests themselves."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ofs:
    """Calls ``ofs`` with words; the log and the runs of a user who has neither."""
    for name in [n for n in os.environ if n.startswith("OFS_") and n not in KEPT]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> Result:
        capsys.readouterr()
        code = main.run([str(word) for word in words])
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call
