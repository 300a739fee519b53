"""The shape of a check and of its answer, and how a list of checks is asked.

Owns :class:`Line` (ok, warn or fail; the fact; the mend) and :func:`examine`. What must hold: no
check can hang the doctor (each has a deadline, after which it is a failed line), none can end it
(what it raises is a failed line), and a line that is not ok always says what to do. It refuses to
know what is checked and how a line is printed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from data.errors import OfsError

DEADLINE_S = 20.0
"""How long a check may take that names no time of its own, in seconds."""

_LOOK_S = 0.1


class Status(StrEnum):
    """How a line is meant: all is well, it will do, it will not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Line:
    """One answer: ``fact`` is a sentence, ``mend`` what to do (empty only when all is well).

    ``numbers`` are the measured values behind the sentence, units in their names.
    """

    check: str
    status: Status
    fact: str
    mend: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """ValueError for a line that complains and does not say what to do."""
        if self.status != Status.OK and not self.mend:
            raise ValueError(f"{self.check}: a {self.status} line must say what to do")


@dataclass(frozen=True, slots=True)
class Check:
    """A question: its name, the function that answers it, its deadline in seconds.

    ``stuck`` is what to do when no answer comes in time.
    """

    name: str
    ask: Callable[[], Line]
    deadline_s: float = DEADLINE_S
    stuck: str = "see what the machine is busy with, and ask again"


class _Asked:
    """A check that was started in a thread of its own; a stuck one does not outlive the process."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._start_s = time.monotonic()
        self._line: Line | None = None
        self._thread = threading.Thread(target=self._run, name=f"check {check.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        name = self._check.name
        try:
            self._line = self._check.ask()
        except OfsError as error:
            why = f": {error.why}" if error.why else ""
            where = f" ({error.where})" if error.where else ""
            mend = error.do or "mend that and ask again"
            self._line = Line(name, Status.FAIL, f"{error.what}{why}{where}", mend)
        except Exception as error:  # noqa: BLE001  reason: a check that breaks is an answer too
            self._line = Line(
                name,
                Status.FAIL,
                f"the check broke off: {type(error).__name__}: {error}",
                "mend what it names; where it names nothing of yours, report it as a bug of ofs",
                {"broke": True},
            )

    def line(self) -> Line:
        """The answer, or the line that says that there was none in time."""
        check = self._check
        while self._line is None and self._thread.is_alive():
            if time.monotonic() - self._start_s > check.deadline_s:
                fact = f"no answer within {check.deadline_s:g} s"
                return Line(check.name, Status.FAIL, fact, check.stuck, {"stuck": True})
            self._thread.join(_LOOK_S)  # in short waits: Windows cannot interrupt a long one
        assert self._line is not None
        return self._line


def examine(checks: Sequence[Check], *, together: bool = False) -> Iterator[Line]:
    """Ask ``checks`` and give one line for each, in their order, as the answers come.

    One after the other, so that they do not disturb each other's measures; ``together`` all at
    once, for those that only wait for somebody else.
    """
    if together:
        asked = [_Asked(check) for check in checks]
        yield from (one.line() for one in asked)
    else:
        yield from (_Asked(check).line() for check in checks)
