"""A disk that is full in earnest, under 40,000 messages a second: a pause, a gap, and on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.test_recorder_kills import Life, check, spraying
from tests.e2e.support import User

ROOT = os.geteuid() == 0 if os.name != "nt" else False
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(
        not ROOT or not shutil.which("mount"), reason="mounts a small disk, which only root may"
    ),
]
DISK_MB, LEFT_MB = 64, 6
RATE = 40_000
FULL_S = 6.0
"""More messages than the feed keeps."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def stands_still(life: Life, for_s: float) -> int:
    """Wait until nothing more is told for so long; the last that was told."""
    by_s, seen, since_s = time.monotonic() + 60, -1, time.monotonic()
    while time.monotonic() < by_s:
        now = life.told[-1][0]
        if now != seen:
            seen, since_s = now, time.monotonic()
        elif time.monotonic() - since_s > for_s:
            return seen
        assert life.process.poll() is None, life.process.communicate()
        time.sleep(0.05)
    raise AssertionError("the disk does not get full")


@pytest.mark.timeout(180)
def test_a_full_disk_is_a_pause(user: User, disk: Path) -> None:
    on_disk = User(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes((DISK_MB - LEFT_MB) << 20))
    with spraying(RATE) as line:
        life = Life.begin(on_disk, line, "--free-min", "1kB")
        life.records_again(0)
        told = stands_still(life, 1.5)
        assert shutil.disk_usage(disk).free < 1 << 20
        assert told > 1000
        time.sleep(FULL_S)
        ballast.unlink()
        life.records_again(told)
        # at once: what the full disk lost is said though the session is being ended
        facts = json.loads(life.end(signal.SIGTERM))
    print(f"full at event {told}; {facts['events']} events, {facts['gaps_by_reason']}")
    assert facts["dropped"] > 0
    assert facts["gaps_by_reason"].get("disk", 0) >= 2, facts
    assert facts["synced"] == facts["sealed"] == facts["events"] > told
    check(on_disk.log, facts, seed=0)
    found = on_disk.ofs("log", "check").out.splitlines()[1:]
    told_of = {line.split()[0] for line in found}
    assert told_of <= {"recorded_gap", "id_hole"}, found  # what is missing, and nothing that is bad
