"""Holes of a log that the venue's REST can still close: trades by id, bars by minute.

Owns :func:`fill_by_rest`, which the command and a session use alike. What must hold: rows go only
into a hole whose edges the venue has at the same id and the same millisecond (an id alone may be of
another numbering); a page must begin at the id that was asked for (paging by time loses trades);
rows that were fetched have no receive time and no seq; a hole counts as filled when the log says so
afterwards.

It refuses to know how requests are paced (:mod:`data.live.rest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError, LockedError, NetworkError
from data.events import Kind, Scales
from data.live.rest import KLINES_MOST, TOO_OLD, TRADES_MOST, AggRow, RefusedError, Rest
from data.log.checks import Wanted, check_log
from data.sources.decimals import NumberError, PrecisionError, pack, to_fixed
from data.sources.fill import (
    LONGEST_NS,
    FillReport,
    Hole,
    gaps_of,
    hole_of,
    series_of_hole,
    settle,
)
from data.sources.fill_gaps import mark_filled
from data.sources.row_checks import venue_time_ns

if TYPE_CHECKING:
    from data.log import LogStore

KINDS = (Kind.TRADE, Kind.BAR, Kind.GAP)
"""What a session asks to be filled: its trades and bars, and the marks of its recorded gaps."""

_NOT_THERE = "the venue does not have these rows (ids that it cancelled count as missing)"
_OTHERS = "the venue has other trades, or another numbering, at its edges"
_MERGE_ROWS = 50_000
_MS = 1_000_000
_ASTRAY_NS = 1_000_000_000
"""A trade whose time lies further outside of its hole is not one of it, whatever its id says."""

_MINUTE_MS = 60_000
_SCALE = 12
_NUMBER_MAX = 10 ** (_SCALE + 15)
_OPEN, _FIRST_PRICE, _VOLUME, _CLOSE, _TRADES, _BOUGHT = 0, 1, 5, 6, 8, 9


def fill_by_rest(
    store: LogStore,
    wanted: Wanted,
    rest_of: Callable[[str], Rest],
    *,
    longest_ns: int = LONGEST_NS,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _rows: None,
) -> FillReport:
    """Close the holes that ``wanted`` means as far as the venues' REST reaches.

    ``rest_of`` gives the REST of a venue, by its name. ``progress`` is told the rows added so far.
    NetworkError where REST was needed and nothing of it could be reached; what cannot be filled
    stands in the report with the reason. See :func:`data.sources.fill.fill` for the rest.
    """
    findings = list(check_log(store, gaps_of(wanted)))
    report = FillReport([hole_of(finding, longest_ns) for finding in findings])
    if dry_run:
        return report
    running = _RestFill(store, rest_of, report, progress)
    open_ = [hole for hole in report.holes if hole.days]
    for series in sorted({series_of_hole(hole.finding) for hole in open_}):
        running.fill([hole for hole in open_ if series_of_hole(hole.finding) == series])
    running.raise_if_unreached()
    for venue, symbol in sorted({(h.finding.venue, h.finding.symbol) for h in report.holes}):
        report.marked += mark_filled(store, venue, symbol, wanted.from_ns, wanted.to_ns)
    settle(report, list(check_log(store, gaps_of(wanted))), _NOT_THERE)
    return report


def joined(first: FillReport, second: FillReport) -> FillReport:
    """One account of two sources that were asked one after the other."""
    filled = [hole for hole in first.holes if not hole.left]
    return FillReport(
        holes=filled + second.holes,
        files=first.files + second.files,
        added=first.added + second.added,
        marked=first.marked + second.marked,
        moved_bytes=first.moved_bytes + second.moved_bytes,
    )


class _RestFill:
    """Fills series one by one."""

    def __init__(
        self,
        store: LogStore,
        rest_of: Callable[[str], Rest],
        report: FillReport,
        progress: Callable[[int], None],
    ) -> None:
        self._store, self._rest_of, self._report = store, rest_of, report
        self._progress = progress
        self._error: NetworkError | None = None
        self._reached = False

    def fill(self, holes: Sequence[Hole]) -> None:
        """Close the holes of one series."""
        venue, _, kind = series_of_hole(holes[0].finding)
        rest = self._rest_of(venue)
        for group in _groups(holes) if kind == Kind.TRADE else [[hole] for hole in holes]:
            try:
                if kind == Kind.TRADE:
                    self._trades(rest, group)
                else:
                    self._bars(rest, group[0])
                self._reached = True
            except RefusedError as refusal:
                self._reached = True
                self._leave(group, _why(refusal))
            except (OverflowError, DataError) as error:
                if isinstance(error, LockedError):
                    raise
                self._leave(group, f"its numbers do not fit the log: {error}")
            except NetworkError as error:
                self._error = self._error or error
                self._leave(holes, f"{error.what}: {error.why}")
                return

    def raise_if_unreached(self) -> None:
        """NetworkError where a venue was needed and none of them answered."""
        if self._error is not None and not self._reached:
            raise self._error

    def _leave(self, holes: Sequence[Hole], why: str) -> None:
        for hole in holes:
            hole.why = hole.why or why

    def _trades(self, rest: Rest, holes: Sequence[Hole]) -> None:
        """Close holes that lie in one page, or a single one of any length."""
        symbol = holes[0].finding.symbol
        low, high = holes[0].finding.from_id, holes[-1].finding.to_id
        far = high - low >= TRADES_MOST
        edges: dict[int, int] = {}
        if far:
            edges |= _times(rest.agg_trades(symbol, high, 1))
        rows: list[AggRow] = []
        for page in _pages(rest, symbol, low, high):
            edges |= {row.a: row.T for row in page if not far or row.a == low}
            if far and not _sound(holes[0], edges):
                break
            rows += page
            if far and len(rows) >= _MERGE_ROWS:
                self._merge_trades(holes[0], [r for r in rows if low < r.a < high])
                rows = []
        for hole in holes:
            inside = hole.finding
            if _sound(hole, edges):
                mine = [r for r in rows if inside.from_id < r.a < inside.to_id]
                self._merge_trades(hole, mine)
            else:
                self._leave([hole], _OTHERS)

    def _merge_trades(self, hole: Hole, rows: Sequence[AggRow]) -> None:
        good, inside = [], hole.finding
        low_ns, high_ns = inside.from_ns - _ASTRAY_NS, inside.to_ns + _ASTRAY_NS
        times = venue_time_ns(np.array([row.T for row in rows], np.int64)).tolist()
        for row, ns in zip(rows, times, strict=True):
            numbers = _numbers(row.p, row.q) if low_ns <= ns <= high_ns else None
            if row.f >= 0 and numbers is not None and min(numbers) > 0:
                good.append((row.a, row.T, *numbers, -1 if row.m else 1))
        if not good:
            return
        price, price_scale = pack([row[2] for row in good], _SCALE)
        qty, qty_scale = pack([row[3] for row in good], _SCALE)
        ts_ns = venue_time_ns(np.array([row[1] for row in good], np.int64))
        columns = {
            "ts_ns": ts_ns,
            "id": np.array([row[0] for row in good], np.int64),
            "price": price,
            "qty": qty,
            "side": np.array([row[4] for row in good], np.int8),
        }
        self._merge(hole, columns, Scales(price_scale, qty_scale))

    def _bars(self, rest: Rest, hole: Hole) -> None:
        """Close a hole of whole minutes."""
        found = hole.finding
        start_ms, end_ms = found.from_ns // _MS, found.to_ns // _MS - 1
        now_ms = rest.time_ms()
        rows: list[tuple[int, ...]] = []
        while start_ms <= end_ms:
            page = rest.klines(found.symbol, start_ms, end_ms, KLINES_MOST)
            bars = [bar for cells in page if (bar := _bar(cells)) is not None]
            bars = [bar for bar in bars if start_ms <= bar[0] <= end_ms and bar[1] < now_ms]
            if not bars:
                break
            rows += bars
            start_ms = max(bar[0] for bar in bars) + _MINUTE_MS
        if rows:
            self._merge_bars(hole, rows)

    def _merge_bars(self, hole: Hole, rows: Sequence[tuple[int, ...]]) -> None:
        count = len(rows)
        prices, price_scale = pack([row[i] for i in range(2, 6) for row in rows], _SCALE)
        volumes, qty_scale = pack([row[i] for i in (6, 7) for row in rows], _SCALE)
        open_ns = np.array([row[0] * _MS for row in rows], np.int64)
        end_ns = np.array([(row[1] + 1) * _MS for row in rows], np.int64)
        names = ("open", "high", "low", "close")
        columns = {
            "ts_ns": end_ns,
            "open_ns": open_ns,
            "interval_ns": end_ns - open_ns,
            **{name: prices[i * count : (i + 1) * count] for i, name in enumerate(names)},
            "volume": volumes[:count],
            "buy_volume": volumes[count:],
            "trades": np.array([row[8] for row in rows], np.int64),
        }
        self._merge(hole, columns, Scales(price_scale, qty_scale))

    def _merge(self, hole: Hole, columns: dict[str, np.ndarray], scales: Scales) -> None:
        venue, symbol, kind = series_of_hole(hole.finding)
        with self._store.transaction() as change:
            self._report.added += change.merge(kind, venue, symbol, columns, scales).added
        self._progress(self._report.added)


def _groups(holes: Sequence[Hole]) -> Iterator[list[Hole]]:
    """Neighbours that one page of trades covers; a longer hole by itself."""
    group: list[Hole] = []
    for hole in sorted(holes, key=lambda h: h.finding.from_id):
        if group and hole.finding.to_id - group[0].finding.from_id >= TRADES_MOST:
            yield group
            group = []
        group.append(hole)
    if group:
        yield group


def _pages(rest: Rest, symbol: str, low: int, high: int) -> Iterator[list[AggRow]]:
    """The trades from ``low`` to ``high``, both included, page by page; NetworkError where a page
    does not begin where it must, or does not rise."""
    while low <= high:
        page = rest.agg_trades(symbol, low, min(TRADES_MOST, high - low + 1))
        if not page:
            return
        ids = [row.a for row in page]
        if ids[0] != low or any(b <= a for a, b in pairwise(ids)):
            raise RefusedError(
                NetworkError(
                    "the venue's trades do not begin where they were asked for",
                    where=rest.endpoint.rest,
                    why=f"asked for id {low}, got {ids[0]}",
                    do="fill it from the archive: --source archive",
                ),
                0,
            )
        yield page
        low = ids[-1] + 1


def _times(rows: Sequence[AggRow]) -> dict[int, int]:
    return {row.a: row.T for row in rows}


def _sound(hole: Hole, edges: dict[int, int]) -> bool:
    """Whether the venue has both edges of a hole, each in the millisecond that the log has."""
    found = hole.finding
    ends = ((found.from_id, found.from_ns), (found.to_id, found.to_ns))
    times = venue_time_ns(np.array([edges.get(at, 0) for at, _ in ends], np.int64))
    return all(ns // _MS == want // _MS for ns, (_, want) in zip(times.tolist(), ends, strict=True))


def _numbers(*texts: str) -> tuple[int, ...] | None:
    """Exact ints at :data:`_SCALE`; None where one is no number of a market."""
    try:
        numbers = tuple(to_fixed(text, _SCALE) for text in texts)
    except (NumberError, PrecisionError):
        return None
    return numbers if max(numbers) < _NUMBER_MAX else None


def _bar(cells: Sequence[object]) -> tuple[int, ...] | None:
    """(open ms, last ms, open, high, low, close, volume, bought, trades); None where it is none."""
    if len(cells) <= _BOUGHT:
        return None
    times = (cells[_OPEN], cells[_CLOSE], cells[_TRADES])
    texts = (*cells[_FIRST_PRICE:_VOLUME], cells[_VOLUME], cells[_BOUGHT])
    if not all(type(n) is int for n in times) or not all(isinstance(t, str) for t in texts):
        return None
    numbers = _numbers(*map(str, texts))
    opened, last, trades = (int(str(n)) for n in times)
    if numbers is None or min(numbers) < 0 or last - opened + 1 != _MINUTE_MS:
        return None
    return (opened, last, *numbers, trades)


def _why(refusal: RefusedError) -> str:
    if refusal.code == TOO_OLD:
        return "older than the venue's REST keeps; the archive has it from the next day on"
    return f"{refusal.what}: {refusal.why}"
