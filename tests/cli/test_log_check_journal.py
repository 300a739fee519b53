"""``ofs log check`` reads the journals of recorders, too: damage is named, a torn end is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.events import Kind
from data.log import LogStore
from tests.data.journal.support import group, open_quiet
from tests.data.log.support import MIDNIGHT, put, trade


def test_journals_are_checked(run: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    put(LogStore(log, create=True), Kind.TRADE, [trade(MIDNIGHT + i, id=i + 1) for i in range(9)])
    folder = log / "_live" / "20261121T120000-record"
    journal = open_quiet(folder)
    for first in (1, 11, 21):
        journal.append(group(first, 10))
        journal.sync()
    words = ("log", "check", "--log", log, "--json")
    assert run(*words).code == 0  # while it is being written
    journal.close(clean=False)
    path = folder / "00000001.wal"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert run(*words).code == 0
    at = len(whole) // 2
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    done = run(*words)
    assert done.code == 1
    (found,) = done.json()["findings"]
    assert found["check"] == "corrupt_file"
    assert found["path"] == "_live/20261121T120000-record/00000001.wal"
    assert str(path) in found["text"] and "at byte" in found["text"]
    assert run(*words, "--only", "crossed").code == 0
