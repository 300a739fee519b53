"""Recording one step behind the fold, on a thread of its own.

Owns :class:`Behind`, a sink that hands records to another sink in order, from a worker thread with
a bounded queue: hashing and writing Parquet release the interpreter lock, so the fold does not wait
for them. What must hold: order is kept; a failure of the worker comes out of the next ``take`` or
of ``close``; after ``close`` everything taken has been handed on. It refuses to know the records.
"""

from __future__ import annotations

import queue
import threading
from types import TracebackType

import numpy as np

from engine.runtime.fold import Sink

DEPTH = 8
_POLL_S = 0.05


class Behind:
    """Hands what it takes to ``sink`` on a second thread; use it as a context manager."""

    def __init__(self, sink: Sink, depth: int = DEPTH) -> None:
        self._sink = sink
        self._queue: queue.Queue[tuple[str, np.ndarray] | None] = queue.Queue(maxsize=depth)
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="ofs-record-behind", daemon=True)
        self._thread.start()

    def take(self, name: str, rows: np.ndarray) -> None:
        """Queue ``rows`` of table ``name``; raises what the worker failed with.

        ValueError once it was closed: the records would go nowhere.
        """
        if self._closed:
            raise ValueError("records were taken after the recorder was closed")
        self._put((name, rows))

    def close(self) -> None:
        """Wait until everything was handed on; raises what the worker failed with."""
        self._put(None)
        self._closed = True
        self._thread.join()
        self._check()

    def __enter__(self) -> Behind:
        """The thread runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, or drop what is queued when the fold failed."""
        if kind is None:
            self.close()
            return
        self._stopped.set()
        self._thread.join()

    def _put(self, item: tuple[str, np.ndarray] | None) -> None:
        while True:
            self._check()
            try:
                self._queue.put(item, timeout=_POLL_S)
                return
            except queue.Full:
                continue

    def _check(self) -> None:
        if self._error is not None:
            self._stopped.set()
            raise self._error

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if item is None:
                return
            try:
                self._sink.take(*item)
            except BaseException as error:  # noqa: BLE001  reason: it is raised again by take
                self._error = error
                return
