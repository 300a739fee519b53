"""Lines that did not become events: counted by reason, and kept word for word.

Owns the vocabulary of reasons and the side files under ``rejects/`` in the log. What must hold: a
line that was read either becomes an event, is counted as skipped (a message that carries no event
by its kind), or stands here with file, line number, reason and raw text; the same input gives the
same files under the same names, so importing twice changes nothing.

It refuses to know how a line is parsed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable

REASONS: dict[str, str] = {
    "columns": "wrong number of columns",
    "number": "a number cannot be read",
    "precision": "more decimals than can be stored",
    "overflow": "price times quantity, or a number itself, is too large to be stored exactly",
    "time": "a time before 2009 (in tables of brokers and of one's own, 1971), or still to come by "
    "the clock of this machine",
    "time_text": "a date or a time that cannot be read",
    "skipped_hour": "a local time that does not exist: the clocks skipped that hour in spring",
    "price": "a price is not positive",
    "qty": "a quantity is not positive",
    "side": "the aggressor's side cannot be read",
    "tick": "the tick direction cannot be read",
    "id": "a negative id",
    "tombstone": "a cancelled duplicate that the venue left in place (first id -1)",
    "not_market": "a print that is no market trade (insurance fund, ADL, NA)",
    "coin_m": "a COIN-M message between USD-M ones",
    "bar": "a bar whose low, high, open and close, times or volumes contradict each other",
    "levels": "a book side that is not sorted, or crosses the other one",
    "market": "a row of another exchange than the file, or with a symbol that cannot be one",
    "one_sided": "a quote of one side only",
    "symbol": "the symbol in the stream name differs from the one in the data",
    "snapshot_symbol": "a REST snapshot names no symbol and the file has several; pass --symbol",
    "line": "not '<local time> <JSON>'",
    "json": "not JSON, or cut off",
    "frame": "a message of a known kind with a missing or wrong field",
}
"""Every reason, in words."""

PART_BYTES = 4_000_000
"""Rejected lines are handed on in parts of about this size, so that memory stays bounded."""

RAW_MAX = 65_536
"""Longest raw text kept of one line, in characters."""


class RejectedError(ValueError):
    """One line, or one row, cannot become an event; ``reason`` is a key of :data:`REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


class Rejects:
    """The rejected lines of one source file.

    ``name`` is the file's own name (never a path: the content must not depend on where the file
    lies); ``attach(name, data)`` stores one part in the log's folder of rejects.
    """

    def __init__(self, name: str, attach: Callable[[str, bytes], None]) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self._attach = attach
        self._lines: list[bytes] = []
        self._bytes = 0

    def add(self, line: int, reason: str, raw: bytes | str) -> None:
        """Keep one line: its 1-based number, why, and its text."""
        text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
        self.counts[reason] += 1
        record = {"file": self.name, "line": int(line), "reason": reason, "raw": text[:RAW_MAX]}
        self._lines.append(json.dumps(record, ensure_ascii=True).encode() + b"\n")
        self._bytes += len(self._lines[-1])
        if self._bytes >= PART_BYTES:
            self.flush()

    def flush(self) -> None:
        """Store what is held. The name follows from the content alone."""
        if not self._lines:
            return
        data = b"".join(self._lines)
        digest = hashlib.sha256(data).hexdigest()[:16]
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in self.name)
        self._attach(f"{safe[:100]}.{digest}.jsonl", data)
        self._lines.clear()
        self._bytes = 0
