"""An answer of DuckDB as a stream of Arrow batches that Ctrl-C can stop.

DuckDB works in a thread of its own, so that the caller's thread stays free for signals: a heavy
aggregate does not look at them. What must hold: at most a few batches are in memory, and leaving
early (an error, an interrupt, a closed pipe) stops the statement and ends the thread.

It refuses to know what was asked.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from data.query_errors import explain

_AHEAD = 4
_POLL_S = 0.2
"""On Windows a thread that waits without a limit does not see Ctrl-C."""


class Stream:
    """The answer to one statement: ``schema`` (Arrow) and, by iterating, its record batches."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        sql: str,
        batch_rows: int,
        views: Sequence[str],
    ) -> None:
        self._connection = connection
        self._views = views
        self._items: queue.Queue[pa.Schema | pa.RecordBatch | Exception | None]
        self._items = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(sql, batch_rows), name="ofs-query", daemon=True
        )
        self._thread.start()
        schema = self._next()
        assert isinstance(schema, pa.Schema)
        self.schema = schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Record batches in the order of the answer; may be iterated once."""
        try:
            while isinstance(batch := self._next(), pa.RecordBatch):
                yield batch
        finally:
            self.close()

    def close(self) -> None:
        """Stop the statement if it still runs, and end the thread."""
        self._stop.set()
        while self._thread.is_alive():
            self._connection.interrupt()
            self._drain()
            self._thread.join(_POLL_S)

    def _next(self) -> pa.Schema | pa.RecordBatch | None:
        try:
            while True:
                try:
                    item = self._items.get(timeout=_POLL_S)
                    break
                except queue.Empty:
                    continue
        except BaseException:
            self.close()
            raise
        if isinstance(item, (duckdb.Error, RuntimeError, OSError, pa.ArrowException)):
            self.close()
            raise explain(item, self._views) from item
        if isinstance(item, Exception):
            raise item
        return item

    def _work(self, sql: str, batch_rows: int) -> None:
        try:
            reader = self._connection.sql(sql).to_arrow_reader(batch_rows)
            self._put(reader.schema)
            for batch in reader:
                if self._stop.is_set():
                    return
                self._put(batch)
            self._put(None)
        except Exception as error:  # noqa: BLE001  reason: it is raised again in the caller's thread
            self._put(error)

    def _put(self, item: pa.Schema | pa.RecordBatch | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                self._items.put(item, timeout=_POLL_S)
                return
            except queue.Full:
                continue

    def _drain(self) -> None:
        while True:
            try:
                self._items.get_nowait()
            except queue.Empty:
                return
