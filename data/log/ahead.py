"""Working one step ahead on a second thread.

Owns :func:`ahead`. What must hold: at most ``depth`` items wait; an error of the producer comes out
where the consumer takes the next item; when the consumer stops early, the thread ends before the
iterator's ``close`` returns.

It refuses to know what the items are.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.05


class _End:
    """Marks the end of the items, with the error that ended them if there was one."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(make: Callable[[], Iterator[T]], depth: int = 2) -> Iterator[T]:
    """Items of ``make()``, produced by a thread that runs up to ``depth`` items ahead."""
    waiting: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: T | _End) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        error: BaseException | None = None
        try:
            for item in make():
                if not put(item):
                    return
        except BaseException as raised:  # noqa: BLE001 - it is raised again in the consumer
            error = raised
        put(_End(error))

    thread = threading.Thread(target=produce, name="ofs-decode-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        while not waiting.empty():
            waiting.get_nowait()
        thread.join()
