"""Retention: whole partitions go, by age or by bytes.

Owns the plan of what goes, and its execution in one commit. What must hold: only whole partitions
(a kind of a symbol on a UTC day) go; exactly what the plan says goes, or nothing; a partition goes
by age only when all of its day is older. The disk gets the bytes of a file that several symbols
share back when the last of them goes. Age is measured from now, UTC, never from the newest
event: a log that stopped growing ages too.

Side files of imports (rejected lines) belong to no day of the market: they go by the day on which
they were written, and only when the whole log is pruned.

It refuses to know about options and what the time is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.events import EVENTS, Kind
from data.log.catalogue import Catalogue
from data.log.entry import DAY_NS, Entry, Place, date_of, place_of
from data.log.storage import Storage
from data.log.store import LogStore
from data.log.transaction import REJECTS
from data.runs import Run

FIRST_TO_GO = (
    Kind.DEPTH,
    Kind.QUOTE,
    Kind.MARK,
    Kind.LIQUIDATION,
    Kind.BAR,
    Kind.TRADE,
    Kind.CLOCK,
    Kind.CONTROL,
    Kind.BROKER,
    Kind.GAP,
)
"""The order in which kinds are given up where bytes count: depth first, trades late, what a session
wrote down of itself last."""

ORDERS = ("day", "kind")


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay.

    ``keep_ns`` is an age, ``max_bytes`` a size of all that was chosen; None is no limit. By bytes,
    ``order`` "day" gives up the oldest day first (within a day as :data:`FIRST_TO_GO`), "kind" all
    days of depth before any of quotes, and so on.
    """

    keep_ns: int | None = None
    max_bytes: int | None = None
    order: str = "day"


@dataclass(frozen=True, slots=True)
class Item:
    """A partition, or a side file (``place`` is None), with its files as (path, sha256 or "")."""

    place: Place | None
    date: str
    files: tuple[tuple[str, str], ...]
    rows: int
    bytes: int

    @property
    def kind(self) -> str:
        """Name of the kind, or ``rejects``."""
        return EVENTS[self.place.kind].name if self.place else REJECTS


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """What goes and what stays of all that was chosen."""

    items: tuple[Item, ...]
    kept_items: int
    kept_bytes: int

    @property
    def rows(self) -> int:
        """Rows that go."""
        return sum(i.rows for i in self.items)

    @property
    def bytes(self) -> int:
        """Bytes that go."""
        return sum(i.bytes for i in self.items)

    @property
    def files(self) -> int:
        """Files that go."""
        return sum(len(i.files) for i in self.items)


