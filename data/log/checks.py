"""Examines a range of a log: damage, holes, and rows that cannot be right.

Owns :func:`check_log`, which ``ofs log check`` and ``ofs log gaps`` print. What must hold: memory
does not grow with the range; a damaged file becomes a finding and does not stop the rest; nothing
is changed.

It refuses to know how a finding is shown and which exit code it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data.errors import DataError
from data.events import Kind, Scales
from data.log.catalogue import Catalogue
from data.log.columns import Rows, larger
from data.log.entry import Entry, sha256_of
from data.log.files import corrupt_file
from data.log.repeats import Repeats
from data.log.rules import (
    HOLE_S,
    NS,
    Bars,
    Books,
    Finding,
    IdHoles,
    NotPositive,
    OffGrid,
    OutOfOrder,
    Quotes,
    RecordedGaps,
    Rule,
    Subject,
    TimeHoles,
)
from data.log.store import LogStore
from data.log.stream import Counters, Plan, Stream, stream_of

CHECKS = (
    "corrupt_file",
    "id_hole",
    "time_hole",
    "recorded_gap",
    "duplicate_id",
    "conflicting_id",
    "out_of_order",
    "crossed",
    "locked",
    "unsorted",
    "not_positive",
    "off_grid",
    "bad_bar",
)
"""Names of all checks."""

GAP_CHECKS = ("id_hole", "time_hole", "recorded_gap")
"""The checks that tell what is missing: those of ``ofs log gaps``."""

_PRICED = frozenset({Kind.TRADE, Kind.DEPTH, Kind.BAR, Kind.QUOTE})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to examine.

    ``checks`` are names out of :data:`CHECKS`; ``hole_s`` overrides, by kind, the silence in
    seconds that counts as a hole; ``ticks`` gives the price step of (venue, symbol) as a decimal
    number of the instrument's unit, where it shall not be inferred. Times are exchange times, ns.
    """

    venue: str | None = None
    symbol: str | None = None
    kinds: tuple[Kind, ...] | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    checks: tuple[str, ...] = CHECKS
    hole_s: Mapping[Kind, float] = field(default_factory=dict)
    ticks: Mapping[tuple[str, str], float] = field(default_factory=dict)


def check_log(
    store: LogStore, wanted: Wanted | None = None, progress: Callable[[int], None] | None = None
) -> Iterator[Finding]:
    """Findings, series by series (venue, symbol, kind), as they are made.

    ``progress`` is called with the number of rows of each block that was examined. A file whose
    bytes are not what was written gives ``corrupt_file`` and is left out of the other checks.
    """
    wanted = wanted or Wanted()
    unknown = set(wanted.checks) - set(CHECKS)
    if unknown:
        raise ValueError(f"unknown checks: {', '.join(sorted(unknown))}")
    catalogue = store.catalogue()
    yield from _broken(store, catalogue, wanted)
    series: dict[tuple[str, str, Kind], list[Entry]] = {}
    for entry in catalogue.select(
        wanted.kinds, wanted.venue, wanted.symbol, wanted.from_ns, wanted.to_ns
    ):
        series.setdefault((entry.venue, entry.symbol, entry.kind), []).append(entry)
    hidden = {b.path for b in catalogue.broken}
    for _, entries in sorted(series.items()):
        usable = [e for e in entries if e.file not in hidden]
        yield from _Examination(store, wanted, usable, progress or _ignore).findings()


def _ignore(rows: int) -> None:
    """No progress is shown."""


def _broken(store: LogStore, catalogue: Catalogue, wanted: Wanted) -> Iterator[Finding]:
    for broken in catalogue.broken:
        place = broken.place
        if "corrupt_file" not in wanted.checks:
            continue
        if place is None:
            yield _corrupt(store, broken.path, broken.why, None, "", "")
            continue
        mine = broken.concerns(place.kind, wanted.venue, wanted.symbol)
        mine = mine and (wanted.kinds is None or place.kind in wanted.kinds)
        if mine and broken.touches(wanted.from_ns, wanted.to_ns):
            yield _corrupt(store, broken.path, broken.why, place.kind, place.venue, place.symbol)


def _corrupt(
    store: LogStore, path: str, why: str, kind: Kind | None, venue: str, symbol: str
) -> Finding:
    text = f"{store.storage.name(path)} cannot be used: {why}"
    return Finding("corrupt_file", kind, venue, symbol, 1, 0, 0, 0, 0, text, path)


