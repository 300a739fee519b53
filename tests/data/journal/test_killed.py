"""kill -9 of a process that writes: nothing acknowledged is lost, nothing comes twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


@pytest.mark.campaign
def test_killed_again_and_again(tmp_path: Path) -> None:
    rounds = 200 if os.environ.get("OFS_CAMPAIGN") else 12
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.journal.killing", str(tmp_path), str(rounds), "5"],
        capture_output=True, text=True, encoding="utf-8", check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == rounds
    before = 0
    for one in told:
        assert one["last_seq"] >= one["acked"] >= before
        assert one["holes"] == 0
        assert one["ready_s"] < 2
        before = one["last_seq"]
    written = told[-1]["last_seq"] / sum(one["lived_s"] - one["ready_s"] for one in told)
    assert written > 20_000  # events/s
