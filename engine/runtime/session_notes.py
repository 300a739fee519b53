"""What a session writes down about itself while it runs unattended.

Owns :class:`Notes`: which changes between two pictures are worth a line in the session's own log.
What must hold: a state that lasts is written once when it begins and once when it ends, so two
weeks of it fit into a bounded file. It refuses to know how a line is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data.live.session_log import SessionLog
from engine.runtime.view import View

Note = tuple[str, str, dict[str, Any]]
"""Level, what, facts."""


class Notes:
    """Compares each picture with the one before and writes to ``log`` what changed."""

    def __init__(self, log: SessionLog, first: View) -> None:
        self._log = log
        self._before = first

    def look(self, view: View) -> None:
        """A new picture."""
        before, self._before = self._before, view
        for level, what, facts in _changes(before, view):
            self._log.write(level, what, **facts)


def _changes(before: View, now: View) -> Iterator[Note]:
    if now.phase != before.phase:
        yield "info", f"now {now.phase}", {"was": before.phase}
    for alarm in now.alarms:
        if _kind(alarm) not in {_kind(x) for x in before.alarms}:
            yield "warn", "alarm", {"text": alarm}
    for alarm in before.alarms:
        if _kind(alarm) not in {_kind(x) for x in now.alarms}:
            yield "info", "alarm is over", {"text": alarm}
    yield from _feed(before, now)
    if now.states.checkpointed > before.states.checkpointed:
        yield "info", "checkpoint", {"seq": now.states.checkpointed, "log": now.disk.log_bytes}
    if now.disk.left_out != before.disk.left_out:
        yield "warn", "kinds left out", {"kinds": list(now.disk.left_out)}


def _kind(alarm: str) -> str:
    """What an alarm is about, without its numbers."""
    return alarm.partition(":")[0].lstrip("0123456789,")


def _feed(before: View, now: View) -> Iterator[Note]:
    a, b = before.feed, now.feed
    if b.disconnects > a.disconnects:
        lost = b.disconnects - a.disconnects
        yield "warn", "connection lost", {"times": lost, "why": b.last_error}
    if b.connects > a.connects:
        yield "info", "connected", {"connections": b.connections}
    if b.rotations > a.rotations:
        yield "info", "connection rotated", {"rotations": b.rotations}
    if b.silent != a.silent:
        yield "warn", "silent streams", {"streams": list(b.silent[:20]), "count": len(b.silent)}
    if b.dropped > a.dropped:
        yield "error", "messages dropped", {"count": b.dropped - a.dropped}
    for reason, n in now.gaps.by_reason.items():
        if n > before.gaps.by_reason.get(reason, 0):
            more = n - before.gaps.by_reason.get(reason, 0)
            yield "warn", f"gap ({reason})", {"count": more, "open": now.gaps.open}
    for reason, n in b.rejects.items():
        if n > a.rejects.get(reason, 0):
            yield "warn", f"rejected ({reason})", {"count": n - a.rejects.get(reason, 0)}
