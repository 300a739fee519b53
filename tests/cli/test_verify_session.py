"""``ofs verify`` of a session that has no run says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data.live.session_folder import SessionFolder


@pytest.mark.parametrize(
    ("kind", "said"), [("record", "a recording decides nothing"), ("paper", "nothing yet")]
)
def test_a_session_without_a_run(run: Any, tmp_path: Path, kind: str, said: str) -> None:
    folder = SessionFolder.create(tmp_path, kind, "x" if kind == "paper" else "", {})
    done = run("verify", folder.id, "--runs", tmp_path)
    assert done.code == 4
    assert said in done.err and "do:" in done.err and "did you mean" not in done.err


def test_a_name_of_neither(run: Any, tmp_path: Path) -> None:
    SessionFolder.create(tmp_path, "record", "", {})
    assert "there is no run 'nosuch'" in run("verify", "nosuch", "--runs", tmp_path).err
