"""The market of a run as a report draws it, from one pass over the range of the log.

Owns which candles are made from what: trades through the kernel's own code where the log has
trades, else bars, else the middle of quotes, else the middle of books. What must hold: the log is
read once, in order, in bounded memory; candles and rows are exact sums of int64.

It refuses to know how anything is encoded or drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numba
import numpy as np

from data.events import NS, Kind, Scales
from data.log import Batch, LogReader, LogStore
from engine.kernel.candles import CANDLE, FLAG_GAP, SPANS_NS
from engine.kernel.events import READ_COLUMNS, empty_columns
from engine.report import payload_fold as tape
from engine.report.payload_levels import Chunk, Level, round_height
from engine.runtime.lean import lean
from engine.runtime.parameters import GROUPS, feed_latency, parse_value
from engine.runtime.plain import field_records

FINE_NS = SPANS_NS[0]
SPANS = tuple(s * NS for s in (15, 60, 300, 900, 3600, 4 * 3600, 86_400))
"""Widths that the finest candles of a whole range may have, ns."""
CANDLES_MAX = 12_000
CELLS_MAX = 400_000
WINDOW_NS = 1800 * NS
WINDOWS_MAX = 48
"""Of a long range, this many half hours keep candles of 15 s."""
AROUND_NS = 300 * NS
"""What lies so close to a fill belongs to it."""

COLUMNS: dict[Kind, tuple[str, ...]] = {
    kind: READ_COLUMNS[kind]
    for kind in (Kind.CONTROL, Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.CLOCK)
} | {
    Kind.GAP: (*READ_COLUMNS[Kind.GAP], "reason"),
    Kind.BAR: (*READ_COLUMNS[Kind.BAR], "interval_ns", "buy_volume"),
}
"""What is read of each kind."""

Columns = dict[Kind, dict[str, np.ndarray]]
_NONE = {"ts_ns": np.zeros(0, dtype=np.int64)}

_ARGUMENTS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.TRADE, ("ts_ns", "price", "qty", "side")),
    (Kind.DEPTH, ("ts_ns", "bid_price", "bid_qty", "bid_offsets",
                  "ask_price", "ask_qty", "ask_offsets")),
    (Kind.QUOTE, ("ts_ns", "bid", "ask")),
    (Kind.GAP, ("ts_ns", "stream", "from_ns", "filled")),
    (Kind.BAR, ("ts_ns",)),
    (Kind.CLOCK, ("ts_ns",)),
    (Kind.CONTROL, ("ts_ns",)),
)  # fmt: skip
"""Columns in the order in which the compiled pass takes them."""

Progress = Callable[[int, int, int], None]
"""Called with (events so far, events expected, market time in ns)."""


@dataclass
class Market:
    """What was read: ``source`` names what candles are made of (trades, bars, quotes, depth), or is
    empty; ``levels`` are (level, its candles), the widest range first; ``books`` (int64[3, n]) are
    start of a slot (ns), sum of the log imbalances at its decision boundaries (1e-9) and how many;
    a slot may stand there in two parts; ``gaps`` one dict a hole.
    """

    scales: Scales
    source: str
    levels: list[tuple[Level, Chunk]]
    books: np.ndarray
    gaps: list[dict[str, int]]
    trades: int = 0
    unknown_sides: int = 0
    notes: list[str] = field(default_factory=list)


def span_for(length_ns: int) -> int:
    """Width (ns) of the finest candles that a range of ``length_ns`` is shown in as a whole."""
    return next((s for s in SPANS if length_ns <= s * CANDLES_MAX), SPANS[-1])


def windows_around(times_ns: np.ndarray) -> list[tuple[int, int]]:
    """The half hours [from, to) near which most of ``times_ns`` (int64) lie, in order of time."""
    near = np.concatenate([times_ns + away for away in (-AROUND_NS, 0, AROUND_NS)])
    blocks, counts = np.unique(near // WINDOW_NS, return_counts=True)
    best = np.sort(blocks[np.argsort(-counts, kind="stable")[:WINDOWS_MAX]])
    return [(int(b) * WINDOW_NS, (int(b) + 1) * WINDOW_NS) for b in best]


def params_of(settings: dict[str, str], scales: Scales, row_units: int) -> np.ndarray:
    """The params record of the pass, shape (1,), from a run's settings; defaults where unset."""
    params = np.zeros(1, tape.PARAMS)
    values = {f"{g}.{p.name}": p.default for g, ps in GROUPS.items() for p in ps}
    values.update({k: v for k, v in settings.items() if k in values})
    for group in ("decision", "sides", "candles", "book"):
        for p in GROUPS[group]:
            record: Any = params["core" if group == "decision" else group]
            key = f"{group}.{p.name}"
            record[p.field] = parse_value(p, values[key], scales, key)
    for kind, latency_ns in feed_latency(values).items():
        params["core"]["latency_ns"][0, int(kind)] = latency_ns
    params["footprint"]["row_units"] = row_units
    return params


