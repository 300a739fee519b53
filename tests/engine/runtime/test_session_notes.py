"""What is written down of an unattended session: changes, once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from data.live.session_log import SessionLog
from engine.runtime.session_notes import Notes
from engine.runtime.view import View
from tests.engine.runtime.pictures import a_view


def written(tmp_path: Path, *views: View) -> list[tuple[str, str]]:
    log = SessionLog(tmp_path / "session.log")
    notes = Notes(log, a_view())
    for view in views:
        notes.look(view)
    log.close()
    if not log.path.exists():
        return []
    rows = [json.loads(x) for x in log.path.read_text(encoding="utf-8").splitlines()]
    return [(row["level"], row["what"]) for row in rows]


def test_what_stays_as_it_is_is_not_written(tmp_path: Path) -> None:
    assert written(tmp_path, a_view(), a_view()) == []


def test_an_alarm_is_written_when_it_begins_and_when_it_is_over(tmp_path: Path) -> None:
    late = [replace(a_view(), alarms=(f"events are late: p99 {n} ms",)) for n in range(50)]
    assert written(tmp_path, *late, a_view()) == [("warn", "alarm"), ("info", "alarm is over")]


def test_dropped_messages_are_one_alarm_however_many(tmp_path: Path) -> None:
    more = [replace(a_view(), alarms=(f"{n:,} messages were dropped: x",)) for n in (9, 1_200)]
    assert written(tmp_path, *more) == [("warn", "alarm")]


def test_what_happened_at_the_edges_is_written(tmp_path: Path) -> None:
    view = a_view()
    f = view.feed
    feed = replace(f, disconnects=f.disconnects + 2, connects=f.connects + 1, silent=("a",),
                   dropped=5, rotations=f.rotations + 1, rejects={"malformed": 3})  # fmt: skip
    gaps = replace(view.gaps, by_reason={"disconnect": 9, "id_hole": 4, "disk": 1})
    states = replace(view.states, checkpointed=900)
    disk = replace(view.disk, left_out=("depth",))
    now = replace(view, phase="draining", feed=feed, gaps=gaps, states=states, disk=disk)
    assert written(tmp_path, now) == [
        ("info", "now draining"), ("warn", "connection lost"), ("info", "connected"),
        ("info", "connection rotated"), ("warn", "silent streams"), ("error", "messages dropped"),
        ("warn", "gap (disconnect)"), ("warn", "gap (disk)"), ("warn", "rejected (malformed)"),
        ("info", "checkpoint"), ("warn", "kinds left out"),
    ]  # fmt: skip
