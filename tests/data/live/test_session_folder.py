"""The folder of a session: who may look into it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.live.session_folder import FACTS, SessionFolder, open_session
from data.live.session_log import SessionLog

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A user whose new files are everybody's, the usual one, and a careful one."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_only_its_user_may_look_into_it(tmp_path: Path, umask: int) -> None:
    folder = SessionFolder.create(tmp_path / "runs", "paper", "x", {})
    log = SessionLog(folder.path / "session.log", most_bytes=100, keep=1)
    for n in range(3):
        log.info(f"line {n}", text="y" * 40)
    log.close()
    assert mode(folder.path) == "0o700"
    for name in (FACTS, "session.log", "session.log.1"):
        assert mode(folder.path / name) == "0o600", name


def test_a_session_of_an_older_ofs_is_closed_when_it_goes_on(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "record", "", {})
    folder.path.chmod(0o755)
    (folder.path / "session.log").write_text("{}\n", encoding="utf-8")
    (folder.path / "session.log").chmod(0o644)
    again = open_session(folder.path)
    again.started()
    log = SessionLog(folder.path / "session.log")
    log.info("here")
    log.close()
    assert mode(folder.path) == "0o700" and mode(folder.path / "session.log") == "0o600"
