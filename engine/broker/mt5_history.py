"""History of a terminal into the log: ticks and minutes of a range, and what recorded gaps lack.

Owns the asking (a span at a time, again while the terminal still fetches from its server), the way
from arrays of the package to columns of the log in UTC, and the marks of gaps that are closed.

What must hold: rows of history carry neither id nor receive time, as those of an exported file, so
that both are the same rows; a tick that the log has already, however it came there, is not added
again; a gap is marked as filled only when the terminal answered for all of it; a price off the
instrument's grid is counted and left out.

It refuses to know how a terminal is reached and when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import DataError
from data.events import EVENTS, Kind, Scales
from data.live.decode_mt5 import FUZZ, MINUTE_NS
from data.live.streams import TERMINAL
from data.log import LogReader
from engine.broker.calls import Terminal
from engine.broker.mt5_clock import NS, ServerClock
from engine.broker.mt5_link import failure
from engine.broker.mt5_poll import COPY_S, COPY_TICKS_INFO, TIMEFRAME_M1
from engine.broker.retcodes import link_is_gone

if TYPE_CHECKING:
    from data.log import LogStore

KINDS = (Kind.QUOTE, Kind.BAR)
"""What a terminal has the history of."""

DAY_NS = 86_400 * NS
SPAN_NS = 4 * 3_600 * NS
"""Ticks of so long are asked for at once: an hour of gold has up to 50,000."""

BAR_DAYS = 30
"""Days of minutes that are asked for at once."""

RETRIES = 5
RETRY_S = 2.0
"""A terminal that has to fetch history itself gives nothing meanwhile: it is asked again."""

_MS = 1_000_000
_PRICES = ("open", "high", "low", "close")
Columns = dict[str, np.ndarray]


@dataclass(slots=True)
class Fetched:
    """What became of a range of one kind of a symbol: ``rows`` the terminal has, ``added`` came
    into the log, ``known`` were there, ``refused`` lie off the grid or contradict themselves.
    ``first_ns`` and ``last_ns`` are times of rows, 0 where there are none."""

    symbol: str
    kind: Kind
    from_ns: int
    to_ns: int
    rows: int = 0
    added: int = 0
    known: int = 0
    refused: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def add(self, columns: Columns, rows: int, refused: int) -> None:
        """Count what a span gave."""
        ts = columns["ts_ns"]
        self.rows += rows
        self.refused += refused
        if len(ts):
            self.first_ns = self.first_ns or int(ts[0])
            self.last_ns = int(ts[-1])


@dataclass
class History:
    """Asks ``terminal``, signed in, whose server's clock is ``clock``, and writes to ``store``.

    ``scales`` are those of each symbol; ``lots`` its base quantity of a lot.
    """

    terminal: Terminal
    clock: ServerClock
    store: LogStore
    scales: Mapping[str, Scales]
    lots: Mapping[str, float]
    progress: Callable[[int], None] = lambda _rows: None
    total: int = field(default=0, init=False)

    def fetch(self, symbol: str, kind: Kind, from_ns: int, to_ns: int) -> Fetched:
        """Rows with from_ns <= ts_ns < to_ns into the log, day by day; BrokerError where the
        terminal does not give them. What was written before that stays."""
        told = Fetched(symbol, kind, from_ns, to_ns)
        length = DAY_NS if kind is Kind.QUOTE else BAR_DAYS * DAY_NS
        for begin, end in _spans(from_ns, to_ns, length):
            columns, rows, refused = self._read(symbol, kind, begin, end)
            told.add(columns, rows, refused)
            if kind is Kind.QUOTE:
                new = self._unknown(symbol, columns, begin, end)
                told.known += len(columns["ts_ns"]) - len(new["ts_ns"])
                columns = new
            if len(columns["ts_ns"]):
                with self.store.transaction() as change:
                    merged = change.merge(kind, TERMINAL, symbol, columns, self.scales[symbol])
                told.added += merged.added
                told.known += merged.duplicates
            self.total += rows
            self.progress(self.total)
        return told

    def _read(self, symbol: str, kind: Kind, begin: int, end: int) -> tuple[Columns, int, int]:
        """(columns of what can be kept, rows that the terminal has, rows that were refused)."""
        scales = self.scales[symbol]
        if kind is Kind.BAR:
            rows = self._ask("copy_rates_range", symbol, TIMEFRAME_M1, begin - MINUTE_NS, end)
            ends = utc_of(self.clock, rows["time"] * 1000, begin) + MINUTE_NS
            inside = (ends >= begin) & (ends < end)
            rows, ends = rows[inside], ends[inside]
            columns, good = bar_columns(rows, ends, scales, self.lots[symbol])
            return columns, len(rows), int((~good).sum())
        parts, times = [], []
        for a, b in _spans(begin, end, SPAN_NS):
            rows = self._ask("copy_ticks_range", symbol, COPY_TICKS_INFO, a, b)
            ts_ns = utc_of(self.clock, rows["time_msc"], a)
            within = (ts_ns >= a) & (ts_ns < b)
            parts.append(rows[within])
            times.append(ts_ns[within])
        rows, ts_ns = np.concatenate(parts), np.concatenate(times)
        columns, good = quote_columns(rows, ts_ns, scales)
        return columns, len(rows), int((~good).sum())

    def _ask(self, name: str, symbol: str, what: int, begin: int, end: int) -> np.ndarray:
        """Rows between two times, both of UTC; asked again while there is no answer."""
        least = min(self.clock.offset_ns(begin), self.clock.offset_ns(end))
        most = max(self.clock.offset_ns(begin), self.clock.offset_ns(end))
        dates = ((begin + least) // NS, -(-(end + most) // NS))
        args = (symbol, *dates, what) if name == "copy_ticks_range" else (symbol, what, *dates)
        for tried in range(RETRIES):
            answer = self.terminal.call(name, *args, deadline_s=COPY_S)
            if answer.value is not None:
                rows: np.ndarray = np.asarray(answer.value)
                return rows
            if link_is_gone(answer.code) or tried == RETRIES - 1:
                break
            self.terminal.sleep(RETRY_S)
        raise failure(name, answer)

    def _unknown(self, symbol: str, columns: Columns, begin: int, end: int) -> Columns:
        """Those of the ticks that the log does not have."""
        wanted = {Kind.QUOTE: ("ts_ns", "bid", "ask")}
        try:
            reader = LogReader(self.store, TERMINAL, symbol, wanted, begin, end)
        except DataError:
            return columns  # nothing of it is there
        mine, theirs = self.scales[symbol].price, reader.scales.price
        finest = max(mine, theirs)
        have = [_keys(batch.columns[Kind.QUOTE], 10 ** (finest - theirs)) for batch in reader]
        if not have:
            return columns
        new = ~np.isin(_keys(columns, 10 ** (finest - mine)), np.concatenate(have))
        return {name: values[new] for name, values in columns.items()}

    # -- gaps -------------------------------------------------------------------------------------

    def settle(self, told: Fetched) -> int:
        """Mark the recorded gaps inside of a range that was fetched, where the terminal had
        anything of it; how many there were."""
        gaps = open_gaps(self.store, told.symbol, told.from_ns).get(told.kind, [])
        gaps = [gap for gap in gaps if gap[1] < told.to_ns] if told.rows else []
        if gaps:
            self._mark(told.symbol, told.kind, gaps)
        return len(gaps)

    def close(self, symbol: str, kind: Kind, gaps: list[tuple[int, int]]) -> int:
        """Fetch what lies in recorded gaps (from, to in exchange time, ns) and mark them as filled;
        how many rows were added."""
        added = 0
        for begin, end in _joined(gaps):
            added += self.fetch(symbol, kind, begin, end + 1).added
        self._mark(symbol, kind, gaps)
        return added

    def _mark(self, symbol: str, kind: Kind, gaps: list[tuple[int, int]]) -> None:
        names = EVENTS[Kind.GAP].names
        wanted = set(gaps)
        begin, end = min(a for a, _ in gaps), max(b for _, b in gaps)
        reader = LogReader(self.store, TERMINAL, symbol, {Kind.GAP: names}, begin, end + 1)
        parts = [batch.columns[Kind.GAP] for batch in reader]
        rows = {name: np.concatenate([p[name] for p in parts]) for name in names} if parts else {}
        closed = [
            i
            for i in range(len(rows.get("ts_ns", ())))
            if rows["stream"][i] == int(kind)
            and (int(rows["from_ns"][i]), int(rows["to_ns"][i])) in wanted
        ]
        if closed:
            marked = {name: values[closed] for name, values in rows.items()}
            marked["filled"] = np.ones(len(closed), marked["filled"].dtype)
            with self.store.transaction() as change:
                change.merge(Kind.GAP, TERMINAL, symbol, marked, reader.scales)


def open_gaps(store: LogStore, symbol: str, since_ns: int) -> dict[Kind, list[tuple[int, int]]]:
    """(from, to) in exchange time, ns, of the recorded gaps of a symbol that nothing has filled and
    that begin after ``since_ns``, by the kind that is missing."""
    names = ("from_ns", "to_ns", "stream", "filled")
    found: dict[Kind, set[tuple[int, int]]] = {kind: set() for kind in KINDS}
    try:
        batches = list(LogReader(store, TERMINAL, symbol, {Kind.GAP: names}, since_ns))
    except DataError:
        return {}  # none was ever recorded
    for batch in batches:
        rows = batch.columns[Kind.GAP]
        for kind, mine in found.items():
            at = (rows["stream"] == int(kind)) & (rows["filled"] == 0)
            at &= rows["from_ns"] >= since_ns
            ends = zip(rows["from_ns"][at].tolist(), rows["to_ns"][at].tolist(), strict=True)
            mine.update(ends)
    return {kind: sorted(gaps) for kind, gaps in found.items() if gaps}


def utc_of(clock: ServerClock, wall_ms: np.ndarray, from_ns: int) -> np.ndarray:
    """int64[n] ns UTC of server times in ms, which begin about ``from_ns``; in the hour that an
    autumn repeats a time that falls back is of its second pass."""
    if not len(wall_ms):
        return np.zeros(0, np.int64)
    ends = [clock.to_utc_ns(int(wall_ms[0]), from_ns), clock.to_utc_ns(int(wall_ms[-1]))]
    offsets = [clock.offset_ns(at) for at in ends]
    if offsets[0] == offsets[1] and bool((np.diff(wall_ms) >= 0).all()):
        return wall_ms.astype(np.int64) * _MS - offsets[0]
    utc = np.zeros(len(wall_ms), np.int64)
    near = from_ns
    for i, wall in enumerate(wall_ms.tolist()):
        utc[i] = clock.to_utc_ns(wall, near)
        near = max(near, int(utc[i]))
    return utc


def quote_columns(rows: Any, ts_ns: np.ndarray, scales: Scales) -> tuple[Columns, np.ndarray]:
    """Columns of the ticks that are quotes, and which of the ``rows`` are none for being off the
    grid or below 0 (bool[n], False); a tick without both sides is left out and not refused."""
    (bid, ask), good = _scaled(rows, ("bid", "ask"), scales.price)
    good &= (bid >= 0) & (ask >= 0)
    keep = good & (bid > 0) & (ask > 0)
    zero = np.zeros(int(keep.sum()), np.int64)
    columns = {"ts_ns": ts_ns[keep], "id": zero, "bid": bid[keep], "bid_qty": zero.copy(),
               "ask": ask[keep], "ask_qty": zero.copy()}  # fmt: skip
    return columns, good


def bar_columns(
    rows: Any, end_ns: np.ndarray, scales: Scales, lot: float
) -> tuple[Columns, np.ndarray]:
    """Columns of the bars that are sound, and which of the ``rows`` they are (bool[n])."""
    prices, good = _scaled(rows, _PRICES, scales.price)
    open_, high, low, close = prices
    good &= (low > 0) & (low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close))
    volume = np.rint(rows["real_volume"].astype(np.float64) * lot * 10**scales.qty)
    columns: Columns = {
        "ts_ns": end_ns, "id": np.zeros(len(rows), np.int64), "open_ns": end_ns - MINUTE_NS,
        "interval_ns": np.full(len(rows), MINUTE_NS), **dict(zip(_PRICES, prices, strict=True)),
        "volume": volume.astype(np.int64), "buy_volume": np.zeros(len(rows), np.int64),
        "trades": rows["tick_volume"].astype(np.int64),
    }  # fmt: skip
    return {name: values[good] for name, values in columns.items()}, good


def _scaled(rows: Any, names: tuple[str, ...], scale: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Prices as int64 units, and which rows lie on the grid."""
    good = np.ones(len(rows), bool)
    found = []
    for name in names:
        exact = np.nan_to_num(rows[name], nan=-1.0, posinf=-1.0, neginf=-1.0) * 10.0**scale
        whole = np.rint(exact)
        good &= np.abs(exact - whole) <= FUZZ + np.abs(exact) * 1e-12
        good &= np.abs(exact) < 2.0**53
        found.append(np.where(good, whole, 0).astype(np.int64))
    return found, good


def _keys(columns: Mapping[str, np.ndarray], times: int) -> np.ndarray:
    """One comparable value a row of time, bid and ask, prices multiplied by ``times``."""
    parts = (columns["ts_ns"], columns["bid"] * times, columns["ask"] * times)
    table = np.ascontiguousarray(np.stack(parts, axis=1))
    return table.view([("", np.int64)] * 3).reshape(-1)


def _spans(from_ns: int, to_ns: int, length: int) -> Iterator[tuple[int, int]]:
    """[from, to) cut at whole multiples of ``length``."""
    while from_ns < to_ns:
        end = min(to_ns, (from_ns // length + 1) * length)
        yield from_ns, end
        from_ns = end


def _joined(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges without the overlaps of those that were told twice."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(gaps):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((begin, end))
    return joined