def latency_of(settings: dict[str, str]) -> dict[Kind, int]:
    """Feed latency by kind (ns) of a run's settings; defaults where unset."""
    defaults = {f"feed.{p.name}": p.default for p in GROUPS["feed"]}
    return feed_latency({**defaults, **{k: v for k, v in settings.items() if k in defaults}})


class Tape:
    """Drives the compiled pass over batches and hands its candles on."""

    def __init__(self, settings: dict[str, str], scales: Scales, book_span_ns: int) -> None:
        params = params_of(settings, scales, 1)
        records = [np.zeros(1, d) for d in (tape.STATE, tape.OUT, tape.CURSOR)]
        if numba.config.DISABLE_JIT:
            params, *records = (field_records(a) for a in (params, *records))
        self.params = params
        self.state, self.out, self.cursor = records
        self._side = np.zeros(0, np.int8)
        self._empty = {kind: empty_columns(kind) for kind, _ in _ARGUMENTS}
        self._book_span_ns = book_span_ns
        self.books: list[np.ndarray] = []
        with lean(last=True):  # compiled by a call over nothing, which changes nothing
            self._fold({}, np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.int64))

    def set_rows(self, row_units: int) -> None:
        """Height of the price rows in price units; before the first trade is taken."""
        self.params["footprint"]["row_units"] = row_units

    def take(self, batch: Batch, drain: Callable[[Chunk], None]) -> None:
        """Fold one batch; closed candles go to ``drain``."""
        if len(self._side) < len(batch.columns.get(Kind.TRADE, _NONE)["ts_ns"]):
            self._side = np.zeros(len(batch.columns[Kind.TRADE]["ts_ns"]), np.int8)
        self.cursor[:] = np.zeros(1, tape.CURSOR)
        while not self._fold(batch.columns, batch.run_kind, batch.run_stop):
            self._drain(drain)
        self._drain(drain)

    def _fold(self, columns: Columns, run_kind: np.ndarray, run_stop: np.ndarray) -> bool:
        args = [
            columns.get(kind, self._empty[kind])[name]
            for kind, names in _ARGUMENTS
            for name in names
        ]
        return bool(tape.fold_batch(
            self.state, self.params, self.out, self.cursor, self._side, run_kind, run_stop, *args
        ))  # fmt: skip

    def finish(self, drain: Callable[[Chunk], None]) -> None:
        """Hand on the candle that stands open."""
        tape.finish(self.state, self.out)
        self._drain(drain)

    def _drain(self, drain: Callable[[Chunk], None]) -> None:
        o = self.out[0]
        n, cells, books = int(o["n_candles"]), int(o["n_cells"]), int(o["n_books"])
        if books:
            # what a boundary sees belongs to the time before it
            slots = (o["book_ns"][:books] - 1) // self._book_span_ns
            starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
            sums = np.add.reduceat(o["book_fp9"][:books], starts)
            counts = np.diff(np.append(starts, books))
            self.books.append(np.stack((slots[starts] * self._book_span_ns, sums, counts)))
        if n:
            drain(
                Chunk(
                    np.array(o["candles"][:n], CANDLE),
                    o["cell_stop"][:n].copy(),
                    o["row"][:cells].copy(),
                    o["cells"][:, :cells].copy(),
                )
            )
        for name in ("n_candles", "n_cells", "n_books"):
            self.out[name] = 0


