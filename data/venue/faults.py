"""What a server that stands in for a venue does wrong, when, and how often.

Owns :class:`Fault`, its spelling on a command line, and the book of how often each has struck. What
must hold: a fault strikes by path and by attempt and by nothing else, so that a rehearsal can be
repeated.

It refuses to know how a fault is carried out on a socket.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from data.errors import UsageError

KINDS = {
    "missing": "404, as if it were not published yet",
    "status": "the status VALUE (503)",
    "busy": "429 with Retry-After: VALUE seconds (1)",
    "truncated": "the body ends, with its connection, after VALUE bytes (half of them)",
    "reset": "the connection is reset after VALUE bytes (half of them)",
    "stall": "nothing more comes after VALUE bytes (half of them), for ever",
    "drip": "VALUE bytes a second (200)",
    "checksum": "a .CHECKSUM names another sum; any other file has one byte changed",
    "whole": "Range is not understood: the whole body, status 200",
}
"""Every fault and what it does; the number in brackets is the VALUE where none is given."""

_WITHOUT_BODY = frozenset({"missing", "status", "busy"})
_SPELLING = re.compile(r"(?P<kind>[a-z]+)(?:=(?P<value>[0-9]+))?@(?P<paths>[^#]+?)(?:#(?P<n>\d+))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One misbehaviour: of which ``kind``, at paths that match the glob ``paths``, the first
    ``times`` times that each path is asked for (0: always). ``value`` -1 is the kind's default."""

    kind: str
    paths: str = "*"
    times: int = 1
    value: int = -1

    def __post_init__(self) -> None:
        """UsageError where ``kind`` is none of :data:`KINDS`."""
        if self.kind not in KINDS:
            raise UsageError(
                f"there is no fault {self.kind!r}", do=f"use one of: {', '.join(KINDS)}"
            )

    def number(self, default: int) -> int:
        """The value, or ``default`` where none was given."""
        return default if self.value < 0 else self.value


def parse_fault(text: str) -> Fault:
    """A fault as it is written on a command line: ``KIND[=VALUE]@GLOB[#TIMES]``.

    ``reset=1000@*2025-01-02.zip#2`` resets the first two transfers after 1000 bytes. UsageError
    where the text is none.
    """
    found = _SPELLING.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is no fault",
            do="write KIND[=VALUE]@GLOB[#TIMES], for example reset=1000@*2025-01-02.zip#2",
        )
    value = int(found["value"]) if found["value"] else -1
    return Fault(found["kind"], found["paths"], int(found["n"] or 1), value)


class FaultBook:
    """Which faults are set, and how often each has struck each path."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)
        self._struck: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Set more faults; earlier ones come first."""
        with self._lock:
            self._faults += faults

    def clear(self) -> None:
        """Behave from here on."""
        with self._lock:
            self._faults.clear()
            self._struck.clear()

    def strike(self, path: str) -> Fault | None:
        """The fault that this request for ``path`` meets; it is counted as having struck."""
        with self._lock:
            for number, fault in enumerate(self._faults):
                left = fault.times == 0 or self._struck[number, path] < fault.times
                if left and fnmatchcase(path, fault.paths):
                    self._struck[number, path] += 1
                    return fault
        return None

    def standing(self, path: str) -> Fault | None:
        """The fault that answers every request for ``path``, also one for its headers alone; it is
        not counted. Faults of a body, and those that pass, do not concern headers."""
        with self._lock:
            return next(
                (
                    fault
                    for fault in self._faults
                    if fault.times == 0
                    and fault.kind in _WITHOUT_BODY
                    and fnmatchcase(path, fault.paths)
                ),
                None,
            )