class _Examination:
    """All checks of one series over one range."""

    def __init__(
        self,
        store: LogStore,
        wanted: Wanted,
        entries: Sequence[Entry],
        progress: Callable[[int], None],
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._entries = list(entries)
        self._progress = progress

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the series."""
        if "corrupt_file" in self._wanted.checks:
            yield from self._verify()
        if not self._entries:
            return
        rules = self._rules(self._subject())
        columns = dict.fromkeys(name for rule in rules for name in rule.columns)
        if rules:
            for rows in self._rows(tuple(columns)):
                for rule in rules:
                    rule.add(rows)
                self._progress(rows.n)
        for rule in rules:
            yield from (f for f in rule.findings() if f.check in self._wanted.checks)

    def _verify(self) -> Iterator[Finding]:
        """Compare every file with its sha256; those that differ are left out from here on."""
        storage = self._store.storage
        for entry in list(self._entries):
            why = ""
            try:
                with corrupt_file(storage.name(entry.file)):
                    found = sha256_of(storage, entry)
                if found != entry.sha256:
                    why = f"its sha256 is {found}, the catalogue says {entry.sha256}"
            except DataError as error:
                why = error.why
            if why:
                self._entries.remove(entry)
                kind, venue, symbol = entry.kind, entry.venue, entry.symbol
                yield _corrupt(self._store, entry.file, why, kind, venue, symbol)

    def _subject(self) -> Subject:
        first, scales = self._entries[0], self._scales()
        hole_s = {**HOLE_S, **self._wanted.hole_s}.get(first.kind, 0.0)
        hole_ns = round(hole_s * NS)
        tick = self._wanted.ticks.get((first.venue, first.symbol), 0.0)
        step = round(tick * 10**scales.price)
        ids_prove = first.kind == Kind.TRADE and Kind.TRADE not in self._wanted.hole_s
        return Subject(first.kind, first.venue, first.symbol, scales, step, hole_ns, ids_prove)

    def _rules(self, subject: Subject) -> list[Rule]:
        kind = subject.kind
        if kind == Kind.GAP:
            return self._asked([(RecordedGaps(subject), ("recorded_gap",))])
        rules: list[tuple[Rule, tuple[str, ...]]] = [(OutOfOrder(subject), ("out_of_order",))]
        if subject.hole_ns:
            rules.append((TimeHoles(subject), ("time_hole",)))
        if kind == Kind.TRADE:
            rules.append((IdHoles(subject), ("id_hole",)))
            rules.append((Repeats(subject, self._with_ids), ("duplicate_id", "conflicting_id")))
        elif kind == Kind.DEPTH:
            rules.append((Books(subject), ("crossed", "locked", "unsorted")))
        elif kind == Kind.QUOTE:
            rules.append((Quotes(subject), ("crossed", "locked")))
        elif kind == Kind.BAR:
            rules.append((Bars(subject), ("bad_bar", "time_hole")))
        if kind in _PRICED:
            rules.append((NotPositive(subject), ("not_positive",)))
            rules.append((OffGrid(subject), ("off_grid",)))
        return self._asked(rules)

    def _asked(self, rules: Iterable[tuple[Rule, tuple[str, ...]]]) -> list[Rule]:
        return [rule for rule, checks in rules if set(checks) & set(self._wanted.checks)]

    def _rows(self, columns: tuple[str, ...]) -> Iterator[Rows]:
        stream = self._stream(self._entries, columns)
        try:
            while (block := stream.next_block()) is not None:
                yield block.rows
        finally:
            stream.close()

    def _with_ids(self, ids: np.ndarray) -> Iterator[Rows]:
        """The trades with one of ``ids`` (sorted)."""
        low, high = int(ids[0]), int(ids[-1])
        names = ("ts_ns", "id", "price", "qty", "side")
        for entry in self._entries:
            if entry.max_id < low or entry.min_id > high:
                continue
            stream = self._stream([entry], names)
            while (block := stream.next_block()) is not None:
                chosen = np.flatnonzero(np.isin(block.rows["id"], ids))
                if len(chosen):
                    yield block.rows.take(chosen)

    def _scales(self) -> Scales:
        scales = self._entries[0].scales
        for entry in self._entries[1:]:
            scales = larger(scales, entry.scales)
        return scales

    def _stream(self, entries: Sequence[Entry], columns: Sequence[str]) -> Stream:
        """Rows of ``entries`` in total order, at the scales of the whole series."""
        wanted = self._wanted
        plan = Plan(
            self._store.storage, _trust, self._scales(), wanted.from_ns, wanted.to_ns, Counters()
        )
        return stream_of(plan, entries, columns)


def _trust(entry: Entry, source: object) -> None:
    """The files were hashed before."""
