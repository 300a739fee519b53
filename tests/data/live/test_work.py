"""Work on a second thread that meets a locked log is tried again, as often as it may be."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from data.errors import LockedError
from data.live.recorder import Work


def busy(tries: list[int], free_at: int) -> Callable[[], None]:
    """Work that finds the log locked until it was tried ``free_at`` times."""

    def work() -> None:
        tries.append(1)
        if len(tries) < free_at:
            raise LockedError("somebody writes")

    return work


def test_it_is_tried_again_until_the_log_is_free() -> None:
    tries: list[int] = []
    work = Work(1, busy(tries, 3), 0.01)
    work.result(wait_s=10)
    assert work.done and len(tries) == work.tries == 3


def test_what_asks_a_venue_waits_longer_and_says_for_what() -> None:
    tries: list[int] = []
    work = Work(1, busy(tries, 99), 60.0)
    end_s = time.monotonic() + 10
    while not work.last_error and time.monotonic() < end_s:
        time.sleep(0.005)
    time.sleep(0.1)
    assert work.last_error == "somebody writes" and len(tries) == 1 and not work.done


def test_an_error_that_waiting_does_not_mend_is_raised() -> None:
    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Work(1, work, 60.0).result(wait_s=10)
