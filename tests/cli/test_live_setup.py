"""What ``ofs live`` makes of its options before a session begins."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli import live_run
from data.live.endpoint import Endpoint
from engine.runtime.live_gates import Seen
from tests.cli.run import ofs
from tests.engine.runtime.test_live_config import LEAST, parsed

GIVEN = {
    "sandbox": False, "endpoint": None, "new": False, "session": None, "account": 5001,
    "unproven": "a test", "http": False,
}  # fmt: skip


@pytest.mark.parametrize("option, new", [("sandbox", True), ("new", True), ("http", False)])
def test_a_session_never_goes_on_at_another_sandbox(
    monkeypatch: pytest.MonkeyPatch, option: str, new: bool
) -> None:
    """The account of a sandbox of its own ends with it: what the log says is held is not there."""
    config = parsed(LEAST)
    monkeypatch.setattr(live_run, "_place", lambda *_a: (config, None, Endpoint("", "")))
    monkeypatch.setattr(live_run, "_pass_gates", lambda *_a: Seen())
    app = cast(Any, SimpleNamespace(runs=Path("runs"), say=print))
    with ExitStack() as stack:
        setup = live_run._setup(app, Path("live.toml"), {**GIVEN, option: True}, stack)
    assert setup.new is new


def test_a_session_cannot_be_named_beside_a_sandbox_of_its_own(tmp_path: Path) -> None:
    done = ofs("live", "--sandbox", "--session", "last", home=tmp_path)
    assert done.code == 2 and "went with its sandbox" in done.err, done.err
