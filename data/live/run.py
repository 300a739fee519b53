"""The life of a recording: turn after turn until something ends it, then drain and close.

Owns :class:`Ends` and :func:`run`. What must hold: whatever ends the loop, the journal is closed
and the locks go; a session that drained has everything sealed; one that did not goes on from its
journal the next time.

It refuses to know who watches.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from data.live.clock import ANCHORS_MOST
from data.live.recorder import Recorder
from data.live.session_folder import SessionFolder

STOPPED = "stopped"
UNTIL_END = "the served range is over"
OVER = "its time was over"
CLOCK_EVERY_S = 1.0
SWITCH_S = 0.001
"""The interpreter's lock goes from the sockets' thread to the pump after so long, not after 5 ms:
every write and every fold gives it away, and each time waits to have it back."""

LAST_FILL_S = 60.0
"""How long the end of a session waits for what it missed to be fetched."""


@dataclass
class Ends:
    """What ends a session: a signal (``asked`` names it), the end of a served range, a length in
    market time (ns, from the first event), or an operator (``told`` says why).

    Only the last three are the end of the session itself; after a signal it can go on, and so it
    can where an operator ended it and something is ``left`` to do.
    """

    asked: Callable[[], str] = lambda: ""
    until_end: bool = False
    length_ns: int = 0
    told: Callable[[], str] = lambda: ""
    left: Callable[[], bool] = lambda: False

    def reason(self, recorder: Recorder, began_ns: int) -> tuple[str, bool]:
        """(why it ends now, whether that is the end of the session); ("", False) to go on."""
        if self.asked():
            return STOPPED, False
        if self.until_end and recorder.ended:
            return UNTIL_END, True
        if self.length_ns and began_ns and recorder.clock.now() - began_ns >= self.length_ns:
            return OVER, True
        told = self.told()
        return told, bool(told) and not self.left()


class ClockNotes:
    """Watches the wall clock, and keeps the anchors of the session's clock among its facts."""

    def __init__(self, recorder: Recorder, folder: SessionFolder) -> None:
        self._clock, self._folder = recorder.clock, folder
        self._before: list[Any] = list(folder.facts.get("clock", []))
        self._steps = -1
        self._next_s = 0.0

    def look(self) -> None:
        """Once a turn; asks the clocks about once a second."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + CLOCK_EVERY_S
        self._clock.skew_ns()
        if self._clock.steps != self._steps:
            self._steps = self._clock.steps
            mine = [asdict(anchor) for anchor in self._clock.anchors]
            self._folder.keep(clock=[*self._before, *mine][-ANCHORS_MOST:])
        elif self._folder.behind:
            self._folder.keep()


def run(
    recorder: Recorder,
    folder: SessionFolder,
    ends: Ends,
    each: Callable[[], None] = lambda: None,
    last: Callable[[], dict[str, Any]] = dict,
) -> str:
    """Run until it ends; why. ``each`` is called after every turn, ``last`` gives facts to keep.

    Errors of feed, disk and fold end it, too: what was synced is kept, the session can go on.
    """
    clean = False
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        folder.started()
        clocks = ClockNotes(recorder, folder)
        if recorder.keeper is not None:  # what the day holds already counts from here on
            recorder.keeper.work(recorder.clock.now(), 0)
        recorder.feed.start()
        recorder.admit(recorder.inlet.collect())
        while True:
            why, over = ends.reason(recorder, int(folder.facts.get("began_ns") or 0))
            if why:
                break
            recorder.step()
            clocks.look()
            each()
            if not folder.facts.get("began_ns") and recorder.journal.written_seq:
                folder.keep(began_ns=recorder.clock.now())
        recorder.drain()
        clean = True
        each()
        if over:
            recorder.last_fill(LAST_FILL_S)
        facts = {"phase": "stopped", **last()}
        if over:
            folder.end(why, **facts)
        else:
            folder.update(**facts)
    except BaseException as error:
        recorder.feed.stop()
        with suppress(OSError):  # the disk may be what failed; the error below says so
            folder.update(phase="failed", error=f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    finally:
        sys.setswitchinterval(before_s)
        recorder.opened.close(clean)
        if clean and folder.ended:
            recorder.opened.forget()
    return why