def read_market(
    store: LogStore,
    venue: str,
    symbol: str,
    from_ns: int | None,
    to_ns: int | None,
    settings: dict[str, str],
    interesting_ns: np.ndarray,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Market:
    """Read [from_ns, to_ns) of the log (None: all of it) as a report draws it.

    ``settings`` are those of the run; ``interesting_ns`` (int64) are the times around which a long
    range keeps its finest candles; ``on_cold`` is called when the pass must be compiled first.
    Errors of the reader pass through.
    """
    reader = LogReader(
        store, venue, symbol, COLUMNS, from_ns=from_ns, to_ns=to_ns,
        latency_ns=latency_of(settings),
    )  # fmt: skip
    kinds = {e.kind for e in reader.entries}
    candidates = ((Kind.TRADE, "trades"), (Kind.BAR, "bars"), (Kind.QUOTE, "quotes"),
                  (Kind.DEPTH, "depth"))  # fmt: skip
    kind, source = next((c for c in candidates if c[0] in kinds), (Kind.GAP, ""))
    first = max(from_ns or 0, min(e.min_ts_ns for e in reader.entries))
    last = min(to_ns or 1 << 62, max(e.max_ts_ns for e in reader.entries))
    gather = _Gather(kind, span_for(last - first), settings, interesting_ns)
    events, expected = 0, sum(e.rows for e in reader.entries)
    if on_cold is not None and not numba.config.DISABLE_JIT and not _compiled():
        on_cold()
    for batch in reader:
        gather.take(batch, reader.scales)
        events += batch.rows
        if progress is not None:
            progress(events, expected, gather.market_ns)
    return gather.finish(reader.scales, source)


def _compiled() -> bool:
    """Whether numba's disk cache holds the pass."""
    where = Path(tape.fold_batch._cache.cache_path)
    return any(where.glob(f"{Path(tape.__file__).stem}.fold_batch-*.nbi"))


class _Gather:
    """Levels, books and gaps while the log streams by."""

    def __init__(
        self, kind: Kind, span_ns: int, settings: dict[str, str], interesting_ns: np.ndarray
    ) -> None:
        self.kind, self.span_ns, self.settings = kind, span_ns, settings
        self.windows = windows_around(interesting_ns) if span_ns > FINE_NS else []
        self.levels: list[Level] = []
        self.tape: Tape | None = None
        self._rows_set = False
        self.gaps: list[dict[str, int]] = []
        self.trades = self.market_ns = self.interval_ns = 0

    def take(self, batch: Batch, scales: Scales) -> None:
        """Take the next batch."""
        rows = batch.columns.get(self.kind, {})
        if self.kind in batch.columns and len(rows["ts_ns"]):
            self.market_ns = int(rows["ts_ns"][-1])
        self._note_gaps(batch.columns.get(Kind.GAP))
        if self.tape is None:
            self.tape = Tape(self.settings, scales, self.span_ns)
        if not self._rows_set:
            self._set_rows(self.tape, rows)
        self.tape.take(batch, self._keep)
        if self.kind == Kind.TRADE:
            self.trades += len(rows.get("ts_ns", ()))
        elif self.kind == Kind.BAR:
            self._bars(rows)
        elif self.kind in (Kind.QUOTE, Kind.DEPTH):
            self._middles(rows)

    def _set_rows(self, tape: Tape, rows: dict[str, np.ndarray]) -> None:
        """Choose the height of the rows by the first price there is."""
        units = 1
        if self.kind == Kind.TRADE:
            prices = rows.get("price", np.zeros(0, np.int64))
            prices = prices[prices > 0]
            if not len(prices):
                return
            units = round_height(int(prices[0]))
        self._rows_set = True
        tape.set_rows(units)
        self.levels = [Level(self.span_ns, units, CELLS_MAX)]
        if self.windows:
            self.levels.append(Level(FINE_NS, units, CELLS_MAX, self.windows))

    def _keep(self, chunk: Chunk) -> None:
        for level in self.levels:
            level.take(chunk)

    def _note_gaps(self, rows: dict[str, np.ndarray] | None) -> None:
        if rows is None:
            return
        names = ("stream", "from_ns", "to_ns", "reason", "filled")
        self.gaps += [
            {name: int(rows[name][r]) for name in names} for r in range(len(rows["ts_ns"]))
        ]

    def _bars(self, rows: dict[str, np.ndarray]) -> None:
        if not len(rows):
            return
        if not self.interval_ns and len(rows["ts_ns"]):
            self.interval_ns = int(rows["interval_ns"].min())
            self.levels = [Level(max(self.span_ns, self.interval_ns), 1, CELLS_MAX)]
        mine = rows["interval_ns"] == self.interval_ns
        candles = np.zeros(int(mine.sum()), CANDLE)
        for name in ("open_ns", "open", "high", "low", "close", "volume", "trades"):
            candles[name] = rows[name][mine]
        candles["buy"] = rows["buy_volume"][mine]
        known = candles["buy"] > 0
        candles["sell"] = np.where(known, candles["volume"] - candles["buy"], 0)
        self._keep(_bare(candles))

    def _middles(self, rows: dict[str, np.ndarray]) -> None:
        """Candles of 15 s of the middle of bid and ask."""
        if not rows or not len(rows["ts_ns"]):
            return
        ts = rows["ts_ns"]
        if self.kind == Kind.QUOTE:
            bid, ask = rows["bid"], rows["ask"]
        else:
            whole = (np.diff(rows["bid_offsets"]) > 0) & (np.diff(rows["ask_offsets"]) > 0)
            ts = ts[whole]
            bid = rows["bid_price"][rows["bid_offsets"][:-1][whole]]
            ask = rows["ask_price"][rows["ask_offsets"][:-1][whole]]
        good = (bid > 0) & (ask > 0)
        if not good.any():
            return
        self._keep(middles(ts[good], (bid[good] + ask[good]) // 2))

    def finish(self, scales: Scales, source: str) -> Market:
        """Everything that was gathered."""
        books = np.zeros((3, 0), np.int64)
        unknown = 0
        if self.tape is not None:
            self.tape.finish(self._keep)
            books = np.concatenate([books, *self.tape.books], axis=1)
            unknown = int(self.tape.state["sides"]["unknown"][0])
        levels = [(level, level.finish()) for level in self.levels]
        for level, chunk in levels:
            _mark_gaps(chunk.candles, level.span_ns, self.gaps)
        return Market(scales, source, levels, books, self.gaps, self.trades, unknown)


def _mark_gaps(candles: np.ndarray, span_ns: int, gaps: list[dict[str, int]]) -> None:
    """Flag the candles that trades are missing from; a hole is told when its candles are closed."""
    for gap in gaps:
        if gap["stream"] == Kind.TRADE and not gap["filled"]:
            start = candles["open_ns"]
            inside = (start + span_ns > gap["from_ns"]) & (start < gap["to_ns"])
            candles["flags"][inside] |= FLAG_GAP


def middles(ts_ns: np.ndarray, price: np.ndarray) -> Chunk:
    """Candles of 15 s without volume from prices (int64) at times ``ts_ns``, at least one.

    A time that steps back belongs to the candle that stands open.
    """
    slots = np.maximum.accumulate(ts_ns // FINE_NS)
    starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
    candles = np.zeros(len(starts), CANDLE)
    candles["open_ns"] = slots[starts] * FINE_NS
    candles["open"] = price[starts]
    candles["close"] = price[np.append(starts[1:], len(slots)) - 1]
    candles["high"] = np.maximum.reduceat(price, starts)
    candles["low"] = np.minimum.reduceat(price, starts)
    return _bare(candles)


def _bare(candles: np.ndarray) -> Chunk:
    """Candles without rows."""
    return Chunk(
        candles,
        np.zeros(len(candles), np.int64),
        np.zeros(0, np.int64),
        np.zeros((3, 0), np.int64),
    )
