"""What the program itself has to say: a text log of bounded size, one JSON object a line.

Owns ``session.log`` of a session: when (wall time and session time), how grave, what, and facts.
What must hold: it never takes more than ``keep + 1`` files of ``most_bytes``; a message that
repeats itself is written a few times a minute and then counted; a disk that takes no more costs
lines, which are counted, and never the session.

It refuses to know what is worth saying.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from data.busy import replace
from data.private import keep_private

LEVELS = ("info", "warn", "error")
MOST_BYTES = 4 << 20
KEEP = 3
REPEATS = 5
"""Times that the same message is written within a minute."""
_MINUTE_S = 60.0
_KINDS_MAX = 512
"""Different messages that are remembered at a time."""
_TEXT_MAX = 2_000
"""Letters of one fact; longer ones are cut."""


class SessionLog:
    """Appends to ``path``; ``path.1`` to ``path.KEEP`` are older. Any thread may write.

    ``lost`` counts lines that the disk did not take.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: int = MOST_BYTES,
        keep: int = KEEP,
        wall_ns: Callable[[], int] = time.time_ns,
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.lost = 0
        self.last_error = ""
        self._most, self._keep = most_bytes, keep
        self._wall_ns, self._mono_s = wall_ns, mono_s
        self._lock = Lock()
        self._file: TextIO | None = None
        self._bytes = 0
        self._said: dict[str, list[float]] = {}
        self._muted: dict[str, int] = {}

    def info(self, what: str, **facts: Any) -> None:
        """Something happened as it should."""
        self.write("info", what, **facts)

    def warn(self, what: str, **facts: Any) -> None:
        """Something happened that a person may want to know."""
        self.write("warn", what, **facts)

    def error(self, what: str, **facts: Any) -> None:
        """Something went wrong."""
        self.write("error", what, **facts)

    def write(self, level: str, what: str, **facts: Any) -> None:
        """One line, unless the same was said REPEATS times within the last minute.

        ``facts`` are shown as they are where JSON can, else as text; ``repeated`` says how many
        such lines were left out before this one.
        """
        with self._lock:
            left_out = self._left_out(f"{level} {what}")
            if left_out is None:
                return
            more = {"repeated": left_out} if left_out else {}
            stamp = datetime.fromtimestamp(self._wall_ns() / 1e9, UTC)
            line = {"time": f"{stamp:%Y-%m-%dT%H:%M:%S.%f}Z", "level": level, "what": what}
            shown = {name: _short(value) for name, value in facts.items()}
            self._append(json.dumps({**line, **shown, **more}, ensure_ascii=False, default=str))

    def _left_out(self, key: str) -> int | None:
        """How many like this were left out; None where this one is, too."""
        now = self._mono_s()
        if len(self._said) > _KINDS_MAX:
            self._said = {k: v for k, v in self._said.items() if v[-1] > now - _MINUTE_S}
            if len(self._said) > _KINDS_MAX:
                self._said.clear()
            self._muted = {k: n for k, n in self._muted.items() if k in self._said}
        recent = [t for t in self._said.get(key, []) if t > now - _MINUTE_S]
        if len(recent) >= REPEATS:
            self._said[key] = recent
            self._muted[key] = self._muted.get(key, 0) + 1
            return None
        self._said[key] = [*recent, now]
        return self._muted.pop(key, 0)

    def _append(self, line: str) -> None:
        try:
            size = len(line.encode()) + 1
            if self._file is None or self._bytes + size > self._most:
                self._file = self._opened(size)
            self._file.write(line + "\n")
            self._file.flush()
            self._bytes += size
        except OSError as error:
            self.lost += 1
            self.last_error = str(error)
            self._close()

    def _opened(self, size: int) -> TextIO:
        """The file, after moving the old ones along where ``size`` bytes more are too many."""
        self._close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        held = self.path.stat().st_size if self.path.exists() else 0
        if held and held + size > self._most:
            self._aged(self._keep).unlink(missing_ok=True)
            for n in range(self._keep - 1, 0, -1):
                if self._aged(n).exists():
                    replace(self._aged(n), self._aged(n + 1))
            replace(self.path, self._aged(1))
            held = 0
        self._bytes = held
        file = self.path.open("a", encoding="utf-8", newline="\n")
        keep_private(self.path)
        return file

    def _aged(self, n: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{n}")

    def _close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                # what could not be flushed was counted when it was written
                self.lost += 1
        self._file = None

    def close(self) -> None:
        """Close the file; it is opened anew by the next line."""
        with self._lock:
            self._close()


def _short(value: Any) -> Any:
    """A value that fits into a line."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    if len(text) > _TEXT_MAX:
        return text[:_TEXT_MAX] + "..."
    return value if isinstance(value, (str, list, dict, tuple)) else text
