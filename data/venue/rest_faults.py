"""Faults of a stand-in venue's REST interface.

Owns :class:`RestFaults`: which request meets which ``rest_error`` of a script, by path and by the
order of requests. What must hold: every fault that was met is counted.

It refuses to know what a good answer is.
"""

from __future__ import annotations

import threading
from fnmatch import fnmatchcase

from data.venue.rest_api import Answer
from data.venue.strike import Done
from data.venue.venue_faults import Script, Trigger

_TEXTS = {
    418: (-1003, "Way too many requests; IP banned until the time of Retry-After."),
    429: (-1003, "Too many requests; please use the websocket for live updates."),
    403: (0, "Forbidden"),
    451: (0, "Service unavailable from a restricted location according to 'b. Eligibility'."),
    503: (-1000, "Unknown error, please check your request or try again later."),
}


class RestFaults:
    """Strikes requests; safe from several threads."""

    def __init__(self, script: Script) -> None:
        mine = [f for f in script.faults if f.kind == "rest_error"]
        self._triggers = [Trigger(f, script.seed, "rest", 0) for f in mine]
        self._lock = threading.Lock()
        self.done = Done()

    def meet(self, path: str) -> Answer | None:
        """The bad answer that a request for ``path`` gets; None where it gets a good one.

        Status 0 stands for a connection that is closed without an answer.
        """
        with self._lock:
            for trigger in self._triggers:
                fault = trigger.fault
                if fnmatchcase(path, fault.path) and trigger.strikes(0):
                    self.done.note("rest_error", path, None, status=fault.value)
                    code, text = _TEXTS.get(fault.value, (-1000, "An error of the script."))
                    wait = {"Retry-After": str(fault.retry_s)} if fault.value in (418, 429) else {}
                    body = "rubbish" if fault.value == 200 else {"code": code, "msg": text}
                    return Answer(fault.value, body, wait)
        return None
