"""What an import did, in numbers: per file and in all.

Owns the report types and their JSON form. It refuses to know how the numbers came about.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from data.times import format_utc

_SUMS = (
    *("lines", "added", "duplicates", "conflicts", "out_of_order"),
    *("sequence_breaks", "restarts", "crossed_books"),
)


@dataclass(slots=True)
class FileReport:
    """One file, or one entry of a zip.

    ``rows`` counts the events that were read, by kind; ``added``, ``duplicates`` and ``conflicts``
    what became of them in the log. ``rejected`` counts lines by reason, ``skipped`` messages that
    carry no event of ours, ``left_out`` events of a stream that another one stands in for.
    ``from_ns`` and ``to_ns`` are the first and the last exchange time, 0 where there is no row.
    """

    file: str
    path: str
    format: str
    venue: str
    symbol: str
    found: str
    lines: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    added: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    out_of_order: int = 0
    from_ns: int = 0
    to_ns: int = 0
    diffs: int = 0
    diffs_applied: int = 0
    snapshots: int = 0
    snapshots_used: int = 0
    sequence_breaks: int = 0
    restarts: int = 0
    crossed_books: int = 0
    notes: list[str] = field(default_factory=list)

    def saw(self, low_ns: int, high_ns: int) -> None:
        """Widen the range of exchange times."""
        self.from_ns = min(self.from_ns or low_ns, low_ns)
        self.to_ns = max(self.to_ns, high_ns)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; times in ISO 8601, null where there is no row."""
        out: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if name in ("from_ns", "to_ns"):
                out[name.removesuffix("_ns")] = format_utc(value) if value else None
            else:
                out[name] = dict(sorted(value.items())) if isinstance(value, Counter) else value
        return out


@dataclass(slots=True)
class ImportReport:
    """A whole import. ``unknown`` holds (path, why) of files below a folder that were passed over;
    ``rejects`` the side files, relative to the log."""

    files: list[FileReport] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Sum of a count over the files."""
        return sum(getattr(f, name) for f in self.files)

    def counted(self, name: str) -> Counter[str]:
        """Sum of a table of counts (rows, rejected, skipped, left_out) over the files."""
        return sum((getattr(f, name) for f in self.files), Counter())

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        totals: dict[str, Any] = {name: self.total(name) for name in _SUMS}
        totals |= {
            name: dict(sorted(self.counted(name).items()))
            for name in ("rows", "rejected", "skipped", "left_out")
        }
        return {
            "files": [f.as_dict() for f in self.files],
            "totals": totals,
            "unknown": [{"path": path, "why": why} for path, why in self.unknown],
            "rejects": self.rejects,
        }