def plan_pruning(
    store: LogStore,
    limits: Limits,
    now_ns: int,
    kinds: Sequence[Kind] | None = None,
    venue: str | None = None,
    symbol: str | None = None,
) -> PruningPlan:
    """What :func:`prune` would remove at the time ``now_ns`` (UTC)."""
    if limits.order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {limits.order!r}")
    items = _partitions(store.storage, store.catalogue(), kinds, venue, symbol)
    if kinds is None and venue is None and symbol is None:
        items += _side_files(store.storage)
    items.sort(key=_age_order if limits.order == "day" else _kind_order)
    oldest = date_of((now_ns - limits.keep_ns) // DAY_NS) if limits.keep_ns is not None else ""
    going = [i for i in items if i.date < oldest]
    left = [i for i in items if i.date >= oldest]
    if limits.max_bytes is not None:
        size = sum(i.bytes for i in left)
        while size > limits.max_bytes and left:
            size -= left[0].bytes
            going.append(left.pop(0))
    going.sort(key=_age_order)
    return PruningPlan(tuple(going), len(left), sum(i.bytes for i in left))


def prune(store: LogStore, plan: PruningPlan) -> None:
    """Remove what ``plan`` says, in one commit.

    DataError, and nothing is removed, where the log changed since the plan was made; LockedError
    where another process is writing.
    """
    with store.transaction() as tx:
        changed = _changed(tx.catalogue, plan)
        if changed:
            raise DataError(
                "the log changed since the plan was made; nothing was removed",
                where=store.storage.name(changed),
                why="another process wrote to it meanwhile",
                do="run the command again and look at the new plan",
            )
        tx.remove(path for item in plan.items for path, _ in item.files)


def lost_runs(runs: Sequence[Run], root: Path | None, plan: PruningPlan) -> list[Run]:
    """The ``runs`` over the log at ``root`` that can no longer be verified without ``plan``'s
    partitions."""
    if root is None:
        return []
    going = {item.place for item in plan.items if item.place is not None}
    return [r for r in runs if _over(r, root) and any(p in going for p in _places(r))]


def _partitions(
    storage: Storage,
    catalogue: Catalogue,
    kinds: Sequence[Kind] | None,
    venue: str | None,
    symbol: str | None,
) -> list[Item]:
    """Every partition of the chosen series, with the files in it that cannot be used."""
    found: dict[Place, dict[str, Entry | None]] = {}
    for entry in catalogue.select(kinds, venue, symbol):
        place = Place(entry.kind, entry.venue, entry.symbol, entry.date)
        found.setdefault(place, {})[entry.path] = entry
    for broken in catalogue.broken:
        here = broken.place
        if here is None or (kinds is not None and here.kind not in kinds):
            continue
        # what cannot be told apart goes only where all symbols are meant
        if venue in (None, here.venue) and symbol in (None, here.symbol):
            found.setdefault(here, {}).setdefault(broken.path, None)
    return [_item(storage, place, files) for place, files in found.items()]


def _item(storage: Storage, place: Place, files: dict[str, Entry | None]) -> Item:
    paths = tuple((path, entry.sha256 if entry else "") for path, entry in sorted(files.items()))
    size = 0
    for path, entry in files.items():
        fact = storage.fact(path) if entry is None else None
        size += entry.bytes if entry else fact.size if fact else 0
    rows = sum(e.rows for e in files.values() if e is not None)
    return Item(place, place.date, paths, rows, size)


def _side_files(storage: Storage) -> list[Item]:
    return [
        Item(None, date_of(f.mtime_ns // DAY_NS), ((f.path, ""),), 0, f.size)
        for f in storage.list_files(REJECTS)
        if f.mtime_ns
    ]


def _rank(item: Item) -> int:
    return FIRST_TO_GO.index(item.place.kind) if item.place else -1


def _age_order(item: Item) -> tuple[Any, ...]:
    return item.date, _rank(item), item.files


def _kind_order(item: Item) -> tuple[Any, ...]:
    return _rank(item), item.date, item.files


def _changed(catalogue: Catalogue, plan: PruningPlan) -> str:
    """The path of a file that is not as ``plan`` has it, or that it does not know; else empty."""
    planned = {path: digest for item in plan.items for path, digest in item.files}
    going = {item.place for item in plan.items}
    now: dict[str, str] = {}
    for entry in catalogue.entries:
        now[entry.path] = entry.sha256
        place = Place(entry.kind, entry.venue, entry.symbol, entry.date)
        if place in going and entry.path not in planned:
            return entry.path
    return next((p for p, digest in planned.items() if digest and now.get(p) != digest), "")


def _over(run: Run, root: Path) -> bool:
    """Whether the log of ``run`` is the one at ``root``."""
    log = run.manifest.get("log")
    path = log.get("path") if isinstance(log, dict) else None
    return isinstance(path, str) and "://" not in path and Path(path).resolve() == root.resolve()


def _places(run: Run) -> list[Place]:
    """The partitions that ``run`` read, as its manifest says."""
    entries = run.manifest["log"].get("entries")
    paths = [e.get("path") for e in entries if isinstance(e, dict)] if entries else []
    places = [place_of(path) for path in paths if isinstance(path, str)]
    return [place for place in places if place is not None]
